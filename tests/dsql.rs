//! Aurora DSQL: its tokens, their cache, and every command. In the lab, PostgreSQL acts as a cluster.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rds_token::testing::{
    AccessKeys, CacheDirectory, Choice, Entry, Env, Identity, Key, ProfileFiles, Target, TargetSpec, Timestamp,
    TokenFields, sign,
};
use serde_json::Value;

use crate::harness::{KEYS, Run, Sandbox, TARGET, has, skip, texts};
use crate::servers::{self, Lab, Postgres, lab};

const HOST: &str = "abc123.dsql.eu-west-1.on.aws";
const APP: &str = "app@abc123.dsql.eu-west-1.on.aws";
const ADMIN: &str = "admin@abc123.dsql.eu-west-1.on.aws";
const WEEK: Duration = Duration::from_secs(604_800);

fn target(user: &str) -> Target {
    let spec = TargetSpec { host: Some(HOST.to_owned()), user: Some(user.to_owned()), ..TargetSpec::default() };
    spec.validate(None, || Ok(None)).unwrap().0
}

#[test]
fn the_action_and_the_lifetime_are_in_the_token() {
    let sandbox = Sandbox::new();
    for (args, start, lifetime) in [
        (&[APP][..], "DbConnect&", 900),
        (&[ADMIN], "DbConnectAdmin&", 900),
        (&["postgres://app@abc123.dsql.eu-west-1.on.aws"], "DbConnect&", 900),
        (&["-u", "admin", "--hostname", "ABC123.dsql.eu-west-1.on.aws"], "DbConnectAdmin&", 900),
        (&["Admin@abc123.dsql.eu-west-1.on.aws:1"], "DbConnect&", 900),
        (&[APP, "--expires-in", "450"], "DbConnect&", 450),
        (&[APP, "--expires-in", "1h30m"], "DbConnect&", 5_400),
        (&[ADMIN, "--expires-in", "7d"], "DbConnectAdmin&", 604_800),
    ] {
        let token = sandbox.rds_token(args).succeeds();
        assert!(token.starts_with(&format!("{HOST}/?Action={start}X-Amz-Algorithm=")), "{args:?}: {token}");
        assert!(token.contains(&format!("&X-Amz-Expires={lifetime}&")), "{args:?}: {token}");
        assert!(token.contains("%2Feu-west-1%2Fdsql%2Faws4_request&"), "{args:?}: {token}");
    }
}

#[test]
fn variables_for_another_database_are_ignored() {
    let sandbox = Sandbox::new();
    let run = sandbox.rds_token([APP, "--output", "json"]).env("RDS_TOKEN_PORT", "3306");
    let run =
        run.env("RDS_TOKEN_ENGINE", "mysql").env("RDS_TOKEN_DATABASE", "ExampleDB").env("AWS_REGION", "us-east-1");
    let json: Value = serde_json::from_str(&run.succeeds()).unwrap();
    assert_eq!((&json["port"], &json["region"], &json["user"]), (&"5432".into(), &"eu-west-1".into(), &"app".into()));
    let url = sandbox.rds_token([APP, "--output", "url"]).env("RDS_TOKEN_DATABASE", "ExampleDB").succeeds();
    assert!(url.starts_with("postgresql://app:") && url.contains(&format!("@{HOST}:5432/postgres?")), "{url}");
}

#[test]
fn verbose_messages_name_the_service_and_the_action() {
    let sandbox = Sandbox::new();
    for (target, action) in [(APP, "DbConnect"), (ADMIN, "DbConnectAdmin")] {
        let (_, messages) = sandbox.rds_token([target, "-v"]).warns();
        assert!(messages.contains(&format!("service: Aurora DSQL, action {action}\n")), "{messages}");
    }
    assert!(!sandbox.rds_token([TARGET, "-v"]).warns().1.contains("DSQL"));
}

