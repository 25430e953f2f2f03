//! Secrets do not appear in messages, process arguments or core dumps.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{HOST, KEYS, PROGRAM, Run, Sandbox, Server, TARGET, has, rfc3339, skip, texts};

const ROLE: &str = "arn:aws:iam::123456789012:role/lab";

/// Returns a unique text.
fn canary(name: &str) -> String {
    let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
    format!("canary{name}{random}")
}

/// Some debug messages of the AWS crates contain session tokens, so they are not compiled into the program.
#[test]
fn no_message_below_info_is_compiled_in() {
    assert_eq!(tracing::level_filters::STATIC_MAX_LEVEL, tracing::level_filters::LevelFilter::INFO);
}

/// A thread that searches the arguments of all processes for secrets.
struct ArgumentWatch {
    is_stopped: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<BTreeSet<String>>,
    control: String,
}

impl ArgumentWatch {
    fn start(secrets: &[&String]) -> Self {
        let control = canary("control");
        let texts: Vec<String> = secrets.iter().copied().chain([&control]).cloned().collect();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_stopped);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !flag.load(Ordering::SeqCst) {
                for process in std::fs::read_dir("/proc").unwrap().flatten() {
                    let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line);
                    seen.extend(texts.iter().filter(|text| line.contains(*text)).cloned());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        Self { is_stopped, thread, control }
    }

    /// Fails if a secret was seen, or if an argument that the test passes on purpose was not seen.
    fn assert_saw_no_secret(self, sandbox: &Sandbox) {
        let mut control = sandbox.command("sh").args(["-c", "sleep 1", &self.control]).spawn().unwrap();
        control.wait().unwrap();
        self.is_stopped.store(true, Ordering::SeqCst);
        assert_eq!(self.thread.join().unwrap(), BTreeSet::from([self.control]));
    }
}

/// Runs the program with every setting that makes programs verbose, and checks its output for secrets: stderr may
/// contain none, and stdout only the session token, which is part of a token.
fn run_checked(run: Run, secrets: &[&String], session: &String) -> Output {
    let run = run.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    let about = format!("{:?}", run.command.get_args());
    let output = run.output();
    let (stdout, stderr) = texts(&output);
    for secret in secrets {
        assert!(!stderr.contains(*secret), "{about}: {stderr}");
        assert!(*secret == session || !stdout.contains(*secret), "{about}: {stdout}");
    }
    assert!(!stdout.contains(session) || stdout.contains("X-Amz-Security-Token"), "{about}: {stdout}");
    for part in ["X-Amz-Signature", "internal error", "panicked", "backtrace"] {
        assert!(!stderr.contains(part), "{about}: {stderr}");
    }
    assert!(output.status.code().is_some(), "{about}: {}", output.status);
    output
}

/// Returns the parts of a request that contain secrets, on one line without markup.
fn secret_parts(head: &str, body: &str) -> String {
    let parts = head.lines().chain(body.split('&')).filter(|part| part.contains("canary"));
    parts.collect::<Vec<_>>().join(" ").replace(['<', '>', '&', '"'], " ")
}

