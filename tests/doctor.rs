//! `rds-token doctor`, with broken setups of real servers and clients, and a fake AWS.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rds_token::testing::LOGIN_ERRORS;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{
    KEYS, PROGRAM, Sandbox, Server, TARGET, can_mount, print_uncaptured, simulation_answer, skip, sts_answer, texts,
};
use crate::moto::moto;
use crate::rogue::Rogue;
use crate::servers::{self, Lab, lab};

/// The answers of the fake AWS.
#[derive(Clone)]
struct Aws {
    /// The error code of `GetCallerIdentity`.
    rejection: Option<(&'static str, &'static str)>,
    /// The skew of its clock, in seconds.
    skew: i64,
    engine: &'static str,
    host: String,
    port: u16,
    has_iam: bool,
    /// A part of the resources that the caller's policy allows. `None` if the caller may not simulate it.
    allowed: Option<&'static str>,
    /// The lines of the log `iam-db-auth-error`. `None` if the database does not export it.
    log: Option<&'static str>,
}

const ACCOUNT: &str = "123456789012";
const RESOURCE_ID: &str = "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ";

impl Aws {
    fn start(self) -> Server {
        let skew = self.skew;
        let date = move || {
            let time = time::OffsetDateTime::now_utc() + time::Duration::seconds(skew);
            format!("Date: {}\r\n", time.format(&time::format_description::well_known::Rfc2822).unwrap())
        };
        Server::start_with(date, move |head, body| self.answer(head, body))
    }

    fn answer(&self, head: &str, body: &str) -> (u16, String) {
        if head.to_ascii_lowercase().contains("logs_20140328.filterlogevents") {
            let now = time::OffsetDateTime::now_utc().unix_timestamp() * 1_000;
            let event = self.log.map(|message| serde_json::json!({ "timestamp": now, "message": message }));
            return (200, serde_json::json!({ "events": event.into_iter().collect::<Vec<_>>() }).to_string());
        }
        let parameters: BTreeMap<String, String> = body.split('&').filter_map(parameter).collect();
        match parameters.get("Action").map(String::as_str) {
            Some("GetCallerIdentity") => self.caller(),
            Some("DescribeDBInstances") => self.instances(head, &parameters),
            Some("SimulatePrincipalPolicy") => self.simulate(&parameters),
            Some("DescribeDBClusters") => error(404, "DBClusterNotFoundFault", "no cluster"),
            action => error(400, "InvalidAction", &format!("{action:?}")),
        }
    }

    fn caller(&self) -> (u16, String) {
        if let Some((code, message)) = self.rejection {
            return error(403, code, message);
        }
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/app/session");
        (
            200,
            format!(
                "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>X</UserId>\
                 <Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            ),
        )
    }

    /// The instance `db` in eu-west-1.
    fn instances(&self, head: &str, parameters: &BTreeMap<String, String>) -> (u16, String) {
        let is_here = head.contains("/eu-west-1/rds/");
        if !is_here || parameters.get("DBInstanceIdentifier").is_some_and(|id| id != "db") {
            return error(404, "DBInstanceNotFound", "no instance");
        }
        let Self { engine, host, port, has_iam, log, .. } = self;
        let exports = if log.is_some() { "<member>iam-db-auth-error</member>" } else { "" };
        (
            200,
            format!(
                "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances><DBInstance>\
                 <DBInstanceIdentifier>db</DBInstanceIdentifier><DbiResourceId>{RESOURCE_ID}</DbiResourceId>\
                 <Engine>{engine}</Engine><DBInstanceStatus>available</DBInstanceStatus>\
                 <Endpoint><Address>{host}</Address><Port>{port}</Port></Endpoint>\
                 <IAMDatabaseAuthenticationEnabled>{has_iam}</IAMDatabaseAuthenticationEnabled>\
                 <EnabledCloudwatchLogsExports>{exports}</EnabledCloudwatchLogsExports>\
                 </DBInstance></DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>"
            ),
        )
    }

    fn simulate(&self, parameters: &BTreeMap<String, String>) -> (u16, String) {
        let Some(allowed) = self.allowed else {
            return error(403, "AccessDenied", "not authorized to perform: iam:SimulatePrincipalPolicy");
        };
        assert_eq!(parameters["PolicySourceArn"], format!("arn:aws:iam::{ACCOUNT}:role/app"));
        let resources = parameters.iter().filter(|(name, _)| name.starts_with("ResourceArns."));
        (200, simulation_answer(resources.map(|(_, arn)| arn.as_str()), allowed))
    }
}

fn error(status: u16, code: &str, message: &str) -> (u16, String) {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"))
}

fn parameter(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=')?;
    let value = percent_encoding::percent_decode_str(value).decode_utf8().ok()?.into_owned();
    Some((name.to_owned(), value))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Engine {
    Mariadb,
    Mysql,
    Postgres,
}

use Engine::{Mariadb, Mysql, Postgres};

/// A run of the doctor that works, unless a case breaks it.
struct Setup<'a> {
    lab: &'a Lab,
    engine: Engine,
    sandbox: Sandbox,
    aws: Aws,
    user: String,
    host: String,
    port: u16,
    args: Vec<String>,
    variables: BTreeMap<&'static str, String>,
    /// Whether the doctor runs in an empty network.
    is_isolated: bool,
}

/// A loopback address with a DNS server, in `/etc/resolv.conf` of each run.
const DNS: &str = "127.0.0.77";

/// Serves DNS until the tests end: `cname.corp.example` is a CNAME of `endpoint`. Other names do not exist.
fn serve_dns(endpoint: &str) {
    let Ok(socket) = UdpSocket::bind((DNS, 53)) else { return };
    let encode = |name: &str| -> Vec<u8> {
        let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
        labels.chain([0]).collect()
    };
    let (cname, endpoint) = (encode("cname.corp.example"), encode(endpoint));
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut query) {
            // The question ends with its type and class.
            let Some(end) = query[12..length].iter().position(|byte| *byte == 0).map(|end| 12 + end + 5) else {
                continue;
            };
            let is_known = query[12..end].to_ascii_lowercase().starts_with(&cname);
            let mut answer = query[..2].to_vec();
            answer.extend(if is_known {
                [0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]
            } else {
                [0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0]
            });
            answer.extend(&query[12..end]);
            if is_known {
                // The name of the question, CNAME, IN, 60 seconds.
                answer.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, endpoint.len() as u8]);
                answer.extend(&endpoint);
            }
            let _ = socket.send_to(&answer, peer);
        }
    });
}

