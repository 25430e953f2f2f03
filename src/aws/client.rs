//! The client for requests to AWS: HTTP clients, SDK configuration, error messages and the check of the clock.

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
use super::profile_chain::ResolvedProfile;
use super::request::{CredentialRequest, SourceError};
use super::sdk_error::{is_retryable, is_transient};
use super::source::Source;
use crate::error::Error;
use crate::escape::quote_argument;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;
use crate::os::single_flight::{self, Outcome, follower_deadline};

/// Time limit for a connection to an AWS service.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Time limit for a connection to the container or EC2 endpoint, which this machine or its hypervisor serves.
const PLATFORM_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of rounds for a request that is throttled or fails in the service, and the pause between two rounds.
/// A round is all attempts of the SDK. All rounds together stay within the default time limit.
const ROUNDS: u32 = 3;
const ROUND_PAUSE: Duration = Duration::from_secs(2);
/// Maximum length of a reason in a message, in characters.
pub(super) const MAX_REASON: usize = 600;
/// The clock skew above which a warning is printed.
const NOTABLE_SKEW: time::Duration = time::Duration::seconds(60);
/// The clock skew above which the database rejects the token.
const MAX_SKEW: time::Duration = time::Duration::minutes(5);

pub(super) struct AwsClient<'a> {
    pub(super) request: &'a CredentialRequest<'a>,
    pub(super) region: Region,
    pub(super) services: HttpClient,
    /// The HTTP client for the container and EC2 endpoints.
    pub(super) platform: HttpClient,
    /// The last response of an AWS service. Responses of the container and EC2 endpoints are not recorded, because
    /// these endpoints use this machine's clock.
    log: ResponseLog,
}

impl<'a> AwsClient<'a> {
    pub(super) fn new(request: &'a CredentialRequest<'a>) -> Self {
        let identity = request.identity;
        let region = identity.endpoints.region.clone().unwrap_or_else(|| Region::new(request.region.to_owned()));
        let (log, roots) = (ResponseLog::default(), &identity.endpoints.roots);
        let services = HttpClient::new(PlainHttp::Loopback, roots, CONNECT_TIMEOUT, log.clone());
        let platform = HttpClient::new(PlainHttp::Platform, roots, PLATFORM_CONNECT_TIMEOUT, ResponseLog::default());
        Self { request, region, services, platform, log }
    }

