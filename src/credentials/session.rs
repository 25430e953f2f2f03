//! Sessions, shared with the AWS CLI: temporary credentials of assumed roles and of SSO roles, in its own
//! cache, `~/.aws/cli/cache`, under its own names.
//!
//! Source: `credentials.py` (`_create_cache_key`, `_load_from_cache`) and `utils.py` (`JSONFileCache`) in
//! botocore.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::identity::Identity;
use super::network;
use super::profile::read_text;
use super::source::{Role, Source, Sso};
use super::{Credentials, Request};
use crate::error::{Error, Exit};
use crate::fingerprint::{Fingerprint, hex};
use crate::flight::{Boarding, board};
use crate::private_file;
use crate::rfc3339;

/// More than a session has, in bytes.
const MAX_SESSION: u64 = 64 << 10;

/// What is read and written of a session's file; the AWS CLI writes more.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    /// `sso` for SSO roles: `aws sso logout` removes these.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_type: Option<String>,
    credentials: KeptCredentials,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeptCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// RFC 3339; the AWS CLI's version 1 writes `UTC` in place of `Z`.
    expiration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

/// The credentials of `request`: a session that the AWS CLI or another `rds-token` began, else new ones, which
/// are kept for both. Many processes that need the same session ask for one.
///
/// # Errors
/// As [`super::obtain`].
pub(super) fn obtain(request: &Request) -> Result<Credentials, Error> {
    let sessions = Sessions::of(request);
    let whole = sessions.names.len();
    let found = || sessions.load(whole, request.min_ttl);
    if let Some(credentials) = found() {
        return Ok(credentials);
    }
    // Waiting for another's session is of use where it is kept.
    let is_shared = request.keeps && sessions.path(whole).is_some();
    // One region's STS may refuse what another's gives.
    let region = request.identity.services.region.as_ref().map_or(request.region, |region| region.as_ref());
    let digest = || Fingerprint::default().field("session").field(request.identity.fingerprint()).field(region).hex();
    let progress = |message: &str| request.report.progress(message);
    let lock = request.locks.filter(|_| is_shared).and_then(|locks| locks(&digest()));
    let made = match lock.map(|lock| {
        board(&lock, request.host, request.identity.give_up(request.host, request.deadline), progress, found)
    }) {
        None => network::obtain(request, &sessions),
        Some(Boarding::Landed(credentials)) => return Ok(*credentials),
        Some(Boarding::Failed(error)) => Err(error),
        // Who has waited enough for others waits for nobody else.
        Some(Boarding::Alone) => network::obtain(&Request { locks: None, ..*request }, &sessions),
        Some(Boarding::Lead(leader)) => {
            let made = network::obtain(request, &sessions);
            if let Err(error) = &made {
                leader.fail(error, request.host.now());
            }
            made
        }
    };
    let error = match made {
        // What lives for a minute is better than nothing, when no other is to be had.
        Err(error) if matches!(error.exit(), Exit::Credentials | Exit::Network) => error,
        made => return made,
    };
    let rest = sessions.load(whole, Duration::ZERO).ok_or_else(|| error.clone())?;
    let why = error.message().trim_start_matches("AWS credentials: ");
    request.report.warn(&format!("what is left of a session is used, since no other was to be had: {why}"));
    Ok(rest)
}

/// The sessions on the way to an identity's credentials.
pub(super) struct Sessions<'a> {
    request: &'a Request<'a>,
    /// The AWS CLI's cache; none without a home.
    directory: Option<PathBuf>,
    /// The names of the sessions: of the first source, and of each role.
    names: Vec<Option<String>>,
}

impl<'a> Sessions<'a> {
    fn of(request: &'a Request<'a>) -> Self {
        let Identity { source, roles, .. } = request.identity;
        let names = std::iter::once(name_of_source(source, request.deadline))
            .chain(roles.iter().map(|role| Some(name_of_role(role))));
        // Somebody else could put one role's session in the place of another's.
        let is_trusted = |path: &PathBuf| !path.exists() || private_file::is_ours_to_fill(path);
        let directory = request.host.home().map(|home| home.join(".aws/cli/cache")).filter(is_trusted);
        Self { request, directory, names: names.collect() }
    }

    /// The path of the session that `count` of the names lead to.
    fn path(&self, count: usize) -> Option<PathBuf> {
        let name = self.names[..count].last()?.as_ref()?;
        Some(self.directory.as_ref()?.join(name).with_extension("json"))
    }

    /// The session furthest along the way that lives for `--min-ttl`, and how far that is.
    pub(super) fn furthest(&self) -> Option<(usize, Credentials)> {
        (1..self.names.len()).rev().find_map(|count| Some((count, self.load(count, self.request.min_ttl)?)))
    }

    /// A session with at least `least` to live. One that is damaged, or not ours alone, is none.
    fn load(&self, count: usize, least: Duration) -> Option<Credentials> {
        let path = self.path(count)?;
        let credentials = read(&path)?;
        let left = credentials.expires_at? - self.request.host.now().wall;
        if left <= time::Duration::ZERO || left < least {
            return None;
        }
        self.request.report.note(&format!("session: from {}", path.display()));
        Some(credentials)
    }