impl<'a> Setup<'a> {
    fn new(lab: &'a Lab, engine: Engine) -> Self {
        let key = lab.key("static");
        let (server, name) = match engine {
            Mariadb => (&lab.mariadb, "mariadb"),
            Mysql => (&lab.mysql, "mysql"),
            Postgres => (&lab.postgres, "postgres"),
        };
        let path = std::env::var("PATH").unwrap();
        let path = match &server.bin {
            Some(bin) => format!("{}:{path}", bin.display()),
            None => path,
        };
        let aws = Aws {
            rejection: None,
            skew: 0,
            engine: name,
            host: lab.host.clone(),
            port: server.port,
            has_iam: true,
            allowed: Some(RESOURCE_ID),
            log: None,
        };
        Self {
            lab,
            engine,
            sandbox: Sandbox::new(),
            aws,
            user: lab.user.clone(),
            host: lab.host.clone(),
            port: server.port,
            args: vec!["--ca".to_owned(), lab.ca.clone()],
            variables: BTreeMap::from([
                ("PATH", path),
                ("AWS_ACCESS_KEY_ID", key.access_key_id),
                ("AWS_SECRET_ACCESS_KEY", key.secret_access_key),
            ]),
            is_isolated: false,
        }
    }

    fn arg(&mut self, arg: &str) {
        self.args.push(arg.to_owned());
    }

    /// Runs the doctor with the lab's names in `/etc/hosts`, and returns the report and the exit code.
    fn run(&self) -> (Value, i32) {
        let output = self.command(&["--output", "json"]).output().unwrap();
        let (stdout, stderr) = texts(&output);
        let report = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
        assert_eq!(stderr, "");
        assert_no_secret(&stdout);
        (report, output.status.code().unwrap())
    }

    fn command(&self, more: &[&str]) -> Command {
        let names = std::fs::read_to_string(&self.lab.hosts_file).unwrap();
        let hosts = self.sandbox.write("hosts", &format!("{names}127.0.0.1 db.corp.example\n"));
        let mut command = self.sandbox.command("/usr/bin/unshare");
        command.args(if self.is_isolated { &["--mount", "--net"][..] } else { &["--mount"] });
        let resolv = self.sandbox.write("resolv.conf", &format!("nameserver {DNS}\noptions timeout:1 attempts:1\n"));
        let script = "/bin/mount --bind \"$0\" /etc/hosts && /bin/mount --bind \"$1\" /etc/resolv.conf && shift && \
                      exec \"$@\"";
        command.args(["/bin/sh", "-c", script]).arg(hosts).arg(resolv).arg(PROGRAM).arg("doctor");
        let scheme = format!("{:?}", self.engine).to_lowercase();
        command.arg(format!("{scheme}://{}@{}:{}/{}", self.user, self.host, self.port, self.lab.database));
        command.args(&self.args).args(more).envs(&self.variables);
        let server = self.aws.clone().start();
        command.env("AWS_ENDPOINT_URL", &server.url);
        command
    }
}

