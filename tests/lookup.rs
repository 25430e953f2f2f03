//! Lookups of databases by identifier (`--id`), with moto and with a fake RDS.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::harness::{Answer, KEYS, PROGRAM, Run, Sandbox, Server, has, is_root, skip, texts};
use crate::moto::{Moto, moto};

/// The region of the databases of [`seeded`].
const REGION: &str = "eu-west-1";

/// Databases of each kind.
const SEED: &str = r#"
rds = client("rds")
def instance(name, engine, **options):
    rds.create_db_instance(DBInstanceIdentifier=name, Engine=engine, DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20, MasterUsername="master", MasterUserPassword="password1",
        **{"EnableIAMDatabaseAuthentication": True, **options})
instance("prod", "mysql")
instance("pg", "postgres", Port=5433)
instance("maria", "mariadb", EngineVersion="10.11.9")
instance("off", "mysql", EnableIAMDatabaseAuthentication=False)
instance("unsupported", "oracle-se2")
rds.create_db_cluster(DBClusterIdentifier="aurora", Engine="aurora-postgresql", MasterUsername="master",
    MasterUserPassword="password1", EnableIAMDatabaseAuthentication=True)
instance("both", "mysql")
rds.create_db_cluster(DBClusterIdentifier="both", Engine="aurora-postgresql", MasterUsername="master",
    MasterUserPassword="password1", EnableIAMDatabaseAuthentication=True)
subnet = client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
for name, iam in [("pool", "REQUIRED"), ("pool-off", "DISABLED")]:
    rds.create_db_proxy(DBProxyName=name, EngineFamily="MYSQL", RoleArn="arn:aws:iam::123456789012:role/pool",
        Auth=[{"AuthScheme": "SECRETS", "IAMAuth": iam,
            "SecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x"}], VpcSubnetIds=[subnet])
"#;

/// Returns moto with the databases of [`SEED`]. `None` if it is not installed; the test is then skipped.
fn seeded(test: &str) -> Option<&'static Moto> {
    static IS_SEEDED: Mutex<bool> = Mutex::new(false);
    let moto = moto(test)?;
    let mut is_seeded = IS_SEEDED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*is_seeded {
        moto.seed(SEED);
        *is_seeded = true;
    }
    Some(moto)
}

/// Returns host and port of the token that the run prints.
#[track_caller]
fn endpoint(run: Run) -> String {
    run.succeeds().split('/').next().unwrap().to_owned()
}

/// Returns the stored lookups.
fn lookups(sandbox: &Sandbox) -> Vec<PathBuf> {
    sandbox.cached("lookup")
}

