//! Option files, passfiles and variables for clients, and the clients that `connect` starts.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rds_token::testing::Secret;
use rds_token::testing::{Flavor, OptionFile, PasswordIn, PasswordKind};
use rds_token::testing::{Target, TargetSpec};

use crate::harness::{HOST, PROGRAM, Sandbox, TARGET, has, parameter, skip, texts};
use crate::recipes::{Endpoint, NoTls, OtherCa, OtherName, Workspace};
use crate::servers::{Mariadb, Postgres, lab};

/// Fails if other users can access the file.
#[track_caller]
fn assert_private(path: &Path) {
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600, "{}", path.display());
}

fn path(stdout: &str) -> PathBuf {
    PathBuf::from(stdout.strip_suffix('\n').unwrap())
}

/// An option file of the user that redirects the client, changes the password and disables TLS verification, with two
/// options for the format of output.
const HOSTILE: &str = "[client]\nuser=mallory\npassword=wrong\nhost=127.0.0.2\nport=1\nprotocol=socket\n\
    ssl-verify-server-cert=0\nssl-ca=/nonexistent\nskip-ssl\n\
    [mysql]\nuser=mallory\npassword=wrong\nhost=127.0.0.2\ndatabase=mysql\nskip-ssl-verify-server-cert\nskip-ssl\n\
    table\nskip-column-names\n\
    [client-mariadb]\nuser=mallory\npassword=wrong\nskip-ssl\n\
    [mariadb-client]\nuser=mallory\npassword=wrong\nskip-ssl\n";

#[test]
#[ignore = "needs database servers"]
fn an_option_file_overrides_the_users_own() {
    let Some(lab) = lab("an_option_file_overrides_the_users_own") else { return };
    for scenario in [Endpoint, OtherCa, OtherName, NoTls] {
        let workspace = Workspace::new(&lab, scenario);
        workspace.sandbox.write(".my.cnf", HOSTILE);
        let cnf = path(&workspace.rds_token(["cnf", "prod", "--flavor", "mariadb"]).succeeds());
        let sql = "--execute=SELECT CURRENT_USER(), DATABASE(), @@hostname <> ''";
        let with_file = |program: &str, args: &[&str]| {
            let mut command = workspace.command(program);
            command.arg(format!("--defaults-file={}", cnf.display())).args(args);
            command
        };
        let mut dump = with_file("mariadb-dump", &[&lab.database]);
        let connect = workspace.rds_token(["connect", "prod", "--", "mariadb", sql]).command;
        let expected = format!("|{}@%|{}|1|", lab.user, lab.database);
        for mut command in [with_file("mariadb", &[sql]), connect] {
            if scenario != Endpoint {
                workspace.assert_no_token_is_sent(command);
                continue;
            }
            let (stdout, stderr) = texts(&command.output().unwrap());
            assert_eq!(stderr, "");
            // A table without column names, as the user's file configures it.
            let row: String = stdout.lines().nth(1).unwrap_or_default().split(' ').collect();
            assert_eq!(row, expected, "{stdout}");
        }
        if scenario == Endpoint {
            let (stdout, stderr) = texts(&dump.output().unwrap());
            assert!(stderr.is_empty() && stdout.contains("hello from mariadb"), "{stderr}");
        } else {
            workspace.assert_no_token_is_sent(dump);
        }
    }
}

#[test]
#[ignore = "needs database clients"]
fn the_users_file_is_included_from_any_home_directory() {
    if !has("my_print_defaults") {
        return skip("the_users_file_is_included_from_any_home_directory", "my_print_defaults is not installed");
    }
    let sandbox = Sandbox::new();
    for name in ["a b", "#c", "d'e\"", "ö%f\\n"] {
        let home = sandbox.path("home").join(name);
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join(".my.cnf"), "[mysql]\nprompt=mine\n").unwrap();
        let run = sandbox.rds_token(["cnf", TARGET, "--flavor", "mariadb"]).env("HOME", &home);
        let options = read_options(&path(&run.succeeds()));
        assert!(options.contains(&"--prompt=mine".to_owned()), "{name}: {options:?}");
        let ca = options.iter().find_map(|option| option.strip_prefix("--ssl-ca=")).unwrap();
        assert!(Path::new(ca).is_file(), "{name}: {ca}");
    }
}

