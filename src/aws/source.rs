//! Sources of credentials, the roles assumed with them, and what the environment says of both.

use std::path::Path;

use super::keys::AccessKeys;
use super::profile_files::read_bounded;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;
use crate::rfc3339;

/// Where the first credentials come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Access keys in the environment or in a profile.
    Keys(AccessKeys),
    /// A session of a user with an MFA device (`GetSessionToken`).
    UserSession(UserSession),
    /// A program that prints them (`credential_process`).
    Process(String),
    /// A token file, exchanged for them (`AssumeRoleWithWebIdentity`).
    WebIdentity { role_arn: String, session_name: Option<String>, token_file: String },
    /// IAM Identity Center.
    Sso(Sso),
    /// The console session of `aws login`, by its ARN.
    Login(String),
    /// The endpoint that ECS or EKS names in the environment.
    Container,
    /// The metadata service of EC2.
    InstanceMetadata,
}

/// A user's access keys, and the MFA device that a session of the user needs.
#[derive(Clone, Debug)]
pub(super) struct UserSession {
    pub(super) keys: AccessKeys,
    pub(super) mfa: Mfa,
    /// In seconds.
    pub(super) duration: Option<i32>,
}

/// A role of an account in IAM Identity Center.
#[derive(Clone, Debug)]
pub(super) struct Sso {
    /// The `[sso-session]` section, in the newer form of the configuration.
    pub(super) session: Option<String>,
    pub(super) region: String,
    pub(super) start_url: String,
    pub(super) account_id: String,
    pub(super) role_name: String,
}

/// A role to assume (`AssumeRole`).
#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session_name: Option<String>,
    pub(super) external_id: Option<String>,
    /// In seconds.
    pub(super) duration: Option<i32>,
    pub(super) mfa: Option<Mfa>,
}

/// An MFA device.
#[derive(Clone, Debug)]
pub(super) struct Mfa {
    /// Its serial number or ARN.
    pub(super) serial: String,
    /// The command that prints a code (`mfa_process`).
    pub(super) process: Option<String>,
}

/// The session name in CloudTrail, unless one is configured.
pub(super) const SESSION_NAME: &str = "rds-token";

impl Source {
    /// The source in words; `place` is where it is configured.
    pub(super) fn describe(&self, place: &str) -> String {
        match self {
            Self::Keys(_) => format!("{place} (access key)"),
            Self::UserSession(session) => format!("{place} (access key, MFA device {})", session.mfa.serial),
            Self::Process(_) => format!("{place} (credential_process)"),
            Self::WebIdentity { role_arn, .. } => format!("{place} (web identity, role {role_arn})"),
            Self::Sso(sso) => format!("{place} (SSO role {} in {})", sso.role_name, sso.account_id),
            Self::Login(session) => format!("{place} (aws login, {session})"),
            Self::Container => "the container's role (ECS or EKS)".to_owned(),
            Self::InstanceMetadata => "the instance's role (EC2 metadata service)".to_owned(),
        }
    }

    /// The AWS account of the credentials, if known.
    pub(super) fn account(&self) -> Option<&str> {
        match self {
            Self::Sso(sso) => Some(&sso.account_id),
            Self::WebIdentity { role_arn, .. } => account_of(role_arn),
            _ => None,
        }
    }

    /// The MFA device whose code the source itself needs.
    pub(super) fn mfa(&self) -> Option<&Mfa> {
        match self {
            Self::UserSession(session) => Some(&session.mfa),
            _ => None,
        }
    }

