//! CNAMEs of RDS endpoints, looked up with a real DNS server (dnsmasq) on loopback.
//!
//! Each run has its own `/etc/resolv.conf` and `/etc/hosts`, in a mount namespace.

use std::ffi::OsStr;
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{KEYS, NO_FILE, PROGRAM, Run, Sandbox, can_mount, has, is_root, skip, texts};
use crate::hit::{assert_no_network, assert_opens};
use crate::servers::lab;

const CLUSTER: &str = "abc123.dsql.eu-west-1.on.aws";
const ENDPOINT: &str = "prod.abc123.eu-west-1.rds.amazonaws.com";
const WRITER: &str = "writer.cluster-abc123.us-west-2.rds.amazonaws.com";
const GLOBAL: &str = "world.global-abc123.global.rds.amazonaws.com";

/// The records of a company, of RDS and of EC2. An RDS endpoint is itself a CNAME.
const RECORDS: &[(&str, &str)] = &[
    ("db.corp.test", ENDPOINT),
    ("a.corp.test", "b.corp.test"),
    ("b.corp.test", "c.other.test"),
    ("c.other.test", ENDPOINT),
    (ENDPOINT, "ec2-203-0-113-1.eu-west-1.compute.amazonaws.com"),
    ("global.corp.test", GLOBAL),
    (GLOBAL, WRITER),
    ("china.corp.test", "prod.abc123.rds.cn-north-1.amazonaws.com.cn"),
    ("upper.corp.test", "PROD.ABC123.EU-WEST-1.RDS.AMAZONAWS.COM"),
    ("loop1.corp.test", "loop2.corp.test"),
    ("loop2.corp.test", "loop1.corp.test"),
    ("self.corp.test", "self.corp.test"),
    ("nlb.corp.test", "nlb-abc123.elb.eu-west-1.amazonaws.com"),
    ("ec2.corp.test", "ec2-203-0-113-1.eu-west-1.compute.amazonaws.com"),
    ("other.corp.test", "db.example.test"),
    ("dangling.corp.test", "missing.corp.test"),
    ("evil1.corp.test", "x.rds.amazonaws.com.evil.test"),
    ("evil2.corp.test", "prod.abc123.eu-west-1.rds.amazonaws.com.evil.test"),
    ("evil3.corp.test", "prod.abc123.eu-west-1.evil-rds.amazonaws.com"),
    ("evil4.corp.test", "prod.abc123.eu-west-1.rds.evilamazonaws.com"),
    ("listed.corp.test", ENDPOINT),
    ("dsql.corp.test", CLUSTER),
    ("deep1.corp.test", "deep2.corp.test"),
    ("deep2.corp.test", "deep3.corp.test"),
    ("deep3.corp.test", "deep4.corp.test"),
    ("deep4.corp.test", "deep5.corp.test"),
    ("deep5.corp.test", "deep6.corp.test"),
    ("deep6.corp.test", "deep7.corp.test"),
    ("deep7.corp.test", ENDPOINT),
    ("deep0.corp.test", "deep1.corp.test"),
    ("deep.corp.test", "deep0.corp.test"),
];

