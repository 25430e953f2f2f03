//! Failures of the environment: output that can't be written, closed descriptors, a clock that jumps.

use crate::harness::{HOST, KEYS, PROGRAM, Sandbox, TARGET, parameter, skip, texts};

#[test]
fn a_failed_write_to_stdout_is_an_error() {
    let sandbox = Sandbox::new();
    let postgres = format!("postgres://app@{HOST}");
    for args in [
        vec![TARGET],
        vec![TARGET, "-n"],
        vec![TARGET, "--output", "json"],
        vec![&postgres, "--output", "url"],
        vec!["cnf", TARGET, "--flavor", "mysql"],
        vec!["cnf", TARGET, "--flavor", "mysql", "--stdout"],
        vec!["pgpass", "-q", &postgres],
        vec!["env", "-q", TARGET, "--shell", "sh"],
        vec!["cache", "list"],
        vec!["ca"],
        vec!["init", "bash"],
        vec!["completions", "zsh"],
        vec!["man"],
        vec!["--help"],
    ] {
        sandbox.rds_token([TARGET]).succeeds();
        let mut full = sandbox.rds_token(&args).command;
        full.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let (_, stderr) = texts(&assert_exit_1(full.output().unwrap(), &args));
        assert!(stderr.starts_with("rds-token: could not write to stdout: No space left"), "{args:?}: {stderr}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut closed = sandbox.rds_token(&args).command;
        let (_, stderr) = texts(&assert_exit_1(closed.stdout(writer).output().unwrap(), &args));
        assert_eq!(stderr, "", "{args:?}: a closed pipe is not reported");
    }
}

/// The runner masks a token only if the step prints the mask. Without it, the token would be in the log.
#[test]
fn no_secret_goes_to_github_without_its_mask() {
    let sandbox = Sandbox::new();
    let github = sandbox.write("github_env", "");
    for stdout in [">&-", ">/dev/null", "1<>/dev/null"] {
        let script = format!("exec \"$0\" env {TARGET} -q --shell github {stdout}");
        let mut shell = sandbox.command("sh");
        shell.args(["-c", &script, PROGRAM]).envs(KEYS).env("GITHUB_ENV", &github);
        let output = shell.output().unwrap();
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(2), "{stdout}: {stderr}");
        assert!(stderr.contains("the runner would not mask the token"), "{stdout}: {stderr}");
        assert_eq!(std::fs::read_to_string(&github).unwrap(), "", "{stdout}");
    }
    let masks = sandbox.rds_token(["env", TARGET, "-q", "--shell", "github"]).env("GITHUB_ENV", &github).succeeds();
    assert!(masks.starts_with("::add-mask::") && std::fs::read_to_string(&github).unwrap().contains("MYSQL_PWD="));
}

#[track_caller]
fn assert_exit_1(output: std::process::Output, args: &[&str]) -> std::process::Output {
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    output
}

#[test]
fn a_failed_write_to_stderr_is_ignored() {
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

/// The Rust runtime opens /dev/null in place of a closed descriptor, so that no file that the program opens gets its
/// number.
#[test]
fn closed_descriptors_damage_no_file() {
    let sandbox = Sandbox::new();
    let token = sandbox.rds_token([TARGET]).succeeds();
    for closed in [">&-", "<&- >&- 2>&-", ">&- 2>/dev/full"] {
        for args in [TARGET.to_owned(), format!("{TARGET} -v --refresh"), format!("cnf {TARGET} --flavor mysql")] {
            let mut shell = sandbox.command("sh");
            shell.args(["-c", &format!("exec {PROGRAM} {args} {closed}")]).envs(KEYS);
            assert!(shell.output().unwrap().status.code().is_some_and(|code| code < 2), "{args} {closed}");
        }
        assert_eq!(sandbox.cached("token").len(), 1);
        let entry = std::fs::read_to_string(sandbox.cached_token()).unwrap();
        assert!(entry.starts_with("{\"version\":1,") && entry.ends_with("\"}\n"), "{closed}: {entry}");
        let json = sandbox.rds_token([TARGET, "--output", "json"]).succeeds();
        assert!(json.contains("\"source\":\"cache\"") && json.contains(&token[..100]), "{closed}: {json}");
    }
}

/// Returns the path of the library that changes the time of a process.
pub(crate) fn libfaketime() -> Option<std::path::PathBuf> {
    let directories = std::fs::read_dir("/usr/lib").unwrap().flatten();
    directories.map(|directory| directory.path().join("faketime/libfaketime.so.1")).find(|path| path.exists())
}

/// Moves the clock of the whole process back and forth. Checks that no token is expired or dated by the wrong clock.
#[test]
#[ignore = "needs faketime"]
fn a_clock_that_jumps_makes_no_old_token_fresh() {
    let Some(library) = libfaketime() else {
        return skip("a_clock_that_jumps_makes_no_old_token_fresh", "libfaketime is not installed");
    };
    let sandbox = Sandbox::new();
    let date = |token: &str| {
        let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
        let date = parameter(token, "X-Amz-Date").unwrap();
        time::PrimitiveDateTime::parse(date, format).unwrap().assume_utc()
    };
    let at = |clock: &str| {
        let run = sandbox.rds_token([TARGET]).env("LD_PRELOAD", library.as_os_str()).env("FAKETIME", clock);
        // The time since boot can't be changed on a real machine.
        let token = run.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("TZ", "UTC").succeeds();
        (date(&token), token)
    };
    let now = time::OffsetDateTime::now_utc;
    let is_about = |date: time::OffsetDateTime, expected: time::OffsetDateTime| {
        (date - expected).abs() < time::Duration::minutes(2)
    };
    for (clock, expected) in [
        ("-1h", now() - time::Duration::HOUR),
        ("+20m", now() + time::Duration::minutes(20)),
        ("+2y", now() + time::Duration::days(730)),
        ("@1970-01-02 00:00:00", time::macros::datetime!(1970-01-02 00:00 UTC)),
    ] {
        let (first, token) = at("+0");
        assert!(is_about(first, now()), "{clock}: {first}");
        assert_eq!(at("+0").1, token, "{clock}: it is cached");
        let (jumped, other) = at(clock);
        assert!(other != token && is_about(jumped, expected), "{clock}: {jumped}");
        // With the right clock again, the token that was signed by the wrong clock is not served either.
        let (last, third) = at("+0");
        assert!(third != other && is_about(last, now()), "{clock}: {last}");
    }
    // Back by less than the lifetime of the token, which is now dated in the future.
    let (_, token) = at("+0");
    assert_ne!(at("-5m").1, token);
}
