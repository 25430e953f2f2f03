//! Whose credentials a request uses, decided without network.

use std::time::{Duration, Instant};

use super::endpoints::EndpointConfig;
use super::environment::{
    CONTAINER_URIS, container_variable, environment_keys, has_web_identity, is_metadata_disabled, profile_variable,
};
use super::keys::AccessKeys;
use super::profile_chain::{ResolvedProfile, no_such_profile, resolve_profile};
use super::profile_files::{ProfileFiles, Profiles, read_regular_file};
use super::source::{Mfa, Role, Source, UserSession};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::os::single_flight::follower_deadline;

/// How long to wait for another process's MFA prompt before prompting here.
const OTHERS_PROMPT: Duration = Duration::from_secs(5);

/// The variables outside of profiles that decide which credentials a request gets.
const VARIABLES: [&str; 17] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_LOGIN_CACHE_DIRECTORY",
    // A failure caused by proxy settings must not be shared with processes that have others.
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// What the command line and the configuration file say about the identity.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// The AWS profile (`--profile`).
    pub profile: Option<&'a str>,
    /// The table of the configuration file that names the profile, such as `[target.prod]`.
    pub profile_table: Option<&'a str>,
    /// A role to assume on top (`--role-arn`).
    pub role_arn: Option<&'a str>,
    /// The MFA device of the last role, or of the user if there is no role (`--mfa-serial`).
    pub mfa_serial: Option<&'a str>,
}

/// Whose credentials a request uses: a first source, and roles assumed one after the other.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) source: Source,
    pub(super) roles: Vec<Role>,
    /// The profile that it comes from.
    pub(super) profile: Option<String>,
    /// Endpoints and CA certificates for AWS services. Unused if the keys are already present.
    pub(super) endpoints: EndpointConfig,
    /// The source in words.
    description: String,
    /// Whether the command line names a role or an MFA device, which the AWS CLI then does not know.
    pub(super) has_flags: bool,
    warnings: Vec<String>,
    shadowed: Vec<String>,
    /// The part that both digests share.
    settings: Fingerprint,
    fingerprint: String,
}

impl Identity {
    /// Decides whose credentials to use, in the order of the AWS CLI: an explicit profile; keys in the
    /// environment; the selected profile; web identity; container; EC2. Then `role_arn` on top.
    ///
    /// # Errors
    /// When a configuration is unusable or leads nowhere (exit 2 or 3).
    pub fn find(env: &Env, profiles: &ProfileFiles, choice: Choice<'_>) -> Result<Self, Error> {
        let keys = if choice.profile.is_none() { environment_keys(env)? } else { None };
        let mut files = None;
        let (chain, profile) = match keys {
            Some(keys) => (chain_from_environment(env, keys), None),
            None => chain_from_profile_or_platform(env, files.insert(profiles.get(env)?), choice)?,
        };
        let ResolvedProfile { source, roles, description, warnings, shadowed } = chain;
        let endpoints = EndpointConfig::default();
        let (settings, fingerprint) = (Fingerprint::default(), String::new());
        let has_flags = choice.role_arn.is_some() || choice.mfa_serial.is_some();
        let mut identity = Self {
            source,
            roles,
            profile,
            endpoints,
            description,
            has_flags,
            warnings,
            shadowed,
            settings,
            fingerprint,
        };
        identity.add(choice)?;
        if identity.keys().is_none() {
            // Where AWS's services are comes from the selected profile, whatever the source of the keys.
            let name = choice.profile.map_or_else(|| Profiles::selected(env).0, str::to_owned);
            identity.endpoints = EndpointConfig::find(env, files.insert(profiles.get(env)?), &name)?;
        }
        identity.settings = identity.settings_fingerprint(files);
        let variables = VARIABLES.into_iter().fold(identity.settings.clone(), |f, name| f.optional(env.var(name)));
        let variables = container_token(&identity.source, env, process_inputs(&identity.source, env, variables));
        identity.fingerprint = identity.digest(variables, Source::fingerprint);
        Ok(identity)
    }

