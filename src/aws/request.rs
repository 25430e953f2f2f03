//! A request for credentials, as the sources receive it.

use std::io::{Error as IoError, ErrorKind};
use std::time::Duration;

use super::identity::Identity;
use super::profile_files::ProfileFiles;
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::os::private_file::LockFile;
use crate::output::Report;

/// The error of a source that returned no credentials.
pub(super) enum SourceError {
    /// The source responded without usable credentials (exit 3).
    Refused(String),
    /// The source did not respond, or failed in a way that may be temporary (exit 4).
    Unreachable(String),
}

impl SourceError {
    pub(super) fn unreadable(file: &str, error: &IoError) -> Self {
        let why = format!("could not read {file}: {error}");
        if error.kind() == ErrorKind::TimedOut { Self::Unreachable(why) } else { Self::Refused(why) }
    }
}

/// Maps a digest to its lock file. The file is `None` if there is no cache directory.
pub(crate) type Locks<'a> = dyn Fn(&str) -> Option<LockFile> + 'a;

/// Whether new sessions are stored for other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionStorage {
    /// Store new sessions in the AWS CLI's cache.
    Store,
    /// Use existing sessions, but store no new ones.
    ReadOnly,
}

#[derive(Clone)]
pub(crate) struct CredentialRequest<'a> {
    pub(crate) identity: &'a Identity,
    /// The region for AWS services, if the identity configures none.
    pub(crate) region: &'a str,
    pub(crate) env: &'a Env,
    pub(crate) deadline: Deadline,
    /// Minimum remaining lifetime of a cached session.
    pub(crate) min_ttl: Duration,
    pub(crate) mfa_code: Option<&'a str>,
    pub(crate) storage: SessionStorage,
    /// `None` to skip single flight.
    pub(crate) locks: Option<&'a Locks<'a>>,
    /// The profile files, whose secrets are redacted from quoted program output.
    pub(crate) profiles: &'a ProfileFiles,
    pub(crate) report: &'a Report,
}
