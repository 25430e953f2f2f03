//! Fetches credentials from AWS services and external programs (async, because the SDK is).

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use aws_config::login::LoginCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use time::OffsetDateTime;

use super::aws_error::{exit_of, explain, is_retryable, is_transient};
use super::http::{HttpClient, PlainHttp, ResponseLog};
use super::identity::{Identity, NONE_FOUND};
use super::metadata::{self, ImdsError};
use super::mfa::Code;
use super::profile::read_text;
use super::services::Services;
use super::session::Sessions;
use super::source::Source;
use super::{Credentials, Failure, Request, container, process, quote_argument, sso};
use crate::error::{Error, Exit};
use crate::fingerprint::Fingerprint;
use crate::flight::{Boarding, board, give_up};
use crate::host::Host;

/// When a progress message is due.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);
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
/// How far a clock may be off before it is told, and before it is too far for a token to be taken.
const NOTABLE_SKEW: time::Duration = time::Duration::seconds(60);
const MAX_SKEW: time::Duration = time::Duration::minutes(5);

/// Fetches the credentials of `request`, starting from the latest usable one of `sessions`, and stores each
/// session that is started on the way.
///
/// # Errors
/// As [`super::obtain`].
pub(super) fn obtain(request: &Request, sessions: &Sessions) -> Result<Credentials, Error> {
    let begin = sessions.furthest();
    let mut codes = codes(request, begin.as_ref().map_or(0, |(count, _)| *count))?;
    let prompts = codes.iter().any(|code| matches!(code, Some(Code::Prompt(_))));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::other(format!("could not start fetching credentials: {error}")))?;
    let description = request.identity.describe();
    let asking = Asking::new(request);
    let work = async {
        let work = asking.chain(sessions, begin, &mut codes);
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            // No progress message while the user is being prompted.
            () = tokio::time::sleep(PROGRESS_AFTER), if !prompts => {
                request.report.progress(&format!("waiting for credentials from {description}"));
            }
        }
        work.await
    };
    let has_mfa_process = request.identity.mfa_devices().any(|mfa| mfa.process.is_some());
    let has_process = has_mfa_process || matches!(request.identity.source, Source::Process(_));
    let slow = if has_mfa_process { format!("{description}, or its mfa_process,") } else { description.clone() };
    let answer = runtime.block_on(async {
        tokio::select! {
            answer = request.deadline.within(work) => answer.unwrap_or_else(|| Err(asking.late(&slow))),
            // A program that was started must be ended first. Without one, the signal ends this process at once.
            (name, exit) = process::signalled(), if has_process => {
                Err(Error::new(exit, format!("ended by {name} while waiting for {description}")).personal())
            }
        }
    });
    // A name lookup or a read that still runs in a thread must not delay the exit.
    runtime.shutdown_background();
    check_clock(&asking.log, request)?;
    answer
}

/// Where the codes come from: for each step, the source first and then the roles. Steps before `begin` need none.
fn codes(request: &Request, begin: usize) -> Result<Vec<Option<Code>>, Error> {
    let mut given = request.mfa_code;
    let Identity { source, roles, .. } = request.identity;
    let devices = std::iter::once(source.mfa()).chain(roles.iter().map(|role| role.mfa.as_ref()));
    let mut codes = Vec::new();
    for (step, device) in devices.enumerate() {
        // A code can be used only once.
        let code = device.filter(|_| step >= begin).map(|mfa| Code::find(mfa, given.take(), request));
        codes.push(code.transpose()?);
    }
    Ok(codes)
}

/// Compares this machine's clock with AWS's, since the database refuses a token with a wrong date.
fn check_clock(log: &ResponseLog, request: &Request) -> Result<(), Error> {
    let Some(skew) = log.skew(request.host.now().wall) else { return Ok(()) };
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    let off = format!("clock: this machine is {}s {direction} AWS", skew.whole_seconds().abs());
    let remedy = "set the clock (on Linux: `sudo timedatectl set-ntp true`)";
    if skew.abs() > MAX_SKEW {
        return Err(Error::other(format!("{off}, so the database would refuse the token; {remedy}")));
    }
    if skew.abs() > NOTABLE_SKEW {
        request.report.warn(&format!("{off}, and the database refuses tokens from 5 minutes on; {remedy}"));
    }
    Ok(())
}

