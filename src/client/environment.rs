//! Export lines for shells, and for the files that other programs read variables from.

use std::path::Path;

use crate::error::Error;
use crate::target::{Engine, Target, Via};

/// Output syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// POSIX sh
    Sh,
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// Nushell
    Nushell,
    /// cmd.exe, in a batch file
    Cmd,
    /// NAME=value lines: docker --env-file, systemd, dotenv
    Dotenv,
    /// GitHub Actions: into the file that GITHUB_ENV names
    Github,
    /// GitLab CI: a dotenv report
    Gitlab,
}

/// A variable that a client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Whether the value is a secret.
    pub is_secret: bool,
}

impl Variable {
    /// A variable whose value is not a secret.
    pub fn new(name: &'static str, value: String) -> Self {
        Self { name, value, is_secret: false }
    }
}

/// How a client gets the token.
pub(crate) enum Password<'a> {
    /// As it is.
    Token(&'a str),
    /// In a file: a passfile, or an option file.
    File(&'a str),
}

/// The variable that names another login path file, which Oracle's clients read after all option files.
pub(crate) const LOGIN_FILE_VARIABLE: &str = "MYSQL_TEST_LOGIN_FILE";
/// A login path file without login paths.
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

/// The variables that log a client of `engine` in.
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
    let mut variables = Vec::new();
    let mut add = |name, value: &str| {
        let is_secret = matches!((name, password), ("PGPASSWORD" | "MYSQL_PWD", Password::Token(_)));
        variables.push(Variable { name, value: value.to_owned(), is_secret });
    };
    let port = via.map_or(target.port, |via| via.port).to_string();
    if engine == Engine::Postgres {
        // TLS is verified by PGHOST, wherever PGHOSTADDR leads.
        add("PGHOST", &target.host);
        if let Some(via) = via {
            add("PGHOSTADDR", &via.host);
        }
        add("PGPORT", &port);
        add("PGUSER", &target.user);
        if let Some(database) = &target.database {
            add("PGDATABASE", database);
        }
        match password {
            Password::Token(token) => add("PGPASSWORD", token),
            Password::File(path) => add("PGPASSFILE", path),
        }
        add("PGSSLMODE", "verify-full");
        add("PGSSLROOTCERT", ca);
        // Whatever PGSSLMODE is, libpq tries Kerberos encryption before TLS.
        add("PGGSSENCMODE", "disable");
    } else {
        add("MYSQL_HOST", via.map_or(&target.host, |via| &via.host));
        add("MYSQL_TCP_PORT", &port);
        match password {
            Password::Token(token) => add("MYSQL_PWD", token),
            Password::File(path) => add("RDS_TOKEN_CNF", path),
        }
        // The user's login path file would override the target.
        add(LOGIN_FILE_VARIABLE, NO_LOGIN_FILE);
        // Not LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN: it would expose the passwords of other servers too.
    }
    add("RDS_TOKEN_EXPIRES_AT", expires_at);
    variables
}

/// The variables to unset because they would override those that are set here, left from another target or by the
/// user: libpq dials `PGHOSTADDR`, prefers what a service file says, and takes `PGPASSWORD` before a passfile.
pub(crate) fn conflicting(variables: &[Variable]) -> impl Iterator<Item = &'static str> {
    let has = |name: &str| variables.iter().any(|variable| variable.name == name);
    let conflicting: &[&str] = match has("PGHOST") {
        true => &["PGSERVICE", "PGHOSTADDR", "PGDATABASE", "PGPASSWORD", "PGPASSFILE"],
        false => &["MYSQL_PWD", "RDS_TOKEN_CNF"],
    };
    conflicting.iter().copied().filter(move |name| !has(name))
}

