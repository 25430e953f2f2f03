//! The start of the MySQL protocol: the server's greeting, TLS, and the authentication plugin of a user.
//!
//! Source: "Connection Phase" in the MySQL source code documentation.

use std::io::{self, ErrorKind, Read, Write};

use super::stream::read_bytes;

/// Maximum length of a packet, in bytes. A greeting or an error is far shorter.
const MAX_PACKET: usize = 64 << 10;

const CLIENT_SSL: u32 = 0x800;
/// Long password, protocol 4.1, TLS, secure connection and authentication plugins.
const CAPABILITIES: u32 = 0x1 | 0x200 | CLIENT_SSL | 0x8000 | 0x8_0000;
/// utf8mb4_general_ci
const CHARSET: u8 = 45;

/// The first packet of a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    Version {
        version: String,
        offers_tls: bool,
    },
    Error(String),
    /// The server does not use the MySQL protocol.
    Other,
}

/// Reads the greeting. Fails if the connection fails.
pub(super) fn read_greeting(stream: &mut impl Read) -> io::Result<Greeting> {
    Ok(match read_packet(stream) {
        Ok((_, body)) => parse_greeting(&body),
        Err(error) if error.kind() == ErrorKind::InvalidData => Greeting::Other,
        Err(error) => return Err(error),
    })
}

fn parse_greeting(body: &[u8]) -> Greeting {
    match body {
        [0x0a, rest @ ..] => parse_version(rest).unwrap_or(Greeting::Other),
        [0xff, ..] => Greeting::Error(error_message(body)),
        _ => Greeting::Other,
    }
}

/// Parses a greeting after its first byte: the version, the thread, a part of the nonce, the capabilities.
fn parse_version(rest: &[u8]) -> Option<Greeting> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let version = String::from_utf8_lossy(&rest[..end]).into_owned();
    // MariaDB adds the prefix for old replicas.
    let version = version.strip_prefix("5.5.5-").unwrap_or(&version).to_owned();
    let capabilities = rest.get(end + 1 + 4 + 8 + 1..)?.first_chunk::<2>()?;
    let offers_tls = u32::from(u16::from_le_bytes(*capabilities)) & CLIENT_SSL != 0;
    Some(Greeting::Version { version, offers_tls })
}

/// Sends the request for TLS, after which the client starts the handshake.
pub(super) fn request_tls(stream: &mut impl Write) -> io::Result<()> {
    write_packet(stream, 1, &response_header())
}

fn response_header() -> Vec<u8> {
    let mut header = CAPABILITIES.to_le_bytes().to_vec();
    header.extend(0x0100_0000_u32.to_le_bytes());
    header.push(CHARSET);
    header.extend([0; 23]);
    header
}

/// The server's answer to a user name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// The plugin that the client must use. `mysql_clear_password` for a user with IAM authentication.
    Plugin(String),
    Error(String),
}

/// Sends the user name without a password, and returns the server's answer.
pub(super) fn query_method(stream: &mut (impl Read + Write), user: &str) -> io::Result<Method> {
    let mut response = response_header();
    response.extend(user.as_bytes());
    // The NUL after the name, and an empty password.
    response.extend([0, 0]);
    // A plugin that no user has, so that the server names the user's plugin.
    response.extend(b"rds_token_doctor\0");
    write_packet(stream, 2, &response)?;
    let (_, body) = read_packet(stream)?;
    Ok(match body.as_slice() {
        [0xfe, rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            Method::Plugin(String::from_utf8_lossy(&rest[..end]).into_owned())
        }
        [0xff, ..] => Method::Error(error_message(&body)),
        _ => Method::Plugin("none".to_owned()),
    })
}

/// Returns `ERROR CODE: MESSAGE`, as the clients print it.
fn error_message(body: &[u8]) -> String {
    let code = body.get(1..).and_then(|rest| rest.first_chunk::<2>()).map_or(0, |code| u16::from_le_bytes(*code));
    let text = body.get(3..).unwrap_or_default();
    // The SQL state, which is absent in errors before the greeting.
    let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
    format!("ERROR {code}: {}", String::from_utf8_lossy(text))
}

/// Reads a packet, and returns its number and its body. The error is `InvalidData` if it is too long.
fn read_packet(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let header = read_bytes(stream, 4)?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
    if length > MAX_PACKET {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok((header[3], read_bytes(stream, length)?))
}

fn write_packet(stream: &mut impl Write, number: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes();
    let mut packet = vec![length[0], length[1], length[2], number];
    packet.extend(body);
    stream.write_all(&packet)?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_and_errors_are_parsed() {
        let greeting = |version: &str, capabilities: [u8; 2]| {
            let mut body = vec![0x0a];
            body.extend(version.as_bytes());
            body.extend(b"\0\x01\0\0\0abcdefgh\0");
            body.extend(capabilities);
            body
        };
        let version = |version: &str, offers_tls| Greeting::Version { version: version.to_owned(), offers_tls };
        for (body, expected) in [
            (greeting("8.0.36", [0xff, 0xff]), version("8.0.36", true)),
            (greeting("5.5.5-10.11.14-MariaDB", [0xff, 0xf7]), version("10.11.14-MariaDB", false)),
            (
                b"\xff\x6a\x04Host 'x' is blocked".to_vec(),
                Greeting::Error("ERROR 1130: Host 'x' is blocked".to_owned()),
            ),
            (
                b"\xff\x10\x04#08004Too many connections".to_vec(),
                Greeting::Error("ERROR 1040: Too many connections".to_owned()),
            ),
            (b"\xff".to_vec(), Greeting::Error("ERROR 0: ".to_owned())),
            (b"\x0a8.0".to_vec(), Greeting::Other),
            (b"SSH-2.0".to_vec(), Greeting::Other),
            (Vec::new(), Greeting::Other),
        ] {
            assert_eq!(parse_greeting(&body), expected, "{body:?}");
        }
    }

    #[test]
    fn a_long_packet_belongs_to_another_protocol() {
        assert_eq!(read_greeting(&mut &b"SSH-2.0-OpenSSH_9.2p1\r\n"[..]).unwrap(), Greeting::Other);
        assert!(read_greeting(&mut &b""[..]).is_err());
    }
}
