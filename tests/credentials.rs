//! The sources of credentials, their precedence, and the errors if no source has credentials.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{KEYS, Run, Sandbox, Server, TARGET, key_id, parameter, print_uncaptured, rfc3339};

const ROLE: &str = "arn:aws:iam::123456789012:role/lab";
const THIRD_ROLE: &str = "arn:aws:iam::123456789012:role/third";

/// The file of an SSO session named `dev`.
const SSO_TOKEN: &str = ".aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json";

/// Starts an EC2 metadata service. Each response has a delay, and the keys (`ASIAEC2`) expire at `expiration`.
fn metadata_service(expiration: &str, delay: Duration) -> Server {
    let keys = format!(
        r#"{{"Code":"Success","AccessKeyId":"ASIAEC2","SecretAccessKey":"s","Token":"t","Expiration":"{expiration}"}}"#
    );
    Server::start(move |head, _| {
        std::thread::sleep(delay);
        match head.split(' ').nth(1).unwrap() {
            "/latest/api/token" => (200, "imds-token".to_owned()),
            "/latest/meta-data/iam/security-credentials/" => (200, "role".to_owned()),
            _ => (200, keys.clone()),
        }
    })
}

/// Creates a sandbox with the profiles `default` and `other`, which have access keys.
fn sandbox_with_profiles() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".aws/credentials",
        "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = s\n\
         [other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = s\naws_session_token = t/+\n",
    );
    sandbox
}

#[test]
fn the_profile_flag_overrides_environment_keys_and_aws_profile_does_not() {
    let sandbox = sandbox_with_profiles();
    let id = |token: String| key_id(&token).to_owned();
    assert_eq!(id(sandbox.without_keys([TARGET]).succeeds()), "AKIDDEFAULT");
    assert_eq!(id(sandbox.without_keys([TARGET]).env("AWS_PROFILE", "other").succeeds()), "AKIDOTHER");
    assert_eq!(id(sandbox.rds_token([TARGET]).succeeds()), "AKIDEXAMPLE");
    assert_eq!(id(sandbox.rds_token([TARGET]).env("AWS_PROFILE", "other").succeeds()), "AKIDEXAMPLE");
    let token = sandbox.rds_token([TARGET, "--profile", "other"]).succeeds();
    assert_eq!((key_id(&token), parameter(&token, "X-Amz-Security-Token")), ("AKIDOTHER", Some("t%2F%2B")));
}

#[test]
fn a_change_of_identity_is_a_miss() {
    let sandbox = sandbox_with_profiles();
    let token = sandbox.without_keys([TARGET]).succeeds();
    sandbox.write(".aws/credentials", "[default]\naws_access_key_id = AKIDNEW\naws_secret_access_key = s\n");
    assert_ne!(sandbox.without_keys([TARGET]).succeeds(), token);
    let token = sandbox.rds_token([TARGET]).succeeds();
    for (name, value) in [("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_SESSION_TOKEN", "x"), ("AWS_ACCESS_KEY_ID", "x")] {
        assert_ne!(sandbox.rds_token([TARGET]).env(name, value).succeeds(), token, "{name}");
    }
}

#[test]
fn errors_about_profiles_name_the_remedy() {
    let sandbox = sandbox_with_profiles();
    sandbox.write(
        ".aws/config",
        "[profile empty]\nregion = eu-west-1\n[profile loop]\nrole_arn = r\nsource_profile = pool\n\
         [profile pool]\nrole_arn = r\nsource_profile = loop\n[profile norole]\nweb_identity_token_file = /x\n\
         [profile half]\naws_access_key_id = AKID\n[profile lost]\nrole_arn = r\nsource_profile = gone\n\
         [profile both]\nrole_arn = r\nsource_profile = default\ncredential_source = Environment\n\
         [profile nowhere]\nrole_arn = r\n[profile odd]\nrole_arn = r\ncredential_source = Moon\n\
         [profile login]\nlogin_session = arn:x\n[profile sso]\nsso_account_id = 1\nsso_role_name = r\n",
    );
    for (profile, part) in [
        ("absent", "profile 'absent' is not in"),
        ("ab\x1b[2Jsent", "\\u{1b}[2J"),
        ("empty", "profile 'empty' has no credentials"),
        ("loop", "source_profile"),
        ("norole", "no role_arn"),
        ("half", "has aws_access_key_id but no aws_secret_access_key"),
        ("lost", "profile 'gone', which profile 'lost' names"),
        ("both", "both source_profile and credential_source"),
        ("nowhere", "no source_profile or credential_source"),
        ("odd", "credential_source 'Moon'"),
        ("login", "run `aws login --profile login`"),
        ("sso", "no sso_region; run `aws configure sso`"),
    ] {
        let line = sandbox.without_keys([TARGET, "--profile", profile]).fails(3);
        assert!(line.contains(part), "{profile}: {line}");
    }
    let line = sandbox.rds_token([TARGET]).without("AWS_SECRET_ACCESS_KEY").fails(3);
    assert!(line.contains("no AWS_SECRET_ACCESS_KEY"), "{line}");
    let line = sandbox.rds_token([TARGET]).env("AWS_CREDENTIAL_EXPIRATION", "soon").fails(3);
    assert!(line.contains("AWS_CREDENTIAL_EXPIRATION = 'soon'"), "{line}");
    sandbox.write(".aws/config", "[profile\n");
    assert!(sandbox.without_keys([TARGET]).fails(2).contains("could not parse"));
    let empty = Sandbox::new();
    assert!(empty.without_keys([TARGET]).fails(3).contains("aws sso login"));
}

#[test]
fn a_token_expires_with_its_credentials() {
    let sandbox = Sandbox::new();
    let expiring_in = |seconds| sandbox.rds_token([TARGET]).env("AWS_CREDENTIAL_EXPIRATION", rfc3339(seconds));
    let (_, stderr) = expiring_in(120).warns();
    assert!(
        stderr.contains("warning: the token expires in 1") && stderr.contains("because the AWS credentials do"),
        "{stderr}"
    );
    assert_eq!(stderr.matches('\n').count(), 1);
    sandbox.rds_token([TARGET, "-q"]).env("AWS_CREDENTIAL_EXPIRATION", rfc3339(121)).succeeds();
    assert!(expiring_in(-1).fails(3).contains("expired at"));
    expiring_in(1_000).succeeds();
    let json =
        sandbox.rds_token([TARGET, "--output", "json"]).env("AWS_CREDENTIAL_EXPIRATION", rfc3339(600)).succeeds();
    let fields: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ttl: u64 = fields["ttl"].as_str().unwrap().parse().unwrap();
    assert!((590..=600).contains(&ttl), "{ttl}");
}

#[test]
fn roles_are_assumed_along_source_profiles() {
    let sandbox = sandbox_with_profiles();
    let sts = Server::start(|head, body| {
        let expected = [
            ("AKIDOTHER", "Action=AssumeRole&", "RoleArn=first", "ExternalId=e%2F1", "DurationSeconds=1800"),
            ("ASIAFIRST", "Action=AssumeRole&", "RoleArn=second", "RoleSessionName=jane", ""),
            ("ASIASECOND", "Action=AssumeRole&", "role%2Fthird&", "RoleSessionName=rds-token", ""),
        ];
        for (index, (key, action, role, third, fourth)) in expected.iter().enumerate() {
            if head.contains(&format!("Credential={key}/")) {
                for part in [action, role, third, fourth] {
                    assert!(body.contains(part), "{part}: {body}");
                }
                let id = ["ASIAFIRST", "ASIASECOND", "ASIATHIRD"][index];
                return (200, assume_role_response(id, &rfc3339(3600)));
            }
        }
        (403, String::new())
    });
    sandbox.write(
        ".aws/config",
        "[profile a]\nrole_arn = first\nsource_profile = other\nexternal_id = e/1\nduration_seconds = 1800\n\
         [profile b]\nrole_arn = second\nsource_profile = a\nrole_session_name = jane\n",
    );
    let run = sandbox.without_keys([TARGET, "--profile", "b", "--role-arn", THIRD_ROLE]);
    let token = run.env("AWS_ENDPOINT_URL_STS", &sts.url).succeeds();
    assert_eq!((key_id(&token), sts.requests()), ("ASIATHIRD", 3));
    let run = sandbox.without_keys([TARGET, "--profile", "b", "--role-arn", THIRD_ROLE]);
    assert_eq!(run.env("AWS_ENDPOINT_URL_STS", &sts.url).succeeds(), token);
    assert_eq!(sts.requests(), 3, "the second token came from the cache");
}

