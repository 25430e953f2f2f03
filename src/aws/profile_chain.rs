//! From a profile to its source of credentials, and the roles assumed on the way.

use super::environment::{container_variable, environment_keys, is_metadata_disabled};
use super::keys::AccessKeys;
use super::profile_files::{ProfileFile, Profiles};
use super::source::{Mfa, Role, Source, Sso, UserSession};
use crate::error::Error;
use crate::os::env::Env;
use crate::rfc3339;

/// What a profile, or the platform, leads to.
pub(super) struct ResolvedProfile {
    pub(super) source: Source,
    pub(super) roles: Vec<Role>,
    /// The source in words.
    pub(super) description: String,
    /// Faults in the profiles on the way.
    pub(super) warnings: Vec<String>,
    /// What is configured and not used, each with the reason.
    pub(super) shadowed: Vec<String>,
}

/// The names of a session token in a profile, in the order of botocore.
const SESSION_TOKENS: [&str; 2] = ["aws_security_token", "aws_session_token"];
/// The names of the keys' expiry in a profile, as tools write them. The AWS CLI reads none of them.
const EXPIRATIONS: [&str; 5] =
    ["aws_credential_expiration", "aws_session_expiration", "aws_expiration", "expiration", "x_security_token_expires"];

pub(super) fn no_such_profile(profiles: &Profiles, name: &str, referrer: &str) -> Error {
    let [config, credentials] = &profiles.paths;
    if config.as_os_str().is_empty() || credentials.as_os_str().is_empty() {
        return Error::credentials(format!(
            "AWS credentials: profile '{name}'{referrer} could not be read, because HOME is not set; set HOME, or \
             AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"
        ));
    }
    let remedy = profiles.explain_absence(name).unwrap_or_else(|| {
        let near = crate::similar::nearest(name, profiles.names());
        near.map_or_else(|| "run `aws configure list-profiles`".to_owned(), |near| format!("did you mean '{near}'?"))
    });
    Error::credentials(format!(
        "AWS credentials: profile '{name}'{referrer} is not in {} or {}; {remedy}",
        config.display(),
        credentials.display()
    ))
}

/// Follows `source_profile` from profile to profile down to the first source. `None` if the profile has no
/// credentials at all.
///
/// # Errors
/// When a profile on the way is missing, contradicts itself, or leads nowhere (exit 3).
pub(super) fn resolve_profile(env: &Env, profiles: &Profiles, name: &str) -> Result<Option<ResolvedProfile>, Error> {
    let mut visited: Vec<&str> = Vec::new();
    let mut roles = Vec::new();
    let mut current = name;
    let source = loop {
        let value = |key| profiles.value(current, key);
        let fail = |why: String| Error::credentials(format!("AWS credentials: profile '{current}' {why}"));
        if !profiles.has(current) {
            let referrer = visited.last().map(|from| format!(", which profile '{from}' names as its source_profile,"));
            return Err(no_such_profile(profiles, current, &referrer.unwrap_or_default()));
        }
        if visited.contains(&current) {
            let path = format!("{} > {current}", visited.join(" > "));
            return Err(fail(format!("is part of a loop of source_profile: {path}; change one of them")));
        }
        visited.push(current);
        let role_arn = value("role_arn").filter(|_| value("web_identity_token_file").is_none());
        // A profile that another names as its source gives its keys, even if it also has a role.
        let role_arn = role_arn.filter(|_| visited.len() == 1 || !has_keys(profiles, current));
        let Some(role_arn) = role_arn else {
            break first_source(profiles, current)?;
        };
        roles.push(role(role_arn, value).map_err(fail)?);
        match (value("source_profile"), value("credential_source")) {
            (Some(next), None) if next == current => break first_source(profiles, current)?,
            (Some(next), None) => current = next,
            (None, Some(source)) => break Some(named_source(env, source).map_err(fail)?),
            (Some(_), Some(_)) => {
                return Err(fail("has both source_profile and credential_source; remove one of them".to_owned()));
            }
            (None, None) => {
                return Err(fail("has a role_arn but no source_profile or credential_source; add one".to_owned()));
            }
        }
    };
    roles.reverse();
    let Some(source) = source else { return no_source(name, current, roles.is_empty()) };
    let source = with_user_session(profiles, current, source, roles.is_empty())
        .map_err(|why| Error::credentials(format!("AWS credentials: profile '{current}' {why}")))?;
    let description = source.describe(&format!("profile '{}'", visited.join("' < '")));
    let warnings = visited.iter().flat_map(|profile| profiles.repetitions(profile)).collect();
    let shadowed = shadowed(profiles, current, &source);
    Ok(Some(ResolvedProfile { source, roles, description, warnings, shadowed }))
}

