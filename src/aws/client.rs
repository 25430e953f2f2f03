//! Requests to AWS: the HTTP clients, the SDK's configuration, and the errors of a source.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as SdkCredentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use time::OffsetDateTime;

use super::http::{HttpClient, PlainHttp, ResponseLog};
use super::keys::AccessKeys;
use super::request::{CredentialRequest, SourceError};
use super::sdk_error::{is_retryable, is_transient};
use super::source::Source;
use crate::error::Error;
use crate::escape::quote_argument;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;
use crate::os::single_flight::{self, Outcome, follower_deadline};

/// How long a connection to one of AWS's services may take.
const CONNECT: Duration = Duration::from_secs(4);
/// Time limit for a connection to the container or EC2 endpoint, which are on the same machine.
const PLATFORM_CONNECT: Duration = Duration::from_secs(1);
/// How many rounds of the SDK's attempts are made for a request that is throttled or fails in the service, and the
/// pause between two rounds. Together they stay within the default time limit.
const ROUNDS: u32 = 3;
const ROUND_PAUSE: Duration = Duration::from_secs(2);
/// What is quoted of an answer, in characters.
const MAX_QUOTE: usize = 600;
/// Clock skew from which a warning is printed, and from which a database refuses the token.
const NOTABLE_SKEW: time::Duration = time::Duration::seconds(60);
const MAX_SKEW: time::Duration = time::Duration::minutes(5);

/// Sends the requests of one identity.
pub(super) struct AwsClient<'a> {
    pub(super) request: &'a CredentialRequest<'a>,
    /// The region of AWS's own services.
    pub(super) region: Region,
    pub(super) services: HttpClient,
    /// For the container and EC2 endpoints.
    pub(super) platform: HttpClient,
    /// The last answer of AWS's own services; the clock of the container endpoint is this machine's.
    log: ResponseLog,
}

impl<'a> AwsClient<'a> {
    pub(super) fn new(request: &'a CredentialRequest<'a>) -> Self {
        let identity = request.identity;
        let region = identity.endpoints.region.clone().unwrap_or_else(|| Region::new(request.region.to_owned()));
        let (log, roots) = (ResponseLog::default(), &identity.endpoints.roots);
        let services = HttpClient::new(PlainHttp::Loopback, roots.clone(), CONNECT, log.clone());
        let platform = HttpClient::new(PlainHttp::Platform, roots.clone(), PLATFORM_CONNECT, ResponseLog::default());
        Self { request, region, services, platform, log }
    }

