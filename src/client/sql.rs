//! SQL that creates the database user for IAM tokens and grants it privileges.
//!
//! Source: "Creating a database account using IAM authentication" in the Amazon RDS user guide; "Schema Object Names"
//! and "GRANT Statement" in the MySQL manual; "Lexical Structure", "GRANT" and "ALTER DEFAULT PRIVILEGES" in the
//! PostgreSQL manual.

use crate::error::Error;
use crate::target::Engine;

/// The privileges of the user in its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and change data, but not the schema.
    ReadWrite,
    /// Read data.
    ReadOnly,
}

/// The database user that the statements create.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseUser<'a> {
    /// The name of the user, without control characters.
    pub name: &'a str,
    /// The database of the grants. `None` for a user without privileges.
    pub database: Option<&'a str>,
    /// The privileges in that database.
    pub access: Access,
}

const NO_DATABASE: &str = "-- No grants, because no database is named. Add one with -D DATABASE.\n";

impl DatabaseUser<'_> {
    /// Returns the statements, which can run again without effect. Fails if the engine can't store a name (exit 2).
    pub fn render(&self, engine: Engine) -> Result<String, Error> {
        match engine {
            Engine::Mysql | Engine::Mariadb => self.mysql_statements(),
            Engine::Postgres => Ok(self.postgres_statements()),
        }
    }

    fn mysql_statements(&self) -> Result<String, Error> {
        check_mysql_name("user", self.name)?;
        let user = format!("{}@'%'", quote_mysql_identifier(self.name));
        let login = "IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL";
        let grant = match self.database {
            None => NO_DATABASE.to_owned(),
            Some(database) => {
                check_mysql_name("database", database)?;
                let privileges = match self.access {
                    Access::ReadWrite => {
                        "SELECT, INSERT, UPDATE, DELETE, EXECUTE, CREATE TEMPORARY TABLES, LOCK TABLES, SHOW VIEW"
                    }
                    Access::ReadOnly => "SELECT, SHOW VIEW",
                };
                let pattern = escape_wildcards(database);
                let note = match pattern == database {
                    true => "",
                    false => "-- In GRANT, the name of the database is a pattern, so _ and % are escaped.\n",
                };
                format!("{note}GRANT {privileges} ON {}.* TO {user};\n", quote_mysql_identifier(&pattern))
            }
        };
        let encoding = if self.is_ascii() { "" } else { "SET NAMES utf8mb4;\n" };
        Ok(format!(
            "-- MySQL 5.7 or MariaDB 10.6, and later. Run these statements as the master user.\n\
             {encoding}CREATE USER IF NOT EXISTS {user} {login};\n\
             -- An existing user is changed, and can then log in only with a token.\n\
             ALTER USER {user} {login};\n{grant}"
        ))
    }

    fn postgres_statements(&self) -> String {
        let user = quote_postgres_identifier(self.name);
        let encoding = if self.is_ascii() { "" } else { "SET client_encoding = 'UTF8';\n" };
        let create = dollar_quote(&format!(
            "\nBEGIN\n  CREATE ROLE {user} LOGIN;\nEXCEPTION WHEN duplicate_object OR unique_violation THEN\n  \
             NULL; -- The role exists.\nEND\n"
        ));
        let grants = match self.database {
            Some(database) => self.postgres_grants(database),
            None => NO_DATABASE.to_owned(),
        };
        format!(
            "-- PostgreSQL. Run these statements as the master user.\n{encoding}DO {create};\n\
             -- A member of rds_iam can log in only with a token. Its password no longer works.\n\
             GRANT rds_iam TO {user};\n{grants}"
        )
    }

    /// Returns the grants as one block, so that none of them takes effect in another database.
    fn postgres_grants(&self, database: &str) -> String {
        let (user, name) = (quote_postgres_identifier(self.name), quote_postgres_string(self.name));
        let (tables, sequences) = match self.access {
            Access::ReadWrite => ("SELECT, INSERT, UPDATE, DELETE", "USAGE, SELECT"),
            Access::ReadOnly => ("SELECT", "SELECT"),
        };
        let block = dollar_quote(&format!(
            r#"
DECLARE
  user_name CONSTANT text := {name};
  database_name CONSTANT text := {literal};
  schema_name text;
BEGIN
  SET LOCAL search_path = pg_catalog; -- No function of another schema is called.
  IF current_database() <> database_name THEN
    RAISE EXCEPTION 'these grants are for the database "%", and this session is in "%"; connect to the other database',
      database_name, current_database();
  END IF;
  GRANT CONNECT ON DATABASE {database} TO {user};
  FOR schema_name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  LOOP
    IF NOT has_schema_privilege(schema_name, 'USAGE WITH GRANT OPTION') THEN
      RAISE WARNING 'skipped the schema "%", because "%" does not own it', schema_name, current_user;
      CONTINUE;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', schema_name, user_name);
    EXECUTE format('GRANT {tables} ON ALL TABLES IN SCHEMA %I TO %I', schema_name, user_name);
    EXECUTE format('GRANT {sequences} ON ALL SEQUENCES IN SCHEMA %I TO %I', schema_name, user_name);
  END LOOP;
  -- The same privileges for later schemas, tables and sequences. They cover only those that the role that runs
  -- this block creates. If another role creates tables, for example in migrations, run this block as that role too.
  ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO {user};
  ALTER DEFAULT PRIVILEGES GRANT {tables} ON TABLES TO {user};
  ALTER DEFAULT PRIVILEGES GRANT {sequences} ON SEQUENCES TO {user};
END
"#,
            literal = quote_postgres_string(database),
            database = quote_postgres_identifier(database),
        ));
        format!("-- Run this block in the database of the grants.\nDO {block};\n")
    }

    fn is_ascii(&self) -> bool {
        self.name.is_ascii() && self.database.is_none_or(str::is_ascii)
    }
}

