//! The built-in CA certificates.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use rds_token::testing::Roots;

use crate::harness::{HOST, KEYS, PROGRAM, Sandbox, TARGET, can_mount, has, skip, texts};

#[test]
fn the_bundle_is_written_once_and_privately() {
    let sandbox = Sandbox::new();
    let path = sandbox.path(sandbox.without_keys(["ca"]).succeeds().trim_end());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), Roots::All.pem());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(sandbox.without_keys(["ca"]).succeeds().trim_end(), path.to_str().unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
    // A changed file is replaced.
    std::fs::write(&path, "x").unwrap();
    sandbox.without_keys(["ca"]).succeeds();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), Roots::All.pem());
}

#[test]
#[ignore = "needs openssl"]
fn every_root_is_valid_for_60_more_days() {
    if !has("openssl") {
        return skip("every_root_is_valid_for_60_more_days", "openssl is not installed");
    }
    let end = "-----END CERTIFICATE-----";
    let roots: Vec<&str> = Roots::All.pem().split_inclusive(end).filter(|part| part.contains(end)).collect();
    assert!(roots.len() > 80, "{}", roots.len());
    for root in roots {
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-noout", "-checkend", &(60 * 86_400).to_string()]);
        let mut child = openssl.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(root.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "expires soon; run src/client/ca/update:\n{root}");
    }
}

/// Returns the subjects of the certificates in a file.
fn subjects(pem: &str) -> Vec<&str> {
    pem.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains("CN=")).collect()
}

/// With `--via`, a client of MySQL or MariaDB does not check the name, and anyone can get a certificate from a public
/// CA.
#[test]
fn without_a_name_check_only_roots_of_rds_are_trusted() {
    let all = subjects(Roots::All.pem());
    let is_public = |name: &&str| name.contains("Amazon Root CA") || name.contains("Starfield");
    assert_eq!(all.iter().copied().filter(|name| is_public(name)).count(), 5);
    assert!(!all.iter().any(|name| name.contains("Beta") || name.contains("Preview")), "{all:?}");

    let sandbox = Sandbox::new();
    let via = ["--via", "127.0.0.1:3307"];
    let trusted = |args: &[&str]| -> Vec<String> {
        let (stdout, _) = sandbox.rds_token(args).warns();
        let ca = stdout.lines().find_map(|line| line.strip_prefix("ssl-ca=\"")?.strip_suffix('"')).unwrap();
        subjects(&std::fs::read_to_string(ca).unwrap()).iter().map(|name| (*name).to_owned()).collect()
    };
    for flavor in ["mysql", "mariadb", "library"] {
        let cnf = ["cnf", TARGET, "--stdout", "--flavor", flavor];
        assert_eq!(trusted(&cnf), all);
        let subjects = trusted(&[&cnf[..], &via].concat());
        assert!(subjects.len() > 70 && subjects.iter().all(|name| name.contains("OU=Amazon RDS,")), "{subjects:?}");
    }
    // `connect` passes the file in memory.
    let mysql = sandbox.write(
        "bin/mysql",
        "#!/bin/sh\n[ \"$1\" = --version ] && exit\nca=$(sed -n 's/^ssl-ca=\"\\(.*\\)\"/\\1/p' \"${1#*=}\")\n\
         echo \"$ca\"; cat \"$ca\"\n",
    );
    std::fs::set_permissions(&mysql, std::fs::Permissions::from_mode(0o755)).unwrap();
    let client = ["--", mysql.to_str().unwrap()];
    for (via, count) in [(&[][..], 86), (&via[..], 81)] {
        let text = sandbox.rds_token([&["connect", TARGET], via, &client].concat()).succeeds();
        assert!(text.starts_with("/proc/self/fd/"), "{text}");
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), count);
    }
    // libpq checks the endpoint's name, whatever address it connects to.
    let url = sandbox.rds_token([&format!("postgres://u@{HOST}"), "--output", "url", "--via", "127.0.0.1:5433"]);
    assert!(url.succeeds().contains("rds-ca.pem"));
    // An RDS Proxy's certificate comes from a public CA, so the login would fail.
    let proxy = "u@app.proxy-abc123.eu-west-1.rds.amazonaws.com:3306";
    let cnf = [&["cnf", proxy, "--flavor", "mysql"], &via[..]].concat();
    assert!(sandbox.rds_token(cnf).warns().1.contains("use a line in /etc/hosts instead of --via"));
}

/// A bare chroot has no /proc, and without it a client can't open a file in memory.
#[test]
#[ignore = "needs network or mount namespaces"]
fn connect_works_without_proc() {
    let test = "connect_works_without_proc";
    if !can_mount() {
        return skip(test, "this machine does not allow mount namespaces");
    }
    let sandbox = Sandbox::new();
    let mysql = sandbox.write("bin/mysql", "#!/bin/sh\n[ \"$1\" = --version ] || cat \"${1#*=}\"\n");
    std::fs::set_permissions(&mysql, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = "mount -t tmpfs none /proc && exec \"$@\"";
    let mut command = sandbox.command("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", PROGRAM, "connect", TARGET, "--"]).arg(&mysql).envs(KEYS);
    let (stdout, stderr) = texts(&command.output().unwrap());
    assert!(stdout.contains("ssl-ca=\"") && !stdout.contains("/proc/") && stderr.is_empty(), "{stdout}{stderr}");
}
