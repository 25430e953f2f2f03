//! Credentials that AWS has to be asked for: the program's only network, and its only async code.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::client::Client as ImdsClient;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sso::SsoCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::types::Credentials as StsCredentials;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::{Provider as TlsProvider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder as HttpBuilder, Connector, proxy::ProxyConfig};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use time::OffsetDateTime;

use super::identity::{Identity, NONE_FOUND, Role, Source};
use super::{Credentials, process};
use crate::error::{Error, Exit};
use crate::host::Host;

/// After this long a person who waits is told for what.
const PATIENCE: Duration = Duration::from_secs(1);
/// The metadata service is on the same machine: one that doesn't answer in this time isn't there.
const METADATA_CONNECT: Duration = Duration::from_secs(1);
/// What is quoted of an answer, in characters.
const MAX_QUOTE: usize = 600;

/// Gets the credentials of `identity`, until `deadline` at the latest.
pub(super) fn obtain(
    identity: &Identity,
    region: &str,
    host: &Host,
    deadline: Instant,
    progress: impl Fn(&str),
) -> Result<Credentials, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::other(format!("could not start asking for credentials: {error}")))?;
    let description = identity.describe();
    let asking = async {
        let work = chain(identity, region, host);
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PATIENCE) => progress(&format!("waiting for credentials from {description}")),
        }
        work.await
    };
    let answer = runtime.block_on(async { tokio::time::timeout_at(deadline.into(), asking).await });
    // A name lookup that still runs in a thread must not hold us up.
    runtime.shutdown_background();
    answer.unwrap_or_else(|_| {
        Err(Error::network(format!(
            "AWS credentials: {description} did not answer in time; try again, or allow more with --timeout"
        )))
    })
}

/// The first source's credentials, and then each role's in turn.
async fn chain(identity: &Identity, region: &str, host: &Host) -> Result<Credentials, Error> {
    let asking = Asking { identity, region: identity.region.as_deref().unwrap_or(region) };
    let mut credentials = asking.first(host).await?;
    for role in &identity.roles {
        credentials = asking.assume(role, &credentials).await?;
    }
    Ok(credentials)
}

/// What every request of one identity shares.
struct Asking<'a> {
    identity: &'a Identity,
    /// The region of AWS's own services.
    region: &'a str,
}

impl Asking<'_> {
    async fn first(&self, host: &Host) -> Result<Credentials, Error> {
        match &self.identity.source {
            Source::Keys(keys) => Ok(keys.clone()),
            Source::Process(command) => {
                process::run(command, host.is_foreground()).await.map_err(|why| self.fail(Exit::Credentials, &why))
            }
            Source::WebIdentity { role_arn, session_name, token_file } => {
                self.web_identity(role_arn, session_name, token_file).await
            }
            Source::Sso { session, region, start_url, account_id, role_name } => {
                let mut builder = SsoCredentialsProvider::builder()
                    .configure(&provider_config(https_client(), region))
                    .region(Region::new(region.clone()))
                    .start_url(start_url)
                    .account_id(account_id)
                    .role_name(role_name);
                builder.set_session_name(session.clone());
                self.provided(builder.build()).await
            }
            Source::Container => {
                let config = provider_config(local_client(), self.region);
                self.provided(EcsCredentialsProvider::builder().configure(&config).build()).await
            }
            Source::InstanceMetadata => {
                let config = provider_config(local_client(), self.region);
                let client = ImdsClient::builder().configure(&config).connect_timeout(METADATA_CONNECT).build();
                let provider = ImdsCredentialsProvider::builder().configure(&config).imds_client(client).build();
                self.provided(provider).await
            }
        }
    }

    async fn provided(&self, provider: impl ProvideCredentials) -> Result<Credentials, Error> {
        provider.provide_credentials().await.map(|given| from_sdk(&given)).map_err(|error| {
            let not_there = matches!(error, CredentialsError::CredentialsNotLoaded(_));
            match self.identity.source {
                Source::InstanceMetadata if not_there => self.fail(Exit::Credentials, NONE_FOUND),
                _ => self.fail(exit_of(&error), &explain(&error)),
            }
        })
    }

    async fn web_identity(&self, role_arn: &str, session_name: &str, token_file: &str) -> Result<Credentials, Error> {
        let token = std::fs::read_to_string(token_file).map_err(|error| {
            self.fail(Exit::Credentials, &format!("could not read the token file {token_file}: {error}"))
        })?;
        let request = aws_sdk_sts::Client::new(&self.sdk_config(None).await)
            .assume_role_with_web_identity()
            .role_arn(role_arn)
            .role_session_name(session_name)
            .web_identity_token(token.trim());
        match request.send().await {
            Ok(answer) => self.accept(answer.credentials),
            Err(error) => {
                let error_text = explain_sts(&error).replace(token.trim(), "…");
                Err(self.fail(exit_of(&error), &format!("could not assume {role_arn}: {error_text}")))
            }
        }
    }

    async fn assume(&self, role: &Role, with: &Credentials) -> Result<Credentials, Error> {
        let request = aws_sdk_sts::Client::new(&self.sdk_config(Some(with)).await)
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(&role.session_name)
            .set_external_id(role.external_id.clone())
            .set_duration_seconds(role.duration);
        match request.send().await {
            Ok(answer) => self.accept(answer.credentials),
            Err(error) => {
                let why = with.scrub(&explain_sts(&error));
                Err(self.fail(exit_of(&error), &format!("could not assume {}: {why}", role.arn)))
            }
        }
    }

    fn accept(&self, given: Option<StsCredentials>) -> Result<Credentials, Error> {
        let given = given.ok_or_else(|| self.fail(Exit::Credentials, "STS answered without credentials"))?;
        let expires_at = OffsetDateTime::from_unix_timestamp(given.expiration.secs()).ok();
        Ok(Credentials::new(given.access_key_id, given.secret_access_key, Some(given.session_token), expires_at))
    }

    /// The SDK's settings: endpoints, FIPS and retries from the environment and the profile.
    async fn sdk_config(&self, credentials: Option<&Credentials>) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(https_client())
            .sleep_impl(TokioSleep::new())
            .region(Region::new(self.region.to_owned()));
        if let Some(profile) = &self.identity.profile {
            loader = loader.profile_name(profile);
        }
        match credentials {
            Some(credentials) => loader.credentials_provider(to_sdk(credentials)).load().await,
            None => loader.no_credentials().load().await,
        }
    }

    /// One line: which source failed, why, and what to do about it.
    fn fail(&self, exit: Exit, why: &str) -> Error {
        let why: String = why.trim().chars().take(MAX_QUOTE).collect();
        let remedy = match (&self.identity.source, exit) {
            (_, Exit::Network) => "; check the network and the proxy settings".to_owned(),
            (Source::Sso { .. }, _) => {
                let profile = self.identity.profile.as_deref().unwrap_or("default");
                format!("; run `aws sso login --profile {profile}`")
            }
            _ => String::new(),
        };
        Error::new(exit, format!("AWS credentials: {}: {why}{remedy}", self.identity.describe()))
    }
}