/// Returns the options that MariaDB's clients read from a file.
fn read_options(file: &Path) -> Vec<String> {
    let mut command = Command::new("my_print_defaults");
    command.arg(format!("--defaults-file={}", file.display())).args(["client", "mysql"]);
    let (stdout, stderr) = texts(&command.env_clear().env("PATH", std::env::var("PATH").unwrap()).output().unwrap());
    assert_eq!(stderr, "");
    stdout.lines().map(str::to_owned).collect()
}

fn target(user: &str, database: &str) -> Target {
    let [host, port, user, database, engine] = [HOST, "3306", user, database, "mariadb"].map(|text| Some(text.into()));
    TargetSpec { host, port, user, database, engine }.validate(None, || Ok(None)).unwrap().0
}

fn render(target: &Target, token: &str, flavor: Flavor) -> Result<String, String> {
    let (ca, max_line, password) = (Path::new("/c a#'\"\\.pem"), flavor.max_line(), PasswordIn::File);
    let file =
        OptionFile { target, via: None, ca, include: None, flavor, max_line, password, kind: PasswordKind::Token };
    file.render(&Secret::new(token.to_owned())).map_err(|error| error.to_string())
}

/// Returns a random text of at most `max` characters, most of which are special in option files, passfiles, shells or
/// URLs.
pub(crate) fn odd_text(max: usize) -> String {
    let odd = "'\"\\#;:%=[]{}()<>|!$`~^*?&@,/+ \u{a0}nrtbs09azAZ_.-é漢🦀\u{2018}\u{201b}\u{202e}";
    let odd: Vec<char> = odd.chars().collect();
    (0..fastrand::usize(1..=max)).map(|_| odd[fastrand::usize(..odd.len())]).collect()
}

#[test]
#[ignore = "needs database clients"]
fn option_files_are_read_back_unchanged() {
    if !has("my_print_defaults") {
        return skip("option_files_are_read_back_unchanged", "my_print_defaults is not installed");
    }
    let sandbox = Sandbox::new();
    let file = sandbox.path("a.cnf");
    for round in 0..300 {
        fastrand::seed(round);
        let (user, database, token) = (odd_text(32), odd_text(32), odd_text(900));
        let target = target(&user, &database);
        std::fs::write(&file, render(&target, &token, Flavor::Mariadb).unwrap()).unwrap();
        let expected = [
            format!("--host={HOST}"),
            "--port=3306".to_owned(),
            "--protocol=tcp".to_owned(),
            format!("--user={user}"),
            format!("--password={token}"),
            "--ssl-ca=/c a#'\"\\.pem".to_owned(),
            "--ssl-verify-server-cert=1".to_owned(),
            format!("--database={database}"),
        ];
        assert_eq!(read_options(&file), expected, "round {round}");
    }
}

/// MariaDB's programs read a longer line as two options.
#[test]
#[ignore = "needs database clients"]
fn a_line_is_complete_or_refused() {
    let fits = "t".repeat(4094 - "password=\"\"".len());
    let long = format!("{fits}t");
    let target = target("u", "d");
    for flavor in [Flavor::Mariadb, Flavor::Library] {
        let error = render(&target, &long, flavor).unwrap_err();
        assert!(error.contains("the line of password is 4095 bytes long"), "{error}");
        assert!(!error.contains("ttt"), "{error}");
    }
    assert!(render(&target, &long, Flavor::Mysql).is_ok());
    if !has("my_print_defaults") {
        return skip("a_line_is_complete_or_refused", "my_print_defaults is not installed");
    }
    let sandbox = Sandbox::new();
    let file = sandbox.path("a.cnf");
    std::fs::write(&file, render(&target, &fits, Flavor::Mariadb).unwrap()).unwrap();
    assert!(read_options(&file).contains(&format!("--password={fits}")));
}