#[track_caller]
fn only_lookup(sandbox: &Sandbox) -> PathBuf {
    let files = lookups(sandbox);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
#[ignore = "needs moto"]
fn each_kind_of_database_is_found() {
    let Some(moto) = seeded("each_kind_of_database_is_found") else { return };
    let resource_ids = moto.seed(
        "rds = client('rds')\nresult = [rds.describe_db_instances(DBInstanceIdentifier='pg')['DBInstances'][0]\
         ['DbiResourceId'], rds.describe_db_clusters(DBClusterIdentifier='aurora')['DBClusters'][0]\
         ['DbClusterResourceId'], rds.describe_db_proxies(DBProxyName='pool')['DBProxies'][0]['DBProxyArn']]",
    );
    let id = |index: usize| resource_ids[index].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    for (id, reader, host, port) in [
        ("prod", false, "prod.", 3306),
        ("pg", false, "pg.", 5433),
        ("maria", false, "maria.", 3306),
        ("aurora", false, "aurora.cluster-", 5432),
        ("aurora", true, "aurora.cluster-ro-", 5432),
        ("pool", false, "pool.proxy-", 3306),
        // An instance comes before a cluster.
        ("both", false, "both.aaa", 3306),
        ("instance:both", false, "both.aaa", 3306),
        ("cluster:both", false, "both.cluster-", 5432),
        ("cluster:both", true, "both.cluster-ro-", 5432),
        ("proxy:pool", false, "pool.proxy-", 3306),
        (&id(0), false, "pg.", 5433),
        (&id(1), false, "aurora.cluster-", 5432),
        (&id(2), false, "pool.proxy-", 3306),
        (&format!("cluster:{}", id(1)), true, "aurora.cluster-ro-", 5432),
        (&format!("proxy:{}", id(2)), false, "pool.proxy-", 3306),
    ] {
        let sandbox = Sandbox::new();
        let args = ["--id", id, "--user", "app"].into_iter().chain(reader.then_some("--reader"));
        let endpoint = endpoint(moto.rds_token(&sandbox, args));
        assert!(endpoint.starts_with(host) && endpoint.ends_with(&format!(":{port}")), "{id} {reader}: {endpoint}");
        // A reader endpoint is not the endpoint of the writer.
        assert!(reader || !endpoint.contains("cluster-ro-"), "{id}: {endpoint}");
    }
}

#[test]
#[ignore = "needs moto"]
fn each_command_accepts_an_id() {
    let Some(moto) = seeded("each_command_accepts_an_id") else { return };
    let sandbox = Sandbox::new();
    sandbox.write(
        ".config/rds-token/config.toml",
        "[target.p]\nid = 'pg'\nuser = 'app'\n[target.m]\nid = 'maria'\nuser = 'app'\n",
    );
    let run = |args: &[&'static str]| moto.rds_token(&sandbox, args.iter().copied());
    for token in
        [run(&["p"]), run(&["token", "p"]), run(&["generate-db-auth-token", "--id", "pg", "--username", "app"])]
    {
        assert!(endpoint(token).starts_with("pg.aaaaaaaaaa.eu-west-1.rds.amazonaws.com:5433"));
    }
    let passfile = std::fs::read_to_string(run(&["pgpass", "p", "-q"]).succeeds().trim_end()).unwrap();
    assert!(passfile.contains("\npg.aaaaaaaaaa.eu-west-1.rds.amazonaws.com:5433:*:app:"), "{passfile}");
    let option_file = run(&["cnf", "m", "-q", "--flavor", "mariadb"]).succeeds();
    let option_file = std::fs::read_to_string(option_file.trim_end()).unwrap();
    assert!(option_file.contains("host=\"maria.aaaaaaaaaa.eu-west-1.rds.amazonaws.com\"\n"), "{option_file}");
    let (lines, _) = run(&["env", "p", "--shell", "sh"]).warns();
    assert!(lines.contains("PGHOST='pg.aaaaaaaaaa.eu-west-1.rds.amazonaws.com'") && lines.contains("PGPORT='5433'"));
    let (text, _) = run(&["connect", "p", "sh", "-c", "echo $PGHOST $PGPORT $PGUSER"]).warns();
    assert_eq!(text, "pg.aaaaaaaaaa.eu-west-1.rds.amazonaws.com 5433 app\n");
    let json = run(&["--output", "json", "--id", "cluster:both", "--user", "app"]).succeeds();
    assert!(json.contains(r#""port":"5432""#) && json.contains(r#""region":"eu-west-1""#), "{json}");
    let url = run(&["--output", "url", "p"]).succeeds();
    assert!(url.starts_with("postgresql://app:pg.aaaaaaaaaa.") || url.contains("@pg.aaaaaaaaaa.eu-west-1"), "{url}");
}

#[test]
#[ignore = "needs moto"]
fn settings_override_each_other_by_precedence() {
    let Some(moto) = seeded("settings_override_each_other_by_precedence") else { return };
    let sandbox = Sandbox::new();
    let host = "other.abc123.eu-west-1.rds.amazonaws.com";
    let config = format!(
        "[defaults]\nuser = 'app'\n[target.id]\nid = 'pg'\n[target.host]\nhost = '{host}'\nport = 3306\n\
         [target.both]\nid = 'pg'\nhost = '{host}'\n[target.reader]\nid = 'cluster:aurora'\nreader = true\n\
         [target.port]\nid = 'pg'\nport = 15433\n[target.invalid]\nid = 'a b'\n[target.none]\nreader = true\nhost = '{host}'\nport=1\n"
    );
    sandbox.write(".config/rds-token/config.toml", &config);
    let run = |args: &[&'static str]| moto.rds_token(&sandbox, args.iter().copied());
    let other = |port: u16| format!("{host}:{port}");
    let pg = |port: u16| format!("pg.aaaaaaaaaa.eu-west-1.rds.amazonaws.com:{port}");
    for (args, expected) in [
        (&["id"][..], pg(5433)),
        (&["id", "--port", "1"], pg(1)),
        (&["port"], pg(15433)),
        (&["id", "--host", host, "--port", "3306"], other(3306)),
        (&["host", "--id", "pg"], pg(5433)),
        (&["host"], other(3306)),
    ] {
        assert_eq!(endpoint(run(args)), expected, "{args:?}");
    }
    assert!(endpoint(run(&["reader"])).starts_with("aurora.cluster-ro-"));
    // A variable names a host of lower precedence.
    assert_eq!(endpoint(run(&["id"]).env("RDS_TOKEN_HOST", host).env("RDS_TOKEN_PORT", "3306")), pg(5433));
    assert_eq!(endpoint(run(&["--id", "pg"]).env("RDS_TOKEN_HOST", host)), pg(5433));
    for (args, message) in [
        (&["both"][..], "target: both a host and an id are set in [target.both]; remove one of them"),
        (&["--id", "pg", "--host", host], "the argument '--id <ID>' cannot be used with '--host <HOST>'"),
        (&["eve@db.x:1", "--id", "pg"], "target: both a host and an id are set; remove one of them"),
        (&["none"], "reader: --reader requires the identifier of a cluster; add --id"),
        (&["--reader", "host"], "reader: --reader requires the identifier of a cluster; add --id"),
        (&["invalid"], "[target.invalid]: id: 'a b' is not an identifier"),
        (&["--id", "pg/../x"], "id: 'pg/../x' is not an identifier"),
        (&["--id", "db:pg"], "id: 'db:pg' has an unknown kind before ':'"),
        (&["--id", ""], "id: '' is empty"),
        (&["--id", "pg", "--reader"], "id: the instance pg has no reader endpoint; use --reader only with a cluster"),
        (&["--id", "cluster:pg"], "id: no cluster in eu-west-1 is named 'pg'"),
    ] {
        let error = run(args).fails(2);
        assert!(error.contains(message), "{args:?}: {error}");
    }
}

#[test]
#[ignore = "needs moto"]
fn an_unknown_id_has_a_suggestion() {
    let Some(moto) = moto("an_unknown_id_has_a_suggestion") else { return };
    moto.seed(
        "client('rds', 'ca-west-1').create_db_instance(DBInstanceIdentifier='orders', Engine='mysql', \
         DBInstanceClass='db.t4g.micro', AllocatedStorage=20, MasterUsername='master', MasterUserPassword='password1')",
    );
    for (id, expected) in [
        ("ordres", "id: no instance, cluster or proxy in ca-west-1 is named 'ordres'; did you mean 'orders'?"),
        ("instance:ordres", "id: no instance in ca-west-1 is named 'ordres'; did you mean 'orders'?"),
        ("cluster:orders", "id: no cluster in ca-west-1 is named 'orders'; use --region for another region"),
        ("zzz", "id: no instance, cluster or proxy in ca-west-1 is named 'zzz'; use --region for another region"),
        ("db-AAAAAAAAAAAAAAAAAAAAAAAAAA", "is named 'db-AAAAAAAAAAAAAAAAAAAAAAAAAA'; use --region"),
    ] {
        let sandbox = Sandbox::new();
        let error = moto.rds_token(&sandbox, ["--id", id, "--user", "app", "--region", "ca-west-1"]).fails(2);
        assert!(error.contains(expected), "{id}: {error}");
        assert!(lookups(&sandbox).is_empty());
    }
}

#[test]
#[ignore = "needs moto"]
fn a_database_that_accepts_no_tokens_is_reported() {
    let Some(moto) = seeded("a_database_that_accepts_no_tokens_is_reported") else { return };
    let sandbox = Sandbox::new();
    let run = |id: &'static str| moto.rds_token(&sandbox, ["--id", id, "--user", "app"]);
    // The second run looks up the database again, because the user may have turned IAM authentication on.
    for _ in 0..2 {
        let (token, warning) = run("off").warns();
        assert!(token.starts_with("off."), "{token}");
        assert!(warning.contains("IAM authentication is off for the instance off, so it rejects every token; "));
        let remedy = "`aws rds modify-db-instance --db-instance-identifier off --region eu-west-1 \
                      --enable-iam-database-authentication --apply-immediately`";
        assert!(warning.contains(remedy), "{warning}");
        assert!(lookups(&sandbox).is_empty());
    }
    assert!(run("pool-off").warns().1.contains("--db-proxy-name pool-off"));
    let error = run("unsupported").fails(2);
    assert!(error.contains(
        "the instance unsupported has the engine oracle-se2, which does not support IAM authentication; use a password"
    ));
}

/// Returns RDS's description of an instance. `extra` is more XML in it.
fn instance(id: &str, extra: &str) -> String {
    format!(
        "<DBInstance><DBInstanceIdentifier>{id}</DBInstanceIdentifier><DbiResourceId>db-ABCDEFGHIJKLMNOPQRSTUVWXYZ\
         </DbiResourceId><Engine>mysql</Engine><DBInstanceStatus>available</DBInstanceStatus>\
         <IAMDatabaseAuthenticationEnabled>true</IAMDatabaseAuthenticationEnabled>{extra}</DBInstance>"
    )
}

const ENDPOINT: &str = "<Endpoint><Address>prod.abc123.eu-west-1.rds.amazonaws.com</Address><Port>3306</Port>\
    <HostedZoneId>Z</HostedZoneId></Endpoint>";

/// Returns a page of instances. An empty `marker` ends the list.
fn page(instances: &str, marker: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><DescribeDBInstancesResponse xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\">\
         <DescribeDBInstancesResult><DBInstances>{instances}</DBInstances><Marker>{marker}</Marker>\
         </DescribeDBInstancesResult></DescribeDBInstancesResponse>"
    )
}

/// Returns an error of RDS.
fn error(status: u16, code: &str, message: &str) -> Answer {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"))
}

/// Starts a fake RDS that has the instance `prod`.
pub(crate) fn rds() -> Server {
    Server::start(|_, _| (200, page(&instance("prod", ENDPOINT), "")))
}

/// Prepares a run with an identifier that calls `server` instead of RDS.
fn by_id(sandbox: &Sandbox, server: &Server, args: &[&str]) -> Run {
    let args = [&["--id", "prod", "--user", "app", "--region", REGION][..], args].concat();
    sandbox.rds_token(args).env("AWS_ENDPOINT_URL_RDS", &server.url)
}

#[test]
fn a_lookup_is_made_once() {
    let (sandbox, server) = (Sandbox::new(), rds());
    let (_, first) = by_id(&sandbox, &server, &["-v"]).warns();
    assert!(first.contains("database: instance prod, mysql, db-ABCDEFGHIJKLMNOPQRSTUVWXYZ, from RDS\n"), "{first}");
    let (_, second) = by_id(&sandbox, &server, &["-v"]).warns();
    assert!(second.contains("database: instance prod, mysql, db-ABCDEFGHIJKLMNOPQRSTUVWXYZ, from a stored lookup\n"));
    assert!(second.contains("from the cache (hit)"), "{second}");
    assert_eq!(server.requests(), 1);
    // The port, the database and the lifetime are not part of the lookup.
    by_id(&sandbox, &server, &["--port", "3307"]).succeeds();
    by_id(&sandbox, &server, &["--database", "x", "--min-ttl", "10m"]).succeeds();
    assert_eq!((server.requests(), lookups(&sandbox).len()), (1, 1));
    // Another endpoint of RDS, another identity.
    let other = rds();
    by_id(&sandbox, &other, &[]).succeeds();
    by_id(&sandbox, &server, &[]).env("AWS_ACCESS_KEY_ID", "AKIDOTHER").succeeds();
    assert_eq!((other.requests(), server.requests(), lookups(&sandbox).len()), (1, 2, 3));
}

#[test]
fn refresh_looks_up_again_and_no_cache_stores_nothing() {
    let (sandbox, server) = (Sandbox::new(), rds());
    for args in [&["--refresh"][..], &["--refresh"]] {
        by_id(&sandbox, &server, args).succeeds();
    }
    assert_eq!((server.requests(), lookups(&sandbox).len()), (2, 1));
    let sandbox = Sandbox::new();
    for args in [&["--no-cache"][..], &["--cache", "off"]] {
        by_id(&sandbox, &server, args).succeeds();
    }
    assert_eq!(server.requests(), 4);
    assert!(!sandbox.cache().exists());
}

#[test]
#[ignore = "needs faketime"]
fn a_lookup_is_stored_for_a_day() {
    let Some(library) = crate::faults::libfaketime() else {
        return skip("a_lookup_is_stored_for_a_day", "libfaketime is not installed");
    };
    for (clock, requests) in [("+23h", 1), ("+25h", 2), ("-1h", 2)] {
        let (sandbox, server) = (Sandbox::new(), rds());
        by_id(&sandbox, &server, &[]).succeeds();
        let run = by_id(&sandbox, &server, &[]).env("LD_PRELOAD", library.as_os_str()).env("FAKETIME", clock);
        run.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").succeeds();
        assert_eq!(server.requests(), requests, "{clock}");
    }
}

#[test]
fn a_damaged_lookup_is_ignored_and_replaced() {
    let (sandbox, server) = (Sandbox::new(), rds());
    by_id(&sandbox, &server, &[]).succeeds();
    let file = only_lookup(&sandbox);
    let intact = std::fs::read(&file).unwrap();
    let content = |bytes: &[u8]| bytes.windows(15).position(|part| part == b"\"looked_up_at\":").unwrap();
    let date = content(&intact)..content(&intact) + 25;
    let mut requests = server.requests();
    let mut heals = |what: &str| {
        let token = by_id(&sandbox, &server, &[]).succeeds();
        assert!(token.starts_with("prod.abc123."), "{what}: {token}");
        requests += 1;
        assert_eq!(server.requests(), requests, "{what}");
        let healed = std::fs::read(&file).unwrap();
        // Only the time and the checksum differ.
        assert_eq!((healed.len(), &healed[..date.start]), (intact.len(), &intact[..date.start]), "{what}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{what}");
    };
    // Without the line break at the end, the file is intact.
    for length in 0..intact.len() - 1 {
        std::fs::write(&file, &intact[..length]).unwrap();
        heals(&format!("{length} bytes"));
    }
    for at in (0..intact.len() - 1).step_by(7) {
        let mut bytes = intact.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        heals(&format!("byte {at}"));
    }
    std::fs::write(&file, vec![b' '; 10 << 20]).unwrap();
    heals("10 MB");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    heals("readable by others");
    let forged = String::from_utf8(intact.clone()).unwrap().replace("prod.abc123", "evil.abc123");
    std::fs::write(&file, forged).unwrap();
    heals("another host");
    let target = sandbox.path("target");
    std::fs::rename(&file, &target).unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    heals("a link");
    if is_root() {
        std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
        heals("another owner");
    }
}

/// A lookup under the name of another one is not used.
#[test]
fn a_renamed_lookup_is_ignored() {
    let (sandbox, server) = (Sandbox::new(), rds());
    by_id(&sandbox, &server, &[]).succeeds();
    let first = only_lookup(&sandbox);
    by_id(&sandbox, &server, &[]).env("AWS_ACCESS_KEY_ID", "AKIDOTHER").succeeds();
    let second = lookups(&sandbox).into_iter().find(|file| *file != first).unwrap();
    std::fs::rename(second, &first).unwrap();
    by_id(&sandbox, &server, &[]).succeeds();
    assert_eq!(server.requests(), 3);
}

#[test]
fn fifty_cold_processes_make_one_call() {
    let server = Server::start(|_, _| {
        std::thread::sleep(Duration::from_millis(500));
        (200, page(&instance("prod", ENDPOINT), ""))
    });
    let sandbox = Sandbox::new();
    let begin = sandbox.path("begin");
    let script = format!(
        "while [ ! -e {} ]; do sleep 0.02; done; exec {PROGRAM} --id prod -u app --region {REGION} --timeout 5m",
        begin.display()
    );
    let start = || {
        let mut command = sandbox.command("sh");
        command.args(["-c", &script]).envs(KEYS).env("AWS_ENDPOINT_URL_RDS", &server.url);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = std::iter::repeat_with(start).take(50).collect();
    std::fs::write(begin, "").unwrap();
    let outputs: Vec<_> = children.into_iter().map(|child| texts(&child.wait_with_output().unwrap())).collect();
    assert!(outputs.iter().all(|(token, _)| token.starts_with("prod.abc123.")), "{outputs:?}");
    assert!(outputs.iter().all(|(token, _)| *token == outputs[0].0), "{outputs:?}");
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_failure_is_shared_and_not_stored() {
    let server = Server::start(|_, _| error(403, "AccessDenied", "not authorized"));
    let sandbox = Sandbox::new();
    for requests in [3, 6] {
        by_id(&sandbox, &server, &[]).fails(3);
        assert_eq!(server.requests(), requests);
    }
    assert!(lookups(&sandbox).is_empty());
}

#[test]
fn cache_commands_know_lookups() {
    let (sandbox, server) = (Sandbox::new(), rds());
    sandbox.write(".config/rds-token/config.toml", "[target.prod]\nid = 'prod'\nuser = 'app'\nregion = 'eu-west-1'\n");
    let run = |args: &[&str]| sandbox.rds_token(args).env("AWS_ENDPOINT_URL_RDS", &server.url);
    run(&["prod"]).succeeds();
    run(&["prod", "-u", "eve"]).succeeds();
    let list = run(&["cache", "list"]).succeeds();
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.lines().all(|line| line.contains("@prod.abc123.eu-west-1.rds.amazonaws.com:3306\teu-west-1\t")));
    // The user of the table limits what is cleared.
    run(&["cache", "clear", "prod"]).succeeds();
    let list = run(&["cache", "list"]).succeeds();
    assert!(list.starts_with("eve@prod.abc123.") && list.lines().count() == 1, "{list}");
    run(&["cache", "clear", "--id", "prod", "--region", REGION]).succeeds();
    assert_eq!(run(&["cache", "list"]).succeeds(), "");
    assert_eq!((lookups(&sandbox).len(), server.requests()), (1, 1));
    run(&["cache", "clear"]).succeeds();
    assert!(lookups(&sandbox).is_empty());
    assert!(sandbox.cached("lock").is_empty());
    run(&["prod"]).succeeds();
    assert_eq!(server.requests(), 2);
}

#[test]
fn targets_show_the_id() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".config/rds-token/config.toml",
        "[target.a]\nid = 'cluster:prod'\nuser = 'app'\n[target.b]\nid = 'x'\nengine = 'postgres'\n[target.c]\nid = 'a b'\n",
    );
    let (lines, _) = sandbox.rds_token(["targets", "-v"]).warns();
    assert!(lines.contains("a\tapp@cluster:prod (id)\t-\n"), "{lines}");
    assert!(lines.contains("b\t-@x (id)\tpostgres\n"), "{lines}");
    assert!(lines.contains("c\tinvalid: [target.c]: id: 'a b' is not an identifier"), "{lines}");
}

#[test]
fn a_stored_lookup_contains_no_secret() {
    let (sandbox, server) = (Sandbox::new(), rds());
    let secrets = ["canaryKey".to_owned() + &"x".repeat(30), "canarySession".to_owned() + &"y".repeat(80)];
    let run = by_id(&sandbox, &server, &[]).env("AWS_SECRET_ACCESS_KEY", &secrets[0]);
    run.env("AWS_ACCESS_KEY_ID", "ASIACANARY").env("AWS_SESSION_TOKEN", &secrets[1]).succeeds();
    let text = std::fs::read_to_string(only_lookup(&sandbox)).unwrap();
    for part in ["canary", "ASIACANARY", "X-Amz"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&document), ["checksum", "found", "looked_up_at", "version"]);
    assert_eq!(keys(&document["found"]), ["description", "engine", "host", "port"]);
}

#[test]
#[ignore = "needs keyctl"]
fn lookups_are_stored_in_files_beside_a_keyring() {
    let usable = has("keyctl") && Command::new("keyctl").args(["show", "@u"]).output().unwrap().status.success();
    if !usable {
        return skip("lookups_are_stored_in_files_beside_a_keyring", "the kernel's keyring can't be used here");
    }
    let (sandbox, server) = (Sandbox::new(), rds());
    let user = format!("test{:016x}", fastrand::u64(..));
    let args = ["--user", user.as_str(), "--cache", "keyring"];
    let run = || {
        let args = [&["--id", "prod", "--region", REGION][..], &args].concat();
        sandbox.rds_token(args).env("AWS_ENDPOINT_URL_RDS", &server.url)
    };
    let tokens = [run().succeeds(), run().succeeds()];
    assert_eq!((&tokens[0], server.requests()), (&tokens[1], 1));
    assert_eq!((lookups(&sandbox).len(), sandbox.cached("token").len()), (1, 0));
    let clear = ["cache", "clear", "--id", "prod", "--region", REGION, "--user", &user, "--cache", "keyring"];
    sandbox.rds_token(clear).env("AWS_ENDPOINT_URL_RDS", &server.url).succeeds();
    assert_ne!(run().succeeds(), "");
    sandbox.rds_token(clear).env("AWS_ENDPOINT_URL_RDS", &server.url).succeeds();
}

#[test]
fn invalid_settings_fail_before_the_lookup() {
    let (sandbox, server) = (Sandbox::new(), rds());
    let run = |args: &[&str]| sandbox.rds_token(args).env("AWS_ENDPOINT_URL_RDS", &server.url);
    for (args, message) in [
        (&["--id", "prod", "--region", REGION][..], "target: there is no user; use USER@HOST or --user"),
        (&["--id", "prod", "-u", "app"], "id: the region of the database is unknown; use --region, or set AWS_REGION"),
        (
            &["--id", "prod", "-u", "app", "--region", "evil.com/x"],
            "'evil.com/x' from --region is not the name of a region",
        ),
        (&["--id", "prod", "-u", "app", "--region", REGION, "-P", "x"], "port"),
        (&["--id", "prod", "-u", "app", "--region", REGION, "--engine", "oracle"], "engine"),
    ] {
        let error = run(args).fails(2);
        assert!(error.contains(message), "{args:?}: {error}");
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn the_region_of_a_lookup_comes_from_each_layer() {
    let server = Server::start(|head, _| {
        let region = head.split("Credential=").nth(1).and_then(|text| text.split('/').nth(2)).unwrap_or_default();
        let endpoint = ENDPOINT.replace("eu-west-1", region);
        (200, page(&instance("prod", &endpoint), ""))
    });
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", "[profile x]\nregion = eu-west-3\n[default]\nregion = eu-north-1\n");
    let config = "[defaults]\nuser = 'app'\n[target.t]\nid = 'prod'\nregion = 'eu-south-1'\n[target.u]\nid = 'prod'\n";
    sandbox.write(".config/rds-token/config.toml", config);
    let run = |args: &[&str]| sandbox.rds_token(args).env("AWS_ENDPOINT_URL_RDS", &server.url);
    let region = |run: Run| endpoint(run).split('.').nth(2).unwrap().to_owned();
    assert_eq!(region(run(&["t"])), "eu-south-1");
    assert_eq!(region(run(&["t", "--region", "us-east-1"])), "us-east-1");
    assert_eq!(region(run(&["u"]).env("AWS_REGION", "us-west-2")), "us-west-2");
    assert_eq!(region(run(&["u"]).env("AWS_PROFILE", "x")), "eu-west-3");
    assert_eq!(region(run(&["u"])), "eu-north-1");
    // A database of another region than the request's.
    let wrong = rds();
    let args = ["--id", "prod", "-u", "app", "--region", "us-east-1"];
    let error = sandbox.rds_token(args).env("AWS_ENDPOINT_URL_RDS", &wrong.url).fails(2);
    assert!(error.contains("--region is us-east-1, but the host is in eu-west-1"), "{error}");
}

#[test]
fn errors_of_rds_have_an_exit_code_and_a_remedy() {
    for (status, code, message, exit, expected) in [
        (
            403,
            "AccessDenied",
            "User: jane is not authorized",
            3,
            "allow the action rds:DescribeDBInstances in the caller's policy",
        ),
        (
            403,
            "InvalidClientTokenId",
            "The security token is invalid",
            3,
            "rds:DescribeDBInstances: InvalidClientTokenId: The security token",
        ),
        (403, "SignatureDoesNotMatch", "x", 3, "SignatureDoesNotMatch"),
        (403, "ExpiredToken", "x", 3, "ExpiredToken"),
        (400, "InvalidParameterValue", "x", 1, "rds:DescribeDBInstances: InvalidParameterValue: x"),
        (400, "Throttling", "Rate exceeded", 4, "Throttling: Rate exceeded; try again later"),
        (503, "ServiceUnavailable", "x", 4, "ServiceUnavailable"),
        (500, "InternalFailure", "x", 4, "InternalFailure"),
        (404, "DBInstanceNotFound", "x", 2, "id: no instance in eu-west-1 is named 'prod'"),
    ] {
        let server = Server::start(move |_, _| error(status, code, message));
        let sandbox = Sandbox::new();
        let args = ["--id", "instance:prod", "--user", "app", "--region", REGION];
        let text = sandbox.rds_token(args).env("AWS_ENDPOINT_URL_RDS", &server.url).fails(exit);
        assert!(text.contains(expected), "{code}: {text}");
        // Temporary failures are retried. The list of suggestions is a second request.
        let requests = if exit == 4 {
            3
        } else if exit == 2 {
            2
        } else {
            1
        };
        assert_eq!(server.requests(), requests, "{code}");
        assert!(lookups(&sandbox).is_empty());
    }
}

#[test]
fn a_temporary_failure_is_retried() {
    let answers = Mutex::new(vec![
        (200, page(&instance("prod", ENDPOINT), "")),
        error(400, "Throttling", "Rate exceeded"),
        error(500, "InternalFailure", ""),
    ]);
    let server = Server::start(move |_, _| answers.lock().unwrap().pop().unwrap());
    by_id(&Sandbox::new(), &server, &[]).succeeds();
    assert_eq!(server.requests(), 3);
}

/// A caller may see databases of one kind only.
#[test]
fn a_denied_kind_is_skipped() {
    let server = Server::start(|_, body| match body {
        _ if body.contains("Action=DescribeDBClusters") => (
            200,
            "<DescribeDBClustersResponse><DescribeDBClustersResult><DBClusters><DBCluster><DBClusterIdentifier>prod\
             </DBClusterIdentifier><DbClusterResourceId>cluster-A</DbClusterResourceId><Engine>aurora-mysql</Engine>\
             <Endpoint>prod.cluster-abc123.eu-west-1.rds.amazonaws.com</Endpoint><Port>3306</Port>\
             <IAMDatabaseAuthenticationEnabled>true</IAMDatabaseAuthenticationEnabled></DBCluster></DBClusters>\
             </DescribeDBClustersResult></DescribeDBClustersResponse>"
                .to_owned(),
        ),
        _ => error(403, "AccessDenied", "no"),
    });
    assert!(endpoint(by_id(&Sandbox::new(), &server, &[])).starts_with("prod.cluster-"));
}

#[test]
fn a_suggestion_may_be_on_the_second_page() {
    let server = Server::start(|_, body| match body {
        _ if body.contains("DBInstanceIdentifier=") => error(404, "DBInstanceNotFound", "x"),
        _ if !body.contains("Action=DescribeDBInstances") => error(404, "DBClusterNotFoundFault", "x"),
        _ if body.contains("Marker=page%2F2") => (200, page(&instance("orders", ENDPOINT), "")),
        _ => (200, page(&instance("zzz", ENDPOINT), "page/2")),
    });
    let args = ["--id", "instance:ordres", "--user", "app", "--region", REGION];
    let error = Sandbox::new().rds_token(args).env("AWS_ENDPOINT_URL_RDS", &server.url).fails(2);
    assert!(error.contains("did you mean 'orders'?"), "{error}");
}

#[test]
fn a_database_without_an_endpoint_is_an_error() {
    let xml = page(&instance("prod", "").replace(">available<", ">creating<"), "");
    let server = Server::start(move |_, _| (200, xml.clone()));
    let error = by_id(&Sandbox::new(), &server, &[]).fails(2);
    assert!(error.contains("id: the instance prod has no endpoint yet: its status is 'creating'"), "{error}");
}

#[test]
fn the_remedy_for_an_instance_of_a_cluster_names_the_cluster() {
    let extra = format!("{ENDPOINT}<DBClusterIdentifier>aurora</DBClusterIdentifier>");
    let off = "IAMDatabaseAuthenticationEnabled>true<";
    let xml = page(&instance("prod", &extra).replace(off, "IAMDatabaseAuthenticationEnabled>false<"), "");
    let server = Server::start(move |_, _| (200, xml.clone()));
    let (_, warning) = by_id(&Sandbox::new(), &server, &[]).warns();
    assert!(warning.contains("`aws rds modify-db-cluster --db-cluster-identifier aurora --region"), "{warning}");
}

#[test]
fn a_response_that_is_not_from_rds_is_an_error() {
    let huge = page(&instance("prod", &format!("<x>{}</x>{ENDPOINT}", "x".repeat(2 << 20))), "");
    let nested = page(&instance("prod", &"<x>".repeat(100_000)), "");
    let portal = "<!DOCTYPE html><html><body>Log in to the Wi-Fi</body></html>";
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><DescribeDBInstancesResponse>&b;";
    let truncated = page(&instance("prod", ENDPOINT), "");
    let truncated = &truncated[..truncated.len() / 2];
    for (status, body) in [
        (200, huge.as_str()),
        (200, &nested),
        (200, portal),
        (511, portal),
        (404, portal),
        (200, entities),
        (200, truncated),
        (200, ""),
        (200, "{}"),
        (302, ""),
        (200, "\u{0}\u{1}\u{1b}[31m"),
    ] {
        let text = body.to_owned();
        let server = Server::start(move |_, _| (status, text.clone()));
        let sandbox = Sandbox::new();
        let error = by_id(&sandbox, &server, &["--timeout", "10s"]).fails(4);
        let beginning: String = body.chars().take(40).collect();
        assert!(error.starts_with("rds:DescribeDBInstances: ") && error.len() < 500, "{status} {beginning}: {error}");
        assert!(lookups(&sandbox).is_empty());
    }
}

/// The host that RDS names is checked like one from the user.
#[test]
fn a_hostile_endpoint_is_refused() {
    for (host, code) in [
        ("evil.example.com\n; rm -rf ~\n", 4),
        ("a b", 4),
        ("x';--", 4),
        ("", 2),
        (&"a".repeat(300), 4),
        ("a..b", 2),
        ("nlb.elb.eu-west-1.amazonaws.com", 2),
    ] {
        let xml = page(&instance("prod", &ENDPOINT.replace("prod.abc123.eu-west-1.rds.amazonaws.com", host)), "");
        let server = Server::start(move |_, _| (200, xml.clone()));
        let sandbox = Sandbox::new();
        by_id(&sandbox, &server, &[]).fails(code);
        if code == 4 || host.is_empty() {
            assert!(lookups(&sandbox).is_empty(), "{host:?}");
        }
    }
}

/// Messages contain names from RDS in commands that the user may paste into a shell.
#[test]
fn a_name_that_aws_cannot_have_is_refused() {
    for hostile in ["x; rm -rf ~", "x`id`", "$(id)", "x\ny", "&#x1b;[2J", "&#x202e;x", &"x".repeat(70_000)] {
        for (part, extra) in [
            ("DBInstanceIdentifier>prod<", ""),
            ("DbiResourceId>db-ABCDEFGHIJKLMNOPQRSTUVWXYZ<", ""),
            ("Engine>mysql<", ""),
            ("DBInstanceStatus>available<", ""),
            ("DBClusterIdentifier>c<", "<DBClusterIdentifier>c</DBClusterIdentifier>"),
            ("CACertificateIdentifier>c<", "<CACertificateIdentifier>c</CACertificateIdentifier>"),
        ] {
            let (name, _) = part.split_once('>').unwrap();
            // Without IAM authentication, a warning contains a command.
            let xml = instance("prod", &format!("{ENDPOINT}{extra}")).replace(">true<", ">false<");
            assert!(xml.contains(part), "{xml}");
            let xml = page(&xml.replace(part, &format!("{name}>{hostile}<")), "");
            let server = Server::start(move |_, _| (200, xml.clone()));
            let error = by_id(&Sandbox::new(), &server, &[]).fails(4);
            assert!(error.starts_with("rds:DescribeDBInstances: the response could not be parsed"), "{name}: {error}");
        }
    }
}

#[test]
fn a_server_that_hangs_is_a_timeout() {
    let server = Server::start(|_, _| {
        std::thread::sleep(Duration::from_secs(30));
        (200, String::new())
    });
    let started = Instant::now();
    let error = by_id(&Sandbox::new(), &server, &["--timeout", "1s"]).fails(4);
    assert!(
        error.contains("no response before the time limit")
            && error.contains("with a longer --timeout")
            && started.elapsed().as_secs() < 5,
        "{error}"
    );
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sandbox = Sandbox::new();
    let run = sandbox.rds_token(["--id", "prod", "-u", "app", "--region", REGION]);
    let error = run.env("AWS_ENDPOINT_URL_RDS", format!("http://{closed}")).fails(4);
    assert!(error.contains("could not connect") && error.contains(&closed.to_string()), "{error}");
}

#[test]
fn a_slow_lookup_is_announced() {
    let server = Server::start(|_, _| {
        std::thread::sleep(Duration::from_millis(2500));
        (200, page(&instance("prod", ENDPOINT), ""))
    });
    // Without `-v`, progress is shown on a terminal only.
    let (_, message) = by_id(&Sandbox::new(), &server, &["-v"]).warns();
    assert!(message.starts_with("rds-token: waiting for rds:DescribeDBInstances\n"), "{message}");
    assert_eq!(by_id(&Sandbox::new(), &server, &[]).warns().1, "");
}

#[test]
fn errors_of_rds_contain_no_secret() {
    let (secret, session) = ("canarySecret/+abcdefgh0123456789", "canarySession/+=abcdefghijklmnopqrstuvwxyz");
    let encoded = session.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    let texts = [secret.to_owned(), session.to_owned(), encoded, session.replace('/', "\\/")];
    for (index, echo) in texts.iter().enumerate() {
        for (status, code) in [(403, "SignatureDoesNotMatch"), (400, echo.as_str()), (500, "InternalFailure")] {
            let answer = error(status, code, &format!("The request with {echo} and \u{1b}[31m {}", "x".repeat(5000)));
            let server = Server::start(move |_, _| answer.clone());
            let sandbox = Sandbox::new();
            let run = by_id(&sandbox, &server, &["-v"]).env("AWS_ACCESS_KEY_ID", "ASIAXXXX");
            let output = run.env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_SESSION_TOKEN", session).output();
            let (stdout, stderr) = crate::harness::texts(&output);
            assert!(!output.status.success() && stdout.is_empty());
            assert!(!stderr.contains("canary"), "{index}: {stderr}");
            assert!(!stderr.contains('\u{1b}') && stderr.len() < 2000, "{index}: {stderr}");
        }
    }
}

/// Signs the request in the file with botocore and prints its `Authorization` header.
const BOTOCORE: &str = r#"
import datetime, json, sys
from botocore import auth, awsrequest, credentials
request = json.load(open(sys.argv[1]))
headers = dict(line.split(": ", 1) for line in request["head"].splitlines()[1:])
headers = {name.lower(): value for name, value in headers.items()}
when = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
class Clock(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return when
    @classmethod
    def now(cls, tz=None):
        return when.replace(tzinfo=tz)
auth.datetime = type("module", (), {"datetime": Clock})
auth.get_current_datetime = lambda: when
signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
chosen = {name: headers[name] for name in signed if name not in ("host", "x-amz-date", "x-amz-security-token")}
url = "http://" + headers["host"] + "/"
mine = awsrequest.AWSRequest(method="POST", url=url, data=request["body"].encode(), headers=chosen)
keys = credentials.Credentials(request["id"], request["secret"], request["session"])
auth.SigV4Auth(keys, "rds", "eu-west-1").add_auth(mine)
print(mine.headers["Authorization"] == headers["authorization"], mine.headers["Authorization"])
"#;

#[test]
#[ignore = "needs botocore"]
fn requests_are_signed_as_botocore_signs_them() {
    if !Path::new("/usr/lib/python3/dist-packages/botocore").is_dir() {
        return skip("requests_are_signed_as_botocore_signs_them", "python3-botocore is not installed");
    }
    for session in [None, Some("canarySession/+=abc")] {
        let request = Arc::new(Mutex::new((String::new(), String::new())));
        let seen = Arc::clone(&request);
        let server = Server::start(move |head, body| {
            *seen.lock().unwrap() = (head.to_owned(), body.to_owned());
            (200, page(&instance("prod", ENDPOINT), ""))
        });
        let sandbox = Sandbox::new();
        let mut run = by_id(&sandbox, &server, &[]);
        if let Some(session) = session {
            run = run.env("AWS_SESSION_TOKEN", session);
        }
        run.succeeds();
        let (head, body) = request.lock().unwrap().clone();
        assert!(head.starts_with("POST / HTTP/1.1"), "{head}");
        assert_eq!(body, "Action=DescribeDBInstances&Version=2014-10-31&DBInstanceIdentifier=prod");
        let [(_, id), (_, secret)] = KEYS;
        let request = serde_json::json!({ "head": head, "body": body, "id": id, "secret": secret, "session": session });
        let file = sandbox.write("request.json", &request.to_string());
        let mut python = sandbox.command("/usr/bin/python3");
        let (result, error) = texts(&python.args(["-c", BOTOCORE]).arg(file).output().unwrap());
        assert!(result.starts_with("True AWS4-HMAC-SHA256 "), "{head}\n{result}{error}");
    }
}