/// Fails if the text contains a part of a token or of a secret key.
#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in ["X-Amz-Signature", "lab/static+secret", "Action=connect", KEYS[1].1] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// A broken setup, and the expected report.
struct Case {
    /// The cause, as users describe it.
    cause: &'static str,
    engine: Engine,
    break_it: fn(&mut Setup),
    /// The check that names the cause.
    check: &'static str,
    finding: &'static str,
    /// Whether the doctor's own login works: the cause affects other clients only.
    works: bool,
}

const fn case(
    cause: &'static str,
    engine: Engine,
    break_it: fn(&mut Setup),
    check: &'static str,
    finding: &'static str,
) -> Case {
    Case { cause, engine, break_it, check, finding, works: false }
}

/// Keys that the lab's servers do not know, as if no policy allowed the login.
fn use_unknown_keys(setup: &mut Setup) {
    setup.variables.insert("AWS_ACCESS_KEY_ID", "AKIDOTHER".to_owned());
}

const CASES: [Case; 21] = [
    case("IAM authentication is off", Postgres, |s| (s.aws.has_iam, s.user) = (false, "plain".into()), "iam", "is off"),
    case(
        "wrong port",
        Mysql,
        |s| {
            s.args.push(format!("--via=127.0.0.1:{}", s.port));
            s.port = 3306;
        },
        "database",
        "so it rejects a token for port 3306",
    ),
    case(
        "wrong region",
        Postgres,
        |s| {
            s.host = "db.corp.example".to_owned();
            s.arg("--region=us-east-1");
        },
        "database",
        "exists in eu-west-1, not in us-east-1",
    ),
    case("wrong case of the user", Postgres, |s| s.user = "Dbiamuser".into(), "user", "'dbiamuser' does"),
    case("user missing", Mysql, |s| s.user = "nobody".into(), "user", "'nobody' does not exist"),
    case("user without the plugin", Mysql, |s| s.user = "plain".into(), "user", "does not use AWSAuthenticationPlugin"),
    case("role without rds_iam", Postgres, |s| s.user = "plain".into(), "user", "does not have the role rds_iam"),
    case(
        "expired session",
        Mariadb,
        |s| s.aws.rejection = Some(("ExpiredToken", "The security token included in the request is expired")),
        "identity",
        "the session has expired",
    ),
    case("clock 10 minutes off", Postgres, |s| s.aws.skew = 600, "clock", "behind AWS"),
    case(
        "CNAME",
        Mariadb,
        |s| {
            s.host = "cname.corp.example".to_owned();
            s.args.extend(["--region=eu-west-1".to_owned(), "--no-resolve".to_owned()]);
        },
        "target",
        "'cname.corp.example' is a CNAME of db.abc123.eu-west-1.rds.amazonaws.com",
    ),
    case("dead port", Mariadb, |s| (s.port, s.aws.port) = (1, 1), "tcp", "refuses the connection"),
    case(
        "unroutable host",
        Postgres,
        |s| {
            s.is_isolated = true;
            s.arg("--via=10.255.255.1:5432");
        },
        "tcp",
        "could not connect to 10.255.255.1:5432",
    ),
    case("TLS by another CA", Mysql, |s| s.args[1].clone_from(&s.lab.other_ca), "tls", "is from another CA"),
    case(
        "client without the cleartext plugin",
        Mariadb,
        |s| drop(s.sandbox.write(".my.cnf", "[client]\nplugin-dir=/nonexistent\n")),
        "login",
        "the client's plugin mysql_clear_password is disabled or not installed",
    ),
    Case {
        works: true,
        ..case(
            "password in ~/.my.cnf",
            Mariadb,
            |s| drop(s.sandbox.write(".my.cnf", "[client]\npassword=x\n")),
            "overrides",
            ".my.cnf sets password",
        )
    },
    Case {
        works: true,
        ..case(
            "login path in ~/.mylogin.cnf",
            Mysql,
            |s| drop(s.sandbox.write(".mylogin.cnf", "")),
            "overrides",
            ".mylogin.cnf may override",
        )
    },
    case(
        "policy with the instance's name",
        Mysql,
        |s| {
            use_unknown_keys(s);
            s.aws.allowed = Some(":dbuser:db/");
        },
        "policy",
        "contains the name of the database instead of its resource id",
    ),
    case(
        "AWS_PROFILE shadowed by keys",
        Postgres,
        |s| {
            use_unknown_keys(s);
            s.variables.insert("AWS_PROFILE", "prod".to_owned());
        },
        "credentials",
        "AWS_PROFILE is ignored because AWS_ACCESS_KEY_ID is set",
    ),
    case(
        "no client installed",
        Mariadb,
        |s| drop(s.variables.insert("PATH", "/nonexistent".to_owned())),
        "client",
        "'mariadb' is not on PATH",
    ),
    case(
        "truncated session token",
        Postgres,
        |s| {
            s.aws.rejection = Some(("InvalidClientTokenId", "The security token included in the request is invalid"));
            s.variables.insert("AWS_SESSION_TOKEN", "truncated".to_owned());
        },
        "identity",
        "the session token is truncated",
    ),
    case(
        "policy, by the server's log",
        Postgres,
        |s| {
            use_unknown_keys(s);
            s.aws.allowed = None;
            s.aws.log = Some("caller 'arn:aws:sts::1:x' is not authorized to perform rds-db:connect");
        },
        "server log",
        "the policy does not allow the login",
    ),
];