#[test]
fn requests_that_can_not_work_are_refused() {
    let sandbox = Sandbox::new();
    let long = ["--expires-in", "1h"];
    sandbox.write(
        ".config/rds-token/config.toml",
        "[target.rds]\nhost = 'db.abc123.eu-west-1.rds.amazonaws.com'\nport = 3306\nuser = 'app'\nexpires_in = '1h'\n",
    );
    let mysql = format!("mysql://{APP}");
    for (args, message) in [
        (&[mysql.as_str()][..], "engine 'mysql' is not that of Aurora DSQL"),
        (&[APP, "--engine", "mariadb"], "engine 'mariadb' is not that of Aurora DSQL"),
        (&[APP, "--region", "us-east-1"], "--region is us-east-1, but the host is in eu-west-1"),
        (&[&[TARGET], &long[..]].concat(), "expires_in: only tokens of Aurora DSQL"),
        (&["rds"], "[target.rds]: expires_in: only tokens of Aurora DSQL"),
        (&[APP, "--expires-in", "7d1s"], "from 1s to 7d"),
        (&[APP, "--expires-in", "0"], "from 1s to 7d"),
        (&[APP, "--expires-in", "1500ms"], "whole seconds"),
        (&[APP, "--expires-in", "5m", "--min-ttl", "5m"], "min_ttl 5m is not shorter than the lifetime"),
        (&["app@abc123.dsql.nowhere.on.aws:5432"], "belongs to Aurora DSQL, but is not the endpoint of a cluster"),
        (&["--id", HOST, "--user", "app"], "is the host name of a cluster of Aurora DSQL"),
        (
            &["setup", "--id", HOST, "--user", "app", "--region", "eu-west-1", "--yes"],
            "is the host name of a cluster of Aurora DSQL",
        ),
        (&["cnf", APP], "PostgreSQL's clients read no option file"),
        (&["sql", APP, "--apply"], "`rds-token sql app@abc123.dsql.eu-west-1.on.aws | rds-token connect admin@abc123"),
        (&["sql", ADMIN], "'admin' exists in each cluster"),
        (&["sql", APP, "--role-arn", "x"], "role: 'x' is not the ARN of a role"),
    ] {
        let line = sandbox.rds_token(args).fails(2);
        assert!(line.contains(message), "{args:?}: {line}");
    }
}

#[test]
fn a_default_lifetime_applies_only_to_dsql() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".config/rds-token/config.toml",
        &format!("[defaults]\nexpires_in = 3600\n[target.d]\nhost = '{HOST}'\nuser = 'app'\n"),
    );
    assert!(sandbox.rds_token(["d"]).succeeds().contains("&X-Amz-Expires=3600&"));
    assert!(sandbox.rds_token(["d", "--expires-in", "60"]).succeeds().contains("&X-Amz-Expires=60&"));
    assert!(sandbox.rds_token([TARGET]).succeeds().contains("&X-Amz-Expires=900&"));
    let described = sandbox.rds_token(["targets", "-v"]).succeeds();
    assert_eq!(described, format!("d\tapp@{HOST}:5432\tpostgres\n"));
}

#[test]
fn each_user_action_and_lifetime_has_its_own_entry() {
    let sandbox = Sandbox::new();
    let requests = [
        &[APP][..],
        &[ADMIN],
        &["eve@abc123.dsql.eu-west-1.on.aws"],
        &[APP, "--expires-in", "1h"],
        &[APP, "--expires-in", "60"],
    ];
    let first: Vec<String> = requests.iter().map(|args| sandbox.rds_token(*args).succeeds()).collect();
    assert_eq!(sandbox.cached("token").len(), requests.len());
    for (args, token) in requests.iter().zip(&first) {
        let (again, messages) = sandbox.rds_token([&args[..], &["-v"]].concat()).warns();
        assert!(again == *token && messages.contains("from the cache (hit)"), "{args:?}: {messages}");
    }
    let list = || sandbox.rds_token(["cache", "list"]).succeeds();
    let users: BTreeSet<String> = list().lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    assert_eq!(users, ["admin", "app", "eve"].map(|user| format!("{user}@{HOST}:5432")).into());
    sandbox.rds_token(["cache", "clear", "eve@abc123.dsql.eu-west-1.on.aws"]).succeeds();
    assert!(!list().contains("eve@") && list().lines().count() == 4, "{}", list());
    sandbox.rds_token(["cache", "clear", &format!("postgres://{APP}")]).succeeds();
    assert!(list().starts_with("admin@") && list().lines().count() == 1, "{}", list());
}

/// The fixture of an API test: a directory and the key of each user.
fn key(env: &Env, user: &str, lifetime: Duration) -> Key {
    let profiles = ProfileFiles::new(env.deadline(Duration::from_secs(5)));
    let identity = Identity::find(env, &profiles, Choice::default()).unwrap();
    Key::of(env, &target(user), lifetime, identity.fingerprint())
}

fn entry(user: &str, signed: Timestamp, lifetime: Duration) -> Entry {
    let Target { port, .. } = target(user);
    let keys = AccessKeys::new("AKID".into(), "s".into(), None, None).unwrap();
    let token = sign(&target(user), &keys, lifetime, signed.wall).unwrap();
    Entry::new(token, user, port, signed, None).unwrap()
}

