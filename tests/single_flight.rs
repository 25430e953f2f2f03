//! Many processes that miss together: one asks, all get its answer.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{PROGRAM, Sandbox, Server, TARGET};

const ROLE: &str = "arn:aws:iam::123456789012:role/lab";

/// Starts `count` processes that wait for one signal to begin, and lets them.
fn all_at_once(sandbox: &Sandbox, sts: &Server, count: usize) -> Vec<Child> {
    let gate = sandbox.path("gate");
    let script =
        format!("while [ ! -e {} ]; do sleep 0.02; done; exec {PROGRAM} {TARGET} --role-arn {ROLE}", gate.display());
    let start = || {
        let mut shell = sandbox.command("sh");
        shell.args(["-c", &script]).envs(crate::harness::KEYS).env("AWS_ENDPOINT_URL_STS", &sts.url);
        shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = (0..count).map(|_| start()).collect();
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(gate, "").unwrap();
    children
}

/// Exit codes, stdouts and stderrs.
fn outcomes(children: Vec<Child>) -> Vec<(Option<i32>, String, String)> {
    let outcome = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let (stdout, stderr) = crate::harness::texts(&output);
        (output.status.code(), stdout, stderr)
    };
    children.into_iter().map(outcome).collect()
}

#[test]
#[ignore = "needs several seconds"]
fn two_hundred_cold_processes_make_one_request() {
    let sandbox = Sandbox::new();
    let sts = Server::sts(Duration::from_millis(300), 3600);
    let outcomes = outcomes(all_at_once(&sandbox, &sts, 200));
    assert_eq!(sts.requests(), 1);
    let token = &outcomes[0].1;
    assert!(token.contains("X-Amz-Security-Token=session"), "{}", outcomes[0].2);
    for outcome in &outcomes {
        assert_eq!((outcome.0, &outcome.1, outcome.2.as_str()), (Some(0), token, ""));
    }
}

#[test]
#[ignore = "needs several seconds"]
fn two_hundred_share_a_refusal() {
    let sandbox = Sandbox::new();
    // Longer than it takes 200 processes to start on a busy machine: who starts after the refusal asks anew.
    let sts = Server::refusing_sts(Duration::from_secs(2));
    let outcomes = outcomes(all_at_once(&sandbox, &sts, 200));
    assert_eq!(sts.requests(), 1);
    for outcome in &outcomes {
        assert_eq!((outcome.0, outcome.1.as_str(), &outcome.2), (Some(3), "", &outcomes[0].2));
    }
    assert!(outcomes[0].2.contains("AccessDenied"), "{}", outcomes[0].2);
    let run = sandbox.rds_token([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &sts.url);
    run.fails(3);
    assert_eq!(sts.requests(), 2, "a failure is not kept for those that come later");
}

#[test]
fn short_lived_credentials_are_shared_too() {
    let sandbox = Sandbox::new();
    let sts = Server::sts(Duration::from_millis(500), 120);
    let outcomes = outcomes(all_at_once(&sandbox, &sts, 20));
    assert_eq!(sts.requests(), 2, "asked once, and once more because they end soon");
    assert!(outcomes.iter().all(|outcome| outcome.0 == Some(0) && outcome.1 == outcomes[0].1));
}

#[test]
#[ignore = "needs several seconds"]
fn a_stopped_leader_does_not_stop_the_others() {
    let sandbox = Sandbox::new();
    let sts = Server::sts(Duration::from_millis(700), 3600);
    let run = |timeout| {
        let run = sandbox.rds_token([TARGET, "--role-arn", ROLE, "--timeout", timeout]);
        run.env("AWS_ENDPOINT_URL_STS", &sts.url)
    };
    let mut leader = run("25s").command.stdout(Stdio::piped()).spawn().unwrap();
    while sts.requests() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = Pid::from_child(&leader);
    kill_process(pid, Signal::STOP).unwrap();
    let begin = Instant::now();
    let token = run("6s").succeeds();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(run("6s").succeeds(), token);
    kill_process(pid, Signal::CONT).unwrap();
    assert!(leader.wait().unwrap().success());
    let mut late = String::new();
    leader.stdout.unwrap().read_to_string(&mut late).unwrap();
    assert_ne!(late, token);
}

#[test]
#[ignore = "needs several seconds"]
fn a_thousand_kills_leave_no_torn_entry_and_no_stuck_lock() {
    let sandbox = Sandbox::new();
    // Sessions that end within the largest `--min-ttl`, so that each run begins another and writes that too.
    let sts = Server::sts(Duration::from_millis(2), 800);
    let run = |args: &[&str]| {
        let args = [&[TARGET, "--role-arn", ROLE], args].concat();
        sandbox.rds_token(args).env("AWS_ENDPOINT_URL_STS", &sts.url)
    };
    run(&[]).succeeds();
    let sessions = sandbox.path("home/.aws/cli/cache");
    for round in 0..1_000 {
        let mut command = run(&["--refresh", "--min-ttl", "14m"]).command;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(fastrand::u64(0..25_000)));
        let _ = child.kill();
        child.wait().unwrap();
        if round % 50 == 0 {
            // Whole, and at once: no signature, so no lock.
            let token = run(&["--output", "json"]).succeeds();
            assert!(
                token.contains("&X-Amz-Signature=") && token.contains("\"source\":\"cache\""),
                "the entry was torn"
            );
            let files = std::fs::read_dir(&sessions).unwrap().map(|entry| entry.unwrap().path());
            for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
                let session: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
                assert!(session["Credentials"]["Expiration"].is_string(), "the session was torn: {session}");
            }
        }
    }
    assert!(sts.requests() > 100, "some came as far as STS: {}", sts.requests());
    let begin = Instant::now();
    run(&["--refresh", "--min-ttl", "14m"]).warns();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