#[test]
#[ignore = "needs database servers"]
fn the_cause_of_each_broken_setup_is_named() {
    let test = "the_cause_of_each_broken_setup_is_named";
    let Some(lab) = lab(test) else { return };
    if !can_mount() {
        return skip(test, "needs mount namespaces");
    }
    create_plain_users(&lab);
    serve_dns(&lab.host);
    let mut table = String::from("| setup | named | check | finding |\n|---|---|---|---|\n");
    let mut unnamed = Vec::new();
    for case in &CASES {
        let mut setup = Setup::new(&lab, case.engine);
        (case.break_it)(&mut setup);
        let (report, exit) = setup.run();
        let finding =
            report["checks"].as_array().unwrap().iter().find(|check| {
                check["check"] == case.check && check["finding"].as_str().unwrap().contains(case.finding)
            });
        let is_cause = case.works || report["cause"] == case.check;
        let is_named = is_cause && finding.is_some() && exit == i32::from(!case.works);
        if !is_named {
            unnamed.push(format!("{} (exit {exit}): {report:#}", case.cause));
        }
        let text = finding.map_or("", |check| check["finding"].as_str().unwrap());
        let mark = if is_named { "yes" } else { "NO" };
        writeln!(table, "| {} ({:?}) | {mark} | {} | {text} |", case.cause, case.engine, case.check).unwrap();
    }
    print_uncaptured(&table);
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

/// Creates a user with a password, and without IAM authentication, on each server.
fn create_plain_users(lab: &Lab) {
    let user = lab.admin.as_str();
    for server in [&lab.mariadb, &lab.mysql] {
        let mut client = Command::new(server.bin.as_ref().map_or("mariadb".into(), |bin| bin.join("mysql")));
        client.args(["--no-defaults", "--socket", &server.socket, "--user", user, "--execute"]);
        client.arg("CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY 'lab'");
        assert!(client.status().unwrap().success());
    }
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-h", &lab.postgres.socket, "-p", &lab.postgres.port.to_string(), "-U", user, "postgres"]);
    psql.args(["-c", "DROP ROLE IF EXISTS plain", "-c", "CREATE ROLE plain LOGIN PASSWORD 'lab'"]);
    assert!(psql.output().unwrap().status.success());
}

#[test]
#[ignore = "needs database servers"]
fn a_setup_that_works_has_no_failure() {
    let test = "a_setup_that_works_has_no_failure";
    let Some(lab) = lab(test) else { return };
    if !can_mount() {
        return skip(test, "needs mount namespaces");
    }
    for engine in [Mariadb, Mysql, Postgres] {
        let setup = Setup::new(&lab, engine);
        let (report, exit) = setup.run();
        let checks = report["checks"].as_array().unwrap();
        let bad = checks.iter().filter(|check| check["status"] != "ok" && check["check"] != "server log");
        assert_eq!((bad.count(), exit, &report["cause"]), (0, 0, &Value::from("")), "{engine:?}: {report:#}");
        assert_eq!(report["summary"], "the login works");
        // Tokens are not stored, and the text has the same checks.
        assert!(setup.sandbox.cached("token").is_empty());
        let (stdout, _) = texts(&setup.command(&[]).output().unwrap());
        let names: Vec<&str> = stdout.lines().filter_map(|line| line.get(6..)?.split_once(": ").map(|p| p.0)).collect();
        let expected: Vec<&str> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{stdout}");
        assert!(stdout.ends_with("\nthe login works\n"), "{stdout}");
    }
}

/// Servers that are not the endpoint: each is named, and none of them gets a token.
#[test]
#[ignore = "needs database servers"]
fn a_server_that_is_not_the_endpoint_is_named() {
    let test = "a_server_that_is_not_the_endpoint_is_named";
    let Some(lab) = lab(test) else { return };
    if !can_mount() {
        return skip(test, "needs mount namespaces");
    }
    for (engine, rogue) in [(Mysql, servers::Mariadb), (Postgres, servers::Postgres)] {
        let rogue = Rogue::start(rogue);
        let mut setup = Setup::new(&lab, engine);
        setup.arg(&format!("--via=127.0.0.1:{}", rogue.port));
        setup.names("tls", "does not offer TLS");
        assert!(!rogue.has_token());
    }
    let before = lab.verdicts().len();
    for engine in [Mariadb, Postgres] {
        let mut setup = Setup::new(&lab, engine);
        setup.host.clone_from(&lab.outside_host);
        setup.aws.host.clone_from(&lab.outside_host);
        setup.names(
            "tls",
            "certificate is not for db.zzz999.eu-west-1.rds.amazonaws.com, but for other names: *.abc123",
        );
        let mut setup = Setup::new(&lab, engine);
        let (other, product) =
            if engine == Postgres { (&lab.mariadb, "PostgreSQL") } else { (&lab.postgres, "MariaDB") };
        setup.arg(&format!("--via=127.0.0.1:{}", other.port));
        setup.names("tls", product);
    }
    if let Some(library) = crate::faults::libfaketime() {
        let mut setup = Setup::new(&lab, Postgres);
        setup.variables.extend([("LD_PRELOAD", library.display().to_string()), ("FAKETIME", "+3d".to_owned())]);
        setup.names("tls", "the server's certificate expired at ");
    }
    assert_eq!(lab.verdicts().len(), before, "a server received a password");
}

impl Setup<'_> {
    /// Fails unless this check is the probable cause, with this finding.
    #[track_caller]
    fn names(&self, check: &str, finding: &str) {
        let (report, exit) = self.run();
        assert_eq!((report["cause"].as_str(), exit), (Some(check), 1), "{report:#}");
        assert!(report["summary"].as_str().unwrap().contains(finding), "{finding}: {report:#}");
    }
}

