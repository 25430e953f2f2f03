//! The chain from a profile, through `source_profile`, to a source of credentials and the roles to assume.

use super::environment::{container_variable, environment_keys, is_metadata_disabled};
use super::keys::{AccessKeys, KeyNames};
use super::profile_files::{ProfileFile, Profiles};
use super::source::{Mfa, Role, Source, Sso, UserSession};
use crate::error::Error;
use crate::os::env::Env;

/// The source and the roles to which a profile, the environment or the platform resolves.
#[derive(Clone, Debug)]
pub(super) struct ResolvedProfile {
    pub(super) source: Source,
    /// The roles, in the order in which they are assumed.
    pub(super) roles: Vec<Role>,
    /// The name of the profile. `None` if the source does not come from a profile.
    pub(super) profile: Option<String>,
    /// The description of the source in messages.
    pub(super) description: String,
    pub(super) warnings: Vec<String>,
    /// Notes on settings that are ignored, each with the reason.
    pub(super) shadowed: Vec<String>,
}

impl ResolvedProfile {
    /// Returns the keys if they are already present and no role has to be assumed.
    pub(super) fn present_keys(&self) -> Option<&AccessKeys> {
        match &self.source {
            Source::Keys(keys) if self.roles.is_empty() => Some(keys),
            _ => None,
        }
    }
}

/// The settings of a profile for access keys. The order of the session tokens is botocore's. Various tools write the
/// expirations, and the AWS CLI ignores them.
const KEY_NAMES: KeyNames = KeyNames {
    access_key_id: "aws_access_key_id",
    secret_access_key: "aws_secret_access_key",
    session_tokens: &["aws_security_token", "aws_session_token"],
    expirations: &[
        "aws_credential_expiration",
        "aws_session_expiration",
        "aws_expiration",
        "expiration",
        "x_security_token_expires",
    ],
};

/// Returns the error for a profile that is in neither file. `referrer` is the setting that names the profile.
pub(super) fn no_such_profile(profiles: &Profiles, name: &str, referrer: &str) -> Error {
    let [config, credentials] = &profiles.paths;
    if config.as_os_str().is_empty() || credentials.as_os_str().is_empty() {
        return Error::credentials(format!(
            "AWS credentials: profile '{name}'{referrer} could not be read, because HOME is not set; set HOME, or \
             AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"
        ));
    }
    let remedy = profiles.explain_absence(name).unwrap_or_else(|| {
        let nearest = crate::similar::nearest(name, profiles.names());
        nearest.map_or("run `aws configure list-profiles`".to_owned(), |nearest| format!("did you mean '{nearest}'?"))
    });
    Error::credentials(format!(
        "AWS credentials: profile '{name}'{referrer} is not in {} or {}; {remedy}",
        config.display(),
        credentials.display()
    ))
}

/// Follows `source_profile` from profile `name` to the source. `None` if the profile has no credentials. Fails if a
/// profile in the chain does not exist, contradicts itself or has no usable credentials (exit 3).
pub(super) fn resolve_profile(env: &Env, profiles: &Profiles, name: &str) -> Result<Option<ResolvedProfile>, Error> {
    let mut visited: Vec<&str> = Vec::new();
    let mut roles = Vec::new();
    let mut profile = Profile { profiles, name };
    let source = loop {
        if !profiles.has(profile.name) {
            let referrer = visited.last().map(|from| format!(", which profile '{from}' names as its source_profile,"));
            return Err(no_such_profile(profiles, profile.name, &referrer.unwrap_or_default()));
        }
        if visited.contains(&profile.name) {
            let path = format!("{} > {}", visited.join(" > "), profile.name);
            return Err(profile.error(&format!("is part of a loop of source_profile: {path}; change one of them")));
        }
        visited.push(profile.name);
        // The AWS CLI uses the keys of a source_profile even if it also has a role.
        let has_own_keys = visited.len() > 1 && profile.has_keys();
        let Some(role) = (if has_own_keys { None } else { profile.role()? }) else { break profile.own_source()? };
        roles.push(role);
        match profile.value("source_profile") {
            Some(next) if next == profile.name => break profile.own_source()?,
            Some(next) => profile.name = next,
            None => break Some(profile.named_source(env)?),
        }
    };
    roles.reverse();
    let source = match source {
        Some(source) if roles.is_empty() => profile.with_user_session(source)?,
        Some(source) => source,
        None if roles.is_empty() => return Ok(None),
        None => {
            let referrer = visited.iter().rev().nth(1).unwrap_or(&name);
            let why = format!("is the source_profile of '{referrer}' but has no credentials");
            return Err(profile.error(&format!("{why}; run `aws configure --profile {}`", profile.name)));
        }
    };
    Ok(Some(ResolvedProfile {
        description: source.describe(&format!("profile '{}'", visited.join("' < '"))),
        warnings: visited.iter().flat_map(|profile| profiles.repetitions(profile)).collect(),
        shadowed: profile.shadowed_by_keys(&source),
        profile: Some(name.to_owned()),
        source,
        roles,
    }))
}

