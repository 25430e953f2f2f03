//! Profiles followed to what they lead to: a first source, and the roles on the way.

use super::Credentials;
use super::identity::{environment_keys, has_container, is_metadata_disabled};
use super::profile::Profiles;
use super::source::{Mfa, Role, Source, Sso};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::host::Host;
use crate::rfc3339;

/// The keys of a profile that decide whose credentials it gives, or where they are asked for.
const PROFILE_KEYS: [&str; 20] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_credential_expiration",
    "x_security_token_expires",
    "role_arn",
    "source_profile",
    "credential_source",
    "external_id",
    "role_session_name",
    "duration_seconds",
    "mfa_serial",
    "web_identity_token_file",
    "credential_process",
    "sso_session",
    "sso_account_id",
    "sso_role_name",
    "sso_region",
    "sso_start_url",
    "login_session",
];

/// What a profile, or the platform, leads to.
pub(super) struct Chain {
    pub(super) source: Source,
    pub(super) roles: Vec<Role>,
    /// In words.
    pub(super) description: String,
}

pub(super) fn no_such_profile(profiles: &Profiles, name: &str, referrer: &str) -> Error {
    let [config, credentials] = &profiles.paths;
    Error::credentials(format!(
        "AWS credentials: profile '{name}'{referrer} is not in {} or {}; `aws configure list-profiles` names those that are",
        config.display(),
        credentials.display()
    ))
}

/// Follows `source_profile` from profile to profile down to the first source. None when the profile has
/// no credentials at all. Every profile on the way goes into the fingerprint.
pub(super) fn follow(
    host: &Host,
    profiles: &Profiles,
    name: &str,
    fingerprint: &mut Fingerprint,
) -> Result<Option<Chain>, Error> {
    let mut visited: Vec<&str> = Vec::new();
    let mut roles = Vec::new();
    let mut current = name;
    let source = loop {
        let value = |key| profiles.value(current, key);
        let fail = |why: String| Error::credentials(format!("AWS credentials: profile '{current}' {why}"));
        if profiles.get(current).is_none() {
            let referrer = visited.last().map(|from| format!(", which profile '{from}' names as its source_profile,"));
            return Err(no_such_profile(profiles, current, &referrer.unwrap_or_default()));
        }
        if visited.contains(&current) {
            return Err(fail("is its own source_profile in the end; mend one of them".to_owned()));
        }
        visited.push(current);
        *fingerprint =
            PROFILE_KEYS.into_iter().fold(std::mem::take(fingerprint).field(current), |f, key| f.optional(value(key)));

        let role_arn = value("role_arn").filter(|_| value("web_identity_token_file").is_none());
        // A profile that others name as their source gives its keys, should it have a role besides.
        let role_arn = role_arn.filter(|_| visited.len() == 1 || value("aws_access_key_id").is_none());
        let Some(role_arn) = role_arn else {
            break first_source(profiles, current)?;
        };
        roles.push(role(role_arn, value).map_err(fail)?);
        match (value("source_profile"), value("credential_source")) {
            (Some(next), None) if next == current => break first_source(profiles, current)?,
            (Some(next), None) => current = next,
            (None, Some(source)) => break Some(named_source(host, source).map_err(fail)?),
            (Some(_), Some(_)) => {
                return Err(fail("has both source_profile and credential_source; leave one of them out".to_owned()));
            }
            (None, None) => {
                return Err(fail("has a role_arn but no source_profile or credential_source; add one".to_owned()));
            }
        }
    };
    roles.reverse();
    match source {
        None if visited.len() > 1 => Err(Error::credentials(format!(
            "AWS credentials: profile '{current}', the source_profile of '{name}', has none; give it keys"
        ))),
        None if !roles.is_empty() => Err(Error::credentials(format!(
            "AWS credentials: profile '{name}' is its own source_profile but has no keys; give it some"
        ))),
        None => Ok(None),
        Some(source) => {
            let description = source.describe(&format!("profile '{}'", visited.join("' < '")));
            Ok(Some(Chain { source, roles, description }))
        }
    }
}

