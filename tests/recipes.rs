//! Runs each recipe in README.md and docs/ as it is printed: against a server of the lab, against servers that are not
//! the endpoint, and without AWS credentials. Only the lab's server may get a token.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{HOST, PROGRAM, Run, Sandbox, has, skip, texts};
use crate::rogue::Rogue;
use crate::servers::{Lab, Mariadb, Postgres, Server, lab};

/// A fenced block below a `<!-- recipe: NAME -->`.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) text: String,
}

fn recipes() -> Vec<Recipe> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension() == Some(OsStr::new("md"))).chain([root.join("README.md")]);
    let text: String = pages.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let recipe = |part: &str| {
        let (name, rest) = part.split_once(" -->\n```").unwrap();
        let (language, rest) = rest.split_once('\n').unwrap();
        let (text, _) = rest.split_once("\n```\n").unwrap();
        Recipe { name: name.to_owned(), language: language.to_owned(), text: format!("{text}\n") }
    };
    text.split("<!-- recipe: ").skip(1).map(recipe).collect()
}

pub(crate) fn recipe(name: &str) -> Recipe {
    recipes().into_iter().find(|recipe| recipe.name == name).unwrap_or_else(|| panic!("there is no recipe {name}"))
}

/// The recipes whose names begin with `beginning`. Fails if there are none.
pub(crate) fn named(beginning: &str) -> Vec<Recipe> {
    let named: Vec<Recipe> = recipes().into_iter().filter(|recipe| recipe.name.starts_with(beginning)).collect();
    assert!(!named.is_empty(), "there is no recipe {beginning}…");
    named
}

/// Replaces whole words.
fn replace_words(text: &str, replace: impl Fn(&str) -> Option<String>) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        replaced.push_str(replace(word).as_deref().unwrap_or(word));
        rest = after;
    }
    replaced
}

/// The server and the credentials that a recipe uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scenario {
    /// The endpoint.
    Endpoint,
    /// A server with a certificate from another CA.
    OtherCa,
    /// A server with a certificate for another name.
    OtherName,
    /// A server without TLS that requests the password in clear text.
    NoTls,
    /// As `NoTls`, but the MySQL server requests the password in its greeting.
    ClearGreeting,
    /// The endpoint, but `rds-token` fails.
    NoCredentials,
}

pub(crate) use Scenario::{ClearGreeting, Endpoint, NoCredentials, NoTls, OtherCa, OtherName};

/// The home directory, current directory and environment of a user who runs a recipe.
pub(crate) struct Workspace<'a> {
    lab: &'a Lab,
    scenario: Scenario,
    /// The directory of the clients of `prod`, if they are not on PATH.
    bin: Option<&'a Path>,
    pub(crate) sandbox: Sandbox,
    pub(crate) host: &'a str,
    pub(crate) mariadb: u16,
    pub(crate) postgres: u16,
    rogues: Option<[Rogue; 2]>,
}

impl<'a> Workspace<'a> {
    pub(crate) fn new(lab: &'a Lab, scenario: Scenario) -> Self {
        Self::with(lab, scenario, &lab.mariadb)
    }

