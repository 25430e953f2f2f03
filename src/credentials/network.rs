//! Credentials that somebody has to be asked for: the program's only async code.

use std::error::Error as StdError;
use std::time::{Duration, Instant, SystemTime};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::client::Client as ImdsClient;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sso::SsoCredentialsProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::types::Credentials as StsCredentials;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::result::ConnectorError;
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};

use super::http::{Reach, client};
use super::identity::{Identity, NONE_FOUND, Role, Source};
use super::metadata::{self, Absent};
use super::profile::read_text;
use super::{Credentials, process};
use crate::error::{Error, Exit};
use crate::host::Host;

/// After this long a person who waits is told for what.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a connection to one of AWS's services may take.
const CONNECT: Duration = Duration::from_secs(4);
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
        let work = chain(identity, region, host, deadline);
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PATIENCE) => progress(&format!("waiting for credentials from {description}")),
        }
        work.await
    };
    let is_process = matches!(identity.source, Source::Process(_));
    let answer = runtime.block_on(async {
        tokio::select! {
            answer = tokio::time::timeout_at(deadline.into(), asking) => answer.unwrap_or_else(|_| Err(late(&description))),
            // A program that was started has to be ended first; without one, a signal ends us as it does others.
            (name, exit) = signalled(), if is_process => {
                Err(Error::new(exit, format!("ended by {name} while waiting for {description}")).personal())
            }
        }
    });
    // A name lookup or a read that still runs in a thread must not hold us up.
    runtime.shutdown_background();
    answer
}

fn late(description: &str) -> Error {
    let why = "did not answer in time; try again, or allow more with --timeout";
    Error::network(format!("AWS credentials: {description} {why}")).personal()
}

/// Waits for a signal that would end us.
async fn signalled() -> (&'static str, Exit) {
    let on = |kind| signal(kind).ok();
    let (Some(mut hangup), Some(mut interrupt), Some(mut quit), Some(mut terminate)) =
        (on(SignalKind::hangup()), on(SignalKind::interrupt()), on(SignalKind::quit()), on(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = hangup.recv() => ("SIGHUP", Exit::Hangup),
        _ = interrupt.recv() => ("SIGINT", Exit::Interrupt),
        _ = quit.recv() => ("SIGQUIT", Exit::Quit),
        _ = terminate.recv() => ("SIGTERM", Exit::Terminate),
    }
}

/// The first source's credentials, and then each role's in turn.
async fn chain(identity: &Identity, region: &str, host: &Host, deadline: Instant) -> Result<Credentials, Error> {
    let region = identity.services.region.clone().unwrap_or_else(|| Region::new(region.to_owned()));
    let asking = Asking { identity, region };
    let mut credentials = asking.first(host, deadline).await?;
    for role in &identity.roles {
        credentials = asking.assume(role, &credentials).await?;
    }
    Ok(credentials)
}

/// What every request of one identity shares.
struct Asking<'a> {
    identity: &'a Identity,
    /// The region of AWS's own services.
    region: Region,
}

