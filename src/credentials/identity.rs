//! Whose credentials a request would use, decided without network.

use std::time::{Duration, Instant};

use super::Credentials;
use super::chain::{Chain, follow, no_such_profile};
use super::profile::Profiles;
use super::services::Services;
use super::source::{Role, Source};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::flight::give_up;
use crate::host::Host;
use crate::rfc3339;

/// How long somebody is left to answer elsewhere before who is here is asked.
const FOR_PERSON: Duration = Duration::from_secs(5);

/// The variables that lead to credentials outside of profiles.
const VARIABLES: [&str; 17] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_LOGIN_CACHE_DIRECTORY",
    // Who fails because of these fails alone.
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Whose credentials a request would use: a first source, and roles assumed one after the other.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) source: Source,
    pub(super) roles: Vec<Role>,
    /// The profile that it comes from.
    pub(super) profile: Option<String>,
    /// How AWS's own services are reached.
    pub(super) services: Services,
    /// The source in words.
    description: String,
    fingerprint: String,
}

impl Identity {
    /// Decides whose credentials to use, in the order of the AWS CLI: an explicit profile; keys in the
    /// environment; the selected profile; web identity; container; EC2. Then `role_arn` on top.
    ///
    /// # Errors
    /// When a configuration can't be followed or leads nowhere (exit 2 or 3).
    pub fn find(
        host: &Host,
        profiles: impl FnOnce() -> Result<Profiles, Error>,
        profile: Option<&str>,
        role_arn: Option<&str>,
    ) -> Result<Self, Error> {
        let variables = VARIABLES.into_iter().fold(Fingerprint::default(), |f, name| f.optional(host.var(name)));
        let keys = if profile.is_none() { environment_keys(host)? } else { None };
        let (mut identity, fingerprint) = match keys {
            Some(keys) => from_environment(host, keys, variables)?,
            None => from_profile_or_platform(host, &profiles()?, profile, variables)?,
        };
        if let Some(arn) = role_arn {
            identity.roles.push(Role {
                arn: arn.to_owned(),
                session_name: None,
                external_id: None,
                duration: None,
                mfa: None,
            });
        }
        let fingerprint = identity.source.fingerprint(identity.services.fingerprint(fingerprint));
        identity.fingerprint = identity.roles.iter().fold(fingerprint, |f, role| role.fingerprint(f)).hex();
        Ok(identity)
    }

    /// A digest of everything that decides the identity; what it digests can't be told from it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The keys, when they are at hand and no role is to be assumed with them.
    pub(super) fn keys(&self) -> Option<&Credentials> {
        match &self.source {
            Source::Keys(keys) if self.roles.is_empty() => Some(keys),
            _ => None,
        }
    }

    /// Whether asking again may give credentials that live longer, and bothers nobody.
    pub fn is_renewable(&self) -> bool {
        self.keys().is_none() && !self.wants_code()
    }

    /// Whether a role on the way wants the code of an MFA device.
    pub fn wants_code(&self) -> bool {
        self.roles.iter().any(|role| role.mfa.is_some())
    }

    /// When to stop waiting for another process that obtains the same: soon, where that one may be asking
    /// somebody who has left, and there is somebody to ask here.
    pub fn give_up(&self, host: &Host, deadline: Instant) -> Instant {
        let asks_here = self.wants_code() && host.is_foreground();
        if asks_here { give_up(deadline).min(Instant::now() + FOR_PERSON) } else { give_up(deadline) }
    }

    /// The source in words, for `-v` and for errors.
    pub fn describe(&self) -> String {
        self.roles.iter().fold(self.description.clone(), |text, role| format!("{text}, role {}", role.arn))
    }
}

