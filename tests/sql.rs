//! `rds-token sql`: its statements on real servers, and `--apply` as a master user with a password.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::architecture::files_below;
use crate::harness::{PROGRAM, Run, Sandbox, can_mount, on_terminal, skip, texts};
use crate::moto::{LabDatabase, moto};
use crate::servers::{Lab, Server, lab};

const ENGINES: [&str; 3] = ["mariadb", "mysql", "postgres"];

/// Names that need quoting in at least one engine.
const NAMES: [&str; 8] =
    ["jane", "o'neil\"x", "a b", "back\\slash\\", "tick`s", "é漢", "100%_$$ $rds_token$", ":x;--#/* E'"];

/// One server of the lab, and a home directory of its user.
struct Session<'a> {
    lab: &'a Lab,
    engine: &'static str,
    database: &'a str,
    ca: &'a str,
    sandbox: Sandbox,
}

impl<'a> Session<'a> {
    fn new(lab: &'a Lab, engine: &'static str) -> Self {
        Self { lab, engine, database: &lab.database, ca: &lab.ca, sandbox: Sandbox::new() }
    }

    fn server(&self) -> &Server {
        match self.engine {
            "mariadb" => &self.lab.mariadb,
            "mysql" => &self.lab.mysql,
            _ => &self.lab.postgres,
        }
    }

    fn prepare(&self, command: &mut Command) {
        let key = self.lab.key("static");
        command.env("LC_ALL", "C.UTF-8").env("AWS_ACCESS_KEY_ID", key.access_key_id);
        command.env("AWS_SECRET_ACCESS_KEY", key.secret_access_key);
        let path = std::env::var_os("PATH").unwrap();
        let directories = self.server().bin.clone().into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(directories).unwrap());
        self.lab.on_loopback(command);
    }

    /// Prepares a command of rds-token for this user.
    fn rds_token(&self, command: &str, user: &str, args: &[&str]) -> Run {
        let port = self.server().port.to_string();
        let target = [
            command,
            "--engine",
            self.engine,
            "--host",
            &self.lab.host,
            "--port",
            &port,
            "--user",
            user,
            "--database",
            self.database,
            "--ca",
            self.ca,
        ];
        let mut run = self.sandbox.without_keys(target.iter().chain(args));
        self.prepare(&mut run.command);
        run
    }

    /// Prepares `sql --apply`, with this password on stdin.
    fn apply(&self, user: &str, password: &str, args: &[&str]) -> Run {
        let mut run = self.rds_token("sql", user, &[&["--apply", "--password-fd", "0"], args].concat());
        run.command.stdin(pipe_with(password));
        run
    }

    /// Runs SQL with the engine's client, which verifies the server, as a user with a password.
    fn client(&self, user: &str, password: &str, database: &str, sql: &str) -> Output {
        let (host, port) = (&self.lab.host, self.server().port.to_string());
        let mut command = if self.engine == "postgres" {
            let mut command = self.sandbox.command("psql");
            command.args(["-XAtq", "-v", "ON_ERROR_STOP=1"]).env("PGPASSWORD", password).env("PGDATABASE", database);
            command.env("PGHOST", host).env("PGPORT", port).env("PGUSER", user);
            command.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", &self.lab.ca);
            command
        } else {
            let mut command = self.sandbox.command(self.engine);
            let verify = if self.engine == "mysql" { "--ssl-mode=VERIFY_IDENTITY" } else { "--ssl-verify-server-cert" };
            command.args(["--no-defaults", "-N", "--raw", verify]).arg(format!("--ssl-ca={}", self.lab.ca));
            command.args(["-h", host, "-P", &port, "-u", user, database]).env("MYSQL_PWD", password);
            command
        };
        self.prepare(&mut command);
        command.stdin(pipe_with(sql)).output().unwrap()
    }

    /// Runs SQL as the master user, and returns its output. Panics if it fails.
    #[track_caller]
    fn as_master(&self, database: &str, sql: &str) -> String {
        let output = self.client(&self.server().master, &self.lab.master_password, database, sql);
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{}: {stderr}", self.engine);
        stdout
    }

    /// Prepares a query as `user`, with a token.
    fn query(&self, user: &str, sql: &str) -> Run {
        let args: &[&str] = if self.engine == "postgres" { &["--", "-Atc", sql] } else { &["--", "-Ne", sql] };
        self.rds_token("connect", user, args)
    }

    #[track_caller]
    fn assert_logs_in(&self, user: &str) {
        let greeting = format!("hello from {}\n", self.engine);
        assert_eq!(self.query(user, "SELECT text FROM greeting").succeeds(), greeting, "{user}");
    }
}

