//! The sources that AWS's platforms put beside a machine, at their own addresses, in a network namespace that
//! has nothing else; and a machine that has none of them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{PROGRAM, Run, Sandbox, TARGET, is_root, key_id, skip, tell, texts};

/// What joins a namespace of its own: who isn't root becomes root in there, which not every machine allows.
fn unshare() -> &'static [&'static str] {
    if is_root() { &["--net"] } else { &["--map-root-user", "--net"] }
}

/// Runs these commands of `ip`, and becomes what comes after.
const NAMESPACE: &str = "set -e; ip link set lo up; SETUP; exec \"$@\"";

fn in_namespace(sandbox: &Sandbox, setup: &str, args: &[&str]) -> Run {
    let mut command = sandbox.command("unshare");
    command.args(unshare()).args(["sh", "-c", &NAMESPACE.replace("SETUP", setup), "sh", PROGRAM]);
    command.args(args).env_remove("AWS_EC2_METADATA_DISABLED");
    Run { command }
}

/// Whether this machine lets us have namespaces.
fn has_namespaces(test: &str) -> bool {
    let tried = Command::new("unshare").args(unshare()).args(["ip", "link", "set", "lo", "up"]).output().unwrap();
    if !tried.status.success() {
        skip(test, &format!("this machine does not allow network namespaces: {}", texts(&tried).1.trim_end()));
    }
    tried.status.success()
}

/// The platform's services, started in the same namespace.
fn platform(sandbox: &Sandbox) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/aws_platform.py");
    let (log, ready) = (sandbox.path("log"), sandbox.path("ready"));
    let addresses =
        ["169.254.170.2/32", "169.254.170.23/32", "169.254.169.254/32", "fd00:ec2::23/128", "fd00:ec2::254/128"]
            .map(|address| format!("ip addr add {address} dev lo"));
    // It ends with the program, whose parent it is not: the namespace's shell becomes the program.
    format!(
        "rm -f {ready}; {}; (timeout 30 python3 {} {} {ready} >/dev/null 2>&1 &); while [ ! -e {ready} ]; do sleep 0.05; done",
        addresses.join("; "),
        script.display(),
        log.display(),
        ready = ready.display(),
    )
}

#[test]
#[ignore = "needs network or mount namespaces"]
fn ecs_eks_and_ec2_at_their_own_addresses() {
    if !has_namespaces("ecs_eks_and_ec2_at_their_own_addresses") {
        return;
    }
    let sandbox = Sandbox::new();
    let setup = platform(&sandbox);
    let jwt = sandbox.write("jwt", "jwt-of-the-pod");
    let get = |variables: &[(&str, &str)], args: &[&str]| {
        let args = [&[TARGET, "--no-cache"], args].concat();
        let mut run = in_namespace(&sandbox, &setup, &args);
        run.command.envs(variables.iter().copied());
        run
    };
    let file = jwt.to_str().unwrap();
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    let token_file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file);
    let relative = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/task?x=1");
    for (variables, id) in [
        (vec![relative], "ASIAECS"),
        // The relative URI beats the full one.
        (vec![relative, full, token_file], "ASIAECS"),
        (vec![full, token_file], "ASIAEKS"),
        (vec![full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "jwt-of-the-pod")], "ASIAEKS"),
        (vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[fd00:ec2::23]/v1/credentials"), token_file], "ASIAEKS"),
        (vec![], "ASIAEC2"),
        (vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")], "ASIAEC2"),
    ] {
        assert_eq!(key_id(&get(&variables, &[]).succeeds()), id, "{variables:?}");
    }
    sandbox.write(
        ".aws/config",
        "[profile ec2]\nrole_arn = arn:aws:iam::123456789012:role/x\ncredential_source = Ec2InstanceMetadata\n\
         [profile none]\nregion = eu-west-1\n",
    );
    let line = get(&[("AWS_EC2_METADATA_DISABLED", "true")], &["--profile", "ec2"]).fails(3);
    assert!(line.contains("AWS_EC2_METADATA_DISABLED is true"), "{line}");
    get(&[("AWS_EC2_METADATA_DISABLED", "true")], &[]).fails(3);
    let line = get(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another")], &[]).fails(3);
    assert!(line.contains("the container's role") && !line.contains("another"), "{line}");

    let log = std::fs::read_to_string(sandbox.path("log")).unwrap();
    let asked = |address: &str| log.lines().filter(|line| line.starts_with(address)).count();
    assert_eq!(asked("169.254.170.2 "), 2, "{log}");
    assert_eq!(asked("169.254.169.254 "), 3, "a session, the role's name, its credentials: {log}");
    assert_eq!(asked("fd00:ec2::254 "), 3, "{log}");
    assert_eq!(log.matches("IMDSv2 only").count() + log.matches("latest/meta-data 401").count(), 0, "{log}");
}

/// A laptop: the metadata service's address is on the way to nowhere.
#[test]
#[ignore = "needs network or mount namespaces"]
fn a_laptop_waits_a_second_for_a_metadata_service() {
    if !has_namespaces("a_laptop_waits_a_second_for_a_metadata_service") {
        return;
    }
    let sandbox = Sandbox::new();
    let nowhere = "ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; \
                   ip addr add 169.254.0.1/16 dev v0; ip route add default dev v0";
    let begin = Instant::now();
    let line = in_namespace(&sandbox, nowhere, &[TARGET, "--no-cache"]).fails(3);
    assert!(line.contains("there are none"), "{line}");
    tell(&format!("no metadata service: exit 3 after {:?}", begin.elapsed()));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());

    // What is there but takes longer in all is none of EC2's.
    let slow = format!("export DELAY=0.6; {}", platform(&sandbox));
    let line = in_namespace(&sandbox, &slow, &[TARGET, "--no-cache"]).fails(3);
    assert!(line.contains("there are none"), "{line}");
    let named = in_namespace(&sandbox, &slow, &[TARGET, "--no-cache"]);
    let named = named.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254");
    assert_eq!(key_id(&named.succeeds()), "ASIAEC2");
}
