//! Saves the values that variables had before `env` set them.
//!
//! `rds-env --unset` restores them from a shell variable. It is not exported, because a value may be the user's
//! password.

use percent_encoding::percent_decode_str;

use super::environment::{NAMES, Shell, Variable};
use crate::percent::encode;

/// The name of the shell variable.
pub(crate) const SAVED: &str = "RDS_TOKEN_SAVED";

/// The variables that are saved: those that `env` sets, and one that it unsets.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(["PGSERVICE"])
}

/// Encodes variables as `NAME=value&NAME=value`, percent-encoded. `None` if there are none.
pub(crate) fn render(variables: &[Variable]) -> Option<String> {
    let pairs = variables.iter().map(|Variable { name, value, .. }| format!("{name}={}", encode(value)));
    (!variables.is_empty()).then(|| pairs.collect::<Vec<_>>().join("&"))
}

/// Decodes variables, and ignores everything else.
pub(crate) fn parse(text: &str) -> Vec<Variable> {
    let variable = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let name = names().find(|known| *known == name)?;
        Some(Variable::new(name, percent_decode_str(value).decode_utf8().ok()?.into_owned()))
    };
    text.trim().split('&').filter_map(variable).collect()
}

impl Shell {
    /// The line that saves the text in a variable of the shell that is not exported. `None` if the shell has no
    /// integration that would restore it.
    pub(crate) fn save(self, text: &str) -> Option<String> {
        match self {
            Self::Sh => Some(format!("{SAVED}='{text}';\n")),
            // With `set -a`, it would be exported.
            Self::Bash => Some(format!("{SAVED}='{text}'; export -n {SAVED};\n")),
            Self::Zsh => Some(format!("typeset -g +x {SAVED}='{text}';\n")),
            Self::Fish => Some(format!("set -g {SAVED} '{text}';\n")),
            Self::Powershell => Some(format!("$global:{SAVED} = '{text}';\n")),
            Self::Nushell | Self::Cmd | Self::Dotenv | Self::Github | Self::Gitlab => None,
        }
    }

    /// Returns the line that unsets the saved values.
    pub(crate) fn unset_saved(self) -> Option<String> {
        match self {
            Self::Powershell => Some(format!("$global:{SAVED} = $null;\n")),
            Self::Sh | Self::Bash | Self::Zsh | Self::Fish => self.unset(SAVED),
            Self::Nushell | Self::Cmd | Self::Dotenv | Self::Github | Self::Gitlab => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_restored_byte_for_byte() {
        let variables =
            [Variable::new("PGHOST", "a'b\"c\\d &=%é\n".to_owned()), Variable::new("PGSERVICE", String::new())];
        let text = render(&variables).unwrap();
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~%&=".contains(c)), "{text}");
        assert_eq!(parse(&text), variables);
        assert_eq!(render(&[]), None);
        for other in ["", "PATH=x", "PGHOST", "PGHOST=%ff", "LD_PRELOAD=x&=y"] {
            assert_eq!(parse(other), [], "{other}");
        }
    }
}
