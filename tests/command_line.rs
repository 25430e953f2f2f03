//! The command line: targets, options, output formats and errors.

use crate::harness::{HOST, KEYS, Sandbox, TARGET, parameter, texts};

#[test]
fn every_form_of_a_target_gives_the_same_token() {
    let sandbox = Sandbox::new();
    let token = sandbox.rds_token([TARGET]).succeeds();
    assert!(token.starts_with(&format!("{HOST}:3306/?Action=connect&DBUser=dbiamuser&X-Amz-Algorithm=")), "{token}");
    let upper = TARGET.replace(HOST, &HOST.to_uppercase());
    let url = format!("mysql://dbiamuser@{HOST}/ExampleDB");
    for args in [
        vec!["token", TARGET],
        vec![&upper],
        vec![&url],
        vec![&format!("mariadb://%64biamuser@{HOST}")],
        vec!["--hostname", HOST, "--port", "3306", "--username", "dbiamuser", "--region", "eu-west-1"],
        vec!["--host", HOST, "-P3306", "-u", "dbiamuser"],
        vec!["--engine", "mysql", "--user=dbiamuser", HOST],
        vec![&format!("other@{HOST}:1"), "-u", "dbiamuser", "-P", "3306", "-D", "x"],
    ] {
        assert_eq!(sandbox.rds_token(&args).succeeds(), token, "{args:?}");
    }
    let environment = sandbox.rds_token::<&str>([]).env("RDS_TOKEN_HOST", HOST).env("RDS_TOKEN_ENGINE", "mariadb");
    assert_eq!(environment.env("RDS_TOKEN_USER", "dbiamuser").succeeds(), token);
    let overridden = sandbox.rds_token([TARGET]).env("RDS_TOKEN_USER", "x").env("RDS_TOKEN_PORT", "1");
    assert_eq!(overridden.env("RDS_TOKEN_HOST", "x.y").succeeds(), token);
}

#[test]
fn the_region_follows_the_documented_order() {
    let sandbox = Sandbox::new();
    let config = "[default]\nregion = ap-south-1\n[profile p]\nregion = sa-east-1\n\
                  aws_access_key_id = AKIDP\naws_secret_access_key = s\n";
    sandbox.write(".aws/config", config);
    let region = |token: String| parameter(&token, "X-Amz-Credential").unwrap().split("%2F").nth(2).unwrap().to_owned();
    let cname = "u@db.example.com:3306";
    let get = |args: &[&str]| sandbox.rds_token([args, &["-q"]].concat());
    assert_eq!(region(get(&[TARGET]).env("AWS_REGION", "us-east-1").succeeds()), "eu-west-1");
    assert_eq!(region(get(&[cname]).env("AWS_REGION", "us-east-1").succeeds()), "us-east-1");
    assert_eq!(region(get(&[cname]).env("AWS_DEFAULT_REGION", "us-east-2").succeeds()), "us-east-2");
    assert_eq!(region(get(&[cname]).succeeds()), "ap-south-1");
    assert_eq!(region(get(&[cname]).env("AWS_PROFILE", "p").succeeds()), "sa-east-1");
    assert_eq!(region(get(&[cname, "--profile", "p"]).succeeds()), "sa-east-1");
    assert_eq!(region(get(&[cname, "--region", "eu-north-1"]).env("AWS_REGION", "us-east-1").succeeds()), "eu-north-1");
    std::fs::remove_file(sandbox.path("home/.aws/config")).unwrap();
    assert!(get(&[cname]).fails(2).contains("has no region in its name"));
    assert!(
        get(&[TARGET, "--region", "us-east-1"])
            .fails(2)
            .contains("--region is us-east-1, but the host is in eu-west-1")
    );
}

