//! Credentials from the console session of `aws login`.

use aws_config::BehaviorVersion;
use aws_config::login::LoginCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_types::DateTime;

use super::client::AwsClient;
use super::keys::AccessKeys;
use super::request::SourceError;
use super::sdk_error::{explain, is_unreachable};
use crate::error::Error;

/// Fetches the credentials of the console session with this ARN.
pub(super) async fn fetch(client: &AwsClient<'_>, session: &str) -> Result<AccessKeys, Error> {
    // The refresh token may be single-use, so one process refreshes at a time. Later ones find the new keys on disk.
    let _lock = client.join_refresh(session.as_bytes(), || None::<()>).await;
    let endpoints = &client.request.identity.endpoints;
    let config = ProviderConfig::without_region()
        .with_region(Some(client.region.clone()))
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
        .with_http_client(client.services.to_sdk())
        .with_sleep_impl(TokioSleep::new())
        .with_use_fips(Some(endpoints.use_fips))
        .with_use_dual_stack(Some(endpoints.use_dual_stack));
    let provider = LoginCredentialsProvider::builder(session).configure(&config).build();
    let credentials = provider.provide_credentials().await.map_err(|error| match explain(&error) {
        why if is_unreachable(&error) => client.source_error(SourceError::Unreachable(why)),
        why => client.login_error(&why),
    })?;
    let (id, secret) = (credentials.access_key_id().to_owned(), credentials.secret_access_key().to_owned());
    let session_token = credentials.session_token().unwrap_or_default().to_owned();
    client.temporary_keys(id, secret, session_token, credentials.expiry().map(|time| DateTime::from(time).secs()))
}
