//! The identity whose credentials a request uses. It is found without network access.

use std::time::{Duration, Instant};

use super::endpoints::EndpointConfig;
use super::environment::{CONTAINER_URIS, add_process_inputs, environment_keys};
use super::keys::AccessKeys;
use super::precedence::{Choice, from_environment, from_profile_or_platform};
use super::profile_chain::ResolvedProfile;
use super::profile_files::{ProfileFiles, Profiles, read_regular_file};
use super::source::{Mfa, Role, Source, UserSession};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::os::single_flight::follower_deadline;

/// How long to wait for another process's MFA prompt before prompting here.
const MAX_WAIT_FOR_PROMPT: Duration = Duration::from_secs(5);

/// The variables outside of profiles that decide which credentials a request returns.
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

/// The identity whose credentials a request uses: a source, and roles that are assumed one after the other.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) chain: ResolvedProfile,
    /// Endpoints and CA certificates of AWS services. Unused if the keys are already present.
    pub(super) endpoints: EndpointConfig,
    /// Whether a flag or the configuration file adds a role or an MFA device, which the AWS CLI does not know.
    pub(super) has_flags: bool,
    /// The fields that both digests share.
    settings: Fingerprint,
    fingerprint: String,
}

impl Identity {
    /// Finds the identity in the order of the AWS CLI: a profile from `choice`, keys in the environment, the selected
    /// profile, web identity, container, EC2. The role of `choice` is assumed last. Fails if a setting is unusable or
    /// there is no source (exit 2 or 3).
    pub fn find(env: &Env, profiles: &ProfileFiles, choice: Choice<'_>) -> Result<Self, Error> {
        let keys = if choice.profile.is_none() { environment_keys(env)? } else { None };
        let mut files = None;
        let mut chain = match keys {
            Some(keys) => from_environment(env, keys),
            None => from_profile_or_platform(env, files.insert(profiles.get(env)?), choice)?,
        };
        add_flags(&mut chain, choice)?;
        let mut endpoints = EndpointConfig::default();
        if chain.present_keys().is_none() {
            // The selected profile configures the endpoints, whatever the source is.
            let name = choice.profile.map_or_else(|| Profiles::selected(env).0, str::to_owned);
            endpoints = EndpointConfig::read(env, files.insert(profiles.get(env)?), &name)?;
        }
        let paths = files.iter().flat_map(|files| &files.paths);
        let settings = paths.fold(Fingerprint::default(), |f, path| f.field(path.as_os_str().as_encoded_bytes()));
        let settings = endpoints.fingerprint(settings.optional(chain.profile.as_ref()).field(&chain.description));
        let inputs = VARIABLES.into_iter().fold(settings.clone(), |f, name| f.optional(env.var(name)));
        let source = &chain.source;
        let inputs = add_container_token(source, env, add_process_inputs(source, env, inputs));
        let fingerprint = add_roles(&chain.roles, source.fingerprint(inputs)).hex();
        let has_flags = choice.role_arn.is_some() || choice.mfa_serial.is_some();
        Ok(Self { chain, endpoints, has_flags, settings, fingerprint })
    }

    /// Returns a digest of everything that decides the identity. It does not reveal its input.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns a digest that is unique to the identity and does not change when a secret or a token file is rotated.
    pub(crate) fn stable_digest(&self, env: &Env) -> String {
        let settings = add_location(&self.chain.source, env, self.settings.clone());
        add_roles(&self.chain.roles, self.chain.source.stable_fingerprint(settings)).hex()
    }

    /// Returns the keys if they are already present. `None` if they must be fetched or a role must be assumed.
    pub fn keys(&self) -> Option<&AccessKeys> {
        self.chain.present_keys()
    }

    /// Whether another fetch may return credentials with a longer lifetime, without a prompt.
    pub(crate) fn is_renewable(&self) -> bool {
        self.keys().is_none() && !self.needs_code()
    }

    /// Whether the user or one of the roles needs an MFA code.
    pub(crate) fn needs_code(&self) -> bool {
        self.mfa_devices().next().is_some()
    }

    /// Returns the MFA devices, in the order in which their codes are used.
    pub(super) fn mfa_devices(&self) -> impl Iterator<Item = &Mfa> {
        self.chain.source.mfa().into_iter().chain(self.chain.roles.iter().filter_map(|role| role.mfa.as_ref()))
    }

