//! Whose credentials a request would use, decided without network.

use crate::credentials::profile::Profiles;
use crate::credentials::services::Services;
use crate::credentials::{Credentials, parse_time};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::host::Host;

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

/// Where the first credentials come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// They are at hand: in the environment or in a profile.
    Keys(Credentials),
    /// A program prints them (`credential_process`).
    Process(String),
    /// A token file is traded for them (`AssumeRoleWithWebIdentity`).
    WebIdentity { role_arn: String, session_name: Option<String>, token_file: String },
    /// IAM Identity Center gives them out.
    Sso(Sso),
    /// The console session of `aws login`, by its ARN.
    Login(String),
    /// The endpoint that ECS or EKS names in the environment.
    Container,
    /// The metadata service of EC2.
    InstanceMetadata,
}

/// A role in an account, as IAM Identity Center knows it.
#[derive(Clone, Debug)]
pub(super) struct Sso {
    /// The `[sso-session]` section, in the newer form of the configuration.
    pub(super) session: Option<String>,
    pub(super) region: String,
    pub(super) start_url: String,
    pub(super) account_id: String,
    pub(super) role_name: String,
}

/// A role to assume with the credentials so far (`AssumeRole`).
#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session_name: Option<String>,
    pub(super) external_id: Option<String>,
    /// In seconds.
    pub(super) duration: Option<i32>,
    pub(super) mfa: Option<Mfa>,
}

/// The device whose code a role wants.
#[derive(Clone, Debug)]
pub(super) struct Mfa {
    /// Its serial number or ARN.
    pub(super) serial: String,
    /// The command that prints a code (`mfa_process`).
    pub(super) process: Option<String>,
}

/// The session name that CloudTrail shows where nothing configures one.
pub(super) const SESSION_NAME: &str = "rds-token";

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

/// A profile's source and roles, while its chain is followed.
struct Chain {
    source: Source,
    roles: Vec<Role>,
    description: String,
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
        let fingerprint = fingerprint_source(identity.services.fingerprint(fingerprint), &identity.source);
        identity.fingerprint = identity.roles.iter().fold(fingerprint, fingerprint_role).hex();
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

    /// The source in words, for `-v` and for errors.
    pub fn describe(&self) -> String {
        self.roles.iter().fold(self.description.clone(), |text, role| format!("{text}, role {}", role.arn))
    }
}

