//! Database servers without TLS that request the password in clear text, as a man in the middle would.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::servers::{Engine, Mariadb, Postgres};

/// Serves one client, and records the packets that the client sends.
type Protocol = fn(TcpStream, &Mutex<Vec<Vec<u8>>>) -> std::io::Result<()>;

/// A server without TLS that requests the password in clear text.
pub(crate) struct Rogue {
    pub(crate) port: u16,
    packets: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Rogue {
    /// Starts a server that requests the password in clear text after the client has sent the user name.
    pub(crate) fn start(engine: Engine) -> Self {
        Self::serve(match engine {
            Mariadb => |stream, packets| serve_mysql(stream, packets, "mysql_native_password"),
            Postgres => serve_postgres,
        })
    }

    /// Starts a MySQL server that requests the password in clear text in its greeting.
    pub(crate) fn start_with_clear_greeting() -> Self {
        Self::serve(|stream, packets| serve_mysql(stream, packets, "mysql_clear_password"))
    }

    fn serve(protocol: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let packets = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&packets);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let recorded = Arc::clone(&recorded);
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                    let _ = protocol(stream, &recorded);
                });
            }
        });
        Self { port, packets }
    }

    pub(crate) fn has_token(&self) -> bool {
        has_token(&self.packets.lock().unwrap().concat())
    }

    /// The packets since the last call.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.packets.lock().unwrap())
    }
}

fn has_token(packet: &[u8]) -> bool {
    String::from_utf8_lossy(packet).contains("X-Amz-Signature")
}

/// Reads and records the next packet, which is empty at the end of the stream.
fn read_packet(stream: &mut TcpStream, packets: &Mutex<Vec<Vec<u8>>>) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 16_384];
    let length = stream.read(&mut bytes)?;
    bytes.truncate(length);
    packets.lock().unwrap().push(bytes.clone());
    Ok(bytes)
}

/// The MySQL protocol: a greeting without TLS that names `plugin`, then a request for `mysql_clear_password`. The
/// server closes the connection after it has received a token, so that the client does not wait.
fn serve_mysql(mut stream: TcpStream, packets: &Mutex<Vec<Vec<u8>>>, plugin: &str) -> std::io::Result<()> {
    let packet = |number: u8, body: &[u8]| {
        let mut packet = vec![u8::try_from(body.len()).unwrap(), 0, 0, number];
        packet.extend(body);
        packet
    };
    // Long password, database, protocol 4.1, secure connection; authentication plugins.
    let mut greeting = b"\x0a8.0.36\0\x01\0\0\0abcdefgh\0\x09\x82\x2d\x02\0\x08\0\x15".to_vec();
    greeting.extend([0; 10]);
    greeting.extend(b"ijklmnopqrst\0");
    greeting.extend(plugin.as_bytes());
    greeting.push(0);
    stream.write_all(&packet(0, &greeting))?;
    if has_token(&read_packet(&mut stream, packets)?) {
        return Ok(());
    }
    stream.write_all(&packet(2, b"\xfemysql_clear_password\0"))?;
    while let packet = read_packet(&mut stream, packets)?
        && !packet.is_empty()
        && !has_token(&packet)
    {}
    Ok(())
}

/// The PostgreSQL protocol: TLS and GSSAPI are refused, then the password is requested in clear text.
fn serve_postgres(mut stream: TcpStream, packets: &Mutex<Vec<Vec<u8>>>) -> std::io::Result<()> {
    while let request @ [first, ..] = read_packet(&mut stream, packets)?.as_slice() {
        if *first == b'p' {
            break; // the password
        }
        let requests_encryption = request.len() == 8 && request[4..6] == [0x04, 0xd2];
        let answer: &[u8] = if requests_encryption { b"N" } else { b"R\0\0\0\x08\0\0\0\x03" };
        stream.write_all(answer)?;
    }
    Ok(())
}