/// The keys in the environment, if there are any.
///
/// # Errors
/// When they can't sign.
pub(super) fn environment_keys(host: &Host) -> Result<Option<Credentials>, Error> {
    // As with the AWS CLI, a secret without an id is none at all.
    let Some(id) = host.var("AWS_ACCESS_KEY_ID") else { return Ok(None) };
    let Some(secret) = host.var("AWS_SECRET_ACCESS_KEY") else {
        return Err(Error::credentials(
            "AWS credentials: the environment has AWS_ACCESS_KEY_ID but no AWS_SECRET_ACCESS_KEY; set both or neither",
        ));
    };
    let expires_at = host.var("AWS_CREDENTIAL_EXPIRATION").map(|text| {
        rfc3339::parse(&text).ok_or_else(|| {
            Error::credentials(format!(
                "AWS credentials: AWS_CREDENTIAL_EXPIRATION is '{text}', which is no time such as \
                 2026-01-31T12:00:00Z; set it so or unset it"
            ))
        })
    });
    Credentials::new(id, secret, host.var("AWS_SESSION_TOKEN"), expires_at.transpose()?)
        .map(Some)
        .map_err(|why| Error::credentials(format!("AWS credentials: in the environment, {why}; set it anew")))
}

fn from_environment(
    host: &Host,
    keys: Credentials,
    fingerprint: Fingerprint,
) -> Result<(Identity, Fingerprint), Error> {
    let identity = Identity {
        source: Source::Keys(keys),
        roles: Vec::new(),
        profile: None,
        services: Services::find(host, None)?,
        description: "the environment (AWS_ACCESS_KEY_ID)".to_owned(),
        fingerprint: String::new(),
    };
    Ok((identity, fingerprint))
}

fn from_profile_or_platform(
    host: &Host,
    profiles: &Profiles,
    explicit: Option<&str>,
    mut fingerprint: Fingerprint,
) -> Result<(Identity, Fingerprint), Error> {
    let (selected, is_named) = Profiles::selected(host);
    let is_named = is_named || explicit.is_some();
    let name = explicit.unwrap_or(&selected);
    for path in &profiles.paths {
        fingerprint = fingerprint.field(path.as_os_str().as_encoded_bytes());
    }
    let chain = match profiles.get(name) {
        Some(_) => follow(host, profiles, name, &mut fingerprint)?,
        None if is_named => return Err(no_such_profile(profiles, name, "")),
        None => None,
    };
    // As with the AWS CLI, a web identity in the environment beats what a profile holds without a role.
    let chain = chain.filter(|chain| explicit.is_some() || !chain.roles.is_empty() || !has_web_identity(host));
    let from_profile = chain.is_some();
    let chain = match chain {
        Some(chain) => chain,
        None if explicit.is_some() => {
            return Err(Error::credentials(format!(
                "AWS credentials: profile '{name}' has none; give it keys, sso_session, credential_process, or role_arn with \
                 source_profile or credential_source, or leave --profile out"
            )));
        }
        None => from_platform(host)?,
    };
    let identity = Identity {
        source: chain.source,
        roles: chain.roles,
        profile: from_profile.then(|| name.to_owned()),
        services: Services::find(host, Some((profiles, name)))?,
        description: chain.description,
        fingerprint: String::new(),
    };
    Ok((identity, fingerprint))
}

fn has_web_identity(host: &Host) -> bool {
    host.var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some()
}

/// What the platform offers where neither keys nor a profile do.
fn from_platform(host: &Host) -> Result<Chain, Error> {
    let source = if let Some(token_file) = host.var("AWS_WEB_IDENTITY_TOKEN_FILE") {
        let role_arn = host.var("AWS_ROLE_ARN").ok_or_else(|| {
            Error::credentials("AWS credentials: AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not; set both")
        })?;
        Source::WebIdentity { role_arn, session_name: host.var("AWS_ROLE_SESSION_NAME"), token_file }
    } else if has_container(host) {
        Source::Container
    } else if is_metadata_disabled(host) {
        return Err(Error::credentials(format!("AWS credentials: {NONE_FOUND}")));
    } else {
        Source::InstanceMetadata
    };
    let description = source.describe("the environment");
    Ok(Chain { source, roles: Vec::new(), description })
}

/// Whether the environment names a container's endpoint.
pub(super) fn has_container(host: &Host) -> bool {
    let names = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    names.iter().any(|name| host.var(name).is_some())
}

/// Whether EC2's metadata service is not to be asked.
pub(super) fn is_metadata_disabled(host: &Host) -> bool {
    host.var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Said where nothing gives credentials.
pub(super) const NONE_FOUND: &str = "there are none, in the environment, the profile, a container's or an EC2 instance's \
     role; run `aws configure` or `aws sso login`, set AWS_PROFILE, or give --profile";
