//! The cache of sessions, which is shared with the AWS CLI. Sessions are the temporary credentials of assumed roles, of
//! SSO roles and of users with an MFA device. The files are in `~/.aws/cli/cache`, and the AWS CLI defines their names.
//!
//! Source: `credentials.py` (`_create_cache_key`, `_load_from_cache`) and `utils.py` (`JSONFileCache`) in botocore.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keys::AccessKeys;
use super::profile_chain::ResolvedProfile;
use super::profile_files::read_regular_file;
use super::request::{CredentialRequest, SessionStorage};
use super::source::{Role, Source, Sso, UserSession};
use crate::fingerprint::sha1;
use crate::os::private_file;
use crate::rfc3339;

/// Maximum size of a session's file, in bytes.
const MAX_SESSION: u64 = 64 << 10;

/// The fields of a session's file that are read and written. The AWS CLI writes more.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionFile {
    /// `sso` for SSO roles, so that `aws sso logout` removes the file.
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
    /// RFC 3339. Version 1 of the AWS CLI writes `UTC` instead of `Z`.
    expiration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

/// Returns the AWS CLI's cache directory. Fails if another user can replace files in it: the AWS CLI creates its
/// directories with the mode that the umask sets.
fn open_directory(request: &CredentialRequest, home: &Path) -> Result<PathBuf, String> {
    let code_note = if request.identity.needs_code() { ", and a code is needed for each token" } else { "" };
    let why = format!("sessions are not shared with the AWS CLI{code_note}");
    private_file::check_parents(&home.join(".aws"))
        .map_err(|error| format!("session: {error}: {why}; correct its owner or mode (`chmod go-w`)"))?;
    for directory in [".aws", ".aws/cli", ".aws/cli/cache"].map(|name| home.join(name)) {
        private_file::check_writers(&directory).map_err(|error| {
            let shown = directory.display();
            let remedy = format!("run `chmod go-w {shown}`, or `sudo chown \"$USER\" {shown}` if another user owns it");
            format!("session: {error}: {why}; {remedy}")
        })?;
    }
    Ok(home.join(".aws/cli/cache"))
}

/// The cached sessions of one identity. Step 0 is the session of the source, and step N is the session of the Nth role.
pub(crate) struct SessionCache<'a> {
    request: &'a CredentialRequest<'a>,
    /// The AWS CLI's cache directory. `None` if it can't be used.
    directory: Option<PathBuf>,
    /// The file name of each step. `None` for a source whose credentials are not cached.
    names: Vec<Option<String>>,
}

impl<'a> SessionCache<'a> {
    /// Opens the cache for a request. Prints a warning if sessions can't be shared with the AWS CLI.
    pub(crate) fn open(request: &'a CredentialRequest<'a>) -> Self {
        let ResolvedProfile { source, roles, .. } = &request.identity.chain;
        let roles = roles.iter().map(|role| Some(role_file_name(role)));
        let names: Vec<_> = std::iter::once(source_file_name(source)).chain(roles).collect();
        let home = request.env.home().filter(|_| names.iter().any(Option::is_some));
        let opened = home.map(|home| open_directory(request, &home).inspect_err(|why| request.report.warn(why)));
        Self { request, directory: opened.and_then(Result::ok), names }
    }

    /// Whether other processes can use the session that this process starts.
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

    /// Returns the session of the last step, if its remaining lifetime is at least `min_ttl`.
    pub(super) fn load_last(&self, min_ttl: Duration) -> Option<AccessKeys> {
        self.load(self.last_step(), min_ttl)
    }

    /// Returns the latest usable session of the steps before the last one, with its step.
    pub(super) fn latest_usable(&self) -> Option<(usize, AccessKeys)> {
        (0..self.last_step()).rev().find_map(|step| Some((step, self.load(step, self.request.min_ttl)?)))
    }

    /// Returns the session of `step`, if its remaining lifetime is at least `min_ttl`. `None` if the file is damaged or
    /// other users can read it.
    fn load(&self, step: usize, min_ttl: Duration) -> Option<AccessKeys> {
        let path = self.path(step)?;
        let keys = read(&path)?;
        let remaining = keys.expires_at? - self.request.env.now().wall;
        if remaining <= time::Duration::ZERO || remaining < min_ttl {
            return None;
        }
        self.request.report.note(&format!("session: from {}", path.display()));
        Some(keys)
    }

