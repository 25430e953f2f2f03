//! A connection with a time limit for all reads and writes together.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The connection.
pub(super) struct Stream {
    tcp: TcpStream,
    until: Instant,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, limit: Duration) -> Self {
        Self { tcp, until: Instant::now() + limit }
    }

    /// Returns the remaining time. Fails if it is up.
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// Reads exactly `length` bytes.
pub(super) fn read_bytes(stream: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(self.left()?))?;
        self.tcp.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(self.left()?))?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// Describes the reason why a server gave no usable answer.
pub(super) fn explain(error: &io::Error) -> String {
    match error.kind() {
        // A read timeout is `WouldBlock` on Unix.
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "the server does not answer in time".to_owned(),
        ErrorKind::UnexpectedEof => "the server closes the connection".to_owned(),
        _ => error.to_string(),
    }
}
