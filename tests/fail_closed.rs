//! If `rds-token` fails, the client fails too, instead of connecting to the local server.

use std::process::Command;

use crate::harness::{NO_FILE, PROGRAM, Sandbox, TARGET, has, skip, texts};
use crate::recipes::{NoCredentials, Workspace};
use crate::servers::{Lab, Server, lab};

/// Command lines in which `rds-token` fails. CLIENT is MariaDB's client or MySQL's own.
const MYSQL: [&str; 8] = [
    "CLIENT --defaults-file=\"$(rds-token cnf prod)\" -e 'SELECT 1'",
    "CLIENT --defaults-file=\"$(rds-token cnf nosuch)\" -e 'SELECT 1'",
    "CLIENT --defaults-file=\"$(rds-token cnf --nonsense)\" -e 'SELECT 1'",
    "CLIENT --defaults-file=\"$(rds-token --profile x cnf prod)\" -e 'SELECT 1'",
    "CLIENT --defaults-file=\"$(RDS_TOKEN_CACHE_DIR=/dev/null/x rds-token cnf prod)\" -e 'SELECT 1'",
    "CLIENT --defaults-file=<(rds-token cnf prod --stdout) -e 'SELECT 1'",
    "CLIENTdump --defaults-file=\"$(rds-token cnf prod)\" ExampleDB",
    "CLIENTadmin --defaults-file=\"$(rds-token cnf prod)\" status",
];

const POSTGRES: [&str; 4] = [
    "psql \"$(rds-token pg --output url)\" -c 'SELECT 1'",
    "psql \"$(rds-token nosuch --output=url)\" -c 'SELECT 1'",
    "pg_dump \"$(rds-token token pg --output url)\"",
    "PGPASSFILE=\"$(rds-token pgpass pg)\" psql -w -h HOST -p 5432 -U app -d ExampleDB -c 'SELECT 1'",
];

fn bash(workspace: &Workspace<'_>, line: &str) -> Command {
    let mut command = workspace.command("bash");
    command.args(["-c", &workspace.adapt(line)]);
    command
}

fn check(lab: &Lab, prod: &Server, lines: impl IntoIterator<Item = String>) {
    let workspace = Workspace::with(lab, NoCredentials, prod);
    for line in lines {
        workspace.assert_no_local_connection(&bash(&workspace, &line));
    }
}

#[test]
#[ignore = "needs database servers"]
fn clients_fail_if_rds_token_fails() {
    let test = "clients_fail_if_rds_token_fails";
    if !has("strace") {
        return skip(test, "strace is not installed");
    }
    let Some(lab) = lab(test) else { return };
    let lines = |client: &str| MYSQL.map(|line| line.replace("CLIENT", client));
    let mariadb = lines("mariadb")
        .map(|line| line.replace("mariadbdump", "mariadb-dump").replace("mariadbadmin", "mariadb-admin"));
    check(&lab, &lab.mariadb, mariadb.into_iter().chain(POSTGRES.map(str::to_owned)));
    check(&lab, &lab.mysql, lines("mysql"));
}

/// Shows that the test above can fail.
#[test]
#[ignore = "needs database servers"]
fn clients_without_a_file_connect_to_the_local_server() {
    let test = "clients_without_a_file_connect_to_the_local_server";
    if !has("strace") {
        return skip(test, "strace is not installed");
    }
    let Some(lab) = lab(test) else { return };
    for prod in [&lab.mariadb, &lab.mysql] {
        let workspace = Workspace::with(&lab, NoCredentials, prod);
        for line in ["mysql --defaults-file= -e 'SELECT 1'", "psql '' -c 'SELECT 1'"] {
            let (_, connection, about) = workspace.trace_local_connection(&bash(&workspace, line));
            assert!(connection.is_some(), "{about}");
        }
    }
}

/// Every failure prints the value, and has the same exit code and message as without it.
#[test]
fn every_failure_prints_a_value_that_no_client_can_use() {
    let sandbox = Sandbox::new();
    let postgres = "postgres://u@db.abc123.eu-west-1.rds.amazonaws.com";
    for (args, code) in [
        (&["cnf", TARGET, "--flavor", "mariadb"][..], 3),
        (&["cnf", TARGET, "--stdout", "--flavor", "mysql"], 3),
        (&["pgpass", postgres], 3),
        (&[postgres, "--output", "url"], 3),
        (&["token", postgres, "--output=url"], 3),
        (&["cnf", postgres], 2),
        (&["pgpass", TARGET], 2),
        (&["pgpass", TARGET, "--output", "url"], 2),
        (&["cnf", "nosuch"], 2),
        (&["cnf", TARGET, "other"], 2),
        (&["cnf", TARGET, "--flavor", "oracle"], 2),
        (&[TARGET, "--output", "url"], 2),
        // Other commands print nothing.
        (&[TARGET], 3),
        (&["env", TARGET, "--shell", "sh"], 3),
        (&["connect", TARGET, "--", "true"], 3),
    ] {
        let line = sandbox.without_keys(args).env("AWS_EC2_METADATA_DISABLED", "true").fails(code);
        assert!(!line.is_empty(), "{args:?}");
    }
    // Without a client on PATH, the flavor can't be detected.
    let code = if has("mysql") || has("mariadb") { 3 } else { 2 };
    sandbox.without_keys(["cnf", TARGET]).env("AWS_EC2_METADATA_DISABLED", "true").fails(code);
    // Flags before the command are an error, but the client gets the value.
    let output = sandbox.rds_token(["--profile", "x", "cnf", TARGET]).output();
    assert_eq!((output.status.code(), texts(&output).0.as_str()), (Some(2), NO_FILE));
    // If stdout can't be written, there is still one error line and the original exit code.
    let output = sandbox.command("sh").args(["-c", "exec \"$0\" cnf nosuch >/dev/full", PROGRAM]).output().unwrap();
    assert_eq!((output.status.code(), texts(&output).1.lines().count()), (Some(2), 1), "{:?}", texts(&output));
}
