//! `rds-token inspect`, with tokens of rds-token, the AWS CLI and botocore.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{HOST, KEYS, PROGRAM, Sandbox, TARGET, on_terminal, skip, texts};
use crate::servers::{Mariadb, Postgres, lab};
use crate::signing::dsql_tokens;

/// Runs `inspect` with `input` on stdin.
fn inspect(args: &[&str], input: impl AsRef<[u8]>) -> Output {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(PROGRAM);
    command.arg("inspect").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program does not read all of an input that is too long.
    let _ = child.stdin.take().unwrap().write_all(input.as_ref());
    child.wait_with_output().unwrap()
}

/// Returns the report about a token, and the exit code.
fn report(input: impl AsRef<[u8]>) -> (Value, i32) {
    let output = inspect(&["--output", "json"], input);
    let (stdout, stderr) = texts(&output);
    assert_eq!(stderr, "");
    assert_eq!(stdout.matches('\n').count(), 1, "{stdout}");
    (serde_json::from_str(&stdout).unwrap(), output.status.code().unwrap())
}

/// Returns the codes of the findings.
fn codes(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

fn token(target: &str) -> String {
    Sandbox::new().rds_token([target]).succeeds()
}

#[test]
fn a_valid_token_has_a_report_without_findings() {
    let token = token(TARGET);
    for args in [&[][..], &["-"], &["-q", "-"], &["--output", "text"]] {
        let output = inspect(args, &token);
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{stdout}");
        let lines: Vec<&str> = stdout.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "endpoint:       db.abc123.eu-west-1.rds.amazonaws.com:3306",
                "user:           dbiamuser",
                "region:         eu-west-1",
                "access key id:  AKIDEXAMPLE",
            ]
        );
        assert!(lines[4].starts_with("signed at:      2") && lines[5].contains(", in 14m 5"), "{stdout}");
        assert_eq!((lines[6], lines.len()), ("session token:  absent", 9), "{stdout}");
    }
    let (report, code) = report(&token);
    assert_eq!(
        (code, &report["usable"], &report["kind"], &report["port"]),
        (0, &true.into(), &"rds".into(), &3306.into())
    );
    assert!((895..=900).contains(&report["ttl"].as_i64().unwrap()), "{report}");
}

#[test]
fn the_report_of_an_unusable_token_is_on_stdout() {
    let expired =
        "db.abc123.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=a%20b&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=ASIAEXAMPLE%2F20260131%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20260131T120000Z\
        &X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Security-Token=s&X-Amz-Signature="
            .to_owned()
            + &"0a".repeat(32);
    let output = inspect(&[], &expired);
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(1), ""), "{stdout}");
    for part in [
        "user:           a b\n",
        "expires at:     2026-01-31T12:15:00Z, ",
        " ago\n",
        "session token:  present\n",
        "\nerror: the token expired ",
        "\n  answer: `FATAL: PAM authentication failed`",
        "\n  remedy: sign a new token for each connection: `rds-token 'a b@db.abc123.eu-west-1.rds.amazonaws.com:5432'`\n",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let (json, code) = report(&expired);
    assert_eq!((code, &json["usable"], codes(&json)), (1, &false.into(), vec!["expired"]));
    assert!(json["ttl"].as_i64().unwrap() < 0 && json["session_token"] == true, "{json}");
}

#[test]
fn an_argument_is_inspected_with_a_warning() {
    let token = token(TARGET);
    let inspect = |args: &[&str]| Sandbox::new().without_keys(args).output();
    let (stdout, stderr) = texts(&inspect(&["inspect", token.trim_end()]));
    assert!(
        stdout.contains("the token has no errors")
            && stderr.starts_with("rds-token: warning: other users can see the token")
    );
    // The line break would be part of the password.
    let output = inspect(&["inspect", "-q", &token]);
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(1), ""));
    assert!(stdout.contains("error: the token contains a line break"), "{stdout}");
}