    /// Joins the single flight that refreshes `login`. Waits in a thread, so that signals are still handled. `None` if
    /// locking is off.
    pub(super) async fn join_refresh<T: Send + 'static>(
        &self,
        login: &[u8],
        look: impl Fn() -> Option<T> + Send + 'static,
    ) -> Option<Outcome<T>> {
        let CredentialRequest { env, deadline, locks, report, .. } = self.request;
        let lock = (*locks)?(&Fingerprint::default().field("login").field(login).hex())?;
        let (env, report, give_up) = (Env::clone(env), **report, follower_deadline(deadline));
        let wait = move || single_flight::join(&lock, &env, give_up, |message| report.progress(message), look);
        tokio::task::spawn_blocking(wait).await.ok()
    }

    /// Returns temporary credentials from a response. `expiry` is in seconds since 1970. Fails if the credentials can't
    /// sign (exit 3).
    pub(super) fn temporary_keys(
        &self,
        id: String,
        secret: String,
        session_token: String,
        expiry: Option<i64>,
    ) -> Result<AccessKeys, Error> {
        let unusable = |why: &str| self.refused(&format!("in the response, {why}"));
        let expires_at = expiry.map(OffsetDateTime::from_unix_timestamp).transpose();
        let expires_at = expires_at.map_err(|_| unusable("the expiration is not a time"))?;
        if session_token.is_empty() {
            return Err(unusable("the session token is missing"));
        }
        AccessKeys::new(id, secret, Some(session_token), expires_at).map_err(|why| unusable(&why))
    }

    /// Returns the SDK's configuration for a service. It sets every option, so that the SDK does not read settings that
    /// the cache key does not cover from the environment or from files.
    pub(super) fn sdk_config(&self, service: &str, region: &Region, credentials: Option<&AccessKeys>) -> SdkConfig {
        let endpoints = &self.request.identity.endpoints;
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(region.clone())
            .http_client(self.services.to_sdk())
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .retry_config(RetryConfig::standard())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
            .use_fips(endpoints.use_fips)
            .use_dual_stack(endpoints.use_dual_stack);
        config.set_endpoint_url(endpoints.endpoint(service).map(str::to_owned));
        config.set_credentials_provider(credentials.map(|keys| {
            let (id, secret) = (&keys.access_key_id, keys.secret_access_key.expose());
            let session_token = keys.session_token.as_ref().map(|token| token.expose().clone());
            let expires_at = keys.expires_at.map(SystemTime::from);
            SharedCredentialsProvider::new(SdkCredentials::new(id, secret, session_token, expires_at, "rds-token"))
        }));
        config.build()
    }

    /// Sends a request, and repeats it if AWS throttles it or fails to serve it.
    pub(super) async fn retry<T, E: ProvideErrorMetadata>(
        &self,
        send: impl AsyncFn() -> Result<T, SdkError<E>>,
    ) -> Result<T, SdkError<E>> {
        let mut round = 1;
        loop {
            match send().await {
                Err(error) if round < ROUNDS && is_transient(&error) => round += 1,
                result => return result,
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }

    pub(super) fn source_error(&self, error: SourceError) -> Error {
        let source = self.request.identity.describe();
        let shorten = |why: String| why.trim().chars().take(MAX_REASON).collect::<String>();
        match error {
            SourceError::Refused(why) => Error::credentials(format!("AWS credentials: {source}: {}", shorten(why))),
            SourceError::Unreachable(why) => {
                let host = self.log.last().authority.clone();
                let server = host.map(|host| format!(" (from {host})")).unwrap_or_default();
                let remedy = "try again later, or check the network and the proxy settings";
                Error::network(format!("AWS credentials: {source}: {}{server}; {remedy}", shorten(why)))
            }
        }
    }

    /// Returns the error for a source that responded without usable credentials.
    pub(super) fn refused(&self, why: &str) -> Error {
        self.source_error(SourceError::Refused(why.to_owned()))
    }

    /// Returns the error for a login that the user must repeat.
    pub(super) fn login_error(&self, why: &str) -> Error {
        let ResolvedProfile { source, profile, .. } = &self.request.identity.chain;
        let command = if matches!(source, Source::Sso(_)) { "aws sso login" } else { "aws login" };
        let profile = quote_argument(profile.as_deref().unwrap_or("default"));
        self.refused(&format!("{why}; run `{command} --profile {profile}`"))
    }

    pub(super) fn timeout_error(&self, description: &str) -> Error {
        let last = self.log.last();
        let why = match (last.status.filter(|status| is_retryable(*status)), &last.authority) {
            (Some(status), Some(host)) => format!("timed out; the last response of {host} had HTTP status {status}"),
            _ => "no response in time".to_owned(),
        };
        Error::network(format!(
            "AWS credentials: could not fetch credentials from {description}: {why}; try again, or use a longer \
             --timeout"
        ))
        .process_local()
    }

    /// Compares this machine's clock with the clock of AWS. Fails if the database would reject the token because of
    /// its date (exit 1).
    pub(super) fn check_clock(&self) -> Result<(), Error> {
        let Some(skew) = self.log.skew(self.request.env.now().wall) else { return Ok(()) };
        let direction = if skew.is_negative() { "behind" } else { "ahead of" };
        let deviation = format!("clock: this machine is {}s {direction} AWS", skew.whole_seconds().abs());
        let remedy = "set the clock (on Linux: `sudo timedatectl set-ntp true`)";
        if skew.abs() > MAX_SKEW {
            let message = format!("{deviation}, so the database would reject the token; {remedy}");
            return Err(Error::other(message).about("clock"));
        }
        if skew.abs() > NOTABLE_SKEW {
            let report = self.request.report;
            report.warn(&format!("{deviation}: above 5 minutes, the database rejects the token; {remedy}"));
        }
        Ok(())
    }
}
