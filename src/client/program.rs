//! Client programs: finding them, and the option file that each of them reads.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::client::option_file::{CLEARTEXT_PROGRAMS, Flavor, LEGACY_MAX_LINE};
use crate::error::Error;
use crate::os::deadline::{Deadline, run_within};
use crate::os::dns::lookup_until;
use crate::os::env::Env;
use crate::target::{Engine, Via};

/// The programs on `PATH` that serve as an engine's own client, the first choice first.
pub(crate) fn candidates(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Mysql => &["mysql", "mariadb"],
        Engine::Mariadb => &["mariadb", "mysql"],
        Engine::Postgres => &["psql"],
    }
}

/// The program's path: itself when it has a `/`, else the first executable of that name in a directory of
/// `PATH`. Relative directories are passed over: nothing is run from the current directory.
pub(crate) fn find(env: &Env, program: &OsStr) -> Option<PathBuf> {
    if Path::new(program).components().count() > 1 {
        return Some(PathBuf::from(program));
    }
    let path = env.path_var("PATH")?;
    let mut program = program.to_owned();
    if Path::new(&program).extension().is_none() {
        program.push(EXE_SUFFIX);
    }
    let places = std::env::split_paths(&path).filter(|place| place.is_absolute()).map(|place| place.join(&program));
    places.into_iter().find(|path| std::fs::metadata(path).is_ok_and(|metadata| platform::is_executable(&metadata)))
}

/// The option-file flavor and the line limit of a client program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Its flavor.
    pub(crate) flavor: Flavor,
    /// The longest line that the program takes whole, in bytes.
    pub max_line: usize,
}

impl From<Flavor> for Dialect {
    fn from(flavor: Flavor) -> Self {
        Self { flavor, max_line: flavor.max_line() }
    }
}

/// Returns the dialect of a client program.
///
/// `None` if it is not a MySQL or MariaDB client. A program named `mysql…` may be either, so its version is queried.
/// A symbolic link with an unknown name is identified by its target.
///
/// # Errors
/// When the program does not answer before `deadline` (exit 4).
pub(crate) fn dialect(program: &Path, deadline: &Deadline) -> Result<Option<Dialect>, Error> {
    // `mysql` is often a link to `mariadb`, so the link's target decides.
    let target = || program.canonicalize().ok().and_then(|path| family(&path));
    let known = match family(program) {
        Some(Family::Mariadb) => Some(Family::Mariadb),
        family => target().or(family),
    };
    match known {
        None => Ok(None),
        Some(Family::Mariadb) => Ok(Some(Flavor::Mariadb.into())),
        Some(Family::Mysql) => query_version(program, deadline).map(Some),
    }
}

/// Detects the dialect of the engine's client on `PATH`.
///
/// `None` if no client is installed.
///
/// # Errors
/// As [`dialect`].
pub(crate) fn installed_dialect(env: &Env, engine: Engine, deadline: &Deadline) -> Result<Option<Dialect>, Error> {
    installed(env, engine).map_or(Ok(None), |path| dialect(&path, deadline))
}

/// Returns the path of the engine's client on `PATH`. `None` if no client is installed.
pub(crate) fn installed(env: &Env, engine: Engine) -> Option<PathBuf> {
    candidates(engine).iter().find_map(|name| find(env, name.as_ref()))
}

/// The dialect of the option file in `MYSQL_HOME`.
///
/// It is that of MySQL's programs, unless the client on `PATH` is a MariaDB that does not read `MARIADB_HOME`. MySQL's own
/// `mysql` ignores the options of MariaDB's flavor, so it would verify nothing.
///
/// # Errors
/// As [`dialect`].
pub(crate) fn mysql_home_dialect(env: &Env, deadline: &Deadline) -> Result<Dialect, Error> {
    let default = Flavor::Mysql.into();
    let Some(program) = installed(env, Engine::Mysql) else { return Ok(default) };
    let found = dialect(&program, deadline)?.unwrap_or(default);
    Ok(if found.flavor == Flavor::Mariadb && knows_mariadb_home(&program) { default } else { found })
}