/// Returns the reading end of a pipe that contains `text`.
fn pipe_with(text: &str) -> Stdio {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    Stdio::from(reader)
}

#[test]
#[ignore = "needs database servers"]
fn printed_statements_can_run_twice() {
    let Some(lab) = lab("printed_statements_can_run_twice") else { return };
    for engine in ENGINES {
        let session = Session::new(&lab, engine);
        for name in NAMES {
            let sql = session.rds_token("sql", name, &["-q"]).succeeds();
            session.as_master(&lab.database, &sql);
            session.as_master(&lab.database, &sql);
            session.assert_logs_in(name);
        }
    }
}

/// In these modes, servers read quotes and backslashes differently.
#[test]
#[ignore = "needs database servers"]
fn printed_statements_do_not_depend_on_the_mode_of_the_session() {
    let Some(lab) = lab("printed_statements_do_not_depend_on_the_mode_of_the_session") else { return };
    let modes = [
        ("mariadb", "SET sql_mode = 'NO_BACKSLASH_ESCAPES';"),
        ("mysql", "SET sql_mode = 'NO_BACKSLASH_ESCAPES';"),
        ("mariadb", "SET sql_mode = 'ANSI_QUOTES';"),
        ("mysql", "SET sql_mode = 'ANSI_QUOTES';"),
        ("postgres", "SET standard_conforming_strings = off;"),
    ];
    for (index, (engine, mode)) in modes.into_iter().enumerate() {
        let session = Session::new(&lab, engine);
        let name = format!("mode{index}'\"`\\ \\");
        let sql = session.rds_token("sql", &name, &["-q"]).succeeds();
        session.as_master(&lab.database, &format!("{mode}\n{sql}"));
        session.assert_logs_in(&name);
    }
}

#[test]
#[ignore = "needs database servers"]
fn apply_can_run_twice() {
    let Some(lab) = lab("apply_can_run_twice") else { return };
    for engine in ENGINES {
        let session = Session::new(&lab, engine);
        for name in NAMES.map(|name| format!("{name}2")) {
            for _ in 0..2 {
                let stdout = session.apply(&name, &format!("{}\n", lab.master_password), &["-q"]).succeeds();
                assert!(stdout.starts_with(&format!("The user '{name}' can log in to {}:", lab.host)), "{stdout}");
            }
            session.assert_logs_in(&name);
        }
    }
}

#[test]
#[ignore = "needs database servers"]
fn apply_converts_a_user_with_a_password() {
    let Some(lab) = lab("apply_converts_a_user_with_a_password") else { return };
    for engine in ENGINES {
        let session = Session::new(&lab, engine);
        let create = match engine {
            "postgres" => "CREATE ROLE old LOGIN PASSWORD 'pw'; GRANT SELECT ON greeting TO old;".to_owned(),
            _ => format!("CREATE USER old@'%' IDENTIFIED BY 'pw'; GRANT SELECT ON {}.* TO old@'%';", lab.database),
        };
        session.as_master(&lab.database, &create);
        let logs_in = || session.client("old", "pw", &lab.database, "SELECT 1;").status.success();
        assert!(logs_in(), "{engine}");
        let (_, stderr) = session.apply("old", &lab.master_password, &[]).warns();
        assert!(stderr.starts_with("rds-token: warning: sql: 'old' can then log in only with a token"), "{stderr}");
        assert!(!logs_in(), "{engine}: the password still works");
        session.assert_logs_in("old");
    }
}

#[test]
#[ignore = "needs database servers"]
fn the_access_is_limited() {
    let Some(lab) = lab("the_access_is_limited") else { return };
    for engine in ENGINES {
        let session = Session::new(&lab, engine);
        session.apply("reader", &lab.master_password, &["-q", "--read-only"]).succeeds();
        session.apply("writer", &lab.master_password, &["-q"]).succeeds();
        // A table that did not exist when the privileges were granted.
        session.as_master(&lab.database, "CREATE TABLE later (n INT); INSERT INTO later VALUES (7);");
        assert_eq!(session.query("reader", "SELECT n FROM later").succeeds(), "7\n");
        let denied = if engine == "postgres" { "permission denied" } else { "command denied" };
        for (user, sql) in [
            ("reader", "INSERT INTO later VALUES (1)"),
            ("reader", "DELETE FROM greeting"),
            ("writer", "DROP TABLE later"),
        ] {
            let (_, stderr) = texts(&session.query(user, sql).output());
            assert!(stderr.contains(denied) || stderr.contains("must be owner"), "{engine}, {sql}: {stderr}");
        }
        session.query("writer", "INSERT INTO later VALUES (8)").succeeds();
        session.query("writer", "DELETE FROM later WHERE n = 8").succeeds();
        session.as_master(&lab.database, "DROP TABLE later;");
    }
}

