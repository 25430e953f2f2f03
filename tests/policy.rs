//! `rds-token policy`, read by independent parsers.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{HOST, Sandbox, has, skip};

const ACCOUNT: &str = "123456789012";
const INSTANCE: &str = "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The version, the actions and the resources of a policy.
type Parsed = (String, Vec<String>, Vec<String>);

fn policy(args: &[&str]) -> String {
    Sandbox::new().without_keys([&["policy", "--account", ACCOUNT], args].concat()).succeeds()
}

/// Parses a policy with `parse_policy.py`.
fn parse(parser: &str, text: &str) -> Parsed {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("/usr/bin/python3");
    command.arg(root.join("tests/lab/parse_policy.py")).arg(parser).env("PYTHONPATH", root.join("target/parsers"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{parser}: {text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn json(args: &[&str]) -> Parsed {
    let document: serde_json::Value = serde_json::from_str(&policy(args)).unwrap();
    let statement = &document["Statement"][0];
    assert_eq!(statement["Effect"], "Allow");
    let texts = |key: &str| serde_json::from_value(statement[key].clone()).unwrap();
    (document["Version"].as_str().unwrap().to_owned(), texts("Action"), texts("Resource"))
}

#[test]
fn a_policy_allows_the_users_of_one_database() {
    let target = format!("app@{HOST}");
    let arn = |user: &str| format!("arn:aws:rds-db:eu-west-1:{ACCOUNT}:dbuser:{INSTANCE}/{user}");
    for (args, users) in [
        (&[target.as_str()][..], &["app"][..]),
        (&[&target, "-u", "eve", "--user", "jane@corp"], &["eve", "jane@corp"]),
        (&["--host", HOST, "-U", "a*"], &["a${*}"]),
        (&["--region", "eu-west-1", "--user=app"], &["app"]),
        (&[&format!("mysql://a%20b@{HOST}/ExampleDB")], &["a b"]),
    ] {
        let args = [args, &["--resource-id", INSTANCE]].concat();
        let (version, actions, resources) = json(&args);
        assert_eq!((version.as_str(), actions), ("2012-10-17", vec!["rds-db:connect".to_owned()]));
        assert_eq!(resources, users.iter().map(|user| arn(user)).collect::<Vec<_>>(), "{args:?}");
    }
}

#[test]
fn a_policy_for_dsql_has_the_action_of_its_users() {
    let host = "abc123.dsql.us-east-1.on.aws";
    for (user, action) in [("app", "dsql:DbConnect"), ("admin", "dsql:DbConnectAdmin")] {
        let (_, actions, resources) = json(&[&format!("{user}@{host}")]);
        assert_eq!(
            (actions, resources),
            (vec![action.to_owned()], vec![format!("arn:aws:dsql:us-east-1:{ACCOUNT}:cluster/abc123")],)
        );
    }
}

#[test]
fn the_target_and_its_region_come_from_the_configuration() {
    let sandbox = Sandbox::new();
    let config = "[target.prod]\nhost = 'db.example.com'\nregion = 'cn-north-1'\nuser = 'app'\nport = 1\n";
    let path = sandbox.write("c.toml", config);
    let run = sandbox.without_keys(["policy", "prod", "--account", ACCOUNT, "--resource-id", INSTANCE]);
    let text = run.env("RDS_TOKEN_CONFIG", path).succeeds();
    assert!(text.contains(&format!("\"arn:aws-cn:rds-db:cn-north-1:{ACCOUNT}:dbuser:{INSTANCE}/app\"")), "{text}");
}

#[test]
fn any_database_is_allowed_with_a_warning() {
    let args = ["policy", "-u", "app", "--region", "eu-west-1", "--account", "1234-5678-9012", "--any-database"];
    let (stdout, stderr) = Sandbox::new().without_keys(args).warns();
    assert!(stdout.contains(&format!("arn:aws:rds-db:eu-west-1:{ACCOUNT}:dbuser:*/app")), "{stdout}");
    assert!(stderr.starts_with("rds-token: warning: policy: it allows logins to all databases"), "{stderr}");
}

#[test]
fn a_missing_or_invalid_value_is_named() {
    let target = format!("app@{HOST}");
    let cluster = "app@c.cluster-abc123.eu-west-1.rds.amazonaws.com";
    for (args, expected) in [
        (&[target.as_str(), "--resource-id", INSTANCE][..], "use --account"),
        (&[&target, "--account", "12345"], "policy: the resource ID of the database is missing; use --resource-id"),
        (&[&target, "--account", "12345", "--any-database"], "account: '12345' is not the ID of an account"),
        (&[&target, "--account", ACCOUNT, "--resource-id", "prod"], "resource id: 'prod' is the name of a database"),
        (&[cluster, "--account", ACCOUNT, "--resource-id", INSTANCE], "use that of the cluster (cluster-…)"),
        (&[HOST, "--account", ACCOUNT, "--any-database"], "policy: the database user is missing"),
        (&["-u", "app", "--account", ACCOUNT, "--any-database"], "policy: the region is missing; use --region"),
        (&["-u", "app", "--region", "Europe", "--account", ACCOUNT, "--any-database"], "'Europe' from --region is not"),
        (&[&target, "--region", "us-east-1", "--account", ACCOUNT, "--any-database"], "but the host is in eu-west-1"),
        (
            &["app@a.dsql.us-east-1.on.aws", "--region", "eu-west-1", "--account", ACCOUNT],
            "but the host is in us-east-1",
        ),
        (&["app@a.dsql.us-east-1.on.aws", "--resource-id", INSTANCE, "--account", ACCOUNT], "remove --resource-id"),
        (&["app@w.a.eu-west-1.redshift.amazonaws.com", "--account", ACCOUNT], "belongs to Redshift"),
        (&[&target, "-u", "日本", "--account", ACCOUNT, "--any-database"], "which IAM does not accept in a policy"),
        (&[&target, "-u", "", "--account", ACCOUNT, "--any-database"], "user '' is empty"),
        (
            &[
                &target,
                "-u",
                "{{resolve:ssm:x}}",
                "--account",
                ACCOUNT,
                "--any-database",
                "--output",
                "cloudformation",
                "-q",
            ],
            "which CloudFormation would replace; use --output json",
        ),
        (&[&target, "--any-database", "--resource-id", INSTANCE], "cannot be used with"),
    ] {
        let line = Sandbox::new().without_keys([&["policy"], args].concat()).fails(2);
        assert!(line.contains(expected), "{args:?}: {line}");
    }
}

/// Each format has exactly the users that were given, whatever characters their names have.
#[test]
#[ignore = "needs parsers from PyPI"]
fn independent_parsers_read_every_user() {
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("target/parsers").is_dir() {
        return skip("independent_parsers_read_every_user", "target/parsers is missing; run `make test`");
    }
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let special: Vec<char> = "'\"\\$%{}*?`#&!|>-:@,[]~^= /\u{a0}é\u{ff}nu0a".chars().collect();
    let mut users: Vec<String> =
        ["${", "%{", "%%{x}", "$${x}", "\\", "\"", "'", "''", "a\\nb", "\\u0041", "${}", "$%{*}", "- a", "null"]
            .map(str::to_owned)
            .into();
    users.extend(
        (0..200).map(|_| (0..random.usize(1..12)).map(|_| *random.choice(&special).unwrap()).collect::<String>()),
    );
    users.sort();
    users.dedup();
    let escape = |user: &String| {
        let escaped = user.replace('$', "\0").replace('*', "${*}").replace('?', "${?}").replace('\0', "${$}");
        format!("arn:aws:rds-db:eu-west-1:{ACCOUNT}:dbuser:{INSTANCE}/{escaped}")
    };
    let flags: Vec<String> = users.iter().map(|user| format!("--user={user}")).collect();
    for (format, parser) in
        [("json", "json"), ("cloudformation", "cloudformation"), ("terraform", "hcl2"), ("terraform", "terraform")]
    {
        // Terraform is neither in Debian nor on PyPI.
        if parser == "terraform" && !has("terraform") {
            continue;
        }
        let mut args = vec!["--host", HOST, "--resource-id", INSTANCE, "--output", format];
        args.extend(flags.iter().map(String::as_str));
        let (version, actions, resources) = parse(parser, &policy(&args));
        assert_eq!((version.as_str(), actions), ("2012-10-17", vec!["rds-db:connect".to_owned()]), "{parser}");
        for (resource, user) in resources.iter().zip(&users) {
            assert_eq!(*resource, escape(user), "{parser}, seed {seed}");
        }
        assert_eq!(resources.len(), users.len(), "{parser}, seed {seed}");
    }
}
