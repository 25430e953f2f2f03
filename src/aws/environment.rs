//! The environment variables that configure a source of credentials, or that a `credential_process` uses.

use super::keys::{AccessKeys, KeyNames};
use super::source::Source;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;

/// The variables for access keys. The order of the session tokens is botocore's, and the second expiration is the older
/// name in aws-vault.
const KEY_NAMES: KeyNames = KeyNames {
    access_key_id: "AWS_ACCESS_KEY_ID",
    secret_access_key: "AWS_SECRET_ACCESS_KEY",
    session_tokens: &["AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"],
    expirations: &["AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION"],
};
/// The variables for a container's endpoint, in order of precedence.
pub(super) const CONTAINER_URIS: [&str; 2] =
    ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

/// Returns the access keys in the environment. `None` if `AWS_ACCESS_KEY_ID` is not set. Fails if the keys can't sign
/// (exit 3).
pub(super) fn environment_keys(env: &Env) -> Result<Option<AccessKeys>, Error> {
    AccessKeys::read("the environment", &KEY_NAMES, |name| env.var(name))
}

/// Returns the variable that sets a container's endpoint. `None` if neither variable is set.
pub(super) fn container_variable(env: &Env) -> Option<&'static str> {
    CONTAINER_URIS.into_iter().find(|name| env.var(name).is_some())
}

/// Returns the variable that selects a profile. `None` if neither variable is set.
pub(super) fn profile_variable(env: &Env) -> Option<&'static str> {
    ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"].into_iter().find(|name| env.var(name).is_some())
}

pub(super) fn has_web_identity(env: &Env) -> bool {
    env.var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some()
}

pub(super) fn is_metadata_disabled(env: &Env) -> bool {
    env.var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Adds the variables that the command names, and the current directory if the command may run a program from there.
pub(super) fn add_process_inputs(source: &Source, env: &Env, fingerprint: Fingerprint) -> Fingerprint {
    let Source::Process(command) = source else { return fingerprint };
    let directory = env.current_dir().filter(|_| has_relative_path(command));
    let fingerprint = fingerprint.optional(directory.map(|path| path.into_os_string().into_encoded_bytes()));
    variable_names(command).fold(fingerprint, |f, name| f.field(name).optional(env.raw_var(name)))
}

/// Returns the variables that a command names: `$NAME`, and every name in `${…}` and `$((…))`; `%NAME%` on Windows.
fn variable_names(command: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let parts = command.split(if cfg!(windows) { '%' } else { '$' }).skip(1);
    parts.flat_map(move |part| {
        let end = match part.chars().next() {
            Some('{') => part.find('}'),
            Some('(') => part.rfind(')'),
            _ => part.find(|c| !is_name(c)),
        };
        part[..end.unwrap_or(part.len())].split(move |c| !is_name(c)).filter(|name| !name.is_empty())
    })
}

/// Whether a word of a command may be a path relative to the current directory.
fn has_relative_path(command: &str) -> bool {
    let mut words = command.split(|c: char| c.is_whitespace() || "'\";|&()=".contains(c));
    words.any(|word| word.contains('/') && !word.starts_with(['/', '~', '$']) && !word.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn variables_are_found_in_every_form() {
        for (command, expected) in [
            ("helper", vec![]),
            ("helper $ROLE", vec!["ROLE"]),
            ("helper \"$A$B\" '$C'", vec!["A", "B", "C"]),
            ("helper ${A:-x} ${B%/*}", vec!["A", "x", "B"]),
            ("helper $((A+B))", vec!["A", "B"]),
            ("helper $(cat $FILE)", vec!["cat", "FILE"]),
            ("helper $A/b.$C", vec!["A", "C"]),
            ("price 5$", vec![]),
        ] {
            assert_eq!(variable_names(command).collect::<Vec<_>>(), expected, "{command}");
        }
    }

    #[test]
    fn relative_paths_are_found() {
        for (command, expected) in [
            ("helper", false),
            ("/opt/helper --x", false),
            ("~/bin/helper", false),
            ("$HOME/bin/helper", false),
            ("helper https://vault.example.com/x", false),
            ("./helper", true),
            ("bin/helper", true),
            ("sh -c 'cd / && ../helper'", true),
            ("helper --config=conf/x", true),
        ] {
            assert_eq!(has_relative_path(command), expected, "{command}");
        }
    }
}