/// `_` is a wildcard in GRANT.
#[test]
#[ignore = "needs database servers"]
fn a_grant_is_for_one_database() {
    let Some(lab) = lab("a_grant_is_for_one_database") else { return };
    for engine in ["mariadb", "mysql"] {
        let session = Session::new(&lab, engine);
        session.as_master(&lab.database, "CREATE DATABASE `a_b`; CREATE DATABASE `axb`;");
        let session = Session { database: "a_b", ..session };
        session.apply("narrow", &lab.master_password, &["-q"]).succeeds();
        let databases = session.rds_token("connect", "narrow", &["--", "-Ne", "SHOW DATABASES"]).succeeds();
        assert!(databases.contains("a_b") && !databases.contains("axb"), "{databases}");
        session.as_master(&lab.database, "DROP DATABASE `a_b`; DROP DATABASE `axb`;");
    }
}

#[test]
#[ignore = "needs database servers"]
fn grants_in_another_postgres_database_are_refused() {
    let Some(lab) = lab("grants_in_another_postgres_database_are_refused") else { return };
    let session = Session::new(&lab, "postgres");
    let sql = session.rds_token("sql", "misplaced", &["-q"]).succeeds();
    let output = session.client(&session.server().master, &lab.master_password, "postgres", &sql);
    let expected =
        format!("these grants are for the database \"{}\", and this session is in \"postgres\"", lab.database);
    assert!(!output.status.success() && texts(&output).1.contains(&expected), "{output:?}");
}

#[test]
#[ignore = "needs database servers"]
fn a_wrong_master_password_is_an_error() {
    let Some(lab) = lab("a_wrong_master_password_is_an_error") else { return };
    for engine in ENGINES {
        let session = Session::new(&lab, engine);
        let error = session.apply("nobody", "CANARY-4711", &[]).fails(1);
        let expected = if engine == "postgres" { "FATAL:  password authentication failed" } else { "ERROR 1045 " };
        assert!(error.contains(expected), "{error}");
        assert!(error.ends_with("; check the password, and the name in --master-user"), "{error}");
        let output = session.apply("nobody", "CANARY-4711", &["-v"]).output();
        assert!(!texts(&output).1.contains("CANARY"), "{output:?}");
    }
}

#[test]
#[ignore = "needs database servers"]
fn a_failure_changes_nothing_in_postgres() {
    let Some(lab) = lab("a_failure_changes_nothing_in_postgres") else { return };
    let session = Session::new(&lab, "postgres");
    session.as_master(&lab.database, "CREATE ROLE owner LOGIN PASSWORD 'pw'; GRANT CREATE ON SCHEMA public TO owner;");
    let as_owner = |sql: &str| assert!(session.client("owner", "pw", &lab.database, sql).status.success(), "{sql}");
    as_owner("CREATE TABLE foreign_table (n INT);");
    let error = session.apply("undone", &lab.master_password, &[]).fails(1);
    as_owner("DROP TABLE foreign_table;");
    assert!(
        error.contains("permission denied for table foreign_table; use --master-user with a user that may"),
        "{error}"
    );
    let count = session.as_master(&lab.database, "SELECT count(*) FROM pg_roles WHERE rolname = 'undone';");
    assert_eq!(count, "0\n");
}

#[test]
#[ignore = "needs database servers"]
fn the_server_is_verified() {
    let Some(lab) = lab("the_server_is_verified") else { return };
    for engine in ENGINES {
        let session = Session { ca: &lab.other_ca, ..Session::new(&lab, engine) };
        let error = session.apply("nobody", &lab.master_password, &[]).fails(1);
        assert!(error.contains("certificate") && error.contains("; use the endpoint as the host, or --ca"), "{error}");
    }
}