/// What every request of one identity shares.
pub(super) struct Asking<'a> {
    pub(super) request: &'a Request<'a>,
    /// The region of AWS's own services.
    pub(super) region: Region,
    services: HttpClient,
    platform: HttpClient,
    /// The last answer of AWS's own services; the clock of the container endpoint is this machine's.
    log: ResponseLog,
}

impl<'a> Asking<'a> {
    fn new(request: &'a Request<'a>) -> Self {
        let identity = request.identity;
        let region = identity.services.region.clone().unwrap_or_else(|| Region::new(request.region.to_owned()));
        let (log, roots) = (ResponseLog::default(), &identity.services.roots);
        let services = HttpClient::new(PlainHttp::Loopback, roots.clone(), CONNECT, log.clone());
        let platform = HttpClient::new(PlainHttp::Platform, roots.clone(), PLATFORM_CONNECT, ResponseLog::default());
        Self { request, region, services, platform, log }
    }

    /// The first source's credentials, and then each role's in turn. What `begin`, a session, has already
    /// done is skipped.
    async fn chain(
        &self,
        sessions: &Sessions<'_>,
        begin: Option<(usize, Credentials)>,
        codes: &mut [Option<Code>],
    ) -> Result<Credentials, Error> {
        let (done, mut credentials) = match begin {
            Some((count, credentials)) => (count - 1, credentials),
            None => {
                let credentials = self.first(codes[0].take()).await?;
                let account = match &self.request.identity.source {
                    Source::Sso(sso) => Some(sso.account_id.as_str()),
                    Source::WebIdentity { role_arn, .. } => account_of(role_arn),
                    _ => None,
                };
                sessions.store(1, &credentials, account);
                (0, credentials)
            }
        };
        for (index, role) in self.request.identity.roles.iter().enumerate().skip(done) {
            credentials = self.assume(role, codes[index + 1].take(), &credentials).await?;
            sessions.store(index + 2, &credentials, account_of(&role.arn));
        }
        Ok(credentials)
    }

    async fn first(&self, code: Option<Code>) -> Result<Credentials, Error> {
        let Request { host, deadline, .. } = self.request;
        match &self.request.identity.source {
            Source::Keys(keys) => Ok(keys.clone()),
            Source::UserSession(session) => self.user_session(session, code).await,
            Source::Process(command) => process::credentials(command, self.request)
                .await
                .map_err(|error| self.fail(Exit::Credentials, &error.why).quoting(error.said)),
            Source::WebIdentity { role_arn, session_name, token_file } => {
                let token = read_text(token_file.as_ref(), deadline.at()).map_err(|error| {
                    let exit = if error.kind() == ErrorKind::TimedOut { Exit::Network } else { Exit::Credentials };
                    self.fail(exit, &format!("could not read the token file {token_file}: {error}"))
                })?;
                self.web_identity(role_arn, session_name.as_deref(), token.trim()).await
            }
            Source::Sso(sso) => sso::credentials(self, sso).await,
            Source::Login(session) => {
                // The refresh token may be single-use, so one process refreshes at a time. Later ones find the
                // new keys on disk.
                let _turn = self.board(session.as_bytes(), || None::<()>).await;
                let config = self.provider_config();
                self.provided(LoginCredentialsProvider::builder(session).configure(&config).build()).await
            }
            Source::Container => {
                container::fetch(&self.platform, host, deadline.at()).await.map_err(|failure| match failure {
                    Failure::Refused(why) => self.fail(Exit::Credentials, &why),
                    Failure::Unreachable(why) => self.fail(Exit::Network, &why),
                })
            }
            Source::InstanceMetadata => {
                let Services { metadata_endpoint, metadata_default, .. } = &self.request.identity.services;
                let fetched = metadata::fetch(&self.platform, metadata_endpoint.as_deref(), metadata_default).await;
                fetched.map_err(|error| self.fail_metadata(error))
            }
        }
    }

