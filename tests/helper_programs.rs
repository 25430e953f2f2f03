//! `credential_process` and `mfa_process`: their stderr, their PATH, and the inputs of their result.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::harness::{Run, Sandbox, Server, TARGET, key_id, texts};

/// A sandbox whose default profile runs a script.
fn with_script(script: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let path = sandbox.write("helper", script);
    sandbox.write(".aws/config", &format!("[default]\ncredential_process = sh {}\n", path.display()));
    sandbox
}

/// Every file that a sandbox has below its home, apart from what a test put there.
fn files(sandbox: &Sandbox) -> Vec<PathBuf> {
    fn walk(directory: PathBuf, found: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { walk(path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(sandbox.path("home/.cache"), &mut found);
    found
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
            let mut leader = start(&sandbox, &["--cache", cache, "-v"]);
            // One waits for the other, or both run the program.
            let follower = start(&sandbox, &["--cache", cache, "-v"]).wait_with_output().unwrap();
            for stderr in [texts(&follower).1, texts(&leader_output(&mut leader)).1] {
                assert!(stderr.contains("credential_process"), "{script}: {stderr}");
                assert!(!stderr.contains("CANARY"), "{script}: {stderr}");
            }
            if cache != "off" {
                assert!(!files(&sandbox).is_empty());
            }
            for path in files(&sandbox) {
                let bytes = std::fs::read(&path).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains("CANARY"), "{script}: {}", path.display());
            }
        }
    }
}

fn start(sandbox: &Sandbox, args: &[&str]) -> std::process::Child {
    let run = sandbox.without_keys([&[TARGET], args].concat()).env("DB_PASSWORD", "CANARYENV+/=PASSWORD");
    let run = run.env("TWO_LINES_SECRET", "CANARY one\nCANARY two").env("TWO_LINES", "");
    let mut run = run.env("SLACK_TOKEN", "xoxb-CANARY-1").env("RUST_LOG", "trace");
    run.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn leader_output(child: &mut std::process::Child) -> std::process::Output {
    use std::io::Read as _;
    let mut stderr = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    let status = child.wait().unwrap();
    std::process::Output { status, stdout: Vec::new(), stderr }
}

/// One line of what it says helps: the last one.
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

/// The last waiting process removes the failure from the lock file. What the program said is never in it.
#[test]
fn the_lock_file_is_emptied_when_no_process_waits() {
    let script = "echo run >>\"$RUNS\"; sleep 0.7; echo 'UNKNOWNTOALL' >&2; exit 3";
    let sandbox = with_script(script);
    let runs = sandbox.path("runs");
    let spawn = || {
        let mut run = sandbox.without_keys([TARGET]).env("RUNS", &runs);
        run.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..10).map(|_| spawn()).collect();
    let said: Vec<String> = children.into_iter().map(|child| texts(&child.wait_with_output().unwrap()).1).collect();
    assert!(said.iter().all(|line| line.contains("the program failed (exit status: 3)")), "{said:?}");
    assert_eq!(said.iter().filter(|line| line.contains("UNKNOWNTOALL")).count(), 1, "{said:?}");
    assert_eq!(std::fs::read_to_string(&runs).unwrap(), "run\n", "one process ran it for all");
    let left = files(&sandbox);
    assert!(left.iter().all(|path| path.metadata().unwrap().len() == 0), "{left:?}");
    assert!(!left.iter().any(|path| path.extension().is_some_and(|end| end == "waiting")), "{left:?}");
}

/// With `.` in PATH, a program by bare name would be one of the current directory.
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

/// A variable can select the credentials that a program prints. Each value has its own token.
#[test]
fn variables_that_the_command_names_count_for_the_cache() {
    let json = "{\\\"Version\\\":1,\\\"AccessKeyId\\\":\\\"AKID$STAGE\\\",\\\"SecretAccessKey\\\":\\\"s\\\"}";
    for command in [format!("echo \"{json}\""), format!("echo \"{}\"", json.replace("$STAGE", "${STAGE:-none}"))] {
        let sandbox = Sandbox::new();
        sandbox.write(".aws/config", &format!("[default]\ncredential_process = {command}\n"));
        let token = |stage: &str| sandbox.without_keys([TARGET]).env("STAGE", stage).succeeds();
        let (dev, prod) = (token("DEV"), token("PROD"));
        assert_eq!((key_id(&dev), key_id(&prod)), ("AKIDDEV", "AKIDPROD"));
        assert_eq!((token("DEV"), token("PROD")), (dev, prod), "each is cached");
        let other = sandbox.without_keys([TARGET]).env("STAGE", "DEV").env("UNRELATED", "x");
        assert_eq!(key_id(&other.succeeds()), "AKIDDEV");
        assert_eq!(sandbox.cached("token").len(), 2);
    }
}

/// The seed of an MFA device, which `mfa_process` works with.
#[test]
fn no_secret_of_an_mfa_process_is_quoted() {
    let sts = Server::sts(Duration::ZERO, 3600);
    let sandbox = Sandbox::new();
    let config = "[default]\naws_access_key_id = AKIDUSER\naws_secret_access_key = CANARYUSERSECRET\n\
        mfa_serial = arn:aws:iam::123456789012:mfa/jane\n\
        mfa_process = sh -c 'echo \"oathtool failed: MFA_SEED=CANARYSEED CANARYUSERSECRET\" >&2; exit 3'\n";
    sandbox.write(".aws/credentials", config);
    let run: Run = sandbox.without_keys([TARGET]).env("AWS_ENDPOINT_URL_STS", &sts.url);
    let line = run.fails(3);
    assert!(
        line.contains(
            "mfa_process: the program failed (exit status: 3); the last line of its stderr: oathtool failed: MFA_SEED=…"
        ),
        "{line}"
    );
    assert!(!line.contains("CANARY") && sts.requests() == 0, "{line}");
}