impl Shell {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Sh,
        Self::Bash,
        Self::Zsh,
        Self::Fish,
        Self::Powershell,
        Self::Nushell,
        Self::Cmd,
        Self::Dotenv,
        Self::Github,
        Self::Gitlab,
    ];

    /// The shell that a path such as that in `SHELL` names.
    pub(crate) fn from_path(path: &Path) -> Option<Self> {
        match path.file_stem()?.to_str()? {
            "sh" | "dash" | "ash" | "ksh" | "mksh" => Some(Self::Sh),
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            "pwsh" | "powershell" => Some(Self::Powershell),
            "nu" => Some(Self::Nushell),
            _ => None,
        }
    }

    /// The line that sets one variable.
    ///
    /// # Errors
    /// When the value can't be written so that it arrives as it is (exit 2).
    pub fn set(self, variable: &Variable) -> Result<String, Error> {
        let Variable { name, value, .. } = variable;
        let refuse = |what: &str| {
            let format = format!("{self:?}").to_lowercase();
            Err(Error::usage(format!("env: the value of {name} has {what}, which --shell {format} can't carry")))
        };
        if let Some(c) = value.chars().find(|c| c.is_control()) {
            return refuse(&format!("the character {c:?}"));
        }
        Ok(match self {
            Self::Sh | Self::Bash | Self::Zsh => format!("export {name}='{}';\n", value.replace('\'', "'\\''")),
            Self::Fish => format!("set -gx {name} '{}';\n", value.replace('\\', "\\\\").replace('\'', "\\'")),
            // PowerShell takes typographic quotes for quotes, too.
            Self::Powershell => {
                let is_quote = |c: &char| matches!(c, '\'' | '\u{2018}'..='\u{201b}');
                let doubled = |c: char| std::iter::repeat_n(c, if is_quote(&c) { 2 } else { 1 });
                format!("$env:{name} = '{}';\n", value.chars().flat_map(doubled).collect::<String>())
            }
            Self::Nushell => format!("$env.{name} = \"{}\";\n", value.replace('\\', "\\\\").replace('"', "\\\"")),
            Self::Cmd if value.contains('"') => return refuse("a double quote"),
            Self::Cmd => {
                let line = format!("set \"{name}={}\"\n", value.replace('%', "%%"));
                if line.encode_utf16().count() > MAX_CMD_LINE {
                    return refuse(&format!("so many characters that its line would be longer than {MAX_CMD_LINE}"));
                }
                line
            }
            // Readers differ in quotes and escapes, but agree on these characters.
            Self::Dotenv | Self::Gitlab => match value.chars().find(|c| !is_plain(*c)) {
                Some(c) => return refuse(&format!("the character {c:?}")),
                None => format!("{name}={value}\n"),
            },
            Self::Github => format!("{name}={value}\n"),
        })
    }

    /// Returns the line that unsets a variable, or empties it in formats that can only set. `None` if an empty value
    /// has an effect too: libpq looks for a service with an empty name (`PGSERVICE`).
    pub(crate) fn clear(self, name: &str) -> Option<String> {
        self.unset(name).or_else(|| (name != "PGSERVICE").then(|| format!("{name}=\n")))
    }

    /// The line that unsets one variable, set or not. `None` where lines can only set.
    pub(crate) fn unset(self, name: &str) -> Option<String> {
        Some(match self {
            Self::Sh | Self::Bash | Self::Zsh => format!("unset {name};\n"),
            // `set -e` fails if the variable is not set.
            Self::Fish => format!("set -eg {name}; or true;\n"),
            Self::Powershell => format!("$env:{name} = $null;\n"),
            Self::Nushell => format!("hide-env --ignore-errors {name};\n"),
            Self::Cmd => format!("set \"{name}=\"\n"),
            Self::Dotenv | Self::Github | Self::Gitlab => return None,
        })
    }

    /// The lines that unset all variables that `env` may have set, for any engine, or restore their values in `saved`.
    ///
    /// # Errors
    /// If the format has no lines that unset variables (exit 2).
    pub(crate) fn unset_all(self, saved: &[Variable]) -> Result<String, Error> {
        let why = "env: --unset is for shells; remove the lines from the file instead";
        let line = |name: &&str| match saved.iter().find(|variable| variable.name == *name) {
            // A value that the shell's syntax can't represent is unset.
            Some(variable) => self.set(variable).ok().or_else(|| self.unset(name)),
            None => self.unset(name),
        };
        let lines: String = NAMES.iter().map(line).collect::<Option<_>>().ok_or_else(|| Error::usage(why))?;
        let others = saved.iter().filter(|variable| !NAMES.contains(&variable.name));
        Ok(lines + &others.filter_map(|variable| self.set(variable).ok()).collect::<String>())
    }
}

/// The longest line that cmd.exe reads, in UTF-16 units (Microsoft, "Command prompt line string limitation").
const MAX_CMD_LINE: usize = 8_191;

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-_.~/:=?&%@+,".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(shell: Shell, value: &str) -> Result<String, Error> {
        shell.set(&Variable { name: "PGUSER", value: value.to_owned(), is_secret: false })
    }

    #[test]
    fn what_no_line_can_carry_is_refused() {
        for (shell, value, message) in [
            (Shell::Sh, "a\nb", "env: the value of PGUSER has the character '\\n', which --shell sh can't carry"),
            (Shell::Github, "a\rPATH=x", "has the character '\\r', which --shell github can't"),
            (Shell::Fish, "a\0b", "has the character '\\0'"),
            (Shell::Cmd, "a\"b", "has a double quote, which --shell cmd can't carry"),
            (Shell::Cmd, &"%".repeat(4_090), "has so many characters that its line would be longer than 8191"),
            (Shell::Dotenv, "a b", "has the character ' ', which --shell dotenv can't carry"),
            (Shell::Dotenv, "a$b", "has the character '$'"),
        ] {
            let error = set(shell, value).expect_err(value);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn shells_unset_all_variables() {
        for shell in Shell::ALL {
            let Ok(lines) = shell.unset_all(&[]) else {
                assert!(matches!(shell, Shell::Dotenv | Shell::Github | Shell::Gitlab), "{shell:?}");
                continue;
            };
            assert!(NAMES.iter().all(|name| lines.contains(name)), "{lines}");
            assert!(shell == Shell::Cmd || lines.lines().all(|line| line.ends_with(';')), "{lines}");
        }
    }

    #[test]
    fn conflicting_variables_are_those_that_another_target_may_have_left() {
        let of = |names: &[&'static str]| -> Vec<&str> {
            let variable = |name: &&'static str| Variable { name, value: String::new(), is_secret: false };
            conflicting(&names.iter().map(variable).collect::<Vec<_>>()).collect()
        };
        assert_eq!(of(&["PGHOST", "PGPASSWORD"]), ["PGSERVICE", "PGHOSTADDR", "PGDATABASE", "PGPASSFILE"]);
        assert_eq!(of(&["PGHOST", "PGHOSTADDR", "PGPASSFILE"]), ["PGSERVICE", "PGDATABASE", "PGPASSWORD"]);
        assert_eq!(of(&["MYSQL_HOST", "MYSQL_PWD"]), ["RDS_TOKEN_CNF"]);
    }
}