/// The token is accepted, but there is another problem.
#[test]
#[ignore = "needs database servers"]
fn a_database_that_does_not_exist_is_named() {
    let test = "a_database_that_does_not_exist_is_named";
    let Some(lab) = lab(test) else { return };
    if !can_mount() {
        return skip(test, "needs mount namespaces");
    }
    for engine in [Mysql, Postgres] {
        let mut setup = Setup::new(&lab, engine);
        setup.arg("--database=nosuch");
        let (report, _) = setup.run();
        assert_eq!(report["cause"], "login", "{report:#}");
        let summary = report["summary"].as_str().unwrap();
        assert!(summary.contains("the token was accepted, but"), "{summary}");
    }
}

#[test]
#[ignore = "needs database servers"]
fn a_cluster_of_aurora_dsql_is_checked_without_rds() {
    let test = "a_cluster_of_aurora_dsql_is_checked_without_rds";
    let Some(lab) = lab(test) else { return };
    if !can_mount() {
        return skip(test, "needs mount namespaces");
    }
    let setup = |user: &str, allowed: &'static str| {
        let mut setup = Setup::new(&lab, Postgres);
        (setup.host, setup.user) = (lab.dsql_host.clone(), user.to_owned());
        setup.aws.allowed = Some(allowed);
        setup
    };
    for user in [lab.user.as_str(), "admin"] {
        let (report, code) = setup(user, "cluster/abc123").run();
        let finding = |name: &str| {
            let checks = report["checks"].as_array().unwrap();
            let check = checks.iter().find(|check| check["check"] == name).unwrap();
            format!("{} {}", check["status"].as_str().unwrap(), check["finding"].as_str().unwrap())
        };
        assert_eq!(code, 0, "{report:#}");
        assert!(finding("target").starts_with("ok ") && finding("target").contains("Aurora DSQL"), "{report:#}");
        assert!(finding("database").starts_with("skip not looked up"), "{report:#}");
        assert!(finding("iam").starts_with("skip not needed"), "{report:#}");
        let resource = format!("arn:aws:dsql:eu-west-1:{ACCOUNT}:cluster/abc123");
        assert!(finding("policy").starts_with("ok ") && finding("policy").ends_with(&resource), "{report:#}");
        assert!(finding("tls").starts_with("ok ") && finding("login").starts_with("ok "), "{report:#}");
        assert!(finding("user").starts_with("ok the server accepts"), "{report:#}");
    }
    let mut setup = setup("admin", "cluster/other");
    use_unknown_keys(&mut setup);
    let (report, code) = setup.run();
    let text = report.to_string();
    assert_eq!(code, 1, "{report:#}");
    assert!(text.contains("allows dsql:DbConnectAdmin") && text.contains("not read for Aurora DSQL"), "{report:#}");
}

/// An instance, an Aurora cluster with an instance, and a proxy in moto.
const DATABASES: &str = "
rds = client('rds')
rds.create_db_instance(DBInstanceIdentifier='doctor-one', Engine='mysql', DBInstanceClass='db.t3.micro', Port=3306,
    AllocatedStorage=10, MasterUsername='u', MasterUserPassword='xxxxxxxx', EnableIAMDatabaseAuthentication=False)
rds.create_db_cluster(DBClusterIdentifier='doctor-aurora', Engine='aurora-mysql', MasterUsername='u', Port=3306,
    MasterUserPassword='xxxxxxxx', EnableIAMDatabaseAuthentication=True)
