//! Command-line forms familiar from mysql, psql, docker and the AWS CLI; target URLs of applications.

use crate::harness::{HOST, PROGRAM, Sandbox, TARGET, has, skip, texts};
use crate::recipes::{Endpoint, Workspace};
use crate::servers::lab;

/// All words after TARGET belong to COMMAND, as in `docker run IMAGE COMMAND`.
#[test]
fn connect_runs_the_command_after_the_target() {
    let sandbox = Sandbox::new();
    let show = sandbox.write("show", "#!/bin/sh\nprintf '<%s>' \"$@\"\n");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&show, std::fs::Permissions::from_mode(0o755)).unwrap();
    let show = show.to_str().unwrap();
    for (args, expected) in [
        (&["connect", TARGET, "--", show, "a", "b c"][..], "<a><b c>"),
        (&["connect", TARGET, show, "a", "b c"], "<a><b c>"),
        (&["connect", TARGET, show, "-v", "-h", "x", "--", "--port"], "<-v><-h><x><--><--port>"),
        (&["connect", "-q", TARGET, "--min-ttl", "2m", show, "--min-ttl"], "<--min-ttl>"),
        (&["exec", TARGET, show, ""], "<>"),
        (&["login", TARGET, show, "x"], "<x>"),
        (&["run", TARGET, show, "x"], "<x>"),
        (&["connect", "-h", HOST, "-U", "u", "-P", "3306", "--", show, "x"], "<x>"),
        (&["connect", TARGET, "--client", show, "--", "-e", "SELECT 1"], "<-e><SELECT 1>"),
    ] {
        assert_eq!(sandbox.rds_token(args).succeeds(), expected, "{args:?}");
    }
    let client = sandbox.rds_token(["connect", TARGET, "--", "-e", "x"]).env("RDS_TOKEN_CLIENT", show);
    assert_eq!(client.succeeds(), "<-e><x>");
    let line = sandbox.rds_token(["connect", TARGET, "-e", "SELECT 1"]).fails(2);
    assert!(line.contains("arguments for the client go after --, as in `rds-token connect TARGET -- -e`"), "{line}");
    let line = sandbox.rds_token(["connect", "mysqldump", "db"]).fails(2);
    assert!(line.contains("TARGET comes before the program, as in `rds-token connect TARGET mysqldump`"), "{line}");
}

/// Logs in to the lab's servers with the clients of each engine.
#[test]
#[ignore = "needs database servers"]
fn arguments_after_dashes_go_to_the_client() {
    let Some(lab) = lab("arguments_after_dashes_go_to_the_client") else { return };
    for (prod, line) in [
        (&lab.mariadb, "rds-token connect prod -- -Ne 'SELECT CURRENT_USER()'"),
        (&lab.mariadb, "rds-token connect prod mariadb -Ne 'SELECT CURRENT_USER()'"),
        (&lab.mysql, "rds-token connect prod -- -NBe 'SELECT CURRENT_USER()'"),
        (&lab.mariadb, "rds-token connect pg -- -Atc 'SELECT CURRENT_USER'"),
        (&lab.mariadb, "rds-token connect pg psql -Atc 'SELECT CURRENT_USER'"),
    ] {
        let workspace = Workspace::with(&lab, Endpoint, prod);
        let (stdout, stderr) = texts(&workspace.command("sh").args(["-c", line]).output().unwrap());
        assert!(stdout.starts_with(&lab.user) && stderr.is_empty(), "{line}: {stdout}{stderr}");
        let verbose = line.replacen("connect", "-v connect", 1);
        let (_, stderr) = texts(&workspace.command("sh").args(["-c", &verbose]).output().unwrap());
        let about: Vec<&str> = stderr.lines().filter(|line| line.starts_with("rds-token: connect: /")).collect();
        let ca = workspace.sandbox.path("ca.pem");
        let endpoint = format!(" as {}@{}:", lab.user, lab.host);
        assert!(about.len() == 1 && about[0].contains(&endpoint), "{stderr}");
        assert!(about[0].ends_with(&format!("; CA for TLS: {}", ca.display())), "{stderr}");
    }
}