    /// Serializes refreshes of the login `what`. Waits in a thread, so that signals are still handled. `None` if
    /// locking is off.
    pub(super) async fn join_refresh<T: Send + 'static>(
        &self,
        what: &[u8],
        look: impl Fn() -> Option<T> + Send + 'static,
    ) -> Option<Outcome<T>> {
        let CredentialRequest { env, deadline, locks, report, .. } = self.request;
        let lock = (*locks)?(&Fingerprint::default().field("login").field(what).hex())?;
        let (env, report, give_up) = (Env::clone(env), **report, follower_deadline(deadline));
        let wait = move || single_flight::join(&lock, &env, give_up, |message| report.progress(message), look);
        tokio::task::spawn_blocking(wait).await.ok()
    }

    /// Converts an expiry, in seconds since 1970.
    ///
    /// # Errors
    /// If it is not a date (exit 3).
    pub(super) fn expiry(&self, seconds: i64) -> Result<OffsetDateTime, Error> {
        let bad = |_| self.refused("in the answer, the expiration is not a time");
        OffsetDateTime::from_unix_timestamp(seconds).map_err(bad)
    }

    /// Checks temporary credentials, which have a session token.
    ///
    /// # Errors
    /// If they can't sign (exit 3).
    pub(super) fn accept(
        &self,
        id: String,
        secret: String,
        token: String,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<AccessKeys, Error> {
        let bad = |why: &str| self.refused(&format!("in the answer, {why}"));
        if token.is_empty() {
            return Err(bad("the session token is missing"));
        }
        AccessKeys::new(id, secret, Some(token), expires_at).map_err(|why| bad(&why))
    }

    /// The SDK's settings for a service. All of them are given, so that the SDK reads neither the environment nor
    /// files, which would not be in the cache key.
    pub(super) fn sdk_config(&self, service: &str, region: &Region, credentials: Option<&AccessKeys>) -> SdkConfig {
        let endpoints = &self.request.identity.endpoints;
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(region.clone())
            .http_client(self.services.to_sdk())
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .use_fips(endpoints.use_fips)
            .use_dual_stack(endpoints.use_dual_stack);
        config.set_endpoint_url(endpoints.endpoint(service).map(str::to_owned));
        config.set_credentials_provider(credentials.map(|keys| SharedCredentialsProvider::new(to_sdk(keys))));
        config.build()
    }

    /// Sends a request, and repeats it while AWS throttles it or fails to serve it.
    pub(super) async fn retry<T, E>(&self, send: impl AsyncFn() -> Result<T, SdkError<E>>) -> Result<T, SdkError<E>>
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let mut round = 1;
        loop {
            match send().await {
                Err(error) if round < ROUNDS && is_transient(&error) => round += 1,
                answer => return answer,
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }

    /// Returns the error for the source: what failed, why, and the remedy.
    pub(super) fn error(&self, error: SourceError) -> Error {
        let source = self.request.identity.describe();
        let (why, remedy, new): (_, _, fn(String) -> Error) = match error {
            SourceError::Refused(why) => (why, String::new(), Error::credentials),
            SourceError::Unreachable(why) => {
                let server = self.log.authority().map(|host| format!(" (from {host})")).unwrap_or_default();
                let remedy = format!("{server}; try again later, or check the network and the proxy settings");
                (why, remedy, Error::network)
            }
        };
        let why: String = why.trim().chars().take(MAX_QUOTE).collect();
        new(format!("AWS credentials: {source}: {why}{remedy}"))
    }

    /// Returns the error for a source that gave no usable credentials.
    pub(super) fn refused(&self, why: &str) -> Error {
        self.error(SourceError::Refused(why.to_owned()))
    }

    /// Returns the error for a login that the user must repeat.
    pub(super) fn fail_login(&self, why: &str) -> Error {
        let command = match &self.request.identity.source {
            Source::Sso(_) => "aws sso login",
            _ => "aws login",
        };
        let profile = quote_argument(self.request.identity.profile.as_deref().unwrap_or("default"));
        self.refused(&format!("{why}; run `{command} --profile {profile}`"))
    }

    /// Returns the error for a request that did not finish in time.
    pub(super) fn timed_out(&self, description: &str) -> Error {
        let last = self.log.status().filter(|status| is_retryable(*status));
        let why = match (last, self.log.authority()) {
            (Some(status), Some(host)) => format!("timed out; {host} last answered with HTTP status {status}"),
            _ => "no answer in time".to_owned(),
        };
        let what = format!("could not fetch them from {description}: {why}");
        Error::network(format!("AWS credentials: {what}; try again, or use a longer --timeout")).process_local()
    }

    /// Compares this machine's clock with AWS's, because the database refuses a token with a wrong date.
    ///
    /// # Errors
    /// If the database would refuse the token (exit 1).
    pub(super) fn check_clock(&self) -> Result<(), Error> {
        let Some(skew) = self.log.skew(self.request.env.now().wall) else { return Ok(()) };
        let direction = if skew.is_negative() { "behind" } else { "ahead of" };
        let off = format!("clock: this machine is {}s {direction} AWS", skew.whole_seconds().abs());
        let remedy = "set the clock (on Linux: `sudo timedatectl set-ntp true`)";
        if skew.abs() > MAX_SKEW {
            return Err(Error::other(format!("{off}, so the database would refuse the token; {remedy}")));
        }
        if skew.abs() > NOTABLE_SKEW {
            self.request.report.warn(&format!("{off}, and the database refuses tokens from 5 minutes on; {remedy}"));
        }
        Ok(())
    }
}

fn to_sdk(credentials: &AccessKeys) -> SdkCredentials {
    SdkCredentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose(),
        credentials.session_token.as_ref().map(|token| token.expose().clone()),
        credentials.expires_at.map(SystemTime::from),
        "rds-token",
    )
}
