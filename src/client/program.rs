//! Client programs: how they are found, and which option file each of them reads.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process_group};

use crate::client::option_file::{CLEARTEXT_PROGRAMS, Flavor, LEGACY_MAX_LINE};
use crate::error::Error;
use crate::os::deadline::{Deadline, run_within};
use crate::os::dns::lookup_until;
use crate::os::env::Env;
use crate::target::{Engine, Via};

/// Maximum number of bytes of a program that are searched for a name.
const MAX_SEARCH: u64 = 4 << 20;
/// Upper limit for the output of `--version`, in bytes.
const MAX_VERSION: u64 = 4 << 10;

/// The names of an engine's client, in order of preference.
pub(crate) fn candidates(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Mysql => &["mysql", "mariadb"],
        Engine::Mariadb => &["mariadb", "mysql"],
        Engine::Postgres => &["psql"],
    }
}

/// The path of a program: `program` itself if it contains a `/`, else the first executable with this name in a
/// directory of `PATH`. Relative directories are skipped, so that nothing is run from the current directory.
pub(crate) fn find(env: &Env, program: &OsStr) -> Option<PathBuf> {
    if Path::new(program).components().count() > 1 {
        return Some(PathBuf::from(program));
    }
    let path = env.path_var("PATH")?;
    let mut program = program.to_owned();
    if Path::new(&program).extension().is_none() {
        program.push(EXE_SUFFIX);
    }
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(&program))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| {
        #[cfg(unix)]
        let is_permitted = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o111 != 0;
        #[cfg(windows)]
        let is_permitted = true;
        metadata.is_file() && is_permitted
    })
}

/// The path of the engine's client on `PATH`. `None` if no client is installed.
pub(crate) fn installed(env: &Env, engine: Engine) -> Option<PathBuf> {
    candidates(engine).iter().find_map(|name| find(env, name.as_ref()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) flavor: Flavor,
    /// The longest line that the program reads, in bytes.
    pub(crate) max_line: usize,
}

impl From<Flavor> for Dialect {
    fn from(flavor: Flavor) -> Self {
        Self { flavor, max_line: flavor.max_line() }
    }
}

/// The dialect of a client program. `None` if it is not a client of MySQL or MariaDB.
///
/// A symbolic link with an unknown name is identified by its target. A program named `mysql…` may belong to either
/// family, so its version is queried. Fails if the program does not print its version before `deadline` (exit 4).
pub(crate) fn dialect(program: &Path, deadline: &Deadline) -> Result<Option<Dialect>, Error> {
    let target_family = || program.canonicalize().ok().and_then(|path| family(&path));
    let family = match family(program) {
        Some(Family::Mariadb) => Some(Family::Mariadb),
        // `mysql` is often a link to `mariadb`.
        family => target_family().or(family),
    };
    match family {
        None => Ok(None),
        Some(Family::Mariadb) => Ok(Some(Flavor::Mariadb.into())),
        Some(Family::Mysql) => query_version(program, deadline).map(Some),
    }
}

/// The dialect of the engine's client on `PATH`. `None` if no client is installed.
pub(crate) fn installed_dialect(env: &Env, engine: Engine, deadline: &Deadline) -> Result<Option<Dialect>, Error> {
    installed(env, engine).map_or(Ok(None), |path| dialect(&path, deadline))
}

/// The dialect of the option file in `MYSQL_HOME`.
///
/// It is the dialect of MySQL's own programs, unless the client on `PATH` is a MariaDB client that does not read
/// `MARIADB_HOME`. MySQL's own `mysql` ignores the options of MariaDB's flavor, so it would not verify the server.
pub(crate) fn mysql_home_dialect(env: &Env, deadline: &Deadline) -> Result<Dialect, Error> {
    let default = Flavor::Mysql.into();
    let Some(program) = installed(env, Engine::Mysql) else { return Ok(default) };
    let dialect = dialect(&program, deadline)?.unwrap_or(default);
    // Old MariaDB clients read only `MYSQL_HOME`.
    let reads_mariadb_home = || contains(&start_of(&program), b"MARIADB_HOME\0");
    Ok(if dialect.flavor == Flavor::Mariadb && reads_mariadb_home() { default } else { dialect })
}

/// Whether one of MySQL's own programs reads the option for the cleartext plugin from the group with its name.
pub(crate) fn has_cleartext_group(program: &Path) -> bool {
    let is_listed =
        |path: &Path| path.file_stem().is_some_and(|name| CLEARTEXT_PROGRAMS.iter().any(|known| name == *known));
    is_listed(program) || program.canonicalize().is_ok_and(|path| is_listed(&path))
}

/// Whether this is the name of a MySQL, MariaDB or PostgreSQL client.
pub(crate) fn is_client(name: &str) -> bool {
    family(Path::new(name)).is_some() || is_libpq_client(Path::new(name))
}

/// Whether a program is one of PostgreSQL's own clients, which can read files that they inherit.
pub(crate) fn is_libpq_client(program: &Path) -> bool {
    let is_listed = |name: &str| {
        matches!(name, "psql" | "pg_dump" | "pg_dumpall" | "pg_restore" | "pg_isready" | "pgbench")
            || matches!(name, "vacuumdb" | "reindexdb" | "clusterdb" | "createdb")
    };
    program.file_name().and_then(OsStr::to_str).is_some_and(is_listed)
}

/// Whether a program is linked with MySQL's own client library. An option file can't make that library verify TLS.
pub(crate) fn uses_libmysqlclient(program: &Path) -> bool {
    // The names of an ELF file's libraries are near its start.
    let start = start_of(program);
    start.starts_with(b"\x7fELF") && contains(&start, b"libmysqlclient.so")
}

/// Whether a program reads MySQL's variables but no option file. It verifies the server only with its own options.
pub(crate) fn reads_no_option_file(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == "mycli" || name == "sysbench")
}