fn environment_keys(host: &Host) -> Result<Option<Credentials>, Error> {
    // As with the AWS CLI, a secret without an id is none at all.
    let Some(id) = host.var("AWS_ACCESS_KEY_ID") else { return Ok(None) };
    let Some(secret) = host.var("AWS_SECRET_ACCESS_KEY") else {
        return Err(Error::credentials(
            "AWS credentials: the environment has AWS_ACCESS_KEY_ID but no AWS_SECRET_ACCESS_KEY; set both or neither",
        ));
    };
    let expires_at = host.var("AWS_CREDENTIAL_EXPIRATION").map(|text| {
        parse_time(&text).ok_or_else(|| {
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

/// Adds whom a source asks, and for what.
fn fingerprint_source(fingerprint: Fingerprint, source: &Source) -> Fingerprint {
    match source {
        Source::Keys(keys) => fingerprint_keys(fingerprint.field("keys"), keys),
        Source::Process(command) => fingerprint.field("process").field(command),
        Source::WebIdentity { role_arn, session_name, token_file } => {
            fingerprint.field("web identity").field(role_arn).optional(session_name.as_ref()).field(token_file)
        }
        Source::Login(session) => fingerprint.field("login").field(session),
        Source::Sso(Sso { session, region, start_url, account_id, role_name }) => {
            let fingerprint = fingerprint.field("sso").optional(session.as_ref());
            fingerprint.field(region).field(start_url).field(account_id).field(role_name)
        }
        Source::Container => fingerprint.field("container"),
        Source::InstanceMetadata => fingerprint.field("instance"),
    }
}

fn fingerprint_role(fingerprint: Fingerprint, role: &Role) -> Fingerprint {
    let duration = role.duration.map(i32::to_be_bytes);
    let fingerprint = fingerprint.field(&role.arn).optional(role.session_name.as_ref());
    let serial = role.mfa.as_ref().map(|mfa| &mfa.serial);
    fingerprint.optional(role.external_id.as_ref()).optional(duration).optional(serial)
}

fn fingerprint_keys(fingerprint: Fingerprint, keys: &Credentials) -> Fingerprint {
    fingerprint
        .field(&keys.access_key_id)
        .field(keys.secret_access_key.expose())
        .optional(keys.session_token.as_ref().map(|token| token.expose()))
        .optional(keys.expires_at.map(|time| time.unix_timestamp().to_be_bytes()))
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
                "AWS credentials: profile '{name}' has none; give it keys, role_arn, sso_session, credential_process \
                 or credential_source, or leave --profile out"
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

fn no_such_profile(profiles: &Profiles, name: &str, referrer: &str) -> Error {
    let [config, credentials] = &profiles.paths;
    Error::credentials(format!(
        "AWS credentials: profile '{name}'{referrer} is not in {} or {}; `aws configure list-profiles` names those that are",
        config.display(),
        credentials.display()
    ))
}

/// Follows `source_profile` from profile to profile down to the first source. None when the profile has
/// no credentials at all. Every profile on the way goes into the fingerprint.
fn follow(host: &Host, profiles: &Profiles, name: &str, fingerprint: &mut Fingerprint) -> Result<Option<Chain>, Error> {
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
            let description = describe(&source, &format!("profile '{}'", visited.join("' < '")));
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
    match (owned("aws_access_key_id"), owned("aws_secret_access_key")) {
        (Some(id), Some(secret)) => {
            let expires_at = value("aws_credential_expiration").or(value("x_security_token_expires"));
            let keys = Credentials::new(id, secret, owned("aws_session_token"), expires_at.and_then(parse_time));
            return keys
                .map(|keys| Some(Source::Keys(keys)))
                .map_err(|why| fail(&format!("can't sign: {why}; mend it")));
        }
        (None, None) => {}
        _ => return Err(fail("has only one of aws_access_key_id and aws_secret_access_key; give it both")),
    }
    if let Some(command) = owned("credential_process") {
        return Ok(Some(Source::Process(command)));
    }
    Ok(owned("login_session").map(Source::Login))
}

/// Both forms of IAM Identity Center's configuration: with an `[sso-session]` section, and without.
fn sso(profiles: &Profiles, name: &str) -> Result<Sso, String> {
    let session = profiles.value(name, "sso_session");
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

/// What the platform offers where neither keys nor a profile do.
fn from_platform(host: &Host) -> Result<Chain, Error> {
    let source = if let Some(token_file) = host.var("AWS_WEB_IDENTITY_TOKEN_FILE") {
        let role_arn = host.var("AWS_ROLE_ARN").ok_or_else(|| {
            Error::credentials("AWS credentials: AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not; set both")
        })?;
        Source::WebIdentity { role_arn, session_name: host.var("AWS_ROLE_SESSION_NAME"), token_file }
    } else if host.var("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some()
        || host.var("AWS_CONTAINER_CREDENTIALS_FULL_URI").is_some()
    {
        Source::Container
    } else if is_metadata_disabled(host) {
        return Err(Error::credentials(format!("AWS credentials: {NONE_FOUND}")));
    } else {
        Source::InstanceMetadata
    };
    let description = describe(&source, "the environment");
    Ok(Chain { source, roles: Vec::new(), description })
}

fn is_metadata_disabled(host: &Host) -> bool {
    host.var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Said where nothing gives credentials.
pub(super) const NONE_FOUND: &str = "there are none, in the environment, the profile, a container's or an EC2 instance's \
     role; run `aws configure` or `aws sso login`, set AWS_PROFILE, or give --profile";

fn describe(source: &Source, place: &str) -> String {
    match source {
        Source::Keys(_) => format!("{place} (access key)"),
        Source::Process(_) => format!("{place} (credential_process)"),
        Source::WebIdentity { role_arn, .. } => format!("{place} (web identity, role {role_arn})"),
        Source::Sso(sso) => format!("{place} (SSO role {} in {})", sso.role_name, sso.account_id),
        Source::Login(session) => format!("{place} (aws login, {session})"),
        Source::Container => "the container's role (ECS or EKS)".to_owned(),
        Source::InstanceMetadata => "the instance's role (EC2 metadata service)".to_owned(),
    }
}