#[test]
fn a_token_too_long_for_the_client_is_refused() {
    let sandbox = Sandbox::new();
    let session = "s".repeat(8000);
    for args in [vec!["cnf", TARGET, "--flavor", "mariadb"], vec!["cnf", TARGET, "--flavor", "library", "--stdout"]] {
        let error = sandbox.rds_token(&args).env("AWS_SESSION_TOKEN", &session).fails(2);
        assert!(error.contains("the line of password") && error.contains("rds-token connect"), "{error}");
        assert!(!error.contains("ssss"), "{error}");
    }
    assert_eq!(sandbox.cached("cnf"), Vec::<PathBuf>::new());
    // `MYSQL_PWD` is not limited to the length of a line.
    let lines = sandbox.rds_token(["env", TARGET, "-q", "--shell", "sh"]).env("AWS_SESSION_TOKEN", &session).succeeds();
    assert!(lines.contains(&session));
}

#[test]
fn files_are_private_and_have_stable_paths() {
    let sandbox = Sandbox::new();
    let postgres = format!("postgres://dbiamuser@{HOST}");
    let mut paths = Vec::new();
    for args in [
        vec!["cnf", TARGET, "--flavor", "mysql"],
        vec!["cnf", TARGET, "--flavor", "mariadb"],
        vec!["cnf", TARGET, "--flavor", "library"],
        vec!["cnf", &format!("{TARGET}/other"), "--flavor", "library"],
        vec!["pgpass", "-q", &postgres],
    ] {
        let get = || path(&sandbox.rds_token(&args).succeeds());
        let file = get();
        assert_private(&file);
        assert!(file.starts_with(sandbox.cache()));
        let inode = file.metadata().unwrap().ino();
        assert_eq!(get(), file);
        let signature = parameter(&std::fs::read_to_string(&file).unwrap(), "X-Amz-Signature").unwrap().to_owned();
        let fresh = sandbox.rds_token(args.iter().chain(&["--refresh"])).env("AWS_SECRET_ACCESS_KEY", "other");
        assert_eq!(path(&fresh.succeeds()), file);
        // The file is replaced, so that a process that has opened the old one can read all of it.
        assert_ne!(file.metadata().unwrap().ino(), inode);
        assert!(!std::fs::read_to_string(&file).unwrap().contains(&signature));
        assert_private(&file);
        assert!(!paths.contains(&file));
        paths.push(file);
    }
}

#[test]
fn clear_removes_the_files_of_one_target() {
    let sandbox = Sandbox::new();
    let (mysql, postgres) = ("u@db.x.eu-west-1.rds.amazonaws.com:3306", "u@db.x.eu-west-1.rds.amazonaws.com:5432");
    let file = |args: &[&str]| path(&sandbox.rds_token(args).succeeds());
    let cnf = file(&["cnf", mysql, "--flavor", "mariadb"]);
    let library = file(&["cnf", mysql, "--flavor", "library"]);
    let passfile = file(&["pgpass", "-q", postgres]);
    let other = file(&["cnf", TARGET, "--flavor", "mariadb"]);
    assert_eq!(sandbox.rds_token(["cache", "clear", mysql]).succeeds(), "");
    assert_eq!([&cnf, &library, &passfile, &other].map(|path| path.exists()), [false, false, true, true]);
    assert_eq!(sandbox.rds_token(["cache", "clear", postgres]).succeeds(), "");
    assert_eq!([&passfile, &other].map(|path| path.exists()), [false, true]);
    assert_eq!(sandbox.rds_token(["cache", "clear"]).succeeds(), "");
    assert!(!other.exists());
    assert_eq!(sandbox.cached("token"), Vec::<PathBuf>::new());
}

#[test]
#[ignore = "needs database servers"]
fn users_with_special_characters_log_in_with_a_passfile() {
    let Some(lab) = lab("users_with_special_characters_log_in_with_a_passfile") else { return };
    for user in &lab.users {
        let workspace = Workspace::new(&lab, Endpoint);
        let file = workspace.rds_token(["pgpass", "-q", "pg", "--user", user]).succeeds();
        let mut psql = workspace.command("psql");
        psql.env("PGPASSFILE", path(&file)).env("PGHOST", workspace.host).env("PGPORT", lab.port(Postgres).to_string());
        psql.env("PGUSER", user).env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", &lab.ca);
        psql.args(["-XAtw", "-c", "SELECT CURRENT_USER", &lab.database]);
        let (stdout, stderr) = texts(&psql.output().unwrap());
        assert_eq!((stdout, stderr.as_str()), (format!("{user}\n"), ""));
    }
}

