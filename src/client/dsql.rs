//! SQL that creates a database user of Aurora DSQL, and grants it to an AWS identity.
//!
//! Source: "Using database roles and IAM authentication" in the Aurora DSQL user guide.

use super::sql::{Access, quote_postgres_identifier, quote_postgres_string};

/// The example for an AWS identity that is not known.
const EXAMPLE_ARN: &str = "arn:aws:iam::ACCOUNT:role/NAME";

/// Returns the statements for the user `name`. `iam_arn` is the role or the user of IAM that logs in. `None` for an
/// example, which has to be replaced.
pub(crate) fn render(name: &str, iam_arn: Option<&str>, access: Access) -> String {
    let user = identifier(name);
    let arn = quote_postgres_string(iam_arn.unwrap_or(EXAMPLE_ARN));
    let privileges = match access {
        Access::ReadWrite => "SELECT, INSERT, UPDATE, DELETE",
        Access::ReadOnly => "SELECT",
    };
    format!(
        "-- Aurora DSQL. Run these statements as admin.\n\
         CREATE ROLE {user} WITH LOGIN;\n\
         -- This role or user of IAM can then log in, if its policy allows dsql:DbConnect.\n\
         AWS IAM GRANT {user} TO {arn};\n\
         -- The user has no privileges yet. Grant them for each schema:\n\
         -- GRANT USAGE ON SCHEMA example TO {user};\n\
         -- GRANT {privileges} ON ALL TABLES IN SCHEMA example TO {user};\n"
    )
}

/// The name of a user. A plain name has no quotes, because the user guide shows `AWS IAM GRANT` only without them.
fn identifier(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_plain { name.to_owned() } else { quote_postgres_identifier(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_if_necessary() {
        for (name, arn, expected) in [
            ("app_1", None, "AWS IAM GRANT app_1 TO 'arn:aws:iam::ACCOUNT:role/NAME';"),
            ("App", Some("arn:aws:iam::1:role/x"), "AWS IAM GRANT \"App\" TO 'arn:aws:iam::1:role/x';"),
            ("1a", Some("arn:o'x"), "AWS IAM GRANT \"1a\" TO 'arn:o''x';"),
            ("a\"b", Some("x"), "AWS IAM GRANT \"a\"\"b\" TO 'x';"),
            ("é", Some("x"), "AWS IAM GRANT \"é\" TO 'x';"),
        ] {
            let sql = render(name, arn, Access::ReadOnly);
            assert!(sql.contains(expected) && !sql.contains("INSERT"), "{sql}");
        }
        assert!(render("app", None, Access::ReadWrite).contains("-- GRANT SELECT, INSERT, UPDATE, DELETE ON ALL"));
    }
}