/// Options and variables of the user can neither redirect the client nor let it continue after an error.
#[test]
#[ignore = "needs database servers"]
fn the_users_own_settings_are_ignored() {
    let Some(lab) = lab("the_users_own_settings_are_ignored") else { return };
    for engine in ENGINES {
        let session = Session::new(&lab, engine);
        session.sandbox.write(".my.cnf", "[client]\nuser=mallory\n[mysql]\nforce\ninit-command=SELECT nothing\n");
        session.sandbox.write(".psqlrc", "\\set ON_ERROR_STOP 0\nSELECT nothing;\n");
        let run = session.apply("plain", &lab.master_password, &["-q"]);
        let run = run.env("PGSERVICE", "nothing").env("PGHOSTADDR", "127.0.0.2").env("PGOPTIONS", "-c role=nothing");
        run.env("MYSQL_PWD", "wrong").env("MYSQL_HOST", "127.0.0.2").succeeds();
        // `connect` includes the user's own file.
        std::fs::remove_file(session.sandbox.path("home/.my.cnf")).unwrap();
        std::fs::remove_file(session.sandbox.path("home/.psqlrc")).unwrap();
        session.assert_logs_in("plain");
    }
}

/// A script in place of the client prints its arguments and variables, and those of its parent.
#[test]
#[ignore = "needs database servers"]
fn the_master_password_is_only_in_memory() {
    let Some(lab) = lab("the_master_password_is_only_in_memory") else { return };
    for engine in ENGINES {
        let session = Session::new(&lab, engine);
        let name = if engine == "postgres" { "psql" } else { engine };
        let path = session.server().bin.as_ref().map_or(PathBuf::from(name), |bin| bin.join(name));
        let trace = session.sandbox.path("trace");
        let wrapper = tracing_client(&session.sandbox, name, &path, &trace);
        session.apply("traced", &lab.master_password, &["-q", "--client", wrapper.to_str().unwrap()]).succeeds();
        let trace = String::from_utf8_lossy(&std::fs::read(trace).unwrap()).into_owned();
        let expected =
            if engine == "postgres" { "PGPASSFILE=/proc/self/fd/" } else { "--defaults-file=/proc/self/fd/" };
        assert!(trace.contains(expected) && trace.contains("--password-fd"), "{trace}");
        let is_found = |text: &str| text.contains(&lab.master_password) || text.contains("MYSQL_PWD");
        assert!(!is_found(&trace) && !trace.contains("PGPASSWORD"), "{trace}");
        for file in files_below(&session.sandbox.path("")) {
            assert!(!is_found(&String::from_utf8_lossy(&std::fs::read(&file).unwrap())), "{}", file.display());
        }
    }
}

const PROMPT: &str = "Password of";

#[test]
#[ignore = "needs database servers"]
fn the_prompt_does_not_echo_the_password() {
    let Some(lab) = lab("the_prompt_does_not_echo_the_password") else { return };
    for engine in ENGINES {
        let session = Session::new(&lab, engine);
        let run = session.rds_token("sql", "typed", &["--apply", "-q"]);
        let (mut terminal, transcript) = on_terminal(&session.sandbox, &run.command, &[(PROMPT, &lab.master_password)]);
        let (stdout, stderr) = texts(&terminal.output().unwrap());
        assert!(stdout.starts_with("The user 'typed' can log in") && stderr.is_empty(), "{stdout}{stderr}");
        let prompt = format!("Password of {}@{}:{}: \r\n", session.server().master, lab.host, session.server().port);
        assert_eq!(std::fs::read_to_string(transcript).unwrap(), prompt);
        session.assert_logs_in("typed");
    }
}

/// Runs a shell script on a terminal, with `--apply` for a client that fails as `$@`. `prompt` is answered. Returns its output
/// and exit code.
fn run_on_terminal(script: &str, prompt: &str) -> (String, Option<i32>) {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("mariadb"), "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(sandbox.path("mariadb"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut shell = sandbox.command("sh");
    shell.args(["-c", script, "sh", PROGRAM, "sql", URL, "--apply", "--client", "./mariadb"]);
    let (mut terminal, _) = on_terminal(&sandbox, &shell, &[(prompt, "wrong")]);
    let output = terminal.output().unwrap();
    (texts(&output).0, output.status.code())
}

#[test]
fn echo_is_on_after_the_prompt() {
    if !Path::new("/usr/bin/python3").exists() {
        return skip("echo_is_on_after_the_prompt", "python3 is not installed");
    }
    // A second process sends the signal as soon as echo is off.
    let kill = "(until stty -a </dev/tty | grep -q -e -echo\\ ; do sleep 0.01; done; kill -TERM $$) &";
    let signaled = format!("sh -c '{kill} exec \"$@\"' sh \"$@\"");
    for (run, prompt, expected) in [("\"$@\"", PROMPT, 1), (&signaled, "no prompt", 143)] {
        let script = format!("{run}; code=$?; stty -a </dev/tty; exit $code");
        let (settings, code) = run_on_terminal(&script, prompt);
        assert!(settings.split_whitespace().any(|word| word == "echo"), "{script}: {settings}");
        assert_eq!(code, Some(expected), "{script}");
    }
}

