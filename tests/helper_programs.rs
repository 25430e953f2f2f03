//! `credential_process` and `mfa_process`: stderr, PATH, and the variables in the cache key.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::architecture::files_below;
use crate::harness::{Sandbox, Server, TARGET, key_id, texts};
use crate::single_flight::wait_for_waiting_processes;

/// A sandbox whose default profile has a script as `credential_process`.
fn with_script(script: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let path = sandbox.write("helper", script);
    sandbox.write(".aws/config", &format!("[default]\ncredential_process = sh {}\n", path.display()));
    sandbox
}

/// The files that the program has written.
fn written_files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let directory = sandbox.path("home/.cache");
    if directory.exists() { files_below(&directory) } else { Vec::new() }
}

/// Dumps of the environment, traces and debug output go to stderr, which the message quotes.
#[test]
fn no_secret_on_stderr_is_quoted_or_stored() {
    let printed = "{\"Version\":1,\"AccessKeyId\":\"CANARYPRINTEDID\",\"SecretAccessKey\":\"CANARYPRINTEDSECRET\"}";
    let scripts = [
        "env >&2; exit 3".to_owned(),
        "env | sort -r >&2; exit 3".to_owned(),
        "for i in 1 2; do env | grep CANARY >&2; done; exit 3".to_owned(),
        "echo \"$DB_PASSWORD\" >&2; exit 3".to_owned(),
        "echo \"login with $DB_PASSWORD and $TWO_LINES failed\" >&2; exit 3".to_owned(),
        "set -x; VAULT_TOKEN=hvs.CANARYVAULT; false; export API_KEY=CANARYKEY; exit 3".to_owned(),
        format!("echo '{printed}'; echo '{printed}' >&2; exit 3"),
        format!("echo '{printed}'; echo 'got CANARYPRINTEDSECRET' >&2; exit 3"),
        "echo '{\"SecretAccessKey\": \"CANARYONSTDERRALONE\"}' >&2; exit 3".to_owned(),
        "echo 'CANARYPROFILESECRET and CANARYPROFILETOKEN' >&2; exit 3".to_owned(),
        "echo 'curl -H \"Authorization: Bearer CANARYBEARER1\"' >&2; exit 3".to_owned(),
    ];
    for script in &scripts {
        for cache in ["file", "keyring", "off"] {
            let sandbox = with_script(script);
            sandbox.write(
                ".aws/credentials",
                "[other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = CANARYPROFILESECRET\n\
                 aws_session_token = CANARYPROFILETOKEN\n",
            );
            // Either one process waits for the other, or both run the script.
            let children = ["first", "second"].map(|_| start(&sandbox, &["--cache", cache, "-v"]));
            for child in children {
                let stderr = texts(&child.wait_with_output().unwrap()).1;
                assert!(stderr.contains("credential_process"), "{script}: {stderr}");
                assert!(!stderr.contains("CANARY"), "{script}: {stderr}");
            }
            if cache != "off" {
                assert!(!written_files(&sandbox).is_empty());
            }
            for path in written_files(&sandbox) {
                let bytes = std::fs::read(&path).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains("CANARY"), "{script}: {}", path.display());
            }
        }
    }
}

