//! Sessions, shared with the AWS CLI: temporary credentials of assumed roles, of SSO roles and of users with an
//! MFA device, in its own cache, `~/.aws/cli/cache`, under its own names.
//!
//! Source: `credentials.py` (`_create_cache_key`, `_load_from_cache`) and `utils.py` (`JSONFileCache`) in
//! botocore.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::keys::AccessKeys;
use super::profile_files::read_text;
use super::request::{CredentialRequest, SessionStorage};
use super::source::{Role, Source, Sso, UserSession};
use crate::fingerprint::sha1;
use crate::os::deadline::Deadline;
use crate::os::private_file;
use crate::rfc3339;

/// More than a session has, in bytes.
const MAX_SESSION: u64 = 64 << 10;

/// What is read and written of a session's file; the AWS CLI writes more.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionFile {
    /// `sso` for SSO roles: `aws sso logout` removes these.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_type: Option<String>,
    credentials: SessionCredentials,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// RFC 3339; the AWS CLI's version 1 writes `UTC` in place of `Z`.
    expiration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

/// The AWS CLI's cache, if no other user can put one role's session in the place of another's. The AWS CLI makes
/// its directories as the umask says.
fn directory(request: &CredentialRequest, home: &Path) -> Option<PathBuf> {
    let code_note = if request.identity.needs_code() { ", and a code is needed for each token" } else { "" };
    let why = format!("sessions are not shared with the AWS CLI{code_note}");
    if let Err(error) = private_file::check_parents(&home.join(".aws")) {
        request.report.warn(&format!("session: {error}: {why}; correct its owner or mode (`chmod go-w`)"));
        return None;
    }
    for place in [".aws", ".aws/cli", ".aws/cli/cache"].map(|place| home.join(place)) {
        if let Err(error) = private_file::check_writers(&place) {
            request.report.warn(&format!(
                "session: {error}: {why}; run `chmod go-w {0}`, or `sudo chown \"$USER\" {0}` if \
                 another user owns it",
                place.display()
            ));
            return None;
        }
    }
    Some(home.join(".aws/cli/cache"))
}

/// The sessions of one identity: step 0 is the session of its source, step N that of its Nth role.
pub(crate) struct SessionCache<'a> {
    request: &'a CredentialRequest<'a>,
    /// The AWS CLI's cache. `None` if it can't be used.
    directory: Option<PathBuf>,
    /// The file name of each step. `None` for a source whose credentials are not cached.
    names: Vec<Option<String>>,
}

impl<'a> SessionCache<'a> {
    /// The sessions for a request. Warns if they can't be shared with the AWS CLI.
    pub(crate) fn open(request: &'a CredentialRequest<'a>) -> Self {
        let Identity { source, roles, .. } = request.identity;
        let names: Vec<Option<String>> = std::iter::once(name_of_source(source, &request.deadline))
            .chain(roles.iter().map(|role| Some(name_of_role(role))))
            .collect();
        let has_names = names.iter().any(Option::is_some);
        let directory = request.env.home().filter(|_| has_names).and_then(|home| directory(request, &home));
        Self { request, directory, names }
    }

    /// Whether other processes can use the session that this one starts.
    pub(super) fn is_shared(&self) -> bool {
        self.request.storage == SessionStorage::Store && self.path(self.last_step()).is_some()
    }

    fn last_step(&self) -> usize {
        self.names.len() - 1
    }

    fn path(&self, step: usize) -> Option<PathBuf> {
        let name = self.names[step].as_ref()?;
        Some(self.directory.as_ref()?.join(name).with_extension("json"))
    }

    /// The session of the last step, if its remaining lifetime is at least `min_ttl`.
    pub(super) fn load_last(&self, min_ttl: Duration) -> Option<AccessKeys> {
        self.load(self.last_step(), min_ttl)
    }

    /// The latest step before the last one that has a usable session, and the session.
    pub(super) fn latest_usable(&self) -> Option<(usize, AccessKeys)> {
        (0..self.last_step()).rev().find_map(|step| Some((step, self.load(step, self.request.min_ttl)?)))
    }

