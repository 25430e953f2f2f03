//! Signs tokens.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4;
use time::OffsetDateTime;

use super::format::{PARAMETERS, RDS_ACTION, dsql_action, scope_name};
use crate::aws::AccessKeys;
use crate::percent::encode;
use crate::secret::Secret;
use crate::target::{Service, Target};

/// A signed token.
pub(crate) type Token = Secret<String>;

/// Signs a token for `target`, dated `now`, that expires after `lifetime`. Sends no request, so invalid keys are not
/// detected. Fails with the reason if the keys can't sign.
pub fn sign(target: &Target, keys: &AccessKeys, lifetime: Duration, now: OffsetDateTime) -> Result<Token, String> {
    let identity = keys.to_sdk().into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(lifetime);
    let signing_params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&target.region)
        .name(scope_name(target.service()))
        .time(SystemTime::from(now))
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let start = unsigned(target);
    let url = format!("https://{start}");
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| error.to_string())?;
    let (instructions, _) = sign_request(request, &signing_params).map_err(|error| error.to_string())?.into_parts();

    // Arrange the parameters in botocore's order. The values are not encoded yet.
    let mut token = start;
    for name in PARAMETERS {
        if let Some((_, value)) = instructions.params().iter().find(|(key, _)| *key == name) {
            token.extend(["&", name, "="]);
            token.extend(encode(value));
        }
    }
    Ok(Secret::new(token))
}

/// The token up to the parameters of the signature. A token of Aurora DSQL contains neither the port nor the user.
fn unsigned(Target { host, port, user, .. }: &Target) -> String {
    match Service::of(host) {
        Service::Rds => format!("{host}:{port}/?Action={RDS_ACTION}&DBUser={}", encode(user)),
        Service::Dsql => format!("{host}/?Action={}", dsql_action(user)),
    }
}
