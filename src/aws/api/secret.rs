//! The password that RDS manages for a master user (`secretsmanager:GetSecretValue`).

use serde::Deserialize;
use serde_json::json;

use super::client::Api;
use super::error::ApiError;
use super::service::SECRETS;
use crate::error::ExitCode;
use crate::secret::Secret;

/// The user name and password in a secret of RDS.
///
/// Source: "JSON structure of AWS Secrets Manager database credential secrets", Secrets Manager user guide.
#[derive(Debug)]
pub(crate) struct MasterSecret {
    pub(crate) username: String,
    pub(crate) password: Secret<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    secret_string: Option<String>,
}

#[derive(Deserialize)]
struct SecretDocument {
    username: String,
    password: String,
}

impl Api<'_> {
    /// Reads a secret by its ARN or name.
    pub(crate) fn master_secret(&self, id: &str) -> Result<MasterSecret, ApiError> {
        let action = "GetSecretValue";
        let response: Response = self.json(&SECRETS, action, &json!({ "SecretId": id }))?;
        // Serde's message could quote the password.
        let document = response.secret_string.and_then(|text| serde_json::from_str::<SecretDocument>(&text).ok());
        let unusable = || ApiError {
            action: format!("{}:{action}", SECRETS.name),
            code: None,
            message: format!("the secret {id} is not a JSON document with username and password"),
            exit: ExitCode::Other,
        };
        let SecretDocument { username, password } = document.ok_or_else(unusable)?;
        Ok(MasterSecret { username, password: Secret::new(password) })
    }
}
