//! The precedence of the sources of credentials, which is that of the AWS CLI.

use super::environment::{container_variable, has_web_identity, is_metadata_disabled, profile_variable};
use super::keys::AccessKeys;
use super::profile_chain::{ResolvedProfile, no_such_profile, resolve_profile};
use super::profile_files::Profiles;
use super::source::Source;
use crate::error::Error;
use crate::os::env::Env;

/// The options that select an identity, from the command line and the configuration file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// The AWS profile (`--profile`).
    pub profile: Option<&'a str>,
    /// The table of the configuration file that names the profile, such as `[target.prod]`.
    pub profile_table: Option<&'a str>,
    /// A role to assume after all other roles (`--role-arn`).
    pub role_arn: Option<&'a str>,
    /// The MFA device of the last role, or of the user if there is no role (`--mfa-serial`).
    pub mfa_serial: Option<&'a str>,
}

/// The reason in the message if no source has credentials.
pub(super) const NONE_FOUND: &str = "none found in the environment, the profile, or the role of a container or an \
     EC2 instance; run `aws configure` or `aws sso login`, set AWS_PROFILE, or use --profile";

pub(super) fn from_environment(env: &Env, keys: AccessKeys) -> ResolvedProfile {
    let web_identity = has_web_identity(env).then_some("AWS_WEB_IDENTITY_TOKEN_FILE");
    let ignored = profile_variable(env).into_iter().chain(web_identity).chain(container_variable(env));
    let shadowed = ignored.map(|name| format!("{name} is ignored because AWS_ACCESS_KEY_ID is set")).collect();
    ResolvedProfile { shadowed, ..without_profile("the environment (AWS_ACCESS_KEY_ID)", Source::Keys(keys)) }
}

/// Returns the source if there are no keys in the environment, or if an explicit profile overrides them: the profile,
/// else web identity, container or EC2. Fails if the profile is unusable or there is no source (exit 2 or 3).
pub(super) fn from_profile_or_platform(
    env: &Env,
    profiles: &Profiles,
    choice: Choice,
) -> Result<ResolvedProfile, Error> {
    let is_explicit = choice.profile.is_some();
    let name = choice.profile.map_or_else(|| Profiles::selected(env).0, str::to_owned);
    let chain = find_profile(env, profiles, &name, choice)?;
    let mut shadowed = shadowed_variables(env, choice.profile);
    // As in the AWS CLI, a web identity in the environment takes precedence over a profile without a role.
    let is_web_identity = has_web_identity(env) && !is_explicit;
    match chain {
        Some(mut chain) if !(is_web_identity && chain.roles.is_empty()) => {
            let container = container_variable(env).filter(|_| !matches!(chain.source, Source::Container));
            shadowed.extend(container.map(|var| format!("{var} is ignored because profile '{name}' has credentials")));
            chain.shadowed.extend(shadowed);
            Ok(chain)
        }
        None if is_explicit => {
            let from_table = |table| format!("remove profile from {table}");
            let remedy = choice.profile_table.map_or("omit --profile".to_owned(), from_table);
            Err(Error::credentials(format!(
                "AWS credentials: profile '{name}' has no credentials; add keys, sso_session, credential_process, or \
                 role_arn with source_profile or credential_source, or {remedy}"
            )))
        }
        chain => {
            if chain.is_some() {
                shadowed.push(format!("profile '{name}' is ignored because AWS_WEB_IDENTITY_TOKEN_FILE is set"));
            }
            let warnings = profiles.missing.clone();
            Ok(ResolvedProfile { shadowed, warnings, ..from_platform(env, profiles, &name)? })
        }
    }
}

/// Resolves profile `name`. `None` if it has no credentials, or if it does not exist and no setting names it.
fn find_profile(env: &Env, profiles: &Profiles, name: &str, choice: Choice) -> Result<Option<ResolvedProfile>, Error> {
    if !profiles.has(name) {
        if choice.profile.is_none() && profile_variable(env).is_none() {
            return Ok(None);
        }
        let referrer = choice.profile_table.map(|table| format!(", named in {table},")).unwrap_or_default();
        return Err(no_such_profile(profiles, name, &referrer));
    }
    let mut chain = resolve_profile(env, profiles, name)?;
    if let Some(ResolvedProfile { source: Source::WebIdentity { role_arn, session_name, .. }, .. }) = &mut chain
        && choice.profile.is_none()
    {
        // As in the AWS CLI, each of these variables overrides the same setting of the profile.
        *role_arn = env.var("AWS_ROLE_ARN").unwrap_or_else(|| role_arn.clone());
        *session_name = env.var("AWS_ROLE_SESSION_NAME").or_else(|| session_name.clone());
    }
    Ok(chain)
}

/// Returns notes on variables that are ignored because of the `explicit` profile or of another variable.
fn shadowed_variables(env: &Env, explicit: Option<&str>) -> Vec<String> {
    let Some(profile) = explicit else {
        let has_both = ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"].into_iter().all(|name| env.var(name).is_some());
        let note = || "AWS_PROFILE is ignored because AWS_DEFAULT_PROFILE is set".to_owned();
        return has_both.then(note).into_iter().collect();
    };
    let variables = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"].into_iter().chain(profile_variable(env));
    let ignored = variables.filter(|name| env.var(name).is_some_and(|value| value != profile));
    ignored.map(|name| format!("{name} is ignored because profile '{profile}' is selected explicitly")).collect()
}

/// Returns the source that the platform provides: a web identity, a container or EC2.
fn from_platform(env: &Env, profiles: &Profiles, profile: &str) -> Result<ResolvedProfile, Error> {
    let setting = |variable, key| env.var(variable).or_else(|| profiles.value(profile, key).map(str::to_owned));
    let source = if let Some(token_file) = env.var("AWS_WEB_IDENTITY_TOKEN_FILE") {
        let role_arn = setting("AWS_ROLE_ARN", "role_arn").ok_or_else(|| {
            Error::credentials("AWS credentials: AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not; set both")
        })?;
        let session_name = setting("AWS_ROLE_SESSION_NAME", "role_session_name");
        Source::WebIdentity { role_arn, session_name, token_file }
    } else if container_variable(env).is_some() {
        Source::Container
    } else if is_metadata_disabled(env) {
        let missing = profiles.missing.first().map(|missing| format!(" ({missing})")).unwrap_or_default();
        return Err(Error::credentials(format!("AWS credentials: {NONE_FOUND}{missing}")));
    } else {
        Source::InstanceMetadata
    };
    Ok(without_profile(&source.describe("the environment"), source))
}

fn without_profile(description: &str, source: Source) -> ResolvedProfile {
    let (description, roles, warnings, shadowed) = (description.to_owned(), Vec::new(), Vec::new(), Vec::new());
    ResolvedProfile { source, roles, profile: None, description, warnings, shadowed }
}

/// Whether the environment selects the credentials. If so, the default profile of the configuration file is ignored.
pub(crate) fn is_chosen_by_environment(env: &Env) -> bool {
    env.var("AWS_ACCESS_KEY_ID").is_some()
        || profile_variable(env).is_some()
        || has_web_identity(env)
        || container_variable(env).is_some()
}