/// Returns command lines for every command. Some of them fail.
fn command_lines(postgres: &str) -> Vec<Vec<&str>> {
    let mut lines: Vec<Vec<&str>> = [
        &[TARGET][..],
        &["token", "prod", "-n"],
        &[TARGET, "--output", "json"],
        &[postgres, "--output", "url", "--refresh"],
        &[TARGET, "--no-cache"],
        &["cnf", TARGET, "--flavor", "mysql"],
        &["cnf", TARGET, "--flavor", "mariadb"],
        &["cnf", TARGET, "--flavor", "library", "--stdout"],
        &["pgpass", postgres],
        &["env", TARGET, "--shell", "sh", "--no-secret"],
        &["env", "--shell", "fish", "--unset"],
        &["connect", TARGET, "--", "sh", "-c", "sleep 0.1; exit 3"],
        &["exec", postgres, "--", "sh", "-c", "sleep 0.1"],
        &["cache", "path"],
        &["cache", "list"],
        &["cache", "clear", TARGET],
        &["cache", "clear"],
        &["targets"],
        &["inspect"],
        &["policy", TARGET, "--account", "123456789012", "--any-database"],
        &["policy", TARGET],
        &["sql", TARGET],
        &["sql", TARGET, "--apply", "--master-secret"],
        &["setup", "--id", "db", "--user", "app", "--yes"],
        &["inspect", "-q", "hunter2"],
        &["inspect", "canary&X-Amz-Signature=a", "b"],
        &["doctor", TARGET, "--via", "127.0.0.1:1"],
        &["doctor", TARGET, "--via", "127.0.0.1:1", "--output", "json"],
        &["ca"],
        &["man"],
        &["help"],
        &["--version"],
        // Failures.
        &["nonsense"],
        &[TARGET, "--nonsense"],
        &["token", "u@h\n.x:1"],
        &[TARGET, "--region", "us-east-1"],
        &[TARGET, "--profile", "absent"],
        &[TARGET, "--role-arn", ROLE],
        &["connect", TARGET, "--role-arn", ROLE, "--", "true"],
        &[TARGET, "--role-arn", ROLE, "--no-cache", "--timeout", "1ms"],
        &["cnf", postgres],
        &["cnf", TARGET, "--flavor", "nosuch"],
        &["pgpass", TARGET, "--ca", "/nonexistent"],
        &["env", "a b@db.abc123.eu-west-1.rds.amazonaws.com:5432", "--shell", "dotenv"],
        &["env", TARGET, "--shell", "nosuch"],
        &["env", "--shell", "dotenv", "--unset"],
        &["connect", TARGET, "--", "no-such-program"],
        &["connect", "nosuch"],
        &["cache", "burn"],
        &["cache", "clear", "-P", "x"],
        &["init", "nosuch"],
        &["completions"],
    ]
    .map(<[&str]>::to_vec)
    .into();
    for shell in ["sh", "bash", "zsh", "fish", "powershell", "nushell", "cmd", "dotenv", "github"] {
        lines.push(vec!["env", TARGET, "--shell", shell]);
        lines.push(vec!["env", postgres, "--shell", shell]);
    }
    for shell in ["bash", "zsh", "fish", "powershell"] {
        lines.extend([vec!["init", shell], vec!["completions", shell]]);
    }
    lines
}

#[test]
fn no_command_shows_the_keys_of_the_environment() {
    let sandbox = Sandbox::new();
    let (secret, session) = (canary("secret"), canary("session"));
    let secrets = [&secret, &session];
    let watch = ArgumentWatch::start(&secrets);
    // The server's error quotes its own secrets and those in the request.
    let (quoted_session, quoted_secret) = (session.clone(), secret.clone());
    let sts = Server::start(move |head, body| {
        let text = format!("{quoted_session} {quoted_secret} {}", secret_parts(head, body));
        (
            403,
            format!("<ErrorResponse><Error><Code>AccessDenied</Code><Message>{text}</Message></Error></ErrorResponse>"),
        )
    });
    let config = sandbox.write("c.toml", &format!("[target.prod]\nhost = '{HOST}'\nuser = 'app'\nport = 3306\n"));
    let broken = sandbox.write("broken.toml", "[target.prod]\nhots = 1\n");
    let github = sandbox.write("github_env", "");
    let run = |args: &[&str]| {
        let run = sandbox.without_keys(args).env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("RDS_TOKEN_CONFIG", &config);
        let run = run.env("AWS_SECRET_ACCESS_KEY", &secret).env("AWS_SESSION_TOKEN", &session);
        run.env("AWS_ENDPOINT_URL_STS", &sts.url).env("GITHUB_ENV", &github)
    };
    let postgres = format!("postgres://app@{HOST}/ExampleDB");
    let mut tokens = 0;
    for line in &command_lines(&postgres) {
        let end = line.iter().position(|word| *word == "--").unwrap_or(line.len());
        let verbose = [&line[..end], &["-v"], &line[end..]].concat();
        for line in [line, &verbose] {
            let (stdout, _) = texts(&run_checked(run(line), &secrets, &session));
            tokens += usize::from(stdout.contains(&session));
        }
    }
    assert!(tokens > 20, "the session token was on stdout only {tokens} times");
    // Without a usable cache, configuration or environment.
    for line in [&[TARGET, "-v"][..], &["env", TARGET, "--shell", "sh", "-v"], &["cnf", TARGET, "--flavor", "mysql"]] {
        for (name, value) in [
            ("RDS_TOKEN_CACHE_DIR", "relative"),
            ("RDS_TOKEN_CACHE_DIR", "/proc/nowhere"),
            ("RDS_TOKEN_CACHE", "nowhere"),
            ("RDS_TOKEN_CONFIG", broken.to_str().unwrap()),
            ("AWS_CREDENTIAL_EXPIRATION", "soon"),
            ("AWS_CREDENTIAL_EXPIRATION", "2001-01-01T00:00:00Z"),
            ("AWS_ACCESS_KEY_ID", "two words"),
            ("AWS_REGION", "\u{1b}"),
        ] {
            run_checked(run(line).env(name, value), &secrets, &session);
        }
        let mut full = run(line);
        full.command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(run_checked(full, &secrets, &session).status.code(), Some(1));
    }
    for value in [format!("{secret} {secret}"), format!("{secret}\n"), secret.repeat(1_000)] {
        let output = run_checked(run(&[TARGET]).env("AWS_SECRET_ACCESS_KEY", value), &secrets, &session);
        assert_eq!(output.status.code(), Some(3));
    }
    watch.assert_saw_no_secret(&sandbox);
}