/// Returns notes on settings of a profile that are ignored because it has keys.
fn shadowed(profiles: &Profiles, name: &str, source: &Source) -> Vec<String> {
    let has_keys = matches!(source, Source::Keys(_) | Source::UserSession(_));
    let others = ["credential_process", "login_session"].into_iter().filter(|key| profiles.value(name, key).is_some());
    let of_keys = |key| {
        let path = profiles.paths[ProfileFile::Credentials as usize].display();
        format!("{key} of profile '{name}' is ignored because the profile has keys in {path}")
    };
    if has_keys { others.map(of_keys).collect() } else { Vec::new() }
}

fn no_source(name: &str, current: &str, is_plain: bool) -> Result<Option<ResolvedProfile>, Error> {
    match is_plain {
        true => Ok(None),
        false if current == name => Err(Error::credentials(format!(
            "AWS credentials: profile '{name}' is its own source_profile but has no keys; add \
             aws_access_key_id and aws_secret_access_key"
        ))),
        false => Err(Error::credentials(format!(
            "AWS credentials: profile '{current}', the source_profile of '{name}', has no credentials; run \
             `aws configure --profile {current}`"
        ))),
    }
}

/// Whether a profile has access keys, in either file.
fn has_keys(profiles: &Profiles, name: &str) -> bool {
    ["aws_access_key_id", "aws_secret_access_key"].into_iter().any(|key| profiles.value(name, key).is_some())
}

fn role<'a>(arn: &str, value: impl Fn(&'static str) -> Option<&'a str>) -> Result<Role, String> {
    Ok(Role {
        arn: arn.to_owned(),
        session_name: value("role_session_name").map(str::to_owned),
        external_id: value("external_id").map(str::to_owned),
        duration: duration(&value)?,
        mfa: mfa(&value),
    })
}

fn duration<'a>(value: impl Fn(&'static str) -> Option<&'a str>) -> Result<Option<i32>, String> {
    let parse = |text: &str| {
        text.parse().map_err(|_| format!("has duration_seconds '{text}', which is not a number of seconds; correct it"))
    };
    value("duration_seconds").map(parse).transpose()
}

fn mfa<'a>(value: impl Fn(&'static str) -> Option<&'a str>) -> Option<Mfa> {
    Some(Mfa { serial: value("mfa_serial")?.to_owned(), process: value("mfa_process").map(str::to_owned) })
}

/// Replaces a user's keys by a session of the user, if the profile has an MFA device and no role.
fn with_user_session(profiles: &Profiles, name: &str, source: Source, is_last: bool) -> Result<Source, String> {
    let value = |key| profiles.value(name, key);
    Ok(match (source, mfa(value)) {
        (Source::Keys(keys), Some(mfa)) if is_last && keys.session_token.is_none() => {
            Source::UserSession(UserSession { keys, mfa, duration: duration(value)? })
        }
        (source, _) => source,
    })
}