    /// Returns the time at which to stop waiting for another process that fetches the same credentials. It is early if
    /// this process can prompt for the code: the other process may be waiting for a user who is away.
    pub(crate) fn follower_deadline(&self, env: &Env, deadline: &Deadline) -> Instant {
        let can_prompt = self.needs_code() && env.is_foreground();
        let latest = follower_deadline(deadline);
        if can_prompt { latest.min(Instant::now() + MAX_WAIT_FOR_PROMPT) } else { latest }
    }

    /// Describes the source and the roles, for `-v` and for errors.
    pub fn describe(&self) -> String {
        self.chain.roles.iter().fold(self.chain.description.clone(), |text, role| format!("{text}, role {}", role.arn))
    }

    pub(crate) fn warnings(&self) -> &[String] {
        &self.chain.warnings
    }

    /// Returns notes on settings that are ignored, each with the reason.
    pub(crate) fn shadowed(&self) -> &[String] {
        &self.chain.shadowed
    }
}

/// Adds the role and the MFA device of `choice` to the end of the chain.
fn add_flags(chain: &mut ResolvedProfile, choice: Choice<'_>) -> Result<(), Error> {
    let mfa = choice.mfa_serial.map(|serial| Mfa { serial: serial.to_owned(), process: None });
    if let Some(arn) = choice.role_arn {
        chain.roles.push(Role { arn: arn.to_owned(), ..Role::default() });
        // Without --mfa-serial, the long-term keys assume the role, so that it needs no code.
        if mfa.is_none()
            && let Source::UserSession(UserSession { keys, .. }) = &chain.source
        {
            chain.source = Source::Keys(keys.clone());
        }
    }
    let Some(mfa) = mfa else { return Ok(()) };
    match (chain.roles.last_mut(), &mut chain.source) {
        (Some(role), _) => role.mfa = Some(mfa),
        (None, Source::UserSession(session)) => session.mfa = mfa,
        (None, Source::Keys(keys)) if keys.session_token.is_none() => {
            chain.source = Source::UserSession(UserSession { keys: keys.clone(), mfa, duration: None });
        }
        _ => {
            return Err(Error::usage(format!(
                "mfa_serial: {} does not use MFA codes; remove --mfa-serial (or mfa_serial in the configuration), or \
                 name a profile with long-term keys or a role",
                chain.description
            )));
        }
    }
    Ok(())
}

fn add_roles(roles: &[Role], fingerprint: Fingerprint) -> Fingerprint {
    roles.iter().fold(fingerprint, |f, role| role.fingerprint(f))
}

/// Adds the inputs of the source that are not in a profile. For a container or an instance, these are the endpoint and
/// the host name, which differ between machines that share the same files. For a program, these are its variables and
/// directory.
fn add_location(source: &Source, env: &Env, fingerprint: Fingerprint) -> Fingerprint {
    match source {
        Source::Container | Source::InstanceMetadata => {
            CONTAINER_URIS.into_iter().fold(fingerprint, |f, name| f.optional(env.var(name))).field(env.hostname())
        }
        source => add_process_inputs(source, env, fingerprint),
    }
}

