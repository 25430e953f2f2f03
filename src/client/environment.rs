//! The environment variables that database clients read.

use crate::target::{Engine, Target, Via};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// Whether the value contains the token.
    pub(crate) is_secret: bool,
}

impl Variable {
    pub(crate) fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), is_secret: false }
    }
}

/// The value through which a client gets the token.
pub(crate) enum Password<'a> {
    Token(&'a str),
    /// The path of a passfile or an option file.
    File(&'a str),
}

impl Password<'_> {
    fn variable(&self, token_name: &'static str, file_name: &'static str) -> Variable {
        match self {
            Self::Token(token) => Variable { is_secret: true, ..Variable::new(token_name, *token) },
            Self::File(path) => Variable::new(file_name, *path),
        }
    }
}

/// The variable for another login path file. MySQL's own programs read the login path file after all option files.
pub(crate) const LOGIN_FILE_VARIABLE: &str = "MYSQL_TEST_LOGIN_FILE";
pub(crate) const NO_LOGIN_FILE: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// The names of all variables that `env` may set.
pub(crate) const NAMES: [&str; 18] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGGSSENCMODE",
    "MYSQL_HOST",
    "MYSQL_TCP_PORT",
    "MYSQL_PWD",
    "MYSQL_HOME",
    "MARIADB_HOME",
    LOGIN_FILE_VARIABLE,
    "RDS_TOKEN_CNF",
    "RDS_TOKEN_EXPIRES_AT",
];

/// The variables that log in a client of `engine`.
///
/// MySQL and MariaDB also need `MYSQL_HOME`, because no variable sets the user or TLS.
///
/// Source: "Environment Variables" in the PostgreSQL manual and in the MySQL manual.
pub(crate) fn variables(
    target: &Target,
    engine: Engine,
    via: Option<&Via>,
    ca: &str,
    password: &Password<'_>,
    expires_at: &str,
) -> Vec<Variable> {
    let mut variables = match engine {
        Engine::Postgres => postgres_variables(target, via, ca, password),
        Engine::Mysql | Engine::Mariadb => mysql_variables(target, via, password),
    };
    variables.push(Variable::new("RDS_TOKEN_EXPIRES_AT", expires_at));
    variables
}

fn postgres_variables(target: &Target, via: Option<&Via>, ca: &str, password: &Password<'_>) -> Vec<Variable> {
    // libpq connects to PGHOSTADDR, but verifies the name in PGHOST.
    let mut variables = vec![Variable::new("PGHOST", &target.host)];
    variables.extend(via.map(|via| Variable::new("PGHOSTADDR", &via.host)));
    variables.push(Variable::new("PGPORT", port(target, via)));
    variables.push(Variable::new("PGUSER", &target.user));
    variables.extend(target.database.as_ref().map(|database| Variable::new("PGDATABASE", database)));
    variables.push(password.variable("PGPASSWORD", "PGPASSFILE"));
    variables.push(Variable::new("PGSSLMODE", "verify-full"));
    variables.push(Variable::new("PGSSLROOTCERT", ca));
    // With any PGSSLMODE, libpq tries Kerberos encryption before TLS.
    variables.push(Variable::new("PGGSSENCMODE", "disable"));
    variables
}

/// `LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN` is not set, because it would also expose the passwords of other servers.
fn mysql_variables(target: &Target, via: Option<&Via>, password: &Password<'_>) -> Vec<Variable> {
    vec![
        Variable::new("MYSQL_HOST", via.map_or(&target.host, |via| &via.host)),
        Variable::new("MYSQL_TCP_PORT", port(target, via)),
        password.variable("MYSQL_PWD", "RDS_TOKEN_CNF"),
        // The user's login path file would override the target.
        Variable::new(LOGIN_FILE_VARIABLE, NO_LOGIN_FILE),
    ]
}

fn port(target: &Target, via: Option<&Via>) -> String {
    via.map_or(target.port, |via| via.port).to_string()
}