#[test]
fn usage_errors_are_one_line() {
    let sandbox = Sandbox::new();
    let cases: &[(&[&str], &str)] = &[
        (&["prod"], "no target is named 'prod' in /"),
        (
            &["u@h.x"],
            "there is no port; use a URL, whose scheme sets the port: mysql://u@h.x, mariadb://u@h.x or postgres://u@h.x",
        ),
        (&["u@h\x1b[31m.x:1"], "\\u{1b}[31m"),
        (&["u@a..b:1", "--region", "eu-west-1"], "empty label"),
        (&["--host", "https://h.x", "-u", "u", "-P", "1"], "has a scheme"),
        (&["u\n@h.x:3306"], "user 'u\\n'"),
        (&["u@h.x:99999"], "port '99999'"),
        (&["u@h.x:3306", "--region", "eu\nwest"], "region"),
        (&[TARGET, "--engine", "oracle"], "engine 'oracle'"),
        (&[TARGET, "--min-ttl", "15m"], "from 30s to 14m"),
        (&[TARGET, "--min-ttl", "29"], "from 30s to 14m"),
        (&[TARGET, "--timeout", "0s"], "--timeout"),
        (&[TARGET, "--cache", "redis"], "redis"),
        (&[TARGET, "--no-cache", "--refresh"], "cannot be used with"),
        (&[TARGET, "--output", "yaml"], "yaml"),
        (&[TARGET, "--nonsense"], "--nonsense"),
        (&[TARGET, "another"], "another"),
        (
            &["u@h.x:3307", "--region", "eu-west-1", "--output", "url"],
            "port 3307 does not determine the engine; use a URL",
        ),
        (&["cache"], "cache --help"),
        (&["cache", "burn"], "burn"),
        (&["cache", "clear", "-D", "x"], "select no tokens"),
        (&["cache", "clear", "--ca", "/x"], "select no tokens"),
        (&["--engine=postgres", "-D", "host=evil sslmode=disable", TARGET], "connection settings"),
        (&["exec", "nosuch"], "no target is named 'nosuch'"),
        (&[TARGET, "--role-arn", "x"], "is not the ARN of a role"),
        (&["cache", "clear", "-P", "03306"], "port '03306'"),
        (&["cache", "clear", "--region", "EU"], "region 'EU'"),
        (&["cache", "clear", "--engine", "x"], "engine 'x'"),
    ];
    for (args, part) in cases {
        let line = sandbox.rds_token(*args).fails(2);
        assert!(line.contains(part), "{args:?}: {line}");
    }
    assert!(
        sandbox
            .rds_token([TARGET])
            .env("RDS_TOKEN_CACHE", "x")
            .fails(2)
            .contains("cache: 'x' is unknown; set cache or RDS_TOKEN_CACHE to file, keyring or off")
    );
    assert_eq!(sandbox.cached("token").len(), 0, "nothing was signed");
}

#[test]
fn arguments_that_are_not_utf8_are_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let sandbox = Sandbox::new();
    let bad = std::ffi::OsString::from_vec(b"u\xff".to_vec());
    sandbox.rds_token([&"--user".into(), &bad, &TARGET.into()]).fails(2);
    let line = sandbox.rds_token([&format!("{HOST}:3306")]).env("RDS_TOKEN_USER", bad).fails(2);
    assert!(line.contains("user 'u"), "{line}");
}

#[test]
fn text_and_json_output_contain_the_token() {
    let sandbox = Sandbox::new();
    let token = sandbox.rds_token([TARGET]).succeeds();
    let bare = token.trim_end();
    assert_eq!(format!("{bare}\n"), token);
    assert_eq!(sandbox.rds_token([TARGET, "-n"]).succeeds(), bare);

    let json = sandbox.rds_token([TARGET, "--output", "json"]).succeeds();
    assert_eq!(json.matches('\n').count(), 1);
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert!(fields.values().all(serde_json::Value::is_string), "{json}");
    let names: Vec<&str> = ["version", "token", "host", "port", "user", "region", "expires_at", "ttl", "source"].into();
    assert!(names.iter().all(|name| fields.contains_key(*name)) && fields.len() == names.len(), "{json}");
    assert_eq!((&fields["token"], &fields["source"], &fields["version"]), (&bare.into(), &"cache".into(), &"1".into()));
    let ttl: i64 = fields["ttl"].as_str().unwrap().parse().unwrap();
    assert!((890..=900).contains(&ttl), "{ttl}");
    let signed = sandbox.rds_token([TARGET, "--output", "json", "--refresh"]).succeeds();
    assert!(signed.contains("\"source\":\"signed\""), "{signed}");
}

#[test]
fn urls_contain_the_token_and_verify_tls() {
    let sandbox = Sandbox::new();
    let encoded = |token: &str| rds_token::testing::encode(token.trim_end()).to_string();
    let target = format!("postgresql://j%40x@{HOST}/a%20b");
    let token = encoded(&sandbox.rds_token([&target]).succeeds());
    let file = sandbox.write("x y.pem", "");
    let expected = |ca: &str| {
        let tls = format!("sslmode=verify-full&sslrootcert={}&gssencmode=disable", encoded(ca));
        format!("postgresql://j%40x:{token}@{HOST}:5432/a%20b?{tls}\n")
    };
    let url = sandbox.rds_token([&target, "--output=url", "--ca", file.to_str().unwrap()]).succeeds();
    assert_eq!(url, expected(file.to_str().unwrap()));
    let bundle = sandbox.without_keys(["ca"]).succeeds();
    assert_eq!(sandbox.rds_token([&target, "--output=url"]).succeeds(), expected(&bundle));
}