#[test]
fn familiar_flags_are_accepted() {
    let sandbox = Sandbox::new();
    let token = sandbox.rds_token([TARGET]).succeeds();
    for args in [
        &["-h", HOST, "-U", "dbiamuser", "-P", "3306", "-d", "x"][..],
        &[&format!("-h{HOST}"), "-u", "dbiamuser", "-P3306", "--dbname", "x"],
        &[
            "generate-db-auth-token",
            "--hostname",
            HOST,
            "--port",
            "3306",
            "--username",
            "dbiamuser",
            "--region",
            "eu-west-1",
        ],
        &["--region", "eu-west-1", "rds", "generate-db-auth-token", "-h", HOST, "-P", "3306", "-u", "dbiamuser"],
        &["rds", "generate-db-auth-token", "--hostname", HOST, "--port", "3306", "--username", "dbiamuser"],
        &["-q", "token", TARGET],
        &["token", "-h", HOST, "-P", "3306", "-u", "dbiamuser"],
    ] {
        assert_eq!(sandbox.rds_token(args).succeeds(), token, "{args:?}");
    }
    assert!(sandbox.rds_token(["-v", "token", TARGET]).warns().1.contains("the cache (hit)"));
    assert!(sandbox.rds_token(["--verbose", "env", TARGET, "--shell", "sh"]).warns().1.contains("(hit)"));
    for args in [&["-h"][..], &["connect", "-h"], &["env", TARGET, "-h"], &["cache", "clear", "-h"], &["ca", "-h"]] {
        assert!(sandbox.without_keys(args).succeeds().contains("Usage: rds-token"), "{args:?}");
    }
    // With an unset variable, `-h` must not print help in place of a token.
    assert!(sandbox.rds_token(["-h", "-u", "app"]).fails(2).contains("a value is required for '--host <HOST>'"));
}