rds.create_db_instance(DBInstanceIdentifier='doctor-member', Engine='aurora-mysql', DBInstanceClass='db.r5.large',
    DBClusterIdentifier='doctor-aurora', Port=3306, EnableIAMDatabaseAuthentication=True)
rds.create_db_proxy(DBProxyName='doctor-proxy', EngineFamily='MYSQL', RoleArn='arn:aws:iam::123456789012:role/p',
    Auth=[{'AuthScheme': 'SECRETS', 'SecretArn': 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:x', 'IAMAuth': 'REQUIRED'}],
    VpcSubnetIds=[client('ec2').describe_subnets()['Subnets'][0]['SubnetId']])
instance = lambda name: rds.describe_db_instances(DBInstanceIdentifier=name)['DBInstances'][0]
cluster = rds.describe_db_clusters(DBClusterIdentifier='doctor-aurora')['DBClusters'][0]
proxy = rds.describe_db_proxies(DBProxyName='doctor-proxy')['DBProxies'][0]
result = [
    [instance('doctor-one')['Endpoint']['Address'], instance('doctor-one')['DbiResourceId']],
    [cluster['Endpoint'], cluster['DbClusterResourceId']],
    [instance('doctor-member')['Endpoint']['Address'], cluster['DbClusterResourceId']],
    [proxy['Endpoint'], proxy['DBProxyArn'].split(':')[-1]],
]
";

#[test]
#[ignore = "needs moto"]
fn each_kind_of_database_is_checked_in_rds() {
    let Some(moto) = moto("each_kind_of_database_is_checked_in_rds") else { return };
    let databases: Vec<[String; 2]> = serde_json::from_value(moto.seed(DATABASES)).unwrap();
    let names =
        ["instance doctor-one (mysql)", "cluster doctor-aurora", "instance doctor-member", "proxy doctor-proxy"];
    for (index, ([host, resource_id], name)) in databases.iter().zip(names).enumerate() {
        let target = format!("app@{host}:3306");
        let sandbox = Sandbox::new();
        let run = moto.rds_token(&sandbox, ["doctor", &target, "--via=127.0.0.1:1"]);
        let report = texts(&run.output()).0;
        let expected = format!("ok    database: the {name}");
        assert!(report.contains(&expected), "{expected}: {report}");
        let iam =
            if index == 0 { "FAIL  iam: IAM authentication is off" } else { "ok    iam: IAM authentication is on" };
        assert!(report.contains(iam), "{name}: {report}");
        // moto does not simulate policies.
        let resource = format!("the resource must be arn:aws:rds-db:eu-west-1:123456789012:dbuser:{resource_id}/app");
        assert!(report.contains(&resource), "{resource}: {report}");
    }
}

#[test]
#[ignore = "needs moto"]
fn a_database_of_another_account_or_region_is_named() {
    let Some(moto) = moto("a_database_of_another_account_or_region_is_named") else { return };
    moto.seed(
        "client('rds', 'ap-south-1').create_db_instance(DBInstanceIdentifier='doctor-far', Engine='mysql', Port=3306,
         DBInstanceClass='db.t3.micro', AllocatedStorage=10, MasterUsername='u', MasterUserPassword='xxxxxxxx')"
            .replace('\n', " ")
            .as_str(),
    );
    let report = |target: &str| {
        let sandbox = Sandbox::new();
        let run = moto.rds_token(&sandbox, ["doctor", target, "--via=127.0.0.1:1", "--no-resolve"]);
        texts(&run.output()).0
    };
    let report_of_far = report("app@doctor-far.example:3306");
    assert!(report_of_far.contains("exists in ap-south-1, not in eu-west-1"), "{report_of_far}");
    let report_of_absent = report("app@doctor-absent.abc123.eu-west-1.rds.amazonaws.com:3306");
    assert!(report_of_absent.contains("warn  database: account 123456789012 has no database"), "{report_of_absent}");
}

/// All checks together take at most `--timeout`, even if no server answers.
#[test]
fn servers_that_do_not_answer_do_not_delay_the_report() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let sandbox = Sandbox::new();
    for timeout in [2, 4] {
        let via = format!("--via={address}");
        let timeout_argument = format!("--timeout={timeout}s");
        let run = sandbox.rds_token(["doctor", TARGET, &via, &timeout_argument]);
        let run = run.env("AWS_ENDPOINT_URL", format!("http://{address}"));
        let start = Instant::now();
        let (stdout, _) = texts(&run.output());
        assert!(start.elapsed() < Duration::from_millis(timeout * 1_000 + 900), "{:?}: {stdout}", start.elapsed());
        assert!(stdout.contains("FAIL  tls: ") && stdout.contains("does not answer in time"), "{stdout}");
        assert!(stdout.contains("warn  identity: ") && stdout.contains("\nprobable cause: tls"), "{stdout}");
    }
}