/// No client of MySQL or MariaDB verifies the server by such a URL: mycli, and sqlx with `mariadb://`, send the token
/// to any server.
#[test]
fn there_is_no_url_for_mysql_and_mariadb() {
    let sandbox = Sandbox::new();
    for target in [&format!("mysql://u@{HOST}"), &format!("mariadb://u@{HOST}"), TARGET] {
        let line = sandbox.rds_token([target, "--output", "url"]).fails(2);
        for remedy in ["`rds-token cnf`", "`connect`", "`env`", "--output json"] {
            assert!(line.contains(remedy), "{line}");
        }
    }
    assert_eq!(sandbox.cached("token").len(), 0, "nothing was signed");
}

/// Users paste the URL of an application, including its password.
#[test]
#[ignore = "needs several seconds"]
fn no_message_shows_the_password_of_a_url() {
    let sandbox = Sandbox::new();
    for target in [
        "mysql://app:CANARY@h.example:3306/db",
        "mysql://app:CANARY/PW@h.example:3306/db",
        "mysql://app:12345CANARY/PW@h.example:3306/db",
        "mysql://app:1/CANARY@h.example:3306/db",
        "mysql://app:CAN?ARY@h.example/db",
        "postgres://app:CANARY@PW@h.example/db",
        "oracle://app:CANARY@h.example/db",
        "jdbc:mysql://app:CANARY@h.example/db",
        "app:CANARY\n@h.example:3306",
        "app:CANARY@h..example:3306",
        "app:CANARY@h.example:x",
    ] {
        for args in [
            &[target][..],
            &["-v", target],
            &["token", "x", target],
            &["--host", target, "-u", "u", "-P", "1"],
            &["u@h.x:1", "--region", "eu-west-1", "--via", target],
        ] {
            let line = sandbox.rds_token(args).output();
            let (stdout, stderr) = texts(&line);
            assert_eq!((line.status.code(), stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
            assert!(!stderr.contains("CANARY"), "{args:?}: {stderr}");
        }
    }
    let url = "https://user:CANARY@sts.example/";
    for variable in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL", "HTTPS_PROXY", "RDS_TOKEN_HOST", "RDS_TOKEN_CACHE_DIR"]
    {
        let run =
            sandbox.rds_token([&format!("u@{HOST}:3306"), "--role-arn", "arn:aws:iam::1:role/x", "--timeout", "2s"]);
        let (_, stderr) = texts(&run.env(variable, url).output());
        assert!(!stderr.contains("CANARY"), "{variable}: {stderr}");
    }
    // A secret in a variable that holds a time.
    let line = sandbox.rds_token([TARGET]).env("AWS_CREDENTIAL_EXPIRATION", "wJalrXUtnFEMICANARY").fails(3);
    assert!(line.contains("AWS_CREDENTIAL_EXPIRATION = (not shown), which is not a time"), "{line}");
}

/// libpq reads only the password from a passfile, so the TLS settings must come from elsewhere.
#[test]
fn a_passfile_comes_with_a_warning_about_tls() {
    let sandbox = Sandbox::new();
    let target = format!("postgres://u@{HOST}");
    let (_, warning) = sandbox.rds_token(["pgpass", &target]).warns();
    for part in ["sslmode=verify-full", "sslrootcert", "`rds-token env --no-secret`"] {
        assert!(warning.contains(part) && warning.lines().count() == 1, "{warning}");
    }
    assert!(sandbox.rds_token(["pgpass", &target]).env("PGSSLMODE", "require").warns().1.contains("verify-full"));
    let verified = || sandbox.rds_token(["pgpass", &target]).env("PGSSLMODE", "verify-full");
    // With a Kerberos ticket, libpq would still send the token to any server.
    assert!(verified().warns().1.contains("gssencmode=disable"));
    verified().env("PGGSSENCMODE", "disable").succeeds();
}

#[test]
fn verbose_prints_the_sources_and_no_secret() {
    let sandbox = Sandbox::new();
    let (token, stderr) = sandbox.rds_token([TARGET, "-v"]).warns();
    assert!(stderr.contains("credentials: the environment") && stderr.contains("(cache miss)"), "{stderr}");
    let (_, hit) = sandbox.rds_token([TARGET, "-v"]).warns();
    assert!(hit.contains("the cache (hit), expires 20"), "{hit}");
    let signature = parameter(token.trim_end(), "X-Amz-Signature").unwrap();
    for said in [stderr, hit] {
        assert!(!said.contains(signature) && !said.contains(KEYS[1].1), "{said}");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    let sandbox = Sandbox::new();
    for args in [vec!["--help"], vec!["-h"], vec!["token", "--help"], vec!["cache", "clear", "--help"]] {
        assert!(sandbox.without_keys(&args).succeeds().contains("Usage: rds-token"), "{args:?}");
    }
    let help = sandbox.without_keys(["--help"]).succeeds();
    for part in ["Examples:", "Exit codes:", "--timeout DURATION", "rds-token help token", "RDS_TOKEN_USER", "cache"] {
        assert!(help.contains(part), "{part}: {help}");
    }
    assert!(sandbox.without_keys(["help", "token"]).succeeds().contains("[default: 25s]"));
    // The common options fit on one screen, all options on two.
    let lines = |args: &[&str]| sandbox.without_keys(args).succeeds().lines().count();
    assert!(lines(&["-h"]) <= 24 && lines(&["--help"]) <= 60);
    assert_eq!(sandbox.without_keys(["help"]).succeeds(), help);
    for command in [
        "connect",
        "cnf",
        "pgpass",
        "env",
        "targets",
        "cache",
        "init",
        "token",
        "ca",
        "completions",
        "man",
        "cache clear",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let help = |args: &[&str]| sandbox.without_keys(args).succeeds();
        let (short, full) = (help(&[&words[..], &["-h"]].concat()), help(&[&words[..], &["--help"]].concat()));
        assert_eq!(help(&[&["help"], &words[..]].concat()), full);
        assert!(full.starts_with(short.lines().next().unwrap()) && !short.contains("Advanced:"), "{short}");
        assert!(full.contains(&format!("\nUsage: rds-token {command}")), "{full}");
        assert!(full.contains("\nExamples:\n") || command == "cache clear", "{full}");
        let width = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(width(&short) <= 80 && width(&full) <= 100 && full.lines().count() <= 60, "{short}{full}");
    }
    let version = sandbox.without_keys(["--version"]).succeeds();
    assert_eq!(version, format!("rds-token {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn nothing_is_read_from_the_current_directory() {
    let sandbox = Sandbox::new();
    for name in ["config", "credentials", ".aws/config", "rds-token/config.toml", "config.toml"] {
        let path = sandbox.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(
            path,
            "[default]\naws_access_key_id = AKIDEVIL\naws_secret_access_key = s\nregion = eu-west-1\n",
        )
        .unwrap();
    }
    assert!(sandbox.without_keys([TARGET]).fails(3).contains("none found in the environment"));
    sandbox.without_keys([TARGET]).env("HOME", "").env("XDG_CACHE_HOME", sandbox.path("c")).fails(3);
}

#[test]
fn a_url_with_via_still_verifies_the_endpoint() {
    let sandbox = Sandbox::new();
    let get =
        |engine: &str, via: &str| sandbox.rds_token([&format!("{engine}://u@{HOST}"), "--output=url", "--via", via]);
    let token = sandbox.rds_token([&format!("postgres://u@{HOST}")]).succeeds();
    let token = rds_token::testing::encode(token.trim_end());
    let bundle = sandbox.without_keys(["ca"]).succeeds();
    let bundle = rds_token::testing::encode(bundle.trim_end());
    let expected = |address: &str| {
        format!(
            "postgresql://u:{token}@{HOST}:5433/?sslmode=verify-full&sslrootcert={bundle}&gssencmode=disable&hostaddr={address}\n"
        )
    };
    assert_eq!(get("postgres", "127.0.0.1:5433").succeeds(), expected("127.0.0.1"));
    assert_eq!(get("postgres", "[::1]:5433").succeeds(), expected("%3A%3A1"));
    // localhost needs no lookup.
    assert_eq!(get("postgres", "localhost:5433").succeeds(), expected("127.0.0.1"));
    assert_eq!(get("postgres", "5433").succeeds(), expected("127.0.0.1"));
    assert!(get("postgres", "tunnel.example:5433").fails(2).contains("--via ADDRESS:PORT"));
    for via in ["localhost", "localhost:", ":", "a b:1", "[::1:1", "h:0", "http://h:1", ":0", "05433"] {
        assert!(get("postgres", via).fails(2).contains("is not HOST:PORT"), "{via}");
    }
}

#[test]
fn a_configured_target_is_selected_by_its_name() {
    let sandbox = Sandbox::new();
    let ca = sandbox.write("ca.pem", "");
    let config = format!(
        "[defaults]\nmin_ttl = '14m'\nuser = 'nobody'\n\n[target.prod]\nhost = '{HOST}'\nport = 5432\nuser = 'app'\n\
         database = 'Ex'\nca = '~/ca.pem'\n\n[target.cname]\nhost = 'db.example.com'\nport = 3306\nregion = 'us-east-2'\n"
    );
    let file = sandbox.write(".config/rds-token/config.toml", &config);
    let token = sandbox.rds_token([&format!("app@{HOST}:5432")]).succeeds();
    assert_eq!(sandbox.rds_token(["prod"]).succeeds(), token);
    assert_eq!(
        sandbox.rds_token(["token", "prod", "--refresh"]).env("RDS_TOKEN_USER", "x").succeeds().len(),
        token.len()
    );
    assert!(sandbox.rds_token(["prod", "-u", "eve"]).succeeds().contains("DBUser=eve&"));
    let url = sandbox.rds_token(["prod", "--output", "url"]).succeeds();
    let ca = rds_token::testing::encode(ca.to_str().unwrap()).to_string();
    assert!(url.contains("/Ex?sslmode=verify-full") && url.contains(&ca), "{url}");
    let cname = sandbox.rds_token(["cname", "-q"]).env("AWS_REGION", "us-east-1").succeeds();
    assert!(cname.contains("DBUser=nobody&") && cname.contains("%2Fus-east-2%2F"), "{cname}");
    assert!(sandbox.rds_token(["pord"]).fails(2).contains("did you mean 'prod'?"));
    assert_eq!(sandbox.without_keys(["targets"]).succeeds(), "cname\nprod\n");

    sandbox.write(".config/rds-token/config.toml", "[target.prod]\nhots = 'x'\n");
    let line = sandbox.rds_token([TARGET]).fails(2);
    assert!(line.contains(&format!("{}:2: unknown key 'hots'", file.display())) && line.contains("'host'?"), "{line}");
    sandbox.rds_token([TARGET]).env("RDS_TOKEN_CONFIG", sandbox.write("c.toml", "")).succeeds();
    assert!(sandbox.rds_token([TARGET]).env("RDS_TOKEN_CONFIG", "c.toml").fails(2).contains("not absolute"));
    assert!(sandbox.rds_token([TARGET]).env("RDS_TOKEN_CONFIG", "/none").fails(2).contains("/none"));
    let fifo = sandbox.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert!(sandbox.rds_token([TARGET]).env("RDS_TOKEN_CONFIG", fifo).fails(2).contains("is not a regular file"));
    for (text, part) in
        [("min_ttl = '1h'", "from 30s to 14m"), ("cache = 'x'", "'x' is unknown"), ("ca = 'x'", "absolute")]
    {
        sandbox.write("c.toml", &format!("[defaults]\n{text}\n"));
        let line = sandbox.rds_token([TARGET]).env("RDS_TOKEN_CONFIG", sandbox.path("home/c.toml")).fails(2);
        assert!(line.contains(part), "{text}: {line}");
    }
}

#[test]
fn a_typo_gets_a_suggestion() {
    let sandbox = Sandbox::new();
    assert!(sandbox.rds_token(["cahce"]).fails(2).contains("did you mean the command 'cache'?"));
    let line = sandbox.rds_token(["-u", "app", "token", TARGET]).fails(2);
    assert!(line.contains("put the command first"), "{line}");
    for host in ["localhost", "127.0.0.1"] {
        let (_, stderr) = sandbox.rds_token([&format!("u@{host}:3306"), "--region", "eu-west-1"]).warns();
        assert!(stderr.contains("warning: ") && stderr.contains("--via"), "{stderr}");
    }
}

/// Parts of a target that belong together come from the same source.
#[test]
fn parts_of_a_target_come_from_one_source() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".config/rds-token/config.toml",
        &format!(
            "[target.pg]\nhost = '{HOST}'\nuser = 'app'\nengine = 'postgres'\nvia = 'localhost:6000'\n\
             [target.wrong]\nhost = '{HOST}'\nuser = 'app'\nport = 3306\nregion = 'us-east-1'\n"
        ),
    );
    let port = |run: crate::harness::Run| run.succeeds().split(['/', ':']).nth(1).unwrap().to_owned();
    assert_eq!(port(sandbox.rds_token(["pg"]).env("RDS_TOKEN_PORT", "3306")), "5432", "the engine's, not another's");
    assert_eq!(port(sandbox.rds_token(["pg", "-P", "6432"]).env("RDS_TOKEN_PORT", "3306")), "6432");
    let flags = ["--host", HOST, "-u", "app", "--engine", "postgres"];
    assert_eq!(port(sandbox.rds_token(flags).env("RDS_TOKEN_PORT", "3306")), "5432");
    assert_eq!(port(sandbox.rds_token(["--host", HOST, "-u", "app"]).env("RDS_TOKEN_PORT", "3307")), "3307");
    let url = format!("mysql://app@{HOST}");
    assert_eq!(port(sandbox.rds_token([&url, "--engine", "postgres"])), "5432");
    assert_eq!(port(sandbox.rds_token([&format!("{url}:3307"), "--engine", "postgres"])), "3307");
    let environment = sandbox.rds_token(["--host", HOST, "-u", "app"]).env("RDS_TOKEN_ENGINE", "postgres");
    assert_eq!(port(environment), "5432");

    let line = sandbox.rds_token(["wrong"]).fails(2);
    assert!(line.contains("region in [target.wrong] is us-east-1, but the host is in eu-west-1"), "{line}");
    // The table's tunnel and region do not apply to another host.
    let other = "other.abc123.eu-central-1.rds.amazonaws.com";
    assert!(sandbox.rds_token(["env", "pg", "--shell", "sh"]).succeeds().contains("PGPORT='6000'"));
    let lines = sandbox.rds_token(["env", "pg", "--shell", "sh", "--host", other]).succeeds();
    assert!(lines.contains("PGPORT='5432'") && lines.contains(other), "{lines}");
    sandbox.rds_token(["wrong", "--host", other]).succeeds();
    assert!(sandbox.rds_token(["wrong", "--host", &HOST.to_uppercase()]).fails(2).contains("[target.wrong]"));
}

/// A token that no server accepts is printed with a warning, or not at all.
#[test]
fn hosts_that_accept_no_token_are_reported() {
    let sandbox = Sandbox::new();
    let run = |host: &str| sandbox.rds_token([&format!("u@{host}:3306"), "--region", "eu-west-1"]);
    for host in ["db.example.com", "localhost", "127.0.0.1", "db.abc123.eu-west-1.rds.amazonaws.com.evil.com"] {
        let (_, stderr) = run(host).warns();
        assert!(stderr.contains(&format!("host '{host}' is not an RDS endpoint")), "{stderr}");
        assert!(stderr.contains("--via") && stderr.lines().count() == 1, "{stderr}");
        sandbox.rds_token([&format!("u@{host}:3306"), "--region", "eu-west-1", "-q"]).succeeds();
    }
    assert!(
        run("rds.eu-west-1.amazonaws.com").warns().1.contains("does not have a known form of an RDS database endpoint")
    );
    for (host, service) in [
        ("w.abc123.eu-west-1.redshift.amazonaws.com", "Redshift"),
        ("c.abc123.ng.0001.euw1.cache.amazonaws.com", "ElastiCache"),
        ("d.cluster-abc123.eu-west-1.docdb.amazonaws.com", "DocumentDB"),
        ("n.cluster-abc123.eu-west-1.neptune.amazonaws.com", "Neptune"),
        ("search-s-abc123.eu-west-1.es.amazonaws.com", "OpenSearch"),
        ("dsql.eu-west-1.api.aws", "Aurora DSQL"),
        ("nlb-abc123.elb.eu-west-1.amazonaws.com", "a load balancer"),
        ("sqs.eu-west-1.amazonaws.com", "an AWS service other than RDS"),
    ] {
        let line = run(host).fails(2);
        assert!(line.contains(&format!("host '{host}' belongs to {service}")), "{line}");
    }
    let global = "x.global-abc123.global.rds.amazonaws.com";
    let line = sandbox.rds_token([&format!("u@{global}:3306")]).fails(2);
    assert!(line.contains("endpoint of a global database") && line.contains("region of its writer"), "{line}");
    run(global).succeeds();
    let ambient = sandbox.rds_token([&format!("u@{global}:3306")]).env("AWS_REGION", "eu-west-1");
    let (_, stderr) = ambient.warns();
    assert!(stderr.contains("the region eu-west-1 comes from AWS_REGION") && stderr.contains("its writer"), "{stderr}");
}