#[test]
fn an_entry_is_not_used_for_another_user() {
    let sandbox = Sandbox::new();
    let env = Env::with_vars(KEYS.map(|(name, value)| (name.into(), value.into())).into());
    let directory = CacheDirectory::at(sandbox.path("cache"));
    directory.prepare().unwrap();
    let now = env.now();
    // The token of `app` is valid for `eve` too, because it does not contain the user. It is stored under each key.
    for owner in ["app", "admin"] {
        for user in ["app", "eve", "admin"] {
            let key = key(&env, user, WEEK);
            directory.store(&key, &entry(owner, now, WEEK)).unwrap();
            assert_eq!(directory.load(&key, &target(user)).is_some(), owner == user, "{owner} {user}");
        }
    }
    let stored = entry("app", now, WEEK).encode(&key(&env, "app", WEEK));
    let read = Entry::decode(&stored, key(&env, "app", WEEK).as_str()).unwrap();
    assert_eq!((read.user.as_str(), read.port), ("app", 5432));
    // A changed user invalidates the checksum.
    let changed = String::from_utf8(stored).unwrap().replace("[\"app\",", "[\"eve\",");
    assert!(Entry::decode(changed.as_bytes(), key(&env, "app", WEEK).as_str()).is_none());
    assert!(changed.contains("[\"eve\",5432]"), "{changed}");
}

#[test]
fn a_long_lived_token_expires_after_its_own_lifetime() {
    let env = Env::with_vars(KEYS.map(|(name, value)| (name.into(), value.into())).into());
    let now = env.now();
    let hour = Duration::from_secs(3_600);
    let later = |time: Duration| Timestamp { wall: now.wall + time, boot: now.boot + time };
    for (lifetime, age, expected) in [
        (WEEK, hour, Some(WEEK - hour)),
        (WEEK, WEEK - Duration::from_secs(1), Some(Duration::from_secs(1))),
        (WEEK, WEEK, None),
        (Duration::from_secs(60), Duration::from_secs(60), None),
        (Duration::from_secs(900), hour, None),
    ] {
        // A token has whole seconds.
        let left = entry("app", now, lifetime).remaining(later(age)).map(|left| left.as_secs_f64().round());
        assert!((left.unwrap_or(-1.0) - expected.map_or(-1.0, |left| left.as_secs_f64())).abs() <= 1.0, "{left:?}");
    }
}

/// The form of stored tokens of RDS has not changed, so that an update of the program does not empty the cache.
#[test]
fn only_entries_of_dsql_have_the_new_form() {
    let sandbox = Sandbox::new();
    for (target, version, has_login) in [(TARGET, 1, false), (APP, 2, true)] {
        let before: BTreeSet<_> = sandbox.cached("token").into_iter().collect();
        sandbox.rds_token([target]).succeeds();
        let new = sandbox.cached("token").into_iter().find(|path| !before.contains(path)).unwrap();
        let entry: Value = serde_json::from_slice(&std::fs::read(sandbox.cache().join(new)).unwrap()).unwrap();
        assert_eq!((entry["version"].as_i64(), entry.get("login").is_some()), (Some(version), has_login), "{entry}");
    }
}

#[test]
fn the_cleanup_removes_only_expired_tokens() {
    let sandbox = Sandbox::new();
    let long = sandbox.rds_token([APP, "--expires-in", "7d"]).succeeds();
    let passfile = sandbox.rds_token(["pgpass", APP, "--expires-in", "7d"]).warns().0;
    sandbox.rds_token([TARGET]).succeeds();
    let cache = sandbox.cache();
    assert_eq!(sandbox.cached("token").len(), 2);
    let old = SystemTime::now() - Duration::from_secs(2 * 3_600);
    for file in std::fs::read_dir(&cache).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        }
    }
    // A miss cleans up.
    sandbox.rds_token(["other@abc123.dsql.eu-west-1.on.aws"]).succeeds();
    assert_eq!(sandbox.cached("token").len(), 2, "the token of RDS was not removed");
    assert!(std::fs::read_to_string(passfile.trim_end()).unwrap().contains(long.trim_end()));
    assert_eq!(sandbox.rds_token([APP, "--expires-in", "7d"]).succeeds(), long);
}

