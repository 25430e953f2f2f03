//! Recipes of docs/recipes.md that need additional drivers, and the tables of docs/clients.md.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{has, skip, texts};
use crate::recipes::{ClearGreeting, Endpoint, NoTls, OtherCa, OtherName, Workspace, can, check, check_all, recipe};
use crate::servers::{Lab, lab};

/// Whether the drivers are installed. If not, skips the test.
fn has_drivers(test: &str) -> bool {
    let programs = ["mydumper", "java", "ruby", "/usr/lib/nagios/plugins/check_mysql"];
    let missing = programs.into_iter().find(|program| !has(program));
    if let Some(missing) = missing {
        skip(test, &format!("{missing} is not installed; run `make setup`"));
    }
    missing.is_none() && can(test, "/usr/bin/python3", &["-c", "import mycli.main, MySQLdb, aiomysql"])
}

#[test]
#[ignore = "needs database servers"]
fn recipes_of_additional_drivers_log_in() {
    if has_drivers("recipes_of_additional_drivers_log_in") {
        check_all("recipes_of_additional_drivers_log_in", &["ruby-", "tool-", "java-"]);
    }
}

/// The OpenSSL of Debian 12 is too old for the C extension. The extension loads its own OpenSSL if it is imported
/// before Python's `ssl` module.
#[test]
#[ignore = "needs database servers"]
fn the_c_extension_of_mysql_connector_python_verifies_the_server() {
    let test = "the_c_extension_of_mysql_connector_python_verifies_the_server";
    if !can(test, "/usr/bin/python3", &["-c", "import _mysql_connector, mysql.connector.connection_cext"]) {
        return;
    }
    let Some(lab) = lab(test) else { return };
    for name in ["python-connector-file", "python-connector"] {
        let mut recipe = recipe(name);
        recipe.text = format!("import _mysql_connector\n{}assert 'CMySQL' in str(type(db))\n", recipe.text);
        check(&lab, &recipe, &lab.mysql);
    }
}

/// The start of a Python command line that gets a token.
const PYTHON: &str = "/usr/bin/python3 -c 'import os, ssl, sys; token = os.popen(\"rds-token prod\").read().strip()\n";
/// The arguments of a Python driver without its TLS options.
const LOGIN: &str = "host=\"HOST\", port=3306, user=\"app\", password=token";

/// Rows of the table "Options that leak the token" in docs/clients.md.
#[test]
#[ignore = "needs database servers"]
fn options_that_do_not_require_tls_leak_the_token() {
    let test = "options_that_do_not_require_tls_leak_the_token";
    if !has_drivers(test) {
        return;
    }
    let Some(lab) = lab(test) else { return };
    let ruby = |options: &str| {
        format!(
            "ruby -e 'require \"mysql2\"; Mysql2::Client.new(host: \"HOST\", port: 3306, username: \"app\", \
             password: `rds-token -n prod`, sslca: \"ca.pem\", {options})'"
        )
    };
    for command in [
        ruby("ssl_mode: :verify_identity"),
        ruby("sslverify: true"),
        format!(
            "{PYTHON}import MySQLdb; MySQLdb.connect({}, ssl={{\"ca\": \"ca.pem\"}})'",
            LOGIN.replace("password", "passwd")
        ),
        format!(
            "{PYTHON}import aiomysql, asyncio\nasync def main():\n  await aiomysql.connect({LOGIN}, \
             ssl=ssl.create_default_context(cafile=\"ca.pem\"))\nasyncio.run(main())'"
        ),
        "mydumper -h HOST -P 3306 -u app -p \"$(rds-token prod)\" --ssl --ca ca.pem -o dump".to_owned(),
        "/usr/lib/nagios/plugins/check_mysql -H HOST -P 3306 -u app -p \"$(rds-token prod)\" -l -C ca.pem".to_owned(),
        "mycli --host HOST --port 3306 --user app --password-file <(rds-token prod) --ssl-ca ca.pem \
         --ssl-verify-server-cert -e 'SELECT 1'"
            .to_owned(),
    ] {
        let workspace = Workspace::new(&lab, NoTls);
        workspace.command("bash").args(["-c", &workspace.adapt(&command)]).output().unwrap();
        assert!(workspace.has_leaked(), "{command}");
    }
}

