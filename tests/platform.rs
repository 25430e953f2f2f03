//! The credentials endpoints of ECS and EKS and the metadata service of EC2, at their own addresses in a network
//! namespace; and a machine without them.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::harness::{PROGRAM, Run, Sandbox, TARGET, is_root, key_id, print_uncaptured, skip, texts};

/// The arguments of `unshare` for a network namespace. A user other than root becomes root in it, which not every
/// machine allows.
fn namespace_args() -> &'static [&'static str] {
    if is_root() { &["--net"] } else { &["--map-root-user", "--net"] }
}

/// The program, run in a new network namespace after the commands `setup`.
fn in_namespace(sandbox: &Sandbox, setup: &str, args: &[&str]) -> Run {
    let mut command = sandbox.command("unshare");
    command.args(namespace_args()).args([
        "sh",
        "-c",
        &format!("set -e; ip link set lo up; {setup}; exec \"$@\""),
        "sh",
        PROGRAM,
    ]);
    command.args(args).env_remove("AWS_EC2_METADATA_DISABLED");
    Run { command }
}

/// Whether this machine allows network namespaces. If not, the test is skipped.
fn has_namespaces(test: &str) -> bool {
    let output =
        Command::new("unshare").args(namespace_args()).args(["ip", "link", "set", "lo", "up"]).output().unwrap();
    if !output.status.success() {
        skip(test, &format!("this machine does not allow network namespaces: {}", texts(&output).1.trim_end()));
    }
    output.status.success()
}

/// Commands that start the services of the platforms in the same namespace. Each request is a line of the file `log`.
fn start_services(sandbox: &Sandbox) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/aws_platform.py");
    let (log, ready) = (sandbox.path("log"), sandbox.path("ready"));
    let addresses =
        ["169.254.170.2/32", "169.254.170.23/32", "169.254.169.254/32", "fd00:ec2::23/128", "fd00:ec2::254/128"]
            .map(|address| format!("ip addr add {address} dev lo"));
    format!(
        "rm -f {ready}; {}; (timeout 30 python3 {} {} {ready} >/dev/null 2>&1 &)
         while [ ! -e {ready} ]; do sleep 0.05; done",
        addresses.join("; "),
        script.display(),
        log.display(),
        ready = ready.display(),
    )
}

#[test]
#[ignore = "needs network or mount namespaces"]
fn ecs_eks_and_ec2_serve_credentials_at_their_own_addresses() {
    if !has_namespaces("ecs_eks_and_ec2_serve_credentials_at_their_own_addresses") {
        return;
    }
    let sandbox = Sandbox::new();
    let setup = start_services(&sandbox);
    let jwt = sandbox.write("jwt", "jwt-of-the-pod");
    let get = |variables: &[(&str, &str)], args: &[&str]| {
        let args = [&[TARGET, "--no-cache"], args].concat();
        let mut run = in_namespace(&sandbox, &setup, &args);
        run.command.envs(variables.iter().copied());
        run
    };
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    let token_file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", jwt.to_str().unwrap());
    let relative = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/task?x=1");
    let ipv6 = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[fd00:ec2::23]/v1/credentials");
    let log = sandbox.path("log");
    let mut requests = String::new();
    for (variables, id) in [
        (vec![relative], "ASIAECS"),
        // The relative URI takes precedence over the full one.
        (vec![relative, full, token_file], "ASIAECS"),
        (vec![full, token_file], "ASIAEKS"),
        (vec![full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "jwt-of-the-pod")], "ASIAEKS"),
        (vec![ipv6, token_file], "ASIAEKS"),
        (vec![], "ASIAEC2"),
        (vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")], "ASIAEC2"),
    ] {
        let run = || {
            let _ = std::fs::remove_file(&log);
            get(&variables, &[]).output()
        };
        let mut output = run();
        // The program allows one second for EC2's metadata service, so a slow machine needs several attempts.
        let mut attempts = 1;
        while !output.status.success() && id == "ASIAEC2" && attempts < 20 {
            output = run();
            attempts += 1;
        }
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{variables:?}");
        assert_eq!(key_id(&stdout), id, "{variables:?}");
        requests += &std::fs::read_to_string(&log).unwrap();
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

    let count = |address: &str| requests.lines().filter(|line| line.starts_with(address)).count();
    assert_eq!(count("169.254.170.2 "), 2, "{requests}");
    assert_eq!(count("169.254.169.254 "), 3, "the session, the role's name and its credentials: {requests}");
    assert_eq!(count("fd00:ec2::254 "), 3, "{requests}");
    assert!(!requests.contains("latest/meta-data 401"), "{requests}");
}

/// On a laptop, the address of the metadata service does not respond.
#[test]
#[ignore = "needs network or mount namespaces"]
fn a_laptop_does_not_wait_for_a_metadata_service() {
    if !has_namespaces("a_laptop_does_not_wait_for_a_metadata_service") {
        return;
    }
    let sandbox = Sandbox::new();
    let nowhere = "ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; \
                   ip addr add 169.254.0.1/16 dev v0; ip route add default dev v0";
    let begin = Instant::now();
    // If the program waited until the time limit, it would exit with 4.
    let line = in_namespace(&sandbox, nowhere, &[TARGET, "--no-cache", "--timeout", "20s"]).fails(3);
    assert!(line.contains("none found in the environment"), "{line}");
    print_uncaptured(&format!("no metadata service: exit 3 after {:?}", begin.elapsed()));

    // A service that needs more than a second in total is used only if the configuration names it.
    let slow = format!("export DELAY=0.6; {}", start_services(&sandbox));
    let line = in_namespace(&sandbox, &slow, &[TARGET, "--no-cache"]).fails(3);
    assert!(line.contains("none found in the environment"), "{line}");
    let run = in_namespace(&sandbox, &slow, &[TARGET, "--no-cache"]);
    let run = run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254");
    assert_eq!(key_id(&run.succeeds()), "ASIAEC2");
}
