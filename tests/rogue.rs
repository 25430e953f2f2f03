//! Database servers without TLS, which ask for the password in clear: what somebody in between would play.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::servers::{Engine, Mariadb, Postgres};

/// Serves one client, and records what the client sends.
type Play = fn(TcpStream, &Mutex<Vec<Vec<u8>>>) -> std::io::Result<()>;

/// A server without TLS that takes any password, in clear.
pub(crate) struct Rogue {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Rogue {
    /// One that requests the password in clear after the client has sent the user name.
    pub(crate) fn start(engine: Engine) -> Self {
        Self::play(match engine {
            Mariadb => |stream, ears| play_mysql(stream, ears, "mysql_native_password"),
            Postgres => play_postgres,
        })
    }

    /// A MySQL server that requests the password in clear in its greeting.
    pub(crate) fn start_with_clear_greeting() -> Self {
        Self::play(|stream, ears| play_mysql(stream, ears, "mysql_clear_password"))
    }

    fn play(play: Play) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ears = Arc::clone(&ears);
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                    let _ = play(stream, &ears);
                });
            }
        });
        Self { port, heard }
    }

    pub(crate) fn has_a_token(&self) -> bool {
        has_a_token(&self.heard.lock().unwrap().concat())
    }

    /// What it has heard since the last time.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

fn has_a_token(heard: &[u8]) -> bool {
    String::from_utf8_lossy(heard).contains("X-Amz-Signature")
}

/// What comes next, kept in `ears`. Empty at the end.
fn hear(stream: &mut TcpStream, ears: &Mutex<Vec<Vec<u8>>>) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 16_384];
    let length = stream.read(&mut bytes)?;
    bytes.truncate(length);
    ears.lock().unwrap().push(bytes.clone());
    Ok(bytes)
}

/// The MySQL protocol: a greeting that offers no TLS and names `plugin`, then a request for `mysql_clear_password`.
/// It hangs up once it has a token, so that the client does not wait.
fn play_mysql(mut stream: TcpStream, ears: &Mutex<Vec<Vec<u8>>>, plugin: &str) -> std::io::Result<()> {
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
    if has_a_token(&hear(&mut stream, ears)?) {
        return Ok(());
    }
    stream.write_all(&packet(2, b"\xfemysql_clear_password\0"))?;
    while let heard = hear(&mut stream, ears)?
        && !heard.is_empty()
        && !has_a_token(&heard)
    {}
    Ok(())
}

/// PostgreSQL's: no to TLS and to GSSAPI, then a request for the password in clear.
fn play_postgres(mut stream: TcpStream, ears: &Mutex<Vec<Vec<u8>>>) -> std::io::Result<()> {
    while let request @ [first, ..] = hear(&mut stream, ears)?.as_slice() {
        if *first == b'p' {
            break; // the password
        }
        let asks_for_encryption = request.len() == 8 && request[4..6] == [0x04, 0xd2];
        let answer: &[u8] = if asks_for_encryption { b"N" } else { b"R\0\0\0\x08\0\0\0\x03" };
        stream.write_all(answer)?;
    }
    Ok(())
}
