//! One lab for all tests: real servers that accept only IAM tokens, and their clients.
//!
//! `lab/lab.py` runs the servers. Its verifier checks each token and shares no code with the program.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard};

use rds_token::testing::{Target, TargetSpec};
use serde::Deserialize;

use crate::harness::{Run, Sandbox, includes_ignored, skip, texts};

/// The description that the lab prints when it is ready.
#[derive(Deserialize)]
pub(crate) struct Lab {
    pub(crate) ca: String,
    pub(crate) other_ca: String,
    pub(crate) host: String,
    pub(crate) outside_host: String,
    /// The host name of PostgreSQL as a cluster of Aurora DSQL.
    pub(crate) dsql_host: String,
    pub(crate) region: String,
    pub(crate) hosts_file: String,
    pub(crate) nss_wrapper: String,
    pub(crate) mariadb: Server,
    pub(crate) mysql: Server,
    pub(crate) postgres: Server,
    /// `None` if no KDC is installed.
    pub(crate) kerberos: Option<Kerberos>,
    /// The superuser of all servers, by their sockets.
    pub(crate) admin: String,
    pub(crate) user: String,
    pub(crate) users: Vec<String>,
    pub(crate) database: String,
    /// The password of the master users.
    pub(crate) master_password: String,
    pub(crate) keys: Vec<Key>,
    pub(crate) verdicts: String,
    /// The lab stops when this pipe is closed, at the latest when this process exits.
    #[serde(skip)]
    _stdin: Option<ChildStdin>,
}

#[derive(Deserialize)]
pub(crate) struct Server {
    pub(crate) port: u16,
    /// The unix socket of MariaDB or MySQL, or the directory of PostgreSQL's.
    pub(crate) socket: String,
    /// The directory of the clients that are not on PATH.
    #[serde(default)]
    pub(crate) bin: Option<std::path::PathBuf>,
    /// The master user, which logs in with a password.
    pub(crate) master: String,
}

/// The KDC, and a user that gets tickets from it.
#[derive(Deserialize)]
pub(crate) struct Kerberos {
    pub(crate) config: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

/// The verifier's decision about one token.
#[derive(Deserialize)]
pub(crate) struct Verdict {
    pub(crate) ok: bool,
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Engine {
    Mariadb,
    Postgres,
}

pub(crate) use Engine::{Mariadb, Postgres};

/// One lab for all tests. Each test locks the lab, so that the last verdict belongs to that test.
///
/// The lab is started a second time if it fails, because another process may take a free port before the server does.
static LAB: LazyLock<Option<Mutex<Lab>>> = LazyLock::new(|| Lab::start().or_else(Lab::start).map(Mutex::new));

/// Locks the lab. `None` if it did not start; the test is then skipped.
pub(crate) fn lab(test: &str) -> Option<MutexGuard<'static, Lab>> {
    assert!(includes_ignored(), "{test} starts servers; mark it #[ignore = \"needs database servers\"]");
    let Some(lab) = &*LAB else {
        skip(test, "the database servers did not start; run `make setup`");
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

    pub(crate) fn key(&self, name: &str) -> Key {
        self.keys.iter().find(|key| key.name == name).unwrap().clone()
    }

    pub(crate) fn port(&self, engine: Engine) -> u16 {
        match engine {
            Mariadb => self.mariadb.port,
            Postgres => self.postgres.port,
        }
    }

    pub(crate) fn target(&self, engine: Engine, user: &str) -> Target {
        let spec = TargetSpec {
            host: Some(self.host.clone()),
            port: Some(self.port(engine).to_string()),
            user: Some(user.to_owned()),
            ..TargetSpec::default()
        };
        spec.validate(None, || Ok(None)).unwrap().0
    }

    /// The program, run for a token with this key.
    pub(crate) fn rds_token(&self, sandbox: &Sandbox, engine: Engine, user: &str, key: &Key) -> Run {
        let port = self.port(engine).to_string();
        let run = sandbox.without_keys(["--host", &self.host, "--port", &port, "--user", user]);
        let run = run.env("AWS_ACCESS_KEY_ID", &key.access_key_id);
        let run = run.env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key);
        match &key.session_token {
            Some(token) => run.env("AWS_SESSION_TOKEN", token),
            None => run,
        }
    }

    /// Runs the engine's own client, which verifies `host` with `ca`, with `token` as the password.
    pub(crate) fn client(&self, engine: Engine, host: &str, ca: &str, user: &str, token: &str) -> Output {
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

    /// Makes the names of the lab's endpoints resolve to loopback.
    pub(crate) fn on_loopback<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("LD_PRELOAD", &self.nss_wrapper).env("NSS_WRAPPER_HOSTS", &self.hosts_file)
    }

    /// Asserts that the login succeeds.
    #[track_caller]
    pub(crate) fn logs_in(&self, engine: Engine, user: &str, token: &str) {
        let (stdout, stderr) = texts(&self.client(engine, &self.host, &self.ca, user, token));
        let greeting = if engine == Mariadb { "hello from mariadb\n" } else { "hello from postgres\n" };
        assert_eq!((stdout.as_str(), stderr.as_str()), (greeting, ""));
    }

    /// Asserts that the login fails, and that the verifier gives this reason.
    #[track_caller]
    pub(crate) fn is_refused(&self, engine: Engine, user: &str, token: &str, reason: &str) {
        let before = self.verdicts().len();
        let (stdout, stderr) = texts(&self.client(engine, &self.host, &self.ca, user, token));
        let expected = if engine == Mariadb { "ERROR 1045" } else { "PAM authentication failed" };
        assert!(stdout.is_empty() && stderr.contains(expected), "{engine:?}, {reason}: {stderr}");
        let verdicts = self.verdicts();
        let verdict = verdicts.get(before).unwrap_or_else(|| panic!("{engine:?}, {reason}: no verdict"));
        assert_eq!((verdict.ok, verdict.reason.as_str()), (false, reason), "{engine:?}");
    }

    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let text = std::fs::read_to_string(&self.verdicts).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