fn start(sandbox: &Sandbox, args: &[&str]) -> Child {
    let run = sandbox.without_keys([&[TARGET], args].concat()).env("DB_PASSWORD", "CANARYENV+/=PASSWORD");
    let run = run.env("TWO_LINES_SECRET", "CANARY one\nCANARY two").env("TWO_LINES", "");
    let mut run = run.env("SLACK_TOKEN", "xoxb-CANARY-1").env("RUST_LOG", "trace");
    run.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The last line that is not empty.
#[test]
fn the_last_line_of_a_helper_program_is_quoted() {
    let sandbox = with_script("echo first >&2; echo 'the vault is sealed' >&2; echo >&2; exit 3");
    let line = sandbox.without_keys([TARGET]).fails(3);
    assert!(
        line.ends_with("the program failed (exit status: 3); the last line of its stderr: the vault is sealed"),
        "{line}"
    );
    let sandbox = with_script("exit 3");
    let line = sandbox.without_keys([TARGET]).fails(3);
    assert!(line.ends_with("the program failed (exit status: 3)"), "{line}");
}

/// The last waiting process removes the failure from the lock file, which never contains the output of the script.
#[test]
fn the_lock_file_is_emptied_when_no_process_waits() {
    let script = "echo run >>\"$RUNS\"; while [ ! -e \"$GATE\" ]; do sleep 0.05; done; echo 'SECRET-LINE' >&2; exit 3";
    let sandbox = with_script(script);
    let (runs, gate) = (sandbox.path("runs"), sandbox.path("gate"));
    let spawn = |_| {
        let run = sandbox.without_keys([TARGET, "--timeout", "5m"]).env("RUNS", &runs);
        run.env("GATE", &gate).command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..10).map(spawn).collect();
    wait_for_waiting_processes(&sandbox, 9);
    std::fs::write(&gate, "").unwrap();
    let stderrs: Vec<String> = children.into_iter().map(|child| texts(&child.wait_with_output().unwrap()).1).collect();
    assert!(stderrs.iter().all(|line| line.contains("the program failed (exit status: 3)")), "{stderrs:?}");
    assert_eq!(stderrs.iter().filter(|line| line.contains("SECRET-LINE")).count(), 1, "{stderrs:?}");
    assert_eq!(std::fs::read_to_string(&runs).unwrap(), "run\n", "only one process runs the script");
    let files = written_files(&sandbox);
    assert!(files.iter().all(|path| path.metadata().unwrap().len() == 0), "{files:?}");
    assert!(sandbox.cached("waiting").is_empty(), "{files:?}");
}

/// If PATH contains `.`, a name without a slash could mean a program in the current directory.
#[test]
fn no_helper_program_is_run_from_the_current_directory() {
    let script = "#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"AKIDPWNED\",\"SecretAccessKey\":\"s\"}'\n";
    for path in [".", "", ".:/usr/bin:/bin", ":/usr/bin:/bin", "/usr/bin:/bin:", "bin:/usr/bin:/bin", "/usr/bin::/bin"]
    {
        let sandbox = Sandbox::new();
        for name in ["evilhelper", "bin/evilhelper"] {
            let file = sandbox.write(name, script);
            std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        sandbox.write(
            ".aws/config",
            "[default]\ncredential_process = evilhelper\n[profile sub]\ncredential_process = sh -c evilhelper\n",
        );
        for profile in ["default", "sub"] {
            let mut run = sandbox.without_keys([TARGET, "--profile", profile]).env("PATH", path);
            run.command.current_dir(sandbox.path("home"));
            let line = run.fails(3);
            assert!(line.contains("exit status: 127") && !line.contains("PWNED"), "PATH={path}: {line}");
        }
    }
}

/// A variable can select the credentials that a program prints, so each value has its own token.
#[test]
fn variables_in_the_command_are_part_of_the_cache_key() {
    let json = "{\\\"Version\\\":1,\\\"AccessKeyId\\\":\\\"AKID$STAGE\\\",\\\"SecretAccessKey\\\":\\\"s\\\"}";
    for command in [format!("echo \"{json}\""), format!("echo \"{}\"", json.replace("$STAGE", "${STAGE:-none}"))] {
        let sandbox = Sandbox::new();
        sandbox.write(".aws/config", &format!("[default]\ncredential_process = {command}\n"));
        let token = |stage: &str| sandbox.without_keys([TARGET]).env("STAGE", stage).succeeds();
        let (dev, prod) = (token("DEV"), token("PROD"));
        assert_eq!((key_id(&dev), key_id(&prod)), ("AKIDDEV", "AKIDPROD"));
        assert_eq!((token("DEV"), token("PROD")), (dev, prod), "both tokens are cached");
        let other = sandbox.without_keys([TARGET]).env("STAGE", "DEV").env("UNRELATED", "x");
        assert_eq!(key_id(&other.succeeds()), "AKIDDEV");
        assert_eq!(sandbox.cached("token").len(), 2);
    }
}

/// An `mfa_process` may print the seed of the MFA device.
#[test]
fn no_secret_of_an_mfa_process_is_quoted() {
    let sts = Server::sts(Duration::ZERO, 3600);
    let sandbox = Sandbox::new();
    let config = "[default]\naws_access_key_id = AKIDUSER\naws_secret_access_key = CANARYUSERSECRET\n\
        mfa_serial = arn:aws:iam::123456789012:mfa/jane\n\
        mfa_process = sh -c 'echo \"oathtool failed: MFA_SEED=CANARYSEED CANARYUSERSECRET\" >&2; exit 3'\n";
    sandbox.write(".aws/credentials", config);
    let line = sandbox.without_keys([TARGET]).env("AWS_ENDPOINT_URL_STS", &sts.url).fails(3);
    let quoted = "the last line of its stderr: oathtool failed: MFA_SEED=…";
    assert!(line.contains(&format!("mfa_process: the program failed (exit status: 3); {quoted}")), "{line}");
    assert!(!line.contains("CANARY") && sts.requests() == 0, "{line}");
}