/// Returns credentials as a container endpoint, the metadata service or a `credential_process` returns them.
fn credentials_json(secret: &str, session: &str) -> String {
    let end = rfc3339(3600);
    format!(
        "{{\"Version\":1,\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"LastUpdated\":\"{end}\",\"AccessKeyId\":\"ASIAX\",\
         \"SecretAccessKey\":\"{secret}\",\"Token\":\"{session}\",\"SessionToken\":\"{session}\",\"Expiration\":\"{end}\"}}"
    )
}

/// Starts a server that returns credentials like every service of AWS.
fn serve_credentials(secret: &str, session: &str) -> Server {
    let xml = format!(
        "<Credentials><AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{session}</SessionToken><Expiration>{}</Expiration></Credentials>",
        rfc3339(3600)
    );
    let [role, web] = ["AssumeRole", "AssumeRoleWithWebIdentity"]
        .map(|action| format!("<{action}Response><{action}Result>{xml}</{action}Result></{action}Response>"));
    let sso = format!(
        "{{\"roleCredentials\":{{\"accessKeyId\":\"ASIAX\",\"secretAccessKey\":\"{secret}\",\
         \"sessionToken\":\"{session}\",\"expiration\":4000000000000}}}}"
    );
    let json = credentials_json(secret, session);
    Server::start(move |head, body| match head.split(' ').nth(1).unwrap().split('?').next().unwrap() {
        "/federation/credentials" => (200, sso.clone()),
        "/pod" | "/latest/meta-data/iam/security-credentials/r" => (200, json.clone()),
        "/latest/api/token" => (200, "imds".to_owned()),
        "/latest/meta-data/iam/security-credentials/" => (200, "r".to_owned()),
        _ if body.contains("WebIdentity") => (200, web.clone()),
        _ => (200, role.clone()),
    })
}

/// Starts servers that fail. The first three quote the secrets of the request: in an error of AWS, in another error,
/// and as the result. The last returns incomplete credentials.
fn serve_quotes(secret: &str) -> [Server; 4] {
    let quoting = |status: u16, format: fn(&str) -> String| {
        Server::start(move |head, body| (status, format(&secret_parts(head, body))))
    };
    let incomplete = format!("{{\"SecretAccessKey\":\"{secret}\",<SecretAccessKey>{secret}");
    [
        quoting(403, |text| {
            format!("<ErrorResponse><Error><Code>X</Code><Message>{text}</Message></Error></ErrorResponse>")
        }),
        quoting(403, |text| format!("{{\"message\":\"{text}\",\"code\":\"X\"}}")),
        quoting(200, str::to_owned),
        Server::start(move |_, _| (200, incomplete.clone())),
    ]
}