    /// A workspace in which the target `prod` is the server `prod`.
    pub(crate) fn with(lab: &'a Lab, scenario: Scenario, prod: &'a Server) -> Self {
        let rogues = match scenario {
            NoTls => Some([Rogue::start(Mariadb), Rogue::start(Postgres)]),
            ClearGreeting => Some([Rogue::start_with_clear_greeting(), Rogue::start(Postgres)]),
            Endpoint | OtherCa | OtherName | NoCredentials => None,
        };
        let workspace = Self {
            lab,
            scenario,
            bin: prod.bin.as_deref(),
            sandbox: Sandbox::new(),
            host: if scenario == OtherName { &lab.outside_host } else { &lab.host },
            mariadb: rogues.as_ref().map_or(prod.port, |rogues| rogues[0].port),
            postgres: rogues.as_ref().map_or(lab.postgres.port, |rogues| rogues[1].port),
            rogues,
        };
        let ca = workspace.sandbox.path("ca.pem");
        std::fs::copy(if scenario == OtherCa { &lab.other_ca } else { &lab.ca }, &ca).unwrap();
        // The engine can't be derived from a port of the lab.
        let config = workspace.adapt(&recipe("config.toml").text);
        let engine = if prod.bin.is_some() { "mysql" } else { "mariadb" };
        let config = config.replace("[target.prod]", &format!("[target.prod]\nengine = \"{engine}\""));
        let config = config.replace("[target.pg]", "[target.pg]\nengine = \"postgres\"");
        let config = format!("{config}\n[defaults]\nca = \"{}\"\n", ca.display());
        workspace.sandbox.write(".config/rds-token/config.toml", &config);
        if scenario == NoCredentials {
            return workspace;
        }
        let key = lab.key("long");
        let mut credentials = format!("[default]\naws_access_key_id={}\n", key.access_key_id);
        let _ = writeln!(credentials, "aws_secret_access_key={}", key.secret_access_key);
        let _ = writeln!(credentials, "aws_session_token={}", key.session_token.unwrap());
        workspace.sandbox.write(".aws/credentials", &credentials);
        workspace
    }

    /// The text, with the lab's host, ports and user in place of the examples.
    pub(crate) fn adapt(&self, text: &str) -> String {
        let text = text.replace(HOST, "HOST").replace("mysql://app@HOST/", "mysql://app@HOST:3306/");
        let text = text.replace(&format!("host={}", HOST.replacen("db", "pg", 1)), "host=HOST port=5432");
        let text = replace_words(&text, |word| {
            Some(match word {
                "HOST" => self.host.to_owned(),
                "3306" => self.mariadb.to_string(),
                "5432" => self.postgres.to_string(),
                "app" => self.lab.user.clone(),
                _ => return None,
            })
        });
        // A pool that can't connect retries until its timeout.
        let text = if self.scenario == Endpoint { text } else { text.replace("timeout=5", "timeout=1") };
        text.replace("/usr/local/bin/rds-token", PROGRAM).replace("\"$(rds-token ca)\"", "ca.pem")
    }

    /// Prepares `program`, with the program under test on PATH, and the lab's host names on loopback.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.sandbox.command(program);
        let path = std::env::var("PATH").unwrap();
        let ours = [Path::new(PROGRAM).parent(), self.bin].into_iter().flatten().map(Path::to_path_buf);
        let ours = ours.chain([drivers("python/bin")]);
        command.env("PATH", std::env::join_paths(ours.chain(std::env::split_paths(&path))).unwrap());
        command.env("PYTHONPATH", drivers("python")).env("NODE_PATH", drivers("node/node_modules"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        self.lab.on_loopback(&mut command);
        command
    }

    /// Prepares a run of the program under test.
    pub(crate) fn rds_token<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        let mut command = self.command(PROGRAM);
        command.args(args);
        Run { command }
    }

    /// Whether a server without TLS received a token.
    pub(crate) fn has_leaked(&self) -> bool {
        self.rogues.iter().flatten().any(Rogue::has_token)
    }

    /// Runs `command`. Fails if it succeeds, or if a server receives a token.
    #[track_caller]
    pub(crate) fn assert_no_token_is_sent(&self, mut command: Command) {
        let before = self.lab.verdicts().len();
        let output = command.output().unwrap();
        let about = format!("{command:?}: {:?}", texts(&output));
        assert!(!output.status.success(), "{about}");
        assert_eq!(self.lab.verdicts().len(), before, "a server received a password: {about}");
        assert!(!self.has_leaked(), "a server without TLS received a token: {about}");
    }