const URL: &str = "mariadb://app@db.abc123.eu-west-1.rds.amazonaws.com/ExampleDB";

#[test]
fn statements_need_no_host_and_no_credentials() {
    let sandbox = Sandbox::new();
    let sql = sandbox.without_keys(["sql", "-q", "--engine", "mysql", "--user", "app"]).succeeds();
    assert!(sql.contains("CREATE USER IF NOT EXISTS `app`@'%' ") && sql.contains("-D DATABASE"), "{sql}");
    let by_id = sandbox.without_keys(["sql", "-q", "--engine", "mysql", "--user", "app", "--id", "prod-1"]).succeeds();
    assert_eq!(by_id, sql);
    sandbox.write(".config/rds-token/config.toml", "[target.prod]\nurl = \"postgres://eve@cname.example.com/D\"\n");
    let sql = sandbox.without_keys(["sql", "prod", "-q", "--read-only"]).succeeds();
    assert!(sql.contains("GRANT CONNECT ON DATABASE \"D\" TO \"eve\";") && !sql.contains("INSERT"), "{sql}");
    assert_eq!(
        sandbox.without_keys(["sql", "app@prod", "-q"]).env("RDS_TOKEN_USER", "x").succeeds().matches("\"x\"").count(),
        0
    );
}

#[test]
#[ignore = "needs moto"]
fn an_identifier_determines_the_engine() {
    let Some(moto) = moto("an_identifier_determines_the_engine") else { return };
    let sandbox = Sandbox::new();
    for (id, engine, expected) in [
        ("sql-my", "mysql", "CREATE USER IF NOT EXISTS `app`@'%'"),
        ("sql-pg", "postgres", "CREATE ROLE \"app\" LOGIN;"),
    ] {
        moto.seed(&format!(
            "client('rds').create_db_instance(DBInstanceIdentifier='{id}', Engine='{engine}', \
             DBInstanceClass='db.t3.micro', AllocatedStorage=20, MasterUsername='boss', MasterUserPassword='secret99')"
        ));
        let sql = moto.rds_token(&sandbox, ["sql", "-q", "--id", id, "--user", "app"]).succeeds();
        assert!(sql.contains(expected), "{sql}");
    }
}