/// Adds the content of the token file for a container's endpoint. It identifies the pod, while the path is the same in
/// every pod.
fn add_container_token(source: &Source, env: &Env, fingerprint: Fingerprint) -> Fingerprint {
    let is_container = matches!(source, Source::Container);
    let file = env.path_var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").filter(|_| is_container);
    fingerprint.optional(file.and_then(|path| read_regular_file(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::profile_files::tests::{environment, files};

    const CONFIG: &str = "[profile process]\ncredential_process = x\n\
        [profile web]\nrole_arn = r\nweb_identity_token_file = /t\n\
        [profile role]\nrole_arn = r\nsource_profile = default\n\
        [profile empty]\nregion = x\n";
    const CREDENTIALS: &str = "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = s\n\
        [other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = s\naws_session_token = t\n";

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    const WEB_IDENTITY: [(&str, &str); 2] = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/env"), ("AWS_ROLE_ARN", "env")];
    const CONTAINER: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/");
    const PROFILE: (&str, &str) = ("AWS_PROFILE", "other");

    fn find(
        vars: &[(&str, &str)],
        config: &str,
        credentials: &str,
        choice: Choice<'_>,
    ) -> Result<Identity, (u8, String)> {
        let (_home, env) = environment(vars, config, credentials);
        Identity::find(&env, &files(&env), choice).map_err(|error| (error.exit as u8, error.message().to_owned()))
    }

    /// The access key ID, else the description of the source, then the roles.
    fn summary(identity: &Identity) -> String {
        let source = match &identity.chain.source {
            Source::Keys(keys) => keys.access_key_id.clone(),
            Source::UserSession(session) => format!("{} with {}", session.keys.access_key_id, session.mfa.serial),
            _ => identity.chain.description.clone(),
        };
        let mfa = |role: &Role| role.mfa.as_ref().map(|mfa| format!(" with {}", mfa.serial)).unwrap_or_default();
        identity.chain.roles.iter().fold(source, |text, role| format!("{text}, {}{}", role.arn, mfa(role)))
    }

    #[test]
    fn sources_have_the_precedence_of_the_aws_cli() {
        let [key, secret] = KEYS;
        let [token_file, role] = WEB_IDENTITY;
        let default_profile = ("AWS_DEFAULT_PROFILE", "process");
        let missing = ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/x");
        // The source, and the first word of each note on ignored settings.
        for (vars, profile, expected, shadowed) in [
            (&[][..], None, "AKIDDEFAULT", &[][..]),
            (&KEYS, None, "AKIDENV", &[]),
            (&[PROFILE], None, "AKIDOTHER", &[]),
            (&[PROFILE, default_profile], None, "profile 'process' (credential_process)", &["AWS_PROFILE"]),
            (&[key, secret, PROFILE], None, "AKIDENV", &["AWS_PROFILE"]),
            (
                &[key, secret, token_file, CONTAINER],
                None,
                "AKIDENV",
                &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"],
            ),
            // An explicit profile takes precedence over every variable.
            (&[key, secret], Some("other"), "AKIDOTHER", &["AWS_ACCESS_KEY_ID"]),
            (&WEB_IDENTITY, Some("other"), "AKIDOTHER", &["AWS_WEB_IDENTITY_TOKEN_FILE"]),
            (&[PROFILE], Some("default"), "AKIDDEFAULT", &["AWS_PROFILE"]),
            (&[PROFILE], Some("other"), "AKIDOTHER", &[]),
            // A secret without an ID is ignored.
            (&[secret], None, "AKIDDEFAULT", &[]),
            // A web identity takes precedence over a selected profile without a role.
            (&WEB_IDENTITY, None, "the environment (web identity, role env)", &["profile"]),
            (&[token_file, role, ("AWS_PROFILE", "role")], None, "AKIDDEFAULT, r", &[]),
            (&[CONTAINER], None, "AKIDDEFAULT", &["AWS_CONTAINER_CREDENTIALS_FULL_URI"]),
            (&[("AWS_PROFILE", "web")], None, "profile 'web' (web identity, role r)", &[]),
            // Without a profile, the platform provides the credentials.
            (&[("AWS_PROFILE", "empty"), CONTAINER], None, "the container's role (ECS or EKS)", &[]),
            (&[missing, CONTAINER], None, "the container's role (ECS or EKS)", &[]),
            (&[missing], None, "the instance's role (EC2 metadata service)", &[]),
            (&[missing, token_file, role, CONTAINER], None, "the environment (web identity, role env)", &[]),
        ] {
            let identity = find(vars, CONFIG, CREDENTIALS, Choice { profile, ..Choice::default() }).unwrap();
            assert_eq!(summary(&identity), expected, "{vars:?} {profile:?}");
            let notes = identity.shadowed().iter().map(|note| note.split(' ').next().unwrap());
            assert_eq!(notes.collect::<Vec<_>>(), shadowed, "{vars:?} {profile:?}");
        }
    }

    #[test]
    fn the_flags_apply_to_the_last_role_or_to_the_user() {
        let with_mfa = "[default]\nmfa_serial = m\n";
        for (profile, config, role_arn, mfa_serial, expected) in [
            ("default", "", Some("r2"), None, Ok("AKIDDEFAULT, r2")),
            ("default", "", None, Some("m2"), Ok("AKIDDEFAULT with m2")),
            ("default", "", Some("r2"), Some("m2"), Ok("AKIDDEFAULT, r2 with m2")),
            ("default", with_mfa, None, None, Ok("AKIDDEFAULT with m")),
            ("default", with_mfa, None, Some("m2"), Ok("AKIDDEFAULT with m2")),
            ("default", with_mfa, Some("r2"), None, Ok("AKIDDEFAULT, r2")),
            ("default", with_mfa, Some("r2"), Some("m2"), Ok("AKIDDEFAULT with m, r2 with m2")),
            ("role", CONFIG, None, Some("m2"), Ok("AKIDDEFAULT, r with m2")),
            ("role", CONFIG, Some("r2"), Some("m2"), Ok("AKIDDEFAULT, r, r2 with m2")),
            ("other", "", None, Some("m2"), Err("mfa_serial: profile 'other' (access key) does not use MFA codes")),
            ("process", CONFIG, None, Some("m2"), Err("mfa_serial: profile 'process' (credential_process) does not")),
        ] {
            let choice = Choice { profile: Some(profile), role_arn, mfa_serial, ..Choice::default() };
            match (find(&[], config, CREDENTIALS, choice), expected) {
                (Ok(identity), Ok(expected)) => assert_eq!(summary(&identity), expected),
                (Err((2, message)), Err(expected)) => assert!(message.starts_with(expected), "{message}"),
                (result, _) => panic!("{profile} {role_arn:?} {mfa_serial:?}: {result:?}"),
            }
        }
    }

    #[test]
    fn an_identity_without_credentials_is_an_error() {
        let table = Choice { profile: Some("empty"), profile_table: Some("[target.x]"), ..Choice::default() };
        let named = |profile| Choice { profile: Some(profile), ..Choice::default() };
        let missing = ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/x");
        let [token_file, _] = WEB_IDENTITY;
        for (vars, choice, exit, part) in [
            (&[][..], named("empty"), 3, "or omit --profile"),
            (&[CONTAINER], table, 3, "or remove profile from [target.x]"),
            (&[("AWS_PROFILE", "absent")], Choice::default(), 3, "profile 'absent' is not in "),
            (&[], named("absent"), 3, "profile 'absent' is not in "),
            (
                &[missing, ("AWS_EC2_METADATA_DISABLED", "TRUE")],
                Choice::default(),
                3,
                "AWS credentials: none found in the environment",
            ),
            (&[missing, token_file], Choice::default(), 3, "AWS_ROLE_ARN is not; set both"),
            (&[("AWS_ACCESS_KEY_ID", "AKIDX")], Choice::default(), 3, "no AWS_SECRET_ACCESS_KEY; set both or neither"),
            (
                &[("AWS_ENDPOINT_URL", "x")],
                Choice { role_arn: Some("r"), ..Choice::default() },
                2,
                "the endpoint of sts, 'x', is not a URL",
            ),
        ] {
            let (code, message) = find(vars, CONFIG, CREDENTIALS, choice).unwrap_err();
            assert!(code == exit && message.contains(part), "{code} {message}");
        }
    }

    #[test]
    fn every_setting_that_changes_the_credentials_changes_the_fingerprint() {
        let (_home, env) = environment(&KEYS, CONFIG, CREDENTIALS);
        let digest = |vars: &[(&str, &str)], choice: Choice| {
            let vars = vars.iter().map(|(name, value)| (name.into(), value.into()));
            let env = Env::with_vars(vars.chain([("HOME".into(), env.home().unwrap().into())]).collect());
            Identity::find(&env, &files(&env), choice).unwrap().fingerprint().to_owned()
        };
        let profile = |profile| Choice { profile: Some(profile), ..Choice::default() };
        let role = |role_arn| Choice { role_arn: Some(role_arn), ..Choice::default() };
        let digests = [
            digest(&KEYS, Choice::default()),
            digest(&[KEYS[0], ("AWS_SECRET_ACCESS_KEY", "x")], Choice::default()),
            digest(&[KEYS[0], KEYS[1], ("AWS_SESSION_TOKEN", "t")], Choice::default()),
            digest(&[], Choice::default()),
            digest(&[PROFILE], Choice::default()),
            digest(&[], profile("process")),
            digest(&[], role("a")),
            digest(&[], role("b")),
            digest(&[], Choice { mfa_serial: Some("m"), ..role("b") }),
            digest(&[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1/")], role("b")),
            digest(&[("HTTPS_PROXY", "http://127.0.0.1/")], role("b")),
        ];
        let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
        assert_eq!(digest(&KEYS, Choice::default()), digests[0]);
        assert_eq!(digest(&[("LANG", "C"), PROFILE], Choice::default()), digests[4], "LANG is not an input");
    }
}
