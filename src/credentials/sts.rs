//! Requests to STS: `AssumeRole`, `AssumeRoleWithWebIdentity` and `GetSessionToken`.

use aws_sdk_sts::Client;
use aws_sdk_sts::types::Credentials as StsCredentials;

use super::Credentials;
use super::aws_error::{exit_of_service, explain_service};
use super::mfa::Code;
use super::network::Asking;
use super::redact::scrub;
use super::source::{Mfa, Role, SESSION_NAME, UserSession};
use crate::error::{Error, Exit};

impl Asking<'_> {
    fn sts(&self, credentials: Option<&Credentials>) -> Client {
        Client::new(&self.sdk_config("sts", &self.region, credentials))
    }

    pub(super) async fn web_identity(
        &self,
        role_arn: &str,
        session_name: Option<&str>,
        token: &str,
    ) -> Result<Credentials, Error> {
        if token.is_empty() {
            return Err(self.fail(Exit::Credentials, "the token file is empty"));
        }
        let request = self
            .sts(None)
            .assume_role_with_web_identity()
            .role_arn(role_arn)
            .role_session_name(session_name.unwrap_or(SESSION_NAME))
            .web_identity_token(token);
        match self.retry(async || request.clone().send().await).await {
            Ok(answer) => self.accept_answer(answer.credentials),
            Err(error) => {
                let why = scrub(explain_service(&error), [token]);
                Err(self.fail(exit_of_service(&error), &format!("could not assume {role_arn}: {why}")))
            }
        }
    }

    pub(super) async fn assume(
        &self,
        role: &Role,
        code: Option<Code>,
        with: &Credentials,
    ) -> Result<Credentials, Error> {
        let what = format!("could not assume {}", role.arn);
        let code = self.code(role.mfa.as_ref(), code, &what).await?;
        let request = self
            .sts(Some(with))
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(role.session_name.as_deref().unwrap_or(SESSION_NAME))
            .set_external_id(role.external_id.clone())
            .set_duration_seconds(role.duration)
            .set_serial_number(role.mfa.as_ref().map(|mfa| mfa.serial.clone()))
            .set_token_code(code);
        match self.retry(async || request.clone().send().await).await {
            Ok(answer) => self.accept_answer(answer.credentials),
            Err(error) => {
                let why = with.scrub(explain_service(&error));
                let failure = self.fail(exit_of_service(&error), &format!("{what}: {why}"));
                // Another process may have the right code.
                Err(if role.mfa.is_some() { failure.personal() } else { failure })
            }
        }
    }

    pub(super) async fn user_session(&self, session: &UserSession, code: Option<Code>) -> Result<Credentials, Error> {
        let UserSession { keys, mfa, duration } = session;
        let what = "could not start a session of the user";
        let code = self.code(Some(mfa), code, what).await?;
        let request = self
            .sts(Some(keys))
            .get_session_token()
            .set_duration_seconds(*duration)
            .serial_number(&mfa.serial)
            .set_token_code(code);
        match self.retry(async || request.clone().send().await).await {
            Ok(answer) => self.accept_answer(answer.credentials),
            Err(error) => {
                let why = keys.scrub(explain_service(&error));
                Err(self.fail(exit_of_service(&error), &format!("{what}: {why}")).personal())
            }
        }
    }

    async fn code(&self, mfa: Option<&Mfa>, code: Option<Code>, what: &str) -> Result<Option<String>, Error> {
        let (Some(mfa), Some(code)) = (mfa, code) else { return Ok(None) };
        code.get(mfa, self.request).await.map(Some).map_err(|error| {
            self.fail(Exit::Credentials, &format!("{what}: {}", error.why)).quoting(error.said).personal()
        })
    }

    fn accept_answer(&self, given: Option<StsCredentials>) -> Result<Credentials, Error> {
        let given = given.ok_or_else(|| self.fail(Exit::Credentials, "STS answered without credentials"))?;
        let expires_at = self.time(given.expiration.secs())?;
        self.accept(given.access_key_id, given.secret_access_key, given.session_token, Some(expires_at))
    }
}
