//! Which client program this is, and what it needs.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::io::Read as _;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use crate::error::Error;
use crate::host::Host;
use crate::sink::option_file::Flavor;
use crate::target::{Engine, Via};

/// The programs on `PATH` that serve as an engine's own client, the first choice first.
pub fn candidates(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Mysql => &["mysql", "mariadb"],
        Engine::Mariadb => &["mariadb", "mysql"],
        Engine::Postgres => &["psql"],
    }
}

/// The program's path: itself when it has a `/`, else the first executable of that name in a directory of
/// `PATH`. Relative directories are passed over: nothing is run from the current directory.
pub fn find(host: &Host, program: &OsStr) -> Option<PathBuf> {
    if Path::new(program).components().count() > 1 {
        return Some(PathBuf::from(program));
    }
    let path = host.path_var("PATH")?;
    let mut program = program.to_owned();
    if Path::new(&program).extension().is_none() {
        program.push(EXE_SUFFIX);
    }
    let places = std::env::split_paths(&path).filter(|place| place.is_absolute()).map(|place| place.join(&program));
    places.into_iter().find(|path| std::fs::metadata(path).is_ok_and(|metadata| platform::is_executable(&metadata)))
}

/// The option file that a program wants: None when it is none of MySQL's or MariaDB's. A program called
/// `mysql…` may be either's, and is asked. A link by another name is known by where it leads.
///
/// # Errors
/// When the program doesn't say until `deadline` (exit 4).
pub fn flavor(program: &Path, deadline: Instant) -> Result<Option<Flavor>, Error> {
    let by_name = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        let name = if cfg!(windows) { name.to_ascii_lowercase() } else { name.to_owned() };
        let name = name.strip_suffix(EXE_SUFFIX).unwrap_or(&name);
        // Others have such names too (mysqltuner, mariadb-waitpid) and read no --defaults-file.
        let of = |family: &str| {
            let part = name.strip_prefix(family)?.trim_start_matches(['-', '_']);
            PARTS.contains(&part).then_some(())
        };
        of("mariadb").map(|()| Some(Flavor::Mariadb)).or_else(|| of("mysql").map(|()| None))
    };
    let target = || program.canonicalize().ok().and_then(|path| by_name(&path));
    match by_name(program).or_else(target) {
        None => Ok(None),
        Some(Some(flavor)) => Ok(Some(flavor)),
        Some(None) => ask(program, deadline).map(Some),
    }
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

/// What the program says of itself (`--version`): MariaDB's say so.
fn ask(program: &Path, deadline: Instant) -> Result<Flavor, Error> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    platform::in_group(&mut command);
    // One that can't be run is found out, and reported, when it is to be run.
    let Ok(mut child) = command.spawn() else { return Ok(Flavor::Mysql) };
    let (sender, receiver) = mpsc::channel();
    let stdout = child.stdout.take();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = stdout.map(|stdout| stdout.take(MAX_VERSION).read_to_end(&mut said));
        let _ = sender.send(said);
    });
    let said = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    platform::end(&mut child);
    let _ = child.wait();
    let said = said.map_err(|_| {
        let why = "does not say its version in time; mend it, or give --flavor or --client";
        Error::network(format!("client: {} {why}", program.display()))
    })?;
    let is_mariadb = String::from_utf8_lossy(&said).contains("MariaDB");
    Ok(if is_mariadb { Flavor::Mariadb } else { Flavor::Mysql })
}

/// More than a version has to say, in bytes.
const MAX_VERSION: u64 = 4 << 10;

/// Where to dial as an address, as libpq's `hostaddr` wants it.
///
/// # Errors
/// When the name has none, or none until `deadline` (exit 4).
pub fn resolve(via: &Via, deadline: Instant) -> Result<Via, Error> {
    let address = match via.address() {
        Some(address) => address,
        None => look_up(via.clone(), deadline)?,
    };
    Ok(Via { host: address.to_string(), port: via.port })
}

fn look_up(via: Via, deadline: Instant) -> Result<IpAddr, Error> {
    let name = via.host.clone();
    let (sender, receiver) = mpsc::channel();
    // The system's resolver has no deadline: should it take too long, its thread is left behind.
    std::thread::spawn(move || {
        let found = (via.host.as_str(), via.port).to_socket_addrs();
        // Tunnels mostly listen on IPv4.
        let addresses: Vec<IpAddr> = found.map(|all| all.map(|found| found.ip()).collect()).unwrap_or_default();
        let _ = sender.send(addresses.iter().find(|ip| ip.is_ipv4()).or(addresses.first()).copied());
    });
    let found = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    found.ok().flatten().ok_or_else(|| {
        Error::network(format!("via: could not look up '{name}'; give its address, such as 127.0.0.1:5433"))
    })
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
