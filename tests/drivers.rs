//! The clients of docs/clients.md that README.md does not name.

use crate::harness::{has, skip};
use crate::recipes::{Kitchen, NoTls, OtherName, can, check_all};
use crate::servers::lab;

/// Whether the drivers are installed; else the test is skipped.
fn has_drivers(test: &str) -> bool {
    let programs = ["mydumper", "mycli", "java", "ruby", "/usr/lib/nagios/plugins/check_mysql"];
    let missing = programs.into_iter().find(|program| *program != "mycli" && !has(program));
    if let Some(missing) = missing {
        skip(test, &format!("{missing} is missing; `tests/install drivers` installs it"));
    }
    missing.is_none() && can(test, "/usr/bin/python3", &["-c", "import mycli.main, MySQLdb, aiomysql"])
}

#[test]
fn recipes_of_further_drivers() {
    if has_drivers("recipes_of_further_drivers") {
        check_all("recipes_of_further_drivers", &["ruby-", "tool-", "java-"]);
    }
}

/// The table "Leaks without" is true: with these options, a server without TLS gets the token.
#[test]
fn options_that_look_right_leak() {
    let test = "options_that_look_right_leak";
    if !has_drivers(test) {
        return;
    }
    let Some(lab) = lab(test) else { return };
    let python = "python3 -c 'import os, ssl, sys; token = os.popen(\"rds-token prod\").read().strip()\n";
    let login = "host=\"HOST\", port=3306, user=\"app\", password=token";
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
            "{}{python}import MySQLdb; MySQLdb.connect({}, ssl={{\"ca\": \"ca.pem\"}})'",
            "",
            login.replace("password", "passwd")
        )
        .replace("python3", "/usr/bin/python3"),
        format!(
            "/usr/bin/{python}import aiomysql, asyncio\nasync def main():\n  await aiomysql.connect({login}, \
             ssl=ssl.create_default_context(cafile=\"ca.pem\"))\nasyncio.run(main())'"
        ),
        "mydumper -h HOST -P 3306 -u app -p \"$(rds-token prod)\" --ssl --ca ca.pem -o dump".to_owned(),
        "/usr/lib/nagios/plugins/check_mysql -H HOST -P 3306 -u app -p \"$(rds-token prod)\" -l -C ca.pem".to_owned(),
        "mycli --host HOST --port 3306 --user app --password-file <(rds-token prod) --ssl-ca ca.pem \
         --ssl-verify-server-cert -e 'SELECT 1'"
            .to_owned(),
    ] {
        let kitchen = Kitchen::new(&lab, NoTls);
        kitchen.command("bash").args(["-c", &kitchen.adapt(&command)]).output().unwrap();
        assert!(kitchen.has_leaked(), "{command}");
    }
    // These use TLS, and check no name.
    let kitchen = Kitchen::new(&lab, OtherName);
    let before = lab.verdicts().len();
    let command =
        format!("/usr/bin/{python}import mysql.connector; mysql.connector.connect({login}, ssl_ca=\"ca.pem\")'");
    kitchen.command("bash").args(["-c", &kitchen.adapt(&command)]).output().unwrap();
    assert!(lab.verdicts().len() > before, "{command}");
}
