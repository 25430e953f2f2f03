//! Logins with real clients into real servers, which take IAM tokens and nothing else.
//!
//! `lab/lab.py` runs the servers; its verifier judges each token, and shares no code with the program.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use rds_token::credentials::Credentials;
use rds_token::target::{Parts, Target};
use rds_token::token::sign;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::harness::{Run, Sandbox, skip, texts};

/// What the lab says of itself when it is ready.
#[derive(Deserialize)]
struct Lab {
    ca: String,
    other_ca: String,
    host: String,
    outside_host: String,
    region: String,
    hosts_file: String,
    nss_wrapper: String,
    mariadb: Server,
    postgres: Server,
    user: String,
    users: Vec<String>,
    database: String,
    keys: Vec<Key>,
    verdicts: String,
    /// Ends the lab when this process does.
    #[serde(skip)]
    _stdin: Option<ChildStdin>,
}

#[derive(Deserialize)]
struct Server {
    port: u16,
}

#[derive(Clone, Deserialize)]
struct Key {
    name: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// What the verifier said of one token.
#[derive(Deserialize)]
struct Verdict {
    ok: bool,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Engine {
    Mariadb,
    Postgres,
}

use Engine::{Mariadb, Postgres};

/// One lab for all tests; they take turns, so that the last verdict is their own.
static LAB: LazyLock<Option<Mutex<Lab>>> = LazyLock::new(|| Lab::start().map(Mutex::new));

fn lab(test: &str) -> Option<MutexGuard<'static, Lab>> {
    let Some(lab) = &*LAB else {
        skip(test, "the lab did not start; tests/lab/install installs what it needs");
        return None;
    };
    Some(lab.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

impl Lab {
    fn start() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/lab.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).args(["run", "all"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child: Child = command.spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
        let mut lab: Self = serde_json::from_str(&line).ok()?;
        lab._stdin = child.stdin.take();
        Some(lab)
    }

    fn key(&self, name: &str) -> Key {
        self.keys.iter().find(|key| key.name == name).unwrap().clone()
    }

    fn port(&self, engine: Engine) -> u16 {
        match engine {
            Mariadb => self.mariadb.port,
            Postgres => self.postgres.port,
        }
    }

    fn target(&self, engine: Engine, user: &str) -> Target {
        let parts = Parts {
            host: Some(self.host.clone()),
            port: Some(self.port(engine).to_string()),
            user: Some(user.to_owned()),
            ..Parts::default()
        };
        parts.validate(None, || Ok(None)).unwrap()
    }

    /// The program, asked for a token with this key.
    fn rds_token(&self, sandbox: &Sandbox, engine: Engine, user: &str, key: &Key) -> Run {
        let port = self.port(engine).to_string();
        let run = sandbox.without_keys(["--host", &self.host, "--port", &port, "--user", user]);
        let run = run.env("AWS_ACCESS_KEY_ID", &key.access_key_id);
        let run = run.env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key);
        match &key.session_token {
            Some(token) => run.env("AWS_SESSION_TOKEN", token),
            None => run,
        }
    }

    /// The engine's own client, which verifies the name of `host` by `ca`, with `token` as its password.
    fn client(&self, engine: Engine, host: &str, ca: &str, user: &str, token: &str) -> Output {
        let sandbox = Sandbox::new();
        let port = self.port(engine).to_string();
        let mut command = match engine {
            Mariadb => {
                let mut command = sandbox.command("mariadb");
                command.args(["--no-defaults", "--batch", "--skip-column-names", "--ssl-verify-server-cert"]);
                command.arg(format!("--ssl-ca={ca}")).arg(format!("--password={token}"));
                command.args(["-h", host, "-P", &port, "-u", user, "-e", "select * from greeting", &self.database]);
                command
            }
            Postgres => {
                let mut command = sandbox.command("psql");
                command.args(["-X", "--no-password", "-At", "-c", "select * from greeting"]);
                command.env("PGHOST", host).env("PGPORT", &port).env("PGUSER", user).env("PGPASSWORD", token);
                command.env("PGDATABASE", &self.database).env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", ca);
                command
            }
        };
        self.on_loopback(&mut command).output().unwrap()
    }

    /// Lets the names of the lab's endpoints be found on loopback.
    fn on_loopback<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("LD_PRELOAD", &self.nss_wrapper).env("NSS_WRAPPER_HOSTS", &self.hosts_file)
    }

    #[track_caller]
    fn logs_in(&self, engine: Engine, user: &str, token: &str) {
        let (stdout, stderr) = texts(&self.client(engine, &self.host, &self.ca, user, token));
        let greeting = if engine == Mariadb { "hello from mariadb\n" } else { "hello from postgres\n" };
        assert_eq!((stdout.as_str(), stderr.as_str()), (greeting, ""));
    }