    /// Adds the fields that identify the source, without secrets and without the content of a token file.
    pub(super) fn stable_fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        match self {
            Self::Keys(keys) | Self::UserSession(UserSession { keys, .. }) => fingerprint.field(&keys.access_key_id),
            Self::WebIdentity { role_arn, session_name, token_file } => {
                fingerprint.field(role_arn).optional(session_name.as_ref()).field(token_file)
            }
            other => other.fingerprint(fingerprint),
        }
    }

    /// Adds everything that decides which credentials the source gives.
    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        match self {
            Self::Keys(keys) => keys.fingerprint(fingerprint.field("keys")),
            Self::UserSession(UserSession { keys, mfa, duration }) => keys
                .fingerprint(fingerprint.field("user session"))
                .field(&mfa.serial)
                .optional(duration.map(i32::to_be_bytes)),
            Self::Process(command) => fingerprint.field("process").field(command),
            Self::WebIdentity { role_arn, session_name, token_file } => {
                let fingerprint = fingerprint.field("web identity").field(role_arn).optional(session_name.as_ref());
                // The token's content says whose it is. A pipe can be read only once, so it is left for the
                // request to STS.
                let is_file = Path::new(token_file).is_file();
                let token = is_file.then(|| read_bounded(Path::new(token_file)).ok()).flatten();
                fingerprint.field(token_file).optional(token)
            }
            Self::Login(session) => fingerprint.field("login").field(session),
            Self::Sso(Sso { session, region, start_url, account_id, role_name }) => {
                let fingerprint = fingerprint.field("sso").optional(session.as_ref());
                fingerprint.field(region).field(start_url).field(account_id).field(role_name)
            }
            Self::Container => fingerprint.field("container"),
            Self::InstanceMetadata => fingerprint.field("instance"),
        }
    }
}

impl Role {
    /// A role without settings of its own.
    pub(super) fn new(arn: String, mfa: Option<Mfa>) -> Self {
        Self { arn, session_name: None, external_id: None, duration: None, mfa }
    }

    /// The AWS account of the role.
    pub(super) fn account(&self) -> Option<&str> {
        account_of(&self.arn)
    }

    /// Adds the role and how it is assumed.
    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        fingerprint
            .field(&self.arn)
            .optional(self.session_name.as_ref())
            .optional(self.external_id.as_ref())
            .optional(self.duration.map(i32::to_be_bytes))
            .optional(self.mfa.as_ref().map(|mfa| &mfa.serial))
    }
}

/// The account in a role's ARN.
fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

impl AccessKeys {
    fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        fingerprint
            .field(&self.access_key_id)
            .field(self.secret_access_key.expose())
            .optional(self.session_token.as_ref().map(|token| token.expose()))
            .optional(self.expires_at.map(|time| time.unix_timestamp().to_be_bytes()))
    }
}

/// The variables with a session token, in the order of botocore.
const SESSION_TOKENS: [&str; 2] = ["AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"];
/// The variables with the expiry of the keys. The second is aws-vault's older name.
const EXPIRATIONS: [&str; 2] = ["AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION"];

/// The keys in the environment, if there are any.
///
/// # Errors
/// When they can't sign (exit 3).
pub(super) fn environment_keys(env: &Env) -> Result<Option<AccessKeys>, Error> {
    // As with the AWS CLI, a secret without an id counts for nothing.
    let Some(id) = env.var("AWS_ACCESS_KEY_ID") else { return Ok(None) };
    let Some(secret) = env.var("AWS_SECRET_ACCESS_KEY") else {
        return Err(Error::credentials(
            "AWS credentials: the environment has AWS_ACCESS_KEY_ID but no AWS_SECRET_ACCESS_KEY; set both or neither",
        ));
    };
    let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, env.var(name)?)));
    let expires_at = first(EXPIRATIONS).map(|(name, text)| {
        rfc3339::parse(&text).ok_or_else(|| {
            Error::credentials(format!(
                "AWS credentials: {name} is {}, which is not a time such as 2026-01-31T12:00:00Z; correct or unset it",
                rfc3339::quote(&text)
            ))
        })
    });
    let session_token = first(SESSION_TOKENS).map(|(_, token)| token);
    AccessKeys::new(id, secret, session_token, expires_at.transpose()?).map(Some).map_err(|why| {
        let remedy = "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN again, or unset them";
        Error::credentials(format!("AWS credentials: in the environment, {why}; {remedy}"))
    })
}

/// The variables that can hold a container's endpoint, in order of precedence.
pub(super) const CONTAINER_URIS: [&str; 2] =
    ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

/// The variable that is set to a container's endpoint.
///
/// `None` if neither variable is set.
pub(super) fn container_variable(env: &Env) -> Option<&'static str> {
    CONTAINER_URIS.into_iter().find(|name| env.var(name).is_some())
}

/// Whether the environment names the token file of a web identity.
pub(super) fn has_web_identity(env: &Env) -> bool {
    env.var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some()
}

/// Whether the environment disables the metadata service of EC2.
pub(super) fn is_metadata_disabled(env: &Env) -> bool {
    env.var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
