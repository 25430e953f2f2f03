//! The start of the PostgreSQL protocol: TLS, and the authentication method of a user.
//!
//! Source: "Message Flow" and "Message Formats" in the PostgreSQL manual.

use std::io::{self, ErrorKind, Read, Write};

use super::stream::read_bytes;

/// Maximum length of a message, in bytes.
const MAX_MESSAGE: usize = 64 << 10;

/// The server's answer to a request for TLS.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TlsAnswer {
    Accepted,
    Refused,
    Error(String),
    /// The server does not use the PostgreSQL protocol.
    Other,
}

/// Requests TLS. If the server accepts, the client starts the handshake.
pub(super) fn request_tls(stream: &mut (impl Read + Write)) -> io::Result<TlsAnswer> {
    stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])?;
    stream.flush()?;
    Ok(match read_bytes(stream, 1)?[0] {
        b'S' => TlsAnswer::Accepted,
        b'N' => TlsAnswer::Refused,
        b'E' => TlsAnswer::Error(read_body(stream).map(|body| error_message(&body)).unwrap_or_default()),
        _ => TlsAnswer::Other,
    })
}

/// The server's answer to a user name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// The password in clear text. RDS requests it only for users with the role `rds_iam`.
    Cleartext,
    /// Another method.
    Other(&'static str),
    Error(String),
}

/// Sends the user name and the database, and returns the server's answer.
pub(super) fn query_method(stream: &mut (impl Read + Write), user: &str, database: &str) -> io::Result<Method> {
    let mut body = vec![0, 3, 0, 0];
    for text in ["user", user, "database", database, "application_name", "rds-token doctor"] {
        body.extend(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).map_err(io::Error::other)?;
    stream.write_all(&[length.to_be_bytes().as_slice(), &body].concat())?;
    stream.flush()?;
    let kind = read_bytes(stream, 1)?[0];
    let body = read_body(stream)?;
    let method = match kind {
        b'R' => method_of(body.first_chunk::<4>().map_or(u32::MAX, |code| u32::from_be_bytes(*code))),
        b'E' => Method::Error(error_message(&body)),
        _ => Method::Other("an unknown method"),
    };
    // Without this message, the server logs an interrupted connection.
    let _ = stream.write_all(b"X\0\0\0\x04").and_then(|()| stream.flush());
    Ok(method)
}

fn method_of(code: u32) -> Method {
    match code {
        3 => Method::Cleartext,
        0 => Method::Other("no password"),
        5 => Method::Other("an MD5 password"),
        7..=9 => Method::Other("Kerberos"),
        10 => Method::Other("a SCRAM password"),
        _ => Method::Other("an unknown method"),
    }
}

/// Returns `SEVERITY:  MESSAGE`, as psql prints it.
fn error_message(body: &[u8]) -> String {
    let field = |code: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        let field = fields.find_map(|field| field.strip_prefix(&[code]));
        String::from_utf8_lossy(field.unwrap_or_default()).into_owned()
    };
    format!("{}:  {}", field(b'S'), field(b'M'))
}

/// Reads the length of a message, and returns its body.
fn read_body(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = read_bytes(stream, 4)?;
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if !(4..=MAX_MESSAGE).contains(&length) {
        return Err(ErrorKind::InvalidData.into());
    }
    read_bytes(stream, length - 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that ignores what it receives, and sends this answer.
    struct Server(&'static [u8]);

    impl Read for Server {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Server {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn answers_are_parsed() {
        for (answer, expected) in [
            (&b"S"[..], TlsAnswer::Accepted),
            (b"N", TlsAnswer::Refused),
            (b"E\0\0\0\x16SFATAL\0Mno entry\0\0", TlsAnswer::Error("FATAL:  no entry".to_owned())),
            (b"J\0\0\0", TlsAnswer::Other),
        ] {
            assert_eq!(request_tls(&mut Server(answer)).unwrap(), expected);
        }
        for (answer, expected) in [
            (&b"R\0\0\0\x08\0\0\0\x03"[..], Method::Cleartext),
            (b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", Method::Other("a SCRAM password")),
            (b"R\0\0\0\x04", Method::Other("an unknown method")),
            (b"E\0\0\0\x16SFATAL\0Mno entry\0\0", Method::Error("FATAL:  no entry".to_owned())),
        ] {
            assert_eq!(query_method(&mut Server(answer), "u", "d").unwrap(), expected);
        }
        assert!(query_method(&mut Server(b"R\xff\xff\xff\xff"), "u", "d").is_err());
        assert!(request_tls(&mut Server(b"")).is_err());
    }
}
