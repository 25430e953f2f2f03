//! The program as `make build` links it: no command loads a shared object or uses NSS.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{KEYS, Sandbox, TARGET, can_mount, has, is_root, skip, texts};

/// The static program, which `make test` builds and passes in a variable. `None`, with the test skipped, if the
/// variable is not set.
fn program(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("RDS_TOKEN_STATIC").map(PathBuf::from).filter(|path| path.is_file());
    if path.is_none() {
        skip(test, "RDS_TOKEN_STATIC does not name the static program; run `make test`");
    }
    path
}

/// An `nsswitch.conf` with modules that are not part of glibc. A program that uses NSS opens them.
const FOREIGN_NSS: &str = "passwd: systemd sss\ngroup: systemd sss\nhosts: resolve mdns4 myhostname\n";

/// A mount namespace in which `/etc/nsswitch.conf` is replaced.
struct Machine {
    sandbox: Sandbox,
    program: PathBuf,
    nsswitch: PathBuf,
}

impl Machine {
    /// `None` if the machine can't run the test, which is then skipped.
    fn new(test: &str) -> Option<Self> {
        let program = program(test)?;
        if !is_root() || !has("strace") || !can_mount() {
            skip(test, "needs root, strace and a mount namespace");
            return None;
        }
        let sandbox = Sandbox::new();
        let nsswitch = sandbox.write("nsswitch.conf", FOREIGN_NSS);
        Some(Self { sandbox, program, nsswitch })
    }

    /// Runs `args` under strace. Returns the files that all threads and programs opened, or only the main thread, and
    /// stderr.
    fn opened(&self, scope: Scope, args: &[&str], variables: &[(&str, &str)]) -> (Vec<String>, String) {
        let log = self.sandbox.path("strace");
        let script = "mount --bind \"$1\" /etc/nsswitch.conf && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(&self.nsswitch);
        command
            .args(["strace", "-qq"])
            .args((scope == Scope::All).then_some("-f"))
            .args(["-e", "trace=open,openat,openat2", "-o"])
            .arg(&log)
            .arg(&self.program)
            .args(args);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(variables.iter().copied()).current_dir(self.sandbox.path("."));
        let output = command.output().unwrap();
        let stderr = texts(&output).1;
        assert!(output.status.code().is_some_and(|code| code < 126), "{args:?}: {}: {stderr}", output.status);
        let log = std::fs::read_to_string(log).unwrap_or_else(|error| panic!("{args:?}: {error}: {stderr}"));
        (log.lines().map(str::to_owned).collect(), stderr)
    }
}

/// What strace records.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    MainThread,
    /// All threads, and the programs that it runs.
    All,
}

/// Asserts that a run opens no shared object and no file of NSS. Returns its stderr.
fn assert_loads_nothing(machine: &Machine, args: &[&str], variables: &[(&str, &str)]) -> String {
    assert_nothing_is_loaded(machine, Scope::MainThread, args, variables)
}

fn assert_nothing_is_loaded(machine: &Machine, scope: Scope, args: &[&str], variables: &[(&str, &str)]) -> String {
    let (opened, stderr) = machine.opened(scope, args, variables);
    assert!(!opened.is_empty(), "{args:?}: strace recorded no call");
    let foreign: Vec<&String> = opened
        .iter()
        .filter(|call| call.contains(".so") || call.contains("nsswitch") || call.contains("nscd"))
        .collect();
    assert!(foreign.is_empty(), "{args:?}: {foreign:?}");
    stderr
}

#[test]
#[ignore = "needs root and the static program"]
fn no_command_loads_a_shared_object() {
    let Some(machine) = Machine::new("no_command_loads_a_shared_object") else { return };
    let cache = machine.sandbox.path("cache");
    let home = machine.sandbox.path("home");
    let config = machine.sandbox.write(
        "config",
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = user\n\
         [profile user]\naws_access_key_id = AKIDUSER\naws_secret_access_key = s\n\
         [profile process]\n\
         credential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIDP\",\"SecretAccessKey\":\"s\"}'\n",
    );
    let [cache, home, config] = [&cache, &home, &config].map(|path| path.to_str().unwrap());
    let keys = [KEYS[0], KEYS[1], ("RDS_TOKEN_CACHE_DIR", cache)];
    let postgres = "postgres://app@db.abc123.eu-west-1.rds.amazonaws.com";
    for args in [
        vec!["targets"],
        vec!["man"],
        vec!["init", "bash"],
        vec!["completions", "zsh"],
        vec!["--help"],
        vec!["ca"],
        vec![TARGET],
        vec![TARGET, "--refresh", "-v"],
        vec![TARGET, "--output", "json"],
        vec![postgres, "--output", "url"],
        vec!["cnf", TARGET, "--flavor", "mysql"],
        vec!["cnf", TARGET, "--flavor", "library", "--stdout"],
        vec!["pgpass", postgres],
        vec!["env", TARGET, "--shell", "sh", "--no-secret"],
        // Host names that are looked up. The second one does not exist.
        vec!["env", postgres, "--shell", "sh", "--via", "localhost:5433"],
        vec!["env", postgres, "--shell", "sh", "--via", "tunnel.invalid:5433", "--timeout", "2s"],
        vec!["connect", TARGET, "--client-flavor", "mysql", "--", "/bin/true"],
        vec!["cache", "path"],
        vec!["cache", "list"],
        vec!["cache", "clear"],
        vec![TARGET, "--cache", "keyring"],
        vec!["cache", "clear", "--cache", "keyring"],
    ] {
        // The client itself may load shared objects.
        if args[0] == "connect" {
            let (opened, _) = machine.opened(Scope::MainThread, &args, &keys);
            let start_of_client = opened.iter().position(|call| call.contains("ld.so") || call.contains("libc.so"));
            let before = &opened[..start_of_client.unwrap_or(opened.len())];
            assert!(!before.iter().any(|call| call.contains(".so") || call.contains("nsswitch")), "{before:?}");
            continue;
        }
        assert_loads_nothing(&machine, &args, &keys);
        assert_loads_nothing(&machine, &args, &[keys[0], keys[1]]);
        assert_loads_nothing(&machine, &args, &[keys[0], keys[1], ("HOME", "")]);
    }
    for (profile, more) in [
        ("process", ("X", "x")),
        ("role", ("AWS_ENDPOINT_URL_STS", "http://localhost:1")),
        ("role", ("AWS_ENDPOINT_URL_STS", "https://sts.invalid")),
        ("role", ("HTTPS_PROXY", "http://proxy.invalid:3128")),
    ] {
        let args = [TARGET, "--profile", profile, "--timeout", "3s"];
        assert_loads_nothing(&machine, &args, &[("AWS_CONFIG_FILE", config), ("HOME", home), more]);
    }
    let bus = "unix:path=/nowhere;tcp:host=localhost,port=1";
    let more = [("RDS_TOKEN_KEYRING", "secret-service"), ("DBUS_SESSION_BUS_ADDRESS", bus)];
    let stderr = assert_loads_nothing(&machine, &[TARGET, "--cache", "keyring"], &[&keys[..], &more[..]].concat());
    assert!(stderr.contains("is not a socket of this machine"), "{stderr}");
}

