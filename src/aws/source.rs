//! Sources of credentials, and the roles that are assumed with them.

use super::keys::AccessKeys;
use super::profile_files::read_regular_file;
use crate::fingerprint::Fingerprint;

/// The source of the first credentials.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Access keys in the environment or in a profile.
    Keys(AccessKeys),
    /// A session of a user with an MFA device (`GetSessionToken`).
    UserSession(UserSession),
    /// A program that prints credentials (`credential_process`).
    Process(String),
    /// A token file that is exchanged for credentials (`AssumeRoleWithWebIdentity`).
    WebIdentity {
        role_arn: String,
        session_name: Option<String>,
        token_file: String,
    },
    /// A role of IAM Identity Center.
    Sso(Sso),
    /// The ARN of the console session of `aws login`.
    Login(String),
    /// The endpoint that ECS or EKS sets in the environment.
    Container,
    InstanceMetadata,
}

/// A user's access keys, and the MFA device for a session of the user.
#[derive(Clone, Debug)]
pub(super) struct UserSession {
    pub(super) keys: AccessKeys,
    pub(super) mfa: Mfa,
    /// In seconds.
    pub(super) duration: Option<i32>,
}

#[derive(Clone, Debug)]
pub(super) struct Sso {
    /// The name of the `[sso-session]` section. `None` in the legacy form of the configuration.
    pub(super) session: Option<String>,
    pub(super) region: String,
    pub(super) start_url: String,
    pub(super) account_id: String,
    pub(super) role_name: String,
}

/// A role to assume (`AssumeRole`).
#[derive(Clone, Debug, Default)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session_name: Option<String>,
    pub(super) external_id: Option<String>,
    /// In seconds.
    pub(super) duration: Option<i32>,
    pub(super) mfa: Option<Mfa>,
}

#[derive(Clone, Debug)]
pub(super) struct Mfa {
    /// The serial number or ARN.
    pub(super) serial: String,
    /// The command that prints a code (`mfa_process`).
    pub(super) process: Option<String>,
}

/// The role session name, if none is configured. CloudTrail shows it.
pub(super) const SESSION_NAME: &str = "rds-token";

impl Source {
    /// Describes the source for messages. `location` is the profile or the environment that configures it.
    pub(super) fn describe(&self, location: &str) -> String {
        match self {
            Self::Keys(_) => format!("{location} (access key)"),
            Self::UserSession(session) => format!("{location} (access key, MFA device {})", session.mfa.serial),
            Self::Process(_) => format!("{location} (credential_process)"),
            Self::WebIdentity { role_arn, .. } => format!("{location} (web identity, role {role_arn})"),
            Self::Sso(sso) => format!("{location} (SSO role {} in {})", sso.role_name, sso.account_id),
            Self::Login(session) => format!("{location} (aws login, {session})"),
            Self::Container => "the container's role (ECS or EKS)".to_owned(),
            Self::InstanceMetadata => "the instance's role (EC2 metadata service)".to_owned(),
        }
    }

    /// The AWS account of the credentials. `None` if it is unknown.
    pub(super) fn account(&self) -> Option<&str> {
        match self {
            Self::Sso(sso) => Some(&sso.account_id),
            Self::WebIdentity { role_arn, .. } => account_of(role_arn),
            _ => None,
        }
    }

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

    /// Adds every field that decides which credentials the source returns.
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
                // The content of the token identifies its owner.
                fingerprint.field(token_file).optional(read_regular_file(token_file.as_ref()))
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
    /// Adds every field, except the command for MFA codes.
    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        fingerprint
            .field(&self.arn)
            .optional(self.session_name.as_ref())
            .optional(self.external_id.as_ref())
            .optional(self.duration.map(i32::to_be_bytes))
            .optional(self.mfa.as_ref().map(|mfa| &mfa.serial))
    }
}

/// Returns the AWS account of a role.
pub(super) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}
