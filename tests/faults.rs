//! What the program meets on a bad day, outside of its cache and its credentials.

use crate::harness::{HOST, KEYS, PROGRAM, Sandbox, TARGET, texts};

#[test]
fn a_stdout_that_takes_nothing_is_an_error() {
    let sandbox = Sandbox::new();
    for args in
        [vec![TARGET], vec![TARGET, "-n"], vec!["--help"], vec!["cache", "list"], vec![TARGET, "--output", "json"]]
    {
        sandbox.rds_token([TARGET]).succeeds();
        let mut full = sandbox.rds_token(&args).command;
        full.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let (_, stderr) = texts(&failed(full.output().unwrap(), &args));
        assert!(stderr.starts_with("rds-token: could not write to stdout: No space left"), "{args:?}: {stderr}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut closed = sandbox.rds_token(&args).command;
        let (_, stderr) = texts(&failed(closed.stdout(writer).output().unwrap(), &args));
        assert!(stderr.starts_with("rds-token: could not write to stdout: Broken pipe"), "{args:?}: {stderr}");
    }
}

fn failed(output: std::process::Output, args: &[&str]) -> std::process::Output {
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    output
}

#[test]
fn a_stderr_that_takes_nothing_is_none() {
    let sandbox = Sandbox::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut verbose = sandbox.rds_token([TARGET, "-v"]).command;
    let output = verbose.stderr(full()).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(HOST.as_bytes()));
    let status = sandbox.rds_token(["nowhere"]).command.stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn keys_in_an_empty_environment_are_enough() {
    let sandbox = Sandbox::new();
    let mut bare = sandbox.command(PROGRAM);
    bare.arg(TARGET).env_clear().envs(KEYS).env("XDG_CACHE_HOME", sandbox.path("cache"));
    let (stdout, stderr) = texts(&bare.output().unwrap());
    assert!(stdout.starts_with(HOST) && stderr.is_empty(), "{stderr}");
}