    /// Makes `command` log its calls of the program under test, and returns the path of the log.
    fn count_calls(&self, command: &mut Command) -> PathBuf {
        let log = self.sandbox.path("calls");
        let bin = self.sandbox.path("counted");
        std::fs::create_dir(&bin).unwrap();
        let script = bin.join("rds-token");
        std::fs::write(&script, format!("#!/bin/sh\necho >>{}\nexec {PROGRAM} \"$@\"\n", log.display())).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
        let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(path))).unwrap();
        command.env("PATH", path);
        log
    }

    /// Runs a command that opens more than one connection, and fails unless it calls `rds-token` for each of them.
    #[track_caller]
    fn assert_connections_have_tokens(&self, mut command: Command, calls: &Path, name: &str) {
        let before = self.lab.verdicts().len();
        let output = command.output().unwrap();
        let about = format!("{name}: {:?}", texts(&output));
        assert!(output.status.success() && output.stderr.is_empty(), "{about}");
        assert!(texts(&output).0.contains(&self.lab.user), "{about}");
        let connections = self.lab.verdicts().len() - before;
        let calls = std::fs::read_to_string(calls).unwrap().lines().count();
        assert!(connections >= 2 && calls >= connections, "{connections} connections, {calls} calls: {about}");
    }

    /// Runs a command, and fails if it succeeds or connects to a local server.
    #[track_caller]
    pub(crate) fn assert_no_local_connection(&self, command: &Command) {
        let (has_succeeded, found, about) = self.trace_local_connection(command);
        assert!(!has_succeeded && found.is_none(), "{about}: {found:?}");
    }

    /// Runs a command. Returns whether it succeeded, its first connection to a local server, and its output.
    pub(crate) fn trace_local_connection(&self, command: &Command) -> (bool, Option<String>, String) {
        let trace = self.sandbox.path("trace");
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-e", "trace=connect", "-o"]).arg(&trace).arg(command.get_program());
        traced.args(command.get_args()).current_dir(command.get_current_dir().unwrap()).env_clear();
        traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
        let output = traced.output().unwrap();
        let calls = std::fs::read_to_string(trace).unwrap();
        let local = ["mysqld.sock", "mysql.sock", ".s.PGSQL", "htons(3306)", "htons(5432)"];
        let found = calls.lines().find(|call| local.iter().any(|server| call.contains(server)));
        (output.status.success(), found.map(str::to_owned), format!("{command:?}: {:?}", texts(&output)))
    }

    /// Prepares a recipe, with the interpreter that its block names.
    pub(crate) fn recipe(&self, recipe: &Recipe) -> Command {
        let file = self.sandbox.path(&recipe.name);
        let mut text = self.adapt(&recipe.text);
        if recipe.language == "console" {
            text = text.lines().filter_map(|line| line.strip_prefix("$ ")).collect::<Vec<_>>().join("\n");
        }
        std::fs::write(&file, text).unwrap();
        let mut command = match recipe.language.as_str() {
            "sh" | "console" => self.shell("sh", &file),
            "bash" => self.shell("bash", &file),
            "perl" => self.interpreter("perl", &file),
            "python" => self.interpreter("/usr/bin/python3", &file),
            "js" => self.interpreter("node", &file),
            "ruby" => self.interpreter("ruby", &file),
            "java" => self.java(&file),
            "make" => {
                let mut command = self.command("make");
                command.arg("-kf").arg(&file).args(["dump", "user"]);
                command
            }
            other => panic!("{}: no interpreter for {other}", recipe.name),
        };
        if recipe.name.starts_with("pool-psycopg") {
            // The pool looks up the endpoint in several threads at once, for which nss_wrapper is not safe.
            command.env("PGHOSTADDR", "127.0.0.1");
        }
        command
    }

    fn interpreter(&self, program: &str, file: &Path) -> Command {
        let mut command = self.command(program);
        command.arg(file);
        command
    }

    /// Compiles the file with ECJ, because Debian's Java runtime has no compiler.
    fn java(&self, file: &Path) -> Command {
        let script = "set -e; cp \"$1\" Login.java; java -cp /usr/share/java/ecj.jar org.eclipse.jdt.internal.compiler.batch.Main -11 Login.java
            exec java -cp /usr/share/java/mariadb-java-client.jar:. Login";
        let mut command = self.command("sh");
        command.args(["-c", script, "sh"]).arg(file);
        command
    }

    fn shell(&self, program: &str, file: &Path) -> Command {
        let mut command = self.command(program);
        // If every line must fail, do not stop at the first one.
        command.arg(if self.scenario == Endpoint { "-eu" } else { "-u" }).arg(file);
        command
    }

    /// Whether the dump contains `text`.
    fn dump_has(&self, dump: &Path, text: &str) -> bool {
        let zcat = Command::new("zcat").arg("-f").arg(self.sandbox.path(dump)).output().unwrap();
        String::from_utf8_lossy(&zcat.stdout).contains(text)
    }
}