/// A name server on loopback, and the files that make the program use it.
struct Dns {
    sandbox: Sandbox,
    server: Child,
    resolv: PathBuf,
    hosts: PathBuf,
    log: PathBuf,
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns a CNAME in the syntax of dnsmasq. dnsmasq's own option `cname` refuses loops and unknown targets.
fn record(name: &str, target: &str) -> String {
    let label = |label: &str| format!("{:02x}{}", label.len(), label.bytes().map(hex).collect::<String>());
    let hex: String = target.split('.').map(label).collect();
    format!("dns-rr={name},5,{hex}00\n")
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

/// Returns an address of loopback that no other server uses.
fn address() -> String {
    format!("127.{}.{}.{}", fastrand::u8(2..250), fastrand::u8(2..250), fastrand::u8(2..250))
}

impl Dns {
    /// Starts a name server for [`RECORDS`] and `more` lines of its configuration. `None` if this machine can't run it;
    /// the test is then skipped.
    fn start(test: &str, more: &str) -> Option<Self> {
        let program = "/usr/sbin/dnsmasq";
        if !is_root() || !can_mount() || !std::path::Path::new(program).exists() {
            skip(test, "needs root, a mount namespace and dnsmasq");
            return None;
        }
        let (sandbox, address) = (Sandbox::new(), address());
        let records: String = RECORDS.iter().map(|(name, target)| record(name, target)).collect();
        let log = sandbox.path("dns.log");
        let config = format!(
            "port=53\nlisten-address={address}\nbind-interfaces\nno-resolv\nno-hosts\nno-daemon\nuser=root\ngroup=root\n\
             log-queries\nlog-facility={}\npid-file=\nlocal=/test/\n{records}{more}",
            log.display()
        );
        let config = sandbox.write("dnsmasq.conf", &config);
        let resolv = sandbox.write("resolv.conf", &format!("search corp.test\nnameserver {address}\n"));
        let hosts = sandbox.write("hosts", "127.0.0.1 localhost\n203.0.113.9 listed.corp.test\n");
        let mut server = sandbox.command(program);
        let server = server.arg(format!("--conf-file={}", config.display())).stderr(Stdio::null()).spawn().unwrap();
        let mut dns = Self { sandbox, server, resolv, hosts, log };
        while TcpStream::connect((address.as_str(), 53)).is_err() {
            let exit = dns.server.try_wait().unwrap();
            assert!(exit.is_none(), "dnsmasq: {exit:?} {}", std::fs::read_to_string(&dns.log).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(dns)
    }

    fn stop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Prepares a run of `program` that uses the name server.
    fn command<S: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Command {
        let script = "mount --bind \"$1\" /etc/resolv.conf && mount --bind \"$2\" /etc/hosts && shift 2 && exec \"$@\"";
        let mut command = self.sandbox.command("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).args([&self.resolv, &self.hosts]).arg(program).args(args);
        command
    }

    /// Prepares a run of rds-token with access keys.
    fn rds_token(&self, args: &[&str]) -> Run {
        let mut command = self.command(PROGRAM, args);
        command.envs(KEYS).env("AWS_REGION", "eu-central-1");
        Run { command }
    }

    /// Returns the host and the region of a token for `host`, and the messages.
    #[track_caller]
    fn sign(&self, host: &str, args: &[&str]) -> (String, String, String) {
        let target = format!("app@{host}:3306");
        let (token, messages) = self.rds_token(&[&[target.as_str()], args].concat()).warns();
        let region = token.split("Credential=").nth(1).unwrap().split("%2F").nth(2).unwrap().to_owned();
        (token.split(':').next().unwrap().to_owned(), region, messages)
    }

    /// Returns the number of queries that the server has received.
    fn queries(&self) -> usize {
        std::fs::read_to_string(&self.log).unwrap().lines().filter(|line| line.contains(" query[")).count()
    }
}

#[test]
#[ignore = "needs root and dnsmasq"]
fn a_token_is_signed_for_the_endpoint_behind_a_cname() {
    let Some(dns) = Dns::start("a_token_is_signed_for_the_endpoint_behind_a_cname", "") else { return };
    for (name, endpoint, region) in [
        ("db.corp.test", ENDPOINT, "eu-west-1"),
        ("DB.Corp.Test", ENDPOINT, "eu-west-1"),
        // In the search domain.
        ("db", ENDPOINT, "eu-west-1"),
        ("a.corp.test", ENDPOINT, "eu-west-1"),
        ("upper.corp.test", ENDPOINT, "eu-west-1"),
        ("global.corp.test", WRITER, "us-west-2"),
        (GLOBAL, WRITER, "us-west-2"),
        ("china.corp.test", "prod.abc123.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        // An endpoint is not looked up.
        (ENDPOINT, ENDPOINT, "eu-west-1"),
    ] {
        let (host, signed_for, messages) = dns.sign(name, &[]);
        assert_eq!((host.as_str(), signed_for.as_str(), messages.as_str()), (endpoint, region, ""), "{name}");
    }
    let token = dns.rds_token(&["app@dsql.corp.test:5432"]).succeeds();
    assert!(token.starts_with(&format!("{CLUSTER}/?Action=DbConnect&")), "{token}");
    let (_, _, messages) = dns.sign("db.corp.test", &["-v", "--refresh"]);
    let note = format!("host: db.corp.test is a CNAME of {ENDPOINT}; the token is signed for {ENDPOINT}\n");
    assert!(messages.contains(&note), "{messages}");
    // An explicit region must be that of the endpoint.
    let error = dns.rds_token(&["app@db.corp.test:3306", "--region", "us-east-1"]).fails(2);
    assert!(error.contains("--region is us-east-1, but the host is in eu-west-1"), "{error}");
}

#[test]
#[ignore = "needs root and dnsmasq"]
fn a_name_that_is_not_a_cname_of_an_endpoint_is_warned_about() {
    let Some(mut dns) = Dns::start("a_name_that_is_not_a_cname_of_an_endpoint_is_warned_about", "") else { return };
    let names = [
        "loop1.corp.test",
        "self.corp.test",
        "nlb.corp.test",
        "ec2.corp.test",
        "other.corp.test",
        "dangling.corp.test",
        "missing.corp.test",
        "evil1.corp.test",
        "evil2.corp.test",
        "evil3.corp.test",
        "evil4.corp.test",
        // A chain of more than 8 CNAMEs.
        "deep.corp.test",
        // In the hosts file.
        "listed.corp.test",
        "10.0.0.1",
    ];
    let warning =
        |name: &str| format!("rds-token: warning: host '{name}' is not an RDS endpoint, and no server accepts");
    for name in names {
        let started = Instant::now();
        let (host, region, messages) = dns.sign(name, &[]);
        assert_eq!((host.as_str(), region.as_str()), (name, "eu-central-1"));
        assert!(messages.starts_with(&warning(name)) && messages.lines().count() == 1, "{name}: {messages}");
        assert!(started.elapsed() < Duration::from_secs(3), "{name}");
    }
    // The server refuses names of other domains, and answers names in the search domain. Then it is down.
    for (name, why) in [
        ("db.example.com", "could not look up db.example.com: "),
        ("a.corp.test", "the lookup of a.corp.test timed out"),
    ] {
        let (host, _, messages) = dns.sign(name, &["-v"]);
        assert!(messages.contains(&warning(name)), "{messages}");
        assert!(messages.contains(&format!("rds-token: host: {why}")), "{messages}");
        assert_eq!(host, name);
        dns.stop();
    }
}

#[test]
#[ignore = "needs root and dnsmasq"]
fn no_resolve_sends_no_query() {
    let Some(dns) = Dns::start("no_resolve_sends_no_query", "") else { return };
    dns.sandbox.write(
        ".config/rds-token/config.toml",
        "[defaults]\nuser = 'app'\nno_resolve = true\n[target.a]\nhost = 'db.corp.test'\nport = 3306\n",
    );
    for args in [&["a"][..], &["db.corp.test:3306"], &["app@db.corp.test:3306", "--no-resolve"]] {
        let (token, messages) = dns.rds_token(args).warns();
        assert!(token.starts_with("db.corp.test:3306/"), "{args:?}: {token}");
        assert!(messages.contains("is not an RDS endpoint"), "{messages}");
    }
    // A request that would fail anyway, and names that can't be CNAMEs.
    dns.sandbox.write(".config/rds-token/config.toml", "");
    for target in
        ["db.corp.test:3306", "app@db.corp.test", "app@db.corp.test:x", "app@nlb.elb.eu-west-1.amazonaws.com:1"]
    {
        dns.rds_token(&[target]).fails(2);
    }
    dns.sign("127.0.0.1", &[]);
    dns.sign("localhost", &[]);
    assert_eq!(dns.queries(), 0);
}

#[test]
#[ignore = "needs root and dnsmasq"]
fn a_hit_sends_no_query() {
    let Some(dns) = Dns::start("a_hit_sends_no_query", "") else { return };
    for name in ["db.corp.test", "a.corp.test", GLOBAL, "missing.corp.test"] {
        let first = dns.sign(name, &[]);
        let queries = dns.queries();
        assert!(queries > 0);
        assert_eq!(dns.sign(name, &[]), first);
        assert_eq!(dns.queries(), queries, "{name}");
        dns.sign(name, &["--refresh"]);
        assert!(dns.queries() > queries, "{name}");
    }
    let queries = dns.queries();
    // Without a cache, each run queries the server.
    for _ in 0..2 {
        dns.sign("db.corp.test", &["--no-cache"]);
    }
    assert_eq!(dns.queries(), queries + 2);
    assert_eq!(dns.sandbox.cached("lookup").len(), 4);
    if has("strace") {
        let log = dns.sandbox.path("strace");
        let mut traced = dns.command("strace", ["-f", "-qq", "-o", log.to_str().unwrap(), PROGRAM]);
        traced.args(["app@db.corp.test:3306"]).envs(KEYS).env("AWS_REGION", "eu-central-1");
        assert!(traced.stdout(Stdio::null()).status().unwrap().success());
        let calls: Vec<String> = std::fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect();
        assert_no_network(&calls);
        assert_opens(&calls, &["config.toml", ".cache/rds-token\"", ".lookup\"", "boot_id", ".token\""]);
    }
}

#[test]
#[ignore = "needs root, dnsmasq and faketime"]
fn a_stored_cname_expires() {
    let test = "a_stored_cname_expires";
    let Some(library) = crate::faults::libfaketime() else { return skip(test, "libfaketime is not installed") };
    let Some(mut dns) = Dns::start(test, "") else { return };
    let sign = |dns: &Dns, name: &str, clock: &str| {
        let script = "export LD_PRELOAD=\"$1\" FAKETIME=\"$2\" FAKETIME_DONT_FAKE_MONOTONIC=1; shift 2; exec \"$@\"";
        let mut command = dns.command("sh", ["-c", script, "sh"]);
        command.arg(&library).args([clock, PROGRAM, &format!("app@{name}:3306")]);
        command.envs(KEYS).env("AWS_REGION", "eu-central-1");
        Run { command }.warns()
    };
    for (name, clock, has_expired) in [
        ("db.corp.test", "+9m", false),
        ("db.corp.test", "+11m", true),
        ("missing.corp.test", "+30s", false),
        ("missing.corp.test", "+70s", true),
    ] {
        dns.sign(name, &["--refresh"]);
        let queries = dns.queries();
        sign(&dns, name, clock);
        assert_eq!(dns.queries() > queries, has_expired, "{name} {clock}");
    }
    // If no server answers, an old lookup is used for a day.
    dns.sign("db.corp.test", &["--refresh"]);
    dns.stop();
    let (token, warning) = sign(&dns, "db.corp.test", "+23h");
    assert!(token.starts_with(ENDPOINT), "{token}");
    let why = "the lookup of db.corp.test timed out";
    let expected = format!("rds-token: warning: host: {why}; using {ENDPOINT}, the endpoint of an earlier lookup\n");
    assert_eq!(warning, expected);
    let (token, warning) = sign(&dns, "db.corp.test", "+25h");
    assert!(token.starts_with("db.corp.test:") && warning.contains("is not an RDS endpoint"), "{token} {warning}");
}

/// The time limit of the lookup is 3 seconds, because the token may not need it.
#[test]
#[ignore = "needs root and dnsmasq"]
fn a_server_that_does_not_answer_delays_a_run_for_three_seconds() {
    let test = "a_server_that_does_not_answer_delays_a_run_for_three_seconds";
    let Some(dns) = Dns::start(test, "") else { return };
    dns.sign("db.corp.test", &[]);
    let address = address();
    let _silent = UdpSocket::bind((address.as_str(), 53)).unwrap();
    std::fs::write(&dns.resolv, format!("nameserver {address}\noptions timeout:30\n")).unwrap();
    for (name, host, message) in [
        ("db.corp.test", ENDPOINT, "the lookup of db.corp.test timed out; using prod.abc123."),
        ("a.corp.test", "a.corp.test", "host 'a.corp.test' is not an RDS endpoint"),
    ] {
        let started = Instant::now();
        let (signed, _, messages) = dns.sign(name, &["--refresh"]);
        let seconds = started.elapsed().as_secs_f32();
        assert!((2.5..6.0).contains(&seconds), "{seconds}");
        assert!(signed == host && messages.contains(message), "{signed}: {messages}");
    }
    let started = Instant::now();
    dns.rds_token(&["app@a.corp.test:3306", "--refresh", "--timeout", "1s"]).output();
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
#[ignore = "needs root and dnsmasq"]
fn each_command_uses_the_endpoint_behind_a_cname() {
    let Some(dns) = Dns::start("each_command_uses_the_endpoint_behind_a_cname", "") else { return };
    dns.sandbox.write(
        ".config/rds-token/config.toml",
        "[target.p]\nurl = 'postgres://app@db.corp.test/x'\n[target.m]\nurl = 'mariadb://app@db.corp.test'\n",
    );
    let read = |args: &[&str]| std::fs::read_to_string(dns.rds_token(args).warns().0.trim_end()).unwrap();
    let passfile = read(&["pgpass", "p"]);
    for host in [ENDPOINT, "db.corp.test"] {
        assert!(passfile.contains(&format!("\n{host}:5432:*:app:{ENDPOINT}\\:5432/")), "{passfile}");
    }
    assert!(read(&["cnf", "m", "--flavor", "mariadb"]).contains(&format!("\nhost=\"{ENDPOINT}\"\n")));
    let (lines, _) = dns.rds_token(&["env", "p", "--shell", "sh"]).warns();
    assert!(lines.contains(&format!("PGHOST='{ENDPOINT}'")) && !lines.contains("corp.test"), "{lines}");
    let (text, _) = dns.rds_token(&["connect", "p", "sh", "-c", "echo $PGHOST"]).warns();
    assert_eq!(text, format!("{ENDPOINT}\n"));
    let json = dns.rds_token(&["p", "--output", "json"]).succeeds();
    assert!(json.contains(&format!("\"host\":\"{ENDPOINT}\"")), "{json}");
    // The address that clients connect to can still be another one.
    let (lines, _) = dns.rds_token(&["env", "p", "--shell", "sh", "--via", "127.0.0.1:5433"]).warns();
    assert!(lines.contains("PGHOSTADDR='127.0.0.1'") && lines.contains(&format!("PGHOST='{ENDPOINT}'")), "{lines}");
    let list = dns.rds_token(&["cache", "list"]).succeeds();
    assert!(list.contains(&format!("app@{ENDPOINT}:5432\teu-west-1\t")), "{list}");
    dns.rds_token(&["cache", "clear", "p"]).succeeds();
    let list = dns.rds_token(&["cache", "list"]).succeeds();
    assert!(!list.contains(":5432") && list.contains(":3306"), "{list}");
    assert_ne!(passfile, NO_FILE);
}

/// Real clients verify the name of the endpoint, which they get instead of the CNAME. All names are looked up in the
/// DNS, by the clients too.
#[test]
#[ignore = "needs database servers"]
fn clients_log_in_through_a_cname() {
    let test = "clients_log_in_through_a_cname";
    let Some(lab) = lab(test) else { return };
    let records = format!("{}host-record={},127.0.0.1\n", record("lab.corp.test", &lab.host), lab.host);
    let Some(dns) = Dns::start(test, &records) else { return };
    let key = lab.key("session");
    let run = |args: &[&str], path: Option<&PathBuf>| {
        let mut command = dns.command(PROGRAM, args);
        command.env("AWS_ACCESS_KEY_ID", &key.access_key_id).env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key);
        command.env("AWS_SESSION_TOKEN", key.session_token.as_ref().unwrap());
        let default = std::env::var_os("PATH").unwrap();
        let directories = path.cloned().into_iter().chain(std::env::split_paths(&default));
        command.env("PATH", std::env::join_paths(directories).unwrap());
        command
    };
    let sql = "select * from greeting";
    let url = |engine: &str, port: u16| format!("{engine}://{}@lab.corp.test:{port}/{}", lab.user, lab.database);
    let mysql_bin = lab.mysql.bin.as_ref();
    let connects = [
        ("mariadb", url("mariadb", lab.mariadb.port), vec!["--", "mariadb", "-BN", "-e", sql], None),
        ("mysql", url("mysql", lab.mysql.port), vec!["--", "mysql", "-BN", "-e", sql], mysql_bin),
        ("postgres", url("postgres", lab.postgres.port), vec!["--", "psql", "-XAt", "-c", sql], None),
    ];
    for (engine, url, client, path) in &connects {
        let greeting = format!("hello from {engine}\n");
        let login = |ca: &str| {
            let args = [&["connect", url.as_str(), "--ca", ca][..], client].concat();
            texts(&run(&args, *path).output().unwrap())
        };
        assert_eq!(login(&lab.ca), (greeting.clone(), String::new()), "{engine}");
        // The client verifies the server.
        let (stdout, stderr) = login(&lab.other_ca);
        assert!(stdout.is_empty() && stderr.to_lowercase().contains("certificate"), "{engine}: {stderr}");
        // The client fails if it gets the CNAME itself.
        let args = [&["connect", url.as_str(), "--no-resolve", "--region", &lab.region, "--ca", &lab.ca][..], client];
        let (stdout, _) = texts(&run(&args.concat(), *path).output().unwrap());
        assert_eq!(stdout, "", "{engine}");
        let lines = "eval \"$(\"$0\" env \"$1\" --ca \"$2\" --shell sh)\"; shift 2; \"$@\"";
        let mut shell = dns.command("sh", ["-c", lines, PROGRAM, url, &lab.ca]);
        shell.args(&client[1..]);
        for (name, value) in run(&[], *path).get_envs() {
            shell.env(name, value.unwrap());
        }
        let (stdout, stderr) = texts(&shell.output().unwrap());
        assert_eq!((stdout, stderr), (greeting.clone(), String::new()), "{engine}");
        if *engine == "postgres" {
            let (file, _) = texts(&run(&["pgpass", url, "-q", "--ca", &lab.ca], None).output().unwrap());
            let port = lab.postgres.port.to_string();
            let mut psql = dns.command("psql", ["-XAt", "-c", sql, "-h", &lab.host, "-p", &port, "-U", &lab.user]);
            psql.env("PGPASSFILE", file.trim_end()).env("PGDATABASE", &lab.database).env("PGSSLMODE", "verify-full");
            psql.env("PGSSLROOTCERT", &lab.ca);
            assert_eq!(texts(&psql.output().unwrap()), (greeting, String::new()));
        } else {
            let (file, _) = texts(&run(&["cnf", url, "--flavor", engine, "--ca", &lab.ca], *path).output().unwrap());
            let program = path.map_or_else(|| PathBuf::from("mariadb"), |path| path.join("mysql"));
            let option = format!("--defaults-file={}", file.trim_end());
            let mut client = dns.command(program.to_str().unwrap(), [&option, "-BN", "-e", sql]);
            assert_eq!(texts(&client.output().unwrap()), (greeting, String::new()), "{engine}");
        }
    }
}

/// A token is valid for one endpoint, and a password for every server that gets it.
#[test]
#[ignore = "needs root and dnsmasq"]
fn a_cname_does_not_choose_the_server_that_gets_the_master_password() {
    let Some(dns) = Dns::start("a_cname_does_not_choose_the_server_that_gets_the_master_password", "") else { return };
    let client = dns.sandbox.write("mariadb", "#!/bin/sh\ntouch started\n");
    std::fs::set_permissions(&client, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let client = format!("--client={}", client.display());
    let apply = |host: &str, more: &[&str]| {
        let target = format!("mariadb://app@{host}");
        let args = ["sql", &target, "--apply", "--password-fd", "0", "-q", &client];
        let mut run = dns.rds_token(&[&args, more].concat());
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, b"CANARY").unwrap();
        run.command.stdin(reader);
        run
    };
    let error = apply("db.corp.test", &[]).fails(2);
    assert!(
        error.starts_with(&format!("sql: 'db.corp.test' is a CNAME of {ENDPOINT}, and a forged DNS answer")),
        "{error}"
    );
    assert!(!dns.sandbox.path("started").exists());
    apply(ENDPOINT, &[]).succeeds();
    assert!(dns.sandbox.path("started").exists());
}