    /// A session with a remaining lifetime of at least `min_ttl`. `None` if it is damaged, or other users can read it.
    fn load(&self, step: usize, min_ttl: Duration) -> Option<AccessKeys> {
        let path = self.path(step)?;
        let keys = read(&path)?;
        let left = keys.expires_at? - self.request.env.now().wall;
        if left <= time::Duration::ZERO || left < min_ttl {
            return None;
        }
        self.request.report.note(&format!("session: from {}", path.display()));
        Some(keys)
    }

    /// Stores a session, unless the request forbids it. `account` is its AWS account, if known.
    pub(super) fn store(&self, step: usize, keys: &AccessKeys, account: Option<&str>) {
        let CredentialRequest { env, report, identity, storage, .. } = self.request;
        let Some(path) = self.path(step).filter(|_| *storage == SessionStorage::Store) else { return };
        if keys.expires_at.is_some_and(|end| end <= env.now().wall) {
            return;
        }
        let is_sso = step == 0 && matches!(identity.source, Source::Sso(_));
        let Some(bytes) = encode(keys, is_sso.then_some("sso"), account) else { return };
        let directory = path.parent().unwrap_or(Path::new("/"));
        let written = private_file::make_directory(directory)
            .and_then(|()| private_file::write(&path, &bytes, env.now().wall.into()));
        match written {
            Ok(()) => report.note(&format!("session: started, and stored in {}", path.display())),
            Err(error) => {
                let message = format!("the session could not be stored for the AWS CLI: {}: {error}", path.display());
                // Without an MFA code, starting another session is no effort for the user.
                if identity.needs_code() { report.warn(&message) } else { report.note(&message) }
            }
        }
    }
}

fn read(path: &Path) -> Option<AccessKeys> {
    let bytes = private_file::read(path, MAX_SESSION).ok()?;
    let SessionFile { credentials, .. } = serde_json::from_slice(&bytes).ok()?;
    let (id, secret, token) = (credentials.access_key_id, credentials.secret_access_key, credentials.session_token);
    let expires_at = rfc3339::parse(&credentials.expiration)?;
    let credentials = AccessKeys::new(id, secret, Some(token), Some(expires_at)).ok()?;
    credentials.session_token.is_some().then_some(credentials)
}

/// The file's text; None for credentials without an end, which are no session.
fn encode(credentials: &AccessKeys, provider_type: Option<&str>, account: Option<&str>) -> Option<Vec<u8>> {
    let kept = SessionFile {
        provider_type: provider_type.map(str::to_owned),
        credentials: SessionCredentials {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.expose().clone(),
            session_token: credentials.session_token.as_ref()?.expose().clone(),
            expiration: rfc3339::format(credentials.expires_at?),
            account_id: account.map(str::to_owned),
        },
    };
    serde_json::to_vec(&kept).ok()
}

/// The AWS CLI names a role's session by the SHA-1 of the arguments of `AssumeRole`, without a session name that
/// is not configured.
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

/// The name of the first source's session, if the source gives one that can be shared.
fn name_of_source(source: &Source, deadline: &Deadline) -> Option<String> {
    match source {
        // Identified by the token's content. A pipe can be read only once, so it is left for the request to STS.
        Source::WebIdentity { role_arn, session_name, token_file } if Path::new(token_file).is_file() => {
            let token = read_text(token_file.as_ref(), deadline).ok()?;
            Some(name_of_arguments([
                ("RoleArn", Some(python_string(role_arn))),
                ("RoleSessionName", session_name.as_deref().map(python_string)),
                ("WebIdentityToken", Some(python_string(&token))),
            ]))
        }
        // The AWS CLI stores no such session, so the name is ours. The key is in it, since a hardware device's
        // serial number does not tell the user.
        Source::UserSession(UserSession { keys, mfa, duration }) => Some(name_of_arguments([
            ("AccessKeyId", Some(python_string(&keys.access_key_id))),
            ("DurationSeconds", duration.map(|seconds| seconds.to_string())),
            ("SerialNumber", Some(python_string(&mfa.serial))),
        ])),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::source::Mfa;

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