/// Whether a program of Oracle's takes the cleartext plugin from its own group of the option file.
pub(crate) fn has_cleartext_group(program: &Path) -> bool {
    let is_listed =
        |path: &Path| path.file_stem().is_some_and(|name| CLEARTEXT_PROGRAMS.iter().any(|known| name == *known));
    is_listed(program) || program.canonicalize().is_ok_and(|path| is_listed(&path))
}

/// Whether this is the name of a MySQL, MariaDB or PostgreSQL client.
pub(crate) fn is_client(name: &str) -> bool {
    family(Path::new(name)).is_some() || is_libpq_client(Path::new(name))
}

/// Whether a program is one of PostgreSQL's own clients, which open the files that they inherit.
pub(crate) fn is_libpq_client(program: &Path) -> bool {
    program.file_name().is_some_and(|name| LIBPQ_CLIENTS.iter().any(|known| name == *known))
}

const LIBPQ_CLIENTS: [&str; 10] = [
    "psql",
    "pg_dump",
    "pg_dumpall",
    "pg_restore",
    "pg_isready",
    "pgbench",
    "vacuumdb",
    "reindexdb",
    "clusterdb",
    "createdb",
];

/// Whether a program is linked with MySQL's client library, which can't be configured to verify TLS by an option file.
pub(crate) fn uses_libmysqlclient(program: &Path) -> bool {
    // The names of an ELF file's libraries are near its start.
    let start = start_of(program);
    start.starts_with(b"\x7fELF") && contains(&start, b"libmysqlclient.so")
}

/// Whether a client of MariaDB reads `MARIADB_HOME`. Old versions read only `MYSQL_HOME`.
pub(crate) fn knows_mariadb_home(program: &Path) -> bool {
    contains(&start_of(program), b"MARIADB_HOME\0")
}

fn start_of(program: &Path) -> Vec<u8> {
    let mut start = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(MAX_START).read_to_end(&mut start));
    read.map(|_| start).unwrap_or_default()
}

fn contains(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len()).any(|part| part == name)
}

/// Whether a program reads MySQL's variables but can't be given an option file. It verifies the server only with its
/// own options.
pub(crate) fn reads_no_option_file(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == "mycli" || name == "sysbench")
}

/// How much of a program is searched, in bytes.
const MAX_START: u64 = 4 << 20;

enum Family {
    Mariadb,
    /// By its name. MariaDB installs its clients under these names too.
    Mysql,
}

/// The family that a program's name says. Other programs have such names too (`mysqltuner`, `mariadb-waitpid`), and
/// read no `--defaults-file`.
fn family(path: &Path) -> Option<Family> {
    let name = path.file_name()?.to_str()?;
    let name = if cfg!(windows) { name.to_ascii_lowercase() } else { name.to_owned() };
    let name = name.strip_suffix(EXE_SUFFIX).unwrap_or(&name).replace('_', "-");
    let is_client = |prefix| {
        let part = name.strip_prefix(prefix).map(|part| part.trim_start_matches('-'));
        part.is_some_and(|part| PARTS.contains(&part))
    };
    if is_client("mariadb") {
        return Some(Family::Mariadb);
    }
    is_client("mysql").then_some(Family::Mysql)
}

/// What follows the family's name in the names of its clients.
const PARTS: [&str; 14] = [
    "",
    "admin",
    "analyze",
    "binlog",
    "check",
    "dump",
    "import",
    "optimize",
    "pump",
    "repair",
    "show",
    "slap",
    "upgrade",
    "secure-installation",
];

/// Runs the program with `--version`. MariaDB's clients name themselves.
fn query_version(program: &Path, deadline: &Deadline) -> Result<Dialect, Error> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    platform::in_group(&mut command);
    // A program that can't be run is reported when it is to be run.
    let Ok(mut child) = command.spawn() else { return Ok(Flavor::Mysql.into()) };
    let stdout = child.stdout.take();
    let version = run_within(deadline.left(), move || {
        let mut text = Vec::new();
        let _ = stdout.map(|stdout| stdout.take(MAX_VERSION).read_to_end(&mut text));
        text
    });
    platform::end(&mut child);
    let _ = child.wait();
    let text = version.ok_or_else(|| {
        let why = "does not print its version in time; check the program, or choose the flavor with `cnf --flavor` or `connect --client-flavor`";
        Error::network(format!("client: {} {why}", program.display()))
    })?;
    Ok(dialect_of_version(&String::from_utf8_lossy(&text)))
}