fn role<'a>(arn: &str, value: impl Fn(&'static str) -> Option<&'a str>) -> Result<Role, String> {
    let duration = value("duration_seconds")
        .map(|text| text.parse().map_err(|_| format!("has duration_seconds '{text}', which is no number of seconds")));
    Ok(Role {
        arn: arn.to_owned(),
        session_name: value("role_session_name").map(str::to_owned),
        external_id: value("external_id").map(str::to_owned),
        duration: duration.transpose()?,
        mfa: value("mfa_serial")
            .map(|serial| Mfa { serial: serial.to_owned(), process: value("mfa_process").map(str::to_owned) }),
    })
}

/// What a profile itself holds, roles aside. None when it holds no credentials.
fn first_source(profiles: &Profiles, name: &str) -> Result<Option<Source>, Error> {
    let value = |key| profiles.value(name, key);
    let owned = |key| value(key).map(str::to_owned);
    let fail = |why: &str| Error::credentials(format!("AWS credentials: profile '{name}' {why}"));
    if let Some(token_file) = owned("web_identity_token_file") {
        let role_arn =
            owned("role_arn").ok_or_else(|| fail("has a web_identity_token_file but no role_arn; add it"))?;
        return Ok(Some(Source::WebIdentity { role_arn, session_name: owned("role_session_name"), token_file }));
    }
    if value("sso_account_id").is_some() || value("sso_role_name").is_some() {
        return sso(profiles, name).map(|sso| Some(Source::Sso(sso))).map_err(|why| fail(&why));
    }
    let elsewhere =
        owned("login_session").map(Source::Login).or_else(|| owned("credential_process").map(Source::Process));
    // As with the AWS CLI, keys in the credentials file come before these, and keys in the other file after.
    let has_keys = || value("aws_access_key_id").is_some() && profiles.has_keys_in_credentials(name);
    if let Some(source) = elsewhere.filter(|_| !has_keys()) {
        return Ok(Some(source));
    }
    match (owned("aws_access_key_id"), owned("aws_secret_access_key")) {
        (Some(id), Some(secret)) => {
            let expires_at = value("aws_credential_expiration").or(value("x_security_token_expires"));
            let keys = Credentials::new(id, secret, owned("aws_session_token"), expires_at.and_then(rfc3339::parse));
            keys.map(|keys| Some(Source::Keys(keys))).map_err(|why| fail(&format!("can't sign: {why}; mend it")))
        }
        (None, None) => Ok(None),
        _ => Err(fail("has only one of aws_access_key_id and aws_secret_access_key; give it both")),
    }
}

/// Both forms of IAM Identity Center's configuration: with an `[sso-session]` section, and without.
fn sso(profiles: &Profiles, name: &str) -> Result<Sso, String> {
    let session = profiles.value(name, "sso_session");
    if let Some(session) = session.filter(|session| !profiles.has_sso_session(session)) {
        let why = format!("names the sso_session '{session}', but there is no section [sso-session {session}]");
        return Err(format!("{why}; `aws configure sso-session` adds it"));
    }
    let value = |key: &str| {
        let found = profiles.value(name, key).or_else(|| profiles.sso_session(session?, key));
        found.map(str::to_owned).ok_or_else(|| format!("has no {key}; `aws configure sso` adds it"))
    };
    Ok(Sso {
        region: value("sso_region")?,
        start_url: value("sso_start_url")?,
        account_id: value("sso_account_id")?,
        role_name: value("sso_role_name")?,
        session: session.map(str::to_owned),
    })
}

/// The `credential_source` of a role.
fn named_source(host: &Host, name: &str) -> Result<Source, String> {
    match name {
        "Environment" => {
            let keys = environment_keys(host)
                .map_err(|error| error.message().to_owned())?
                .ok_or("has credential_source = Environment, but AWS_ACCESS_KEY_ID is not set; set it")?;
            Ok(Source::Keys(keys))
        }
        "EcsContainer" if !has_container(host) => {
            Err("has credential_source = EcsContainer, but AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and …_FULL_URI are \
                 not set: this is no container of ECS or EKS"
                .to_owned())
        }
        "EcsContainer" => Ok(Source::Container),
        "Ec2InstanceMetadata" if is_metadata_disabled(host) => {
            Err("has credential_source = Ec2InstanceMetadata, but AWS_EC2_METADATA_DISABLED is true; unset it"
                .to_owned())
        }
        "Ec2InstanceMetadata" => Ok(Source::InstanceMetadata),
        other => {
            Err(format!("has credential_source '{other}'; it can be Environment, EcsContainer or Ec2InstanceMetadata"))
        }
    }
}
