//! Sessions that are shared with the AWS CLI, and the MFA codes that start them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{
    Answer, KEYS, PROGRAM, Run, Sandbox, Server, TARGET, has, is_root, key_id, on_terminal, rfc3339, skip, sts_answer,
    texts,
};
use crate::single_flight::{Gate, gated_server, wait_for_waiting_processes};

const ROLE: &str = "arn:aws:iam::123456789012:role/lab";
const DEVICE: &str = "arn:aws:iam::123456789012:mfa/jane";
const CODE: &str = "123456";
/// A part of the prompt for a code.
const PROMPT: &str = "MFA code for";

/// A sandbox with the profile `lab`: a role with these settings, assumed with a user's keys.
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

/// An STS that starts sessions. It requires the MFA code if the request names a device. `GetCallerIdentity` returns the
/// access key ID of the caller.
fn sts() -> Server {
    Server::start(|head, body| {
        if body.contains("GetCallerIdentity") {
            let id = head.split("Credential=").nth(1).unwrap().split('/').next().unwrap();
            let result = format!("<Arn>arn:x</Arn><UserId>{id}</UserId><Account>123456789012</Account>");
            let result = format!("<GetCallerIdentityResult>{result}</GetCallerIdentityResult>");
            return (200, format!("<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"));
        }
        if body.contains("SerialNumber") && !body.contains(&format!("TokenCode={CODE}")) {
            let message = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
            let error = format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
            return (403, format!("<ErrorResponse>{error}</ErrorResponse>"));
        }
        (200, sts_answer(body, 3600))
    })
}

fn rds_token(sandbox: &Sandbox, sts: &Server, args: &[&str]) -> Run {
    let run = sandbox.without_keys([&[TARGET, "--profile", "lab"], args].concat());
    run.env("AWS_ENDPOINT_URL_STS", &sts.url)
}

/// The directory of the AWS CLI's Python packages.
fn awscli() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/awscli")
}