/// The variables to unset, because they would override `variables` if another target or the user set them: libpq
/// connects to `PGHOSTADDR`, and prefers a service file to variables and `PGPASSWORD` to a passfile.
pub(crate) fn conflicting(variables: &[Variable]) -> impl Iterator<Item = &'static str> {
    let is_set = |name: &str| variables.iter().any(|variable| variable.name == name);
    let conflicting: &[&str] = match is_set("PGHOST") {
        true => &["PGSERVICE", "PGHOSTADDR", "PGDATABASE", "PGPASSWORD", "PGPASSFILE"],
        false => &["MYSQL_PWD", "RDS_TOKEN_CNF"],
    };
    conflicting.iter().copied().filter(move |name| !is_set(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_has_its_variables() {
        let via = Via { host: "127.0.0.1".to_owned(), port: 1234 };
        let (token, file) = (Password::Token("TOKEN"), Password::File("/f"));
        for (engine, via, password, expected) in [
            (
                Engine::Postgres,
                None,
                &token,
                "PGHOST=h.x PGPORT=1 PGUSER=u PGDATABASE=d PGPASSWORD=TOKEN (secret) PGSSLMODE=verify-full \
                 PGSSLROOTCERT=/ca PGGSSENCMODE=disable RDS_TOKEN_EXPIRES_AT=E",
            ),
            (
                Engine::Postgres,
                Some(&via),
                &file,
                "PGHOST=h.x PGHOSTADDR=127.0.0.1 PGPORT=1234 PGUSER=u PGDATABASE=d PGPASSFILE=/f PGSSLMODE=verify-full \
                 PGSSLROOTCERT=/ca PGGSSENCMODE=disable RDS_TOKEN_EXPIRES_AT=E",
            ),
            (
                Engine::Mysql,
                None,
                &token,
                "MYSQL_HOST=h.x MYSQL_TCP_PORT=1 MYSQL_PWD=TOKEN (secret) MYSQL_TEST_LOGIN_FILE=NONE \
                 RDS_TOKEN_EXPIRES_AT=E",
            ),
            (
                Engine::Mariadb,
                Some(&via),
                &file,
                "MYSQL_HOST=127.0.0.1 MYSQL_TCP_PORT=1234 RDS_TOKEN_CNF=/f MYSQL_TEST_LOGIN_FILE=NONE \
                 RDS_TOKEN_EXPIRES_AT=E",
            ),
        ] {
            let target = Target {
                host: "h.x".to_owned(),
                port: 1,
                user: "u".to_owned(),
                database: Some("d".to_owned()),
                engine: Some(engine),
                region: "eu-west-1".to_owned(),
            };
            let variables = variables(&target, engine, via, "/ca", password, "E");
            assert!(variables.iter().all(|variable| NAMES.contains(&variable.name)), "{variables:?}");
            let show = |Variable { name, value, is_secret }: &Variable| {
                format!("{name}={value}{}", if *is_secret { " (secret)" } else { "" })
            };
            let shown: Vec<String> = variables.iter().map(show).collect();
            assert_eq!(shown.join(" "), expected.replace("NONE", NO_LOGIN_FILE));
        }
    }

    #[test]
    fn variables_of_another_target_conflict() {
        for (set, expected) in [
            (&["PGHOST", "PGPASSWORD"][..], &["PGSERVICE", "PGHOSTADDR", "PGDATABASE", "PGPASSFILE"][..]),
            (&["PGHOST", "PGHOSTADDR", "PGPASSFILE"], &["PGSERVICE", "PGDATABASE", "PGPASSWORD"]),
            (&["MYSQL_HOST", "MYSQL_PWD"], &["RDS_TOKEN_CNF"]),
        ] {
            let variables: Vec<Variable> = set.iter().map(|name| Variable::new(name, "")).collect();
            assert_eq!(conflicting(&variables).collect::<Vec<_>>(), expected);
        }
    }
}