#[test]
#[ignore = "needs database servers"]
fn variables_without_the_secret_log_in() {
    let Some(lab) = lab("variables_without_the_secret_log_in") else { return };
    let workspace = Workspace::new(&lab, Endpoint);
    for (target, client) in [
        ("pg", "psql -XAt -c 'SELECT CURRENT_USER'"),
        ("prod", "mariadb --defaults-file=\"$RDS_TOKEN_CNF\" -N -e 'SELECT USER()'"),
    ] {
        let lines = workspace.rds_token(["env", target, "--shell", "sh", "--no-secret"]).succeeds();
        assert!(!lines.contains("X-Amz"), "{lines}");
        let script = format!("{lines}{client}");
        // The expired token of an earlier `env` without --no-secret.
        let mut command = workspace.command("sh");
        command.env("PGPASSWORD", "stale").env("MYSQL_PWD", "stale");
        let (stdout, stderr) = texts(&command.args(["-euc", &script]).output().unwrap());
        assert_eq!(stderr, "");
        assert!(stdout.starts_with(&lab.user), "{stdout}");
    }
}

/// Variables of the user that would redirect libpq have no effect.
#[test]
#[ignore = "needs database servers"]
fn connect_and_env_override_the_environment() {
    let Some(lab) = lab("connect_and_env_override_the_environment") else { return };
    for scenario in [Endpoint, OtherCa, OtherName, NoTls] {
        let workspace = Workspace::new(&lab, scenario);
        let service = "[elsewhere]\nhost=127.0.0.1\nport=1\nuser=mallory\nsslmode=disable\n";
        let services = workspace.sandbox.write(".pg_service.conf", service);
        let psql = "psql -XAt -c 'SELECT CURRENT_USER'";
        let eval = format!("eval \"$(rds-token env pg --shell sh)\"; {psql}");
        for script in [format!("rds-token connect pg -- {psql}"), eval] {
            let mut command = workspace.command("sh");
            command.arg("-euc").arg(script);
            command.env("PGSERVICE", "elsewhere").env("PGSERVICEFILE", &services).env("PGHOSTADDR", "127.0.0.2");
            command.env("PGSSLMODE", "disable").env("PGUSER", "mallory").env("PGPASSFILE", "/nonexistent");
            if scenario == Endpoint {
                let output = texts(&command.output().unwrap());
                assert_eq!(output, (format!("{}\n", lab.user), String::new()));
            } else {
                workspace.assert_no_token_is_sent(command);
            }
        }
    }
}

/// psql verifies the name of the endpoint, which does not resolve in this test.
#[test]
#[ignore = "needs database servers"]
fn psql_verifies_the_endpoint_through_a_tunnel() {
    let Some(lab) = lab("psql_verifies_the_endpoint_through_a_tunnel") else { return };
    for scenario in [Endpoint, OtherCa, OtherName, NoTls] {
        let workspace = Workspace::new(&lab, scenario);
        let via = format!("localhost:{}", workspace.postgres);
        let args = ["connect", "pg", "--via", &via, "--port"];
        let port = lab.port(Postgres).to_string();
        let sql = ["--", "psql", "-XAt", "-c", "SELECT CURRENT_USER"];
        let run = workspace.rds_token(args.iter().copied().chain([port.as_str()]).chain(sql));
        let run = run.without("LD_PRELOAD");
        if scenario == Endpoint {
            assert_eq!(run.succeeds(), format!("{}\n", lab.user));
        } else {
            workspace.assert_no_token_is_sent(run.command);
        }
    }
}

#[test]
fn connect_exits_as_the_command_does() {
    let sandbox = Sandbox::new();
    let connect = |command: &[&str]| sandbox.rds_token([&["connect", "-q", TARGET, "--"], command].concat()).output();
    for status in [0, 1, 3, 42] {
        let output = connect(&["sh", "-c", &format!("echo out; echo err >&2; exit {status}")]);
        assert_eq!(output.status.code(), Some(status));
        assert_eq!(texts(&output), ("out\n".to_owned(), "err\n".to_owned()));
    }
    assert_eq!(connect(&["sh", "-c", "kill -TERM $$"]).status.signal(), Some(15));
    let not_executable = sandbox.write("x", "");
    sandbox.rds_token(["connect", TARGET, "--", "no-such-program"]).fails(127);
    sandbox.rds_token(["connect", "-q", TARGET, "--", "/no/such/program"]).fails(127);
    sandbox.rds_token(["connect", "-q", TARGET, "--", not_executable.to_str().unwrap()]).fails(126);
}