#[test]
fn a_token_that_expires_with_its_credentials_is_reported() {
    let sandbox = Sandbox::new();
    let expiry = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
    let expiry = expiry.format(&time::format_description::well_known::Rfc3339).unwrap();
    let run = |args: &[&str]| {
        sandbox.rds_token(args.iter().copied()).env("AWS_SESSION_TOKEN", "s").env("AWS_CREDENTIAL_EXPIRATION", &expiry)
    };
    let (token, warning) = run(&[APP, "--expires-in", "1d"]).warns();
    assert!(token.contains("&X-Amz-Expires=86400&"), "{token}");
    assert!(
        warning.contains("the token expires in 35") && warning.contains("because the AWS credentials do"),
        "{warning}"
    );
    // Not on each use.
    assert_eq!(run(&[APP, "--expires-in", "1d"]).succeeds(), token);
    run(&[ADMIN]).succeeds();
}

#[test]
fn files_and_variables_are_those_of_postgresql() {
    let sandbox = Sandbox::new();
    let (path, _) = sandbox.rds_token(["pgpass", APP]).warns();
    let passfile = std::fs::read_to_string(path.trim_end()).unwrap();
    let line = passfile.lines().last().unwrap();
    let fields = line.strip_prefix(&format!("{HOST}:5432:*:app:")).and_then(TokenFields::parse);
    assert_eq!(fields.unwrap().host, HOST);
    let lines = sandbox.rds_token(["env", ADMIN, "--shell", "sh"]).succeeds();
    for expected in [
        "PGHOST='abc123.dsql",
        "PGPORT='5432'",
        "PGUSER='admin'",
        "PGDATABASE='postgres'",
        "PGSSLMODE='verify-full'",
        "Action=DbConnectAdmin&",
    ] {
        assert!(lines.contains(expected), "{expected}: {lines}");
    }
    // AWS's documentation names this root.
    let ca = sandbox.rds_token(["ca"]).succeeds();
    assert!(std::fs::read_to_string(ca.trim_end()).unwrap().contains("CN=Amazon Root CA 1,"));
}

#[test]
fn sql_grants_the_user_to_the_role_that_logs_in() {
    let sandbox = Sandbox::new();
    let (sql, warning) = sandbox.without_keys(["sql", APP]).warns();
    assert!(
        sql.contains("CREATE ROLE app WITH LOGIN;\n")
            && sql.contains("AWS IAM GRANT app TO 'arn:aws:iam::ACCOUNT:role/NAME';\n"),
        "{sql}"
    );
    assert!(warning.contains("--role-arn"), "{warning}");
    let role = "arn:aws:iam::123456789012:role/app";
    let sql = sandbox.without_keys(["sql", APP, "--role-arn", role, "--read-only"]).succeeds();
    assert!(sql.contains(&format!("AWS IAM GRANT app TO '{role}';\n")) && !sql.contains("INSERT"), "{sql}");
    sandbox.write(
        ".config/rds-token/config.toml",
        &format!("[target.d]\nhost = '{HOST}'\nuser = 'App'\nrole_arn = '{role}'\n"),
    );
    let sql = sandbox.without_keys(["sql", "d"]).succeeds();
    assert!(sql.contains(&format!("AWS IAM GRANT \"App\" TO '{role}';\n")), "{sql}");
    // Every other line is a comment.
    let statements = sql.lines().filter(|line| !line.starts_with("-- ")).count();
    assert_eq!(statements, 2, "{sql}");
}

fn with_key(lab: &Lab, run: Run, name: &str) -> Run {
    let servers::Key { access_key_id, secret_access_key, session_token, .. } = lab.key(name);
    let mut run = run.env("AWS_ACCESS_KEY_ID", access_key_id).env("AWS_SECRET_ACCESS_KEY", secret_access_key);
    if let Some(token) = session_token {
        run = run.env("AWS_SESSION_TOKEN", token);
    }
    lab.on_loopback(&mut run.command);
    run
}

/// psql logs in by each command, as the administrator and as another user.
#[test]
#[ignore = "needs database servers"]
fn users_of_aurora_dsql_log_in() {
    let Some(lab) = lab("users_of_aurora_dsql_log_in") else { return };
    let query = "select current_user || ' ' || current_database()";
    for (user, key) in [("admin", "static"), (lab.user.as_str(), "session"), ("admin", "long")] {
        let target = format!("{user}@{}:{}", lab.dsql_host, lab.postgres.port);
        let expected = format!("{user} postgres\n");
        let sandbox = Sandbox::new();
        let run = |args: &[&str]| with_key(&lab, sandbox.without_keys(args), key);
        let options = ["--ca", &lab.ca, "--expires-in", "1h"];
        // The first run signs, and the others use the cache.
        for _ in 0..2 {
            let connect = run(&[&["connect", &target], &options[..], &["--", "-XAtc", query]].concat());
            assert_eq!(connect.succeeds(), expected, "{user} {key}");
        }
        let url = run(&[&[&target, "--output=url"], &options[..]].concat()).succeeds();
        let mut psql = sandbox.command("psql");
        psql.args(["-XAt", url.trim_end(), "-c", query]);
        let (stdout, stderr) = texts(&lab.on_loopback(&mut psql).output().unwrap());
        assert_eq!((stdout, stderr), (expected.clone(), String::new()), "{user} {key}");
        let lines = run(&[&["env", &target, "--shell=sh", "--no-secret"], &options[..]].concat()).succeeds();
        let mut shell = sandbox.command("sh");
        shell.arg("-c").arg(format!("{lines}\npsql -XAtc \"{query}\""));
        let (stdout, stderr) = texts(&lab.on_loopback(&mut shell).output().unwrap());
        assert_eq!((stdout, stderr), (expected, String::new()), "{user} {key}");
    }
}