    /// Serializes refreshes of the login `what`. Waits in a thread, so that signals are still handled. `None` if
    /// locking is off.
    pub(super) async fn board<T: Send + 'static>(
        &self,
        what: &[u8],
        look: impl Fn() -> Option<T> + Send + 'static,
    ) -> Option<Boarding<T>> {
        let Request { host, deadline, locks, report, .. } = self.request;
        let lock = (*locks)?(&Fingerprint::default().field("login").field(what).hex())?;
        let (host, report, give_up) = (Host::clone(host), **report, give_up(deadline.at()));
        let wait = move || board(&lock, &host, give_up, |message| report.progress(message), look);
        tokio::task::spawn_blocking(wait).await.ok()
    }

    /// The credentials of the console session.
    async fn provided(&self, provider: impl ProvideCredentials) -> Result<Credentials, Error> {
        let given = provider.provide_credentials().await.map_err(|error| match exit_of(&error) {
            Exit::Credentials => self.fail_login(&explain(&error)),
            exit => self.fail(exit, &explain(&error)),
        })?;
        let seconds = |end: SystemTime| end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let expires_at = given.expiry().map(|end| self.time(i64::try_from(seconds(end)).unwrap_or(i64::MAX)));
        let expires_at = expires_at.transpose()?;
        let (id, secret) = (given.access_key_id().to_owned(), given.secret_access_key().to_owned());
        self.accept(id, secret, given.session_token().unwrap_or_default().to_owned(), expires_at)
    }

    /// An expiration, in seconds since 1970: one beyond the calendar would count as none.
    pub(super) fn time(&self, seconds: i64) -> Result<OffsetDateTime, Error> {
        let bad = |_| self.fail(Exit::Credentials, "in the answer, the expiration is no time");
        OffsetDateTime::from_unix_timestamp(seconds).map_err(bad)
    }

    /// Temporary credentials, which without a session token are none.
    pub(super) fn accept(
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

    /// The SDK's settings for a service. All of them are given, so that the SDK reads neither the environment nor
    /// files, which would not be in the cache key.
    pub(super) fn sdk_config(&self, service: &str, region: &Region, credentials: Option<&Credentials>) -> SdkConfig {
        let services = &self.request.identity.services;
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(region.clone())
            .http_client(self.services.to_sdk())
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .use_fips(services.use_fips)
            .use_dual_stack(services.use_dual_stack);
        config.set_endpoint_url(services.endpoint(service).map(str::to_owned));
        config.set_credentials_provider(credentials.map(|keys| SharedCredentialsProvider::new(to_sdk(keys))));
        config.build()
    }

    fn provider_config(&self) -> ProviderConfig {
        let services = &self.request.identity.services;
        ProviderConfig::without_region()
            .with_region(Some(self.region.clone()))
            .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
            .with_http_client(self.services.to_sdk())
            .with_sleep_impl(TokioSleep::new())
            .with_use_fips(Some(services.use_fips))
            .with_use_dual_stack(Some(services.use_dual_stack))
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

    /// The failure of the source: what failed, why, and the remedy.
    pub(super) fn fail(&self, exit: Exit, why: &str) -> Error {
        let why: String = why.trim().chars().take(MAX_QUOTE).collect();
        let remedy = match exit {
            Exit::Network => {
                let asked = self.log.authority().map(|host| format!(" (from {host})")).unwrap_or_default();
                format!("{asked}; try again later, or check the network and the proxy settings")
            }
            _ => String::new(),
        };
        Error::new(exit, format!("AWS credentials: {}: {why}{remedy}", self.request.identity.describe()))
    }

    /// The failure of the EC2 metadata service, which is the last source unless a profile names it.
    fn fail_metadata(&self, error: ImdsError) -> Error {
        let why = match error {
            ImdsError::NotFound => "it does not answer, or the instance has no role".to_owned(),
            ImdsError::Failed(why) => why,
        };
        match &self.request.identity.profile {
            Some(_) => self.fail(Exit::Credentials, &format!("{why}; check the instance's role or credential_source")),
            None => Error::credentials(format!("AWS credentials: {NONE_FOUND} (the EC2 metadata service: {why})")),
        }
    }

    /// The failure of a login, which the user has to start again.
    pub(super) fn fail_login(&self, why: &str) -> Error {
        let command = match &self.request.identity.source {
            Source::Sso(_) => "aws sso login",
            _ => "aws login",
        };
        let profile = quote_argument(self.request.identity.profile.as_deref().unwrap_or("default"));
        self.fail(Exit::Credentials, &format!("{why}; run `{command} --profile {profile}`"))
    }

    /// The failure when time is out.
    fn late(&self, description: &str) -> Error {
        let last = self.log.status().filter(|status| is_retryable(*status));
        let why = match (last, self.log.authority()) {
            (Some(status), Some(host)) => format!("timed out; {host} last answered with HTTP status {status}"),
            _ => "no answer in time".to_owned(),
        };
        let what = format!("could not fetch them from {description}: {why}");
        Error::network(format!("AWS credentials: {what}; try again, or use a longer --timeout")).personal()
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

/// The account in a role's ARN.
fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}