/// Writes profiles with and without usable credentials. The profiles `p0` to `p4` name a helper program each, of which
/// only the first succeeds.
fn write_profiles(sandbox: &Sandbox, secret: &str, session: &str, json: &str) {
    let mut config = format!(
        "[profile r]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\naws_access_key_id = AKID\n\
         aws_secret_access_key = {secret}\naws_session_token = {session}\n\
         [profile sso]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = r\n\
         [sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://x/start\n\
         [profile half]\naws_secret_access_key = {secret}\n[profile blank]\naws_access_key_id = A\n\
         aws_secret_access_key = {secret} {secret}\n"
    );
    let helpers = [
        format!("sleep 0.1; cat <<'E'\n{json}\nE"),
        format!("cat <<'E'\n{json}\nE\necho locked >&2; exit 1"),
        format!("cat <<'E'\n{}\nE", json.replace("\"Version\":1", "\"Version\":9")),
        format!("cat <<'E'\n{{\"Version\":1,\"SecretAccessKey\":\"{secret}\"}}\nE"),
        format!("echo secret {secret} {session}"),
    ];
    for (number, body) in helpers.iter().enumerate() {
        let path = sandbox.write(&format!("helper{number}"), &format!("#!/bin/sh\n{body}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        config += &format!("[profile p{number}]\ncredential_process = {}\n", path.display());
    }
    sandbox.write(".aws/config", &config);
}

/// Every source of credentials, both when it succeeds and when it fails.
#[test]
fn no_source_of_credentials_shows_a_secret() {
    let sandbox = Sandbox::new();
    let [secret, session, portal, jwt, pod] = ["secret", "session", "portal", "jwt", "pod"].map(canary);
    let secrets = [&secret, &session, &portal, &jwt, &pod];
    let watch = ArgumentWatch::start(&secrets);
    let json = credentials_json(&secret, &session);
    let good = serve_credentials(&secret, &session);
    let bad = serve_quotes(&secret);
    let jwt_file = sandbox.write("jwt", &jwt);
    let pod_file = sandbox.write("pod", &pod);
    let token = serde_json::json!({
        "startUrl": "https://x/start", "region": "eu-west-1", "accessToken": portal, "expiresAt": rfc3339(3600),
    });
    for file in ["34c6fceca75e456f25e7e99531e2425c6c1de443", "x"] {
        sandbox.write(&format!(".aws/sso/cache/{file}.json"), &token.to_string());
    }
    write_profiles(&sandbox, &secret, &session, &json);
    let from = |args: &[&str], server: &Server| {
        let run = sandbox.without_keys([&[TARGET, "-v", "--refresh", "--timeout", "5s"], args].concat());
        run.env("AWS_ENDPOINT_URL", &server.url)
    };
    let with_role = |run: Run| run.env("AWS_ROLE_ARN", ROLE);
    let sources = |server: &Server| {
        let pod_url = format!("{}/pod", server.url);
        vec![
            from(&["--profile", "r"], server),
            from(&["--profile", "sso"], server),
            with_role(from(&[], server)).env("AWS_WEB_IDENTITY_TOKEN_FILE", &jwt_file),
            from(&[], server)
                .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &pod_url)
                .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", &pod),
            from(&[], server)
                .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &pod_url)
                .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &pod_file),
            from(&[], server)
                .without("AWS_EC2_METADATA_DISABLED")
                .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url),
        ]
    };
    let profiles =
        |names: &[&str]| -> Vec<Run> { names.iter().map(|name| from(&["--profile", name], &good)).collect() };
    for run in sources(&good).into_iter().chain(profiles(&["base", "p0"])) {
        let (stdout, stderr) = texts(&run_checked(run, &secrets, &session));
        assert!(stdout.contains(&session), "{stderr}");
    }
    for run in bad.iter().flat_map(sources).chain(profiles(&["p1", "p2", "p3", "p4", "half", "blank"])) {
        let about = format!("{:?} {:?}", run.command.get_args(), run.command.get_envs());
        // Remove the sessions of earlier runs, which this run would use.
        let _ = std::fs::remove_dir_all(sandbox.path("home/.aws/cli"));
        let output = run_checked(run, &secrets, &session);
        assert!(output.stdout.is_empty() && matches!(output.status.code(), Some(3 | 4)), "{about}: {output:?}");
    }
    // A file that can't be parsed is not quoted.
    for text in [
        format!("[default]\naws_secret_access_key {secret}\n"),
        format!("[default\naws_secret_access_key = {secret}\n"),
        format!("aws_secret_access_key = {secret}\n"),
        format!("[default]\n{secret}\n"),
        format!("[default]\nx =\n {secret}\n"),
    ] {
        sandbox.write(".aws/credentials", &text);
        let output = run_checked(from(&[], &good), &secrets, &session);
        assert!(!output.status.success(), "{text}");
    }
    watch.assert_saw_no_secret(&sandbox);
}

