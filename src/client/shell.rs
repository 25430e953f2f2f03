//! Lines that set and unset variables: shell syntax, and files of `NAME=value` lines.

use std::path::Path;

use crate::error::Error;

/// The longest line that cmd.exe reads, in UTF-16 units.
///
/// Source: Microsoft, "Command prompt line string limitation".
const MAX_CMD_LINE: usize = 8_191;

/// Output syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// POSIX shells.
    Sh,
    /// bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
    /// PowerShell.
    Powershell,
    /// Nushell.
    Nushell,
    /// cmd.exe, in a batch file.
    Cmd,
    /// `NAME=value` lines, for `docker --env-file`, systemd and dotenv.
    Dotenv,
    /// GitHub Actions: the file that `GITHUB_ENV` names.
    Github,
    /// GitLab CI: a dotenv report.
    Gitlab,
}

impl Shell {
    /// All output syntaxes.
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

    /// The syntax of the shell at this path. `None` if the shell is not known.
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

    /// The line that sets a variable. Fails if the syntax can't represent the value (exit 2).
    pub fn set(self, name: &str, value: &str) -> Result<String, Error> {
        let refuse = |what: &str| {
            let format = format!("{self:?}").to_lowercase();
            Err(Error::usage(format!("env: the value of {name} has {what}, which --shell {format} can't represent")))
        };
        if let Some(c) = value.chars().find(|c| c.is_control()) {
            return refuse(&format!("the character {c:?}"));
        }
        Ok(match self {
            Self::Sh | Self::Bash | Self::Zsh => format!("export {name}='{}';\n", value.replace('\'', "'\\''")),
            Self::Fish => format!("set -gx {name} '{}';\n", value.replace('\\', "\\\\").replace('\'', "\\'")),
            Self::Powershell => format!("$env:{name} = '{}';\n", double_powershell_quotes(value)),
            Self::Nushell => format!("$env.{name} = \"{}\";\n", value.replace('\\', "\\\\").replace('"', "\\\"")),
            Self::Cmd if value.contains('"') => return refuse("a double quote"),
            Self::Cmd => {
                let line = format!("set \"{name}={}\"\n", value.replace('%', "%%"));
                if line.encode_utf16().count() > MAX_CMD_LINE {
                    return refuse(&format!("so many characters that its line would be longer than {MAX_CMD_LINE}"));
                }
                line
            }
            // Readers treat quotes and escapes differently, but agree on these characters.
            Self::Dotenv | Self::Gitlab => match value.chars().find(|c| !is_dotenv_plain(*c)) {
                Some(c) => return refuse(&format!("the character {c:?}")),
                None => format!("{name}={value}\n"),
            },
            Self::Github => format!("{name}={value}\n"),
        })
    }

    /// The line that unsets a variable. `None` if the syntax can only set variables.
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

    /// The line that unsets a variable, or sets it to an empty value if the syntax can only set variables. `None` if an
    /// empty value has an effect too: with an empty `PGSERVICE`, libpq looks for a service with an empty name.
    pub(crate) fn clear(self, name: &str) -> Option<String> {
        self.unset(name).or_else(|| (name != "PGSERVICE").then(|| format!("{name}=\n")))
    }
}

/// Doubles single quotes. For PowerShell, typographic single quotes are quotes too.
fn double_powershell_quotes(value: &str) -> String {
    let is_quote = |c: char| matches!(c, '\'' | '\u{2018}'..='\u{201b}');
    value.chars().flat_map(|c| std::iter::repeat_n(c, if is_quote(c) { 2 } else { 1 })).collect()
}

fn is_dotenv_plain(c: char) -> bool {
    c.is_alphanumeric() || "-_.~/:=?&%@+,".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted() {
        for (shell, value, expected) in [
            (Shell::Sh, "a'b\\$c", "export V='a'\\''b\\$c';\n"),
            (Shell::Fish, "a'b\\c", "set -gx V 'a\\'b\\\\c';\n"),
            (Shell::Powershell, "a'b\u{2019}c", "$env:V = 'a''b\u{2019}\u{2019}c';\n"),
            (Shell::Nushell, "a\"b\\c", "$env.V = \"a\\\"b\\\\c\";\n"),
            (Shell::Cmd, "a%b&c", "set \"V=a%%b&c\"\n"),
            (Shell::Dotenv, "h:1/?a=b&c=%2F", "V=h:1/?a=b&c=%2F\n"),
            (Shell::Github, "a 'b' \"c\"", "V=a 'b' \"c\"\n"),
        ] {
            assert_eq!(shell.set("V", value).unwrap(), expected);
        }
    }

    #[test]
    fn values_that_the_syntax_cannot_represent_are_refused() {
        for (shell, value, message) in [
            (Shell::Sh, "a\nb", "env: the value of PGUSER has the character '\\n', which --shell sh can't represent"),
            (Shell::Github, "a\rPATH=x", "has the character '\\r', which --shell github can't"),
            (Shell::Fish, "a\0b", "has the character '\\0'"),
            (Shell::Cmd, "a\"b", "has a double quote, which --shell cmd can't represent"),
            (Shell::Cmd, &"%".repeat(4_090), "has so many characters that its line would be longer than 8191"),
            (Shell::Dotenv, "a b", "has the character ' ', which --shell dotenv can't represent"),
            (Shell::Dotenv, "a$b", "has the character '$'"),
        ] {
            let error = shell.set("PGUSER", value).expect_err(value);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn variables_are_unset_or_emptied() {
        for (shell, name, unset, clear) in [
            (Shell::Bash, "V", Some("unset V;\n"), Some("unset V;\n")),
            (Shell::Cmd, "PGSERVICE", Some("set \"PGSERVICE=\"\n"), Some("set \"PGSERVICE=\"\n")),
            (Shell::Github, "V", None, Some("V=\n")),
            (Shell::Dotenv, "PGSERVICE", None, None),
        ] {
            assert_eq!((shell.unset(name).as_deref(), shell.clear(name).as_deref()), (unset, clear), "{shell:?}");
        }
    }

    #[test]
    fn shells_are_known_by_the_name_of_their_program() {
        for (path, expected) in [
            ("/bin/dash", Some(Shell::Sh)),
            ("/usr/bin/zsh", Some(Shell::Zsh)),
            ("/opt/pwsh.exe", Some(Shell::Powershell)),
            ("nu", Some(Shell::Nushell)),
            ("/bin/tcsh", None),
            ("", None),
        ] {
            assert_eq!(Shell::from_path(Path::new(path)), expected, "{path}");
        }
    }
}
