//! Sources of credentials, and the roles that are assumed with them.

use std::path::Path;

use super::Credentials;
use super::profile::read_bounded;
use crate::fingerprint::Fingerprint;

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

impl Source {
    /// In words.
    pub(super) fn describe(&self, place: &str) -> String {
        match self {
            Self::Keys(_) => format!("{place} (access key)"),
            Self::Process(_) => format!("{place} (credential_process)"),
            Self::WebIdentity { role_arn, .. } => format!("{place} (web identity, role {role_arn})"),
            Self::Sso(sso) => format!("{place} (SSO role {} in {})", sso.role_name, sso.account_id),
            Self::Login(session) => format!("{place} (aws login, {session})"),
            Self::Container => "the container's role (ECS or EKS)".to_owned(),
            Self::InstanceMetadata => "the instance's role (EC2 metadata service)".to_owned(),
        }
    }

    /// Adds whom it asks, and for what.
    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        match self {
            Self::Keys(keys) => keys.fingerprint(fingerprint.field("keys")),
            Self::Process(command) => fingerprint.field("process").field(command),
            Self::WebIdentity { role_arn, session_name, token_file } => {
                let fingerprint = fingerprint.field("web identity").field(role_arn).optional(session_name.as_ref());
                // Whose it is, the token says. A pipe gives it once, to who trades it.
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
    /// Adds what it is and how it is assumed.
    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        fingerprint
            .field(&self.arn)
            .optional(self.session_name.as_ref())
            .optional(self.external_id.as_ref())
            .optional(self.duration.map(i32::to_be_bytes))
            .optional(self.mfa.as_ref().map(|mfa| &mfa.serial))
    }
}

impl Credentials {
    fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        fingerprint
            .field(&self.access_key_id)
            .field(self.secret_access_key.expose())
            .optional(self.session_token.as_ref().map(|token| token.expose()))
            .optional(self.expires_at.map(|time| time.unix_timestamp().to_be_bytes()))
    }
}