#[test]
fn errors_name_a_remedy() {
    let sandbox = Sandbox::new();
    for (args, code, expected) in [
        (&["--engine", "mysql"][..], 2, "target: there is no user; use USER@HOST or --user"),
        (&["app@db.x:99"], 2, "sql: port 99 does not determine the engine; use --engine mysql, mariadb or postgres"),
        (&["mysql://admin@db.x"], 2, "sql: 'admin' is the master user, whose password would no longer work"),
        (&["mysql://a%20@db.x"], 2, "sql: user 'a ' begins or ends with a space, which the server removes"),
        (&[URL, "--client", "mysql"], 2, "sql: --client requires --apply; add --apply to run the statements"),
        (&[URL, "--password-fd", "3"], 2, "sql: --password-fd requires --apply"),
        (&[URL, "--apply", "--master-user", "a\nb"], 2, "sql: --master-user 'a\\nb' is not a user name"),
        (&[URL, "--apply", "--client", "nothing"], 1, "sql: 'nothing' is not on PATH; install it, use --client"),
        (&[URL, "--apply", "--client", "sh", "--password-fd", "0"], 2, "is not mysql or mariadb; use --client mysql"),
        (&["mysql://app@", "--apply"], 2, "target: "),
        (&["--id", "prod-1", "--user", "app", "--region", "eu-west-1"], 3, "AWS credentials: "),
        (&[URL, "--password", "x"], 2, "unexpected argument '--password'; use --password-fd 0"),
    ] {
        let error = sandbox.without_keys(["sql"].iter().chain(args)).fails(code);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

/// The user of a proxy is in the database behind it, and may need a password there.
#[test]
fn a_proxy_has_no_users() {
    let sandbox = Sandbox::new();
    let url = "mysql://app@pool.proxy-abc123.eu-west-1.rds.amazonaws.com/ExampleDB";
    let (stdout, stderr) = sandbox.without_keys(["sql", url]).warns();
    assert!(stdout.contains("CREATE USER IF NOT EXISTS `app`@'%'"), "{stdout}");
    assert!(stderr.contains("is a proxy: run the statements in the database behind it, and only if"), "{stderr}");
    let line = sandbox.without_keys(["sql", url, "--apply"]).fails(2);
    assert!(line.contains("is a proxy, and --apply would change the user that the proxy logs in with"), "{line}");
}

#[test]
fn an_unreadable_password_is_an_error() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("mariadb"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(sandbox.path("mariadb"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let apply =
        |args: &[&str]| sandbox.without_keys(["sql", URL, "--apply", "--client", "./mariadb"].iter().chain(args));
    let error = apply(&["--password-fd", "73"]).fails(1);
    assert!(error.contains("file descriptor 73") && error.ends_with("as in --password-fd 3 3< FILE"), "{error}");
    for (password, expected) in
        [("", "is empty"), ("a\nb\n", "contains a line break"), (&"x".repeat(1_025), "is longer than 1024 bytes")]
    {
        let mut run = apply(&["--password-fd", "0"]);
        run.command.stdin(pipe_with(password));
        assert!(run.fails(2).contains(expected), "{password}");
    }
    // MariaDB's client would send the password to any server.
    assert!(apply(&["--via", "localhost:1"]).fails(2).contains("can't verify the server through --via"));
}

/// Writes a client that appends its own arguments and variables, and those of its parent, to `trace`. Returns its path.
fn tracing_client(sandbox: &Sandbox, name: &str, path: &Path, trace: &Path) -> PathBuf {
    let wrapper = sandbox.path(name);
    let script = format!(
        "#!/bin/sh\nfor pid in $$ $PPID; do cat /proc/$pid/cmdline /proc/$pid/environ; done >>{} 2>/dev/null\n\
         exec {} \"$@\"\n",
        trace.display(),
        path.display()
    );
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o700)).unwrap();
    wrapper
}

/// The user that was created with the secret of RDS logs in, and the password is only in memory.
#[test]
#[ignore = "needs moto and database servers"]
fn the_managed_secret_runs_the_statements() {
    let test = "the_managed_secret_runs_the_statements";
    let (Some(lab), Some(moto)) = (lab(test), moto(test)) else { return };
    if !can_mount() {
        return skip(test, "no mounts in a namespace");
    }
    for engine in ENGINES {
        let database = LabDatabase { moto, lab: &lab, engine };
        database.seed(true);
        let sandbox = Sandbox::new();
        let name = if engine == "postgres" { "psql" } else { engine };
        let path = database.server().bin.as_ref().map_or(PathBuf::from(name), |bin| bin.join(name));
        let trace = sandbox.path("trace");
        let client = tracing_client(&sandbox, name, &path, &trace);
        let url = format!("{engine}://managed@{}:{}/{}", lab.host, database.server().port, lab.database);
        let secret = ["--apply", "--master-secret", "-v", "--client", client.to_str().unwrap()];
        let mut printed = String::new();
        for target in [&["--id", "db", "-u", "managed", "-D", &lab.database][..], &[&url]] {
            let args = [&["sql"], target, &secret].concat();
            let (stdout, stderr) = Run { command: database.in_namespace(&sandbox, &args) }.warns();
            assert!(stdout.starts_with("The user 'managed' can log in to "), "{stdout}");
            printed += &(stdout + &stderr);
            let query: &[&str] = if engine == "postgres" { &["--", "-Atc"] } else { &["--", "-Ne"] };
            let args = [&["connect"], target, query, &["SELECT text FROM greeting"]].concat();
            let connect = Run { command: database.in_namespace(&sandbox, &args) };
            assert_eq!(connect.succeeds(), format!("hello from {engine}\n"));
        }
        let trace = String::from_utf8_lossy(&std::fs::read(trace).unwrap()).into_owned();
        assert!(trace.contains("--master-secret") && trace.contains("/proc/self/fd/"), "{trace}");
        let is_found = |text: &str| text.contains(&lab.master_password) || text.contains("MYSQL_PWD");
        assert!(!is_found(&trace) && !trace.contains("PGPASSWORD") && !is_found(&printed), "{trace}{printed}");
        for file in files_below(&sandbox.path("")) {
            assert!(!is_found(&String::from_utf8_lossy(&std::fs::read(&file).unwrap())), "{}", file.display());
        }
    }
}

/// A client that prints the password in its option file as an error.
const SHOWING_CLIENT: &str =
    "#!/bin/sh\nfile=${1#--defaults-file=}\necho \"ERROR $(grep -c \"$EXPECTED\" <$file)\" >&2\nexit 1\n";

#[test]
#[ignore = "needs moto"]
fn the_secret_belongs_to_the_instance_or_to_its_cluster() {
    let Some(moto) = moto("the_secret_belongs_to_the_instance_or_to_its_cluster") else { return };
    let hosts = moto.seed(
        "import json\n\
         c, common = client('rds', 'us-west-1'), dict(MasterUsername='boss', ManageMasterUserPassword=True)\n\
         c.create_db_cluster(DBClusterIdentifier='main', Engine='aurora-mysql', **common)\n\
         c.create_db_instance(DBInstanceIdentifier='main-1', Engine='aurora-mysql', DBInstanceClass='db.t3.medium',\n\
         \x20   DBClusterIdentifier='main')\n\
         c.create_db_instance(DBInstanceIdentifier='one', Engine='mysql', DBInstanceClass='db.t3.micro',\n\
         \x20   AllocatedStorage=20, **common)\n\
         b = backend('rds', 'us-west-1')\n\
         one, main, member = b.databases['one'], b.clusters['main'], b.databases['main-1']\n\
         for owner, password in [(one, 'of-instance'), (main, 'of-cluster')]:\n\
         \x20   text = json.dumps(dict(username='boss', password=password))\n\
         \x20   client('secretsmanager', 'us-west-1').put_secret_value(SecretId=owner.master_user_secret.secret_arn, SecretString=text)\n\
         result = [one.address, main.endpoint, main.reader_endpoint, member.address]",
    );
    let hosts: [String; 4] = serde_json::from_value(hosts).unwrap();
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("mysql"), SHOWING_CLIENT).unwrap();
    std::fs::set_permissions(sandbox.path("mysql"), std::fs::Permissions::from_mode(0o700)).unwrap();
    for (host, password) in hosts.iter().zip(["of-instance", "of-cluster", "of-cluster", "of-cluster"]) {
        let url = format!("mysql://app@{host}");
        let run = moto.rds_token(&sandbox, ["sql", &url, "--apply", "--master-secret", "--client", "./mysql"]);
        let line = run.env("EXPECTED", password).fails(1);
        assert!(line.contains("failed as 'boss': ERROR 1;"), "{host}: {line}");
    }
}

#[test]
#[ignore = "needs moto"]
fn an_unusable_secret_is_an_error() {
    let Some(moto) = moto("an_unusable_secret_is_an_error") else { return };
    let region = "us-west-2";
    let ids = moto.seed_databases(region);
    let [orders, member, .., proxy] = serde_json::from_value::<[String; 5]>(ids["hosts"].clone()).unwrap();
    let sandbox = Sandbox::new();
    let apply = |host: &str| {
        let scheme = if host == orders { "postgres" } else { "mysql" };
        let url = format!("{scheme}://app@{host}/shop");
        moto.rds_token(&sandbox, ["sql", &url, "--apply", "--master-secret"])
    };
    for (host, expected) in [
        (
            orders.as_str(),
            "does not manage the master user's password of the instance orders; omit --master-secret and",
        ),
        (
            &member,
            "`aws rds modify-db-cluster --db-cluster-identifier main --region us-west-2 --manage-master-user-password \
             --apply-immediately`",
        ),
        (&proxy, "is a proxy, and --apply would change the user"),
        (
            "db.example.com",
            "'db.example.com' is not an RDS endpoint; use the endpoint of the database as the host, or --id",
        ),
        (
            "gone.abc123.us-west-2.rds.amazonaws.com",
            "no database with the endpoint 'gone.abc123.us-west-2.rds.amazonaws.com'",
        ),
    ] {
        let line = apply(host).fails(2);
        assert!(line.contains(expected), "{host}: {line}");
    }
    moto.seed(&format!(
        "client('rds', '{region}').modify_db_instance(DBInstanceIdentifier='orders', ManageMasterUserPassword=True)"
    ));
    let secret = format!("backend('rds', '{region}').databases['orders'].master_user_secret.secret_arn");
    for text in ["CANARY-4711", "{\"username\":\"boss\"}", "[\"CANARY\"]"] {
        let text = serde_json::to_string(text).unwrap();
        moto.seed(&format!(
            "client('secretsmanager', '{region}').put_secret_value(SecretId={secret}, SecretString={text})"
        ));
        let line = apply(&orders).fails(1);
        assert!(line.contains("is not a JSON document with username and password"), "{line}");
        assert!(!line.contains("CANARY"), "{line}");
    }
    moto.seed(&format!(
        "client('secretsmanager', '{region}').put_secret_value(SecretId={secret}, \
         SecretString='{{\"username\":\"app\",\"password\":\"x\"}}')"
    ));
    let line = apply(&orders).fails(2);
    assert!(line.contains("sql: 'app' is the master user"), "{line}");
    moto.seed(&format!("backend('secretsmanager', '{region}').secrets.clear()"));
    let line = apply(&orders).fails(1);
    assert!(line.contains("secretsmanager:GetSecretValue: ResourceNotFoundException"), "{line}");
    let denying = crate::harness::Server::start(|_, _| {
        (400, "{\"__type\":\"AccessDeniedException\",\"Message\":\"not authorized to perform: secretsmanager:GetSecretValue\"}".to_owned())
    });
    let line = apply(&orders).env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &denying.url).fails(3);
    assert!(line.contains("allow the action secretsmanager:GetSecretValue in the caller's policy"), "{line}");
}