/// Waits until a process has reached a phase. Fails after a minute.
#[track_caller]
fn wait_for(phase: &str, mut is_reached: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_reached() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{phase} is not reached");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Aborts the process, and returns whether a core was dumped.
fn dumps_core(child: &mut Child) -> bool {
    kill_process(Pid::from_child(child), Signal::ABORT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(6), "{status}");
    status.core_dumped()
}

/// The argument of `prlimit` that allows core dumps.
const CORE_LIMIT: &str = "--core=unlimited";

/// Returns the reason that this machine can't run the test of core dumps. `None` if it can.
fn reason_without_dumps(sandbox: &Sandbox) -> Option<&'static str> {
    if !has("prlimit") {
        return Some("prlimit is not installed");
    }
    if !sandbox.command("prlimit").args([CORE_LIMIT, "true"]).output().unwrap().status.success() {
        return Some("this machine does not allow core dumps");
    }
    let mut sleep = sandbox.command("prlimit").args([CORE_LIMIT, "sleep", "30"]).spawn().unwrap();
    wait_for("sleep", || std::fs::read(format!("/proc/{}/cmdline", sleep.id())).unwrap().starts_with(b"sleep"));
    if !dumps_core(&mut sleep) {
        return Some("this machine writes no core dumps");
    }
    for core in core_files(sandbox) {
        let _ = std::fs::remove_file(core);
    }
    None
}

fn core_files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let is_core = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("core");
    std::fs::read_dir(sandbox.path("")).unwrap().map(|entry| entry.unwrap().path()).filter(is_core).collect()
}

/// Aborts the program while it reads profiles, fetches credentials, waits for another process, and prints.
#[test]
fn no_phase_dumps_a_core() {
    let sandbox = Sandbox::new();
    if let Some(why) = reason_without_dumps(&sandbox) {
        return skip("no_phase_dumps_a_core", why);
    }
    let secret = canary("secret");
    let sts = Server::sts(Duration::from_secs(60), 3600);
    let pipe = sandbox.path("pipe");
    assert!(sandbox.command("mkfifo").arg(&pipe).status().unwrap().success());
    for name in ["helper", "bin/mysql"] {
        let path = sandbox.write(name, "#!/bin/sh\n: >~/reached\nexec sleep 30\n");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let helper = sandbox.path("home/helper");
    sandbox.write(".aws/config", &format!("[profile p]\ncredential_process = {}\n", helper.display()));
    let reached = sandbox.path("home/reached");
    let start = |args: &[&str], vars: &[(&str, &str)]| {
        let _ = std::fs::remove_file(&reached);
        let mut command = sandbox.command("prlimit");
        command.args([CORE_LIMIT, PROGRAM]).args(args).envs(vars.iter().copied());
        command.env("AWS_ACCESS_KEY_ID", "AKID").env("AWS_SECRET_ACCESS_KEY", &secret);
        command.env("AWS_ENDPOINT_URL_STS", &sts.url);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };

    let mut child = start(&[TARGET, "--profile", "p"], &[]);
    wait_for("credential_process", || reached.exists());
    assert!(!dumps_core(&mut child), "in credential_process");

    let mut leader = start(&[TARGET, "--role-arn", ROLE], &[]);
    wait_for("STS", || sts.requests() == 1);
    let mut waiting = start(&[TARGET, "--role-arn", ROLE, "-v"], &[]);
    let mut stderr_lines = BufReader::new(waiting.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(stderr_lines.any(|line| line.contains("waiting for another rds-token")));
    assert!(!dumps_core(&mut waiting), "while it waits for another process");
    assert!(!dumps_core(&mut leader), "during the request to STS");

    let path = format!("{}:/usr/bin:/bin", sandbox.path("home/bin").display());
    let mut child = start(&["cnf", TARGET], &[("PATH", &path)]);
    wait_for("the client's version", || reached.exists());
    assert!(!dumps_core(&mut child), "while it queries the version of a client");

    let profile = ["--profile", "p"];
    let mut child = start(&[&[TARGET], &profile[..]].concat(), &[("AWS_CONFIG_FILE", pipe.to_str().unwrap())]);
    // Returns once the program has opened the pipe for reading.
    let writer = std::fs::File::options().write(true).open(&pipe).unwrap();
    assert!(!dumps_core(&mut child), "while it reads the profiles");
    drop(writer);

    assert_no_dump_while_printing(&sandbox);
    assert_eq!(core_files(&sandbox), Vec::<PathBuf>::new());
}

/// Aborts the program while it blocks on a pipe that is full.
fn assert_no_dump_while_printing(sandbox: &Sandbox) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(&[0; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
    let mut command = sandbox.command("prlimit");
    command.args([CORE_LIMIT, PROGRAM, TARGET]).stdout(writer).envs(KEYS);
    let mut child = command.spawn().unwrap();
    wait_for("the token", || !sandbox.cached("token").is_empty());
    std::thread::sleep(Duration::from_millis(300));
    assert!(!dumps_core(&mut child), "while it prints");
    drop(reader);
}
