//! Single flight: if several processes need the same token at once, one fetches it, and the others get its result.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Answer, KEYS, PROGRAM, Run, Sandbox, Server, TARGET, sts_answer, texts};

const ROLE: &str = "arn:aws:iam::123456789012:role/lab";

/// A gate that delays the responses of a server while a test has it locked for writing.
pub(crate) type Gate = Arc<RwLock<()>>;

/// Starts a server whose responses wait for the gate.
pub(crate) fn gated_server(gate: &Gate, answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Server {
    let gate = Arc::clone(gate);
    Server::start(move |head, body| {
        drop(gate.read());
        answer(head, body)
    })
}

/// Waits until `count` processes wait for another one's result. Each of them has a shared lock on a `.waiting` file.
pub(crate) fn wait_for_waiting_processes(sandbox: &Sandbox, count: usize) {
    loop {
        let files = sandbox.cached("waiting");
        let inodes: Vec<String> =
            files.iter().filter_map(|file| Some(format!(":{} ", file.metadata().ok()?.ino()))).collect();
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let is_shared = |line: &&str| line.contains(" READ ") && inodes.iter().any(|inode| line.contains(inode));
        if locks.lines().filter(is_shared).count() == count {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn wait_for_request(sts: &Server) {
    while sts.requests() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn rds_token(sandbox: &Sandbox, sts: &Server, args: &[&str]) -> Run {
    let args = [&[TARGET, "--role-arn", ROLE], args].concat();
    sandbox.rds_token(args).env("AWS_ENDPOINT_URL_STS", &sts.url)
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts `count` processes that begin at the same moment. Their time limit is long, because the machine may be slow.
fn start_at_once(sandbox: &Sandbox, sts: &Server, count: usize) -> Vec<Child> {
    let signal = sandbox.path("begin");
    let script = format!(
        "while [ ! -e {} ]; do sleep 0.02; done; exec {PROGRAM} {TARGET} --role-arn {ROLE} --timeout 5m",
        signal.display()
    );
    let start = |_| {
        let mut shell = sandbox.command("sh");
        shell.args(["-c", &script]).envs(KEYS).env("AWS_ENDPOINT_URL_STS", &sts.url);
        spawn(shell)
    };
    let children = (0..count).map(start).collect();
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(signal, "").unwrap();
    children
}

/// The exit code, stdout and stderr of each process.
fn outcomes(children: Vec<Child>) -> Vec<(Option<i32>, String, String)> {
    let outcome = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let (stdout, stderr) = texts(&output);
        (output.status.code(), stdout, stderr)
    };
    children.into_iter().map(outcome).collect()
}

/// Asserts that all processes succeed with the same token.
#[track_caller]
fn assert_same_token(outcomes: &[(Option<i32>, String, String)]) {
    assert!(outcomes.iter().all(|outcome| outcome.0 == Some(0) && outcome.1 == outcomes[0].1), "{outcomes:?}");
}

#[test]
#[ignore = "needs several seconds"]
fn two_hundred_processes_without_a_cached_token_make_one_request() {
    let sandbox = Sandbox::new();
    let sts = Server::sts(Duration::from_millis(300), 3600);
    let outcomes = outcomes(start_at_once(&sandbox, &sts, 200));
    assert_eq!(sts.requests(), 1);
    let token = &outcomes[0].1;
    assert!(token.contains("X-Amz-Security-Token=session"), "{}", outcomes[0].2);
    for outcome in &outcomes {
        assert_eq!((outcome.0, &outcome.1, outcome.2.as_str()), (Some(0), token, ""));
    }
}

#[test]
#[ignore = "needs several seconds"]
fn two_hundred_processes_share_a_failure() {
    let sandbox = Sandbox::new();
    // A process that starts after the failure sends its own request, so the answer waits for all of them.
    let gate = Gate::default();
    let closed = gate.write().unwrap();
    let sts = gated_server(&gate, |_, _| {
        (403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>".to_owned())
    });
    let children = start_at_once(&sandbox, &sts, 200);
    wait_for_waiting_processes(&sandbox, 199);
    drop(closed);
    let outcomes = outcomes(children);
    assert_eq!(sts.requests(), 1);
    for outcome in &outcomes {
        assert_eq!((outcome.0, outcome.1.as_str(), &outcome.2), (Some(3), "", &outcomes[0].2));
    }
    assert!(outcomes[0].2.contains("AccessDenied"), "{}", outcomes[0].2);
    rds_token(&sandbox, &sts, &[]).fails(3);
    assert_eq!(sts.requests(), 2, "a later process does not get the earlier failure");
}

#[test]
fn short_lived_credentials_are_shared() {
    let sandbox = Sandbox::new();
    let gate = Gate::default();
    let closed = gate.write().unwrap();
    let sts = gated_server(&gate, |_, body| (200, sts_answer(body, 120)));
    let children = start_at_once(&sandbox, &sts, 20);
    wait_for_waiting_processes(&sandbox, 19);
    drop(closed);
    let outcomes = outcomes(children);
    assert_eq!(sts.requests(), 2, "the first request, and a second one because the credentials expire soon");
    assert_same_token(&outcomes);
}

#[test]
#[ignore = "needs several seconds"]
fn a_stopped_leader_does_not_stop_the_others() {
    let sandbox = Sandbox::new();
    let gate = Gate::default();
    let closed = gate.write().unwrap();
    let first = std::sync::atomic::AtomicBool::new(true);
    let leaders_gate = Arc::clone(&gate);
    let sts = Server::start(move |_, body| {
        // Only the leader's answer waits.
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            drop(leaders_gate.read());
        }
        (200, sts_answer(body, 3600))
    });
    let leader = spawn(rds_token(&sandbox, &sts, &["--timeout", "5m"]).command);
    wait_for_request(&sts);
    let pid = Pid::from_child(&leader);
    kill_process(pid, Signal::STOP).unwrap();
    // Within its own time limit, the other process stops waiting and fetches a token itself.
    let token = rds_token(&sandbox, &sts, &["--timeout", "16s"]).succeeds();
    assert_eq!(rds_token(&sandbox, &sts, &["--timeout", "16s"]).succeeds(), token);
    drop(closed);
    kill_process(pid, Signal::CONT).unwrap();
    let output = leader.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_ne!(texts(&output).0, token);
}

#[test]
#[ignore = "needs several seconds"]
fn a_thousand_kills_leave_no_torn_entry_and_no_stuck_lock() {
    let sandbox = Sandbox::new();
    // The sessions expire within the largest `--min-ttl`, so each run starts a new one and writes it too.
    let sts = Server::sts(Duration::from_millis(2), 800);
    let refresh = |args: &[&str]| rds_token(&sandbox, &sts, &[&["--refresh", "--min-ttl", "14m"], args].concat());
    let undisturbed_run = || {
        let begin = Instant::now();
        let (_, stderr) = refresh(&["-v"]).warns();
        assert!(!stderr.contains("waiting for another"), "a killed process left a lock: {stderr}");
        begin.elapsed()
    };
    let sessions = sandbox.path("home/.aws/cli/cache");
    let mut duration = undisturbed_run();
    let (mut kills, mut undisturbed_requests) = (0, sts.requests());
    for round in 0..1_000 {
        let mut child = refresh(&[]).command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The kills hit every phase of a run, whatever the speed of the machine. Some runs finish.
        std::thread::sleep(duration.mul_f64(1.5 * fastrand::f64()));
        let _ = child.kill();
        kills += usize::from(!child.wait().unwrap().success());
        if round % 50 == 0 {
            // This run must be a hit. A torn entry would be replaced with a new token.
            let token = rds_token(&sandbox, &sts, &["--output", "json"]).succeeds();
            assert!(
                token.contains("&X-Amz-Signature=") && token.contains("\"source\":\"cache\""),
                "the entry was torn"
            );
            let files = std::fs::read_dir(&sessions).unwrap().map(|entry| entry.unwrap().path());
            for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
                let session: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
                assert!(session["Credentials"]["Expiration"].is_string(), "the session was torn: {session}");
            }
            let before = sts.requests();
            duration = undisturbed_run();
            undisturbed_requests += sts.requests() - before;
        }
    }
    assert!(kills > 100, "only {kills} of the processes were killed");
    let requests = sts.requests() - undisturbed_requests;
    assert!(requests > 100, "only {requests} of the processes sent a request");
    undisturbed_run();
}

#[test]
#[ignore = "needs several seconds"]
fn processes_wait_for_a_slow_response() {
    let sandbox = Sandbox::new();
    let sts = Server::sts(Duration::from_secs(10), 3600);
    let start = |_| spawn(rds_token(&sandbox, &sts, &["--timeout", "20s"]).command);
    let outcomes = outcomes((0..8).map(start).collect());
    assert_same_token(&outcomes);
    assert_eq!(sts.requests(), 1);
}

#[test]
fn a_timeout_of_one_process_is_not_shared() {
    let sandbox = Sandbox::new();
    let gate = Gate::default();
    let closed = gate.write().unwrap();
    let sts = gated_server(&gate, |_, body| (200, sts_answer(body, 3600)));
    let leader = spawn(rds_token(&sandbox, &sts, &["--timeout", "5s"]).command);
    wait_for_request(&sts);
    let follower = spawn(rds_token(&sandbox, &sts, &["--timeout", "5m"]).command);
    assert_eq!(leader.wait_with_output().unwrap().status.code(), Some(4));
    drop(closed);
    assert_eq!(outcomes(vec![follower])[0].0, Some(0));
}

/// If a lock file were removed while a process holds the lock, a second process would send a request.
#[test]
#[ignore = "needs several seconds"]
fn cache_clear_leaves_locks_that_are_held() {
    let sandbox = Sandbox::new();
    let gate = Gate::default();
    let closed = gate.write().unwrap();
    let sts = gated_server(&gate, |_, body| (200, sts_answer(body, 3600)));
    let start = || spawn(rds_token(&sandbox, &sts, &["--timeout", "5m"]).command);
    let leader = start();
    wait_for_request(&sts);
    sandbox.rds_token(["cache", "clear"]).succeeds();
    assert_eq!(sandbox.cached("lock").len(), 2, "the locks of the token and of the session");
    let follower = start();
    wait_for_waiting_processes(&sandbox, 1);
    drop(closed);
    let outcomes = outcomes(vec![leader, follower]);
    assert_eq!(sts.requests(), 1);
    assert_same_token(&outcomes);
    sandbox.rds_token(["cache", "clear"]).succeeds();
    assert_eq!(sandbox.cached("lock").len(), 0, "no process holds a lock");
}
