//! The password of the master user.

use std::fs::File;
use std::io::Read as _;

use crate::account::Account;
use crate::aws::api::{Database, DatabaseKind, Filter, MasterSecret};
use crate::error::Error;
use crate::escape::escape_for_terminal;
use crate::lookup::{find_by_host, has_endpoint};
use crate::os::env::Env;
use crate::os::password_prompt::prompt_for_password;
use crate::secret::Secret;
use crate::target::Target;
use crate::target::endpoint::{Endpoint, classify};

/// Maximum length of a password, in bytes. RDS accepts at most 128 characters.
const MAX_PASSWORD: usize = 1_024;

/// The source of the master user's password.
#[derive(Debug)]
pub(super) enum MasterPassword {
    /// A prompt on the terminal.
    Prompt,
    /// `--password-fd`.
    Descriptor(u32),
    /// The password that RDS manages, fetched from Secrets Manager.
    ManagedSecret(Secret<String>),
}

impl MasterPassword {
    /// Returns the password of `master.user`. Fails if it can't be read (exit 1), or if clients do not accept it (exit 2).
    pub(super) fn read(self, env: &Env, master: &Target) -> Result<Secret<String>, Error> {
        let password = match self {
            Self::Prompt => {
                let terminal = env.terminal().ok_or_else(|| {
                    let user = &master.user;
                    Error::usage(format!(
                        "sql: could not prompt for the password of '{user}': no terminal; use --password-fd 0, with the \
                         password on stdin"
                    ))
                })?;
                let prompt = format!("Password of {}: ", escape_for_terminal(&master.to_string()));
                Secret::new(prompt_for_password(terminal, &prompt)?)
            }
            Self::Descriptor(number) => read_descriptor(number)?,
            Self::ManagedSecret(password) => password,
        };
        check_password(password.expose())?;
        Ok(password)
    }
}

/// Fetches the secret of the master user that RDS manages for the database at `host`. Fails if RDS does not manage the
/// password (exit 2), or the secret can't be read (exit 1, 3 or 4).
pub(super) fn managed_secret(account: &Account<'_>, host: &str) -> Result<MasterSecret, Error> {
    let Endpoint::Rds(region) = classify(host) else {
        let remedy = "use the endpoint of the database as the host, or --id";
        return Err(Error::usage(format!("sql: --master-secret: '{host}' is not an RDS endpoint; {remedy}")));
    };
    let api = account.api(region)?;
    // The password must not be sent to a database of another account that has the same identifier.
    let found = find_by_host(&api, host)?.filter(|database| has_endpoint(database, host)).ok_or_else(|| {
        Error::usage(format!(
            "sql: --master-secret: this account has no database with the endpoint '{host}'; use --profile for another \
             account, or omit --master-secret and enter the password"
        ))
    })?;
    // RDS stores the secret of an instance in a cluster with the cluster.
    let cluster = match &found.cluster {
        Some(cluster) => api.databases(DatabaseKind::Cluster, Filter::Id(cluster))?.into_iter().next(),
        None => None,
    };
    let Database { kind, id, master_secret, .. } = cluster.unwrap_or(found);
    let secret = master_secret.ok_or_else(|| {
        let kind = kind.name();
        Error::usage(format!(
            "sql: --master-secret: RDS does not manage the master user's password of the {kind} {id}; omit \
             --master-secret and enter the password, or let RDS manage it: `aws rds modify-db-{kind} --db-{kind}-identifier \
             {id} --region {region} --manage-master-user-password --apply-immediately`"
        ))
    })?;
    Ok(api.master_secret(&secret)?)
}

/// Reads a file descriptor to its end. Removes one line break at the end.
fn read_descriptor(number: u32) -> Result<Secret<String>, Error> {
    let failed = |error: std::io::Error| {
        Error::other(format!(
            "sql: could not read the password from file descriptor {number}: {error}; redirect it, as in \
             --password-fd 3 3< FILE"
        ))
    };
    let mut text = String::new();
    let limit = MAX_PASSWORD as u64 + 2;
    match number {
        0 => std::io::stdin().lock().take(limit).read_to_string(&mut text),
        // This opens the same pipe or file again, because using the number itself requires `unsafe` code.
        _ => File::open(format!("/dev/fd/{number}")).and_then(|file| file.take(limit).read_to_string(&mut text)),
    }
    .map_err(failed)?;
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Secret::new(line.unwrap_or(&text).to_owned()))
}

/// Refuses a password that clients do not accept (exit 2).
fn check_password(password: &str) -> Result<(), Error> {
    let why = if password.is_empty() {
        "is empty"
    } else if password.len() > MAX_PASSWORD {
        "is longer than 1024 bytes"
    } else if password.contains(char::is_control) {
        "contains a line break or another control character"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("sql: the password of the master user {why}; enter the password alone")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_password_that_clients_accept_is_valid() {
        for (password, is_valid) in
            [("a b'\"\\:#é", true), ("", false), ("a\nb", false), ("a\0", false), (&"x".repeat(1_025), false)]
        {
            assert_eq!(check_password(password).is_ok(), is_valid, "{password:?}");
        }
    }
}