/// Changes each part of a valid token, to show that the verifier checks it.
#[test]
#[ignore = "needs database servers"]
fn wrong_tokens_of_aurora_dsql_are_refused() {
    let Some(lab) = lab("wrong_tokens_of_aurora_dsql_are_refused") else { return };
    let key = lab.key("static");
    let keys = AccessKeys::new(key.access_key_id, key.secret_access_key, None, None).unwrap();
    let token = |host: &str, region: &str, user: &str, lifetime: u64, age: u64| {
        let [host, user] = [host, user].map(|text| Some(text.to_owned()));
        let spec = TargetSpec { host, user, ..TargetSpec::default() };
        let mut target = spec.validate(None, || Ok(None)).unwrap().0;
        target.region = region.to_owned();
        let signed = time::OffsetDateTime::now_utc() - Duration::from_secs(age);
        sign(&target, &keys, Duration::from_secs(lifetime), signed).unwrap().expose().clone()
    };
    let host = lab.dsql_host.as_str();
    let here = "eu-west-1";
    let other = "other.dsql.eu-west-1.on.aws";
    for (text, user, reason) in [
        (token(host, here, "admin", 900, 0), "admin", "ok"),
        (token(host, here, "admin", 604_800, 600_000), "admin", "ok"),
        (token(host, here, "x", 900, 0), lab.user.as_str(), "ok"),
        (token(host, here, "x", 900, 0), "admin", "action"),
        (token(host, here, "admin", 900, 0), &lab.user, "action"),
        (token(host, here, "admin", 900, 905), "admin", "age"),
        (token(host, here, "admin", 60, 65), "admin", "age"),
        (token(host, here, "admin", 604_801, 0), "admin", "expires"),
        (token(other, here, "admin", 900, 0), "admin", "host"),
        (token(host, "us-east-1", "admin", 900, 0), "admin", "region"),
    ] {
        let before = lab.verdicts().len();
        let (stdout, stderr) = texts(&lab.client(Postgres, host, &lab.ca, user, &text));
        let verdicts = lab.verdicts();
        assert_eq!(verdicts[before].reason, reason, "{user}: {stderr}");
        assert_eq!(stdout == "hello from postgres\n", reason == "ok", "{user} {reason}: {stderr}");
    }
}

#[test]
#[ignore = "needs database servers"]
fn a_server_that_is_not_the_cluster_gets_no_token() {
    let Some(lab) = lab("a_server_that_is_not_the_cluster_gets_no_token") else { return };
    let sandbox = Sandbox::new();
    let target = format!("admin@{}:{}", lab.dsql_host, lab.postgres.port);
    let before = lab.verdicts().len();
    // Another CA, the built-in CAs, and a name that is not in the certificate.
    let outside = format!("admin@abc123.dsql-fnh4.eu-west-1.on.aws:{}", lab.postgres.port);
    let via = format!("--via=127.0.0.1:{}", lab.postgres.port);
    for args in [&[&target, "--ca", &lab.other_ca][..], &[&target], &[&outside, "--ca", &lab.ca, &via]] {
        let run =
            with_key(&lab, sandbox.without_keys([&["connect"], args, &["--", "-c", "select 1"]].concat()), "static");
        let (stdout, stderr) = texts(&run.output());
        assert!(stdout.is_empty() && stderr.contains("certificate"), "{args:?}: {stderr}");
    }
    assert_eq!(lab.verdicts().len(), before, "the server received a password");
}

#[test]
#[ignore = "needs database servers"]
fn the_verifier_refuses_each_wrong_token() {
    if !has("python3") {
        return skip("the_verifier_refuses_each_wrong_token", "python3 is not installed");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/verifier.py");
    let output = Command::new("/usr/bin/python3").args(["-B", script, "--self-test"]).output().unwrap();
    assert!(output.status.success(), "{}", texts(&output).1);
}