#[test]
fn usage_errors_suggest_a_correct_line() {
    let sandbox = Sandbox::new();
    sandbox.write(".config/rds-token/config.toml", &format!("[target.prod]\nurl = 'mysql://app@{HOST}'\n"));
    for (args, part) in [
        (&["conect", "prod"][..], "there is no command 'conect'; did you mean 'connect'?"),
        (&["evn", "prod"], "there is no command 'evn'; did you mean 'env'?"),
        (&["conect"], "did you mean the command 'connect'?"),
        (&["prod", "mysql"], "to run a program logged in, use `rds-token connect prod mysql`"),
        (&["prod", "./x.sh"], "to run a program logged in, use `rds-token connect prod PROGRAM`"),
        (
            &["mysql", "prod"],
            "there is no command 'mysql'; to run mysql logged in, use `rds-token connect TARGET mysql`",
        ),
        (&["mysqldump", "db"], "to run mysqldump logged in, use `rds-token connect TARGET mysqldump`"),
        (&["mysqldump"], "TARGET comes before the program, as in `rds-token connect TARGET mysqldump`"),
        (&["connect", "mysql", "-e", "x"], "TARGET comes before the program"),
        (&["connect", "prod", "-p"], "use -P for the port, and omit the password"),
        (&["prod", "--query", "x"], "it is an option of the AWS CLI"),
        (&["targets", "--json"], "unexpected argument '--json'; see `rds-token --help`"),
        (&["list"], "`rds-token targets` lists the targets"),
        (&["init"], "the shell is missing; use bash, zsh, fish or powershell"),
        (&["help", "nosuch"], "there is no command 'nosuch'; see `rds-token --help`"),
        (&["cache", "nosuch"], "there is no command 'nosuch'; see `rds-token --help`"),
        (&["cache", "lst"], "there is no command 'lst'; did you mean 'list'?"),
        (&["-u", "x"], "the host is missing; use --host, or one of the configured targets: prod"),
        (&["-h", "prod"], "'prod' is a configured target, so use it without --host"),
        (&["prod", "--json"], "unexpected argument '--json'; use --output json"),
        (&["prod", "--password=x"], "the token is the password"),
        (&["prod", "--tiemout", "1"], "did you mean '--timeout'?"),
        (&["prod", "connect"], "put the command first"),
        (&["token", "prod", "other"], "use at most one TARGET"),
        (&["cache"], "cache: the command is missing; use path, list or clear"),
        (&[""], "TARGET is empty; set the variable that it comes from"),
        (&["connect", "", "--", "true"], "TARGET is empty"),
        (&["eve@pord"], "no target is named 'pord'; did you mean 'prod'?"),
        (&["nosuch"], "no target is named 'nosuch' in /"),
    ] {
        let line = sandbox.rds_token(args).fails(2);
        assert!(line.contains(part) && !line.contains("tip:"), "{args:?}: {line}");
    }
    let line = sandbox.rds_token(["connect", "prod", "SELECT 1"]).fails(127);
    assert!(
        line.contains("'SELECT 1' is not on PATH; write the program and its arguments as separate words"),
        "{line}"
    );
    let (_, warning) = sandbox.rds_token([&format!("app:CANARY@{HOST}:3306")]).warns();
    assert!(warning.contains("all of the text before '@' is the user") && !warning.contains("CANARY"), "{warning}");
    let output = sandbox.rds_token::<&str>([]).output();
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str(), stderr.lines().count()), (Some(2), "", 8), "{stderr}");
    assert!(stderr.starts_with("Usage: rds-token") && stderr.matches("\n  ").count() == 3, "{stderr}");
    // RDS_TOKEN_HOST makes TARGET optional.
    let env = sandbox.rds_token::<&str>([]).env("RDS_TOKEN_HOST", HOST).env("RDS_TOKEN_USER", "u");
    assert!(env.env("RDS_TOKEN_ENGINE", "mysql").succeeds().starts_with(HOST));
}

#[test]
fn a_configured_target_is_a_url_or_has_parts_replaced() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".config/rds-token/config.toml",
        &format!(
            "[target.prod]\nurl = 'mariadb://app@{HOST}/Ex'\n[target.pg]\nurl = 'jdbc:postgresql://{HOST}/Ex?user=rep'\n\
             port = 6432\n[target.token]\nurl = 'postgres://app@{HOST}'\nvia = ':15432'\n[target.nouser]\nhost = '{HOST}'\n\
             port = 3306\n"
        ),
    );
    let signed = |args: &[&str]| {
        let token = sandbox.rds_token(args).succeeds();
        let (address, rest) = token.split_once("/?Action=connect&DBUser=").unwrap();
        let port = address.rsplit_once(':').unwrap().1.to_owned();
        (rest.split('&').next().unwrap().to_owned(), port)
    };
    let is = |user: &str, port: &str| (user.to_owned(), port.to_owned());
    for (args, expected) in [
        (&["prod"][..], is("app", "3306")),
        (&["eve@prod"], is("eve", "3306")),
        (&["prod:3310"], is("app", "3310")),
        (&["prod/Other"], is("app", "3306")),
        (&["a@b@prod:3310/Other", "-u", "c"], is("c", "3310")),
        (&["pg"], is("rep", "6432")),
        // A target may have the name of a command.
        (&["token", "token"], is("app", "5432")),
        (&["x@token"], is("x", "5432")),
        (&["u@nouser"], is("u", "3306")),
    ] {
        assert_eq!(signed(args), expected, "{args:?}");
    }
    let lines = sandbox.rds_token(["env", "eve@pg/Other", "--shell", "sh"]).succeeds();
    assert!(lines.contains("PGDATABASE='Other'") && lines.contains("PGUSER='eve'"), "{lines}");
    let lines = sandbox.rds_token(["env", "token", "--shell", "sh"]).succeeds();
    assert!(lines.contains("PGHOSTADDR='127.0.0.1'") && lines.contains("PGPORT='15432'"), "{lines}");
    let lines = sandbox.rds_token(["env", "token", "--shell", "sh", "--via", "15433"]).succeeds();
    assert!(lines.contains("PGHOSTADDR='127.0.0.1'") && lines.contains("PGPORT='15433'"), "{lines}");

    assert_eq!(sandbox.without_keys(["targets"]).succeeds(), "nouser\npg\nprod\ntoken\n");
    let listed = sandbox.without_keys(["targets", "-v"]).succeeds();
    let expected = [
        format!("nouser\t-@{HOST}:3306\tmysql\n"),
        format!("pg\trep@{HOST}:6432\tpostgres\n"),
        format!("prod\tapp@{HOST}:3306\tmariadb\n"),
        format!("token\tapp@{HOST}:5432\tpostgres\n"),
    ];
    assert_eq!(listed, expected.concat());
    sandbox.write(
        ".config/rds-token/config.toml",
        "[target.a]\nhost = 'H:1'\n[target.b]\nengine = 'x'\n[target.c]\nurl = 'x'\n",
    );
    let listed = sandbox.without_keys(["targets", "-v"]).succeeds();
    assert!(listed.matches("\tinvalid: ").count() == 3 && listed.contains("set the port separately"), "{listed}");
    sandbox.write(".config/rds-token/config.toml", "");
    let (stdout, warning) = sandbox.without_keys(["targets"]).warns();
    assert!(stdout.is_empty() && warning.contains("no targets are configured; add [target.NAME] to /"), "{warning}");
}