/// Starts a fake AWS with the instance `prod`, whose password RDS manages.
fn aws_with_a_managed_password() -> crate::harness::Server {
    crate::harness::Server::start(|head, body| {
        if head.to_ascii_lowercase().contains("secretsmanager.getsecretvalue") {
            let secret = serde_json::json!({ "username": "boss", "password": "CANARY-4711" }).to_string();
            return (200, serde_json::json!({ "SecretString": secret }).to_string());
        }
        assert!(body.contains("Action=DescribeDBInstances") && body.contains("DBInstanceIdentifier=prod"), "{body}");
        let instance = "<DBInstanceIdentifier>prod</DBInstanceIdentifier><DbiResourceId>db-ABCDEFGHIJKL</DbiResourceId>\
            <Engine>mariadb</Engine><Endpoint><Address>prod.abc123.eu-west-1.rds.amazonaws.com</Address><Port>3306</Port>\
            </Endpoint><MasterUserSecret><SecretArn>arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1\
            </SecretArn></MasterUserSecret>";
        (
            200,
            format!(
                "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances><DBInstance>{instance}</DBInstance>\
                 </DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>"
            ),
        )
    })
}

/// A database of another account may have the same identifier, and so the same beginning of its name.
#[test]
fn the_managed_password_is_only_for_its_own_database() {
    for (host, is_own) in [
        ("prod.abc123.eu-west-1.rds.amazonaws.com", true),
        ("prod.evil99.eu-west-1.rds.amazonaws.com", false),
        ("prod.abc123.eu-west-2.rds.amazonaws.com", false),
    ] {
        let (sandbox, aws) = (Sandbox::new(), aws_with_a_managed_password());
        let client = sandbox.path("mariadb");
        let script = "#!/bin/sh\nfor a; do case $a in --defaults-file=*) cat \"${a#*=}\" >options;; esac; done\n";
        std::fs::write(&client, script).unwrap();
        std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o700)).unwrap();
        let url = format!("mariadb://app@{host}/ExampleDB");
        let run = sandbox.rds_token(["sql", &url, "-q", "--apply", "--master-secret", "--client", "./mariadb"]);
        let run = run.env("AWS_ENDPOINT_URL", &aws.url);
        if is_own {
            run.succeeds();
            let options = std::fs::read_to_string(sandbox.path("options")).unwrap();
            assert!(options.contains("CANARY-4711") && options.contains("boss"), "{options}");
        } else {
            let error = run.fails(2);
            assert!(error.contains(&format!("this account has no database with the endpoint '{host}'")), "{error}");
            assert!(!sandbox.path("options").exists());
        }
        // The second request is for the password.
        assert_eq!(aws.requests(), if is_own { 2 } else { 1 }, "{host}");
    }
}

