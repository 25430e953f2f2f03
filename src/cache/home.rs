//! Directories for `MYSQL_HOME` and `MARIADB_HOME`, each with one option file.
//!
//! A client ignores a directory that does not exist, and connects to the local server. So the option file of a directory
//! that is too old is not removed, but replaced by one that no client can connect with.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::store::Store;
use crate::host::Moment;
use crate::private_file::{Directory, is_unfinished};

/// The extension of the directories.
pub(super) const HOME: &str = "home";
/// The file in a directory that clients read.
const OPTION_FILE: &str = "my.cnf";
/// Upper limit for the file, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// Replaces the host in the option file of an old directory. It never resolves (RFC 6761, section 6.4).
const EXPIRED: &str = "host=rds-token-expired.invalid";
/// How old an option file gets, as any other file for clients.
const AGE: Duration = Duration::from_secs(60 * 60);
/// How old a directory gets. A shell may stay open for long.
const DIRECTORY_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Store {
    /// Writes the option file of a home directory, and returns the path of the directory. It is written anew each time,
    /// so that its age counts from the last use.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn keep_home(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        self.prepare()?;
        let home = Directory::create(&self.open()?.path().join(name))?;
        home.write(OPTION_FILE, text.as_bytes())?;
        Ok(home.path().to_owned())
    }

    /// The names of the home directories.
    ///
    /// # Errors
    /// If the directory can't be read or trusted.
    pub fn homes(&self) -> io::Result<Vec<String>> {
        let Some(directory) = self.existing()? else { return Ok(Vec::new()) };
        let mut names = directory.directories()?;
        names.retain(|name| super::store::has_extension(name, &[HOME]));
        Ok(names)
    }

    /// The option file of a home directory. `None` if it can't be read or trusted.
    pub fn home_file(&self, name: &str) -> Option<String> {
        let home = Directory::open(&self.open().ok()?.path().join(name)).ok()?;
        String::from_utf8(home.read(OPTION_FILE, MAX_FILE).ok()?).ok()
    }

    /// Replaces the option file of a home directory by one that no client can connect with. The options for TLS stay: a
    /// host on the client's command line overrides the file's.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn expire_home(&self, name: &str) -> io::Result<()> {
        let text = self.home_file(name).unwrap_or_else(|| "[client]\nhost=\nprotocol=tcp\n".to_owned());
        if !text.lines().any(|line| line == EXPIRED) {
            let line = |line: &str| match line.split('=').next() {
                Some("password") => String::new(),
                Some("host") => format!("{EXPIRED}\n"),
                _ if line.starts_with('#') => String::new(),
                _ => format!("{line}\n"),
            };
            self.keep_home(name, &text.lines().map(line).collect::<String>())?;
        }
        let home = Directory::open(&self.open()?.path().join(name))?;
        // What killed processes left of their writes may have a token.
        home.files()?.iter().filter(|name| is_unfinished(name)).for_each(|name| home.remove_unlocked(name));
        Ok(())
    }

    /// Replaces old option files, and removes old directories.
    pub(super) fn sweep_homes(&self, directory: &Directory, now: Moment) {
        let is_older = |name: &str, age| directory.is_older(name, age, now.wall.into()).unwrap_or(false);
        for name in self.homes().unwrap_or_default() {
            if is_older(&name, DIRECTORY_AGE) {
                let _ = self.expire_home(&name);
                let _ = Directory::open(&directory.path().join(&name)).and_then(|home| home.remove(OPTION_FILE));
                let _ = directory.remove_directory(&name);
            } else if is_older(&name, AGE) {
                let _ = self.expire_home(&name);
            }
        }
    }
}
