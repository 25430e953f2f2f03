//! Clients of libpq, run by a user with a Kerberos ticket. libpq tries GSS encryption before TLS, under any `sslmode`.
//! A server that accepts GSS encryption shows no certificate.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::harness::{skip, texts};
use crate::recipes::{Endpoint, OtherCa, Recipe, Scenario, Workspace, can, named, recipe};
use crate::servers::{Kerberos, Lab, lab};

/// Prints `TLSv1.2` or `TLSv1.3`, or nothing if the connection is not encrypted by TLS.
const TLS_VERSION: &str = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// A user of the recipes who has a Kerberos ticket.
struct TicketHolder<'a> {
    kerberos: &'a Kerberos,
    workspace: Workspace<'a>,
}

impl<'a> TicketHolder<'a> {
    /// Returns a user with a new ticket.
    ///
    /// `None` if no KDC is installed; the test is then skipped.
    fn new(test: &str, lab: &'a Lab, scenario: Scenario) -> Option<Self> {
        let Some(kerberos) = &lab.kerberos else {
            skip(test, "a Kerberos KDC is not installed; run `make setup`");
            return None;
        };
        let holder = Self { kerberos, workspace: Workspace::new(lab, scenario) };
        let mut kinit = holder.with_ticket(holder.workspace.command("kinit"));
        let mut kinit = kinit.arg(&kerberos.user).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        writeln!(kinit.stdin.take().unwrap(), "{}", kerberos.password).unwrap();
        assert!(kinit.wait().unwrap().success());
        Some(holder)
    }

    /// Makes a command use the user's ticket.
    fn with_ticket(&self, mut command: Command) -> Command {
        command.env("KRB5_CONFIG", &self.kerberos.config).env("KRB5CCNAME", self.workspace.sandbox.path("ticket"));
        command
    }

    /// The recipe, changed to print the TLS version instead of the user name.
    fn recipe(&self, recipe: &Recipe) -> Command {
        let text = recipe.text.replace("SELECT CURRENT_USER", TLS_VERSION);
        self.with_ticket(self.workspace.recipe(&Recipe { text, ..recipe.clone() }))
    }
}

/// The recipe with `from` replaced by `to`.
fn changed([name, from, to]: [&str; 3]) -> Recipe {
    let recipe = recipe(name);
    assert!(recipe.text.contains(from), "{name} has no {from:?}");
    Recipe { text: recipe.text.replace(from, to), ..recipe }
}

/// Each recipe logs in over TLS, and sends no token to a server with another CA, whatever the user's `PGGSSENCMODE` is.
fn check(test: &str, recipes: &[Recipe]) {
    let Some(lab) = lab(test) else { return };
    for scenario in [Endpoint, OtherCa] {
        let Some(user) = TicketHolder::new(test, &lab, scenario) else { return };
        let run = |recipe: &Recipe, mode: Option<&str>| {
            let mut command = user.recipe(recipe);
            command.envs(mode.map(|mode| ("PGGSSENCMODE", mode)));
            if scenario == OtherCa {
                return user.workspace.assert_no_token_is_sent(command);
            }
            let (stdout, stderr) = texts(&command.output().unwrap());
            let context = format!("{}, {mode:?}: {stdout}{stderr}", recipe.name);
            assert!(stdout.contains("TLSv1.") && stderr.is_empty(), "{context}");
        };
        for recipe in recipes {
            for mode in [None, Some("prefer"), Some("require")] {
                run(recipe, mode);
            }
        }
    }
}

/// Each recipe sends the token to a server with another CA, which shows that `check` can fail.
fn check_unprotected(test: &str, recipes: &[Recipe]) {
    let Some(lab) = lab(test) else { return };
    let Some(user) = TicketHolder::new(test, &lab, OtherCa) else { return };
    for recipe in recipes {
        let before = lab.verdicts().len();
        let (stdout, stderr) = texts(&user.recipe(recipe).output().unwrap());
        let context = format!("{}: {stdout}{stderr}", recipe.name);
        let verdicts = &lab.verdicts()[before..];
        assert!(matches!(verdicts, [verdict] if verdict.ok), "{context}");
        assert!(!stdout.contains("TLSv1."), "{context}");
    }
}

#[test]
#[ignore = "needs database servers"]
fn psql_uses_tls() {
    let mut recipes = named("psql-");
    recipes.push(changed(["psql-env", "--shell", "--no-secret --shell"]));
    check("psql_uses_tls", &recipes);
}

#[test]
#[ignore = "needs database servers"]
fn psql_without_gssencmode_sends_the_token_to_any_server() {
    // `env --unset` unsets `PGGSSENCMODE`.
    let after_unset = "eval \"$(rds-token env --unset --shell sh)\"
        export PGPASSWORD=\"$(rds-token pg)\" PGSSLMODE=verify-full PGSSLROOTCERT=ca.pem
        psql -h HOST -p 5432 -U app -d ExampleDB -c";
    let recipes = [
        ["psql-env", "psql -c", "unset PGGSSENCMODE; psql -c"],
        ["psql-env", "psql -c", after_unset],
        ["psql-passfile", " PGGSSENCMODE=disable", ""],
        ["psql-url", "ca.pem)", "ca.pem | sed s/gssencmode=disable/gssencmode=prefer/)"],
        ["psql-connect", "-- -c", "env -u PGGSSENCMODE psql -c"],
    ];
    check_unprotected("psql_without_gssencmode_sends_the_token_to_any_server", &recipes.map(changed));
}

#[test]
#[ignore = "needs database servers"]
fn psycopg_uses_tls() {
    let test = "psycopg_uses_tls";
    if can(test, "/usr/bin/python3", &["-c", "import psycopg"]) {
        check(test, &[recipe("python-psycopg")]);
    }
}

#[test]
#[ignore = "needs database servers"]
fn psycopg_without_gssencmode_sends_the_token_to_any_server() {
    let test = "psycopg_without_gssencmode_sends_the_token_to_any_server";
    if can(test, "/usr/bin/python3", &["-c", "import psycopg"]) {
        let prefer = ".strip().replace('gssencmode=disable', 'gssencmode=prefer')";
        check_unprotected(test, &[changed(["python-psycopg", ".strip()", prefer])]);
    }
}