    /// Adds the role and the MFA device that the command line names.
    fn add(&mut self, choice: Choice<'_>) -> Result<(), Error> {
        let given = choice.mfa_serial.map(|serial| Mfa { serial: serial.to_owned(), process: None });
        if let Some(arn) = choice.role_arn {
            self.roles.push(Role::new(arn.to_owned()));
            // Keys that start a user's own session could otherwise not assume the role without a code.
            if given.is_none()
                && let Source::UserSession(UserSession { keys, .. }) = &self.source
            {
                self.source = Source::Keys(keys.clone());
            }
        }
        let Some(given) = given else { return Ok(()) };
        if let Some(role) = self.roles.last_mut() {
            role.mfa = Some(given);
            return Ok(());
        }
        match &mut self.source {
            Source::Keys(keys) if keys.session_token.is_none() => {
                self.source = Source::UserSession(UserSession { keys: keys.clone(), mfa: given, duration: None });
                Ok(())
            }
            Source::UserSession(session) => {
                session.mfa = given;
                Ok(())
            }
            _ => Err(Error::usage(format!(
                "mfa_serial: {} takes no MFA code; remove --mfa-serial (or mfa_serial in the configuration), or name a profile \
                 with long-term keys or a role",
                self.description
            ))),
        }
    }

    /// What decides the identity apart from its source and roles.
    fn settings_fingerprint(&self, files: Option<&Profiles>) -> Fingerprint {
        let paths = files.iter().flat_map(|files| &files.paths);
        let fingerprint = paths.fold(Fingerprint::default(), |f, path| f.field(path.as_os_str().as_encoded_bytes()));
        self.endpoints.fingerprint(fingerprint.optional(self.profile.as_ref()).field(&self.description))
    }

    fn digest(&self, settings: Fingerprint, of_source: impl Fn(&Source, Fingerprint) -> Fingerprint) -> String {
        self.roles.iter().fold(of_source(&self.source, settings), |f, role| role.fingerprint(f)).hex()
    }

    /// A digest of everything that decides the identity. It reveals none of it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A digest that is unique to the identity and does not change when a secret or a token file is rotated.
    pub(crate) fn stable_digest(&self, env: &Env) -> String {
        self.digest(place(&self.source, env, self.settings.clone()), Source::stable_fingerprint)
    }

    /// The keys, if they are already present and no role has to be assumed.
    pub fn keys(&self) -> Option<&AccessKeys> {
        match &self.source {
            Source::Keys(keys) if self.roles.is_empty() => Some(keys),
            _ => None,
        }
    }

    /// Whether another fetch may give credentials that live longer, without a prompt.
    pub(crate) fn is_renewable(&self) -> bool {
        self.keys().is_none() && !self.needs_code()
    }

    /// Whether the user or a role on the way needs a code of an MFA device.
    pub(crate) fn needs_code(&self) -> bool {
        self.mfa_devices().next().is_some()
    }

    /// The MFA devices, in the order in which their codes are used.
    pub(super) fn mfa_devices(&self) -> impl Iterator<Item = &Mfa> {
        self.source.mfa().into_iter().chain(self.roles.iter().filter_map(|role| role.mfa.as_ref()))
    }

    /// When to stop waiting for another process that fetches the same credentials. Soon, if this process can
    /// prompt for the code itself: the other may be waiting for a user who is away.
    pub(crate) fn follower_deadline(&self, env: &Env, deadline: &Deadline) -> Instant {
        let prompts_here = self.needs_code() && env.is_foreground();
        let at = follower_deadline(deadline);
        if prompts_here { at.min(Instant::now() + OTHERS_PROMPT) } else { at }
    }

    /// The source in words, for `-v` and for errors.
    pub fn describe(&self) -> String {
        self.roles.iter().fold(self.description.clone(), |text, role| format!("{text}, role {}", role.arn))
    }

