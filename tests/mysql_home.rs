//! MySQL and MariaDB programs, and drivers, log in with environment variables.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{KEYS, PROGRAM, Sandbox, TARGET, has, texts};
use crate::recipes::{ClearGreeting, Endpoint, NoTls, OtherCa, OtherName, Workspace, can};
use crate::servers::{Lab, Server, lab};

/// MariaDB programs without host and user arguments, which print the logged-in user.
const MARIADB: [&str; 4] = [
    "mariadb -Ne 'SELECT CURRENT_USER()'",
    "mysql -Ne 'SELECT CURRENT_USER()'",
    "mariadb-dump ExampleDB && mariadb-admin status && mariadb-show ExampleDB && mariadb -Ne 'SELECT CURRENT_USER()'",
    "sh -c 'mariadb -Ne \"SELECT CURRENT_USER()\"'",
];

const DRIVERS: [&str; 5] = [
    "/usr/bin/python3 -c 'import MySQLdb
db = MySQLdb.connect(read_default_group=\"client\"); cursor = db.cursor()
cursor.execute(\"SELECT CURRENT_USER()\"); print(cursor.fetchone()[0])'",
    "perl -MDBI -e 'my $source = \"DBI:mysql:;mysql_read_default_group=client\";
print DBI->connect($source, undef, undef, { RaiseError => 1 })->selectrow_array(\"SELECT CURRENT_USER()\")'",
    "perl -MDBI -e 'my $source = \"DBI:MariaDB:;mariadb_read_default_group=client\";
print DBI->connect($source, undef, undef, { RaiseError => 1 })->selectrow_array(\"SELECT CURRENT_USER()\")'",
    "ruby -rmysql2 -e 'db = Mysql2::Client.new(default_group: \"client\")
puts db.query(\"SELECT CURRENT_USER() AS me\").first[\"me\"]'",
    "mydumper --no-locks --verbose 1 -B ExampleDB -o dump && grep -q hello dump/* &&
mariadb -Ne 'SELECT CURRENT_USER()'",
];

/// Programs, with MySQL's own clients on PATH.
const MYSQL: [&str; 4] = [
    "mysql -NBe 'SELECT CURRENT_USER()'",
    "mysqldump --no-tablespaces ExampleDB && mysqladmin status && mysql -NBe 'SELECT CURRENT_USER()'",
    "sh -c 'mysql -NBe \"SELECT CURRENT_USER()\"'",
    // MariaDB programs read their own file in MARIADB_HOME.
    "mariadb -Ne 'SELECT CURRENT_USER()'",
];

/// The command lines that pass the variables to a program.
fn invocations(program: &str) -> [String; 4] {
    let env = |flags: &str| {
        format!("variables=$(rds-token env prod --shell sh{flags}) && eval \"$variables\" && {{ {program}; }}")
    };
    let quoted = program.replace('\'', "'\\''");
    let dotenv = format!("rds-token env prod --shell dotenv > f && export $(cat f) && {{ {program}; }}");
    [env(""), env(" --no-secret"), format!("rds-token connect prod sh -c '{quoted}'"), dotenv]
}

fn run(workspace: &Workspace<'_>, line: &str) -> Command {
    let mut command = workspace.command("sh");
    command.args(["-c", line]);
    command
}

/// Each program logs in with an empty stderr, and sends no token to a server that is not the endpoint.
fn check(lab: &Lab, prod: &Server, programs: &[&str]) {
    programs.iter().flat_map(|program| invocations(program)).for_each(|line| check_line(lab, prod, &line));
}

fn check_line(lab: &Lab, prod: &Server, line: &str) {
    let workspace = Workspace::with(lab, Endpoint, prod);
    let (stdout, stderr) = texts(&run(&workspace, line).output().unwrap());
    assert!(stdout.contains(&lab.user) && stderr.is_empty(), "{line}: {stdout}{stderr}");
    for scenario in [OtherCa, OtherName, NoTls, ClearGreeting] {
        let workspace = Workspace::with(lab, scenario, prod);
        workspace.assert_no_token_is_sent(run(&workspace, line));
    }
}

#[test]
#[ignore = "needs database servers"]
fn mariadb_programs_log_in_with_variables() {
    let Some(lab) = lab("mariadb_programs_log_in_with_variables") else { return };
    check(&lab, &lab.mariadb, &MARIADB);
}

#[test]
#[ignore = "needs database servers"]
fn mysql_programs_log_in_with_variables() {
    let Some(lab) = lab("mysql_programs_log_in_with_variables") else { return };
    check(&lab, &lab.mysql, &MYSQL);
}

#[test]
#[ignore = "needs database servers"]
fn drivers_that_read_default_files_log_in_with_variables() {
    let test = "drivers_that_read_default_files_log_in_with_variables";
    let are_installed = can(test, "/usr/bin/python3", &["-c", "import MySQLdb"])
        && can(test, "perl", &["-MDBD::mysql", "-MDBD::MariaDB", "-e1"])
        && can(test, "ruby", &["-rmysql2", "-e1"]);
    if !are_installed || !has("mydumper") {
        return;
    }
    let Some(lab) = lab(test) else { return };
    check(&lab, &lab.mariadb, &DRIVERS);
}

/// Without the variable, a server without TLS gets the token. The other tests can therefore fail.
#[test]
#[ignore = "needs database servers"]
fn without_mysql_home_the_token_leaks() {
    let Some(lab) = lab("without_mysql_home_the_token_leaks") else { return };
    let workspace = Workspace::new(&lab, NoTls);
    let line = "variables=$(rds-token env prod --shell sh) && eval \"$variables\" && unset MYSQL_HOME MARIADB_HOME &&
        mariadb -h \"$MYSQL_HOST\" -P \"$MYSQL_TCP_PORT\" -u app -e 'SELECT 1'";
    assert!(!run(&workspace, &workspace.adapt(line)).output().unwrap().status.success());
    assert!(workspace.has_leaked());
}

/// With an inherited `MYSQL_HOME`, the program could connect to another server.
#[test]
fn connect_starts_no_program_without_a_private_directory() {
    let sandbox = Sandbox::new();
    for args in [&["connect", TARGET, "echo", "started"][..], &["env", TARGET, "--shell", "sh"]] {
        let run = sandbox.rds_token(args).env("HOME", "/dev/null").env("MYSQL_HOME", "/other");
        assert!(run.env("RDS_TOKEN_CACHE_DIR", "/dev/null/x").fails(1).contains("no private directory to write to"));
    }
    // A PostgreSQL target needs no private directory.
    let postgres = "postgres://u@db.abc123.eu-west-1.rds.amazonaws.com";
    let run = sandbox.rds_token(["connect", "-q", postgres, "echo", "started"]).env("HOME", "/dev/null");
    assert_eq!(run.env("RDS_TOKEN_CACHE_DIR", "/dev/null/x").succeeds(), "started\n");
}

/// MySQL's `mysql` ignores the options of MariaDB's flavor, and would not verify the server with them.
#[test]
#[ignore = "needs database servers"]
fn a_mysql_client_outside_path_verifies_the_server() {
    let Some(lab) = lab("a_mysql_client_outside_path_verifies_the_server") else { return };
    let mysql = lab.mysql.bin.clone().unwrap().join("mysql");
    // The `mysql` on PATH is MariaDB's.
    let line = format!("rds-token connect prod sh -c '{} -NBe \"SELECT CURRENT_USER()\"'", mysql.display());
    check_line(&lab, &lab.mariadb, &line);
}

/// The `MYSQL_HOME` and `MARIADB_HOME` directories that `env` prints.
fn homes(sandbox: &Sandbox, args: &[&str]) -> Vec<PathBuf> {
    let args = [&["env", TARGET, "--shell", "dotenv"], args].concat();
    let lines = sandbox.rds_token(args).succeeds();
    let directory = |name: &str| PathBuf::from(lines.lines().find_map(|line| line.strip_prefix(name)).unwrap());
    vec![directory("MYSQL_HOME="), directory("MARIADB_HOME=")]
}

fn option_file(home: &Path) -> String {
    std::fs::read_to_string(home.join("my.cnf")).unwrap()
}

fn set_age(path: &Path, age: &str) {
    let status = Command::new("touch").arg("-h").args(["-d", age]).arg(path).status().unwrap();
    assert!(status.success());
}

/// A client ignores a directory that does not exist. An expired directory therefore gets an option file that no client
/// can connect with.
#[test]
fn expired_option_files_reject_clients() {
    use std::os::unix::fs::MetadataExt as _;
    let sandbox = Sandbox::new();
    // The directory of MariaDB's programs.
    let [plain, secret] = [&[][..], &["--no-secret"]].map(|args| homes(&sandbox, args)[1].clone());
    assert!(!option_file(&plain).contains("password") && option_file(&secret).contains("password=\""));
    for path in [&plain, &secret] {
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(path.join("my.cnf").metadata().unwrap().mode() & 0o777, 0o600);
    }
    let sweep = || {
        set_age(&sandbox.cache().join("swept"), "-2 hours");
        sandbox.rds_token([TARGET, "--refresh"]).succeeds();
    };
    sweep();
    assert!(option_file(&secret).contains("password"), "the file is not old");
    set_age(&secret, "-61 minutes");
    sweep();
    let expired = option_file(&secret);
    assert!(
        expired.contains("[client]\nhost=rds-token-expired.invalid\n") && !expired.contains("password"),
        "{expired}"
    );
    assert!(
        expired.contains("\nssl-verify-server-cert=1\n"),
        "a host on the command line is still verified: {expired}"
    );
    assert!(option_file(&plain).contains("user="));
    if has("mariadb") {
        let mut client = sandbox.command("mariadb");
        client.env("MARIADB_HOME", &secret).args(["-e", "SELECT 1"]);
        let (_, stderr) = texts(&client.output().unwrap());
        assert!(stderr.contains("Unknown server host 'rds-token-expired.invalid'"), "{stderr}");
    }
    // The next use writes a new token.
    assert_eq!(homes(&sandbox, &["--no-secret"])[1], secret);
    assert!(option_file(&secret).contains("password"));
    // `cache clear` removes the token.
    sandbox.rds_token(["cache", "clear", "other@db.abc123.eu-west-1.rds.amazonaws.com:3306", "-q"]).succeeds();
    assert!(option_file(&secret).contains("password"));
    sandbox.rds_token(["cache", "clear", TARGET]).succeeds();
    assert!(option_file(&secret).contains("rds-token-expired.invalid"));
    homes(&sandbox, &["--no-secret"]);
    // It also removes a temporary file of a killed process, and replaces a file that others can read.
    let leftover = secret.join(".rds-token-0123456789abcdef");
    std::fs::copy(secret.join("my.cnf"), &leftover).unwrap();
    std::fs::set_permissions(&leftover, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(secret.join("my.cnf"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    sandbox.rds_token(["cache", "clear"]).succeeds();
    assert!(!leftover.exists() && option_file(&secret).contains("rds-token-expired.invalid"));
    // The directory is removed after 30 days.
    set_age(&secret, "-31 days");
    sweep();
    assert!(!secret.exists());
}

/// Clients read `~/.my.cnf` after `MYSQL_HOME`.
#[test]
fn user_options_that_override_the_variables_are_listed() {
    let sandbox = Sandbox::new();
    let warning = |text: &str| {
        sandbox.write(".my.cnf", text);
        let (_, env) = sandbox.rds_token(["env", TARGET, "--shell", "sh"]).warns();
        let (_, connect) = sandbox.rds_token(["connect", TARGET, "true"]).warns();
        assert_eq!(env, connect);
        env
    };
    for (text, names) in [
        ("[client]\nuser=me\npassword=x\n", "user, password"),
        ("[mysql]\nhost = elsewhere\n", "host"),
        ("[client]\nskip-ssl\n", "ssl"),
        ("[client]\nssl_ca=/x\nport=1\n", "port, ssl"),
        ("[mysqldump]\nprotocol=socket\n", "protocol"),
        ("[client]\ndns-srv-name=x\n", "dns-srv-name"),
        // libmariadb's names.
        ("[client]\nservername=x\ntls-verify-peer=0\n", "servername, tls"),
        ("[mysqld]\nuser=mysql\n[client]\nport=3307\n", "port"),
    ] {
        let warning = warning(text);
        assert!(warning.contains(&format!(".my.cnf: {names}; use `rds-token connect`")), "{text}: {warning}");
        assert_eq!(warning.lines().count(), 1, "{warning}");
    }
    for harmless in ["[mysql]\nprompt=mine\n", "[mysqld]\nuser=mysql\nport=3306\nssl-ca=/x\n", "# user=x\n"] {
        assert_eq!(warning(harmless), "", "{harmless}");
    }
    // A file that the user's option file includes can't be read.
    assert!(warning("!include /dev/zero\n").contains("could not check /dev/zero"));
}

/// The directories are private under any umask, and two identities have different ones.
#[test]
fn home_directories_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    let mut shell = sandbox.command("sh");
    shell.envs(KEYS).args(["-c", "umask 000; exec \"$0\" env \"$1\" --shell dotenv --no-secret", PROGRAM, TARGET]);
    let (lines, _) = texts(&shell.output().unwrap());
    let home = lines.lines().find_map(|line| line.strip_prefix("MYSQL_HOME=")).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(Path::new(home)), mode(&Path::new(home).join("my.cnf"))), (0o700, 0o600));
    // A planted link is not followed.
    let elsewhere = sandbox.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::remove_dir_all(home).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home).unwrap();
    let line = sandbox.rds_token(["env", TARGET, "--shell", "sh", "--no-secret"]).fails(1);
    assert!(line.contains("could not write") && line.contains("links are not followed"), "{line}");
    assert_eq!(elsewhere.read_dir().unwrap().count(), 0);
    let other = sandbox.rds_token(["env", TARGET, "--shell", "sh"]).env("AWS_ACCESS_KEY_ID", "AKIDOTHER").succeeds();
    assert!(!other.contains(home.trim_end_matches(".token.home")), "{other}");
}
