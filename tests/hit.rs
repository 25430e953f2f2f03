//! What a cache hit costs, counted and not timed: the calls that the program makes of the kernel.

use crate::harness::{PROGRAM, Sandbox, TARGET, has, is_root, skip};

/// The kernel calls of one successful run, one per line. `None` if they can't be traced.
fn kernel_calls(sandbox: &Sandbox, test: &str, args: &[&str], keys: bool) -> Option<Vec<String>> {
    kernel_calls_until(sandbox, test, args, if keys { &crate::harness::KEYS } else { &[] }, 0)
}

/// As [`kernel_calls`], for a run with `variables` that exits with `code`.
fn kernel_calls_until(
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
        // The program can't be read by others of its user, strace included: it sees calls, but no paths.
        skip(test, "needs root, to trace a program that ordinary users can't trace");
        return None;
    }
    Some(std::fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect())
}

/// Where systems store CA certificates.
const CERTIFICATES: [&str; 3] = ["/etc/ssl", "/etc/pki", "/usr/share/ca-certificates"];

fn named<'a>(calls: &'a [String], names: &[&str]) -> Vec<&'a str> {
    let is_named = |call: &&String| names.iter().any(|name| call.contains(&format!(" {name}(")));
    calls.iter().filter(is_named).map(String::as_str).collect()
}

/// What a run that asks nobody never does: threads, sockets, an event loop, certificates.
#[track_caller]
fn assert_is_alone(calls: &[String]) {
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
fn a_hit_reads_its_entry_and_little_else() {
    let sandbox = Sandbox::new();
    sandbox.rds_token([TARGET]).succeeds();
    let test = "a_hit_reads_its_entry_and_little_else";
    let Some(calls) = kernel_calls(&sandbox, test, &[TARGET], true) else { return };
    assert_is_alone(&calls);
    assert_eq!(named(&calls, &["flock", "rename", "unlink", "mkdir", "fsync", "getdents64"]), Vec::<&str>::new());
    let written = named(&calls, &["write"]);
    assert!(written.len() == 1 && written[0].contains("write(1, "), "{written:?}");
    // The loader and the language's start-up aside: the configuration (there is none), this boot's id, the cache
    // directory and the entry in it.
    let ours = ["/proc/self/maps", ".so", "\"/sys/", "/dev/null"];
    let opened = named(&calls, &["open", "openat"]);
    let opened: Vec<&&str> = opened.iter().filter(|call| !ours.iter().any(|part| call.contains(part))).collect();
    let expected = ["config.toml", "boot_id", ".cache/rds-token\"", ".token\""];
    assert_eq!(opened.len(), expected.len(), "{opened:?}");
    assert!(opened.iter().zip(expected).all(|(call, part)| call.contains(part)), "{opened:?}");
}

#[test]
#[ignore = "needs root and strace"]
fn a_hit_with_a_profile_reads_the_profile_files() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/credentials", "[default]\naws_access_key_id = AKIDP\naws_secret_access_key = s\n");
    sandbox.without_keys([TARGET]).succeeds();
    let Some(calls) = kernel_calls(&sandbox, "a_hit_with_a_profile_reads_the_profile_files", &[TARGET], false) else {
        return;
    };
    assert_is_alone(&calls);
}

#[test]
#[ignore = "needs root and strace"]
fn a_miss_with_keys_at_hand_asks_nobody() {
    let sandbox = Sandbox::new();
    let Some(calls) = kernel_calls(&sandbox, "a_miss_with_keys_at_hand_asks_nobody", &[TARGET], true) else { return };
    assert_is_alone(&calls);
}

#[test]
#[ignore = "needs root and strace"]
fn ten_thousand_entries_cost_a_hit_nothing() {
    let sandbox = Sandbox::new();
    sandbox.rds_token([TARGET]).succeeds();
    let test = "ten_thousand_entries_cost_a_hit_nothing";
    let Some(few) = kernel_calls(&sandbox, test, &[TARGET], true) else { return };
    let entry = sandbox.cached_token();
    for number in 0..10_000 {
        std::fs::copy(&entry, entry.with_file_name(format!("{number:064x}.token"))).unwrap();
    }
    let many = kernel_calls(&sandbox, test, &[TARGET], true).unwrap();
    assert_eq!(few.len(), many.len());
}

/// Debian also has each certificate of the bundle in a file of its own, and every attempt could read them again.
#[test]
#[ignore = "needs root and strace"]
fn ca_certificates_are_read_from_one_file_once() {
    let sandbox = Sandbox::new();
    let [id, secret] = crate::harness::KEYS;
    let variables = [id, secret, ("AWS_ENDPOINT_URL_STS", "https://127.0.0.1:9")];
    let args = [TARGET, "--role-arn", "arn:aws:iam::123456789012:role/lab"];
    let test = "ca_certificates_are_read_from_one_file_once";
    let Some(calls) = kernel_calls_until(&sandbox, test, &args, &variables, 4) else { return };
    assert!(named(&calls, &["connect"]).len() > 1, "there was one attempt");
    let opened = named(&calls, &["open", "openat"]);
    let opened: Vec<_> = opened.iter().filter(|call| CERTIFICATES.iter().any(|part| call.contains(part))).collect();
    assert_eq!(opened.len(), 1, "{opened:?}");
}
