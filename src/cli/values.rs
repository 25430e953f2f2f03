//! The values of arguments: their names and meanings, and their parsers.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::aws::is_code;
use crate::cache::CacheKind;
use crate::client::option_file::Flavor;
use crate::client::shell::Shell;
use crate::token::MAX_DSQL_LIFETIME;

/// A value of `--flavor`. `None` detects the flavor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlavorArg(pub(crate) Option<Flavor>);

pub(super) const FLAVORS: [(FlavorArg, &str, &str); 4] = [
    (FlavorArg(None), "auto", "The flavor of the mysql or mariadb on PATH (cnf), or of the program that connect runs"),
    (FlavorArg(Some(Flavor::Mysql)), "mysql", "MySQL clients"),
    (FlavorArg(Some(Flavor::Mariadb)), "mariadb", "MariaDB clients"),
    (
        FlavorArg(Some(Flavor::Library)),
        "library",
        "Drivers on libmariadb, PyMySQL 1.2 or later, mysql-connector-python; not libmysqlclient, which does not read \
         TLS verification from a file",
    ),
];

pub(super) const CACHES: [(CacheKind, &str, &str); 3] = [
    (CacheKind::File, CacheKind::File.name(), "Private files"),
    (CacheKind::Keyring, CacheKind::Keyring.name(), "The keyring of the system"),
    (CacheKind::Off, CacheKind::Off.name(), "No cache"),
];

pub(super) const SHELLS: [(Shell, &str, &str); 10] = [
    (Shell::Sh, "sh", "POSIX shells"),
    (Shell::Bash, "bash", "bash"),
    (Shell::Zsh, "zsh", "zsh"),
    (Shell::Fish, "fish", "fish"),
    (Shell::Powershell, "powershell", "PowerShell"),
    (Shell::Nushell, "nushell", "Nushell"),
    (Shell::Cmd, "cmd", "cmd.exe, in a batch file"),
    (Shell::Dotenv, "dotenv", "NAME=value lines, for docker --env-file, systemd and dotenv"),
    (Shell::Github, "github", "GitHub Actions, appended to the file in GITHUB_ENV"),
    (Shell::Gitlab, "gitlab", "GitLab CI, as a dotenv report"),
];
pub(super) const SCRIPT_SHELLS: [(Shell, &str, &str); 4] = [SHELLS[1], SHELLS[2], SHELLS[3], SHELLS[4]];

/// Returns a parser that accepts one of these names.
pub(super) fn one_of<T, const N: usize>(
    values: [(T, &'static str, &'static str); N],
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let names = values.map(|(_, name, meaning)| PossibleValue::new(name).help(meaning));
    let find = move |name: String| values.iter().find(|(_, known, _)| *known == name).map(|(value, ..)| *value);
    PossibleValuesParser::new(names).try_map(move |name| find(name).ok_or("not one of the values"))
}

pub(super) fn mfa_code(text: &str) -> Result<String, String> {
    if is_code(text) { Ok(text.to_owned()) } else { Err("a code has 6 digits".to_owned()) }
}

/// Seconds, or a number with a unit: `25`, `25s`, `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    let day = Duration::from_secs(86_400);
    if duration.is_zero() || duration > day {
        return Err("it must be longer than 0s and at most 24h".to_owned());
    }
    Ok(duration)
}

/// The lifetime of a token of Aurora DSQL, in whole seconds.
pub(crate) fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = parse_duration(text)?;
    if lifetime.is_zero() || lifetime > MAX_DSQL_LIFETIME || lifetime.subsec_nanos() != 0 {
        return Err("it must be from 1s to 7d (604800s), in whole seconds".to_owned());
    }
    Ok(lifetime)
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(_) => humantime::parse_duration(text).map_err(|_| "write it as 90s, 2m or 1m30s".to_owned()),
    }
}

pub(crate) fn min_ttl(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if !(30..=14 * 60).contains(&duration.as_secs()) {
        return Err("it must be from 30s to 14m, because a token is valid for 15 minutes".to_owned());
    }
    Ok(duration)
}