fn assume_role_response(id: &str, expiration: &str) -> String {
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{expiration}</Expiration>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

#[test]
fn credentials_that_expire_soon_are_fetched_once_more() {
    let sandbox = Sandbox::new();
    let sts = Server::sts(Duration::ZERO, 100);
    let (_, stderr) = sandbox.rds_token([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &sts.url).warns();
    assert!(stderr.contains("the token expires in"), "{stderr}");
    assert_eq!(sts.requests(), 2);
}

#[test]
fn an_error_of_sts_is_quoted() {
    let sandbox = Sandbox::new();
    let sts = Server::refusing_sts(Duration::ZERO);
    let line = sandbox.rds_token([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &sts.url).fails(3);
    for part in ["the environment", ROLE, "AccessDenied: User: jane is not authorized"] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn a_hostile_response_leaks_nothing_and_stays_one_line() {
    let sandbox = Sandbox::new();
    let secret = KEYS[1].1;
    let sts = Server::start(move |_, _| {
        let message = format!("canonical: session/canary {secret}\u{1b}[31m\n\u{202e}");
        let message = message.replace('\u{1b}', "&#27;");
        (403, format!("<ErrorResponse><Error><Code>X</Code><Message>{message}</Message></Error></ErrorResponse>"))
    });
    let run = sandbox.rds_token([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &sts.url);
    let line = run.env("AWS_SESSION_TOKEN", "session/canary").env("RUST_LOG", "trace").fails(3);
    assert!(!line.contains("canary") && !line.contains(secret) && !line.contains('\u{202e}'), "{line}");
}

#[test]
fn plain_http_is_accepted_only_on_this_machine() {
    let sandbox = Sandbox::new();
    let run = sandbox.rds_token([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL", "http://sts.example.com");
    let line = run.fails(3);
    assert!(line.contains("the endpoint must be https://"), "{line}");
    let refused = sandbox.rds_token([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    assert!(refused.fails(4).contains("check the network"));
}

#[test]
fn a_web_identity_comes_from_the_environment_or_a_profile() {
    let sandbox = Sandbox::new();
    let sts = Server::start(|_, body| {
        assert!(body.contains("Action=AssumeRoleWithWebIdentity") && body.contains("WebIdentityToken=jwt.x"), "{body}");
        let text = assume_role_response("ASIAWEB", &rfc3339(3600)).replace("AssumeRole", "AssumeRoleWithWebIdentity");
        (200, text)
    });
    let file = sandbox.write("jwt", "jwt.x\n");
    let run = sandbox.without_keys([TARGET]).env("AWS_WEB_IDENTITY_TOKEN_FILE", &file).env("AWS_ROLE_ARN", ROLE);
    assert_eq!(key_id(&run.env("AWS_ENDPOINT_URL_STS", &sts.url).succeeds()), "ASIAWEB");
    let file = file.display();
    sandbox.write(".aws/config", &format!("[profile w]\nrole_arn = {ROLE}\nweb_identity_token_file = {file}\n"));
    let run = sandbox.without_keys([TARGET, "--profile", "w"]).env("AWS_ENDPOINT_URL_STS", &sts.url);
    assert_eq!(key_id(&run.succeeds()), "ASIAWEB");
}

#[test]
fn the_container_endpoint_and_the_metadata_service_return_credentials() {
    let sandbox = Sandbox::new();
    let keys = |id: &str| {
        let end = rfc3339(3600);
        format!(
            "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"s\",\
             \"Token\":\"t\",\"Expiration\":\"{end}\",\"LastUpdated\":\"{end}\"}}"
        )
    };
    let (container, instance) = (keys("ASIACONTAINER"), keys("ASIAINSTANCE"));
    let server = Server::start(move |head, _| match head.split(' ').nth(1).unwrap() {
        "/pod" if head.to_lowercase().contains("authorization: secret-of-the-pod") => (200, container.clone()),
        "/latest/api/token" => (200, "imds-token".to_owned()),
        "/latest/meta-data/iam/security-credentials/" => (200, "role".to_owned()),
        "/latest/meta-data/iam/security-credentials/role" => (200, instance.clone()),
        _ => (404, String::new()),
    });
    let run = sandbox.without_keys([TARGET]).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/pod", server.url));
    let token = run.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret-of-the-pod").succeeds();
    assert_eq!(key_id(&token), "ASIACONTAINER");
    let run = sandbox.without_keys([TARGET]).without("AWS_EC2_METADATA_DISABLED");
    let token = run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url).succeeds();
    assert_eq!(key_id(&token), "ASIAINSTANCE");
}

#[test]
fn sso_uses_the_login_of_the_aws_cli() {
    let sandbox = Sandbox::new();
    let portal = Server::start(|head, _| {
        if !head.to_lowercase().contains("x-amz-sso_bearer_token: access") {
            return (401, "{\"message\":\"Session token not found or invalid\"}".to_owned());
        }
        let end = (time::OffsetDateTime::now_utc().unix_timestamp() + 3600) * 1000;
        let keys = format!(
            "\"accessKeyId\":\"ASIASSO\",\"secretAccessKey\":\"s\",\"sessionToken\":\"t\",\"expiration\":{end}"
        );
        (200, format!("{{\"roleCredentials\":{{{keys}}}}}"))
    });
    sandbox.write(
        ".aws/config",
        "[profile new]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = r\n\
         [sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://x/start\n\
         [profile old]\nsso_region = eu-west-1\nsso_start_url = https://x/start\n\
         sso_account_id = 1\nsso_role_name = r\n",
    );
    let get =
        |profile: &str| sandbox.without_keys([TARGET, "--profile", profile]).env("AWS_ENDPOINT_URL_SSO", &portal.url);
    for profile in ["new", "old"] {
        let line = get(profile).fails(3);
        assert!(line.contains(&format!("run `aws sso login --profile {profile}`")), "{line}");
    }
    // The name of the file is the SHA-1 of the session's name, or of the start URL.
    for file in [SSO_TOKEN, ".aws/sso/cache/f9bd89c67fef27fcb5df8d2e4b64eabe5bae45a4.json"] {
        let token = serde_json::json!({
            "startUrl": "https://x/start", "region": "eu-west-1", "accessToken": "access", "expiresAt": rfc3339(3600),
        });
        sandbox.write(file, &token.to_string());
    }
    for profile in ["new", "old"] {
        assert_eq!(key_id(&get(profile).succeeds()), "ASIASSO", "{profile}");
    }
}

/// Writes a shell script, and configures it as `credential_process`.
fn write_helper(sandbox: &Sandbox, body: &str) {
    let path = sandbox.write("helper", &format!("#!/bin/sh\n{body}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.write(".aws/config", &format!("[default]\ncredential_process = {} --flag 'a b'\n", path.display()));
}

#[test]
fn a_credential_process_is_run_and_its_errors_are_reported() {
    let sandbox = Sandbox::new();
    let printed = "{\"Version\":1,\"AccessKeyId\":\"AKIDHELPER\",\"SecretAccessKey\":\"s\",\"Extra\":[]}";
    write_helper(&sandbox, &format!("[ \"$2\" = 'a b' ] && echo called >>~/calls && echo '{printed}'"));
    let token = sandbox.without_keys([TARGET]).succeeds();
    assert_eq!(key_id(&token), "AKIDHELPER");
    assert_eq!(sandbox.without_keys([TARGET]).succeeds(), token);
    assert_eq!(std::fs::read_to_string(sandbox.path("home/calls")).unwrap(), "called\n");
    for (body, part) in [
        ("echo 'vault is \x1b[2Jlocked' >&2; exit 7", "vault is \\u{1b}[2Jlocked"),
        ("echo 'vault is \x1b[31mlocked' >&2; exit 7", "vault is locked"),
        ("exit 7", "exit status: 7"),
        ("echo nonsense", "is not the JSON"),
        ("echo '{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":777}'", "is not the JSON"),
        ("echo '{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}'", "Version 2"),
        ("echo '{\"Version\":1,\"AccessKeyId\":\"\",\"SecretAccessKey\":\"s\"}'", "access key id is empty"),
        ("cat /dev/zero", "is larger than 1 MiB"),
    ] {
        write_helper(&sandbox, body);
        let line = sandbox.without_keys([TARGET, "--no-cache"]).fails(3);
        assert!(line.contains(part) && line.contains("credential_process") && !line.contains("777"), "{line}");
    }
}

#[test]
fn helper_programs_have_a_time_limit_and_leave_no_process() {
    let sandbox = Sandbox::new();
    let mark = format!("31{:05}", fastrand::u32(..100_000));
    write_helper(&sandbox, &format!("sleep {mark} & sleep {mark}; true"));
    let begin = Instant::now();
    let line = sandbox.without_keys([TARGET, "--timeout", "700ms"]).fails(4);
    assert!(line.contains("credential_process") && line.contains("--timeout"), "{line}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert!(!is_running(&mark));

    // A program that ignores SIGTERM is killed.
    write_helper(&sandbox, &format!("trap '' TERM; sleep {mark} & sleep {mark}; true"));
    sandbox.without_keys([TARGET, "--timeout", "700ms"]).fails(4);
    assert!(!is_running(&mark));
    write_helper(&sandbox, &format!("sleep {mark} & sleep {mark}; true"));

    // A signal that terminates rds-token terminates the program too.
    let mut child = sandbox.without_keys([TARGET]).command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !is_running(&mark) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(!is_running(&mark));
}

/// The signal handlers are installed before the program is started.
#[test]
#[ignore = "needs several seconds"]
fn a_signal_at_any_time_leaves_no_helper_program() {
    let sandbox = Sandbox::new();
    let mark = format!("32{:05}", fastrand::u32(..100_000));
    write_helper(&sandbox, &format!("sleep {mark}; true"));
    let mut interrupted = 0;
    for _ in 0..300 {
        let mut command = sandbox.without_keys([TARGET]).command;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(fastrand::u64(..30_000)));
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
        interrupted += u32::from(child.wait().unwrap().code() == Some(143));
    }
    assert!(interrupted > 0, "some signals arrive while the program runs");
    assert!(!is_running(&mark));
}

#[test]
fn services_have_a_time_limit() {
    let sandbox = Sandbox::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let args = [TARGET, "--timeout", "700ms", "--refresh"];
    for (run, name) in [
        (sandbox.rds_token(args.iter().chain(&["--role-arn", ROLE])).env("AWS_ENDPOINT_URL_STS", &url), "STS"),
        (sandbox.without_keys(args).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url), "container"),
        (
            sandbox
                .without_keys(args)
                .without("AWS_EC2_METADATA_DISABLED")
                .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url),
            "metadata",
        ),
    ] {
        let begin = Instant::now();
        let line = run.fails(4);
        assert!(line.contains("no response in time"), "{name}: {line}");
        assert!(begin.elapsed() < Duration::from_secs(20), "{name}: {:?}", begin.elapsed());
    }
}

fn is_running(mark: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.starts_with(b"sleep\0") && line.windows(mark.len()).any(|part| part == mark.as_bytes())
    })
}

/// Settings of other tools are accepted or ignored. Invalid values are one error line.
#[test]
fn unusual_settings_work_or_fail_with_one_line() {
    let sandbox = Sandbox::new();
    let role = [TARGET, "--no-cache", "--role-arn", ROLE];
    let sts = Server::sts(Duration::ZERO, 3600);
    let get = |name: &str, value: &str| sandbox.rds_token(role).env("AWS_ENDPOINT_URL_STS", &sts.url).env(name, value);
    for (name, value) in [("AWS_RETRY_MODE", "legacy"), ("AWS_MAX_ATTEMPTS", "0"), ("http_proxy", "http://127.0.0.1:1")]
    {
        get(name, value).succeeds();
    }
    let no_roots = || get("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    no_roots().succeeds();
    assert!(
        no_roots()
            .env("AWS_ENDPOINT_URL_STS", "https://localhost:1")
            .fails(3)
            .contains("name no usable CA certificates")
    );
    for (name, value, part) in [
        ("AWS_ACCESS_KEY_ID", "AK\n", "access key id has a space"),
        ("AWS_ACCESS_KEY_ID", "AK/x", "has the character '/'"),
        ("AWS_SECRET_ACCESS_KEY", "s\u{fffd}", "secret access key has a space or a character"),
        ("AWS_SESSION_TOKEN", &"/".repeat(20_000), "session token is longer than 16384"),
    ] {
        assert!(get(name, value).fails(3).contains(part), "{name}");
    }
    for url in ["localhost:4566", "http://u:p@localhost:1", "sts", "ftp://x", "http://"] {
        let line = get("AWS_ENDPOINT_URL_STS", url).fails(2);
        assert!(line.contains("is not a URL such as"), "{url}: {line}");
    }
}

#[test]
fn incomplete_credentials_are_refused() {
    let sandbox = Sandbox::new();
    for missing in ["ASIAX", "s", "t"] {
        let sts = Server::start(move |_, _| {
            let complete = assume_role_response("ASIAX", &rfc3339(3600));
            (200, complete.replace(&format!(">{missing}<"), "><"))
        });
        let run = sandbox.rds_token([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &sts.url);
        let line = run.fails(3);
        assert!(line.contains("is empty") || line.contains("is missing"), "{missing}: {line}");
    }
    let server = metadata_service(&rfc3339(-100), Duration::ZERO);
    let run = sandbox.without_keys([TARGET]).without("AWS_EC2_METADATA_DISABLED");
    assert!(run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url).fails(3).contains("expired at"));
    let hostile = Server::start(|_, _| (200, "role\u{202e}/../{x}".to_owned()));
    let run = sandbox.without_keys([TARGET]).without("AWS_EC2_METADATA_DISABLED");
    let line = run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &hostile.url).fails(3);
    assert!(line.contains("not the name of a role"), "{line}");
}

#[test]
fn pipes_are_read_within_the_time_limit() {
    let sandbox = Sandbox::new();
    let fifo = sandbox.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (name, code) in [("AWS_CONFIG_FILE", 4), ("AWS_WEB_IDENTITY_TOKEN_FILE", 4)] {
        let begin = Instant::now();
        let run = sandbox.without_keys([TARGET, "--timeout", "700ms"]).env(name, &fifo).env("AWS_ROLE_ARN", ROLE);
        let output = run.output();
        assert!(output.stdout.is_empty() && output.status.code() == Some(code), "{name}: {:?}", output.status);
        assert!(begin.elapsed() < Duration::from_secs(20), "{name}: {:?}", begin.elapsed());
    }
    let run = sandbox.without_keys([TARGET]).env("AWS_WEB_IDENTITY_TOKEN_FILE", "/dev/zero").env("AWS_ROLE_ARN", ROLE);
    assert!(run.fails(3).contains("it is larger than 16 MiB"));
}

/// Each of these settings decides which credentials a request gets, or from which service.
#[test]
fn a_change_of_a_profile_setting_is_a_miss() {
    let sandbox = Sandbox::new();
    let [first, second, third, fourth] = [(); 4].map(|()| Server::sts(Duration::ZERO, 3600));
    let base =
        "[default]\naws_access_key_id = AKIDD\naws_secret_access_key = s\n[profile r]\nsource_profile = default\n";
    let role = format!("role_arn = {ROLE}\n");
    let get = || sandbox.without_keys([TARGET, "--profile", "r"]).succeeds();
    let mut tokens = Vec::new();
    for (setting, settings) in [
        ("endpoint", format!("{role}endpoint_url = {}\n", first.url)),
        ("another endpoint", format!("{role}endpoint_url = {}\n", second.url)),
        ("services", format!("{role}services = s\n[services s]\nsts =\n  endpoint_url = {}\n", third.url)),
        ("other services", format!("{role}services = s\n[services s]\nsts =\n  endpoint_url = {}\n", fourth.url)),
        ("session name", format!("{role}endpoint_url = {}\nrole_session_name = jane\n", first.url)),
        ("external id", format!("{role}endpoint_url = {}\nexternal_id = e\n", first.url)),
        ("duration", format!("{role}endpoint_url = {}\nduration_seconds = 900\n", first.url)),
        ("region", format!("{role}endpoint_url = {}\nregion = us-east-2\n", first.url)),
    ] {
        sandbox.write(".aws/config", &format!("{base}{settings}"));
        let token = get();
        assert_eq!(get(), token, "{setting}");
        assert!(!tokens.contains(&token), "{setting}: the token came from the cache");
        tokens.push(token);
        // The session is the same for all endpoints and regions, as in the AWS CLI.
        std::fs::remove_dir_all(sandbox.path("home/.aws/cli")).unwrap();
    }
    // Other settings cause no miss.
    let requests = first.requests();
    let settings = format!("{role}endpoint_url = {}\nregion = us-east-2\noutput = json\n[profile x]\n", first.url);
    sandbox.write(".aws/config", &format!("{base}{settings}"));
    assert_eq!((&get(), first.requests()), (tokens.last().unwrap(), requests));
}

#[test]
fn incomplete_keys_in_the_environment_are_ignored() {
    let sandbox = sandbox_with_profiles();
    let id = |token: String| key_id(&token).to_owned();
    let run = |args: &[&str]| sandbox.without_keys([&[TARGET], args].concat()).env("AWS_SECRET_ACCESS_KEY", "x");
    assert_eq!(id(run(&[]).succeeds()), "AKIDDEFAULT");
    assert_eq!(
        id(run(&["--profile", "other"]).env("AWS_ACCESS_KEY_ID", "A").env("AWS_CREDENTIAL_EXPIRATION", "x").succeeds()),
        "AKIDOTHER"
    );
    // A web identity overrides the keys of a profile that the environment selects, as with the AWS CLI on EKS.
    let sts = Server::start(|_, _| {
        (200, assume_role_response("ASIAWEB", &rfc3339(3600)).replace("AssumeRole", "AssumeRoleWithWebIdentity"))
    });
    let file = sandbox.write("jwt", "jwt.x\n");
    let web = |args: &[&str]| {
        let run = sandbox.without_keys([&[TARGET], args].concat()).env("AWS_WEB_IDENTITY_TOKEN_FILE", &file);
        run.env("AWS_ROLE_ARN", ROLE).env("AWS_ENDPOINT_URL_STS", &sts.url)
    };
    assert_eq!(id(web(&[]).succeeds()), "ASIAWEB");
    assert_eq!(id(web(&["--profile", "other"]).succeeds()), "AKIDOTHER");
}

#[test]
fn a_relative_home_is_ignored() {
    let sandbox = Sandbox::new();
    sandbox.write("../.aws/credentials", "[default]\naws_access_key_id = AKIDCWD\naws_secret_access_key = s\n");
    assert!(sandbox.without_keys([TARGET]).env("HOME", ".").fails(3).contains("none found in the environment"));
}

#[test]
fn a_signal_is_handled_after_a_credential_process() {
    let sandbox = Sandbox::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    write_helper(&sandbox, "echo '{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}'");
    let mut command = sandbox.without_keys([TARGET, "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", url).command;
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (_stream, _) = silent.accept().unwrap();
    let begin = Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

/// If a source does not respond, the program exits with 4 once `--timeout` has passed.
#[test]
#[ignore = "needs several seconds"]
fn every_source_has_a_time_limit() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let sso_token = |seconds: i64| {
        format!(
            "{{\"accessToken\":\"a\",\"expiresAt\":\"{}\",\"clientId\":\"c\",\"clientSecret\":\"s\",\
             \"registrationExpiresAt\":\"{}\",\"refreshToken\":\"r\"}}",
            rfc3339(seconds),
            rfc3339(86_400)
        )
    };
    let sso = "[default]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = r\n\
               [sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://x/start\n";
    let role = format!("[default]\nrole_arn = {ROLE}\nsource_profile = user\nmfa_serial = m\n");
    let user = "[profile user]\naws_access_key_id = A\naws_secret_access_key = s\n";
    for (name, config, sso_token, variables) in [
        ("STS", role.replace("mfa_serial = m\n", "") + user, None, vec!["AWS_ENDPOINT_URL_STS"]),
        ("SSO portal", sso.to_owned(), Some(sso_token(3600)), vec!["AWS_ENDPOINT_URL_SSO"]),
        ("SSO OIDC", sso.to_owned(), Some(sso_token(-1)), vec!["AWS_ENDPOINT_URL_SSO_OIDC"]),
        ("credential_process", "[default]\ncredential_process = sleep 60\n".to_owned(), None, vec![]),
        ("mfa_process", role.clone() + "mfa_process = sleep 60\n" + user, None, vec![]),
        ("container", String::new(), None, vec!["AWS_CONTAINER_CREDENTIALS_FULL_URI"]),
        ("EC2", String::new(), None, vec!["AWS_EC2_METADATA_SERVICE_ENDPOINT"]),
        (
            "aws login",
            "[default]\nlogin_session = arn:x\nregion = eu-west-1\n".to_owned(),
            None,
            vec!["AWS_ENDPOINT_URL_SIGNIN"],
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(".aws/config", &config);
        if let Some(text) = sso_token {
            sandbox.write(SSO_TOKEN, &text);
        }
        if name == "aws login" {
            write_console_session(&sandbox, "arn:x", -10);
        }
        let mut run = sandbox.without_keys([TARGET, "--timeout", "700ms"]).without("AWS_EC2_METADATA_DISABLED");
        for variable in variables {
            run = run.env(variable, &url);
        }
        let begin = Instant::now();
        let line = run.fails(4);
        print_uncaptured(&format!("{name} hangs: exit 4 after {:?}", begin.elapsed()));
        assert!(line.contains("no response in time"), "{name}: {line}");
        assert!(begin.elapsed() < Duration::from_secs(20), "{name}: {:?}", begin.elapsed());
    }
    // A token file that is a pipe without a writer.
    let sandbox = Sandbox::new();
    let fifo = sandbox.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let run = sandbox.without_keys([TARGET]).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url);
    assert!(
        run.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &fifo).fails(4).contains("nothing was written to it in time")
    );
}

#[test]
fn a_configured_metadata_service_may_be_slow() {
    let sandbox = Sandbox::new();
    let server = metadata_service(&rfc3339(3600), Duration::from_millis(500));
    let run = sandbox.without_keys([TARGET]).without("AWS_EC2_METADATA_DISABLED");
    assert_eq!(key_id(&run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url).succeeds()), "ASIAEC2");
}

/// Writes the file of `aws login` for `session`, with keys that expire in `seconds` and the key pair to refresh them.
/// Returns its path.
fn write_console_session(sandbox: &Sandbox, session: &str, seconds: i64) -> std::path::PathBuf {
    use sha2::Digest as _;
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
    let key = String::from_utf8(openssl.output().unwrap().stdout).unwrap();
    let name: String = sha2::Sha256::digest(session).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = serde_json::json!({
        "accessToken": {
            "accessKeyId": "ASIACONSOLE0", "secretAccessKey": "s", "sessionToken": "t", "accountId": "123456789012",
            "expiresAt": rfc3339(seconds),
        },
        "tokenType": "urn:aws:params:oauth:token-type:access_token_sigv4", "refreshToken": "refresh-0", "idToken": "id",
        "clientId": "arn:aws:signin:::devtools/same-device", "dpopKey": key,
    });
    sandbox.write(&format!(".aws/login/cache/{name}.json"), &text.to_string())
}

#[test]
#[ignore = "needs openssl"]
fn the_console_session_of_aws_login_is_used_and_refreshed() {
    let sandbox = Sandbox::new();
    let session = "arn:aws:iam::123456789012:user/jane";
    sandbox.write(".aws/config", &format!("[profile console]\nlogin_session = {session}\nregion = eu-west-1\n"));
    let signin = Server::start(|head, body| {
        let proof =
            head.lines().find_map(|line| line.to_lowercase().starts_with("dpop: ").then(|| line[6..].to_owned()));
        let is_proven = proof.is_some_and(|jwt| jwt.split('.').count() == 3);
        assert!(head.starts_with("POST /v1/token ") && body.contains("refresh_token"), "{head}{body}");
        if !is_proven || !body.contains("refresh-0") {
            return (400, "{\"error\":\"TOKEN_EXPIRED\",\"message\":\"x\"}".to_owned());
        }
        let keys = "{\"accessKeyId\":\"ASIACONSOLE1\",\"secretAccessKey\":\"s1\",\"sessionToken\":\"t1\"}";
        (
            200,
            format!("{{\"accessToken\":{keys},\"expiresIn\":900,\"refreshToken\":\"refresh-1\",\"tokenType\":\"x\"}}"),
        )
    });
    let get = || {
        let run = sandbox.without_keys([TARGET, "--profile", "console", "--no-cache"]);
        run.env("AWS_ENDPOINT_URL_SIGNIN", &signin.url)
    };
    let line = get().fails(3);
    assert!(line.contains("run `aws login --profile console`"), "{line}");
    // Keys that have not expired are used.
    let file = write_console_session(&sandbox, session, 600);
    assert_eq!((key_id(&get().succeeds()), signin.requests()), ("ASIACONSOLE0", 0));
    // Expired keys are refreshed, and the new ones are stored for the AWS CLI.
    write_console_session(&sandbox, session, -10);
    assert_eq!(key_id(&get().succeeds()), "ASIACONSOLE1");
    let stored: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        (stored["refreshToken"].as_str(), stored["accessToken"]["accessKeyId"].as_str()),
        (Some("refresh-1"), Some("ASIACONSOLE1"))
    );
    assert_eq!(stored["accessToken"]["accountId"], "123456789012");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
#[ignore = "needs openssl"]
fn concurrent_processes_refresh_a_console_session_once() {
    let sandbox = Sandbox::new();
    let session = "arn:aws:iam::123456789012:user/jane";
    sandbox.write(".aws/config", &format!("[profile console]\nlogin_session = {session}\nregion = eu-west-1\n"));
    write_console_session(&sandbox, session, -10);
    let signin = Server::start(|_, body| {
        std::thread::sleep(Duration::from_millis(300));
        // A refresh token can be used once.
        if !body.contains("refresh-0") {
            return (400, "{\"error\":\"TOKEN_EXPIRED\",\"message\":\"x\"}".to_owned());
        }
        let keys = "{\"accessKeyId\":\"ASIACONSOLE1\",\"secretAccessKey\":\"s1\",\"sessionToken\":\"t1\"}";
        let rest = "\"expiresIn\":900,\"refreshToken\":\"refresh-1\",\"tokenType\":\"x\"";
        (200, format!("{{\"accessToken\":{keys},{rest}}}"))
    });
    let start = |port: u16| {
        let target = TARGET.replace(":3306", &format!(":{port}"));
        let mut command = sandbox.without_keys([&target, "--profile", "console"]).command;
        command.env("AWS_ENDPOINT_URL_SIGNIN", &signin.url).stdout(Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = (4000..4010).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(signin.requests(), 1);
}

/// Starts a proxy that records the addresses in requests, and refuses them. Returns its URL and the addresses.
fn start_recording_proxy() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let addresses = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let list = std::sync::Arc::clone(&addresses);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            std::io::BufReader::new(&stream).read_line(&mut line).unwrap();
            list.lock().unwrap().push(line.split(' ').nth(1).unwrap_or_default().to_owned());
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (url, addresses)
}

/// The addresses of AWS services, as a proxy sees them.
#[test]
#[ignore = "needs several seconds"]
fn region_fips_and_dual_stack_select_the_endpoint() {
    let sso = |region: &str, more: &str| {
        format!(
            "[default]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = r\n{more}\n\
             [sso-session dev]\nsso_region = {region}\nsso_start_url = https://x/start\n"
        )
    };
    let role = |more: &str| {
        let user = "[profile user]\naws_access_key_id = A\naws_secret_access_key = s\n";
        format!("[default]\nrole_arn = {ROLE}\nsource_profile = user\n{more}\n{user}")
    };
    for (config, variables, expected) in [
        (role(""), vec![], "sts.eu-west-1.amazonaws.com:443"),
        (role("region = us-east-2"), vec![], "sts.us-east-2.amazonaws.com:443"),
        (role("region = us-east-2"), vec![("AWS_REGION", "us-west-1")], "sts.us-west-1.amazonaws.com:443"),
        (role("region = cn-north-1"), vec![], "sts.cn-north-1.amazonaws.com.cn:443"),
        (role("region = us-east-1"), vec![("AWS_USE_FIPS_ENDPOINT", "true")], "sts-fips.us-east-1.amazonaws.com:443"),
        (role("region = us-east-1\nuse_fips_endpoint = true"), vec![], "sts-fips.us-east-1.amazonaws.com:443"),
        (role(""), vec![("AWS_USE_DUALSTACK_ENDPOINT", "true")], "sts.eu-west-1.api.aws:443"),
        (role("use_dualstack_endpoint = true"), vec![], "sts.eu-west-1.api.aws:443"),
        (sso("eu-central-1", ""), vec![], "portal.sso.eu-central-1.amazonaws.com:443"),
        (sso("us-gov-west-1", "use_fips_endpoint = true"), vec![], "portal.sso.us-gov-west-1.amazonaws.com:443"),
        (sso("eu-central-1", ""), vec![("AWS_USE_DUALSTACK_ENDPOINT", "true")], "portal.sso.eu-central-1.api.aws:443"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(".aws/config", &config);
        let token = format!("{{\"accessToken\":\"a\",\"expiresAt\":\"{}\"}}", rfc3339(3600));
        sandbox.write(SSO_TOKEN, &token);
        let (proxy, addresses) = start_recording_proxy();
        let mut run = sandbox.without_keys([TARGET]).env("HTTPS_PROXY", proxy);
        run.command.envs(variables.iter().copied());
        run.fails(4);
        let addresses = addresses.lock().unwrap();
        assert!(!addresses.is_empty(), "{expected}");
        assert!(addresses.iter().all(|address| address == expected), "{addresses:?}, not {expected}");
    }
}

/// An STS with TLS, whose certificate is for localhost.
const STS_WITH_TLS: &str = "
import datetime, http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        end = end.strftime('%Y-%m-%dT%H:%M:%SZ')
        keys = '<AccessKeyId>ASIATLS</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>'
        keys = f'<Credentials>{keys}<Expiration>{end}</Expiration></Credentials>'
        body = f'<AssumeRoleResponse><AssumeRoleResult>{keys}</AssumeRoleResult></AssumeRoleResponse>'.encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    log_message = lambda self, *args: None
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
";

#[test]
#[ignore = "needs openssl and python3"]
fn aws_is_verified_with_the_configured_ca_bundle() {
    use std::io::{BufRead as _, BufReader};
    let sandbox = Sandbox::new();
    let (key, ca) = (sandbox.path("key.pem"), sandbox.path("ca.pem"));
    let mut make = std::process::Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    make.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&ca);
    assert!(make.output().unwrap().status.success());
    let mut server = std::process::Command::new("python3");
    server.args(["-c", STS_WITH_TLS]).arg(&ca).arg(&key).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = server.spawn().unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let url = format!("https://localhost:{}", port.trim());
    let get = || sandbox.rds_token([TARGET, "--no-cache", "--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &url);

    assert_eq!(key_id(&get().env("AWS_CA_BUNDLE", &ca).succeeds()), "ASIATLS");
    sandbox.write(".aws/config", &format!("[default]\nca_bundle = {}\n", ca.display()));
    sandbox.write(".aws/credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = s\n");
    let with_profile = sandbox.without_keys([TARGET, "--no-cache", "--role-arn", ROLE]);
    assert_eq!(key_id(&with_profile.env("AWS_ENDPOINT_URL_STS", &url).succeeds()), "ASIATLS");

    // The profile's bundle is used even if the keys come from the environment.
    assert_eq!(key_id(&get().succeeds()), "ASIATLS");
    sandbox.write(".aws/config", "");
    let line = get().fails(4);
    assert!(line.contains("certificate"), "{line}");
    let by_address = get().env("AWS_ENDPOINT_URL_STS", url.replace("localhost", "127.0.0.1")).env("AWS_CA_BUNDLE", &ca);
    assert!(by_address.fails(4).contains("certificate"));
    for (text, part) in [("", "has no usable CA certificates"), ("-----BEGIN CERTIFICATE-----\n!\n", "CA bundle")] {
        let bad = sandbox.write("bad.pem", text);
        assert!(get().env("AWS_CA_BUNDLE", bad).fails(3).contains(part), "{text}");
    }
    assert!(get().env("AWS_CA_BUNDLE", "/nonexistent").fails(3).contains("does not exist"));
    let fifo = sandbox.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        sandbox.write(".aws/config", "");
        assert!(get().env(variable, &fifo).fails(3).contains("is not a regular file"), "{variable}");
        assert!(get().env(variable, "/dev/zero").fails(3).contains("is not a regular file"), "{variable}");
    }
    let _ = server.kill();
    server.wait().unwrap();
}

#[test]
fn a_process_overrides_keys_in_config_but_not_in_credentials() {
    let keys = |id: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = s\n");
    let process =
        "credential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIDPROCESS\",\"SecretAccessKey\":\"s\"}'\n";
    for (config, credentials, id) in [
        (format!("[default]\n{}{process}", keys("AKIDCONFIG")), String::new(), "AKIDPROCESS"),
        (format!("[default]\n{process}"), format!("[default]\n{}", keys("AKIDFILE")), "AKIDFILE"),
        (format!("[default]\n{}", keys("AKIDCONFIG")), format!("[default]\n{process}"), "AKIDPROCESS"),
        (format!("[default]\n{}", keys("AKIDCONFIG")), String::new(), "AKIDCONFIG"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(".aws/config", &config);
        sandbox.write(".aws/credentials", &credentials);
        assert_eq!(key_id(&sandbox.without_keys([TARGET]).succeeds()), id, "{config}{credentials}");
    }
}

#[test]
#[ignore = "needs several seconds"]
fn an_endless_response_is_cut_and_a_closed_connection_is_a_network_error() {
    let sandbox = Sandbox::new();
    let get = |url: &str| {
        let run = sandbox.rds_token([TARGET, "--no-cache", "--role-arn", ROLE]);
        run.env("AWS_ENDPOINT_URL_STS", url)
    };
    let endless = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", endless.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut stream in endless.incoming().flatten() {
            // Read the request first: a response without a request would be refused.
            let _ = stream.read(&mut [0; 1 << 16]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
            while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
        }
    });
    let mut limited = get(&url).command;
    let output = limited.args(["--timeout", "6s"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && matches!(output.status.code(), Some(3 | 4)), "{stderr}");
    assert!(!stderr.contains("in time"), "the response was read until the time limit: {stderr}");
    let invalid_date = Server::start(|_, body| {
        (200, assume_role_response("A", "300000-01-01T00:00:00Z").replace("AssumeRole", &body[7..17]))
    });
    get(&invalid_date.url).fails(3);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(drop));
    get(&url).fails(4);
}

#[test]
fn a_home_that_is_a_file_is_ignored() {
    let sandbox = Sandbox::new();
    let (stdout, _) = sandbox.rds_token([TARGET]).env("HOME", "/dev/null").warns();
    assert!(stdout.contains("X-Amz-Signature"));
}

/// Returns a run without a cache, in a sandbox with one file.
fn run_with_file(file: &str, text: &str) -> (Sandbox, Run) {
    let sandbox = Sandbox::new();
    sandbox.write(file, text);
    let run = sandbox.without_keys([TARGET, "--no-cache"]);
    (sandbox, run)
}

/// Keys that AWS would refuse fail with exit 3 and the reason, whatever their source.
#[test]
fn keys_that_aws_would_refuse_sign_nothing() {
    let profile = |lines: &str| run_with_file(".aws/credentials", &format!("[default]\n{lines}\n"));
    let process = |keys: &str| {
        run_with_file(".aws/config", &format!("[default]\ncredential_process = echo '{{\"Version\":1,{keys}}}'\n"))
    };
    let environment = |id: &str, secret: &str| {
        let (sandbox, run) = run_with_file("unused", "");
        (sandbox, run.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret))
    };
    for ((_sandbox, run), part) in [
        (environment("ASIAX", "s"), "there is no session token"),
        (profile("aws_access_key_id = ASIAX\naws_secret_access_key = s"), "there is no session token"),
        (process("\"AccessKeyId\":\"ASIAX\",\"SecretAccessKey\":\"s\""), "there is no session token"),
        (environment("\"AKIDX\"", "s"), "access key id is in quotes"),
        (environment("AKIDX", "'s'"), "secret access key is in quotes"),
        (environment("AK-X", "s"), "the access key id has the character '-'"),
        (environment("AKIDX", "a b"), "secret access key has a space"),
        (profile("aws_access_key_id = \"AKIDX\"\naws_secret_access_key = s"), "access key id is in quotes"),
        (profile("aws_access_key_id = AKIDX # mine\naws_secret_access_key = s"), "access key id has a space"),
        (process("\"AccessKeyId\":\"AKID X\",\"SecretAccessKey\":\"s\""), "access key id has a space"),
    ] {
        let line = run.fails(3);
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn the_older_names_of_the_session_token_are_read() {
    let sandbox = Sandbox::new();
    let token = |run: Run| parameter(&run.succeeds(), "X-Amz-Security-Token").map(str::to_owned);
    let run = || sandbox.rds_token([TARGET, "--no-cache"]);
    assert_eq!(token(run().env("AWS_SECURITY_TOKEN", "old")).as_deref(), Some("old"));
    let both = run().env("AWS_SECURITY_TOKEN", "old").env("AWS_SESSION_TOKEN", "new");
    assert_eq!(token(both).as_deref(), Some("old"), "in botocore's order");
    let keys = "[default]\naws_access_key_id = ASIAX\naws_secret_access_key = s\n";
    for (lines, expected) in [
        ("aws_security_token = old\n", "old"),
        ("aws_session_token = new\naws_security_token = old\n", "old"),
        ("aws_security_token =\naws_session_token = new\n", "new"),
    ] {
        for file in [".aws/credentials", ".aws/config"] {
            let sandbox = Sandbox::new();
            sandbox.write(file, &format!("{keys}{lines}"));
            let run = sandbox.without_keys([TARGET, "--no-cache"]);
            assert_eq!(token(run).as_deref(), Some(expected), "{file}: {lines}");
        }
    }
}

/// Returns a run for each source that has an expiry, and the error if the expiry is invalid.
fn runs_with_expiry(value: &str, container: &Server) -> Vec<(String, Sandbox, Run)> {
    let mut runs = Vec::new();
    for name in ["AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION"] {
        let (sandbox, mut run) = run_with_file("unused", "");
        run.command.envs(KEYS);
        runs.push((format!("{name} = '{value}', which is not a time"), sandbox, run.env(name, value)));
    }
    let keys = "aws_access_key_id = AKIDX\naws_secret_access_key = s\n";
    for name in [
        "aws_credential_expiration",
        "aws_session_expiration",
        "aws_expiration",
        "expiration",
        "x_security_token_expires",
    ] {
        let (sandbox, run) = run_with_file(".aws/credentials", &format!("[default]\n{keys}{name} = {value}\n"));
        runs.push((format!("{name} = '{value}', which is not a time"), sandbox, run));
    }
    // The output of a program or an endpoint may be a secret, so its expiry is not quoted.
    let unquoted = "the Expiration is not a time".to_owned();
    let json =
        format!("{{\"Version\":1,\"AccessKeyId\":\"AKIDX\",\"SecretAccessKey\":\"s\",\"Expiration\":\"{value}\"}}");
    let (sandbox, run) = run_with_file(".aws/config", &format!("[default]\ncredential_process = echo '{json}'\n"));
    runs.push((unquoted.clone(), sandbox, run));
    let (sandbox, run) = run_with_file("unused", "");
    let uri = format!("{}/?value={}", container.url, value.replace(' ', "%20"));
    runs.push((unquoted, sandbox, run.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)));
    runs
}

/// In files, environment, programs and container responses, an expiry in any form is read, and an invalid one is an
/// error. It is never read as "no expiry".
#[test]
fn an_expiry_is_read_in_every_form_from_every_source() {
    let container = Server::start(|head, _| {
        let value = head.split("value=").nth(1).unwrap().split(' ').next().unwrap().replace("%20", " ");
        let keys = "\"AccessKeyId\":\"ASIAX\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"";
        (200, format!("{{{keys},\"Expiration\":\"{value}\"}}"))
    });
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let time = (time::OffsetDateTime::now_utc() + time::Duration::seconds(200)).format(format).unwrap();
    let (utc, offset) = (time.replace(' ', "T") + ".123Z", time.replace(' ', "T") + "+00:00");
    for value in [time.clone(), format!("{time}+0000"), utc, offset] {
        for (_, _sandbox, run) in runs_with_expiry(&value, &container) {
            let about = format!("{:?}", run.command);
            let (_, stderr) = run.warns();
            assert!(stderr.contains("because the AWS credentials do"), "{value}: {stderr}: {about}");
        }
    }
    for value in ["soon", "2026-31-01T12:00:00Z", "1769860800"] {
        for (message, _sandbox, run) in runs_with_expiry(value, &container) {
            let line = run.fails(3);
            assert!(line.contains(&message), "{message}: {line}");
            assert_eq!(line.contains(value), message.contains(value), "{line}");
        }
    }
}

/// Usable credentials are not discarded if a second fetch fails.
#[test]
fn a_failed_second_fetch_does_not_discard_the_first_credentials() {
    let sandbox = Sandbox::new();
    let end = rfc3339(120);
    let keys =
        format!("\"AccessKeyId\":\"ASIAX\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\"Expiration\":\"{end}\"");
    write_helper(
        &sandbox,
        &format!("[ -e ~/once ] && {{ echo 'rate limited' >&2; exit 1; }}; : >~/once; echo '{{\"Version\":1,{keys}}}'"),
    );
    let (token, stderr) = sandbox.without_keys([TARGET, "--no-cache"]).warns();
    assert_eq!(key_id(&token), "ASIAX");
    assert!(stderr.contains("the token expires in 1") && !stderr.contains("rate limited"), "{stderr}");
    // Of two successful fetches, the keys that expire later are used.
    for (first, second, expected) in [(100, 200, "ASIASECOND"), (200, 100, "ASIAFIRST")] {
        let sandbox = Sandbox::new();
        let [first, second] = [("ASIAFIRST", first), ("ASIASECOND", second)].map(|(id, seconds)| {
            let end = rfc3339(seconds);
            format!(
                "{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\
                 \"Expiration\":\"{end}\"}}"
            )
        });
        write_helper(&sandbox, &format!("if [ -e ~/once ]; then echo '{second}'; else : >~/once; echo '{first}'; fi"));
        assert_eq!(key_id(&sandbox.without_keys([TARGET, "--no-cache"]).warns().0), expected);
    }
}

#[test]
#[ignore = "needs several seconds"]
fn a_throttled_request_is_retried_and_a_refusal_is_not() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let error = |code: &str| {
        format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>x</Message></Error>\
             <RequestId>1</RequestId></ErrorResponse>"
        )
    };
    let sandbox = Sandbox::new();
    let get = |sts: &Server, args: &[&str]| {
        let run = sandbox.rds_token([&[TARGET, "--no-cache", "--role-arn", ROLE], args].concat());
        run.env("AWS_ENDPOINT_URL_STS", &sts.url)
    };
    // These are more attempts than the SDK makes by default.
    for (status, code) in [(400, "Throttling"), (503, "ServiceUnavailable"), (429, "TooManyRequestsException")] {
        let count = AtomicUsize::new(0);
        let sts = Server::start(move |_, body| match count.fetch_add(1, Ordering::SeqCst) {
            0..=3 => (status, error(code)),
            _ => (200, crate::harness::sts_answer(body, 3600)),
        });
        get(&sts, &[]).succeeds();
        assert_eq!(sts.requests(), 5, "{code}");
    }
    let sts = Server::start(move |_, _| (503, error("ServiceUnavailable")));
    let line = get(&sts, &["--timeout", "4s"]).fails(4);
    assert!(line.contains("503") && line.contains("--timeout"), "{line}");
    let sts = Server::refusing_sts(Duration::ZERO);
    get(&sts, &[]).fails(3);
    assert_eq!(sts.requests(), 1);
}

#[test]
fn errors_of_a_container_endpoint_are_reported() {
    let sandbox = Sandbox::new();
    for (status, body, code, parts) in [
        (200, "<html>login</html>", 3, vec!["is not JSON with AccessKeyId"]),
        (200, "", 3, vec!["is not JSON with AccessKeyId"]),
        (200, "{\"AccessKeyId\":\"ASIAX\",\"SecretAccessKey\":\"s\"}", 3, vec!["there is no session token"]),
        (403, "{\"code\":\"AccessDenied\",\"message\":\"no role\"}", 3, vec!["HTTP status 403: AccessDenied: no role"]),
        (400, "{\"Message\":\"bad token\"}", 3, vec!["HTTP status 400: bad token"]),
        (404, "not found", 3, vec!["HTTP status 404"]),
        (503, "busy", 4, vec!["HTTP status 503", "check the network"]),
    ] {
        let server = Server::start(move |_, _| (status, body.to_owned()));
        let run = sandbox.without_keys([TARGET, "--no-cache"]);
        let line = run.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/creds", server.url)).fails(code);
        assert!(
            line.contains("the container's role") && parts.iter().all(|part| line.contains(part)),
            "{body}: {line}"
        );
        assert_eq!(server.requests(), if status == 503 { 3 } else { 1 }, "{status}");
    }
    // Whatever the response is, the program does not show the header, or the path or query of the URL.
    let secret = "canary-of-the-pod";
    for (status, body) in [
        (200, format!("{{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Expiration\":\"{secret}\"}}")),
        (403, format!("{{\"message\":\"bad token {secret}\"}}")),
        (404, String::new()),
        (400, format!("{{\"message\":\"no such path /{secret} with token={secret}\"}}")),
    ] {
        let server = Server::start(move |_, _| (status, body.clone()));
        let run = sandbox.without_keys([TARGET, "--no-cache"]);
        let run = run.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/{secret}?token={secret}", server.url));
        let line = run.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", format!("Basic {secret}")).fails(3);
        assert!(!line.contains(secret), "{line}");
    }
    for (name, value) in [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://user:canary pw@evil.example/x"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.1.1/canary"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://user:canary@127.0.0.1/x"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "3/canary"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example/canary"),
    ] {
        let line = sandbox.without_keys([TARGET, "--no-cache"]).env(name, value).fails(3);
        assert!(!line.contains("canary"), "{line}");
    }
}

/// A relative path refers to a different program in each directory.
#[test]
fn a_program_of_another_directory_is_a_miss() {
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", "[default]\ncredential_process = ./creds.sh\n");
    for (directory, id) in [("a", "AKIDA"), ("b", "AKIDB"), ("a", "AKIDA")] {
        let keys = format!("{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"s\"}}");
        let script = sandbox.write(&format!("{directory}/creds.sh"), &format!("#!/bin/sh\necho '{keys}'\n"));
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut run = sandbox.without_keys([TARGET]);
        run.command.current_dir(sandbox.path("home").join(directory));
        assert_eq!(key_id(&run.succeeds()), id);
    }
}

/// The path of the token is the same in every pod, and its content decides which credentials it gets.
#[test]
fn another_pods_token_is_a_miss() {
    let sandbox = Sandbox::new();
    let server = Server::start(|head, _| {
        let pod = if head.contains("pod-a") { "ASIAPODA" } else { "ASIAPODB" };
        let end = rfc3339(3600);
        (
            200,
            format!("{{\"AccessKeyId\":\"{pod}\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"{end}\"}}"),
        )
    });
    for (token, id) in [("pod-a", "ASIAPODA"), ("pod-b", "ASIAPODB"), ("pod-a", "ASIAPODA")] {
        let file = sandbox.write("token", token);
        let run = sandbox.without_keys([TARGET]).env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file);
        let run = run.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/creds", server.url));
        assert_eq!(key_id(&run.succeeds()), id);
    }
    assert_eq!(server.requests(), 2, "the last token came from the cache");
}

#[test]
fn the_configuration_selects_the_metadata_service() {
    let sandbox = Sandbox::new();
    let server = metadata_service(&rfc3339(3600), Duration::ZERO);
    let run = |config: &str| {
        sandbox.write(".aws/config", &format!("[default]\n{config}\n"));
        sandbox.without_keys([TARGET, "--no-cache"]).without("AWS_EC2_METADATA_DISABLED")
    };
    let endpoint = format!("ec2_metadata_service_endpoint = {}", server.url);
    assert_eq!(key_id(&run(&endpoint).succeeds()), "ASIAEC2");
    // A blank setting is ignored, as by the AWS CLI.
    let line = run("ec2_metadata_service_endpoint =").fails(3);
    assert!(line.contains("none found in the environment"), "{line}");
    let line = run(&endpoint).env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv5").fails(2);
    assert!(line.contains("endpoint mode is 'ipv5'") && line.contains("IPv4 or IPv6"), "{line}");
    let line = run("ec2_metadata_service_endpoint = http//x").fails(2);
    assert!(line.contains("the EC2 metadata service, 'http//x', is not a URL"), "{line}");
}

#[test]
fn another_identity_overrides_every_identity_default() {
    let sandbox = sandbox_with_profiles();
    let sts = Server::sts(Duration::ZERO, 3600);
    let get = |defaults: &str| {
        sandbox.write(".config/rds-token/config.toml", &format!("[defaults]\n{defaults}\n"));
        let run = sandbox.without_keys([TARGET, "--no-cache", "-v"]);
        run.env("AWS_ENDPOINT_URL_STS", &sts.url).env("AWS_REGION", "eu-west-1")
    };
    let both = format!("profile = 'other'\nrole_arn = '{ROLE}'");
    let jwt = sandbox.write("jwt", "jwt.x");
    let (_, stderr) = get(&both).warns();
    assert!(stderr.contains("profile 'other'") && stderr.contains(ROLE), "{stderr}");
    for (variables, expected) in [
        (vec![KEYS[0], KEYS[1]], "credentials: the environment (AWS_ACCESS_KEY_ID)\n"),
        (vec![("AWS_PROFILE", "default")], "credentials: profile 'default' (access key)\n"),
        (
            vec![("AWS_WEB_IDENTITY_TOKEN_FILE", jwt.to_str().unwrap()), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod")],
            "credentials: the environment (web identity, role arn:aws:iam::1:role/pod)\n",
        ),
    ] {
        let mut run = get(&both);
        run.command.envs(variables);
        let (_, stderr) = run.warns();
        assert!(stderr.contains(expected), "{expected}: {stderr}");
        assert!(stderr.contains("profile 'other' of [defaults] is ignored"), "{stderr}");
    }
    // The role applies if the environment selects the same profile, but not if a flag selects another one.
    let (_, stderr) = get(&both).env("AWS_PROFILE", "other").warns();
    assert!(stderr.contains(ROLE), "{stderr}");
    let mut run = get(&both);
    run.command.args(["--profile", "default"]);
    assert!(!run.warns().1.contains(ROLE));
    // The MFA device of [defaults] belongs to its profile too.
    let mut run = get(&format!("{both}\nmfa_serial = 'arn:aws:iam::1:mfa/jane'"));
    run.command.envs(KEYS);
    assert!(run.warns().1.contains("credentials: the environment (AWS_ACCESS_KEY_ID)\n"));
    // A role without a profile applies to any credentials.
    let mut run = get(&format!("role_arn = '{ROLE}'"));
    run.command.envs(KEYS);
    assert!(run.warns().1.contains(ROLE));
}

#[test]
fn verbose_shows_the_region_and_ignored_credentials() {
    let sandbox = sandbox_with_profiles();
    let stderr = |run: Run| run.warns().1;
    let run = |args: &[&str]| sandbox.rds_token([&[TARGET, "--no-cache", "-v"], args].concat());
    assert!(stderr(run(&[])).contains("region: eu-west-1, from the host name\n"));
    let notes = stderr(run(&[]).env("AWS_PROFILE", "other").env("AWS_WEB_IDENTITY_TOKEN_FILE", "/x"));
    for part in ["AWS_PROFILE is ignored because AWS_ACCESS_KEY_ID is set", "AWS_WEB_IDENTITY_TOKEN_FILE is ignored"] {
        assert!(notes.contains(part), "{notes}");
    }
    let notes = stderr(run(&[]).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/"));
    assert!(
        notes.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI is ignored because AWS_ACCESS_KEY_ID is set"),
        "{notes}"
    );
    let both = sandbox.without_keys([TARGET, "-v"]).env("AWS_PROFILE", "default").env("AWS_DEFAULT_PROFILE", "other");
    assert!(stderr(both).contains("AWS_PROFILE is ignored because AWS_DEFAULT_PROFILE is set"));
    let notes = stderr(run(&["--profile", "other"]));
    assert!(notes.contains("AWS_ACCESS_KEY_ID is ignored because profile 'other' is selected explicitly"), "{notes}");
    let cname = |args: &[&str]| sandbox.rds_token([&["u@db.example.com:3306", "-v"], args].concat());
    assert!(stderr(cname(&["--region", "us-east-1"])).contains("region: us-east-1, from --region\n"));
    assert!(stderr(cname(&[]).env("AWS_DEFAULT_REGION", "us-east-2")).contains("us-east-2, from AWS_DEFAULT_REGION\n"));
    sandbox.write(".aws/config", "[default]\nregion = us-west-1\n");
    assert!(stderr(cname(&[])).contains("region: us-west-1, from profile 'default'\n"));

    // Keys that override a program are reported with -v, and in the error if they have expired.
    sandbox.write(".aws/config", "[default]\ncredential_process = false\n");
    let notes = stderr(sandbox.without_keys([TARGET, "-v"]));
    assert!(
        notes.contains("credential_process of profile 'default' is ignored because the profile has keys in"),
        "{notes}"
    );
    let expired =
        format!("[default]\naws_access_key_id = AKIDX\naws_secret_access_key = s\nexpiration = {}\n", rfc3339(-10));
    sandbox.write(".aws/credentials", &expired);
    let line = sandbox.without_keys([TARGET]).fails(3);
    assert!(
        line.contains("expired at") && line.contains("credential_process of profile 'default' is ignored"),
        "{line}"
    );
}

/// A configuration file from a pipe can be read only once.
#[test]
fn profile_files_are_read_once() {
    let sandbox = Sandbox::new();
    sandbox
        .write("config", "[profile p]\nregion = eu-west-1\naws_access_key_id = AKIDPIPE\naws_secret_access_key = s\n");
    let script = format!(
        "AWS_CONFIG_FILE=<(cat ~/config) {} --profile p --host db.abc123.rds.example.com --port 3306 --user u -q",
        crate::harness::PROGRAM
    );
    let mut bash = sandbox.command("bash");
    let output = bash.args(["-c", &script]).output().unwrap();
    let (stdout, stderr) = crate::harness::texts(&output);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(key_id(&stdout), "AKIDPIPE");
}

/// A new login is suggested only if the login has expired.
#[test]
#[ignore = "needs several seconds"]
fn a_new_login_is_suggested_only_if_the_login_has_expired() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".aws/config",
        "[default]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = r\n\
         [sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://x/start\n",
    );
    let token = format!("{{\"accessToken\":\"a\",\"expiresAt\":\"{}\"}}", rfc3339(3600));
    sandbox.write(SSO_TOKEN, &token);
    for (status, body, code, helps) in [
        (401, "{\"message\":\"x\"}", 3, true),
        (503, "", 4, false),
        (403, "{\"__type\":\"ForbiddenException\",\"message\":\"No access\"}", 3, false),
        (400, "{\"__type\":\"InvalidRequestException\",\"message\":\"bad\"}", 3, false),
    ] {
        let portal = Server::start(move |_, _| (status, body.to_owned()));
        let run = sandbox.without_keys([TARGET, "--timeout", "12s"]).env("AWS_ENDPOINT_URL_SSO", &portal.url);
        let line = run.fails(code);
        assert_eq!(line.contains("aws sso login"), helps, "{status}: {line}");
    }
    let run = sandbox.without_keys([TARGET]).env("AWS_ENDPOINT_URL_SSO", "http://sso.example.com");
    let line = run.fails(3);
    assert!(line.contains("the endpoint must be https://") && !line.contains("aws sso login"), "{line}");
}