fn drivers(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/drivers").join(language)
}

/// The name of the dump that a recipe writes. `None` if it writes none.
fn dump(recipe: &Recipe) -> Option<&'static Path> {
    let dumps = ["ExampleDB.sql.gz", "ExampleDB.sql"];
    dumps.into_iter().find(|dump| recipe.text.contains(dump)).map(Path::new)
}

/// Asserts that the recipe logs in as the user, and sends no token to a server that is not the endpoint. If `rds-token`
/// fails, the recipe must not connect to a local server, or replace the old dump.
pub(crate) fn check(lab: &Lab, recipe: &Recipe, prod: &Server) {
    let workspace = Workspace::with(lab, Endpoint, prod);
    let (stdout, stderr) = texts(&workspace.recipe(recipe).output().unwrap());
    let about = format!("{}: {stdout}{stderr}", recipe.name);
    assert_eq!(stderr, "", "{about}");
    assert!(!recipe.text.contains("CURRENT_USER") || stdout.contains(&lab.user), "{about}");
    assert!(dump(recipe).is_none_or(|dump| workspace.dump_has(dump, "hello from ")), "{about}");

    for scenario in [OtherCa, OtherName, NoTls, ClearGreeting, NoCredentials] {
        let workspace = Workspace::with(lab, scenario, prod);
        let _ = dump(recipe).map(|dump| std::fs::write(workspace.sandbox.path(dump), "last night's").unwrap());
        match scenario {
            NoCredentials => workspace.assert_no_local_connection(&workspace.recipe(recipe)),
            _ => workspace.assert_no_token_is_sent(workspace.recipe(recipe)),
        }
        assert!(dump(recipe).is_none_or(|dump| workspace.dump_has(dump, "last night's")), "{scenario:?}: {about}");
    }
}

pub(crate) fn check_all(test: &str, beginnings: &[&str]) {
    let Some(lab) = lab(test) else { return };
    for recipe in beginnings.iter().flat_map(|beginning| named(beginning)) {
        check(&lab, &recipe, &lab.mariadb);
    }
}

/// Whether `program` succeeds with these arguments, which load drivers. If not, skips the test.
pub(crate) fn can(test: &str, program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).env("PYTHONPATH", drivers("python")).env("NODE_PATH", drivers("node/node_modules"));
    let can = command.output().is_ok_and(|output| output.status.success());
    if !can {
        skip(test, "a driver is missing; run `make setup`");
    }
    can
}

/// Clients that verify nothing send the token to the servers without TLS. The other tests can therefore fail.
#[test]
#[ignore = "needs database servers"]
fn a_client_that_verifies_nothing_leaks_the_token() {
    let Some(lab) = lab("a_client_that_verifies_nothing_leaks_the_token") else { return };
    let workspace = Workspace::new(&lab, NoTls);
    let [mysql, postgres] = workspace.rogues.as_ref().unwrap();
    for (rogue, client) in [
        (mysql, "mariadb --no-defaults --ssl-ca=ca.pem --ssl -h HOST -P 3306 -u app -p\"$(rds-token prod)\""),
        (postgres, "PGPASSWORD=\"$(rds-token pg)\" psql 'host=HOST port=5432 user=app sslmode=prefer'"),
    ] {
        assert!(!rogue.has_token());
        workspace.command("sh").args(["-c", &workspace.adapt(client)]).output().unwrap();
        assert!(rogue.has_token(), "{client}");
    }
}

