//! Directories for `MYSQL_HOME` and `MARIADB_HOME`, each with one option file.
//!
//! A client ignores a missing directory, and connects to the local server. Therefore an expired option file is not
//! removed. It is replaced with one that no client can connect with.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::files::Store;
use crate::os::env::Timestamp;
use crate::os::private_file::{Directory, is_leftover_temp};

/// The extension of the directories.
pub(super) const EXTENSION: &str = "home";
/// The file in a directory that clients read.
const OPTION_FILE: &str = "my.cnf";
/// Upper limit for the file, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// Replaces the host in the option file of an old directory. It never resolves (RFC 6761, section 6.4).
const EXPIRED: &str = "host=rds-token-expired.invalid";
/// Maximum age of an option file, as for other client files.
const MAX_FILE_AGE: Duration = Duration::from_secs(60 * 60);
/// Maximum age of a directory. It is long because a shell may stay open for days.
const MAX_DIRECTORY_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Store {
    /// Writes the option file of a directory, and returns the directory's path. Rewrites the file on each use, so that
    /// its age counts from the last use.
    ///
    /// # Errors
    /// If it can't be written.
    pub(crate) fn write_mysql_home(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        self.prepare()?;
        let home = Directory::create(&self.open()?.path().join(name))?;
        home.write(OPTION_FILE, text.as_bytes())?;
        Ok(home.path().to_owned())
    }

    /// Returns the names of the directories.
    ///
    /// # Errors
    /// If the directory can't be read or trusted.
    pub(crate) fn list_mysql_homes(&self) -> io::Result<Vec<String>> {
        let Some(directory) = self.existing()? else { return Ok(Vec::new()) };
        let mut names = directory.directories()?;
        names.retain(|name| super::files::has_extension(name, &[EXTENSION]));
        Ok(names)
    }

    /// Returns the option file of a directory. `None` if it can't be read or trusted.
    pub(crate) fn read_mysql_home(&self, name: &str) -> Option<String> {
        let home = Directory::open(&self.open().ok()?.path().join(name)).ok()?;
        String::from_utf8(home.read(OPTION_FILE, MAX_FILE).ok()?).ok()
    }

    /// Replaces an option file with one that no client can connect with. The TLS options stay, because a host on the
    /// client's command line overrides the file's.
    ///
    /// # Errors
    /// If it can't be written.
    pub(crate) fn expire_mysql_home(&self, name: &str) -> io::Result<()> {
        let text = self.read_mysql_home(name).unwrap_or_else(|| "[client]\nhost=\nprotocol=tcp\n".to_owned());
        if !text.lines().any(|line| line == EXPIRED) {
            let line = |line: &str| match line.split('=').next() {
                Some("password") => String::new(),
                Some("host") => format!("{EXPIRED}\n"),
                _ if line.starts_with('#') => String::new(),
                _ => format!("{line}\n"),
            };
            self.write_mysql_home(name, &text.lines().map(line).collect::<String>())?;
        }
        let home = Directory::open(&self.open()?.path().join(name))?;
        // What killed processes left of their writes may have a token.
        home.files()?.iter().filter(|name| is_leftover_temp(name)).for_each(|name| home.remove_unlocked(name));
        Ok(())
    }

    /// Expires old option files, and removes old directories.
    pub(super) fn sweep_mysql_homes(&self, directory: &Directory, now: Timestamp) {
        let is_older = |name: &str, age| directory.is_older(name, age, now.wall.into()).unwrap_or(false);
        for name in self.list_mysql_homes().unwrap_or_default() {
            if is_older(&name, MAX_DIRECTORY_AGE) {
                let _ = self.expire_mysql_home(&name);
                let _ = Directory::open(&directory.path().join(&name)).and_then(|home| home.remove(OPTION_FILE));
                let _ = directory.remove_directory(&name);
            } else if is_older(&name, MAX_FILE_AGE) {
                let _ = self.expire_mysql_home(&name);
            }
        }
    }
}