#[test]
fn signals_reach_the_command_of_connect() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut run = sandbox.rds_token(["connect", TARGET, "--", "sh", "-c", script]);
    let mut child = run.command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "caught");
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
#[ignore = "needs database servers"]
fn connect_passes_stdin_and_hides_the_token() {
    let Some(lab) = lab("connect_passes_stdin_and_hides_the_token") else { return };
    let workspace = Workspace::new(&lab, Endpoint);
    for (target, client) in [("prod", "mariadb"), ("pg", "psql")] {
        let token = workspace.rds_token([target]).succeeds();
        let signature = parameter(token.trim_end(), "X-Amz-Signature").unwrap();
        let options: &[&str] = if client == "psql" { &["-XAtq"] } else { &["-N", "--unbuffered"] };
        let mut run = workspace.rds_token(["connect", target, "--", client].iter().chain(options));
        let mut child = run.command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        writeln!(stdin, "SELECT 'logged in';").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "logged in", "{client}");
        let exposed: Vec<PathBuf> = std::fs::read_dir("/proc")
            .unwrap()
            .map(|entry| entry.unwrap().path().join("cmdline"))
            .filter(|path| std::fs::read(path).is_ok_and(|line| String::from_utf8_lossy(&line).contains(signature)))
            .collect();
        assert_eq!(exposed, Vec::<PathBuf>::new(), "{client}");
        drop(stdin);
        assert!(child.wait().unwrap().success());
        assert_eq!(workspace.sandbox.cached("cnf"), Vec::<PathBuf>::new());
        assert_eq!(workspace.sandbox.cached("pgpass"), Vec::<PathBuf>::new());
    }
    assert_eq!(lab.port(Mariadb), workspace.mariadb);
}