/// An error about a value in the file or the environment names its origin.
#[test]
fn errors_name_the_origin_of_a_value() {
    let sandbox = Sandbox::new();
    for (text, part) in [
        ("[target.t]\nhost = 'HOST'\nuser = 'u'\nport = 99999", "[target.t]: port '99999' is not a number"),
        ("[target.t]\nhost = 'HOST'\nuser = 'u'", "there is no port; add port to [target.t], or use --port"),
        ("[target.t]\nhost = 'HOST'\nport = 3306", "there is no user; add user to [target.t], or use --user"),
        ("[target.t]\nhost = 'a..b'\nuser = 'u'\nport = 1", "[target.t]: host 'a..b' has an empty label"),
        (
            "[target.t]\nurl = 'oracle://u:CANARY@HOST'",
            "configuration: url in [target.t]: scheme 'oracle' is not known",
        ),
        ("[target.t]\nurl = 'u@HOST'", "configuration: url in [target.t]: it has no scheme"),
        ("[target.t]\nurl = 'mysql://u:CAN/ARY@HOST'", "configuration: url in [target.t]: the URL has an '@' after"),
        ("[target.t]\nurl = 'mysql://u@HOST'\nvia = 'x'", "[target.t]: via: 'x' is not HOST:PORT"),
        ("[target.t]\nurl = 'mysql://u@HOST'\nmin_ttl = '1h'", "[target.t]: min_ttl '1h'"),
        ("[target.t]\nurl = 'mysql://u@HOST'\nca = 'x'", "[target.t]: ca: x is not absolute"),
        ("[target.t]\nurl = 'mysql://u@HOST'\nrole_arn = 'x'", "[target.t]: role: 'x' is not the ARN"),
        (
            "[defaults]\nuser = \"a\\u0007b\"\n[target.t]\nhost = 'HOST'\nport = 1",
            "[defaults]: user 'a\\u{7}b' has the character",
        ),
        ("[defaults]\ncache = 'x'\n[target.t]\nurl = 'mysql://u@HOST'", "[defaults]: cache: 'x' is unknown"),
    ] {
        sandbox.write(".config/rds-token/config.toml", &text.replace("HOST", HOST));
        let line = sandbox.rds_token(["t"]).fails(2);
        assert!(line.contains(part) && !line.contains("CANARY"), "{text}: {line}");
    }
    let engine = format!("[target.t]\nhost = '{HOST}'\nuser = 'u'\nport = 23307\n");
    sandbox.write(".config/rds-token/config.toml", &engine);
    let line = sandbox.rds_token(["env", "t", "--shell", "sh"]).fails(2);
    assert!(line.contains("add engine = \"mysql\", \"mariadb\" or \"postgres\" to [target.t]"), "{line}");
    sandbox.write(".config/rds-token/config.toml", &format!("{engine}profile = 'empty'\n"));
    assert!(sandbox.rds_token(["t"]).fails(3).contains("profile 'empty', named in [target.t], is not in"));
    sandbox.write(".aws/config", "[profile empty]\nregion = eu-west-1\n");
    assert!(sandbox.rds_token(["t"]).fails(3).contains("or remove profile from [target.t]"));
    let line = sandbox.rds_token(["--host", HOST, "-u", "u"]).env("RDS_TOKEN_PORT", "x").fails(2);
    assert!(line.contains("RDS_TOKEN_PORT: port 'x' is not a number"), "{line}");
    // Errors about flags name no origin.
    assert!(sandbox.rds_token(["t", "-P", "x"]).fails(2).contains("target: port 'x' is not a number"));
}

