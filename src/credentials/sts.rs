//! What STS is asked: `AssumeRole` and `AssumeRoleWithWebIdentity`.

use aws_sdk_sts::types::Credentials as StsCredentials;

use super::mfa::Code;
use super::network::{Asking, exit_of, explain_service};
use super::source::{Role, SESSION_NAME};
use super::{Credentials, scrub};
use crate::error::{Error, Exit};

impl Asking<'_> {
    pub(super) async fn web_identity(
        &self,
        role_arn: &str,
        session_name: Option<&str>,
        token: &str,
    ) -> Result<Credentials, Error> {
        if token.is_empty() {
            return Err(self.fail(Exit::Credentials, "the token file is empty"));
        }
        let request = aws_sdk_sts::Client::new(&self.sdk_config("sts", &self.region, None))
            .assume_role_with_web_identity()
            .role_arn(role_arn)
            .role_session_name(session_name.unwrap_or(SESSION_NAME))
            .web_identity_token(token);
        match request.send().await {
            Ok(answer) => self.accept_answer(answer.credentials),
            Err(error) => {
                let why = scrub(explain_service(&error), [token]);
                Err(self.fail(exit_of(&error), &format!("could not assume {role_arn}: {why}")))
            }
        }
    }

    pub(super) async fn assume(
        &self,
        role: &Role,
        code: Option<Code>,
        with: &Credentials,
    ) -> Result<Credentials, Error> {
        let fail = |exit, why: &str| self.fail(exit, &format!("could not assume {}: {why}", role.arn));
        let code = match (code, &role.mfa) {
            (Some(code), Some(mfa)) => {
                Some(code.get(mfa).await.map_err(|why| fail(Exit::Credentials, &why).personal())?)
            }
            _ => None,
        };
        let request = aws_sdk_sts::Client::new(&self.sdk_config("sts", &self.region, Some(with)))
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(role.session_name.as_deref().unwrap_or(SESSION_NAME))
            .set_external_id(role.external_id.clone())
            .set_duration_seconds(role.duration)
            .set_serial_number(role.mfa.as_ref().map(|mfa| mfa.serial.clone()))
            .set_token_code(code);
        match request.send().await {
            Ok(answer) => self.accept_answer(answer.credentials),
            Err(error) => {
                let failure = fail(exit_of(&error), &with.scrub(explain_service(&error)));
                // Another's code may be the right one.
                Err(if role.mfa.is_some() { failure.personal() } else { failure })
            }
        }
    }

    fn accept_answer(&self, given: Option<StsCredentials>) -> Result<Credentials, Error> {
        let given = given.ok_or_else(|| self.fail(Exit::Credentials, "STS answered without credentials"))?;
        let expires_at = self.time(given.expiration.secs())?;
        self.accept(given.access_key_id, given.secret_access_key, given.session_token, Some(expires_at))
    }
}
