//! The values of variables before `env` set them.
//!
//! `rds-env` saves them in a shell variable, and `rds-env --unset` restores them. The shell variable is not exported,
//! because a value may be the user's password.

use percent_encoding::percent_decode_str;

use super::environment::{NAMES, Variable};
use super::shell::Shell;
use crate::error::Error;
use crate::percent::encode;

/// The name of the shell variable.
pub(crate) const SAVED: &str = "RDS_TOKEN_SAVED";

/// The names of the saved variables: all that `env` may set, and `PGSERVICE`, which it unsets.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(["PGSERVICE"])
}

/// Encodes variables as `NAME=value&NAME=value`, percent-encoded. `None` if there are none.
pub(crate) fn render(variables: &[Variable]) -> Option<String> {
    let pairs = variables.iter().map(|Variable { name, value, .. }| format!("{name}={}", encode(value)));
    (!variables.is_empty()).then(|| pairs.collect::<Vec<_>>().join("&"))
}

/// Decodes variables. Ignores invalid pairs and other names.
pub(crate) fn parse(text: &str) -> Vec<Variable> {
    let variable = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let name = names().find(|known| *known == name)?;
        Some(Variable::new(name, percent_decode_str(value).decode_utf8().ok()?.into_owned()))
    };
    text.trim().split('&').filter_map(variable).collect()
}

impl Shell {
    /// The line that saves encoded variables in a shell variable that is not exported. `None` if there is no
    /// integration for the shell.
    pub(crate) fn save(self, text: &str) -> Option<String> {
        match self {
            Self::Sh => Some(format!("{SAVED}='{text}';\n")),
            // With `set -a`, the assignment alone would export the variable.
            Self::Bash => Some(format!("{SAVED}='{text}'; export -n {SAVED};\n")),
            Self::Zsh => Some(format!("typeset -g +x {SAVED}='{text}';\n")),
            Self::Fish => Some(format!("set -g {SAVED} '{text}';\n")),
            Self::Powershell => Some(format!("$global:{SAVED} = '{text}';\n")),
            Self::Nushell | Self::Cmd | Self::Dotenv | Self::Github | Self::Gitlab => None,
        }
    }

    /// The line that unsets the shell variable. `None` if there is no integration for the shell.
    pub(crate) fn unset_saved(self) -> Option<String> {
        match self {
            Self::Powershell => Some(format!("$global:{SAVED} = $null;\n")),
            Self::Sh | Self::Bash | Self::Zsh | Self::Fish => self.unset(SAVED),
            Self::Nushell | Self::Cmd | Self::Dotenv | Self::Github | Self::Gitlab => None,
        }
    }

    /// The lines that unset all variables that `env` may have set, or restore their values in `saved`. Fails if the
    /// syntax can only set variables (exit 2).
    pub(crate) fn unset_all(self, saved: &[Variable]) -> Result<String, Error> {
        // A value that the syntax can't represent is unset.
        let restore = |variable: &Variable| self.set(variable.name, &variable.value).ok();
        let line = |name: &&str| {
            let saved = saved.iter().find(|variable| variable.name == *name);
            saved.and_then(restore).or_else(|| self.unset(name))
        };
        let lines: Option<String> = NAMES.iter().map(line).collect();
        let lines =
            lines.ok_or_else(|| Error::usage("env: --unset is for shells; remove the lines from the file instead"))?;
        let others = saved.iter().filter(|variable| !NAMES.contains(&variable.name));
        Ok(lines + &others.filter_map(restore).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn saved_values_are_restored_or_unset() {
        let saved = ["PGHOST", "PGSERVICE"].map(|name| Variable::new(name, "x"));
        let lines = Shell::Sh.unset_all(&saved).unwrap();
        assert!(lines.starts_with("export PGHOST='x';\nunset PGHOSTADDR;\n"), "{lines}");
        assert!(lines.ends_with("export PGSERVICE='x';\n"), "{lines}");
        let lines = Shell::Sh.unset_all(&[Variable::new("PGHOST", "\n")]).unwrap();
        assert!(lines.starts_with("unset PGHOST;\n"), "{lines}");
    }

    #[test]
    fn values_are_restored_byte_for_byte() {
        let variables = [Variable::new("PGHOST", "a'b\"c\\d &=%é\n"), Variable::new("PGSERVICE", "")];
        let text = render(&variables).unwrap();
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~%&=".contains(c)), "{text}");
        assert_eq!(parse(&text), variables);
        assert_eq!(render(&[]), None);
        for other in ["", "PATH=x", "PGHOST", "PGHOST=%ff", "LD_PRELOAD=x&=y"] {
            assert_eq!(parse(other), [], "{other}");
        }
    }
}
