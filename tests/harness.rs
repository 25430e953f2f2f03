//! The test harness: a private home directory, an empty environment, and a fake AWS on loopback.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where skipped tests are listed, shared with tests/summary.rs.
#[path = "summary/log.rs"]
mod summary;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_rds-token");

/// An endpoint whose name contains its region.
pub(crate) const HOST: &str = "db.abc123.eu-west-1.rds.amazonaws.com";
/// A complete target at this endpoint.
pub(crate) const TARGET: &str = "dbiamuser@db.abc123.eu-west-1.rds.amazonaws.com:3306";

/// Access keys that sign. They belong to no AWS account.
pub(crate) const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")];

/// A home directory for one test, removed when dropped.
pub(crate) struct Sandbox {
    directory: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let sandbox = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::create_dir(sandbox.path("home")).unwrap();
        sandbox
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Returns the cache directory.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path("home/.cache/rds-token")
    }

    /// Returns the files in the cache with this extension.
    pub(crate) fn cached(&self, extension: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.cache()).into_iter().flatten().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension() == Some(OsStr::new(extension))).collect()
    }

    /// Returns the file of the only token in the cache.
    pub(crate) fn cached_token(&self) -> PathBuf {
        let tokens = self.cached("token");
        assert_eq!(tokens.len(), 1, "{tokens:?}");
        tokens[0].clone()
    }

    /// Writes a file under the home directory.
    pub(crate) fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path("home").join(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Prepares a run of `program`. Its environment has a home directory and PATH, and turns off the metadata service.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Prepares a run of rds-token, with access keys in its environment.
    pub(crate) fn rds_token<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        let mut run = self.without_keys(args);
        run.command.envs(KEYS);
        run
    }

    /// Prepares a run of rds-token, without AWS credentials.
    pub(crate) fn without_keys<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        let mut command = self.command(PROGRAM);
        command.args(args);
        Run { command }
    }
}

/// A run of the program that has not started.
pub(crate) struct Run {
    pub(crate) command: Command,
}

impl Run {
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn output(mut self) -> Output {
        self.command.output().unwrap()
    }

    /// Runs the program. Panics unless it succeeds and prints nothing to stderr. Returns stdout.
    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        let (stdout, stderr) = self.warns();
        assert_eq!(stderr, "");
        stdout
    }

    /// Runs the program. Panics unless it succeeds. Returns stdout and stderr.
    #[track_caller]
    pub(crate) fn warns(self) -> (String, String) {
        let output = self.output();
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{}: {stderr}", output.status);
        (stdout, stderr)
    }

    /// Runs the program. Panics unless it fails with `code` and prints one line to stderr. stdout must be empty, or
    /// have a value that no client can use. Returns the line.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        let expected = output_on_failure(&self.command);
        let output = self.output();
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(code), expected), "{stderr}");
        let line = stderr.strip_prefix("rds-token: ").and_then(|text| text.strip_suffix('\n'));
        let line = line.unwrap_or_else(|| panic!("not a line of rds-token: {stderr:?}"));
        assert!(!line.contains(char::is_control), "{stderr:?}");
        line.to_owned()
    }
}

/// The output of `cnf` and `pgpass` if they fail.
pub(crate) const NO_FILE: &str = "/dev/null/rds-token-failed\n";

/// Returns the text that a failed command prints on stdout (docs/commands.md, "Output on failure").
fn output_on_failure(command: &Command) -> &'static str {
    let args: Vec<&str> = command.get_args().filter_map(OsStr::to_str).collect();
    let is_url = args.contains(&"--output=url") || args.windows(2).any(|pair| pair == ["--output", "url"]);
    match args.first().copied() {
        Some("cnf") if args.contains(&"--stdout") => "[client]\nhost=rds-token-failed.invalid\nprotocol=tcp\n",
        Some("cnf" | "pgpass") => NO_FILE,
        _ if is_url => "postgresql://rds-token-failed.invalid/\n",
        _ => "",
    }
}

/// Returns a command that runs `command` on a new terminal and types answers at its prompts, and the file that records
/// the terminal's output. `answers` are pairs of a part of a prompt, and what is typed there (`lab/terminal.py`).
pub(crate) fn on_terminal(sandbox: &Sandbox, command: &Command, answers: &[(&str, &str)]) -> (Command, PathBuf) {
    let transcript = sandbox.path("transcript");
    let mut terminal = sandbox.command("/usr/bin/python3");
    terminal.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/terminal.py")).arg(&transcript);
    terminal.args(answers.iter().flat_map(|(prompt, answer)| [prompt, answer])).arg("--");
    terminal.arg(command.get_program()).args(command.get_args());
    terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    (terminal, transcript)
}

pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// Writes to stderr past libtest, which captures only what the print macros write.
pub(crate) fn print_uncaptured(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Whether this run includes the tests that are marked `#[ignore]`. `make test` does.
pub(crate) fn includes_ignored() -> bool {
    std::env::args().any(|arg| arg == "--include-ignored" || arg == "--ignored")
}

/// Skips a test that this machine can't run, or a part of it. The end of the run lists it (tests/summary.rs).
/// If all tests run and `CI` is set, the test fails instead.
pub(crate) fn skip(test: &str, why: &str) {
    let must_run = includes_ignored() && std::env::var_os("CI").is_some();
    assert!(!must_run, "{test} can't run: {why}");
    let log = summary::path();
    let file = std::fs::File::options().create(true).append(true).open(&log);
    let mut file = file.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    // One write for each line, because tests run at the same time.
    file.write_all(format!("{test}: {why}\n").as_bytes()).unwrap();
}

/// Returns whether `program` is on PATH.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    found.unwrap().success()
}

/// Returns whether this machine allows mounts in a private namespace.
pub(crate) fn can_mount() -> bool {
    let mut mount = Command::new("unshare");
    mount.args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).stderr(Stdio::null());
    mount.status().is_ok_and(|status| status.success())
}

pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// A response of [`Server`]: status and body.
pub(crate) type Answer = (u16, String);

/// A loopback HTTP server that counts its requests.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Starts a server. `answer` gets the head of a request (request line and headers) and its body.
    pub(crate) fn start(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(String::new, answer)
    }

    /// Starts a server that adds `headers` to its answers. Each header ends with a line break.
    pub(crate) fn start_with(
        headers: impl Fn() -> String + Send + Sync + 'static,
        answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (count, answer, headers) = (Arc::clone(&requests), Arc::new(answer), Arc::new(headers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, answer, headers) = (Arc::clone(&count), Arc::clone(&answer), Arc::clone(&headers));
                std::thread::spawn(move || {
                    let Some((head, body)) = read_request(&stream) else { return };
                    count.fetch_add(1, Ordering::SeqCst);
                    let (status, text) = answer(&head, &body);
                    let (length, headers) = (text.len(), headers());
                    let _ = write!(
                        &stream,
                        "HTTP/1.1 {status} X\r\n{headers}Content-Type: text/xml\r\n\
                         X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
                    );
                });
            }
        });
        Self { url, requests }
    }

    /// Starts a fake STS. It answers after `delay`, and its credentials expire after `lifetime` seconds.
    pub(crate) fn sts(delay: Duration, lifetime: i64) -> Self {
        Self::start(move |_, body| {
            std::thread::sleep(delay);
            (200, sts_answer(body, lifetime))
        })
    }

    /// Starts a fake STS that refuses every request.
    pub(crate) fn refusing_sts(delay: Duration) -> Self {
        Self::start(move |_, _| {
            std::thread::sleep(delay);
            let error = "<Error><Type>Sender</Type><Code>AccessDenied</Code>\
                         <Message>User: jane is not authorized to perform: sts:AssumeRole</Message></Error>";
            (403, format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"))
        })
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Returns the answer to `AssumeRole` or `AssumeRoleWithWebIdentity`, with new keys each time.
pub(crate) fn sts_answer(request: &str, lifetime: i64) -> String {
    let action = if request.contains("WebIdentity") { "AssumeRoleWithWebIdentity" } else { "AssumeRole" };
    let end = time::OffsetDateTime::now_utc() + time::Duration::seconds(lifetime);
    let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
    let number = fastrand::u64(..);
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>ASIA{number:016X}</AccessKeyId><SecretAccessKey>secret{number}</SecretAccessKey>\
         <SessionToken>session/{number}+=</SessionToken><Expiration>{end}</Expiration></Credentials>\
         </{action}Result></{action}Response>"
    )
}

/// Returns the answer to `SimulatePrincipalPolicy`: the ARNs that contain `allowed` are allowed.
pub(crate) fn simulation_answer<'a>(arns: impl Iterator<Item = &'a str>, allowed: &str) -> String {
    let result = |arn: &str| {
        let decision = if arn.contains(allowed) { "allowed" } else { "implicitDeny" };
        format!(
            "<member><EvalActionName>rds-db:connect</EvalActionName><EvalDecision>{decision}</EvalDecision>\
             <EvalResourceName>{arn}</EvalResourceName></member>"
        )
    };
    format!(
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>{}</EvaluationResults>\
         </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>",
        arns.map(result).collect::<String>()
    )
}

fn read_request(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

/// Returns the value of a query parameter of a token, without decoding it.
pub(crate) fn parameter<'a>(token: &'a str, name: &str) -> Option<&'a str> {
    token.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Returns the access key ID in a token.
pub(crate) fn key_id(token: &str) -> &str {
    parameter(token, "X-Amz-Credential").unwrap().split("%2F").next().unwrap()
}

pub(crate) fn rfc3339(seconds_from_now: i64) -> String {
    let time = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds_from_now);
    time.format(&time::format_description::well_known::Rfc3339).unwrap()
}