    /// Keeps a session, where tokens are kept too. `account` is whose it is, where that is known.
    pub(super) fn store(&self, count: usize, credentials: &Credentials, account: Option<&str>) {
        let Some(path) = self.path(count).filter(|_| self.request.keeps) else { return };
        if credentials.expires_at.is_some_and(|end| end <= self.request.host.now().wall) {
            return;
        }
        let is_sso = count == 1 && matches!(self.request.identity.source, Source::Sso(_));
        let Some(bytes) = encode(credentials, is_sso.then_some("sso"), account) else { return };
        let directory = path.parent().unwrap_or(Path::new("/"));
        let written = private_file::make_directory(directory).and_then(|()| private_file::write(&path, &bytes));
        let Request { report, identity, host, .. } = self.request;
        match written {
            Ok(()) => report.note(&format!("session: begun, and kept in {}", path.display())),
            Err(error) => {
                let message = format!("the session could not be kept for the AWS CLI: {}: {error}", path.display());
                // Without a code it costs nobody anything to begin another.
                if identity.wants_code() { report.warn(&message) } else { report.note(&message) }
            }
        }
        private_file::sweep_unfinished(directory, host.now().wall.into());
    }
}

fn read(path: &Path) -> Option<Credentials> {
    let bytes = private_file::read(path, MAX_SESSION).ok()?;
    let Kept { credentials, .. } = serde_json::from_slice(&bytes).ok()?;
    let (id, secret, token) = (credentials.access_key_id, credentials.secret_access_key, credentials.session_token);
    let expires_at = rfc3339::parse(&credentials.expiration)?;
    let credentials = Credentials::new(id, secret, Some(token), Some(expires_at)).ok()?;
    credentials.session_token.is_some().then_some(credentials)
}

/// The file's text; None for credentials without an end, which are no session.
fn encode(credentials: &Credentials, provider_type: Option<&str>, account: Option<&str>) -> Option<Vec<u8>> {
    let kept = Kept {
        provider_type: provider_type.map(str::to_owned),
        credentials: KeptCredentials {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.expose().clone(),
            session_token: credentials.session_token.as_ref()?.expose().clone(),
            expiration: rfc3339::format(credentials.expires_at?),
            account_id: account.map(str::to_owned),
        },
    };
    serde_json::to_vec(&kept).ok()
}

/// The AWS CLI names a role's session by the SHA-1 of the arguments of `AssumeRole`, but for a session name
/// that nobody chose.
fn name_of_role(role: &Role) -> String {
    let Role { arn, session_name, external_id, duration, mfa } = role;
    let text = |value: &str| python_string(value);
    name_of_arguments([
        ("DurationSeconds", duration.map(|seconds| seconds.to_string())),
        ("ExternalId", external_id.as_deref().map(text)),
        ("RoleArn", Some(text(arn))),
        ("RoleSessionName", session_name.as_deref().map(text)),
        ("SerialNumber", mfa.as_ref().map(|mfa| text(&mfa.serial))),
    ])
}

/// The name of the first source's session, if it is one that the AWS CLI keeps.
fn name_of_source(source: &Source, deadline: Instant) -> Option<String> {
    match source {
        // The token is whose session it is. A pipe gives it once, to who trades it.
        Source::WebIdentity { role_arn, session_name, token_file } if Path::new(token_file).is_file() => {
            let token = read_text(token_file.as_ref(), deadline).ok()?;
            Some(name_of_arguments([
                ("RoleArn", Some(python_string(role_arn))),
                ("RoleSessionName", session_name.as_deref().map(python_string)),
                ("WebIdentityToken", Some(python_string(&token))),
            ]))
        }
        Source::Sso(Sso { session, start_url, account_id, role_name, .. }) => {
            let (key, login) = session.as_ref().map_or(("startUrl", start_url), |session| ("sessionName", session));
            let [account_id, role_name, login] = [account_id, role_name, login].map(|text| python_string(text));
            Some(sha1(&format!("{{\"accountId\":{account_id},\"roleName\":{role_name},\"{key}\":{login}}}")))
        }
        _ => None,
    }
}

/// The SHA-1 of these arguments as Python's `json.dumps(…, sort_keys=True)` writes them.
fn name_of_arguments<const N: usize>(sorted: [(&str, Option<String>); N]) -> String {
    let given = sorted.iter().filter_map(|(name, value)| Some(format!("\"{name}\": {}", value.as_ref()?)));
    sha1(&format!("{{{}}}", given.collect::<Vec<_>>().join(", ")))
}

/// A string as Python's `json.dumps` writes it: ASCII, the rest as UTF-16 in `\u` escapes.
fn python_string(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let mut units = [0; 2];
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        match c {
            ' '..='~' => out.push(c),
            _ => out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
        out
    })
}

/// In lower-case hexadecimal.
pub(super) fn sha1(text: &str) -> String {
    hex(&Sha1::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::source::Mfa;

    fn role() -> Role {
        let arn = "arn:aws:iam::123456789012:role/lab".to_owned();
        Role { arn, session_name: None, external_id: None, duration: None, mfa: None }
    }

    #[test]
    fn a_session_has_the_name_that_the_aws_cli_gives_it() {
        let mfa = Mfa { serial: "arn:aws:iam::123456789012:mfa/jane".to_owned(), process: None };
        let with_mfa = Role { duration: Some(1800), mfa: Some(mfa), ..role() };
        assert_eq!(name_of_role(&with_mfa), "17aa3eafaf4ce3edb9d73c98353977f4f61893d7");
    }

    #[test]
    fn strings_are_written_as_python_writes_them() {
        assert_eq!(
            python_string("a\"\\/\n\t\u{1}\u{7f}é😀"),
            "\"a\\\"\\\\/\\n\\t\\u0001\\u007f\\u00e9\\ud83d\\ude00\""
        );
    }
}