/// A helper program's stderr and a message of AWS are never a remedy, which the user may paste into a shell.
#[test]
fn no_text_of_a_program_or_a_server_is_a_remedy() {
    let sandbox = Sandbox::new();
    let program = sandbox.write("helper", "#!/bin/sh\necho 'broken; rm -rf /'>&2\nexit 1\n");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let server = Server::start(|_, _| error(403, "AccessDenied", "no; rm -rf /"));
    let role = "role_arn = arn:aws:iam::123456789012:role/app\nsource_profile = keys\n";
    let [(_, id), (_, secret)] = KEYS;
    let profiles = format!(
        "[profile helper]\ncredential_process = {}\n[profile role]\n{role}[profile keys]\naws_access_key_id = {id}\n\
         aws_secret_access_key = {secret}\n",
        program.display()
    );
    sandbox.write(".aws/config", &profiles);
    for profile in ["helper", "role", "keys"] {
        let run = sandbox.without_keys(["doctor", TARGET, "--via=127.0.0.1:1", "--profile", profile]);
        let (report, _) = texts(&run.env("AWS_ENDPOINT_URL", &server.url).output());
        assert!(report.contains("rm -rf /"), "{report}");
        let remedies: Vec<&str> = report.lines().filter(|line| line.contains("fix: ")).collect();
        assert!(!remedies.is_empty() && remedies.iter().all(|line| !line.contains("rm -rf /")), "{report}");
    }
}