    /// Stores the session of `step`, unless the request forbids it. `account` is its AWS account, if known.
    pub(super) fn store(&self, step: usize, keys: &AccessKeys, account: Option<&str>) {
        let CredentialRequest { env, report, identity, storage, .. } = self.request;
        let Some(path) = self.path(step).filter(|_| *storage == SessionStorage::Store) else { return };
        if keys.expires_at.is_some_and(|time| time <= env.now().wall) {
            return;
        }
        let is_sso = step == 0 && matches!(identity.chain.source, Source::Sso(_));
        let Some(bytes) = encode(keys, is_sso.then_some("sso"), account) else { return };
        let directory = path.parent().unwrap_or(Path::new("/"));
        let write = |()| private_file::write(&path, &bytes, env.now().wall.into());
        match private_file::make_directory(directory).and_then(write) {
            Ok(()) => report.note(&format!("session: started, and stored in {}", path.display())),
            Err(error) => {
                let message = format!("the session could not be stored for the AWS CLI: {}: {error}", path.display());
                // Without a cache, the user has to enter an MFA code for every token.
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
    AccessKeys::new(id, secret, Some(token), Some(expires_at)).ok().filter(|keys| keys.session_token.is_some())
}

/// Returns the content of a session's file. `None` for keys without a session token or an expiry.
fn encode(keys: &AccessKeys, provider_type: Option<&str>, account: Option<&str>) -> Option<Vec<u8>> {
    let file = SessionFile {
        provider_type: provider_type.map(str::to_owned),
        credentials: SessionCredentials {
            access_key_id: keys.access_key_id.clone(),
            secret_access_key: keys.secret_access_key.expose().clone(),
            session_token: keys.session_token.as_ref()?.expose().clone(),
            expiration: rfc3339::format(keys.expires_at?),
            account_id: account.map(str::to_owned),
        },
    };
    serde_json::to_vec(&file).ok()
}

/// Returns the file name of a role's session. As in the AWS CLI, it is the SHA-1 of the arguments of `AssumeRole`,
/// without a default session name.
fn role_file_name(role: &Role) -> String {
    let Role { arn, session_name, external_id, duration, mfa } = role;
    hash_arguments([
        ("DurationSeconds", duration.map(|seconds| seconds.to_string())),
        ("ExternalId", external_id.as_deref().map(python_string)),
        ("RoleArn", Some(python_string(arn))),
        ("RoleSessionName", session_name.as_deref().map(python_string)),
        ("SerialNumber", mfa.as_ref().map(|mfa| python_string(&mfa.serial))),
    ])
}

/// Returns the file name of the source's session. `None` if the source's credentials are not cached.
fn source_file_name(source: &Source) -> Option<String> {
    match source {
        Source::WebIdentity { role_arn, session_name, token_file } => {
            let token = read_regular_file(token_file.as_ref())?;
            Some(hash_arguments([
                ("RoleArn", Some(python_string(role_arn))),
                ("RoleSessionName", session_name.as_deref().map(python_string)),
                ("WebIdentityToken", Some(python_string(&token))),
            ]))
        }
        // The AWS CLI does not store such a session. The name includes the access key, because the serial number of a
        // hardware device does not identify the user.
        Source::UserSession(UserSession { keys, mfa, duration }) => Some(hash_arguments([
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

/// Returns the SHA-1 of these arguments in the form of Python's `json.dumps(…, sort_keys=True)`.
fn hash_arguments<const N: usize>(sorted: [(&str, Option<String>); N]) -> String {
    let fields = sorted.iter().filter_map(|(name, value)| Some(format!("\"{name}\": {}", value.as_ref()?)));
    sha1(&format!("{{{}}}", fields.collect::<Vec<_>>().join(", ")))
}

/// Returns a string as Python's `json.dumps` writes it: printable ASCII, and `\u` escapes of UTF-16 for the rest.
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

    #[test]
    fn file_names_are_those_of_the_aws_cli() {
        let mfa = Mfa { serial: "arn:aws:iam::123456789012:mfa/jane".to_owned(), process: None };
        let arn = "arn:aws:iam::123456789012:role/lab".to_owned();
        let role = Role { arn, duration: Some(1800), mfa: Some(mfa), ..Role::default() };
        assert_eq!(role_file_name(&role), "17aa3eafaf4ce3edb9d73c98353977f4f61893d7");
    }

    #[test]
    fn strings_are_written_as_python_writes_them() {
        assert_eq!(
            python_string("a\"\\/\n\t\u{1}\u{7f}é😀"),
            "\"a\\\"\\\\/\\n\\t\\u0001\\u007f\\u00e9\\ud83d\\ude00\""
        );
    }
}
