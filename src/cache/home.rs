//! Directories for `MYSQL_HOME` and `MARIADB_HOME`, each with one option file.
//!
//! A client ignores a directory that does not exist, and connects to the local server. So the option file of a directory
//! that is too old is not removed, but replaced by one that no client can connect with.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::store::Store;
use crate::host::Moment;
use crate::private_file::Directory;

/// The extension of the directories.
pub(super) const HOME: &str = "home";
/// The file in a directory that clients read.
const OPTION_FILE: &str = "my.cnf";
/// Upper limit for the file, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// Replaces the option file of an old directory. The host name never resolves (RFC 6761, section 6.4).
const EXPIRED: &str = "[client]\nhost=rds-token-expired.invalid\nprotocol=tcp\n";
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

    /// The home directories that have not expired: name and option file of each.
    ///
    /// # Errors
    /// If the directory can't be read or trusted.
    pub fn homes(&self) -> io::Result<Vec<(String, String)>> {
        let Some(directory) = self.existing()? else { return Ok(Vec::new()) };
        let text = |name: &str| {
            let home = Directory::open(&directory.path().join(name)).ok()?;
            String::from_utf8(home.read(OPTION_FILE, MAX_FILE).ok()?).ok()
        };
        let homes = self.home_names()?.into_iter().filter_map(|name| text(&name).map(|text| (name, text)));
        Ok(homes.filter(|(_, text)| text != EXPIRED).collect())
    }

    /// Replaces the option file of a home directory by one that no client can connect with.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn expire_home(&self, name: &str) -> io::Result<()> {
        self.keep_home(name, EXPIRED).map(drop)
    }

    /// Replaces old option files, and removes old directories.
    pub(super) fn sweep_homes(&self, directory: &Directory, now: Moment) {
        let is_older = |name: &str, age| directory.is_older(name, age, now.wall.into()).unwrap_or(false);
        for (name, _) in self.homes().unwrap_or_default().iter().filter(|(name, _)| is_older(name, AGE)) {
            let _ = self.expire_home(name);
        }
        for name in self.home_names().unwrap_or_default().iter().filter(|name| is_older(name, DIRECTORY_AGE)) {
            let _ = Directory::open(&directory.path().join(name)).and_then(|home| home.remove(OPTION_FILE));
            let _ = directory.remove_directory(name);
        }
    }

    fn home_names(&self) -> io::Result<Vec<String>> {
        let mut names = self.open()?.directories()?;
        names.retain(|name| super::store::has_extension(name, &[HOME]));
        Ok(names)
    }
}