    /// The login fails, and the verifier says why.
    #[track_caller]
    fn is_refused(&self, engine: Engine, user: &str, token: &str, reason: &str) {
        let before = self.verdicts().len();
        let (stdout, stderr) = texts(&self.client(engine, &self.host, &self.ca, user, token));
        let expected = if engine == Mariadb { "ERROR 1045" } else { "PAM authentication failed" };
        assert!(stdout.is_empty() && stderr.contains(expected), "{engine:?}, {reason}: {stderr}");
        let verdicts = self.verdicts();
        let said = verdicts.get(before).unwrap_or_else(|| panic!("{engine:?}, {reason}: no verdict"));
        assert_eq!((said.ok, said.reason.as_str()), (false, reason), "{engine:?}");
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let text = std::fs::read_to_string(&self.verdicts).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn static_and_session_keys_log_in_cold_and_cached() {
    let Some(lab) = lab("static_and_session_keys_log_in_cold_and_cached") else { return };
    for engine in [Mariadb, Postgres] {
        for name in ["static", "session", "long", "huge"] {
            let sandbox = Sandbox::new();
            let get = || lab.rds_token(&sandbox, engine, &lab.user, &lab.key(name)).succeeds();
            let cold = get();
            lab.logs_in(engine, &lab.user, cold.trim_end());
            let cached = get();
            assert_eq!(cached, cold);
            lab.logs_in(engine, &lab.user, cached.trim_end());
        }
    }
}

#[test]
fn users_with_odd_names_log_in() {
    let Some(lab) = lab("users_with_odd_names_log_in") else { return };
    for engine in [Mariadb, Postgres] {
        for user in &lab.users {
            let token = lab.rds_token(&Sandbox::new(), engine, user, &lab.key("session")).succeeds();
            lab.logs_in(engine, user, token.trim_end());
        }
    }
}

#[test]
fn a_url_logs_in() {
    let Some(lab) = lab("a_url_logs_in") else { return };
    let sandbox = Sandbox::new();
    let target = format!("postgres://{}@{}:{}/{}", lab.user, lab.host, lab.postgres.port, lab.database);
    let key = lab.key("long");
    let run = sandbox.without_keys([&target, "--output", "url", "--ca", &lab.ca]);
    let run = run.env("AWS_ACCESS_KEY_ID", &key.access_key_id).env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key);
    let url = run.env("AWS_SESSION_TOKEN", key.session_token.unwrap()).succeeds();
    let mut psql = sandbox.command("psql");
    psql.args(["-X", "-At", url.trim_end(), "-c", "select * from greeting"]);
    let (stdout, stderr) = texts(&lab.on_loopback(&mut psql).output().unwrap());
    assert_eq!((stdout.as_str(), stderr.as_str()), ("hello from postgres\n", ""));
}

/// So that the verifier is known to judge: each part of a good token, made wrong.
#[test]
fn what_is_wrong_is_refused() {
    let Some(lab) = lab("what_is_wrong_is_refused") else { return };
    let user = lab.user.as_str();
    let (fixed, session) = (lab.key("static"), lab.key("session"));
    let keys = |key: &Key| {
        Credentials::new(key.access_key_id.clone(), key.secret_access_key.clone(), key.session_token.clone(), None)
            .unwrap()
    };
    let now = OffsetDateTime::now_utc();
    let text = |target: &Target, key: &Key, at| sign(target, &keys(key), at).unwrap().expose().clone();
    for engine in [Mariadb, Postgres] {
        let target = lab.target(engine, user);
        let good = text(&target, &fixed, now);
        lab.logs_in(engine, user, &good);

        let with = |change: &dyn Fn(&mut Target)| {
            let mut other = target.clone();
            change(&mut other);
            text(&other, &fixed, now)
        };
        lab.is_refused(engine, user, &with(&|t| t.user = "other".into()), "user");
        lab.is_refused(engine, user, &with(&|t| t.host = format!("x{}", lab.host)), "host");
        lab.is_refused(engine, user, &with(&|t| t.port += 1), "port");
        lab.is_refused(engine, user, &with(&|t| t.region = "us-east-1".into()), "region");
        lab.is_refused(engine, user, &text(&target, &fixed, now - Duration::from_secs(905)), "age");
        lab.is_refused(engine, user, &text(&target, &fixed, now + Duration::from_secs(600)), "age");
        let unknown = Key { access_key_id: "AKIDUNKNOWN".into(), ..fixed.clone() };
        lab.is_refused(engine, user, &text(&target, &unknown, now), "key");
        let wrong = Key { secret_access_key: "wrong".into(), ..fixed.clone() };
        lab.is_refused(engine, user, &text(&target, &wrong, now), "signature");
        for token in [None, Some("other".to_owned())] {
            let wrong = Key { session_token: token, ..session.clone() };
            lab.is_refused(engine, user, &text(&target, &wrong, now), "session-token");
        }
        for length in [good.len() - 1, 79] {
            lab.is_refused(engine, user, &good[..length], "malformed");
        }
    }
    assert_eq!(lab.region, "eu-west-1");
}

#[test]
fn a_server_that_is_not_the_endpoint_gets_no_token() {
    let Some(lab) = lab("a_server_that_is_not_the_endpoint_gets_no_token") else { return };
    for engine in [Mariadb, Postgres] {
        let token = lab.rds_token(&Sandbox::new(), engine, &lab.user, &lab.key("static")).succeeds();
        let before = lab.verdicts().len();
        for (host, ca) in [(&lab.host, &lab.other_ca), (&lab.outside_host, &lab.ca)] {
            let output = lab.client(engine, host, ca, &lab.user, token.trim_end());
            assert!(!output.status.success(), "{engine:?}, {host}");
        }
        assert_eq!(lab.verdicts().len(), before, "{engine:?}: a password got through");
    }
}