/// The commands that call AWS and look up names, in several threads. They run no other program.
#[test]
#[ignore = "needs root and the static program"]
fn no_lookup_loads_a_shared_object() {
    let Some(machine) = Machine::new("no_lookup_loads_a_shared_object") else { return };
    let home = machine.sandbox.path("home");
    let home = ("HOME", home.to_str().unwrap());
    let id = ["--id", "prod", "--user", "app", "--region", "eu-west-1"];
    let cname = "mysql://app@db.corp.invalid";
    for args in [
        vec!["inspect", "x"],
        vec!["sql", TARGET],
        vec!["sql", cname, "--apply", "--client", "/nonexistent", "--region", "eu-west-1"],
        vec!["sql", TARGET, "--apply", "--master-secret", "--client", "/nonexistent"],
        vec!["policy", TARGET],
        vec!["policy", TARGET, "--resource-id", "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ", "--account", "123456789012"],
        vec!["doctor", TARGET, "--client", "/nonexistent"],
        vec!["doctor", TARGET, "--client", "/nonexistent", "--via", "tunnel.invalid:3306"],
        vec!["doctor", cname, "--client", "/nonexistent", "--region", "eu-west-1"],
        vec!["setup", "--yes", "--id", "prod", "--user", "app", "--region", "eu-west-1"],
        [&["token"], &id[..]].concat(),
        [&["doctor", "--engine", "mysql"], &id[..]].concat(),
        vec![cname, "--region", "eu-west-1"],
    ] {
        let limit: &[&str] = if args[0] == "inspect" { &[] } else { &["--timeout", "3s"] };
        let args = [&args[..], limit].concat();
        for endpoint in ["http://localhost:1", "https://aws.invalid"] {
            let variables = [KEYS[0], KEYS[1], home, ("AWS_ENDPOINT_URL", endpoint)];
            assert_nothing_is_loaded(&machine, Scope::All, &args, &variables);
        }
    }
}

/// The user has no name and no home, as in a container with an arbitrary user ID.
#[test]
#[ignore = "needs root and the static program"]
fn a_user_without_a_name_or_a_home_gets_a_token() {
    let test = "a_user_without_a_name_or_a_home_gets_a_token";
    let Some(machine) = Machine::new(test) else { return };
    if !has("setpriv") {
        return skip(test, "setpriv is not installed");
    }
    let program = machine.sandbox.path("rds-token");
    // Copied by another process. If this one had the file open, a child of another test could inherit it, and the file
    // could not be run.
    assert!(Command::new("install").arg(&machine.program).arg(&program).status().unwrap().success());
    for directory in ["", "home"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(machine.sandbox.path(directory), mode).unwrap();
    }
    let run = |args: &[&str], home: Option<&str>| {
        let script = "mount --bind \"$1\" /etc/nsswitch.conf && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(&machine.nsswitch);
        command.args(["setpriv", "--reuid", "63378", "--regid", "63378", "--clear-groups"]);
        command.arg(&program).args(args).env_clear().envs(KEYS).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(home.map(|home| ("HOME", home)));
        let output = command.output().unwrap();
        (output.status.code(), texts(&output))
    };
    for home in [None, Some(""), Some("/nonexistent")] {
        assert_eq!(run(&["targets", "-q"], home), (Some(0), (String::new(), String::new())), "{home:?}");
        let (code, (stdout, stderr)) = run(&[TARGET], home);
        assert!(code == Some(0) && stdout.contains("X-Amz-Signature"), "{home:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{home:?}: {stderr}");
        assert!(stderr.starts_with("rds-token: warning: no cache: "), "{home:?}: {stderr}");
        // The client gets the option file and the CA in memory.
        let (code, (stdout, _)) = run(&["connect", TARGET, "--client-flavor", "mysql", "--", "/bin/echo"], home);
        assert!(code == Some(0) && stdout.starts_with("--defaults-file=/proc/self/fd/"), "{home:?}: {stdout}");
    }
}