#[test]
fn a_text_that_is_not_a_token_is_not_shown() {
    for input in
        ["hunter2hunter2", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "{\"token\":\"x\"}", &"CANARY".repeat(20_000)]
    {
        let output = inspect(&[], input);
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""));
        assert!(
            stderr.starts_with("rds-token: inspect: ") && stderr.len() < 250 && !stderr.contains("hunter2"),
            "{stderr}"
        );
        assert!(!stderr.contains("CANARY") && !stderr.contains("EXAMPLEKEY"), "{stderr}");
    }
    for empty in ["", "\n", " \r\n"] {
        let (_, stderr) = texts(&inspect(&[], empty));
        assert!(stderr.starts_with("rds-token: inspect: stdin is empty; use a pipe"), "{stderr}");
    }
    let words = ["inspect", "h.x:1/?Action=connect", "DBUser=a&X-Amz-Signature=CANARY", "-X-Amz-Signature=CANARY"];
    for args in [&words[..3], &[words[0], words[3]]] {
        let line = Sandbox::new().without_keys(args).fails(2);
        assert!(line.starts_with("inspect: ") && !line.contains("CANARY"), "{line}");
    }
}

/// Windows PowerShell writes redirected output as UTF-16.
#[test]
fn a_file_of_powershell_is_read() {
    let text = format!("\u{feff}{}\r\n", token(TARGET).trim_end());
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (report, code) = report(bytes);
    assert_eq!((code, codes(&report)), (1, vec!["line_break", "byte_order_mark"]));
    assert_eq!(report["user"], "dbiamuser");
}

#[test]
#[ignore = "needs a terminal (python3)"]
fn a_token_is_read_from_a_terminal() {
    let sandbox = Sandbox::new();
    let mut shell = sandbox.command("sh");
    shell.args(["-c", &format!("exec {PROGRAM} inspect </dev/tty 2>/dev/tty")]);
    let (mut terminal, _) = on_terminal(&sandbox, &shell, &[("waiting for a token", token(TARGET).trim_end())]);
    let output = terminal.output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success() && stdout.contains("user:           dbiamuser\n"), "{stdout}{stderr}");
}

#[test]
fn the_url_that_rds_token_prints_is_usable() {
    let target = format!("postgres://app@{HOST}/ExampleDB");
    let url = Sandbox::new().rds_token([target.as_str(), "--output", "url"]).succeeds();
    let (report, code) = report(&url);
    assert_eq!((code, codes(&report)), (0, vec![]));
    let (report, code) = self::report(url.replace("app:", "App:"));
    assert_eq!((code, codes(&report)), (1, vec!["url_user"]));
}

#[test]
fn reference_tokens_have_expired_and_are_valid_otherwise() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("data/tokens.json")).unwrap();
    for vector in vectors {
        let (report, code) = report(vector["token"].as_str().unwrap());
        let signed_at = time::OffsetDateTime::parse(
            vector["signed_at"].as_str().unwrap(),
            &time::format_description::well_known::Rfc3339,
        );
        let is_over = signed_at.unwrap() + time::Duration::seconds(900) < time::OffsetDateTime::now_utc();
        let mut expected = vec![if is_over { "expired" } else { "not_yet_valid" }];
        // The host of the published reference token has no account.
        if vector["port"] == 443 || vector["host"] == "prod-instance.us-east-1.rds.amazonaws.com" {
            expected.push("endpoint");
        }
        assert_eq!((code, codes(&report)), (1, expected), "{report}");
        for field in ["host", "port", "user", "region", "access_key_id", "signed_at"] {
            assert_eq!(report[field], vector[field], "{report}");
        }
        assert_eq!(report["session_token"], !vector["session_token"].is_null());
    }
}

