//! `rds-token policy`, read by independent parsers.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Answer, HOST, KEYS, Sandbox, Server, has, simulation_answer, skip};
use crate::moto::moto;

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
    assert!(stderr.starts_with("rds-token: warning: policy: this policy allows logins to all databases"), "{stderr}");
}

#[test]
fn a_missing_or_invalid_value_is_named() {
    let target = format!("app@{HOST}");
    let cluster = "app@c.cluster-abc123.eu-west-1.rds.amazonaws.com";
    for (args, expected) in [
        (&[target.as_str(), "--account", "12345"][..], "account: '12345' is not the ID of an account"),
        (&[&target, "--account", "12345", "--any-database"], "account: '12345' is not the ID of an account"),
        (&[&target, "--account", ACCOUNT, "--resource-id", "prod"], "resource id: 'prod' is the name of a database"),
        (&[cluster, "--account", ACCOUNT, "--resource-id", INSTANCE], "use the resource ID of the cluster (cluster-…)"),
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

/// Returns the only resource of the policy in JSON.
fn resource(text: &str) -> String {
    let document: Value = serde_json::from_str(text).unwrap();
    document["Statement"][0]["Resource"][0].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs moto"]
fn the_account_and_the_resource_id_are_looked_up() {
    let Some(moto) = moto("the_account_and_the_resource_id_are_looked_up") else { return };
    let region = "ca-central-1";
    let ids = moto.seed_databases(region);
    let [orders, member, writer, reader, proxy] = serde_json::from_value::<[String; 5]>(ids["hosts"].clone()).unwrap();
    let sandbox = Sandbox::new();
    sandbox.write(
        ".config/rds-token/config.toml",
        &format!("[target.shop]\nid = 'main-1'\nregion = '{region}'\nuser = 'app'\n"),
    );
    let at = |host: &String| vec![format!("app@{host}")];
    let by_id = |id: &str| ["-u", "app", "--region", region, "--id", id].map(str::to_owned).to_vec();
    for (args, id) in [
        (at(&orders), "orders"),
        // The policy for a member of a cluster needs the resource ID of the cluster.
        (at(&member), "main"),
        (at(&writer), "main"),
        (at(&reader), "main"),
        (at(&proxy), "pool"),
        (by_id("orders"), "orders"),
        (by_id("main-1"), "main"),
        (by_id("cluster:main"), "main"),
        (by_id("proxy:pool"), "pool"),
        (vec!["shop".to_owned()], "main"),
    ] {
        let args: Vec<&str> = ["policy"].into_iter().chain(args.iter().map(String::as_str)).collect();
        // A warning says that IAM authentication is off.
        let (text, _) = moto.rds_token(&sandbox, args.iter().copied()).warns();
        let arn = format!("arn:aws:rds-db:{region}:{ACCOUNT}:dbuser:{}/app", ids[id].as_str().unwrap());
        assert_eq!(resource(&text), arn, "{args:?}");
        // moto checks the grammar of a policy.
        let document = serde_json::to_string(&text).unwrap();
        let name = format!("lookup-{}", fastrand::u64(..));
        moto.seed(&format!("client('iam').create_policy(PolicyName='{name}', PolicyDocument={document})"));
    }
    // The account of a profile. A flag overrides it.
    let [(_, key), (_, secret)] = KEYS;
    sandbox.write(".aws/config", &format!("[profile lab]\naws_access_key_id={key}\naws_secret_access_key={secret}\n"));
    let target = format!("app@{orders}");
    let args = ["policy", &target, "--profile", "lab", "--account", "999988887777"];
    let run = moto.rds_token(&sandbox, args).without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    assert!(resource(&run.succeeds()).contains(":999988887777:dbuser:db-"));
    let other = format!("app@gone.abc123.{region}.rds.amazonaws.com");
    let line = moto.rds_token(&sandbox, ["policy", &other]).fails(2);
    assert!(
        line.contains(&format!("policy: account {ACCOUNT} has no database with the endpoint gone.abc123")),
        "{line}"
    );
    assert!(line.contains("use --profile for another account, or --account and --resource-id"), "{line}");
}

/// Answers of AWS, by the action of a request.
fn aws(answers: &'static [(&'static str, &'static str)]) -> Server {
    Server::start(move |_, body| answer(answers, body))
}

fn answer(answers: &[(&str, &str)], body: &str) -> Answer {
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default();
    match answers.iter().find(|(name, _)| *name == action) {
        Some((_, result)) => {
            (200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
        }
        None => {
            let error = format!("<Code>AccessDenied</Code><Message>not authorized to perform: rds:{action}</Message>");
            (403, format!("<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"))
        }
    }
}

const CALLER: (&str, &str) = (
    "GetCallerIdentity",
    "<Arn>arn:aws:sts::123456789012:assumed-role/app/session</Arn><UserId>X</UserId><Account>123456789012</Account>",
);
const DATABASE: (&str, &str) = (
    "DescribeDBInstances",
    "<DBInstances><DBInstance><DBInstanceIdentifier>db</DBInstanceIdentifier>\
     <DbiResourceId>db-ABCDEFGHIJKLMNOPQRSTUVWXYZ</DbiResourceId><Engine>mysql</Engine></DBInstance></DBInstances>",
);

/// moto has no additional endpoints.
#[test]
fn an_additional_endpoint_belongs_to_its_cluster_or_proxy() {
    let server = aws(&[
        CALLER,
        (
            "DescribeDBClusterEndpoints",
            "<DBClusterEndpoints><DBClusterEndpointList><Endpoint>e.cluster-custom-abc123.eu-west-1.rds.amazonaws.com\
             </Endpoint><DBClusterIdentifier>main</DBClusterIdentifier></DBClusterEndpointList></DBClusterEndpoints>",
        ),
        (
            "DescribeDBClusters",
            "<DBClusters><DBCluster><DBClusterIdentifier>main</DBClusterIdentifier><Engine>aurora-mysql</Engine>\
             <DbClusterResourceId>cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ</DbClusterResourceId></DBCluster></DBClusters>",
        ),
        (
            "DescribeDBProxyEndpoints",
            "<DBProxyEndpoints><member><Endpoint>r.endpoint.proxy-abc123.eu-west-1.rds.amazonaws.com</Endpoint>\
             <DBProxyName>pool</DBProxyName></member></DBProxyEndpoints>",
        ),
        (
            "DescribeDBProxies",
            "<DBProxies><member><DBProxyName>pool</DBProxyName><EngineFamily>MYSQL</EngineFamily>\
             <DBProxyArn>arn:aws:rds:eu-west-1:123456789012:db-proxy:prx-0123456789abcdef0</DBProxyArn></member></DBProxies>",
        ),
    ]);
    let sandbox = Sandbox::new();
    for (host, id) in [
        ("e.cluster-custom-abc123.eu-west-1.rds.amazonaws.com", "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("r.endpoint.proxy-abc123.eu-west-1.rds.amazonaws.com", "prx-0123456789abcdef0"),
    ] {
        let run = sandbox.rds_token(["policy", "-q", &format!("app@{host}")]).env("AWS_ENDPOINT_URL", &server.url);
        assert!(resource(&run.succeeds()).ends_with(&format!(":dbuser:{id}/app")));
    }
    let line = sandbox.rds_token(["policy", "app@x.cluster-custom-abc123.eu-west-1.rds.amazonaws.com"]);
    let line = line.env("AWS_ENDPOINT_URL", &server.url).fails(2);
    assert!(line.contains("has no database with the endpoint x.cluster-custom-abc123"), "{line}");
}

#[test]
fn a_denied_lookup_names_the_permission() {
    let server = aws(&[CALLER]);
    let sandbox = Sandbox::new();
    let run = sandbox.rds_token(["policy", &format!("app@{HOST}")]).env("AWS_ENDPOINT_URL", &server.url);
    let line = run.fails(3);
    assert!(line.contains("allow the action rds:DescribeDBInstances in the caller's policy"), "{line}");
    // With all values on the command line, no request is sent.
    let before = server.requests();
    let args = ["policy", &format!("app@{HOST}"), "--account", ACCOUNT, "--resource-id", INSTANCE];
    sandbox.without_keys(args).env("AWS_ENDPOINT_URL", &server.url).succeeds();
    assert_eq!(server.requests(), before);
}

/// The caller may be an administrator, or have a policy with the name of the instance.
#[test]
fn mistakes_of_the_callers_own_policy_are_warnings() {
    let server = aws(&[CALLER, DATABASE]);
    for (allowed, expected) in [
        ("dbuser:", "warning: policy: arn:aws:iam::123456789012:role/app may connect to any database as any user"),
        ("dbuser:db/", "role/app contains the name of the database instead of its resource id, and allows nothing"),
        ("dbuser:db-ABCDEFGHIJKLMNOPQRSTUVWXYZ/", ""),
        ("nothing", ""),
    ] {
        let iam = Server::start(move |_, body| {
            let body = percent_encoding::percent_decode_str(body).decode_utf8_lossy().into_owned();
            let arns = body.split('&').filter_map(|pair| pair.strip_prefix("ResourceArns.")?.split_once('='));
            (200, simulation_answer(arns.map(|(_, arn)| arn), allowed))
        });
        let sandbox = Sandbox::new();
        let run = sandbox.rds_token(["policy", &format!("app@{HOST}")]).env("AWS_ENDPOINT_URL", &server.url);
        let (stdout, stderr) = run.env("AWS_ENDPOINT_URL_IAM", &iam.url).warns();
        assert!(resource(&stdout).ends_with(":dbuser:db-ABCDEFGHIJKLMNOPQRSTUVWXYZ/app"), "{stdout}");
        assert!(if expected.is_empty() { stderr.is_empty() } else { stderr.contains(expected) }, "{allowed}: {stderr}");
    }
}