#[test]
fn every_recipe_has_a_test() {
    let tested = [
        "config.toml",
        "mysql-",
        "mariadb-",
        "connect",
        "psql-",
        "perl-",
        "python-",
        "node-",
        "ruby-",
        "tool-",
        "java-",
        "make",
        "cron",
        "dump.service",
        "report.service",
        "ci-",
        "pool-",
        "django-",
    ];
    for recipe in recipes() {
        assert!(tested.iter().any(|beginning| recipe.name.starts_with(beginning)), "{}", recipe.name);
    }
}

#[test]
#[ignore = "needs database servers"]
fn shell_recipes_log_in() {
    if !has("strace") {
        return skip("shell_recipes_log_in", "strace is not installed");
    }
    check_all("shell_recipes_log_in", &["mariadb-", "connect", "psql-", "make"]);
}

#[test]
#[ignore = "needs database servers"]
fn recipes_of_mysqls_own_client_log_in() {
    let Some(lab) = lab("recipes_of_mysqls_own_client_log_in") else { return };
    for recipe in named("mysql-") {
        check(&lab, &recipe, &lab.mysql);
    }
}

/// Drivers treat MySQL and MariaDB servers differently.
#[test]
#[ignore = "needs database servers"]
fn recipes_for_both_servers_log_in_to_mysql() {
    let test = "recipes_for_both_servers_log_in_to_mysql";
    let import = "import pymysql, mysql.connector, psycopg, sqlalchemy";
    if !can(test, "/usr/bin/python3", &["-c", import]) || !can(test, "node", &["-e", "require('mysql2')"]) {
        return;
    }
    let Some(lab) = lab(test) else { return };
    for name in ["python-pymysql", "python-connector", "pool-sqlalchemy-pymysql", "node-mysql2", "pool-node-mysql2"] {
        let workspace = Workspace::with(&lab, Endpoint, &lab.mysql);
        let (stdout, stderr) = texts(&workspace.recipe(&recipe(name)).output().unwrap());
        assert_eq!((stdout, stderr.as_str()), (format!("{}@%\n", lab.user), ""), "{name}");
    }
}

#[test]
#[ignore = "needs database servers"]
fn perl_recipes_log_in() {
    if can("perl_recipes_log_in", "perl", &["-MDBD::mysql", "-MDBD::MariaDB", "-e1"]) {
        check_all("perl_recipes_log_in", &["perl-"]);
    }
}

#[test]
#[ignore = "needs database servers"]
fn python_recipes_log_in() {
    let import = "import pymysql, mysql.connector, psycopg, MySQLdb, asyncmy, asyncpg";
    if can("python_recipes_log_in", "/usr/bin/python3", &["-c", import]) {
        check_all("python_recipes_log_in", &["python-"]);
    }
}

/// Each pool with a change that makes it open a second connection.
const SECOND_CONNECTIONS: [(&str, &str, &str); 6] = [
    ("pool-sqlalchemy-pymysql", "with engine", "held = engine.connect()\nwith engine"),
    ("pool-sqlalchemy-psycopg", "with engine", "held = engine.connect()\nwith engine"),
    ("pool-psycopg", "    with pool.connection()", "    pool.wait()\n    with pool.connection()"),
    ("pool-psycopg-class", "    with pool.connection()", "    pool.wait()\n    with pool.connection()"),
    (
        "pool-node-pg",
        "await pool.end",
        "await Promise.all([1, 2].map(() => pool.query('SELECT 1')));\n  await pool.end",
    ),
    (
        "pool-node-mysql2",
        "await pool.end",
        "await Promise.all([1, 2].map(() => pool.query('SELECT 1')));\n  await pool.end",
    ),
];

/// A pool that reads the token once can open no connection after the token expires.
#[test]
#[ignore = "needs database servers"]
fn pools_get_a_token_for_each_connection() {
    let test = "pools_get_a_token_for_each_connection";
    if !has_pools(test) {
        return;
    }
    let Some(lab) = lab(test) else { return };
    assert_eq!(SECOND_CONNECTIONS.len(), named("pool-").len(), "a pool has no test");
    for (name, from, to) in SECOND_CONNECTIONS {
        let workspace = Workspace::new(&lab, Endpoint);
        let mut recipe = recipe(name);
        assert!(recipe.text.contains(from), "{name} has no {from:?}");
        recipe.text = recipe.text.replace(from, to);
        let mut command = workspace.recipe(&recipe);
        let calls = workspace.count_calls(&mut command);
        workspace.assert_connections_have_tokens(command, &calls, name);
    }
}

