//! Two users of one machine. Files, directories and sockets of one user must not redirect the other user's token.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::harness::{HOST, KEYS, NO_FILE, PROGRAM, Sandbox, TARGET, has, is_root, skip, texts};

/// User and group IDs without an account.
const VICTIM: u32 = 63_401;
const MALLORY: u32 = 63_402;

/// A directory that both users can enter, with the victim's home and a copy of the program.
struct Machine {
    sandbox: Sandbox,
}

impl Machine {
    /// Creates the directories.
    ///
    /// `None` if the machine can't run programs as two users. The test is then skipped.
    fn new(test: &str) -> Option<Self> {
        if !is_root() || !has("setpriv") {
            skip(test, "needs root and setpriv, to run as two users");
            return None;
        }
        let machine = Self { sandbox: Sandbox::new() };
        chmod(&machine.path(""), 0o755);
        // Copied by another process. If this one had the file open, a child of another test could inherit it, and the
        // file could not be run.
        let status = Command::new("install").args(["-m", "755", PROGRAM]).arg(machine.path("rds-token")).status();
        assert!(status.unwrap().success());
        machine.set_owner("home", VICTIM);
        chmod(&machine.path("home"), 0o755);
        Some(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path(name)
    }

    fn set_owner(&self, name: &str, uid: u32) {
        std::os::unix::fs::chown(self.path(name), Some(uid), Some(uid)).unwrap();
    }

    /// Creates a directory that belongs to the user.
    fn directory(&self, name: &str, uid: u32, mode: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        self.set_owner(name, uid);
        chmod(&path, mode);
        path
    }

    /// Creates a file that belongs to the user.
    fn file(&self, name: &str, uid: u32, mode: u32, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        self.set_owner(name, uid);
        chmod(&path, mode);
        path
    }

    /// A program that runs as the user.
    fn command(&self, uid: u32, program: &str) -> Command {
        let mut command = self.sandbox.command("setpriv");
        let id = uid.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", program]);
        command
    }

    /// The program, run by the victim with keys in the environment.
    fn victim(&self, args: &[&str]) -> Command {
        let mut command = self.command(VICTIM, self.path("rds-token").to_str().unwrap());
        command.args(args).envs(KEYS);
        command
    }

    /// Runs the program as the victim. Returns the exit code, stdout and stderr.
    fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let output = self.victim(args).envs(variables.iter().copied()).output().unwrap();
        let (stdout, stderr) = texts(&output);
        (output.status.code(), stdout, stderr)
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Swaps two directories as fast as possible until stdin ends.
const SWAP: &str = "
import os, sys, threading
is_over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
parent = sys.argv[1]
swaps = 0
print('started', flush=True)
while not is_over.is_set():
    try:
        os.rename(f'{parent}/rds', f'{parent}/away')
        os.rename(f'{parent}/evil', f'{parent}/rds')
        os.rename(f'{parent}/rds', f'{parent}/evil')
        os.rename(f'{parent}/away', f'{parent}/rds')
        swaps += 1
    except OSError:
        pass
print(swaps)
";

/// Exchanges a directory and a link as fast as possible until stdin ends.
const EXCHANGE: &str = "
import ctypes, sys, threading
is_over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
libc = ctypes.CDLL(None)
at_cwd, exchange = -100, 2
swaps = 0
print('started', flush=True)
while not is_over.is_set():
    swaps += libc.renameat2(at_cwd, sys.argv[1].encode(), at_cwd, sys.argv[2].encode(), exchange) == 0
print(swaps)
";

/// A process of Mallory that swaps directories.
struct Swapper {
    process: Child,
    stdout: BufReader<ChildStdout>,
}

impl Swapper {
    /// Starts the script, and waits until it swaps.
    fn start(machine: &Machine, script: &str, paths: &[&Path]) -> Self {
        let mut command = machine.command(MALLORY, "/usr/bin/python3");
        command.args(["-c", script]).args(paths).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut swapper = Self { process, stdout };
        assert_eq!(swapper.next_line(), "started");
        swapper
    }

    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Stops the process, and returns the number of swaps.
    fn stop(mut self) -> u32 {
        drop(self.process.stdin.take());
        let swaps = self.next_line().parse().unwrap();
        self.process.wait().unwrap();
        swaps
    }
}

/// Runs every command that passes a token to a client, 1,000 times in total, while another user swaps the cache
/// directory. No client may get a path to that user's file. In a sticky parent directory, the swap itself fails.
#[test]
#[ignore = "needs root"]
fn no_client_reads_a_cache_directory_that_another_user_swapped() {
    let test = "no_client_reads_a_cache_directory_that_another_user_swapped";
    let Some(machine) = Machine::new(test) else { return };
    // Prints the option file and the CA file.
    let client = "#!/bin/sh\n[ \"$1\" = --version ] && exec echo MariaDB\nfile=${1#*=}\n\
                  cat \"$file\" \"$(sed -n 's/^ssl-ca=\"\\(.*\\)\"/\\1/p' \"$file\")\"\n";
    let client = machine.file("mariadb", 0, 0o755, client);
    let (postgres, client) = (format!("postgres://u@{HOST}"), client.to_str().unwrap());
    for (mode, rounds) in [(0o777, 500), (0o1777, 500)] {
        let name = format!("parent{mode:o}");
        let parent = machine.directory(&name, 0, mode);
        let cache = machine.directory(&format!("{name}/rds"), VICTIM, 0o700);
        let cache = [("RDS_TOKEN_CACHE_DIR", cache.to_str().unwrap()), ("XDG_DATA_HOME", "/nonexistent")];
        machine.directory(&format!("{name}/evil"), MALLORY, 0o777);
        // Mallory's files have the names of the victim's.
        let lines: [&[&str]; 4] = [
            &["cnf", TARGET, "--flavor", "mariadb"],
            &["pgpass", &postgres, "-q"],
            &["connect", TARGET, "--", client],
            &["env", &postgres, "--shell", "sh", "--no-secret"],
        ];
        let sample = machine.directory("sample", VICTIM, 0o700);
        for line in &lines {
            machine.run(line, &[("RDS_TOKEN_CACHE_DIR", sample.to_str().unwrap())]);
        }
        let files = std::fs::read_dir(&sample).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        for file in ["rds-ca.pem", "rds-ca-without-public.pem"].map(str::to_owned).into_iter().chain(files) {
            machine.file(&format!("{name}/evil/{file}"), MALLORY, 0o644, "evil\nhost=127.0.0.1\nssl-ca=\"\"\n");
        }
        let swapper = Swapper::start(&machine, SWAP, &[&parent]);
        for round in 0..rounds {
            let (code, stdout, stderr) = machine.run(lines[round % lines.len()], &cache);
            let parts = stdout.split(['\'', '\n']);
            for path in parts.filter(|part| part.starts_with('/') && !part.starts_with("/dev/null")) {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                assert!(!text.contains("evil"), "{mode:o}, round {round}: {path} is Mallory's");
            }
            assert!(!stdout.contains("evil"), "{mode:o}, round {round}: {stdout}");
            // Below a parent that Mallory can write, only `connect` succeeds, because it needs no file.
            let is_connect = round % lines.len() == 2;
            if mode == 0o777 {
                assert_eq!(code, Some(i32::from(!is_connect)), "{stderr}");
                assert!(stderr.contains("parent777 is writable by others (mode 777)"), "{stderr}");
                assert_eq!(stderr.lines().count(), 1, "{stderr}");
            } else {
                assert_eq!((code, stderr.as_str()), (Some(0), ""), "round {round}");
            }
        }
        let swaps = swapper.stop();
        assert_eq!(swaps > 100, mode == 0o777, "{mode:o}: {swaps} swaps");
    }
}

/// In a sticky directory, another user can create the parent of the cache directory, and exchange it with a link while
/// the parents are checked.
#[test]
#[ignore = "needs root"]
fn a_parent_directory_that_becomes_a_link_is_refused() {
    let Some(machine) = Machine::new("a_parent_directory_that_becomes_a_link_is_refused") else { return };
    machine.directory("sticky", 0, 0o1777);
    let work = machine.directory("sticky/work", MALLORY, 0o777);
    let postgres = format!("postgres://u@{HOST}");
    let cache = work.join("rds");
    for target in ["nowhere", "work"] {
        let link = machine.path(&format!("sticky/link-to-{target}"));
        std::os::unix::fs::symlink(machine.path("sticky").join(target), &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(MALLORY), Some(MALLORY)).unwrap();
        let swapper = Swapper::start(&machine, EXCHANGE, &[&work, &link]);
        for round in 0..500 {
            let (code, stdout, stderr) =
                machine.run(&["pgpass", "-q", &postgres], &[("RDS_TOKEN_CACHE_DIR", cache.to_str().unwrap())]);
            assert_eq!((code, stdout.as_str()), (Some(1), NO_FILE), "{target}, round {round}: {stderr}");
        }
        assert!(swapper.stop() > 100);
    }
}

/// A plain token needs no directory, so it is printed, with one warning.
#[test]
#[ignore = "needs root"]
fn nothing_is_cached_below_a_directory_that_others_can_write() {
    let Some(machine) = Machine::new("nothing_is_cached_below_a_directory_that_others_can_write") else { return };
    let token = |directory: &Path| {
        let (code, stdout, stderr) = machine.run(&[TARGET], &[("RDS_TOKEN_CACHE_DIR", directory.to_str().unwrap())]);
        assert!(code == Some(0) && stdout.starts_with(HOST), "{stderr}");
        stderr
    };
    machine.directory("theirs", MALLORY, 0o755);
    machine.directory("shared", VICTIM, 0o777);
    machine.directory("group", VICTIM, 0o770);
    std::os::unix::fs::chown(machine.path("group"), None, Some(MALLORY)).unwrap();
    machine.directory("own-group", VICTIM, 0o775);
    machine.directory("list", VICTIM, 0o755);
    if has("setfacl") {
        let acl = format!("u:{MALLORY}:rwx");
        assert!(Command::new("setfacl").args(["-m", &acl]).arg(machine.path("list")).status().unwrap().success());
    } else {
        chmod(&machine.path("list"), 0o775);
        std::os::unix::fs::chown(machine.path("list"), None, Some(MALLORY)).unwrap();
    }
    machine.directory("sticky", 0, 0o1777);
    machine.directory("sticky-of-another", MALLORY, 0o1777);
    for (parent, reason) in [
        ("theirs", "theirs belongs to another user"),
        ("shared", "shared is writable by others (mode 777)"),
        ("group", "group is writable by others (mode 770)"),
        ("list", "list is writable by others (mode 775)"),
        ("sticky-of-another", "sticky-of-another belongs to another user"),
        ("own-group", ""),
        ("sticky", ""),
    ] {
        // Directly below the parent, deeper, and through a link.
        machine.directory(&format!("{parent}/direct"), VICTIM, 0o700);
        machine.directory(&format!("{parent}/between"), VICTIM, 0o755);
        machine.directory(&format!("{parent}/between/far"), VICTIM, 0o700);
        let link = machine.path(&format!("link-{parent}"));
        std::os::unix::fs::symlink(machine.path(&format!("{parent}/between")), &link).unwrap();
        for directory in [
            machine.path(&format!("{parent}/direct")),
            machine.path(&format!("{parent}/between/far")),
            link.join("far"),
        ] {
            let warning = token(&directory);
            if reason.is_empty() {
                assert_eq!(warning, "", "{}", directory.display());
                assert!(directory.read_dir().unwrap().count() > 0);
            } else {
                assert!(warning.contains("no cache: ") && warning.contains(reason), "{warning}");
                assert_eq!(warning.lines().count(), 1, "{warning}");
                assert_eq!(directory.read_dir().unwrap().count(), 0);
            }
        }
    }
    // The path may contain `..`.
    machine.directory("up/down", VICTIM, 0o755);
    machine.directory("up", VICTIM, 0o700);
    assert_eq!(token(&machine.path("up/down/..")), "");
    assert!(machine.path("up").read_dir().unwrap().count() > 1);
    assert_eq!(machine.path("up/down").read_dir().unwrap().count(), 0);
    // The default cache directory is below HOME.
    chmod(&machine.path("home"), 0o777);
    let (_, _, warning) = machine.run(&[TARGET], &[]);
    assert!(warning.contains("home is writable by others (mode 777)"), "{warning}");
    // A session of a role is not read from there either, because another user could swap ~/.aws.
    let role = ["--role-arn", "arn:aws:iam::123456789012:role/lab", "--timeout", "2s"];
    let sts = [("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")];
    let (_, _, warning) = machine.run(&[&[TARGET], &role[..]].concat(), &sts);
    assert!(warning.contains("home is writable by others (mode 777): sessions are not shared"), "{warning}");
    let (code, stdout, error) = machine.run(&["cnf", TARGET, "--flavor", "mysql"], &[]);
    assert_eq!((code, stdout.as_str(), error.lines().count()), (Some(1), NO_FILE, 1), "{error}");
    assert!(error.contains("set RDS_TOKEN_CACHE_DIR"), "{error}");
}

/// The configuration file, the CA file, the login of IAM Identity Center and `~/.my.cnf`.
#[test]
#[ignore = "needs root"]
fn files_that_another_user_can_write_are_refused() {
    let Some(machine) = Machine::new("files_that_another_user_can_write_are_refused") else { return };
    let config = format!("[target.prod]\nhost = '{HOST}'\nport = 3306\nuser = 'u'\nvia = '127.0.0.1:1'\n");
    let pem = rds_token::testing::Roots::Rds.pem();
    let cases = [(MALLORY, 0o644, "belongs to another user"), (VICTIM, 0o646, "is writable by others (mode 646)")];
    for (uid, mode, reason) in cases {
        let file = machine.file("config.toml", uid, mode, &config);
        let (code, stdout, stderr) = machine.run(&["prod"], &[("RDS_TOKEN_CONFIG", file.to_str().unwrap())]);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(2), "", 1), "{stderr}");
        assert!(stderr.contains(&format!("config.toml {reason}")), "{stderr}");

        let file = machine.file("ca.pem", uid, mode, pem);
        for command in ["cnf --flavor mysql", "connect --client true", "env --shell sh --engine postgres"] {
            let mut args: Vec<&str> = command.split(' ').collect();
            args.extend([TARGET, "--ca", file.to_str().unwrap()]);
            let (code, stdout, stderr) = machine.run(&args, &[]);
            let printed = if args[0] == "cnf" { NO_FILE } else { "" };
            assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(2), printed, 1), "{args:?}: {stderr}");
            assert!(stderr.contains(&format!("ca.pem {reason}")), "{stderr}");
        }

        machine.file("home/.my.cnf", uid, mode, "[client]\nprompt=x\n");
        let (code, stdout, stderr) = machine.run(&["cnf", TARGET, "--flavor", "mysql", "--stdout"], &[]);
        assert!(code == Some(0) && !stdout.contains("!include"), "{stderr}");
        assert!(stderr.contains("is not included") && stderr.contains(&format!(".my.cnf {reason}")), "{stderr}");

        machine.directory("home/.aws/sso/cache", VICTIM, 0o755);
        let profile = "[profile s]\nsso_start_url = https://x/start\nsso_region = eu-west-1\n\
                       sso_account_id = 1\nsso_role_name = r\n";
        machine.file("home/.aws/config", VICTIM, 0o644, profile);
        let login = "{\"accessToken\": \"CANARYLOGIN\", \"expiresAt\": \"2099-01-01T00:00:00Z\"}";
        // The SHA-1 of the start URL.
        let name = "home/.aws/sso/cache/f9bd89c67fef27fcb5df8d2e4b64eabe5bae45a4.json";
        machine.file(name, uid, mode, login);
        let (code, stdout, stderr) = machine.run(&[TARGET, "--profile", "s", "--timeout", "3s"], &[]);
        assert_eq!((code, stdout.as_str()), (Some(3), ""), "{stderr}");
        assert!(stderr.contains(&format!(".json {reason}")) && !stderr.contains("CANARY"), "{stderr}");
    }
    // Files of root and of the victim are accepted.
    for (uid, mode) in [(0, 0o644), (VICTIM, 0o640)] {
        let file = machine.file("config.toml", uid, mode, &config);
        let (code, _, stderr) = machine.run(&["prod"], &[("RDS_TOKEN_CONFIG", file.to_str().unwrap())]);
        assert_eq!(code, Some(0), "{stderr}");
        let file = machine.file("ca.pem", uid, mode, pem);
        let (code, _, stderr) = machine.run(&["cnf", TARGET, "--flavor", "mysql", "--ca", file.to_str().unwrap()], &[]);
        assert_eq!(code, Some(0), "{stderr}");
    }
}

