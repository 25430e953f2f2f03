//! Which client program this is, and what it needs.

use std::ffi::OsStr;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::os::unix::fs::PermissionsExt as _;
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
    let places = std::env::split_paths(&path).filter(|place| place.is_absolute()).map(|place| place.join(program));
    places.into_iter().find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The option file that a program wants: None when it is none of MySQL's or MariaDB's. A program called
/// `mysql…` may be either's, and is asked.
pub fn flavor(program: &Path) -> Option<Flavor> {
    let name = program.file_name()?.to_str()?;
    if name.starts_with("mariadb") {
        return Some(Flavor::Mariadb);
    }
    // Other programs have such names too (mysqltuner, mysql-workbench) and read no --defaults-file.
    let known = ["", "admin", "binlog", "check", "dump", "import", "show", "slap", "pump"];
    known.contains(&name.strip_prefix("mysql")?).then(|| ask(program))
}

/// What the program says of itself: MariaDB's say so.
pub fn ask(program: &Path) -> Flavor {
    let said = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let is_mariadb = said.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("MariaDB"));
    if is_mariadb { Flavor::Mariadb } else { Flavor::Mysql }
}

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
