//! Sessions shared with the AWS CLI itself, and the codes of MFA devices that begin them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{KEYS, PROGRAM, Run, Sandbox, Server, TARGET, key_id, rfc3339, skip, sts_answer, texts};

const ROLE: &str = "arn:aws:iam::123456789012:role/lab";
const DEVICE: &str = "arn:aws:iam::123456789012:mfa/jane";
const CODE: &str = "123456";

/// A sandbox with the profile `lab`: a role with these settings, over a user's keys.
fn with_role(settings: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".aws/config",
        &format!(
            "[profile lab]\nregion = eu-west-1\nrole_arn = {ROLE}\nsource_profile = user\n{settings}\n\
             [profile user]\naws_access_key_id = AKIDUSER\naws_secret_access_key = secret-of-the-user\n"
        ),
    );
    sandbox
}

/// An STS that begins sessions, wants the code where a device is named, and tells by whose keys it is asked.
fn sts() -> Server {
    Server::start(|head, body| {
        if body.contains("GetCallerIdentity") {
            let id = head.split("Credential=").nth(1).unwrap().split('/').next().unwrap();
            let result = format!("<Arn>arn:x</Arn><UserId>{id}</UserId><Account>123456789012</Account>");
            let result = format!("<GetCallerIdentityResult>{result}</GetCallerIdentityResult>");
            return (200, format!("<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"));
        }
        if body.contains("SerialNumber") && !body.contains(&format!("TokenCode={CODE}")) {
            let why = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
            let error = format!("<Error><Code>AccessDenied</Code><Message>{why}</Message></Error>");
            return (403, format!("<ErrorResponse>{error}</ErrorResponse>"));
        }
        (200, sts_answer(body, 3600))
    })
}

fn rds_token(sandbox: &Sandbox, sts: &Server, args: &[&str]) -> Run {
    let run = sandbox.without_keys([&[TARGET, "--profile", "lab"], args].concat());
    run.env("AWS_ENDPOINT_URL_STS", &sts.url)
}

/// The real AWS CLI, asking who it is.
fn aws(sandbox: &Sandbox, sts: &Server) -> Command {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/awscli");
    assert!(place.join("awscli").is_dir(), "there is no AWS CLI in {}: run `make test`", place.display());
    let mut command = sandbox.command("/usr/bin/python3");
    command.args(["-m", "awscli", "sts", "get-caller-identity", "--profile", "lab", "--query", "UserId"]);
    command.args(["--output", "text"]).env("PYTHONPATH", place).env("AWS_ENDPOINT_URL_STS", &sts.url);
    command
}

/// `command` on a terminal of its own, where `answer` is typed once a code is asked for; and the file that shows
/// what was on it.
fn on_terminal(sandbox: &Sandbox, command: &Command, answer: &str) -> (Command, PathBuf) {
    let transcript = sandbox.path("transcript");
    let mut terminal = sandbox.command("/usr/bin/python3");
    terminal.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/terminal.py"));
    terminal.arg(&transcript).args(["MFA code for", answer]).arg(command.get_program()).args(command.get_args());
    terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    (terminal, transcript)
}

#[track_caller]
fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    stdout
}

/// The access key id of the AWS CLI's session.
#[track_caller]
fn aws_key(sandbox: &Sandbox, sts: &Server) -> String {
    succeeds(aws(sandbox, sts)).trim().to_owned()
}

const SETTINGS: [&str; 5] = [
    "",
    "duration_seconds = 1800",
    "external_id = a=,.@:/-1",
    "role_session_name = jane",
    "duration_seconds = 1800\nexternal_id = xy\nrole_session_name = jane",
];

#[test]
#[ignore = "needs the AWS CLI"]
fn a_session_that_the_aws_cli_began_is_used() {
    for settings in SETTINGS {
        let (sandbox, sts) = (with_role(settings), sts());
        let id = aws_key(&sandbox, &sts);
        let requests = sts.requests();
        let token = rds_token(&sandbox, &sts, &[]).succeeds();
        assert_eq!((key_id(&token), sts.requests()), (id.as_str(), requests), "{settings}");
    }
}

#[test]
#[ignore = "needs the AWS CLI"]
fn the_aws_cli_uses_a_session_that_was_begun_here() {
    for settings in SETTINGS {
        let (sandbox, sts) = (with_role(settings), sts());
        let token = rds_token(&sandbox, &sts, &[]).succeeds();
        let file = only_session(&sandbox);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(aws_key(&sandbox, &sts), key_id(&token), "{settings}");
        assert_eq!(sts.requests(), 2, "AssumeRole once, and GetCallerIdentity: {settings}");
    }
}

fn only_session(sandbox: &Sandbox) -> PathBuf {
    let files: Vec<_> = std::fs::read_dir(sandbox.path("home/.aws/cli/cache")).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].as_ref().unwrap().path()
}