/// Listens on a socket and appends the received bytes to a file, which it creates when the socket is ready.
const LISTEN: &str = "
import os, socket, sys
path, received = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as server:
    server.bind(path)
    os.chmod(path, 0o777)
    server.listen()
    open(received, 'w').close()
    while True:
        client, _ = server.accept()
        with client, open(received, 'ab') as file:
            client.settimeout(60)
            file.write(client.recv(4096))
";

/// `su` may pass on the bus address of the other user.
#[test]
#[ignore = "needs root"]
fn the_bus_of_another_user_gets_nothing() {
    let Some(machine) = Machine::new("the_bus_of_another_user_gets_nothing") else { return };
    for (uid, is_used) in [(MALLORY, false), (VICTIM, true)] {
        let runtime = format!("runtime{uid}");
        let directory = machine.directory(&runtime, uid, 0o755);
        let (bus, received) = (directory.join("bus"), directory.join("received"));
        let mut listener = machine.command(uid, "/usr/bin/python3");
        let mut listener = listener.args(["-c", LISTEN]).args([&bus, &received]).spawn().unwrap();
        while !received.exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let address = format!("unix:path={}", bus.display());
        let keyring = [("RDS_TOKEN_KEYRING", "secret-service"), ("RDS_TOKEN_CACHE_DIR", "/nonexistent")];
        for variable in
            [("XDG_RUNTIME_DIR", directory.to_str().unwrap()), ("DBUS_SESSION_BUS_ADDRESS", address.as_str())]
        {
            // The victim's own runtime directory is private.
            chmod(&directory, if uid == VICTIM { 0o700 } else { 0o755 });
            let args = [TARGET, "--cache", "keyring", "--timeout", "3s"];
            let (code, stdout, stderr) = machine.run(&args, &[&keyring[..], &[variable]].concat());
            assert!(code == Some(0) && stdout.starts_with(HOST), "{stderr}");
            if uid == MALLORY {
                assert!(stderr.contains("no cache: ") && stderr.contains("belongs to another user"), "{stderr}");
            }
        }
        listener.kill().unwrap();
        listener.wait().unwrap();
        assert_eq!(!std::fs::read(&received).unwrap().is_empty(), is_used, "{uid}");
    }
}