fn from_sdk(given: &AwsCredentials) -> Credentials {
    Credentials::new(
        given.access_key_id().to_owned(),
        given.secret_access_key().to_owned(),
        given.session_token().map(str::to_owned),
        given.expiry().map(OffsetDateTime::from),
    )
}

fn to_sdk(credentials: &Credentials) -> AwsCredentials {
    AwsCredentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose(),
        credentials.session_token.as_ref().map(|token| token.expose().clone()),
        credentials.expires_at.map(SystemTime::from),
        "rds-token",
    )
}

fn provider_config(client: SharedHttpClient, region: &str) -> ProviderConfig {
    ProviderConfig::without_region()
        .with_region(Some(Region::new(region.to_owned())))
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
        .with_http_client(client)
        .with_sleep_impl(TokioSleep::new())
}

/// The client for AWS's services: TLS by the system's roots, and the proxy that the environment names.
/// Building it reads the system's certificates, so only what needs it does.
fn https_client() -> SharedHttpClient {
    http_client_fn(|settings, components| {
        fenced(
            connector(settings, components)
                .proxy_config(ProxyConfig::from_env())
                .tls_provider(TlsProvider::Rustls(CryptoMode::Ring))
                .build(),
        )
    })
}

/// The client for the container's endpoint and the metadata service: no TLS, no proxy.
fn local_client() -> SharedHttpClient {
    HttpBuilder::new().build_http()
}

fn connector(
    settings: &HttpConnectorSettings,
    components: &RuntimeComponents,
) -> aws_smithy_http_client::ConnectorBuilder {
    let mut builder = Connector::builder().connector_settings(settings.clone());
    builder.set_sleep_impl(components.sleep_impl());
    builder
}

fn fenced(connector: Connector) -> SharedHttpConnector {
    SharedHttpConnector::new(Fence(SharedHttpConnector::new(connector)))
}

/// Lets no request out in clear text, except to this machine itself: an endpoint override must not
/// hand a signed request, or the answer's keys, to the network.
#[derive(Debug)]
struct Fence(SharedHttpConnector);

impl HttpConnector for Fence {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if is_allowed(request.uri()) {
            return self.0.call(request);
        }
        let why = "the configured endpoint is plain http:// and not on this machine; make it https://";
        HttpConnectorFuture::ready(Err(ConnectorError::user(why.into())))
    }
}

fn is_allowed(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://") else { return uri.starts_with("https://") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn exit_of(error: &(dyn StdError + 'static)) -> Exit {
    let network = |error: &(dyn StdError + 'static)| {
        error.downcast_ref::<ConnectorError>().is_some_and(|error| !error.is_user())
            || matches!(error.downcast_ref(), Some(CredentialsError::ProviderTimedOut(_)))
    };
    if causes(error).any(network) { Exit::Network } else { Exit::Credentials }
}

/// The whole chain of causes, but for the SDK's outermost error, which says next to nothing.
fn explain(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error).filter(|cause| !cause.is::<CredentialsError>() || cause.source().is_none()) {
        let text = cause.to_string();
        // Many wrappers repeat what they wrap.
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// What STS itself said, or why it couldn't be asked.
fn explain_sts<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => explain(error),
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn clear_text_stays_on_this_machine() {
        for uri in ["https://sts.amazonaws.com/", "http://127.0.0.1:80/x", "http://localhost:5000", "http://[::1]:1/"] {
            assert!(is_allowed(uri), "{uri}");
        }
        for uri in [
            "http://sts.amazonaws.com/",
            "http://127.0.0.1.evil.com/",
            "http://localhost.evil.com/",
            "http://127.0.0.1@evil.com/",
            "http://10.0.0.1/",
            "ftp://127.0.0.1/",
            "http://",
        ] {
            assert!(!is_allowed(uri), "{uri}");
        }
    }
}
