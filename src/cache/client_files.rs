//! Files that database clients read: option files, passfiles, and directories for `MYSQL_HOME` and `MARIADB_HOME`, each
//! with one option file.
//!
//! A client ignores a missing directory, and connects to the local server. Therefore the option file of an old
//! directory is not removed, but replaced with one that no client can connect with.

use std::io;
use std::path::PathBuf;

use super::directory::{CLIENT_FILES, CacheDirectory};
use crate::os::private_file::{Directory, is_temporary};

pub(super) const OPTION_FILE: &str = "my.cnf";
/// Upper limit for a file, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// The line that replaces the host in the option file of an old directory. The name never resolves (RFC 6761, section
/// 6.4).
const EXPIRED: &str = "host=rds-token-expired.invalid";

impl CacheDirectory {
    /// Writes a file that clients read, and returns its path. A file with the same text is not rewritten.
    pub(crate) fn write_client_file(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        self.prepare()?;
        let directory = self.open()?;
        let is_same = directory.read(name, text.len() as u64).is_ok_and(|old| old == text.as_bytes());
        if !is_same {
            directory.write(name, text.as_bytes())?;
        }
        Ok(directory.path().join(name))
    }

    /// The names and texts of the option files and passfiles. Fails if the directory can't be read or trusted.
    pub(crate) fn client_files(&self) -> io::Result<Vec<(String, String)>> {
        self.read_files(&CLIENT_FILES, MAX_FILE, |_, bytes| String::from_utf8(bytes).ok())
    }

    /// Writes the option file of a directory, and returns the directory's path. The file is rewritten on each use, so
    /// that its age counts from the last use.
    pub(crate) fn write_mysql_home(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        self.prepare()?;
        let home = Directory::create(&self.open()?.path().join(name))?;
        home.write(OPTION_FILE, text.as_bytes())?;
        Ok(home.path().to_owned())
    }

    /// The text of a directory's option file. `None` if it can't be read or trusted.
    pub(crate) fn read_mysql_home(&self, name: &str) -> Option<String> {
        let home = Directory::open(&self.open().ok()?.path().join(name)).ok()?;
        String::from_utf8(home.read(OPTION_FILE, MAX_FILE).ok()?).ok()
    }

    /// Replaces a directory's option file with one that no client can connect with. The TLS options remain, because a
    /// host on the client's command line overrides the file's.
    pub(crate) fn expire_mysql_home(&self, name: &str) -> io::Result<()> {
        let text = self.read_mysql_home(name).unwrap_or_else(|| "[client]\nhost=\nprotocol=tcp\n".to_owned());
        if !text.lines().any(|line| line == EXPIRED) {
            self.write_mysql_home(name, &expired(&text))?;
        }
        let home = Directory::open(&self.open()?.path().join(name))?;
        // A temporary file of a killed process may have a token.
        home.files()?.iter().filter(|name| is_temporary(name)).for_each(|name| home.remove_unlocked(name));
        Ok(())
    }
}

/// The text of an option file with the host [`EXPIRED`], and without the password and comments.
fn expired(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("password=") && !line.starts_with('#'));
    lines.flat_map(|line| [if line.starts_with("host=") { EXPIRED } else { line }, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_option_file_has_no_token_but_verifies_tls() {
        let text =
            "# rds-token: u@h:1 r\n[client]\nhost=\"h\"\nport=1\npassword=\"h:1/?x\"\nssl-mode=VERIFY_IDENTITY\n";
        let expected = "[client]\nhost=rds-token-expired.invalid\nport=1\nssl-mode=VERIFY_IDENTITY\n";
        assert_eq!(expired(text), expected);
        assert_eq!(expired(expected), expected);
    }
}