/// The password of an application's URL is neither used nor shown.
#[test]
fn a_password_in_a_url_is_ignored_with_a_warning() {
    let sandbox = Sandbox::new();
    let token = sandbox.rds_token([TARGET]).succeeds();
    sandbox
        .write(".config/rds-token/config.toml", &format!("[target.t]\nurl = 'mysql2://dbiamuser:CANARY@{HOST}/x'\n"));
    for target in [
        format!("mysql://dbiamuser:CANARY@{HOST}/db"),
        format!("mysql+pymysql://dbiamuser:CAN:ARY@{HOST}/db?charset=utf8"),
        format!("jdbc:mysql://{HOST}/db?user=dbiamuser&password=CANARY"),
        "t".to_owned(),
    ] {
        let (stdout, stderr) = sandbox.rds_token(["-v", "token", &target]).warns();
        assert_eq!(stdout, token, "{target}");
        let warning = "warning: target: the password in the URL is ignored, because the token is the password";
        assert!(stderr.contains(warning) && !stderr.contains("CANARY"), "{target}: {stderr}");
    }
}

#[test]
fn env_defaults_to_sh() {
    let sandbox = Sandbox::new();
    let lines = |shell: Option<&str>| {
        let run = sandbox.rds_token(["env", TARGET]).without("SHELL");
        match shell {
            Some(shell) => run.env("SHELL", shell),
            None => run,
        }
    };
    assert!(lines(None).succeeds().starts_with("export MYSQL_HOST='"));
    assert!(lines(Some("/usr/bin/fish")).succeeds().starts_with("set -gx MYSQL_HOST '"));
    assert!(lines(Some("/bin/tcsh")).fails(2).contains("SHELL is '/bin/tcsh', which is not supported"));
}

/// The GitHub runner reads masks only from its own stdout, not from a file.
#[test]
fn github_refuses_a_file_as_stdout() {
    let sandbox = Sandbox::new();
    let variables = sandbox.write("github_env", "BEFORE=1\n");
    // A token in another format would not be masked in that file either.
    let log = sandbox.path("log");
    let lines = [
        ("env $1 --shell github", &variables),
        ("env $1 --shell github", &log),
        ("env $1 --shell dotenv", &variables),
        ("env $1 --shell sh", &variables),
        ("$1", &variables),
        ("$1 --output json", &variables),
        ("cnf $1 --flavor mysql --stdout", &variables),
    ];
    for (line, file) in lines {
        let mut shell = sandbox.command("sh");
        shell.args(["-c", &format!("exec \"$0\" {line} >> \"$2\""), PROGRAM, TARGET]).arg(file);
        let output = shell.envs(crate::harness::KEYS).env("GITHUB_ENV", &variables).output().unwrap();
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("so the runner would not mask the token; "), "{stderr}");
        assert!(stderr.contains("itself writes to the file"), "{stderr}");
        let text = std::fs::read_to_string(&variables).unwrap();
        assert!(text.starts_with("BEFORE=1\n") && !text.contains("X-Amz"), "{text}");
    }
}