/// Waits for a file, and returns its text.
fn wait_for(path: &Path) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(Instant::now() < until, "{} was not written", path.display()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal to a doctor that has started a program, which has written its ID to `file`. Asserts that both exit.
#[track_caller]
fn assert_both_exit(mut command: Command, file: &Path, signal: Signal) {
    let doctor = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let program = wait_for(file);
    kill_process(Pid::from_child(&doctor), signal).unwrap();
    let start = Instant::now();
    let output = doctor.wait_with_output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(128 + signal.as_raw()), ""), "{signal:?}: {stderr}");
    assert!(stderr.contains("terminated by SIG") && stderr.lines().count() == 1, "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let is_running = || Path::new("/proc").join(program.trim()).join("exe").canonicalize().is_ok();
    let until = Instant::now() + Duration::from_secs(3);
    while is_running() {
        assert!(Instant::now() < until, "{signal:?}: the program still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const SIGNALS: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

#[test]
fn a_signal_stops_a_helper_program() {
    for signal in SIGNALS {
        let sandbox = Sandbox::new();
        let file = sandbox.path("id");
        let script = format!("#!/bin/sh\necho $$ >{}\nexec sleep 60\n", file.display());
        let program = sandbox.write("helper", &script);
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        sandbox.write(".aws/config", &format!("[profile p]\ncredential_process = {}\n", program.display()));
        let run = sandbox.without_keys(["doctor", TARGET, "--via=127.0.0.1:1", "--profile=p"]);
        assert_both_exit(run.command, &file, signal);
    }
}

/// The client has the token. After a helper program, signals have another handler.
#[test]
#[ignore = "needs database servers"]
fn a_signal_stops_the_login() {
    let test = "a_signal_stops_the_login";
    let Some(lab) = lab(test) else { return };
    if !can_mount() {
        return skip(test, "needs mount namespaces");
    }
    for signal in SIGNALS {
        for has_helper in [false, true] {
            let mut setup = Setup::new(&lab, Engine::Mariadb);
            let file = setup.sandbox.path("id");
            let script = format!(
                "#!/bin/sh\ncase $* in *SELECT*) echo $$ >{}; exec sleep 60 ;; esac\nexec /usr/bin/mariadb \"$@\"\n",
                file.display()
            );
            let client = setup.sandbox.write("mariadb", &script);
            std::fs::set_permissions(&client, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
            setup.arg(&format!("--client={}", client.display()));
            if has_helper {
                let keys = lab.key("static");
                let (id, secret) = (keys.access_key_id, keys.secret_access_key);
                let json = serde_json::json!({ "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret });
                let helper = format!("credential_process = printf %s '{json}'");
                setup.sandbox.write(".aws/config", &format!("[profile p]\n{helper}\n"));
                setup.variables.remove("AWS_ACCESS_KEY_ID");
                setup.arg("--profile=p");
            }
            assert_both_exit(setup.command(&[]), &file, signal);
        }
    }
}

/// A client prints the token in its option file in lines of a fixed length.
#[test]
#[ignore = "needs database servers"]
fn no_part_of_a_token_that_a_client_prints_is_shown() {
    let test = "no_part_of_a_token_that_a_client_prints_is_shown";
    let Some(lab) = lab(test) else { return };
    if !can_mount() {
        return skip(test, "needs mount namespaces");
    }
    for print in ["cat", "fold -w 40", "fold -w 25 | tac", "tr '&' '\\n'"] {
        let mut setup = Setup::new(&lab, Engine::Mariadb);
        let script = format!(
            "#!/bin/sh\ncase $* in *SELECT*) sed -n 's/^password *= *//p' \"${{1#*=}}\" | tr -d '\"' | {print} >&2; exit 1 ;; \
             esac\nexec /usr/bin/mariadb \"$@\"\n"
        );
        let client = setup.sandbox.write("mariadb", &script);
        std::fs::set_permissions(&client, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        setup.arg(&format!("--client={}", client.display()));
        let (report, _) = texts(&setup.command(&[]).output().unwrap());
        let finding = report.lines().find(|line| line.starts_with("FAIL  login: ")).unwrap();
        let is_hexadecimal = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
        assert!(finding.contains('…') && !finding.as_bytes().windows(14).any(is_hexadecimal), "{print}: {finding}");
    }
}

/// The credentials of a role: temporary, with their expiry. A wrong clock is the result of its own check.
#[test]
fn credentials_and_clock_of_a_role_are_shown() {
    let skew = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
    let offset = std::sync::Arc::clone(&skew);
    let date = move || {
        let offset = offset.load(std::sync::atomic::Ordering::SeqCst);
        let time = time::OffsetDateTime::now_utc() + time::Duration::seconds(offset);
        format!("Date: {}\r\n", time.format(&time::format_description::well_known::Rfc2822).unwrap())
    };
    let server = Server::start_with(date, |_, body| match body.contains("AssumeRole") {
        true => (200, sts_answer(body, 3_600)),
        false => error(403, "AccessDenied", "no"),
    });
    let sandbox = Sandbox::new();
    let run = || {
        let role = "arn:aws:iam::123456789012:role/app";
        let run = sandbox.rds_token(["doctor", TARGET, "--via=127.0.0.1:1", "--no-cache", "--role-arn", role]);
        texts(&run.env("AWS_ENDPOINT_URL", &server.url).output()).0
    };
    let report = run();
    assert!(report.contains("role/app: temporary key ASIA") && report.contains("in 59 minutes"), "{report}");
    skew.store(-600, std::sync::atomic::Ordering::SeqCst);
    let report = run();
    assert!(report.contains("FAIL  clock: this machine is 600s ahead of AWS"), "{report}");
    assert!(report.contains("skip  policy: not checked, because clock failed"), "{report}");
}

#[test]
fn without_credentials_and_network_the_report_is_complete() {
    let sandbox = Sandbox::new();
    let run = |timeout: &str| {
        let run = sandbox.without_keys(["doctor", TARGET, "--via=127.0.0.1:1", "--timeout", timeout]);
        let output = run.output();
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stderr.as_str()), (Some(1), ""), "{stdout}");
        stdout
    };
    let report = run("10s");
    let lines = [
        "ok    target: dbiamuser@db.abc123.eu-west-1.rds.amazonaws.com:3306 via 127.0.0.1:1, MySQL; region eu-west-1",
        "FAIL  tcp: 127.0.0.1:1 refuses the connection\n      fix: start the tunnel, or check --via",
        "skip  tls: not checked, because tcp failed",
        "FAIL  credentials: none found in",
        "skip  policy: not checked, because credentials failed",
        "skip  login: not tested, because tcp failed",
        "probable cause: tcp: 127.0.0.1:1 refuses the connection",
    ];
    for line in lines {
        assert!(report.contains(line), "{line}\n{report}");
    }
    assert!(run("1s").contains("probable cause"));
}

#[test]
fn a_target_that_is_incomplete_is_a_usage_error() {
    let sandbox = Sandbox::new();
    for args in [&["doctor"][..], &["doctor", "app@db.example:3306"], &["doctor", TARGET, "--region=us-east-1"]] {
        sandbox.rds_token(args.iter().copied()).fails(2);
    }
}

/// docs/access-denied.md contains each known message with its cause.
#[test]
fn the_page_about_messages_has_those_of_the_doctor() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/access-denied.md");
    let page = std::fs::read_to_string(page).unwrap();
    let missing: String = LOGIN_ERRORS
        .iter()
        .map(|error| format!("| {} | {} | {} |\n", error.message, error.cause, error.remedy))
        .filter(|row| !page.contains(row))
        .collect();
    assert!(missing.is_empty(), "docs/access-denied.md does not contain these rows:\n{missing}");
}

#[test]
fn a_failed_lookup_is_reported() {
    let sandbox = Sandbox::new();
    let args = ["doctor", "--id", "prod", "--user", "app", "--region", "eu-west-1", "--output", "json"];
    let dead = "http://127.0.0.1:1";
    for (run, check) in [
        (sandbox.without_keys(args), "credentials"),
        (sandbox.rds_token(args).env("AWS_ENDPOINT_URL_RDS", dead), "database"),
    ] {
        let output = run.output();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &report["cause"]), (Some(1), &check.into()), "{report}");
        assert_eq!(report["checks"][0]["status"], "FAIL", "{report}");
    }
}