#[test]
#[ignore = "needs the AWS CLI"]
fn a_code_typed_for_the_one_is_none_for_the_other() {
    let settings = format!("mfa_serial = {DEVICE}\nduration_seconds = 1800");
    // For the AWS CLI.
    let (sandbox, sts) = (with_role(&settings), sts());
    let id = succeeds(on_terminal(&sandbox, &aws(&sandbox, &sts), CODE).0);
    let token = rds_token(&sandbox, &sts, &[]).succeeds();
    assert_eq!((key_id(&token), sts.requests()), (id.trim(), 2));
    assert!(only_session(&sandbox).ends_with("17aa3eafaf4ce3edb9d73c98353977f4f61893d7.json"));

    // For us.
    let (sandbox, sts) = (with_role(&settings), self::sts());
    let (command, transcript) = on_terminal(&sandbox, &rds_token(&sandbox, &sts, &[]).command, CODE);
    let token = succeeds(command);
    assert!(token.starts_with("db.abc123.") && token.ends_with('\n') && token.lines().count() == 1, "{token}");
    let shown = std::fs::read_to_string(transcript).unwrap();
    assert_eq!(shown, format!("Enter MFA code for {DEVICE}: {CODE}\r\n"), "the prompt, and what was typed");
    assert_eq!(aws_key(&sandbox, &sts), key_id(&token));
    assert_eq!(sts.requests(), 2);
}

/// `args` in a session of their own, without a terminal.
fn without_terminal(sandbox: &Sandbox, sts: &Server, args: &[&str]) -> Run {
    let mut command = sandbox.command("setsid");
    command.args(["--wait", PROGRAM, TARGET, "--profile", "lab"]).args(args).env("AWS_ENDPOINT_URL_STS", &sts.url);
    Run { command }
}

#[test]
fn without_a_terminal_a_code_is_given_printed_or_missed_at_once() {
    let (sandbox, sts) = (with_role(&format!("mfa_serial = {DEVICE}")), sts());
    let line = without_terminal(&sandbox, &sts, &[]).fails(3);
    for part in [DEVICE, "--mfa-code", "mfa_process", "`aws sts get-caller-identity --profile lab --region eu-west-1`"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(sts.requests(), 0);
    for code in ["12345", "1234567", "12345a", "１２３４５６", ""] {
        let line = without_terminal(&sandbox, &sts, &["--mfa-code", code]).fails(2);
        assert!(line.contains("a code has 6 digits") || line.contains("a value is required"), "{line}");
    }
    let line = without_terminal(&sandbox, &sts, &["--mfa-code", "000000"]).fails(3);
    assert!(line.contains("invalid MFA one time pass code"), "{line}");
    let token = without_terminal(&sandbox, &sts, &["--mfa-code", CODE]).succeeds();
    // The session goes on: no code is wanted for another database.
    let other = TARGET.replace(":3306", ":5432");
    let mut command = sandbox.command(PROGRAM);
    command.args([&other, "--profile", "lab"]).env("AWS_ENDPOINT_URL_STS", &sts.url);
    assert_eq!(key_id(&Run { command }.succeeds()), key_id(&token));

    let sandbox = with_role(&format!("mfa_serial = {DEVICE}\nmfa_process = echo '{CODE} '"));
    without_terminal(&sandbox, &sts, &[]).succeeds();
    for (process, part) in [("echo none", "not a code of 6 digits"), ("echo locked >&2; exit 3", "stderr: locked")] {
        let sandbox = with_role(&format!("mfa_serial = {DEVICE}\nmfa_process = {process}"));
        let line = without_terminal(&sandbox, &sts, &[]).fails(3);
        assert!(line.contains("mfa_process") && line.contains(part), "{line}");
    }
    let sandbox = with_role("");
    assert!(
        rds_token(&sandbox, &sts, &["--mfa-code", CODE])
            .fails(2)
            .contains("neither a role of this request nor its user")
    );
}

#[test]
#[ignore = "needs a terminal (python3)"]
fn a_prompt_allows_a_mistype_and_stops_the_clock() {
    let (sandbox, sts) = (with_role(&format!("mfa_serial = {DEVICE}")), sts());
    let (command, transcript) = on_terminal(&sandbox, &rds_token(&sandbox, &sts, &[]).command, "12\n123 456");
    assert!(succeeds(command).contains("Credential=ASIA"));
    assert_eq!(std::fs::read_to_string(transcript).unwrap().matches("Enter MFA code").count(), 2);

    // The time at the prompt does not count into --timeout, and the time after it does.
    let sandbox = with_role(&format!("mfa_serial = {DEVICE}"));
    let slow = rds_token(&sandbox, &sts, &["--timeout", "1s"]).command;
    let (mut command, _) = on_terminal(&sandbox, &slow, CODE);
    let begin = Instant::now();
    command.env("ANSWER_AFTER", "3");
    assert!(succeeds(command).contains("Credential=ASIA"));
    assert!(begin.elapsed() >= Duration::from_secs(3), "it was not asked for long");
    let sandbox = with_role(&format!("mfa_serial = {DEVICE}"));
    let hanging = Server::sts(Duration::from_secs(30), 3600);
    let (mut command, _) = on_terminal(&sandbox, &rds_token(&sandbox, &hanging, &["--timeout", "1s"]).command, CODE);
    let output = command.output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(4), ""), "{stderr}");
    assert!(stderr.contains("no response in time") && stderr.contains("--timeout"), "{stderr}");
}