/// The file exists as long as the client runs, and is in no directory.
#[test]
#[ignore = "needs database servers"]
fn the_option_file_of_connect_is_in_memory() {
    let Some(lab) = lab("the_option_file_of_connect_is_in_memory") else { return };
    let workspace = Workspace::new(&lab, Endpoint);
    let begin = Instant::now();
    let mut run = workspace.rds_token(["connect", "prod", "--", "mariadb", "-N", "-e", "SELECT SLEEP(1)"]);
    let mut child = run.command.stdout(Stdio::null()).spawn().unwrap();
    let descriptors = PathBuf::from(format!("/proc/{}/fd", child.id()));
    let has_file = || {
        let links = std::fs::read_dir(&descriptors).into_iter().flatten().flatten();
        links
            .filter_map(|entry| entry.path().read_link().ok())
            .any(|link| link.to_string_lossy().contains("memfd:rds-token"))
    };
    while !has_file() {
        assert!(begin.elapsed() < Duration::from_secs(20), "no file in memory");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    assert!(!descriptors.exists());
    assert_eq!(workspace.sandbox.cached("cnf"), Vec::<PathBuf>::new());
}

/// Each client that reads an option file logs in to servers of both families. It prints only rows on stdout, and
/// nothing on stderr.
#[test]
#[ignore = "needs database servers"]
fn every_program_logs_in_without_a_warning() {
    let Some(lab) = lab("every_program_logs_in_without_a_warning") else { return };
    let oracle = lab.mysql.bin.clone().unwrap();
    let in_path = |name: &str| PathBuf::from(name);
    for key in ["static", "long"] {
        let sandbox = Sandbox::new();
        let keys = lab.key(key);
        let environment = |command: &mut Command| {
            command.env("AWS_ACCESS_KEY_ID", &keys.access_key_id);
            command.env("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key);
            command.env("AWS_SESSION_TOKEN", keys.session_token.as_deref().unwrap_or_default());
        };
        for (server, port) in [("mysql", lab.mysql.port), ("mariadb", lab.mariadb.port)] {
            let target = format!("{server}://{}@{}:{port}/{}", lab.user, lab.host, lab.database);
            let run = |mut command: Command| {
                environment(&mut command);
                let output = lab.on_loopback(&mut command).output().unwrap();
                let (stdout, stderr) = texts(&output);
                assert!(output.status.success() && stderr.is_empty(), "{stderr}: {server}, {command:?}");
                stdout
            };
            for (flavor, client, dump, admin) in [
                ("mysql", oracle.join("mysql"), oracle.join("mysqldump"), oracle.join("mysqladmin")),
                ("mariadb", in_path("mariadb"), in_path("mariadb-dump"), in_path("mariadb-admin")),
            ] {
                let mut cnf = sandbox.without_keys(["cnf", &target, "--ca", &lab.ca, "--flavor", flavor]).command;
                environment(&mut cnf);
                let file = format!("--defaults-file={}", texts(&cnf.output().unwrap()).0.trim_end());
                let program = |program: &PathBuf, args: &[&str]| {
                    let mut command = sandbox.command(program);
                    command.arg(&file).args(args);
                    run(command)
                };
                let greeting = format!("hello from {server}\n");
                assert_eq!(program(&client, &["-N", "-e", "select * from greeting"]), greeting);
                // MySQL's mysqldump reads tables that MariaDB does not have.
                if (flavor, server) != ("mysql", "mariadb") {
                    let dumped = program(&dump, &["--no-tablespaces", &lab.database]);
                    assert!(dumped.contains(greeting.trim_end()), "{dumped}");
                }
                assert_eq!(program(&admin, &["ping"]), "mysqld is alive\n");
                let mut connect = sandbox.command(PROGRAM);
                connect.args(["connect", &target, "--ca", &lab.ca, "--"]).arg(&client);
                connect.args(["-N", "-e", "select * from greeting"]);
                assert_eq!(run(connect), greeting);
            }
        }
        let mut binlog = sandbox.command(PROGRAM);
        let target = format!("mysql://{}@{}:{}", lab.user, lab.host, lab.mysql.port);
        binlog.args(["connect", &target, "--ca", &lab.ca, "--"]).arg(oracle.join("mysqlbinlog"));
        environment(binlog.args(["--read-from-remote-server", "binlog.000001"]));
        let output = lab.on_loopback(&mut binlog).output().unwrap();
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success() && stderr.is_empty() && stdout.contains("BINLOG"), "{stderr}");
    }
}

#[test]
fn flag_and_variable_select_the_client() {
    let sandbox = Sandbox::new();
    let run = |args: &[&str]| sandbox.rds_token([&["connect", "-q", TARGET], args].concat());
    assert!(run(&["--client", "env"]).succeeds().contains("MYSQL_PWD="));
    assert!(run(&[]).env("RDS_TOKEN_CLIENT", "/usr/bin/env").succeeds().contains("MYSQL_PWD="));
    let hello = run(&["--client", "false", "--", "echo", "hello"]).env("RDS_TOKEN_CLIENT", "false");
    assert_eq!(hello.succeeds(), "hello\n");
    assert!(run(&["--client", "no-such-client"]).fails(127).contains("'no-such-client' is not on PATH"));
    // No program is run from the current directory.
    std::fs::copy("/bin/true", sandbox.path("local-client")).unwrap();
    assert!(run(&["--client", "local-client"]).env("PATH", ".").fails(127).contains("not on PATH"));
}

#[test]
fn a_version_query_has_a_time_limit() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    let client = sandbox.write("bin/mysql", "#!/bin/sh\nsleep 60 & sleep 60\n");
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
    let begin = Instant::now();
    let path = format!("{}:/usr/bin:/bin", client.parent().unwrap().display());
    let line = sandbox.rds_token(["cnf", TARGET, "--timeout", "700ms"]).env("PATH", path).fails(4);
    assert!(line.contains("does not print its version"), "{line}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn a_tunnel_on_localhost_is_not_a_socket() {
    let sandbox = Sandbox::new();
    let args = ["env", "-q", "--shell", "sh", TARGET, "--via", "localhost:3307"];
    let lines = sandbox.rds_token(args).succeeds();
    assert!(lines.contains("MYSQL_HOST='127.0.0.1';") && lines.contains("MYSQL_TCP_PORT='3307';"), "{lines}");
}