#[derive(Clone, Copy)]
struct Profile<'a> {
    profiles: &'a Profiles,
    name: &'a str,
}

impl<'a> Profile<'a> {
    fn value(self, key: &str) -> Option<&'a str> {
        self.profiles.value(self.name, key)
    }

    fn owned_value(self, key: &str) -> Option<String> {
        self.value(key).map(str::to_owned)
    }

    fn error(self, why: &str) -> Error {
        Error::credentials(format!("AWS credentials: profile '{}' {why}", self.name))
    }

    /// Whether the profile has an access key in either file.
    fn has_keys(self) -> bool {
        self.value("aws_access_key_id").is_some() || self.value("aws_secret_access_key").is_some()
    }

    /// Returns the role to assume. `None` if there is no role, or if a web identity assumes it. Fails unless the role
    /// has either a `source_profile` or a `credential_source`.
    fn role(self) -> Result<Option<Role>, Error> {
        if self.value("web_identity_token_file").is_some() {
            return Ok(None);
        }
        let Some(arn) = self.owned_value("role_arn") else { return Ok(None) };
        let [session_name, external_id] = ["role_session_name", "external_id"].map(|key| self.owned_value(key));
        let role = Role { arn, session_name, external_id, duration: self.duration()?, mfa: self.mfa() };
        match (self.value("source_profile"), self.value("credential_source")) {
            (Some(_), Some(_)) => Err(self.error("has both source_profile and credential_source; remove one of them")),
            (None, None) => Err(self.error("has a role_arn but no source_profile or credential_source; add one")),
            _ => Ok(Some(role)),
        }
    }

    fn duration(self) -> Result<Option<i32>, Error> {
        let parse = |text: &str| {
            let why = format!("has duration_seconds '{text}', which is not a number of seconds; correct it");
            text.parse().map_err(|_| self.error(&why))
        };
        self.value("duration_seconds").map(parse).transpose()
    }

    fn mfa(self) -> Option<Mfa> {
        Some(Mfa { serial: self.owned_value("mfa_serial")?, process: self.owned_value("mfa_process") })
    }

    /// Returns the source in `credential_source`.
    fn named_source(self, env: &Env) -> Result<Source, Error> {
        match self.value("credential_source").unwrap_or_default() {
            "Environment" => {
                let why = "has credential_source = Environment, but AWS_ACCESS_KEY_ID is not set; set it";
                environment_keys(env)?.map(Source::Keys).ok_or_else(|| self.error(why))
            }
            "EcsContainer" if container_variable(env).is_none() => Err(self.error(
                "has credential_source = EcsContainer, but neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor \
                 AWS_CONTAINER_CREDENTIALS_FULL_URI is set, so this is not an ECS or EKS container; use another \
                 credential_source here",
            )),
            "EcsContainer" => Ok(Source::Container),
            "Ec2InstanceMetadata" if is_metadata_disabled(env) => Err(self
                .error("has credential_source = Ec2InstanceMetadata, but AWS_EC2_METADATA_DISABLED is true; unset it")),
            "Ec2InstanceMetadata" => Ok(Source::InstanceMetadata),
            other => Err(self.error(&format!(
                "has credential_source '{other}'; it must be Environment, EcsContainer or Ec2InstanceMetadata"
            ))),
        }
    }

    /// Returns the source in the profile itself, in the order of the AWS CLI. `None` if it has no credentials.
    fn own_source(self) -> Result<Option<Source>, Error> {
        if let Some(token_file) = self.owned_value("web_identity_token_file") {
            let no_role = || self.error("has a web_identity_token_file but no role_arn; add it");
            let role_arn = self.owned_value("role_arn").ok_or_else(no_role)?;
            let session_name = self.owned_value("role_session_name");
            return Ok(Some(Source::WebIdentity { role_arn, session_name, token_file }));
        }
        if self.value("sso_account_id").is_some() || self.value("sso_role_name").is_some() {
            return self.sso().map(|sso| Some(Source::Sso(sso)));
        }
        let keys = self.keys(ProfileFile::Credentials)?.map(Source::Keys);
        let login = || self.owned_value("login_session").map(Source::Login);
        let process = || self.owned_value("credential_process").map(Source::Process);
        if let Some(source) = keys.or_else(login).or_else(process) {
            return Ok(Some(source));
        }
        if let Some(keys) = self.keys(ProfileFile::Config)? {
            return Ok(Some(Source::Keys(keys)));
        }
        if self.value("sso_session").is_some() {
            let why = "has an sso_session but no sso_account_id and sso_role_name; run `aws configure sso`";
            return Err(self.error(why));
        }
        // `keys` has already rejected an ID without a secret.
        if self.has_keys() {
            let why = "has an aws_secret_access_key without its aws_access_key_id in the same file; add it";
            return Err(self.error(why));
        }
        Ok(None)
    }

    /// Returns the access keys in one of the files. An ID is never combined with a secret from the other file.
    fn keys(self, file: ProfileFile) -> Result<Option<AccessKeys>, Error> {
        let Some(section) = self.profiles.section(file, self.name) else { return Ok(None) };
        let location = format!("profile '{}' in {}", self.name, self.profiles.paths[file as usize].display());
        AccessKeys::read(&location, &KEY_NAMES, |key| section.get(key).map(str::to_owned))
    }

    /// Returns the SSO role. Its settings are in the profile or in its `[sso-session]` section.
    fn sso(self) -> Result<Sso, Error> {
        let session = self.value("sso_session");
        let section = session.and_then(|session| self.profiles.sso_session(session));
        if let (Some(session), None) = (session, section) {
            let why = format!("names the sso_session '{session}', but the section [sso-session {session}] is missing");
            return Err(self.error(&format!("{why}; run `aws configure sso-session`")));
        }
        let setting = |key: &str| match (self.value(key), section.and_then(|section| section.get(key))) {
            (Some(own), Some(shared)) if own != shared => {
                let session = session.unwrap_or_default();
                let why = format!("has {key} = {own}, but [sso-session {session}] has {shared}");
                Err(self.error(&format!("{why}; remove it from the profile")))
            }
            (None, None) => Err(self.error(&format!("has no {key}; run `aws configure sso`"))),
            (own, shared) => Ok(own.or(shared).unwrap_or_default().to_owned()),
        };
        Ok(Sso {
            region: setting("sso_region")?,
            start_url: setting("sso_start_url")?,
            account_id: setting("sso_account_id")?,
            role_name: setting("sso_role_name")?,
            session: session.map(str::to_owned),
        })
    }

    /// Replaces long-term keys with a session of the user if the profile has an MFA device.
    fn with_user_session(self, source: Source) -> Result<Source, Error> {
        match (source, self.mfa()) {
            (Source::Keys(keys), Some(mfa)) if keys.session_token.is_none() => {
                Ok(Source::UserSession(UserSession { keys, mfa, duration: self.duration()? }))
            }
            (source, _) => Ok(source),
        }
    }

    /// Returns notes on settings that are ignored because the profile has keys.
    fn shadowed_by_keys(self, source: &Source) -> Vec<String> {
        if !matches!(source, Source::Keys(_) | Source::UserSession(_)) {
            return Vec::new();
        }
        let path = self.profiles.paths[ProfileFile::Credentials as usize].display();
        let ignored = ["credential_process", "login_session"].into_iter().filter(|key| self.value(key).is_some());
        let note = |key| format!("{key} of profile '{}' is ignored because the profile has keys in {path}", self.name);
        ignored.map(note).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::profile_files::tests::{environment, files};

    const KEYS: &str = "aws_access_key_id = AKIDX\naws_secret_access_key = s\n";

    /// Resolves profile `p`, and returns the description and the roles, or the error.
    fn resolve(vars: &[(&str, &str)], config: &str) -> String {
        let (_home, env) = environment(vars, &config.replace("KEYS\n", KEYS), "");
        let chain = resolve_profile(&env, files(&env).get(&env).unwrap(), "p");
        let chain = match chain {
            Ok(Some(chain)) => chain,
            Ok(None) => return "none".to_owned(),
            Err(error) => return error.message().to_owned(),
        };
        chain.roles.iter().fold(chain.description, |text, role| format!("{text}, {}", role.arn))
    }

    #[test]
    fn source_profile_is_followed_to_the_source() {
        for (config, expected) in [
            ("[profile p]\nregion = x\n", "none"),
            ("[profile p]\nKEYS\n", "profile 'p' (access key)"),
            (
                "[profile p]\nrole_arn = r1\nsource_profile = a\n[profile a]\nKEYS\n",
                "profile 'p' < 'a' (access key), r1",
            ),
            (
                "[profile p]\nrole_arn = r1\nsource_profile = a\n[profile a]\nrole_arn = r2\nsource_profile = b\n\
                 [profile b]\nKEYS\n",
                "profile 'p' < 'a' < 'b' (access key), r2, r1",
            ),
            // The keys of a source_profile hide its role, and its invalid settings.
            (
                "[profile p]\nrole_arn = r1\nsource_profile = a\n[profile a]\nrole_arn = r2\nduration_seconds = x\n\
                 KEYS\n",
                "profile 'p' < 'a' (access key), r1",
            ),
            ("[profile p]\nrole_arn = r1\nsource_profile = p\nKEYS\n", "profile 'p' (access key), r1"),
            ("[profile p]\nKEYS\nmfa_serial = m\n", "profile 'p' (access key, MFA device m)"),
            (
                "[profile p]\nrole_arn = r1\nsource_profile = a\n[profile a]\nKEYS\nmfa_serial = m\n",
                "profile 'p' < 'a' (access key), r1",
            ),
            (
                "[profile p]\nrole_arn = r1\nsource_profile = a\n[profile a]\ncredential_process = x\n",
                "profile 'p' < 'a' (credential_process), r1",
            ),
            (
                "[profile p]\nrole_arn = r1\nweb_identity_token_file = /t\nsource_profile = a\n",
                "profile 'p' (web identity, role r1)",
            ),
            (
                "[profile p]\nsso_account_id = 1\nsso_role_name = r\nsso_region = e\nsso_start_url = u\nKEYS\n",
                "profile 'p' (SSO role r in 1)",
            ),
            ("[profile p]\nlogin_session = arn\ncredential_process = x\nKEYS\n", "profile 'p' (aws login, arn)"),
            ("[profile p]\nrole_arn = r1\ncredential_source = Environment\n", "profile 'p' (access key), r1"),
            ("[profile p]\nrole_arn = r1\ncredential_source = EcsContainer\n", "the container's role (ECS or EKS), r1"),
        ] {
            let vars = [
                ("AWS_ACCESS_KEY_ID", "AKIDENV"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
                ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"),
            ];
            assert_eq!(resolve(&vars, config), expected, "{config}");
        }
    }

    #[test]
    fn errors_name_the_profile_at_fault() {
        let no_secret = [("AWS_ACCESS_KEY_ID", "AKIDENV")];
        for (vars, config, expected) in [
            (&[][..], "[profile p]\nrole_arn = r\n", "profile 'p' has a role_arn but no source_profile or"),
            (
                &[],
                "[profile p]\nrole_arn = r\nsource_profile = a\ncredential_source = Environment\n",
                "profile 'p' has both source_profile and credential_source; remove one of them",
            ),
            (
                &[],
                "[profile p]\nrole_arn = r\nsource_profile = a\n",
                "profile 'a', which profile 'p' names as its source_profile, is not in ",
            ),
            (
                &[],
                "[profile p]\nrole_arn = r\nsource_profile = a\n[profile a]\nrole_arn = r\nsource_profile = p\n",
                "profile 'p' is part of a loop of source_profile: p > a > p; change one of them",
            ),
            (
                &[],
                "[profile p]\nrole_arn = r\nsource_profile = p\n",
                "profile 'p' is the source_profile of 'p' but has",
            ),
            (
                &[],
                "[profile p]\nrole_arn = r\nsource_profile = a\n[profile a]\nregion = x\n",
                "profile 'a' is the source_profile of 'p' but has no credentials; run `aws configure --profile a`",
            ),
            (
                &[],
                "[profile p]\nrole_arn = r\nsource_profile = a\nduration_seconds = 1h\n",
                "profile 'p' has duration_seconds '1h', which is not a number of seconds; correct it",
            ),
            (&[], "[profile p]\naws_secret_access_key = s\n", "profile 'p' has an aws_secret_access_key without its"),
            (
                &[],
                "[profile p]\nrole_arn = r\ncredential_source = Environment\n",
                "profile 'p' has credential_source = Environment, but AWS_ACCESS_KEY_ID is not set; set it",
            ),
            (
                &no_secret,
                "[profile p]\nrole_arn = r\ncredential_source = Environment\n",
                "the environment has AWS_ACCESS_KEY_ID but no AWS_SECRET_ACCESS_KEY; set both or neither",
            ),
            (
                &[],
                "[profile p]\nrole_arn = r\ncredential_source = Moon\n",
                "profile 'p' has credential_source 'Moon'; it must be Environment, EcsContainer or Ec2InstanceMetadata",
            ),
        ] {
            let error = resolve(vars, config);
            assert!(error.starts_with(&format!("AWS credentials: {expected}")), "{config}: {error}");
        }
    }

    #[test]
    fn keys_are_not_combined_from_two_files() {
        for (config, credentials, expected) in [
            (KEYS, "", Ok("AKIDX")),
            (KEYS, "aws_access_key_id = AKIDY\naws_secret_access_key = s\n", Ok("AKIDY")),
            (
                "aws_secret_access_key = s\n",
                "aws_access_key_id = AKIDY\n",
                Err(".aws/credentials has aws_access_key_id but no aws_secret_access_key"),
            ),
            (
                "aws_access_key_id = AKIDX\n",
                "aws_secret_access_key = s\n",
                Err(".aws/config has aws_access_key_id but no aws_secret_access_key"),
            ),
        ] {
            let (_home, env) = environment(&[], &format!("[profile p]\n{config}"), &format!("[p]\n{credentials}"));
            match (resolve_profile(&env, files(&env).get(&env).unwrap(), "p"), expected) {
                (Ok(Some(ResolvedProfile { source: Source::Keys(keys), .. })), Ok(id)) => {
                    assert_eq!(keys.access_key_id, id);
                }
                (Err(error), Err(expected)) => assert!(error.message().contains(expected), "{}", error.message()),
                _ => panic!("{config}{credentials}"),
            }
        }
    }
}