/// The real AWS CLI, which prints the access key ID of its session.
fn aws(sandbox: &Sandbox, sts: &Server) -> Command {
    let path = awscli();
    assert!(path.join("awscli").is_dir(), "{} has no AWS CLI; run `make test`", path.display());
    let mut command = sandbox.command("/usr/bin/python3");
    command.args(["-m", "awscli", "sts", "get-caller-identity", "--profile", "lab", "--query", "UserId"]);
    command.args(["--output", "text"]).env("PYTHONPATH", path).env("AWS_ENDPOINT_URL_STS", &sts.url);
    command
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
fn a_session_of_the_aws_cli_is_used() {
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
fn the_aws_cli_uses_a_session_of_rds_token() {
    for settings in SETTINGS {
        let (sandbox, sts) = (with_role(settings), sts());
        let token = rds_token(&sandbox, &sts, &[]).succeeds();
        assert_eq!(mode(&only_session(&sandbox)), 0o600);
        assert_eq!(aws_key(&sandbox, &sts), key_id(&token), "{settings}");
        assert_eq!(sts.requests(), 2, "one AssumeRole, and GetCallerIdentity: {settings}");
    }
}

/// The file of the only session.
fn only_session(sandbox: &Sandbox) -> PathBuf {
    let files: Vec<_> = std::fs::read_dir(sandbox.path("home/.aws/cli/cache")).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].as_ref().unwrap().path()
}

fn set_two_hours_old(path: &Path) {
    let time = std::time::SystemTime::now() - Duration::from_secs(7200);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The text, with `time` in its first field `name`.
fn with_time(text: &str, name: &str, time: &str) -> String {
    let old = text.split(&format!("{name}\":\"")).nth(1).unwrap().split('"').next().unwrap();
    text.replacen(old, time, 1)
}

/// Sets the expiry of the only session, in seconds from now.
fn expire_in(sandbox: &Sandbox, seconds: i64) {
    let file = only_session(sandbox);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, with_time(&text, "Expiration", &rfc3339(seconds))).unwrap();
}

#[test]
#[ignore = "needs the AWS CLI"]
fn an_mfa_code_entered_in_one_program_serves_both() {
    let settings = format!("mfa_serial = {DEVICE}\nduration_seconds = 1800");
    // In the AWS CLI.
    let (sandbox, sts) = (with_role(&settings), sts());
    let id = succeeds(on_terminal(&sandbox, &aws(&sandbox, &sts), &[(PROMPT, CODE)]).0);
    let token = rds_token(&sandbox, &sts, &[]).succeeds();
    assert_eq!((key_id(&token), sts.requests()), (id.trim(), 2));
    assert!(only_session(&sandbox).ends_with("17aa3eafaf4ce3edb9d73c98353977f4f61893d7.json"));

    // In rds-token.
    let (sandbox, sts) = (with_role(&settings), self::sts());
    let (command, transcript) = on_terminal(&sandbox, &rds_token(&sandbox, &sts, &[]).command, &[(PROMPT, CODE)]);
    let token = succeeds(command);
    assert!(token.starts_with("db.abc123.") && token.ends_with('\n') && token.lines().count() == 1, "{token}");
    let shown = std::fs::read_to_string(transcript).unwrap();
    assert_eq!(shown, format!("Enter MFA code for {DEVICE}: {CODE}\r\n"), "the prompt, and the typed code");
    assert_eq!(aws_key(&sandbox, &sts), key_id(&token));
    assert_eq!(sts.requests(), 2);
}

/// Runs the program without a terminal.
fn without_terminal(sandbox: &Sandbox, sts: &Server, args: &[&str]) -> Run {
    let mut command = sandbox.command("setsid");
    command.args(["--wait", PROGRAM, TARGET, "--profile", "lab"]).args(args).env("AWS_ENDPOINT_URL_STS", &sts.url);
    Run { command }
}

#[test]
fn without_a_terminal_the_mfa_code_comes_from_the_flag_or_mfa_process() {
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
    // The session is still valid, so another database needs no code.
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
fn a_prompt_allows_a_second_try_and_does_not_count_toward_the_timeout() {
    let (sandbox, sts) = (with_role(&format!("mfa_serial = {DEVICE}")), sts());
    let (command, transcript) =
        on_terminal(&sandbox, &rds_token(&sandbox, &sts, &[]).command, &[(PROMPT, "12\n123 456")]);
    assert!(succeeds(command).contains("Credential=ASIA"));
    assert_eq!(std::fs::read_to_string(transcript).unwrap().matches("Enter MFA code").count(), 2);

    // The time at the prompt does not count toward --timeout. The time after it does.
    let sandbox = with_role(&format!("mfa_serial = {DEVICE}"));
    let (mut command, _) =
        on_terminal(&sandbox, &rds_token(&sandbox, &sts, &["--timeout", "6s"]).command, &[(PROMPT, CODE)]);
    let begin = Instant::now();
    command.env("ANSWER_AFTER", "7");
    assert!(succeeds(command).contains("Credential=ASIA"));
    assert!(begin.elapsed() >= Duration::from_secs(7), "the answer came too early to test the timeout");
    let sandbox = with_role(&format!("mfa_serial = {DEVICE}"));
    let hanging = Server::sts(Duration::from_secs(60), 3600);
    let (mut command, _) =
        on_terminal(&sandbox, &rds_token(&sandbox, &hanging, &["--timeout", "3s"]).command, &[(PROMPT, CODE)]);
    let output = command.output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(4), ""), "{stderr}");
    assert!(stderr.contains("no response in time") && stderr.contains("--timeout"), "{stderr}");
}