/// The Django backends of docs/pools.md, in projects with the settings of that page.
#[test]
#[ignore = "needs database servers"]
fn django_backends_log_in() {
    if !can("django_backends_log_in", "/usr/bin/python3", &["-c", "import django, psycopg, MySQLdb"]) {
        return;
    }
    let Some(lab) = lab("django_backends_log_in") else { return };
    let script = "import django
django.setup()
from django.db import connection
for _ in range(2):
    with connection.cursor() as cursor:
        cursor.execute('SELECT CURRENT_USER')
        print(cursor.fetchone()[0])
    connection.close()
";
    for (project, package) in [("django-postgresql", "rds_postgresql"), ("django-mysql", "rds_mysql")] {
        for scenario in [Endpoint, OtherCa, OtherName, NoTls, ClearGreeting, NoCredentials] {
            let workspace = Workspace::new(&lab, scenario);
            let directory = workspace.sandbox.path(package);
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("__init__.py"), "").unwrap();
            let write = |file: &str, place: &Path| {
                let text = workspace.adapt(&recipe(&format!("{project}/{file}")).text);
                // HOST is also the name of a setting.
                std::fs::write(place, text.replace(&format!("\"{}\": ", workspace.host), "\"HOST\": ")).unwrap();
            };
            write("base.py", &directory.join("base.py"));
            write("settings.py", &workspace.sandbox.path("settings.py"));
            let mut command = workspace.command("/usr/bin/python3");
            command.args(["-c", script]).env("DJANGO_SETTINGS_MODULE", "settings");
            match scenario {
                Endpoint => {
                    let calls = workspace.count_calls(&mut command);
                    workspace.assert_connections_have_tokens(command, &calls, project);
                }
                NoCredentials => workspace.assert_no_local_connection(&command),
                _ => workspace.assert_no_token_is_sent(command),
            }
        }
    }
}

/// Whether the pools are installed. If not, skips the test.
fn has_pools(test: &str) -> bool {
    can(test, "/usr/bin/python3", &["-c", "import pymysql, psycopg, psycopg_pool, sqlalchemy"])
        && can(test, "node", &["-e", "require('mysql2'); require('pg')"])
}

#[test]
#[ignore = "needs database servers"]
fn pool_recipes_log_in() {
    if has_pools("pool_recipes_log_in") {
        check_all("pool_recipes_log_in", &["pool-"]);
    }
}

#[test]
#[ignore = "needs database servers"]
fn node_recipes_log_in() {
    if can("node_recipes_log_in", "node", &["-e", "require('mysql2')"]) {
        check_all("node_recipes_log_in", &["node-"]);
    }
}

/// Runs the command of the crontab line in the environment that cron sets (crontab(5)).
#[test]
#[ignore = "needs database servers"]
fn the_cron_line_writes_a_dump() {
    let Some(lab) = lab("the_cron_line_writes_a_dump") else { return };
    let dump = Path::new("home/ExampleDB.sql");
    for (scenario, expected) in [(Endpoint, "hello from "), (NoCredentials, "last night's")] {
        let workspace = Workspace::new(&lab, scenario);
        std::fs::write(workspace.sandbox.path(dump), "last night's").unwrap();
        let text = workspace.adapt(&recipe("cron").text);
        let (mail, line) = text.trim_end().split_once('\n').unwrap();
        assert!(mail.starts_with("MAILTO="), "{mail}");
        let command_of = line.splitn(6, ' ').nth(5).unwrap();
        assert!(!command_of.contains('%'), "cron replaces % with a newline");
        let mut command = Command::new("/bin/sh");
        command.env_clear().env("HOME", workspace.sandbox.path("home")).env("PATH", "/usr/bin:/bin");
        command.env("SHELL", "/bin/sh").env("LOGNAME", "app").current_dir(workspace.sandbox.path("home"));
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        let output = lab.on_loopback(command.args(["-c", command_of])).output().unwrap();
        let (stdout, stderr) = texts(&output);
        // cron mails all output.
        assert_eq!((stdout.as_str(), stderr.lines().count()), ("", usize::from(scenario != Endpoint)), "{stderr}");
        assert_eq!(output.status.success(), scenario == Endpoint, "{stderr}");
        assert!(workspace.dump_has(dump, expected), "{scenario:?}");
    }
}