#[ignore = "needs several seconds"]
fn a_slow_answer_is_waited_for() {
    let sandbox = Sandbox::new();
    let sts = Server::sts(Duration::from_secs(3), 3600);
    let children: Vec<Child> = (0..8)
        .map(|_| {
            let run = sandbox.rds_token([TARGET, "--role-arn", ROLE, "--timeout", "6s"]);
            let mut command = run.env("AWS_ENDPOINT_URL_STS", &sts.url).command;
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let outcomes = outcomes(children);
    assert!(outcomes.iter().all(|outcome| outcome.0 == Some(0) && outcome.1 == outcomes[0].1));
    assert_eq!(sts.requests(), 1);
}

#[test]
fn what_ends_one_process_is_not_handed_to_others() {
    let sandbox = Sandbox::new();
    let sts = Server::sts(Duration::from_millis(1500), 3600);
    let run = |timeout| {
        let run = sandbox.rds_token([TARGET, "--role-arn", ROLE, "--timeout", timeout]);
        run.env("AWS_ENDPOINT_URL_STS", &sts.url)
    };
    let mut leader = run("700ms").command.stderr(Stdio::null()).spawn().unwrap();
    while sts.requests() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    run("20s").succeeds();
    assert_eq!(leader.wait().unwrap().code(), Some(4));
}

/// A lock file that went while it is held would let a second process ask.
#[test]
#[ignore = "needs several seconds"]
fn a_lock_that_is_held_is_not_cleared() {
    let sandbox = Sandbox::new();
    let sts = Server::sts(Duration::from_secs(3), 3600);
    let run = || sandbox.rds_token([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &sts.url);
    let start = || run().command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let leader = start();
    while sts.requests() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    sandbox.rds_token(["cache", "clear"]).succeeds();
    assert_eq!(sandbox.cached("lock").len(), 2, "of the token, and of the session");
    let outcomes = outcomes(vec![leader, start()]);
    assert_eq!(sts.requests(), 1);
    assert!(outcomes.iter().all(|outcome| outcome.0 == Some(0) && outcome.1 == outcomes[0].1));
    sandbox.rds_token(["cache", "clear"]).succeeds();
    assert_eq!(sandbox.cached("lock").len(), 0, "nobody holds it any more");
}
