//! The cost of a cache hit, measured in system calls instead of time.

use crate::harness::{PROGRAM, Sandbox, TARGET, has, is_root, skip};

/// Returns the system calls of a successful run, one per line. `None` if they can't be traced.
fn system_calls(sandbox: &Sandbox, test: &str, args: &[&str], keys: bool) -> Option<Vec<String>> {
    system_calls_with(sandbox, test, args, if keys { &crate::harness::KEYS } else { &[] }, 0)
}

/// As [`system_calls`], for a run with `variables` that exits with `code`.
fn system_calls_with(
    sandbox: &Sandbox,
    test: &str,
    args: &[&str],
    variables: &[(&str, &str)],
    code: i32,
) -> Option<Vec<String>> {
    if !has("strace") {
        skip(test, "strace is not installed");
        return None;
    }
    let log = sandbox.path("strace");
    let mut command = sandbox.command("strace");
    command.args(["-f", "-qq", "-o"]).arg(&log).arg(PROGRAM).args(args).envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    if !is_root() {
        // The program prevents tracing by its own user: strace then shows the calls, but not the paths.
        skip(test, "needs root, to trace a program that ordinary users can't trace");
        return None;
    }
    Some(std::fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect())
}

/// Directories of CA certificates.
const CERTIFICATES: [&str; 3] = ["/etc/ssl", "/etc/pki", "/usr/share/ca-certificates"];

pub(crate) fn named<'a>(calls: &'a [String], names: &[&str]) -> Vec<&'a str> {
    let is_named = |call: &&String| names.iter().any(|name| call.contains(&format!(" {name}(")));
    calls.iter().filter(is_named).map(String::as_str).collect()
}

/// Fails if a run that needs no network starts threads, opens sockets or reads certificates.
#[track_caller]
pub(crate) fn assert_no_network(calls: &[String]) {
    let forbidden =
        ["clone", "clone3", "fork", "vfork", "socket", "connect", "epoll_create1", "eventfd2", "io_uring_setup"];
    assert_eq!(named(calls, &forbidden), Vec::<&str>::new());
    let opened = named(calls, &["open", "openat"]);
    let network = ["resolv.conf", "nsswitch"];
    let forbidden = |call: &&str| [&CERTIFICATES[..], &network].concat().iter().any(|part| call.contains(part));
    assert!(!opened.iter().any(forbidden), "{opened:?}");
}

#[test]
#[ignore = "needs root and strace"]
fn a_hit_reads_only_four_files() {
    let sandbox = Sandbox::new();
    sandbox.rds_token([TARGET]).succeeds();
    let test = "a_hit_reads_only_four_files";
    let Some(calls) = system_calls(&sandbox, test, &[TARGET], true) else { return };
    assert_no_network(&calls);
    assert_eq!(named(&calls, &["flock", "rename", "unlink", "mkdir", "fsync", "getdents64"]), Vec::<&str>::new());
    let written = named(&calls, &["write"]);
    assert!(written.len() == 1 && written[0].contains("write(1, "), "{written:?}");
    assert_opens(&calls, &["config.toml", "boot_id", ".cache/rds-token\"", ".token\""]);
}

/// Fails unless a run opens these files in this order, besides the files of the loader and of the Rust runtime. The
/// configuration file does not exist.
#[track_caller]
pub(crate) fn assert_opens(calls: &[String], expected: &[&str]) {
    let of_runtime = ["/proc/self/maps", ".so", "\"/sys/", "/dev/null"];
    let opened = named(calls, &["open", "openat"]);
    let opened: Vec<&&str> = opened.iter().filter(|call| !of_runtime.iter().any(|part| call.contains(part))).collect();
    assert_eq!(opened.len(), expected.len(), "{opened:?}");
    assert!(opened.iter().zip(expected).all(|(call, part)| call.contains(part)), "{opened:?}");
}

/// The directory is opened once for both files.
#[test]
#[ignore = "needs root and strace"]
fn a_hit_with_an_id_reads_one_more_file() {
    let (sandbox, server) = (Sandbox::new(), crate::lookup::rds());
    let args = ["--id", "prod", "--user", "app", "--region", "eu-west-1"];
    let variables = [&crate::harness::KEYS[..], &[("AWS_ENDPOINT_URL_RDS", server.url.as_str())]].concat();
    sandbox.rds_token(args).env("AWS_ENDPOINT_URL_RDS", &server.url).succeeds();
    let test = "a_hit_with_an_id_reads_one_more_file";
    let Some(calls) = system_calls_with(&sandbox, test, &args, &variables, 0) else { return };
    assert_no_network(&calls);
    assert_opens(&calls, &["config.toml", ".cache/rds-token\"", ".lookup\"", "boot_id", ".token\""]);
    assert_eq!(server.requests(), 1);
}

#[test]
#[ignore = "needs root and strace"]
fn a_hit_with_a_profile_reads_the_profile_files() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/credentials", "[default]\naws_access_key_id = AKIDP\naws_secret_access_key = s\n");
    sandbox.without_keys([TARGET]).succeeds();
    let Some(calls) = system_calls(&sandbox, "a_hit_with_a_profile_reads_the_profile_files", &[TARGET], false) else {
        return;
    };
    assert_no_network(&calls);
}

#[test]
#[ignore = "needs root and strace"]
fn a_miss_with_access_keys_needs_no_network() {
    let sandbox = Sandbox::new();
    let Some(calls) = system_calls(&sandbox, "a_miss_with_access_keys_needs_no_network", &[TARGET], true) else {
        return;
    };
    assert_no_network(&calls);
}

#[test]
#[ignore = "needs root and strace"]
fn ten_thousand_entries_do_not_slow_a_hit() {
    let sandbox = Sandbox::new();
    sandbox.rds_token([TARGET]).succeeds();
    let test = "ten_thousand_entries_do_not_slow_a_hit";
    let Some(few) = system_calls(&sandbox, test, &[TARGET], true) else { return };
    let entry = sandbox.cached_token();
    for number in 0..10_000 {
        std::fs::copy(&entry, entry.with_file_name(format!("{number:064x}.token"))).unwrap();
    }
    let many = system_calls(&sandbox, test, &[TARGET], true).unwrap();
    assert_eq!(few.len(), many.len());
}

/// Debian also stores each certificate of the bundle in a separate file, and each attempt could read them again.
#[test]
#[ignore = "needs root and strace"]
fn ca_certificates_are_read_from_one_file_once() {
    let sandbox = Sandbox::new();
    let [id, secret] = crate::harness::KEYS;
    let variables = [id, secret, ("AWS_ENDPOINT_URL_STS", "https://127.0.0.1:9")];
    let args = [TARGET, "--role-arn", "arn:aws:iam::123456789012:role/lab"];
    let test = "ca_certificates_are_read_from_one_file_once";
    let Some(calls) = system_calls_with(&sandbox, test, &args, &variables, 4) else { return };
    assert!(named(&calls, &["connect"]).len() > 1, "there was one attempt");
    let opened = named(&calls, &["open", "openat"]);
    let opened: Vec<_> = opened.iter().filter(|call| CERTIFICATES.iter().any(|part| call.contains(part))).collect();
    assert_eq!(opened.len(), 1, "{opened:?}");
}