/// The user may take longer than `--timeout` for the password, and the client may not.
#[test]
fn the_time_limit_includes_the_client() {
    for (script, code) in [
        ("exec sleep 30", 4),
        // A program that the client started keeps its stderr open.
        ("sleep 30 & echo 'ERROR 1045 (28000): denied' >&2; exit 1", 4),
        ("exit 0", 0),
    ] {
        let sandbox = Sandbox::new();
        std::fs::write(sandbox.path("mariadb"), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(sandbox.path("mariadb"), std::fs::Permissions::from_mode(0o700)).unwrap();
        let args = ["sql", URL, "-q", "--apply", "--client", "./mariadb", "--password-fd", "0", "--timeout", "1s"];
        let mut run = sandbox.without_keys(args);
        let (reader, mut writer) = std::io::pipe().unwrap();
        run.command.stdin(reader);
        let user = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1_300));
            writer.write_all(b"password").unwrap();
        });
        let start = Instant::now();
        if code == 0 {
            run.succeeds();
        } else {
            let error = run.fails(code);
            assert!(
                error.ends_with("did not finish in time; use a longer --timeout, and run this command again"),
                "{error}"
            );
        }
        assert!(start.elapsed() < Duration::from_secs(6), "{script}: {:?}", start.elapsed());
        user.join().unwrap();
    }
}