/// Runs each command of a workflow in its own shell, with the variables that earlier commands wrote to GITHUB_ENV.
#[test]
#[ignore = "needs database servers"]
fn ci_recipes_log_in() {
    let Some(lab) = lab("ci_recipes_log_in") else { return };
    for (recipe, scenario) in named("ci-").iter().flat_map(|recipe| [(recipe, Endpoint), (recipe, NoTls)]) {
        let workspace = Workspace::new(&lab, scenario);
        let script = workspace.sandbox.path("migrate.sh");
        std::fs::write(&script, "#!/bin/sh\nmariadb -e 'SELECT CURRENT_USER()'\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let variables = workspace.sandbox.write("github_env", "");
        let lines = recipe.text.lines().map(str::trim).filter_map(|line| line.strip_prefix("- "));
        for line in lines.map(|line| line.strip_prefix("run: ").unwrap_or(line)) {
            let mut step = workspace.command("bash");
            step.args(["-e", "-o", "pipefail", "-c", &workspace.adapt(line)]).env("GITHUB_ENV", &variables);
            let text = std::fs::read_to_string(&variables).unwrap();
            step.envs(text.lines().map(|line| line.split_once('=').unwrap()));
            if line.contains(" env ") {
                assert!(step.output().unwrap().status.success(), "{line}");
            } else if scenario == Endpoint {
                let (stdout, stderr) = texts(&step.output().unwrap());
                assert!(stdout.contains(&lab.user) && stderr.is_empty(), "{line}: {stdout}{stderr}");
            } else {
                workspace.assert_no_token_is_sent(step);
            }
        }
    }
}

/// systemd accepts the units. Their commands are those of other recipes.
#[test]
#[ignore = "needs database servers"]
fn systemd_accepts_the_units() {
    if !has("systemd-analyze") {
        skip("systemd_accepts_the_units", "systemd-analyze is not installed");
        return;
    }
    let Some(lab) = lab("systemd_accepts_the_units") else { return };
    let workspace = Workspace::new(&lab, Endpoint);
    for name in ["dump.service", "report.service"] {
        let unit = workspace.sandbox.path(name);
        std::fs::write(&unit, workspace.adapt(&recipe(name).text)).unwrap();
        std::fs::set_permissions(&unit, std::fs::Permissions::from_mode(0o644)).unwrap();
        let output =
            workspace.sandbox.command("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{stdout}{stderr}");
        assert_eq!((stdout.as_str(), stderr.as_str()), ("", ""));
    }
}

/// `docker run --env-file` reads the text after the first `=` literally.
#[test]
#[ignore = "needs database servers"]
fn an_env_file_logs_in() {
    let Some(lab) = lab("an_env_file_logs_in") else { return };
    for (target, program, query) in [("pg", "psql", "-At"), ("prod", "mariadb", "-N")] {
        let workspace = Workspace::new(&lab, Endpoint);
        let output = workspace.command(PROGRAM).args(["env", "-q", target, "--shell", "dotenv"]).output().unwrap();
        let (file, stderr) = texts(&output);
        assert_eq!(stderr, "");
        let mut client = workspace.command(program);
        client.envs(file.lines().map(|line| line.split_once('=').unwrap()));
        if program == "mariadb" {
            client.arg("--batch");
        }
        let sql = if program == "mariadb" { "-eselect 'logged in'" } else { "-cselect 'logged in'" };
        let (stdout, stderr) = texts(&client.args([query, sql]).output().unwrap());
        assert_eq!((stdout.as_str(), stderr.as_str()), ("logged in\n", ""), "{target}");
    }
}