#[test]
#[ignore = "needs the AWS CLI"]
fn a_token_of_the_aws_cli_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/awscli");
    if !path.is_dir() {
        return skip("a_token_of_the_aws_cli_is_valid", "the AWS CLI is not in target/awscli; run `make test`");
    }
    let sandbox = Sandbox::new();
    for (session_token, expected) in [(None, false), (Some("session/+="), true)] {
        let mut command = sandbox.command("/usr/bin/python3");
        command.args(["-m", "awscli", "rds", "generate-db-auth-token", "--hostname", HOST, "--port", "5432"]);
        command.args(["--username", "jane.doe@corp", "--region", "eu-west-1"]).env("PYTHONPATH", &path).envs(KEYS);
        command.envs(session_token.map(|token| ("AWS_SESSION_TOKEN", token)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", texts(&output).1);
        let (report, code) = report(output.stdout);
        assert_eq!((code, codes(&report), &report["user"]), (0, vec![], &"jane.doe@corp".into()));
        assert_eq!(report["session_token"], expected);
    }
}

#[test]
#[ignore = "needs the AWS CLI"]
fn tokens_of_aurora_dsql_are_valid() {
    let host = "abc123.dsql.eu-west-1.on.aws";
    let cases = |id: &str, session: Option<&str>| {
        [("app", 900), ("admin", 604_800)].map(|(user, expires_in)| {
            json!({"host": host, "user": user, "region": "eu-west-1", "access_key_id": id, "secret_access_key": "secret",
                "session_token": session, "expires_in": expires_in})
        })
    };
    let cases = [cases("AKIAEXAMPLE", None), cases("ASIAEXAMPLE", Some("session/+="))].concat();
    let Some(tokens) = dsql_tokens("tokens_of_aurora_dsql_are_valid", &cases.into()) else { return };
    assert_eq!(tokens.len(), 4);
    for (token, ttl, session_token) in [(0, 900, false), (1, 604_800, false), (2, 900, true), (3, 604_800, true)]
        .map(|(index, ttl, session_token)| (&tokens[index], ttl, session_token))
    {
        let (report, code) = report(token);
        assert_eq!((code, codes(&report), &report["kind"]), (0, vec![], &"dsql".into()), "{report}");
        assert_eq!((&report["host"], &report["user"], &report["port"]), (&host.into(), &Value::Null, &Value::Null));
        assert_eq!(report["session_token"], session_token);
        assert!((ttl - 60..=ttl).contains(&report["ttl"].as_i64().unwrap()), "{report}");
    }
}

/// Real servers refuse each token that `inspect` calls unusable, with the message that it predicts.
#[test]
#[ignore = "needs database servers"]
fn servers_answer_as_predicted() {
    let Some(lab) = lab("servers_answer_as_predicted") else { return };
    let key = lab.keys.iter().find(|key| key.session_token.is_none()).unwrap();
    for engine in [Mariadb, Postgres] {
        let token = lab.rds_token(&Sandbox::new(), engine, &lab.user, key).succeeds().trim_end().to_owned();
        lab.logs_in(engine, &lab.user, &token);
        assert_eq!(report(&token).1, 0);
        for damaged in [
            format!("'{token}'"),
            format!(" {token}"),
            format!("https://{token}"),
            token.replace('&', "&amp;"),
            token.replace('%', "%25"),
            token[..token.len() - 1].to_owned(),
            token[..79].to_owned(),
            token.replace("Expires=900", "Expires=901"),
            token.replace("Action=connect", "Action=Connect"),
            token.replace("eu-west-1%2F", "us-east-1%2F"),
            token.replace("%2Frds-db", "%2Frds"),
        ] {
            let (report, code) = report(&damaged);
            assert_eq!(code, 1, "{report}");
            let predicted = report["findings"][0]["answer"].as_str().unwrap();
            let (stdout, stderr) = texts(&lab.client(engine, &lab.host, &lab.ca, &lab.user, &damaged));
            assert_eq!(stdout, "", "{report}");
            let message = if engine == Mariadb {
                "ERROR 1045 (28000): Access denied"
            } else {
                "FATAL:  PAM authentication failed"
            };
            assert!(stderr.contains(message), "{engine:?}: {stderr}");
            // The ports of the lab belong to no engine.
            assert!(predicted.contains(&message.replace(":  ", ": ")), "{predicted}");
        }
    }
}

/// The answers to a raw token in a URL are those of the real readers.
#[test]
#[ignore = "needs database clients"]
fn readers_of_urls_answer_as_predicted() {
    let url = format!("postgresql://app:{}@{HOST}/db", token(&format!("app@{HOST}:5432")).trim_end());
    let (report, code) = report(&url);
    assert_eq!((code, codes(&report)), (1, vec!["raw_in_url"]));
    let predicted = report["findings"][0]["answer"].as_str().unwrap();
    let psql = texts(&Command::new("psql").args(["-X", &url]).output().unwrap()).1;
    let message = "invalid URI query parameter: \"Action\"";
    assert!(psql.contains(message) && predicted.contains(message), "{psql}");
    let python = ["-c", "import sys, urllib.parse; urllib.parse.urlsplit(sys.argv[1]).port", &url];
    let python = texts(&Command::new("/usr/bin/python3").args(python).output().unwrap()).1;
    let message = "Port could not be cast to integer value";
    assert!(python.contains(message) && predicted.contains(message), "{python}");
}