    /// Faults in the profiles that were used.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What is configured and not used, each with the reason.
    pub(crate) fn shadowed(&self) -> &[String] {
        &self.shadowed
    }
}

/// Whether the environment selects the credentials. If so, the default profile of the configuration file is ignored.
pub(crate) fn is_chosen_by_environment(env: &Env) -> bool {
    env.var("AWS_ACCESS_KEY_ID").is_some()
        || Profiles::selected(env).1
        || has_web_identity(env)
        || container_variable(env).is_some()
}

/// Adds the endpoint and the host name, which differ between containers and instances that share the same files.
fn place(source: &Source, env: &Env, fingerprint: Fingerprint) -> Fingerprint {
    match source {
        Source::Container | Source::InstanceMetadata => {
            CONTAINER_URIS.into_iter().fold(fingerprint, |f, name| f.optional(env.var(name))).field(env.hostname())
        }
        source => process_inputs(source, env, fingerprint),
    }
}

/// Adds what decides the result of a `credential_process` beside its command: the current directory, if a program is
/// looked for there, and the variables that the command names.
fn process_inputs(source: &Source, env: &Env, fingerprint: Fingerprint) -> Fingerprint {
    let Source::Process(command) = source else { return fingerprint };
    let directory = env.current_dir().filter(|_| has_relative_path(command));
    let fingerprint = fingerprint.optional(directory.map(|path| path.into_os_string().into_encoded_bytes()));
    variable_names(command).fold(fingerprint, |f, name| f.field(name).optional(env.raw_var(name)))
}

/// The variables that a command names: `$NAME`, and every name in `${…}` and `$((…))`; `%NAME%` on Windows.
fn variable_names(command: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let parts = command.split(if cfg!(windows) { '%' } else { '$' }).skip(1);
    parts.flat_map(move |part| {
        let end = match part.chars().next() {
            Some('{') => part.find('}'),
            Some('(') => part.rfind(')'),
            _ => part.find(|c| !is_name(c)),
        };
        part[..end.unwrap_or(part.len())].split(move |c| !is_name(c)).filter(|name| !name.is_empty())
    })
}

/// Whether a word of a command may be a path from the current directory.
fn has_relative_path(command: &str) -> bool {
    let words = command.split(|c: char| c.is_whitespace() || "'\";|&()=".contains(c));
    words.into_iter().any(|word| word.contains('/') && !word.starts_with(['/', '~', '$']) && !word.contains("://"))
}

/// Adds the token for a container's endpoint: its content says whose it is, while its path is the same in every pod.
fn container_token(source: &Source, env: &Env, fingerprint: Fingerprint) -> Fingerprint {
    let file = env.path_var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    let file = file.filter(|_| matches!(source, Source::Container));
    fingerprint.optional(file.and_then(|path| read_regular_file(&path)))
}

fn chain_from_environment(env: &Env, keys: AccessKeys) -> ResolvedProfile {
    let ignored = |name| format!("{name} is ignored because AWS_ACCESS_KEY_ID is set");
    ResolvedProfile {
        source: Source::Keys(keys),
        roles: Vec::new(),
        description: "the environment (AWS_ACCESS_KEY_ID)".to_owned(),
        warnings: Vec::new(),
        shadowed: profile_variable(env)
            .into_iter()
            .chain(has_web_identity(env).then_some("AWS_WEB_IDENTITY_TOKEN_FILE"))
            .chain(container_variable(env))
            .map(ignored)
            .collect(),
    }
}