fn start_of(program: &Path) -> Vec<u8> {
    let mut start = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(MAX_SEARCH).read_to_end(&mut start));
    read.map(|_| start).unwrap_or_default()
}

fn contains(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len()).any(|part| part == name)
}

/// The family in the prefix of a client's name.
#[derive(Debug, PartialEq, Eq)]
enum Family {
    Mariadb,
    /// MariaDB installs its clients under these names too.
    Mysql,
}

/// Whether this is the name of a client of MySQL or MariaDB, without the prefix `mysql` or `mariadb`. Other programs
/// with such a prefix (`mysqltuner`, `mariadb-waitpid`) accept no `--defaults-file`.
fn is_client_suffix(suffix: &str) -> bool {
    matches!(suffix, "" | "admin" | "analyze" | "binlog" | "check" | "dump" | "import" | "optimize" | "pump" | "repair")
        || matches!(suffix, "show" | "slap" | "upgrade" | "secure-installation")
}

/// The family in the name of a client. `None` for other programs.
fn family(program: &Path) -> Option<Family> {
    let name = program.file_name()?.to_str()?;
    let name = if cfg!(windows) { name.to_ascii_lowercase() } else { name.to_owned() };
    let name = name.strip_suffix(EXE_SUFFIX).unwrap_or(&name).replace('_', "-");
    let has_prefix = |prefix| {
        let suffix = name.strip_prefix(prefix).map(|suffix| suffix.trim_start_matches('-'));
        suffix.is_some_and(is_client_suffix)
    };
    if has_prefix("mariadb") {
        return Some(Family::Mariadb);
    }
    has_prefix("mysql").then_some(Family::Mysql)
}

fn query_version(program: &Path, deadline: &Deadline) -> Result<Dialect, Error> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A new process group, so that the program's children can be killed with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // If the program can't be run, the run that connects reports the error.
    let Ok(mut child) = command.spawn() else { return Ok(Flavor::Mysql.into()) };
    let stdout = child.stdout.take();
    let output = run_within(deadline.left(), move || {
        let mut output = Vec::new();
        let _ = stdout.map(|stdout| stdout.take(MAX_VERSION).read_to_end(&mut output));
        output
    });
    #[cfg(unix)]
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    // On Windows, killing the program itself is enough, because MySQL's programs start no other programs.
    let _ = child.kill();
    let _ = child.wait();
    let output = output.ok_or_else(|| {
        Error::network(format!(
            "client: {} does not print its version in time; check the program, or choose the flavor with \
             `cnf --flavor` or `connect --client-flavor`",
            program.display()
        ))
    })?;
    Ok(dialect_of_version(&String::from_utf8_lossy(&output)))
}

/// The dialect of a client that prints `text` as its version.
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

/// Resolves the host of `via` to an IP address, as libpq's `hostaddr` requires. Fails if the name has no address, or no
/// server answers before `deadline` (exit 4).
pub(crate) fn resolve(via: &Via, deadline: &Deadline) -> Result<Via, Error> {
    let address = match via.address() {
        Some(address) => address,
        None => {
            let addresses = lookup_until(&via.host, deadline).map_err(|why| {
                Error::network(format!("via: {why}; use an IP address, such as --via 127.0.0.1:5433"))
            })?;
            // Tunnels usually listen on IPv4.
            *addresses.iter().find(|ip| ip.is_ipv4()).unwrap_or(&addresses[0])
        }
    };
    Ok(Via { host: address.to_string(), port: via.port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_determines_the_dialect() {
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
        for (name, expected) in [
            ("mysql", Some(Family::Mysql)),
            ("/opt/bin/mysqldump", Some(Family::Mysql)),
            ("mysql_secure_installation", Some(Family::Mysql)),
            ("mysql_upgrade", Some(Family::Mysql)),
            ("mariadb-dump", Some(Family::Mariadb)),
            ("mariadb-secure-installation", Some(Family::Mariadb)),
            ("mysqltuner", None),
            ("mariadb-waitpid", None),
            ("mysql_config_editor", None),
            ("mysqld", None),
            ("mydumper", None),
            ("psql", None),
        ] {
            assert_eq!(family(Path::new(name)), expected, "{name}");
            assert_eq!(is_client(name), expected.is_some() || name == "psql", "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn programs_are_found_in_absolute_directories_of_path() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (name, mode) in [("program", 0o700), ("document", 0o600)] {
            std::fs::write(path(name), "").unwrap();
            std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let variable = format!("relative:/nonexistent:{}", directory.path().display());
        let env = Env::with_vars(vec![("PATH".into(), variable.into())]);
        for (program, expected) in [
            ("program", Some(path("program"))),
            ("document", None),
            ("missing", None),
            ("./mysql", Some("./mysql".into())),
        ] {
            assert_eq!(find(&env, program.as_ref()), expected, "{program}");
        }
    }
}