/// Refuses names that MySQL or MariaDB changes or can't store (exit 2).
fn check_mysql_name(part: &str, name: &str) -> Result<(), Error> {
    let why = if name.ends_with(' ') || (part == "user" && name.starts_with(' ')) {
        "begins or ends with a space, which the server removes"
    } else if name.chars().any(|c| c > '\u{ffff}') {
        "contains a character above U+FFFF, which MySQL and MariaDB do not allow in names"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("sql: {part} '{name}' {why}; use another name")))
}

/// Quotes an identifier. A backslash in backticks is literal, with and without `NO_BACKSLASH_ESCAPES`.
fn quote_mysql_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Escapes the name of a database for GRANT, in which `_` and `%` are wildcards.
fn escape_wildcards(database: &str) -> String {
    database.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

pub(super) fn quote_postgres_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a string. Its value does not depend on `standard_conforming_strings`.
pub(super) fn quote_postgres_string(text: &str) -> String {
    let quoted = format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    if text.contains('\\') { format!("E{quoted}") } else { quoted }
}

/// Quotes a string with dollars and a tag that does not occur in it.
fn dollar_quote(text: &str) -> String {
    let mut tag = "$rds_token$".to_owned();
    while text.contains(&tag) {
        tag.insert(tag.len() - 1, '_');
    }
    format!("{tag}{text}{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(name: &str, database: Option<&str>, access: Access, engine: Engine) -> String {
        DatabaseUser { name, database, access }.render(engine).unwrap()
    }

    #[test]
    fn mysql_names_are_quoted() {
        for (name, database, user, grant) in [
            ("app", "ExampleDB", "`app`@'%'", "`ExampleDB`.* TO"),
            ("o'neil\"x", "a b", "`o'neil\"x`@'%'", "`a b`.* TO"),
            ("a`b", "c`d", "`a``b`@'%'", "`c``d`.* TO"),
            ("a\\b%_", "my_db%", "`a\\b%_`@'%'", "`my\\_db\\%`.* TO"),
            ("a;-- #", "c\\d", "`a;-- #`@'%'", "`c\\\\d`.* TO"),
        ] {
            for engine in [Engine::Mysql, Engine::Mariadb] {
                let sql = render(name, Some(database), Access::ReadWrite, engine);
                let login = "IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;\n";
                assert!(sql.contains(&format!("CREATE USER IF NOT EXISTS {user} {login}")), "{sql}");
                assert!(sql.contains(&format!("ALTER USER {user} {login}")), "{sql}");
                assert!(sql.contains(&format!(" ON {grant} {user};\n")), "{sql}");
            }
        }
    }

    #[test]
    fn postgres_names_are_quoted() {
        for (name, identifier, string) in [
            ("app", "\"app\"", "'app'"),
            ("o'neil\"x", "\"o'neil\"\"x\"", "'o''neil\"x'"),
            ("a\\'b", "\"a\\'b\"", "E'a\\\\''b'"),
            ("$$ $rds_token$", "\"$$ $rds_token$\"", "'$$ $rds_token$'"),
        ] {
            let sql = render(name, Some(name), Access::ReadWrite, Engine::Postgres);
            for expected in [
                format!("CREATE ROLE {identifier} LOGIN;"),
                format!("GRANT rds_iam TO {identifier};"),
                format!("GRANT CONNECT ON DATABASE {identifier} TO {identifier};"),
                format!("user_name CONSTANT text := {string};"),
            ] {
                assert!(sql.contains(&expected), "{expected}: {sql}");
            }
        }
        assert_eq!(dollar_quote("a $rds_token$ $rds_token_$"), "$rds_token__$a $rds_token$ $rds_token_$$rds_token__$");
    }

    #[test]
    fn the_access_decides_the_privileges() {
        for (access, engine, expected) in [
            (Access::ReadOnly, Engine::Mysql, "GRANT SELECT, SHOW VIEW ON `d`.*"),
            (Access::ReadWrite, Engine::Mariadb, "GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE, CREATE TEMPORARY"),
            (Access::ReadOnly, Engine::Postgres, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO \"u\";"),
            (Access::ReadWrite, Engine::Postgres, "'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I"),
        ] {
            let sql = render("u", Some("d"), access, engine);
            assert!(sql.contains(expected), "{sql}");
            assert_eq!(sql.contains("INSERT"), access == Access::ReadWrite, "{sql}");
            let without = render("u", None, access, engine);
            assert!(without.ends_with(NO_DATABASE) && !without.contains("SELECT"), "{without}");
        }
    }

    #[test]
    fn the_encoding_is_set_if_it_matters() {
        for (name, database, engine, expected) in [
            ("é", None, Engine::Mysql, Some("SET NAMES utf8mb4;\n")),
            ("u", Some("é"), Engine::Postgres, Some("SET client_encoding = 'UTF8';\n")),
            ("u", Some("d"), Engine::Postgres, None),
            ("u", Some("d"), Engine::Mysql, None),
        ] {
            let sql = render(name, database, Access::ReadOnly, engine);
            assert_eq!(sql.lines().find(|line| line.starts_with("SET ")), expected.map(str::trim_end), "{sql}");
        }
    }

    #[test]
    fn names_that_mysql_changes_are_refused() {
        for (name, database) in [("a ", None), (" a", None), ("🦀", None), ("a", Some("b ")), ("a", Some("🦀"))] {
            let user = DatabaseUser { name, database, access: Access::ReadOnly };
            assert!(user.render(Engine::Mysql).is_err(), "{name} {database:?}");
            assert!(user.render(Engine::Postgres).is_ok(), "{name} {database:?}");
        }
    }
}