#[test]
fn tokens_for_twenty_databases_share_one_session() {
    let sandbox = with_role("");
    let sts = Server::sts(Duration::from_millis(300), 3600);
    let targets: Vec<String> = (0..20).map(|i| TARGET.replace("db.", &format!("db{i}."))).collect();
    let start = |target: &String| {
        let mut command = sandbox.command(PROGRAM);
        // The machine may be slow.
        command.args([target, "--profile", "lab", "--timeout", "5m"]).env("AWS_ENDPOINT_URL_STS", &sts.url);
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
fn no_cache_stores_no_session() {
    let (sandbox, sts) = (with_role(""), sts());
    rds_token(&sandbox, &sts, &["--no-cache"]).succeeds();
    assert!(!sandbox.path("home/.aws/cli").exists());
    rds_token(&sandbox, &sts, &[]).succeeds();
    assert_eq!(sts.requests(), 2);
    // An existing session is used.
    let token = rds_token(&sandbox, &sts, &["--no-cache"]).succeeds();
    assert_eq!((sts.requests(), token.is_empty()), (2, false));
}

#[test]
fn an_untrusted_session_is_replaced() {
    let (sandbox, sts) = (with_role(""), sts());
    let first = rds_token(&sandbox, &sts, &[]).succeeds();
    let file = only_session(&sandbox);
    let valid = std::fs::read_to_string(&file).unwrap();
    let mut requests = sts.requests();
    let mut assert_new_session = |case: &str| {
        let token = rds_token(&sandbox, &sts, &["--refresh"]).succeeds();
        assert_ne!(key_id(&token), key_id(&first), "{case}");
        requests += 1;
        assert_eq!(sts.requests(), requests, "{case}");
    };
    for (case, text) in [
        ("truncated", valid[..valid.len() / 2].to_owned()),
        ("empty", String::new()),
        ("zeros", "\0".repeat(300)),
        ("too long", " ".repeat(200_000)),
        ("expired", with_time(&valid, "Expiration", &rfc3339(-1))),
        ("expires soon", with_time(&valid, "Expiration", &rfc3339(200))),
        ("no time", with_time(&valid, "Expiration", "soon")),
        ("no token", valid.replace("\"SessionToken\":\"", "\"SessionToken\":\"\",\"x\":\"")),
    ] {
        std::fs::write(&file, text).unwrap();
        assert_new_session(case);
        let stored: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert!(stored["Credentials"]["SessionToken"].is_string(), "{case}: the new session is not stored");
    }
    std::fs::write(&file, &valid).unwrap();
    set_mode(&file, 0o640);
    assert_new_session("readable by others");
    let link_target = sandbox.path("elsewhere");
    std::fs::write(&link_target, &valid).unwrap();
    set_mode(&link_target, 0o600);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&link_target, &file).unwrap();
    assert_new_session("a symbolic link");
    assert_eq!(std::fs::read_to_string(&link_target).unwrap(), valid, "the target of the link has changed");
}

#[test]
fn a_session_that_expires_soon_is_used_if_no_new_one_can_be_started() {
    let (sandbox, sts) = (with_role(&format!("mfa_serial = {DEVICE}")), sts());
    let first = without_terminal(&sandbox, &sts, &["--mfa-code", CODE]).succeeds();
    expire_in(&sandbox, 120);
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
fn a_session_that_expires_soon_hides_neither_a_signal_nor_a_wrong_clock() {
    let wrong_clock = Server::start_with(
        || "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n".to_owned(),
        |_, body| (200, sts_answer(body, 3600)),
    );
    let with_short_session = |settings: &str, args: &[&str]| {
        let sandbox = with_role(settings);
        rds_token(&sandbox, &sts(), args).succeeds();
        expire_in(&sandbox, 120);
        sandbox
    };
    let sandbox = with_short_session("", &[]);
    assert!(rds_token(&sandbox, &wrong_clock, &["--refresh"]).fails(1).contains("clock: "));

    let settings = format!("mfa_serial = {DEVICE}\nmfa_process = touch started; sleep 60");
    let sandbox = with_short_session(&settings, &["--mfa-code", CODE]);
    let mut command = rds_token(&sandbox, &wrong_clock, &["--refresh", "--timeout", "5m"]).command;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    while !sandbox.path("started").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
#[ignore = "needs the AWS CLI"]
fn a_web_identity_session_is_used_with_the_same_token_only() {
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
    assert_eq!(
        key_id(&get(&TARGET.replace(":3306", ":5432")).succeeds()),
        key_id(&token),
        "both targets use one session"
    );
    assert_eq!(sts.requests(), 1);
    std::fs::write(&file, "jwt.mallory").unwrap();
    assert!(get(TARGET).fails(3).contains("InvalidIdentityToken"));
    let mut role = sandbox.rds_token([TARGET, "--role-arn", ROLE]);
    role.command.env("AWS_ENDPOINT_URL_STS", &sts.url);
    role.fails(3);
    // The AWS CLI uses the session too.
    std::fs::write(&file, "jwt.alice").unwrap();
    let config =
        format!("[profile lab]\nrole_arn = {ROLE}\nweb_identity_token_file = {}\nregion = eu-west-1\n", file.display());
    sandbox.write(".aws/config", &config);
    let sts = self::sts();
    assert_eq!((aws_key(&sandbox, &sts), sts.requests()), (key_id(&token).to_owned(), 1));
}

#[test]
fn no_session_is_read_from_a_directory_that_others_can_write() {
    let (sandbox, sts) = (with_role(""), sts());
    rds_token(&sandbox, &sts, &[]).succeeds();
    let directory = sandbox.path("home/.aws/cli/cache");
    for (relative, mode, requests) in [(".", 0o755, 1), (".", 0o777, 2), ("..", 0o777, 3), ("../..", 0o777, 4)] {
        let path = directory.join(relative).canonicalize().unwrap();
        set_mode(&path, mode);
        let (_, stderr) = rds_token(&sandbox, &sts, &["--refresh"]).warns();
        let warnings = usize::from(mode == 0o777);
        assert_eq!((sts.requests(), stderr.lines().count()), (requests, warnings), "{mode:o}: {stderr}");
        let has_remedy = stderr.contains(&format!("run `chmod go-w {}`", path.display()));
        assert_eq!(has_remedy, mode == 0o777, "{mode:o}: {stderr}");
        set_mode(&path, 0o700);
    }
}

#[test]
fn each_role_of_a_chain_has_its_own_session() {
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
fn a_session_that_cannot_be_stored_is_not_an_error() {
    let (sandbox, sts) = (with_role(""), sts());
    std::fs::write(sandbox.path("home/.aws/cli"), "not a directory").unwrap();
    let token = rds_token(&sandbox, &sts, &[]).succeeds();
    assert_eq!(rds_token(&sandbox, &sts, &[]).succeeds(), token);
    assert_eq!(sts.requests(), 1);
    let sandbox = with_role(&format!("mfa_serial = {DEVICE}"));
    std::fs::write(sandbox.path("home/.aws/cli"), "not a directory").unwrap();
    let (_, stderr) = rds_token(&sandbox, &sts, &["--mfa-code", CODE]).warns();
    assert!(stderr.contains("warning: the session could not be stored for the AWS CLI"), "{stderr}");
}

#[test]
fn leftover_temporary_files_are_removed() {
    let (sandbox, sts) = (with_role(""), sts());
    let [old, new] = [".aws/cli/cache/.rds-token-abcdefghij012345", ".aws/cli/cache/.rds-token-abcdefghij012346"]
        .map(|name| sandbox.write(name, "x"));
    set_two_hours_old(&old);
    rds_token(&sandbox, &sts, &[]).succeeds();
    assert!(!old.exists() && new.exists());
}

#[test]
fn clock_skew_is_reported() {
    let sts_with_offset = |offset: i64| {
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
    run(&sts_with_offset(0)).succeeds();
    run(&sts_with_offset(-30)).succeeds();
    let (_, stderr) = run(&sts_with_offset(120)).warns();
    assert!(stderr.contains("clock: this machine is 1") && stderr.contains("s behind AWS"), "{stderr}");
    let line = run(&sts_with_offset(-400)).fails(1);
    assert!(line.contains("clock: this machine is 4") && line.contains("ahead of AWS"), "{line}");
    let refusing = Server::start_with(
        || "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n".to_owned(),
        |_, _| (403, "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>".to_owned()),
    );
    assert!(run(&refusing).fails(1).contains("timedatectl"));
}

/// A program that prints the access key ID that botocore finds for a profile, with the AWS CLI's cache for SSO roles.
const BOTOCORE: &str = "
import awscli, botocore.session, botocore.utils, os, sys
session = botocore.session.Session(profile=sys.argv[1])
cache = botocore.utils.JSONFileCache(os.path.expanduser('~/.aws/cli/cache'))
session.get_component('credential_provider').get_provider('sso').cache = cache
print(session.get_credentials().get_frozen_credentials().access_key)
";

/// IAM Identity Center (portal and OIDC). Each answer has new keys. A refreshed login is valid for an hour.
fn identity_center() -> Server {
    Server::start(|head, body| {
        let path = head.split(' ').nth(1).unwrap();
        if path == "/token" {
            assert!(body.contains("\"refreshToken\":\"refresh-0\"") && body.contains("refresh_token"), "{body}");
            std::thread::sleep(Duration::from_millis(300));
            return refreshed_login(3600);
        }
        let bearer = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("x-amz-sso_bearer_token: ").map(str::to_owned));
        if !bearer.as_deref().is_some_and(|bearer| bearer.starts_with("access-")) {
            return (401, format!("{{\"message\":\"Session token {} not found\"}}", bearer.unwrap_or_default()));
        }
        role_credentials(&format!("ASIA{:012X}", fastrand::u32(..)))
    })
}

/// The portal's answer to `GetRoleCredentials`.
fn role_credentials(id: &str) -> Answer {
    let end = (time::OffsetDateTime::now_utc().unix_timestamp() + 3600) * 1000;
    let keys = format!("\"accessKeyId\":\"{id}\",\"secretAccessKey\":\"s\",\"sessionToken\":\"t\"");
    (200, format!("{{\"roleCredentials\":{{{keys},\"expiration\":{end}}}}}"))
}

/// The answer of OIDC to a refresh token. The new login is valid for `seconds`.
fn refreshed_login(seconds: u32) -> Answer {
    let refresh_token = "\"refreshToken\":\"refresh-1\"";
    (200, format!("{{\"accessToken\":\"access-1\",\"expiresIn\":{seconds},{refresh_token}}}"))
}

/// The login of `[sso-session dev]`, below the home directory. The name is the SHA-1 of `dev`.
const LOGIN: &str = ".aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json";
/// The login of the profile `old`. The name is the SHA-1 of the start URL.
const OLD_LOGIN: &str = ".aws/sso/cache/f9bd89c67fef27fcb5df8d2e4b64eabe5bae45a4.json";

fn login_path(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("home").join(LOGIN)
}

/// A sandbox with a profile of each form, `new` and `old`, and ten more of the new form. The logins are valid for
/// `seconds`.
fn with_sso(seconds: i64) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut config = "[sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://x/start\n\
         [profile old]\nsso_region = eu-west-1\nsso_start_url = https://x/start\nsso_account_id = 123456789012\n\
         sso_role_name = r\nregion = eu-west-1\n"
        .to_owned();
    for suffix in std::iter::once(String::new()).chain((0..10).map(|i| i.to_string())) {
        config += &format!(
            "[profile new{suffix}]\nsso_session = dev\nsso_account_id = 123456789012\nsso_role_name = r{suffix}\n\
             region = eu-west-1\n"
        );
    }
    sandbox.write(".aws/config", &config);
    for file in [LOGIN, OLD_LOGIN] {
        let login = format!(
            "{{\"startUrl\":\"https://x/start\",\"region\":\"eu-west-1\",\
             \"accessToken\":\"access-0\",\"expiresAt\":\"{}\",\
             \"clientId\":\"client\",\"clientSecret\":\"client-secret\",\
             \"registrationExpiresAt\":\"{}\",\"refreshToken\":\"refresh-0\",\"other\":\"kept\"}}",
            rfc3339(seconds),
            rfc3339(86_400)
        );
        set_mode(&sandbox.write(file, &login), 0o600);
    }
    sandbox
}

fn sso_token(sandbox: &Sandbox, server: &Server, profile: &str) -> Run {
    let run = sandbox.without_keys([TARGET, "--profile", profile, "--timeout", "5m"]);
    let run = run.env("AWS_ENDPOINT_URL_SSO", &server.url);
    run.env("AWS_ENDPOINT_URL_SSO_OIDC", &server.url)
}

fn botocore_key(sandbox: &Sandbox, server: &Server, profile: &str) -> String {
    let mut command = sandbox.command("/usr/bin/python3");
    command.args(["-c", BOTOCORE, profile]).env("PYTHONPATH", awscli());
    command.env("AWS_ENDPOINT_URL_SSO", &server.url).env("AWS_ENDPOINT_URL_SSO_OIDC", &server.url);
    succeeds(command).trim().to_owned()
}

#[test]
#[ignore = "needs the AWS CLI"]
fn sso_sessions_are_shared_with_the_aws_cli() {
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
fn an_expired_login_is_refreshed_once() {
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
    let login = login_path(&sandbox);
    let text = std::fs::read_to_string(&login).unwrap();
    for part in ["access-1", "refresh-1", "client-secret", "\"other\":\"kept\"", "https://x/start"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(mode(&login), 0o600);
    // The AWS CLI's own code uses the new login.
    botocore_key(&sandbox, &server, "new");
    assert_eq!(server.requests(), 12);

    // The next refresh removes a temporary file with a refresh token that a killed process left.
    let (sandbox, server) = (with_sso(-10), identity_center());
    let leftover = sandbox.write(".aws/sso/cache/.rds-token-abcdefghij012345", "refresh-0");
    set_two_hours_old(&leftover);
    sso_token(&sandbox, &server, "new").succeeds();
    assert!(!leftover.exists());
}

#[test]
fn errors_about_a_login_name_the_remedy_and_show_no_secret() {
    let server = identity_center();
    // The older form can't be refreshed.
    let line = sso_token(&with_sso(-10), &server, "old").fails(3);
    assert!(line.contains("the login has expired; run `aws sso login --profile old`"), "{line}");
    // The server refuses a login that was revoked.
    let sandbox = with_sso(3600);
    let path = login_path(&sandbox);
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
fn the_aws_cli_uses_a_session_started_with_role_arn() {
    // `--role-arn` has the same session as a profile with that role and nothing else.
    let (sandbox, sts) = (with_role(""), sts());
    let mut run = sandbox.without_keys([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &sts.url);
    run.command.envs(KEYS);
    let token = run.succeeds();
    assert_eq!(aws_key(&sandbox, &sts), key_id(&token));
}

#[test]
#[ignore = "needs a terminal (python3)"]
fn a_background_process_does_not_prompt() {
    // A background process that reads the terminal is stopped, and its parent waits forever.
    if !has("setsid") {
        return skip("a_background_process_does_not_prompt", "setsid is not installed");
    }
    let (sandbox, sts) = (with_role(&format!("mfa_serial = {DEVICE}")), sts());
    let run = rds_token(&sandbox, &sts, &[]);
    let mut shell = sandbox.command("bash");
    shell.args(["-c", &format!("set -m; {PROGRAM} {TARGET} --profile lab 2>error & wait $!; echo $?; cat error")]);
    shell.envs(run.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (command, _) = on_terminal(&sandbox, &shell, &[(PROMPT, CODE)]);
    let stdout = succeeds(command);
    assert!(stdout.starts_with("3\n") && stdout.contains("there is no terminal"), "{stdout}");
}

/// A refresh token may be single-use. If the server refuses it, another program may have stored a new login.
#[test]
fn a_login_that_another_program_refreshed_is_used() {
    let sandbox = with_sso(-10);
    let login = login_path(&sandbox);
    let other = std::fs::read_to_string(&login).unwrap().replace("access-0", "access-9");
    let other = with_time(&other, "expiresAt", &rfc3339(3600));
    let server = Server::start(move |head, _| {
        if head.starts_with("POST /token ") {
            std::fs::write(&login, &other).unwrap();
            return (400, "{\"error\":\"invalid_grant\"}".to_owned());
        }
        assert!(head.to_lowercase().contains("x-amz-sso_bearer_token: access-9"), "{head}");
        role_credentials("ASIAOTHER")
    });
    assert_eq!(key_id(&sso_token(&sandbox, &server, "new").succeeds()), "ASIAOTHER");
}

/// The refreshed login expires so soon that it would normally be refreshed again.
#[test]
fn a_short_lived_login_is_refreshed_once() {
    let sandbox = with_sso(-10);
    let gate = Gate::default();
    let closed = gate.write().unwrap();
    let is_refreshed = std::sync::atomic::AtomicBool::new(false);
    let server = gated_server(&gate, move |head, _| {
        if !head.starts_with("POST /token ") {
            return role_credentials("ASIASHORT");
        }
        match is_refreshed.swap(true, std::sync::atomic::Ordering::SeqCst) {
            false => refreshed_login(250),
            true => (400, "{\"error\":\"invalid_grant\"}".to_owned()),
        }
    });
    let start = |i| sso_token(&sandbox, &server, &format!("new{i}")).command.stdout(Stdio::null()).spawn().unwrap();
    let children: Vec<_> = (0..10).map(start).collect();
    wait_for_waiting_processes(&sandbox, 9);
    drop(closed);
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(server.requests(), 11);
}

/// A sandbox with the profile `lab`: a user with these settings and without a role.
fn with_user(settings: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let keys = "aws_access_key_id = AKIDUSER\naws_secret_access_key = secret-of-the-user";
    sandbox.write(".aws/config", &format!("[profile lab]\n{keys}\n{settings}\n"));
    sandbox
}

/// An STS that starts sessions of a user with an MFA device.
fn user_sts() -> Server {
    Server::start(|_, body| {
        assert!(body.contains("Action=GetSessionToken") && body.contains("mfa%2Fjane"), "{body}");
        match body.contains(&format!("TokenCode={CODE}")) {
            true => (200, sts_answer(body, 3600).replace("AssumeRole", "GetSessionToken")),
            false => (403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>".to_owned()),
        }
    })
}

/// The session of a user with an MFA device and without a role is stored in the same way as a role's.
#[test]
fn an_mfa_session_of_the_user_is_shared() {
    for (settings, flags) in [
        (format!("mfa_serial = {DEVICE}\nduration_seconds = 1800"), vec![]),
        (String::new(), vec!["--mfa-serial", DEVICE]),
    ] {
        let (sandbox, sts) = (with_user(&settings), user_sts());
        let run = |args: &[&str]| without_terminal(&sandbox, &sts, &[&flags[..], args].concat());
        let line = run(&[]).fails(3);
        assert!(line.contains(DEVICE) && line.contains("--mfa-code") && line.contains("no terminal"), "{line}");
        assert!(
            run(&["--mfa-code", "000000"]).fails(3).contains("could not start a session of the user: AccessDenied")
        );
        let token = run(&["--mfa-code", CODE]).succeeds();
        assert!(key_id(&token).starts_with("ASIA"), "{token}");
        // The session is used for the next token too.
        assert_eq!(key_id(&run(&["--refresh"]).succeeds()), key_id(&token));
        assert_eq!(sts.requests(), 2, "one refusal, and one session");
        assert_eq!(mode(&only_session(&sandbox)), 0o600);
    }
}

#[test]
#[ignore = "needs a terminal (python3)"]
fn a_user_with_an_mfa_device_is_prompted_on_a_terminal() {
    let (sandbox, sts) = (with_user(&format!("mfa_serial = {DEVICE}")), user_sts());
    let (command, _) = on_terminal(&sandbox, &rds_token(&sandbox, &sts, &[]).command, &[(PROMPT, CODE)]);
    assert!(succeeds(command).contains("Credential=ASIA"));
}

#[test]
fn mfa_serial_is_refused_for_session_credentials_and_accepted_for_a_role() {
    let sandbox = Sandbox::new();
    let line = sandbox
        .without_keys([TARGET, "--mfa-serial", DEVICE])
        .env("AWS_ACCESS_KEY_ID", "ASIAX")
        .env("AWS_SECRET_ACCESS_KEY", "s")
        .env("AWS_SESSION_TOKEN", "t")
        .fails(2);
    assert!(line.contains("mfa_serial: ") && line.contains("does not use MFA codes"), "{line}");
    let (sandbox, sts) = (with_role(""), sts());
    let line = without_terminal(&sandbox, &sts, &["--mfa-serial", DEVICE]).fails(3);
    assert!(line.contains("run this command once in a terminal") && !line.contains("mfa_process"), "{line}");
    without_terminal(&sandbox, &sts, &["--mfa-serial", DEVICE, "--mfa-code", CODE]).succeeds();
    assert!(std::fs::read_to_string(only_session(&sandbox)).is_ok());
}

/// Some distributions give each user a private group and the umask 002. Then the group can write the AWS CLI's
/// directories.
#[test]
#[ignore = "needs root"]
fn a_private_group_does_not_block_sharing() {
    let (sandbox, sts) = (with_role(""), sts());
    rds_token(&sandbox, &sts, &[]).succeeds();
    let directory = sandbox.path("home/.aws/cli/cache");
    set_mode(&directory, 0o775);
    let test = "a_private_group_does_not_block_sharing";
    if !is_root() {
        return skip(test, "needs root");
    }
    // Root's group has no other member. The other group has no member, but is not root's own.
    rds_token(&sandbox, &sts, &["--refresh"]).succeeds();
    assert_eq!(sts.requests(), 1);
    std::os::unix::fs::chown(&directory, None, Some(100)).unwrap();
    let (_, stderr) = rds_token(&sandbox, &sts, &["--refresh"]).warns();
    assert!(stderr.contains("is writable by others (mode 775): sessions are not shared"), "{stderr}");
    assert_eq!((sts.requests(), stderr.lines().count()), (2, 1), "{stderr}");
    std::os::unix::fs::chown(&directory, None, Some(0)).unwrap();
    rds_token(&sandbox, &sts, &["--refresh"]).succeeds();
    // An access list gives access to others, although the mode is the same.
    let mut list = Command::new("setfacl");
    if !list.args(["-m", "u:12345:rwx"]).arg(&directory).output().is_ok_and(|output| output.status.success()) {
        return skip(test, "setfacl failed; needs a file system with access lists");
    }
    let (_, stderr) = rds_token(&sandbox, &sts, &["--refresh"]).warns();
    assert!(stderr.contains("is writable by others (mode 775)"), "{stderr}");
}

/// STS receives one request, and the user gets one warning.
#[test]
fn the_warning_about_a_session_that_expires_soon_appears_once() {
    let (sandbox, sts) = (with_role(""), sts());
    rds_token(&sandbox, &sts, &[]).succeeds();
    expire_in(&sandbox, 120);
    let refusing = Server::refusing_sts(Duration::ZERO);
    let (_, stderr) = rds_token(&sandbox, &refusing, &["--refresh"]).warns();
    assert_eq!(stderr.matches("using a session that expires soon").count(), 1, "{stderr}");
    assert_eq!((refusing.requests(), stderr.lines().count()), (1, 2), "{stderr}");
}