#[test]
fn twenty_databases_behind_one_role_cost_one_request() {
    let sandbox = with_role("");
    let sts = Server::sts(Duration::from_millis(300), 3600);
    let targets: Vec<String> = (0..20).map(|i| TARGET.replace("db.", &format!("db{i}."))).collect();
    let start = |target: &String| {
        let mut command = sandbox.command(PROGRAM);
        command.args([target, "--profile", "lab"]).env("AWS_ENDPOINT_URL_STS", &sts.url);
        (target.clone(), command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let children: Vec<_> = (0..10).flat_map(|_| targets.iter().map(start)).collect();
    let mut ids = Vec::new();
    for (target, child) in children {
        let (stdout, stderr) = texts(&child.wait_with_output().unwrap());
        assert!(stdout.starts_with(target.split('@').nth(1).unwrap()), "{stderr}");
        ids.push(key_id(&stdout).to_owned());
    }
    assert_eq!((ids.len(), sts.requests()), (200, 1));
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn a_session_is_kept_where_tokens_are() {
    let (sandbox, sts) = (with_role(""), sts());
    rds_token(&sandbox, &sts, &["--no-cache"]).succeeds();
    assert!(!sandbox.path("home/.aws/cli").exists());
    rds_token(&sandbox, &sts, &[]).succeeds();
    assert_eq!(sts.requests(), 2);
    // One that is there is used all the same.
    let token = rds_token(&sandbox, &sts, &["--no-cache"]).succeeds();
    assert_eq!((sts.requests(), token.is_empty()), (2, false));
}

#[test]
fn a_session_that_cannot_be_trusted_is_none() {
    let (sandbox, sts) = (with_role(""), sts());
    let first = rds_token(&sandbox, &sts, &[]).succeeds();
    let (file, good) = (only_session(&sandbox), std::fs::read(only_session(&sandbox)).unwrap());
    let mut requests = sts.requests();
    let mut is_begun_anew = |what: &str| {
        let run = rds_token(&sandbox, &sts, &["--refresh"]);
        let token = run.succeeds();
        assert_ne!(key_id(&token), key_id(&first), "{what}");
        requests += 1;
        assert_eq!(sts.requests(), requests, "{what}");
    };
    let text = String::from_utf8(good.clone()).unwrap();
    let end = text.split("Expiration\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for (what, bytes) in [
        ("cut", good[..good.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("zeros", vec![0; 300]),
        ("too long", vec![b' '; 200_000]),
        ("ended", text.replace(&end, &rfc3339(-1)).into_bytes()),
        ("ends soon", text.replace(&end, &rfc3339(200)).into_bytes()),
        ("no time", text.replace(&end, "soon").into_bytes()),
        ("no token", text.replace("\"SessionToken\":\"", "\"SessionToken\":\"\",\"x\":\"").into_bytes()),
    ] {
        std::fs::write(&file, bytes).unwrap();
        is_begun_anew(what);
        let healed: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert!(healed["Credentials"]["SessionToken"].is_string(), "healed: {what}");
    }
    std::fs::write(&file, &good).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    is_begun_anew("readable by others");
    let elsewhere = sandbox.path("elsewhere");
    std::fs::write(&elsewhere, &good).unwrap();
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    is_begun_anew("a link");
    assert_eq!(std::fs::read(&elsewhere).unwrap(), good, "what the link led to is as it was");
}

#[test]
fn the_rest_of_a_session_is_used_when_no_other_is_to_be_had() {
    let (sandbox, sts) = (with_role(&format!("mfa_serial = {DEVICE}")), sts());
    let first = without_terminal(&sandbox, &sts, &["--mfa-code", CODE]).succeeds();
    let file = only_session(&sandbox);
    let text = std::fs::read_to_string(&file).unwrap();
    let end = text.split("Expiration\":\"").nth(1).unwrap().split('"').next().unwrap();
    std::fs::write(&file, text.replace(end, &rfc3339(120))).unwrap();
    let (token, stderr) = without_terminal(&sandbox, &sts, &["--refresh"]).warns();
    assert_eq!(key_id(&token), key_id(&first));
    assert!(stderr.contains("the token expires in 1") && stderr.contains("because the AWS credentials do"), "{stderr}");
    assert!(
        stderr.contains("warning: using a session that expires soon, because") && stderr.contains("no terminal"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
}

#[test]
fn the_rest_of_a_session_hides_no_signal_and_no_wrong_clock() {
    let hour_off = Server::start_with(
        || "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n".to_owned(),
        |_, body| (200, sts_answer(body, 3600)),
    );
    let ending = |settings: &str| {
        let sandbox = with_role(settings);
        let run = rds_token(&sandbox, &sts(), if settings.is_empty() { &[] } else { &["--mfa-code", CODE] });
        run.succeeds();
        let file = only_session(&sandbox);
        let text = std::fs::read_to_string(&file).unwrap();
        let end = text.split("Expiration\":\"").nth(1).unwrap().split('"').next().unwrap();
        std::fs::write(&file, text.replace(end, &rfc3339(120))).unwrap();
        sandbox
    };
    assert!(rds_token(&ending(""), &hour_off, &["--refresh"]).fails(1).contains("clock: "));

    let sandbox = ending(&format!("mfa_serial = {DEVICE}\nmfa_process = touch started; sleep 60"));
    let mut command = rds_token(&sandbox, &hour_off, &["--refresh"]).command;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    while !sandbox.path("started").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
#[ignore = "needs the AWS CLI"]
fn a_web_identity_gives_its_session_to_no_other() {
    let sandbox = Sandbox::new();
    let sts = Server::start(|_, body| match body.contains("WebIdentityToken=jwt.alice") {
        true => (200, sts_answer(body, 3600)),
        false => (403, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>".to_owned()),
    });
    let file = sandbox.write("jwt", "jwt.alice");
    let get = |target: &str| {
        let run = sandbox.without_keys([target]).env("AWS_WEB_IDENTITY_TOKEN_FILE", &file);
        run.env("AWS_ROLE_ARN", ROLE).env("AWS_ENDPOINT_URL_STS", &sts.url)
    };
    let token = get(TARGET).succeeds();
    assert_eq!(key_id(&get(&TARGET.replace(":3306", ":5432")).succeeds()), key_id(&token), "one session for both");
    assert_eq!(sts.requests(), 1);
    std::fs::write(&file, "jwt.mallory").unwrap();
    assert!(get(TARGET).fails(3).contains("InvalidIdentityToken"));
    let mut role = sandbox.rds_token([TARGET, "--role-arn", ROLE]);
    role.command.env("AWS_ENDPOINT_URL_STS", &sts.url);
    role.fails(3);
    // The AWS CLI finds it too.
    std::fs::write(&file, "jwt.alice").unwrap();
    let config =
        format!("[profile lab]\nrole_arn = {ROLE}\nweb_identity_token_file = {}\nregion = eu-west-1\n", file.display());
    sandbox.write(".aws/config", &config);
    let asked = self::sts();
    assert_eq!((aws_key(&sandbox, &asked), asked.requests()), (key_id(&token).to_owned(), 1));
}

#[test]
fn a_directory_that_others_can_fill_has_no_sessions() {
    let (sandbox, sts) = (with_role(""), sts());
    rds_token(&sandbox, &sts, &[]).succeeds();
    let directory = sandbox.path("home/.aws/cli/cache");
    let get = || rds_token(&sandbox, &sts, &["--refresh"]).warns().1;
    for (place, mode, requests) in [(".", 0o755, 1), (".", 0o777, 2), ("..", 0o777, 3), ("../..", 0o777, 4)] {
        let place = directory.join(place).canonicalize().unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).unwrap();
        let stderr = get();
        assert_eq!(
            (sts.requests(), stderr.lines().count()),
            (requests, usize::from(mode == 0o777)),
            "{mode:o}: {stderr}"
        );
        let is_named = stderr.contains(&format!("run `chmod go-w {}`", place.display()));
        assert_eq!(is_named, mode == 0o777, "{mode:o}: {stderr}");
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn each_role_of_a_chain_has_its_session() {
    let sandbox = with_role("");
    let config = sandbox.path("home/.aws/config");
    let text = std::fs::read_to_string(&config).unwrap();
    let second = format!("[profile second]\nrole_arn = {ROLE}-2\nsource_profile = lab\n");
    std::fs::write(&config, format!("{text}{second}{}", second.replace("second", "third").replace("-2", "-3")))
        .unwrap();
    let sts = sts();
    for (profile, requests) in [("second", 2), ("third", 3), ("lab", 3)] {
        let run = sandbox.without_keys([TARGET, "--profile", profile]).env("AWS_ENDPOINT_URL_STS", &sts.url);
        run.succeeds();
        assert_eq!(sts.requests(), requests, "{profile}");
    }
}

#[test]
fn a_home_that_takes_nothing_costs_nothing_but_another_request() {
    let (sandbox, sts) = (with_role(""), sts());
    std::fs::write(sandbox.path("home/.aws/cli"), "no directory").unwrap();
    let token = rds_token(&sandbox, &sts, &[]).succeeds();
    assert_eq!(rds_token(&sandbox, &sts, &[]).succeeds(), token);
    assert_eq!(sts.requests(), 1);
    let sandbox = with_role(&format!("mfa_serial = {DEVICE}"));
    std::fs::write(sandbox.path("home/.aws/cli"), "no directory").unwrap();
    let (_, stderr) = rds_token(&sandbox, &sts, &["--mfa-code", CODE]).warns();
    assert!(stderr.contains("warning: the session could not be stored for the AWS CLI"), "{stderr}");
}

#[test]
fn unfinished_writes_are_swept() {
    let (sandbox, sts) = (with_role(""), sts());
    let [old, new] = [".aws/cli/cache/.rds-token-abcdefghij012345", ".aws/cli/cache/.rds-token-abcdefghij012346"]
        .map(|name| sandbox.write(name, "x"));
    let hours_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    std::fs::File::options().write(true).open(&old).unwrap().set_modified(hours_ago).unwrap();
    rds_token(&sandbox, &sts, &[]).succeeds();
    assert!(!old.exists() && new.exists());
}

#[test]
fn a_clock_that_is_off_is_told() {
    let at = |offset: i64| {
        let date = move || {
            let form = time::format_description::well_known::Rfc2822;
            let now = time::OffsetDateTime::now_utc() + time::Duration::seconds(offset);
            format!("Date: {}\r\n", now.format(&form).unwrap().replace("+0000", "GMT"))
        };
        Server::start_with(date, |_, body| (200, sts_answer(body, 3600)))
    };
    let sandbox = Sandbox::new();
    let run = |sts: &Server| {
        let run = sandbox.rds_token([TARGET, "--no-cache", "--role-arn", ROLE]);
        run.env("AWS_ENDPOINT_URL_STS", &sts.url)
    };
    run(&at(0)).succeeds();
    run(&at(-30)).succeeds();
    let (_, stderr) = run(&at(120)).warns();
    assert!(stderr.contains("clock: this machine is 1") && stderr.contains("s behind AWS"), "{stderr}");
    let line = run(&at(-400)).fails(1);
    assert!(line.contains("clock: this machine is 4") && line.contains("ahead of AWS"), "{line}");
    let refusing = Server::start_with(
        || "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n".to_owned(),
        |_, _| (403, "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>".to_owned()),
    );
    assert!(run(&refusing).fails(1).contains("timedatectl"));
}

/// What botocore itself, with the AWS CLI's cache for SSO roles, makes of the same profile.
const BOTOCORE: &str = "
import awscli, botocore.session, botocore.utils, os, sys
session = botocore.session.Session(profile=sys.argv[1])
cache = botocore.utils.JSONFileCache(os.path.expanduser('~/.aws/cli/cache'))
session.get_component('credential_provider').get_provider('sso').cache = cache
print(session.get_credentials().get_frozen_credentials().access_key)
";

/// IAM Identity Center on loopback: portal and OIDC; other keys each time. Its logins live for an hour.
fn identity_center() -> Server {
    Server::start(|head, body| {
        let path = head.split(' ').nth(1).unwrap();
        if path == "/token" {
            assert!(body.contains("\"refreshToken\":\"refresh-0\"") && body.contains("refresh_token"), "{body}");
            std::thread::sleep(Duration::from_millis(300));
            return (
                200,
                "{\"accessToken\":\"access-1\",\"expiresIn\":3600,\"refreshToken\":\"refresh-1\"}".to_owned(),
            );
        }
        let bearer = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("x-amz-sso_bearer_token: ").map(str::to_owned));
        if !bearer.as_deref().is_some_and(|bearer| bearer.starts_with("access-")) {
            return (401, format!("{{\"message\":\"Session token {} not found\"}}", bearer.unwrap_or_default()));
        }
        let end = (time::OffsetDateTime::now_utc().unix_timestamp() + 3600) * 1000;
        let id = format!("ASIA{:012X}", fastrand::u32(..));
        let keys =
            format!("\"accessKeyId\":\"{id}\",\"secretAccessKey\":\"s\",\"sessionToken\":\"t\",\"expiration\":{end}");
        (200, format!("{{\"roleCredentials\":{{{keys}}}}}"))
    })
}

/// A sandbox with profiles of both forms, `new` and `old`, and others of the new one; logged in for `seconds`.
fn with_sso(seconds: i64) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut config = "[sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://x/start\n\
         [profile old]\nsso_region = eu-west-1\nsso_start_url = https://x/start\nsso_account_id = 123456789012\n\
         sso_role_name = r\nregion = eu-west-1\n"
        .to_owned();
    for (name, role) in
        std::iter::once(("new".to_owned(), "r".to_owned())).chain((0..10).map(|i| (format!("new{i}"), format!("r{i}"))))
    {
        config += &format!(
            "[profile {name}]\nsso_session = dev\nsso_account_id = 123456789012\nsso_role_name = {role}\nregion = eu-west-1\n"
        );
    }
    sandbox.write(".aws/config", &config);
    for file in ["34c6fceca75e456f25e7e99531e2425c6c1de443", "f9bd89c67fef27fcb5df8d2e4b64eabe5bae45a4"] {
        let login = format!(
            "{{\"startUrl\":\"https://x/start\",\"region\":\"eu-west-1\",\"accessToken\":\"access-0\",\"expiresAt\":\"{}\",\
             \"clientId\":\"client\",\"clientSecret\":\"client-secret\",\"registrationExpiresAt\":\"{}\",\
             \"refreshToken\":\"refresh-0\",\"other\":\"kept\"}}",
            rfc3339(seconds),
            rfc3339(86_400)
        );
        let path = sandbox.write(&format!(".aws/sso/cache/{file}.json"), &login);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    sandbox
}

fn sso_token(sandbox: &Sandbox, server: &Server, profile: &str) -> Run {
    let run = sandbox.without_keys([TARGET, "--profile", profile]).env("AWS_ENDPOINT_URL_SSO", &server.url);
    run.env("AWS_ENDPOINT_URL_SSO_OIDC", &server.url)
}

fn botocore_key(sandbox: &Sandbox, server: &Server, profile: &str) -> String {
    let mut command = sandbox.command("/usr/bin/python3");
    command
        .args(["-c", BOTOCORE, profile])
        .env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("target/awscli"));
    command.env("AWS_ENDPOINT_URL_SSO", &server.url).env("AWS_ENDPOINT_URL_SSO_OIDC", &server.url);
    succeeds(command).trim().to_owned()
}

#[test]
#[ignore = "needs the AWS CLI"]
fn sessions_of_sso_roles_are_shared_both_ways() {
    for profile in ["new", "old"] {
        let (sandbox, server) = (with_sso(3600), identity_center());
        let token = sso_token(&sandbox, &server, profile).succeeds();
        assert_eq!(botocore_key(&sandbox, &server, profile), key_id(&token), "{profile}");
        assert_eq!(server.requests(), 1);
        assert!(std::fs::read_to_string(only_session(&sandbox)).unwrap().contains("\"ProviderType\":\"sso\""));

        let (sandbox, server) = (with_sso(3600), identity_center());
        let id = botocore_key(&sandbox, &server, profile);
        assert_eq!(key_id(&sso_token(&sandbox, &server, profile).succeeds()), id, "{profile}");
        assert_eq!(server.requests(), 1);
    }
}

#[test]
#[ignore = "needs the AWS CLI"]
fn a_login_that_ends_is_refreshed_once_for_all() {
    let (sandbox, server) = (with_sso(-10), identity_center());
    let children: Vec<_> = (0..10)
        .map(|i| {
            let mut command = sso_token(&sandbox, &server, &format!("new{i}")).command;
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", texts(&output).1);
    }
    assert_eq!(server.requests(), 11, "one refresh, and credentials for ten roles");
    let login = sandbox.path("home/.aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json");
    let text = std::fs::read_to_string(&login).unwrap();
    for part in ["access-1", "refresh-1", "client-secret", "\"other\":\"kept\"", "https://x/start"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(std::fs::metadata(&login).unwrap().permissions().mode() & 0o7777, 0o600);
    // The AWS CLI's own code goes on with it.
    botocore_key(&sandbox, &server, "new");
    assert_eq!(server.requests(), 12);

    // What a killed process left with a refresh token in it is swept at the next refresh.
    let (sandbox, short) = (with_sso(-10), identity_center());
    let left = sandbox.write(".aws/sso/cache/.rds-token-abcdefghij012345", "refresh-0");
    let hours_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    std::fs::File::options().write(true).open(&left).unwrap().set_modified(hours_ago).unwrap();
    sso_token(&sandbox, &short, "new").succeeds();
    assert!(!left.exists());

    // The older form can't be refreshed; a login that was ended elsewhere is found out; no secret is told.
    let line = sso_token(&with_sso(-10), &server, "old").fails(3);
    assert!(line.contains("the login has expired; run `aws sso login --profile old`"), "{line}");
    let sandbox = with_sso(3600);
    let path = sandbox.path("home/.aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("access-0", "secret-of-jane");
    std::fs::write(&path, text).unwrap();
    let line = sso_token(&sandbox, &server, "new").fails(3);
    assert!(line.contains("aws sso login --profile new") && !line.contains("secret-of-jane"), "{line}");
    std::fs::write(&path, "{\"accessToken\":\"secret-of-jane\"}").unwrap();
    let line = sso_token(&sandbox, &server, "new").fails(3);
    assert!(line.contains("is not the file of a login") && !line.contains("secret-of-jane"), "{line}");
}

#[test]
#[ignore = "needs the AWS CLI"]
fn the_aws_cli_logs_in_where_the_session_of_a_profile_was_begun_by_role_arn() {
    // `--role-arn` has the same session as a profile with that role and nothing else.
    let (sandbox, sts) = (with_role(""), sts());
    let mut run = sandbox.without_keys([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &sts.url);
    run.command.envs(KEYS);
    let token = run.succeeds();
    assert_eq!(aws_key(&sandbox, &sts), key_id(&token));
}

#[test]
#[ignore = "needs a terminal (python3)"]
fn a_terminal_in_the_background_is_none() {
    // A process that reads the terminal from the background would be stopped, and hang whoever waits for it.
    if !crate::harness::has("setsid") {
        return skip("a_terminal_in_the_background_is_none", "setsid is not installed");
    }
    let (sandbox, sts) = (with_role(&format!("mfa_serial = {DEVICE}")), sts());
    let run = rds_token(&sandbox, &sts, &[]);
    let mut shell = sandbox.command("bash");
    shell.args(["-c", &format!("set -m; {PROGRAM} {TARGET} --profile lab 2>error & wait $!; echo $?; cat error")]);
    shell.envs(run.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (command, _) = on_terminal(&sandbox, &shell, CODE);
    let said = succeeds(command);
    assert!(said.starts_with("3\n") && said.contains("there is no terminal"), "{said}");
}

/// A refresh token may be good for once: who is told that it is spent looks for what the other got for it.
#[test]
fn a_login_that_another_refreshed_meanwhile_is_taken() {
    let sandbox = with_sso(-10);
    let login = sandbox.path("home/.aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json");
    let other = std::fs::read_to_string(&login).unwrap().replace("access-0", "access-9");
    let expired = other.split("expiresAt\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let other = other.replacen(&expired, &rfc3339(3600), 1);
    let server = Server::start(move |head, _| {
        if head.starts_with("POST /token ") {
            std::fs::write(&login, &other).unwrap();
            return (400, "{\"error\":\"invalid_grant\"}".to_owned());
        }
        assert!(head.to_lowercase().contains("x-amz-sso_bearer_token: access-9"), "{head}");
        let end = (time::OffsetDateTime::now_utc().unix_timestamp() + 3600) * 1000;
        let keys = "\"accessKeyId\":\"ASIAOTHER\",\"secretAccessKey\":\"s\",\"sessionToken\":\"t\"";
        (200, format!("{{\"roleCredentials\":{{{keys},\"expiration\":{end}}}}}"))
    });
    assert_eq!(key_id(&sso_token(&sandbox, &server, "new").succeeds()), "ASIAOTHER");
}

/// With a token that lives for less than the time ahead of which it is refreshed, each would refresh it.
#[test]
fn a_short_login_is_refreshed_once_for_all_too() {
    let sandbox = with_sso(-10);
    let refreshed = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |head, _| {
        if head.starts_with("POST /token ") {
            std::thread::sleep(Duration::from_millis(300));
            return match refreshed.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => {
                    (200, "{\"accessToken\":\"access-1\",\"expiresIn\":250,\"refreshToken\":\"refresh-1\"}".to_owned())
                }
                _ => (400, "{\"error\":\"invalid_grant\"}".to_owned()),
            };
        }
        let end = (time::OffsetDateTime::now_utc().unix_timestamp() + 3600) * 1000;
        let keys = "\"accessKeyId\":\"ASIASHORT\",\"secretAccessKey\":\"s\",\"sessionToken\":\"t\"";
        (200, format!("{{\"roleCredentials\":{{{keys},\"expiration\":{end}}}}}"))
    });
    let start = |i| sso_token(&sandbox, &server, &format!("new{i}")).command.stdout(Stdio::null()).spawn().unwrap();
    let children: Vec<_> = (0..10).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(server.requests(), 11);
}

/// A user with an MFA device and no role: a session of the user's own, kept like those of roles.
#[test]
#[ignore = "needs a terminal (python3)"]
fn a_user_with_an_mfa_device_has_a_session() {
    let config = |more: &str| {
        let sandbox = Sandbox::new();
        let text = format!(
            "[profile lab]\naws_access_key_id = AKIDUSER\naws_secret_access_key = secret-of-the-user\n{more}\n"
        );
        sandbox.write(".aws/config", &text);
        sandbox
    };
    let server = || {
        Server::start(|_, body| {
            assert!(body.contains("Action=GetSessionToken") && body.contains("mfa%2Fjane"), "{body}");
            match body.contains(&format!("TokenCode={CODE}")) {
                true => (200, sts_answer(body, 3600).replace("AssumeRole", "GetSessionToken")),
                false => (403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>".to_owned()),
            }
        })
    };
    for (more, flags) in [
        (format!("mfa_serial = {DEVICE}\nduration_seconds = 1800"), vec![]),
        (String::new(), vec!["--mfa-serial", DEVICE]),
    ] {
        let (sandbox, sts) = (config(&more), server());
        let run = |args: &[&str]| without_terminal(&sandbox, &sts, &[&flags[..], args].concat());
        let line = run(&[]).fails(3);
        assert!(line.contains(DEVICE) && line.contains("--mfa-code") && line.contains("no terminal"), "{line}");
        assert!(
            run(&["--mfa-code", "000000"]).fails(3).contains("could not start a session of the user: AccessDenied")
        );
        let token = run(&["--mfa-code", CODE]).succeeds();
        assert!(key_id(&token).starts_with("ASIA"), "{token}");
        // The session goes on, for another token too.
        assert_eq!(key_id(&run(&["--refresh"]).succeeds()), key_id(&token));
        assert_eq!(sts.requests(), 2, "one refusal, and one session");
        assert_eq!(std::fs::metadata(only_session(&sandbox)).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    // On a terminal, the user is asked.
    let (sandbox, sts) = (config(&format!("mfa_serial = {DEVICE}")), server());
    let (command, _) = on_terminal(&sandbox, &rds_token(&sandbox, &sts, &[]).command, CODE);
    assert!(succeeds(command).contains("Credential=ASIA"));
    // A device for what takes none, or for a role.
    let line = sandbox
        .without_keys([TARGET, "--mfa-serial", DEVICE])
        .env("AWS_ACCESS_KEY_ID", "ASIAX")
        .env("AWS_SECRET_ACCESS_KEY", "s")
        .env("AWS_SESSION_TOKEN", "t")
        .fails(2);
    assert!(line.contains("mfa_serial: ") && line.contains("does not use MFA codes"), "{line}");
    let (sandbox, sts) = (with_role(""), self::sts());
    let line = without_terminal(&sandbox, &sts, &["--mfa-serial", DEVICE]).fails(3);
    assert!(line.contains("run this command once in a terminal") && !line.contains("mfa_process"), "{line}");
    without_terminal(&sandbox, &sts, &["--mfa-serial", DEVICE, "--mfa-code", CODE]).succeeds();
    assert!(std::fs::read_to_string(only_session(&sandbox)).is_ok());
}

/// Where a distribution gives each user a group, and a umask of 002, the AWS CLI's directories are writable by it.
#[test]
#[ignore = "needs root"]
fn a_private_group_does_not_block_sharing() {
    let (sandbox, sts) = (with_role(""), sts());
    rds_token(&sandbox, &sts, &[]).succeeds();
    let directory = sandbox.path("home/.aws/cli/cache");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o775)).unwrap();
    let test = "a_private_group_does_not_block_sharing";
    if !crate::harness::is_root() {
        return skip(test, "needs root");
    }
    // Root's group has no other member. The other group has none at all, and is not root's own.
    rds_token(&sandbox, &sts, &["--refresh"]).succeeds();
    assert_eq!(sts.requests(), 1);
    std::os::unix::fs::chown(&directory, None, Some(100)).unwrap();
    let (_, stderr) = rds_token(&sandbox, &sts, &["--refresh"]).warns();
    assert!(stderr.contains("is writable by others (mode 775): sessions are not shared"), "{stderr}");
    assert_eq!((sts.requests(), stderr.lines().count()), (2, 1), "{stderr}");
    std::os::unix::fs::chown(&directory, None, Some(0)).unwrap();
    rds_token(&sandbox, &sts, &["--refresh"]).succeeds();
    // An access list lets in others, though the mode looks the same.
    let mut list = Command::new("setfacl");
    if !list.args(["-m", "u:12345:rwx"]).arg(&directory).output().is_ok_and(|output| output.status.success()) {
        return skip(test, "setfacl failed; needs a file system with access lists");
    }
    let (_, stderr) = rds_token(&sandbox, &sts, &["--refresh"]).warns();
    assert!(stderr.contains("is writable by others (mode 775)"), "{stderr}");
}

/// What is left of a session is used once: STS is not asked twice, and the warning comes once.
#[test]
fn the_rest_of_a_session_is_reported_once() {
    let (sandbox, sts) = (with_role(""), sts());
    rds_token(&sandbox, &sts, &[]).succeeds();
    let file = only_session(&sandbox);
    let text = std::fs::read_to_string(&file).unwrap();
    let end = text.split("Expiration\":\"").nth(1).unwrap().split('"').next().unwrap();
    std::fs::write(&file, text.replace(end, &rfc3339(120))).unwrap();
    let refusing = Server::refusing_sts(Duration::ZERO);
    let (_, stderr) = rds_token(&sandbox, &refusing, &["--refresh"]).warns();
    assert_eq!(stderr.matches("using a session that expires soon").count(), 1, "{stderr}");
    assert_eq!((refusing.requests(), stderr.lines().count()), (1, 2), "{stderr}");
}