/// The chain, and the name of the profile if it comes from one.
fn chain_from_profile_or_platform(
    env: &Env,
    profiles: &Profiles,
    choice: Choice<'_>,
) -> Result<(ResolvedProfile, Option<String>), Error> {
    let Choice { profile: explicit, profile_table: table, .. } = choice;
    let (selected, is_named) = Profiles::selected(env);
    let is_named = is_named || explicit.is_some();
    let name = explicit.unwrap_or(&selected);
    let mut chain = match profiles.has(name) {
        true => resolve_profile(env, profiles, name)?,
        false if is_named => {
            let referrer = table.map(|table| format!(", named in {table},")).unwrap_or_default();
            return Err(no_such_profile(profiles, name, &referrer));
        }
        false => None,
    };
    if let Some(ResolvedProfile { source: Source::WebIdentity { role_arn, session_name, .. }, .. }) = &mut chain
        && explicit.is_none()
    {
        // As with the AWS CLI, each of these variables beats the same key of the profile.
        *role_arn = env.var("AWS_ROLE_ARN").unwrap_or_else(|| role_arn.clone());
        *session_name = env.var("AWS_ROLE_SESSION_NAME").or_else(|| session_name.clone());
    }
    let mut shadowed = Vec::new();
    if ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"].into_iter().all(|name| env.var(name).is_some()) && explicit.is_none() {
        shadowed.push("AWS_PROFILE is ignored because AWS_DEFAULT_PROFILE is set".to_owned());
    }
    if explicit.is_some() {
        let names = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"].into_iter().chain(profile_variable(env));
        let set = names.filter(|name| env.var(name).is_some() && env.var(name).as_deref() != explicit);
        shadowed.extend(set.map(|variable| format!("{variable} is ignored because the profile '{name}' is named")));
    }
    // As with the AWS CLI, a web identity in the environment beats a profile without a role.
    let has_web_identity = explicit.is_none() && has_web_identity(env);
    match chain {
        Some(chain) if !(has_web_identity && chain.roles.is_empty()) => {
            let ignored = container_variable(env).filter(|_| !matches!(chain.source, Source::Container));
            shadowed.extend(
                ignored.map(|variable| format!("{variable} is ignored because profile '{name}' has credentials")),
            );
            let shadowed = chain.shadowed.iter().cloned().chain(shadowed).collect();
            Ok((ResolvedProfile { shadowed, ..chain }, Some(name.to_owned())))
        }
        None if explicit.is_some() => {
            let remedy = table.map_or("leave --profile out".to_owned(), |table| format!("remove profile from {table}"));
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
            Ok((ResolvedProfile { shadowed, warnings, ..chain_from_platform(env, profiles, name)? }, None))
        }
    }
}

/// What the platform offers if neither keys nor a profile do.
fn chain_from_platform(env: &Env, profiles: &Profiles, profile: &str) -> Result<ResolvedProfile, Error> {
    let either = |variable: &str, key| env.var(variable).or_else(|| profiles.value(profile, key).map(str::to_owned));
    let source = if let Some(token_file) = env.var("AWS_WEB_IDENTITY_TOKEN_FILE") {
        let role_arn = either("AWS_ROLE_ARN", "role_arn").ok_or_else(|| {
            Error::credentials("AWS credentials: AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not; set both")
        })?;
        let session_name = either("AWS_ROLE_SESSION_NAME", "role_session_name");
        Source::WebIdentity { role_arn, session_name, token_file }
    } else if container_variable(env).is_some() {
        Source::Container
    } else if is_metadata_disabled(env) {
        let missing = profiles.missing.first().map(|missing| format!(" ({missing})")).unwrap_or_default();
        return Err(Error::credentials(format!("AWS credentials: {NONE_FOUND}{missing}")));
    } else {
        Source::InstanceMetadata
    };
    let description = source.describe("the environment");
    Ok(ResolvedProfile { source, roles: Vec::new(), description, warnings: Vec::new(), shadowed: Vec::new() })
}

/// The message when nothing gives credentials.
pub(super) const NONE_FOUND: &str = "there are none in the environment, the profile, a container's or an EC2 instance's \
     role; run `aws configure` or `aws sso login`, set AWS_PROFILE, or use --profile";