#[test]
fn gitlab_gets_a_dotenv_file_and_a_warning() {
    let sandbox = Sandbox::new();
    let postgres = format!("postgres://u@{HOST}");
    let env = |shell: &str, flags: &[&str]| sandbox.rds_token([&["env", &postgres, "--shell", shell], flags].concat());
    let (lines, warning) = env("gitlab", &[]).warns();
    assert_eq!(lines, env("dotenv", &[]).succeeds());
    assert!(warning.contains("GitLab does not mask the variables of a dotenv report"), "{warning}");
    env("gitlab", &["-q"]).succeeds();
    assert!(env("gitlab", &["--no-secret"]).warns().1.contains("the next job may run on another one"));
}

/// `rds-env --unset` restores the user's values, in each shell.
#[test]
fn variables_are_restored_by_the_shell_integration() {
    for shell in ["bash", "zsh", "fish"] {
        if !has(shell) {
            skip("variables_are_restored_by_the_shell_integration", &format!("{shell} is not installed"));
            continue;
        }
        let sandbox = Sandbox::new();
        let init = if shell == "fish" { "rds-token init fish | source" } else { "eval \"$(rds-token init SHELL)\"" };
        let script = format!(
            "{}\nrds-env postgres://u@{HOST}\nenv -0 >loaded\nrds-env mysql://u@{HOST}\nrds-env postgres://v@{HOST}\n\
             rds-env --unset\nrds-env --unset\nenv -0 >restored\n",
            init.replace("SHELL", shell)
        );
        let mut command = sandbox.command(shell);
        let path = format!("{}:/usr/bin:/bin", std::path::Path::new(PROGRAM).parent().unwrap().display());
        let no_rc = match shell {
            "bash" => "--norc",
            "zsh" => "-f",
            _ => "--no-config",
        };
        command.arg(no_rc).args(["-c", &script]).envs(crate::harness::KEYS).env("PATH", path);
        let own =
            [("PGHOST", "my'o\\w\"n $x"), ("PGPASSWORD", "s3cr3t"), ("PGSERVICE", "svc"), ("MYSQL_HOME", "/opt/my")];
        let output = command.envs(own).output().unwrap();
        assert_eq!(texts(&output), (String::new(), String::new()), "{shell}");
        let variables = |file: &str| -> Vec<(String, String)> {
            let text = std::fs::read_to_string(sandbox.path(file)).unwrap();
            let pairs = text.split_terminator('\0').filter_map(|pair| pair.split_once('='));
            let is_ours = |name: &str| ["PG", "MYSQL_", "MARIADB_", "RDS_TOKEN_"].iter().any(|p| name.starts_with(p));
            let mut pairs: Vec<_> =
                pairs.filter(|(name, _)| is_ours(name)).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            pairs.sort();
            pairs
        };
        let loaded = variables("loaded");
        assert!(loaded.contains(&("PGHOST".to_owned(), HOST.to_owned())), "{shell}: {loaded:?}");
        assert!(!loaded.iter().any(|(name, _)| name == "PGSERVICE" || name == "RDS_TOKEN_SAVED"), "{loaded:?}");
        let mut expected = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        expected.sort();
        assert_eq!(variables("restored"), expected, "{shell}");
    }
    // Without the integration, `env` does not print the user's values.
    let lines = Sandbox::new().rds_token(["env", TARGET, "--shell", "sh"]).env("PGPASSWORD", "s3cr3t").succeeds();
    assert!(!lines.contains("s3cr3t"), "{lines}");
}
