//! The user's own option file (`~/.my.cnf`), and the options in it that override the target.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::client::environment::LOGIN_FILE_VARIABLE;
use crate::os::env::Env;
use crate::os::private_file::read_trusted;

/// Maximum number of included files. MySQL's own programs follow includes ten levels deep.
const MAX_FILES: usize = 100;
/// Upper limit for a file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The user's option file, with the names of the options in it and in the files that it includes.
pub(crate) struct UserOptionFile {
    pub(crate) path: PathBuf,
    names: BTreeSet<String>,
    /// The reason that `names` is incomplete or can't be trusted: a file could not be read, or another user can write
    /// to it.
    pub(crate) unread: Option<String>,
}

impl UserOptionFile {
    /// Reads the file. `None` if it does not exist.
    pub(crate) fn read(env: &Env) -> Option<Self> {
        let path = env.home()?.join(".my.cnf");
        path.exists().then(|| {
            let mut reader = Reader { env, files: BTreeSet::new(), names: BTreeSet::new(), unread: None };
            reader.read(&path);
            Self { path, names: reader.names, unread: reader.unread }
        })
    }

    /// The options in the file that override the target if a client reads this file last.
    pub(crate) fn overriding(&self) -> Vec<&'static str> {
        OVERRIDING.into_iter().filter(|option| self.has(option)).collect()
    }

    /// Whether the file sets the option, outside the groups of servers.
    pub(crate) fn has(&self, option: &str) -> bool {
        // The programs accept abbreviations, and number some options (`password1`).
        self.names.iter().any(|name| name.len() > 1 && (option.starts_with(name.as_str()) || name.starts_with(option)))
    }
}

/// The options for the server's address, the login and TLS.
///
/// Some are named differently in libmariadb: `servername`, `tls-ca`, `tls-verify-peer` (`libmariadb/mariadb_lib.c`).
const OVERRIDING: [&str; 9] =
    ["host", "port", "protocol", "user", "password", "ssl", "dns-srv-name", "servername", "tls"];

/// Groups that only servers read.
const SERVER_GROUPS: [&[u8]; 6] = [b"mysqld", b"mariadbd", b"server", b"mariadb", b"mysqld_safe", b"mariadbd-safe"];

struct Reader<'a> {
    env: &'a Env,
    /// The files that have been read.
    files: BTreeSet<PathBuf>,
    names: BTreeSet<String>,
    unread: Option<String>,
}

impl Reader<'_> {
    fn read(&mut self, path: &Path) {
        if !self.files.insert(path.to_owned()) {
            return;
        }
        if self.files.len() > MAX_FILES {
            self.unread = Some(format!("it includes more than {MAX_FILES} files"));
            return;
        }
        match read_trusted(path, MAX_FILE) {
            // The programs ignore a missing file. They resolve a relative path themselves.
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_absolute() => {}
            Ok(bytes) => self.read_text(&bytes),
            Err(error) => self.unread = Some(format!("could not check {}: {error}", path.display())),
        }
    }

    fn read_text(&mut self, bytes: &[u8]) {
        let mut in_server_group = false;
        for line in bytes.split(|byte| *byte == b'\n').map(trim) {
            match line.strip_prefix(b"[").map(|group| group.strip_suffix(b"]").unwrap_or(group)) {
                Some(group) => in_server_group = SERVER_GROUPS.contains(&group),
                None if in_server_group && !line.starts_with(b"!") => {}
                None => self.read_line(line),
            }
        }
    }

    fn read_line(&mut self, line: &[u8]) {
        if let Some(directive) = line.strip_prefix(b"!").map(trim) {
            if let Some(directory) = directive.strip_prefix(b"includedir") {
                let entries = std::fs::read_dir(self.expand(directory)).into_iter().flatten().flatten();
                // The programs read only files with these extensions.
                let is_option_file =
                    |path: &PathBuf| path.extension().is_some_and(|extension| extension == "cnf" || extension == "ini");
                entries.map(|entry| entry.path()).filter(is_option_file).for_each(|path| self.read(&path));
            } else if let Some(path) = directive.strip_prefix(b"include") {
                self.read(&self.expand(path));
            }
        } else if !line.starts_with(b"#") && !line.starts_with(b";") {
            self.names.insert(option_name(line));
        }
    }

    fn expand(&self, path: &[u8]) -> PathBuf {
        self.env.expand_home(&String::from_utf8_lossy(trim(path)))
    }
}

/// Prefixes that change how a program handles an option, or negate it.
const PREFIXES: [&str; 5] = ["loose-", "maximum-", "enable-", "disable-", "skip-"];

/// The name of the option in a line, without [`PREFIXES`].
fn option_name(line: &[u8]) -> String {
    let name = line.split(|byte| *byte == b'=').next().map(trim).unwrap_or_default();
    let name = String::from_utf8_lossy(name).replace('_', "-");
    let mut name = name.as_str();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name.to_owned()
}

/// Trims white space as the programs do: with C's `isspace` in latin1.
fn trim(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0x0b | 0xa0);
    let start = bytes.iter().position(|byte| !is_space(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// The login path file, which MySQL's own programs read after all option files. `None` if it does not exist.
///
/// Source: "Option-File Handling" in the MySQL manual; `MYSQL_TEST_LOGIN_FILE` in `mysys/my_default.cc`.
pub(crate) fn login_path_file(env: &Env) -> Option<PathBuf> {
    let file = env.path_var(LOGIN_FILE_VARIABLE).or_else(|| Some(env.home()?.join(".mylogin.cnf")))?;
    file.is_file().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overriding(text: &str) -> Vec<&'static str> {
        let env = Env::with_vars(Vec::new());
        let mut reader = Reader { env: &env, files: BTreeSet::new(), names: BTreeSet::new(), unread: None };
        reader.read_text(text.as_bytes());
        UserOptionFile { path: PathBuf::new(), names: reader.names, unread: reader.unread }.overriding()
    }

    #[test]
    fn options_that_override_the_target_are_found_in_any_spelling() {
        for (text, expected) in [
            ("", &[][..]),
            ("[client]\nhost = h\n", &["host"]),
            ("[mysql]\nloose_skip-ssl\n", &["ssl"]),
            ("[client]\nssl_ca=/ca\nuser=\"u\"\r\n", &["user", "ssl"]),
            ("[client]\npass=x\npassword1=y\n", &["password"]),
            ("[client]\ntls-verify-peer=0\n", &["tls"]),
            ("[client]\n# host=h\n;user=u\nprompt=x\np=1\n", &[]),
            ("[mysqld]\nport=1\n[client]\nprotocol=tcp\n", &["protocol"]),
        ] {
            assert_eq!(overriding(text), expected, "{text}");
        }
    }
}