/// The source that a profile itself has, in the order of the AWS CLI. `None` if it has no credentials.
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
    if let Some(keys) = keys(profiles, ProfileFile::Credentials, name)? {
        return Ok(Some(Source::Keys(keys)));
    }
    let other = owned("login_session").map(Source::Login).or_else(|| owned("credential_process").map(Source::Process));
    if other.is_some() {
        return Ok(other);
    }
    if let Some(keys) = keys(profiles, ProfileFile::Config, name)? {
        return Ok(Some(Source::Keys(keys)));
    }
    if value("sso_session").is_some() {
        let why = "has an sso_session but no sso_account_id and sso_role_name; run `aws configure sso`";
        return Err(fail(why));
    }
    // An id without a secret has failed above, so only a secret without an id is left.
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (None, None) => Ok(None),
        _ => Err(fail("has an aws_secret_access_key without its aws_access_key_id in the same file; add it")),
    }
}

/// The keys of a profile in one of the files. An id is never paired with a secret of the other file.
fn keys(profiles: &Profiles, file: ProfileFile, name: &str) -> Result<Option<AccessKeys>, Error> {
    let Some(section) = profiles.section(file, name) else { return Ok(None) };
    let path = profiles.paths[file as usize].display();
    let fail = |why: &str| Error::credentials(format!("AWS credentials: profile '{name}' in {path} {why}"));
    let Some(id) = section.get("aws_access_key_id") else { return Ok(None) };
    let Some(secret) = section.get("aws_secret_access_key") else {
        return Err(fail("has an aws_access_key_id but no aws_secret_access_key; add it"));
    };
    let expires_at = EXPIRATIONS.into_iter().find_map(|key| Some((key, section.get(key)?))).map(|(key, text)| {
        rfc3339::parse(text).ok_or_else(|| {
            let text = rfc3339::quote(text);
            fail(&format!("has {key} = {text}, which is not a time such as 2026-01-31T12:00:00Z; correct it"))
        })
    });
    let session_token = SESSION_TOKENS.into_iter().find_map(|key| section.get(key));
    let keys =
        AccessKeys::new(id.to_owned(), secret.to_owned(), session_token.map(str::to_owned), expires_at.transpose()?);
    keys.map(Some).map_err(|why| fail(&format!("can't sign: {why}; correct the profile")))
}

/// Both forms of IAM Identity Center's configuration: with an `[sso-session]` section, and without.
fn sso(profiles: &Profiles, name: &str) -> Result<Sso, String> {
    let session = profiles.value(name, "sso_session");
    let section = session.and_then(|session| profiles.sso_session(session));
    if let (Some(session), None) = (session, section) {
        let why = format!("names the sso_session '{session}', but there is no section [sso-session {session}]");
        return Err(format!("{why}; run `aws configure sso-session`"));
    }
    let value = |key: &str| {
        let (own, shared) = (profiles.value(name, key), section.and_then(|section| section.get(key)));
        match (own, shared) {
            (Some(own), Some(shared)) if own != shared => {
                let session = session.unwrap_or_default();
                Err(format!("has {key} = {own}, but [sso-session {session}] has {shared}; remove it from the profile"))
            }
            _ => own.or(shared).map(str::to_owned).ok_or_else(|| format!("has no {key}; run `aws configure sso`")),
        }
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
fn named_source(env: &Env, name: &str) -> Result<Source, String> {
    match name {
        "Environment" => {
            let keys = environment_keys(env)
                .map_err(|error| error.message().to_owned())?
                .ok_or("has credential_source = Environment, but AWS_ACCESS_KEY_ID is not set; set it")?;
            Ok(Source::Keys(keys))
        }
        "EcsContainer" if container_variable(env).is_none() => {
            Err("has credential_source = EcsContainer, but neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor \
                 AWS_CONTAINER_CREDENTIALS_FULL_URI is set, so this is not an ECS or EKS container; use another credential_source here"
                .to_owned())
        }
        "EcsContainer" => Ok(Source::Container),
        "Ec2InstanceMetadata" if is_metadata_disabled(env) => {
            Err("has credential_source = Ec2InstanceMetadata, but AWS_EC2_METADATA_DISABLED is true; unset it"
                .to_owned())
        }
        "Ec2InstanceMetadata" => Ok(Source::InstanceMetadata),
        other => {
            Err(format!("has credential_source '{other}'; it must be Environment, EcsContainer or Ec2InstanceMetadata"))
        }
    }
}