/// Rows of the same table, for options that use TLS.
#[test]
#[ignore = "needs database servers"]
fn options_that_do_not_check_the_name_leak_the_token() {
    let test = "options_that_do_not_check_the_name_leak_the_token";
    if !has_drivers(test) {
        return;
    }
    let Some(lab) = lab(test) else { return };
    let node = "node -e 'const {execFileSync} = require(\"child_process\");\n\
        const token = execFileSync(\"rds-token\", [\"-n\", \"prod\"]).toString();\n\
        const ssl = {ca: require(\"fs\").readFileSync(\"ca.pem\")};\n\
        require(\"mysql2\").createConnection({host: \"HOST\", port: 3306, user: \"app\", password: token, \
        enableCleartextPlugin: true, ssl}).connect(() => process.exit())'";
    let connector =
        |options: &str| format!("{PYTHON}import mysql.connector; mysql.connector.connect({LOGIN}, {options})'");
    for command in
        [connector("ssl_ca=\"ca.pem\""), connector("ssl_ca=\"ca.pem\", ssl_verify_cert=True"), node.to_owned()]
    {
        let workspace = Workspace::new(&lab, OtherName);
        let before = lab.verdicts().len();
        workspace.command("bash").args(["-c", &workspace.adapt(&command)]).output().unwrap();
        assert!(lab.verdicts().len() > before, "{command}");
    }
}

/// Connector/J 2 does not know sslMode. It sends the password only if the server's greeting requests it.
#[test]
#[ignore = "needs database servers"]
fn old_versions_of_connector_j_leak_the_token() {
    let test = "old_versions_of_connector_j_leak_the_token";
    if !has_drivers(test) {
        return;
    }
    let Some(lab) = lab(test) else { return };
    let mut java = recipe("java-connector");
    java.text = java.text.replace("useSsl=true&", "");
    let workspace = Workspace::new(&lab, ClearGreeting);
    workspace.recipe(&java).output().unwrap();
    assert!(workspace.has_leaked(), "{}", java.text);
}

/// Builds a program that is linked with MySQL's own client library, and loads all libraries from its directory.
fn build_with_libmysqlclient(lab: &Lab, directory: &Path) -> PathBuf {
    let root = lab.mysql.bin.as_ref().unwrap().parent().unwrap();
    let library = std::fs::read_dir(root.join("usr/lib")).unwrap().map(|entry| entry.unwrap().path());
    let library = library.into_iter().find(|path| path.join("libmysqlclient.so").exists()).unwrap();
    let loaders = std::fs::read_dir(&library).unwrap().map(|entry| entry.unwrap().path());
    let is_loader = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("ld-linux-");
    let loader = loaders.into_iter().find(is_loader).unwrap();
    let program = directory.join("libmysqlclient_login");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/libmysqlclient_login.c");
    let mut compiler = Command::new("cc");
    compiler.arg("-o").arg(&program).arg(source).arg("-I").arg(root.join("usr/include"));
    compiler.arg(library.join("libmysqlclient.so"));
    // The library requires a newer libc than that of this machine.
    compiler.arg("-Wl,--unresolved-symbols=ignore-in-shared-libs,--disable-new-dtags");
    compiler.arg(format!("-Wl,--dynamic-linker={},-rpath,{}", loader.display(), library.display()));
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{}", texts(&output).1);
    program
}

/// An option file can't make libmysqlclient verify TLS, so the file must not enable the cleartext plugin.
#[test]
#[ignore = "needs database servers"]
fn libmysqlclient_sends_no_token_with_the_option_file_alone() {
    let Some(lab) = lab("libmysqlclient_sends_no_token_with_the_option_file_alone") else { return };
    let mut leaked = 0;
    for scenario in [Endpoint, OtherCa, OtherName, NoTls] {
        let workspace = Workspace::with(&lab, scenario, &lab.mysql);
        let program = build_with_libmysqlclient(&lab, &workspace.sandbox.path("."));
        let cnf = workspace.rds_token(["cnf", "prod", "--flavor", "library"]).succeeds();
        let login = |arguments: &[&str]| {
            let mut command = workspace.command(program.to_str().unwrap());
            command.args(arguments);
            command
        };
        workspace.assert_no_token_is_sent(login(&[cnf.trim_end()]));

        // With its own TLS options, the program verifies the server and logs in.
        let token = workspace.rds_token(["prod", "-n"]).succeeds();
        let port = workspace.mariadb.to_string();
        let mut own_options = login(&[workspace.host, &port, &lab.user, &token, "ca.pem"]);
        if scenario == Endpoint {
            assert_eq!(texts(&own_options.output().unwrap()), (format!("{}@%\n", lab.user), String::new()));
        } else {
            workspace.assert_no_token_is_sent(own_options);
        }

        // With the plugin enabled, the token leaks, because the option file makes the library verify nothing.
        let before = lab.verdicts().len();
        login(&[cnf.trim_end()]).env("LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN", "1").output().unwrap();
        leaked += usize::from(scenario != Endpoint && (workspace.has_leaked() || lab.verdicts().len() > before));

        let connect = ["connect", "prod", "--", program.to_str().unwrap()];
        let (_, warning) = texts(&workspace.rds_token(connect).output());
        assert!(warning.contains("is linked with MySQL's own client library"), "{warning}");
    }
    assert!(leaked >= 2, "the token leaked {leaked} times");
}