fn dialect_of_version(text: &str) -> Dialect {
    if text.contains("MariaDB") {
        return Flavor::Mariadb.into();
    }
    // `mysql  Ver 8.0.32 for Linux`, and before 8.0 `mysql  Ver 14.14 Distrib 5.7.44, for Linux`.
    let version = text.split_once("Distrib ").or_else(|| text.split_once("Ver ")).map_or("", |(_, rest)| rest);
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = [(); 3].map(|()| numbers.next().unwrap_or(0));
    let is_old = version > [0, 0, 0] && version < [8, 0, 33];
    Dialect { flavor: Flavor::Mysql, max_line: if is_old { LEGACY_MAX_LINE } else { Flavor::Mysql.max_line() } }
}

/// More than a version has to say, in bytes.
const MAX_VERSION: u64 = 4 << 10;

/// Where to dial as an address, as libpq's `hostaddr` needs it.
///
/// # Errors
/// When the name has no address, or nothing answers before `deadline` (exit 4).
pub(crate) fn resolve(via: &Via, deadline: &Deadline) -> Result<Via, Error> {
    let address = match via.address() {
        Some(address) => address,
        None => {
            let found = lookup_until(&via.host, deadline);
            let addresses = found.map_err(|why| {
                Error::network(format!("via: {why}; use an IP address, such as --via 127.0.0.1:5433"))
            })?;
            // Tunnels mostly listen on IPv4.
            *addresses.iter().find(|ip| ip.is_ipv4()).unwrap_or(&addresses[0])
        }
    };
    Ok(Via { host: address.to_string(), port: via.port })
}

#[cfg(unix)]
mod platform {
    use std::fs::Metadata;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    use rustix::process::{Pid, Signal, kill_process_group};

    pub(super) fn is_executable(metadata: &Metadata) -> bool {
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }

    /// Gives the program a process group of its own, which can be ended whole.
    pub(super) fn in_group(command: &mut Command) {
        command.process_group(0);
    }

    pub(super) fn end(child: &mut Child) {
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    }
}

#[cfg(windows)]
mod platform {
    use std::fs::Metadata;
    use std::process::{Child, Command};

    pub(super) fn is_executable(metadata: &Metadata) -> bool {
        metadata.is_file()
    }

    pub(super) fn in_group(_: &mut Command) {}

    /// The program alone: none of MySQL's starts others.
    pub(super) fn end(child: &mut Child) {
        let _ = child.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_tells_the_dialect() {
        let mysql = |max_line| Dialect { flavor: Flavor::Mysql, max_line };
        for (text, expected) in [
            ("mysql  Ver 14.14 Distrib 5.7.44, for Linux (x86_64) using  EditLine wrapper", mysql(LEGACY_MAX_LINE)),
            ("mysql  Ver 8.0.32 for Linux on x86_64 (MySQL Community Server - GPL)", mysql(LEGACY_MAX_LINE)),
            ("mysql  Ver 8.0.33 for Linux on x86_64 (MySQL Community Server - GPL)", mysql(usize::MAX)),
            ("mysqldump  Ver 9.7.0 for Linux on x86_64 (MySQL Community Server - GPL)", mysql(usize::MAX)),
            ("mysql  Ver 15.1 Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)", Flavor::Mariadb.into()),
            ("", mysql(usize::MAX)),
        ] {
            assert_eq!(dialect_of_version(text), expected, "{text}");
        }
    }

    #[test]
    fn clients_are_known_by_name() {
        let is_client = |name: &str| family(Path::new(name)).is_some();
        for name in
            ["mysql", "/opt/bin/mysqldump", "mysql_secure_installation", "mariadb-secure-installation", "mysql_upgrade"]
        {
            assert!(is_client(name), "{name}");
        }
        for name in ["mysqltuner", "mariadb-waitpid", "psql", "mydumper", "mysql_config_editor", "mysqld"] {
            assert!(!is_client(name), "{name}");
        }
    }
}