impl Asking<'_> {
    async fn first(&self, host: &Host, deadline: Instant) -> Result<Credentials, Error> {
        match &self.identity.source {
            Source::Keys(keys) => Ok(keys.clone()),
            Source::Process(command) => {
                process::run(command, host.is_foreground()).await.map_err(|why| self.fail(Exit::Credentials, &why))
            }
            Source::WebIdentity { role_arn, session_name, token_file } => {
                let token = read_text(token_file.as_ref(), deadline).map_err(|error| {
                    self.fail(Exit::Credentials, &format!("could not read the token file {token_file}: {error}"))
                })?;
                self.web_identity(role_arn, session_name, token.trim()).await
            }
            Source::Sso { session, region, start_url, account_id, role_name } => {
                let config = provider_config(Reach::Services, Region::new(region.clone()));
                let mut builder = SsoCredentialsProvider::builder()
                    .configure(&config)
                    .region(Region::new(region.clone()))
                    .start_url(start_url)
                    .account_id(account_id)
                    .role_name(role_name);
                builder.set_session_name(session.clone());
                self.provided(builder.build()).await
            }
            Source::Container => {
                let config = provider_config(Reach::Platform, self.region.clone());
                self.provided(EcsCredentialsProvider::builder().configure(&config).build()).await
            }
            Source::InstanceMetadata => {
                let config = provider_config(Reach::Platform, self.region.clone());
                let client = ImdsClient::builder().configure(&config).connect_timeout(METADATA_CONNECT).build();
                metadata::credentials(&client).await.map_err(|absent| match absent {
                    Absent::NotThere => Error::credentials(format!("AWS credentials: {NONE_FOUND}")),
                    Absent::Failed(why) => {
                        let why = format!("the EC2 metadata service: {why}");
                        Error::credentials(format!("AWS credentials: {NONE_FOUND} ({why})"))
                    }
                })
            }
        }
    }

    async fn provided(&self, provider: impl ProvideCredentials) -> Result<Credentials, Error> {
        let given =
            provider.provide_credentials().await.map_err(|error| self.fail(exit_of(&error), &explain(&error)))?;
        let expires_at = given.expiry().and_then(|end| {
            let since = end.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            OffsetDateTime::from_unix_timestamp(i64::try_from(since.as_secs()).ok()?).ok()
        });
        let (id, secret) = (given.access_key_id().to_owned(), given.secret_access_key().to_owned());
        self.accept(id, secret, given.session_token().unwrap_or_default().to_owned(), expires_at)
    }

    /// Temporary credentials, which without a session token are none.
    fn accept(
        &self,
        id: String,
        secret: String,
        token: String,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<Credentials, Error> {
        let bad = |why: &str| self.fail(Exit::Credentials, &format!("in the answer, {why}"));
        if token.is_empty() {
            return Err(bad("the session token is missing"));
        }
        Credentials::new(id, secret, Some(token), expires_at).map_err(|why| bad(&why))
    }

    async fn web_identity(&self, role_arn: &str, session_name: &str, token: &str) -> Result<Credentials, Error> {
        if token.is_empty() {
            return Err(self.fail(Exit::Credentials, "the token file is empty"));
        }
        let request = aws_sdk_sts::Client::new(&self.sdk_config(None))
            .assume_role_with_web_identity()
            .role_arn(role_arn)
            .role_session_name(session_name)
            .web_identity_token(token);
        match request.send().await {
            Ok(answer) => self.from_sts(answer.credentials),
            Err(error) => {
                let why = explain_sts(&error).replace(token, "…");
                Err(self.fail(exit_of(&error), &format!("could not assume {role_arn}: {why}")))
            }
        }
    }

    async fn assume(&self, role: &Role, with: &Credentials) -> Result<Credentials, Error> {
        let request = aws_sdk_sts::Client::new(&self.sdk_config(Some(with)))
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(&role.session_name)
            .set_external_id(role.external_id.clone())
            .set_duration_seconds(role.duration);
        match request.send().await {
            Ok(answer) => self.from_sts(answer.credentials),
            Err(error) => {
                let why = with.scrub(&explain_sts(&error));
                Err(self.fail(exit_of(&error), &format!("could not assume {}: {why}", role.arn)))
            }
        }
    }

    #[expect(clippy::wrong_self_convention, reason = "it takes what STS gave")]
    fn from_sts(&self, given: Option<StsCredentials>) -> Result<Credentials, Error> {
        let given = given.ok_or_else(|| self.fail(Exit::Credentials, "STS answered without credentials"))?;
        let expires_at = OffsetDateTime::from_unix_timestamp(given.expiration.secs()).ok();
        self.accept(given.access_key_id, given.secret_access_key, given.session_token, expires_at)
    }

    /// The SDK's settings, all of them given: it shall read neither environment nor files, which would count
    /// without being in the fingerprint.
    fn sdk_config(&self, credentials: Option<&Credentials>) -> SdkConfig {
        let services = &self.identity.services;
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(self.region.clone())
            .http_client(client(Reach::Services))
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .use_fips(services.use_fips)
            .use_dual_stack(services.use_dual_stack);
        config.set_endpoint_url(services.sts.clone());
        config.set_credentials_provider(credentials.map(|keys| SharedCredentialsProvider::new(to_sdk(keys))));
        config.build()
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

fn to_sdk(credentials: &Credentials) -> AwsCredentials {
    AwsCredentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose(),
        credentials.session_token.as_ref().map(|token| token.expose().clone()),
        credentials.expires_at.map(SystemTime::from),
        "rds-token",
    )
}

fn provider_config(reach: Reach, region: Region) -> ProviderConfig {
    ProviderConfig::without_region()
        .with_region(Some(region))
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
        .with_http_client(client(reach))
        .with_sleep_impl(TokioSleep::new())
}

fn exit_of(error: &(dyn StdError + 'static)) -> Exit {
    let network = |error: &(dyn StdError + 'static)| {
        error.downcast_ref::<ConnectorError>().is_some_and(|error| !error.is_user() && !error.is_other())
            || matches!(error.downcast_ref(), Some(CredentialsError::ProviderTimedOut(_)))
    };
    if causes(error).any(network) { Exit::Network } else { Exit::Credentials }
}

/// The chain of causes, but for the SDK's outermost error, which says next to nothing, and for those that
/// print a whole request: its headers hold secrets.
fn explain(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error).filter(|cause| !cause.is::<CredentialsError>() || cause.source().is_none()) {
        let text = cause.to_string();
        // Many wrappers repeat what they wrap.
        if !text.contains('{') && !parts.iter().any(|part| part.contains(&text)) {
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
    match (error.code(), error.message(), error.raw_response()) {
        (Some(code), Some(message), _) => format!("{code}: {message}"),
        (Some(code), None, _) => code.to_owned(),
        (None, _, Some(response)) => format!("STS answered with HTTP status {}", response.status()),
        _ => explain(error),
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
