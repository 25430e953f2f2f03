//! Credentials that somebody has to be asked for, in async code, as the SDK wants it.

use std::error::Error as StdError;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::client::Client as ImdsClient;
use aws_config::login::LoginCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::result::ConnectorError;
use time::OffsetDateTime;

use super::http::{Asked, Reach, client};
use super::identity::{Identity, NONE_FOUND};
use super::metadata::{self, Absent};
use super::mfa::Code;
use super::profile::read_text;
use super::session::Sessions;
use super::source::{Role, Source};
use super::{Credentials, Request, process, sso};
use crate::error::{Error, Exit};
use crate::fingerprint::Fingerprint;
use crate::flight::{Boarding, board, give_up};

/// After this long a person who waits is told for what.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a connection to one of AWS's services may take.
const CONNECT: Duration = Duration::from_secs(4);
/// The metadata service is on the same machine: one that doesn't answer in this time isn't there.
const METADATA_CONNECT: Duration = Duration::from_secs(1);
/// What is quoted of an answer, in characters.
const MAX_QUOTE: usize = 600;
/// More than the token for a container's endpoint has, in bytes.
const MAX_TOKEN_FILE: u64 = 64 << 10;
/// How far a clock may be off before it is told, and before it is too far for a token to be taken.
const NOTABLE_SKEW: time::Duration = time::Duration::seconds(60);
const MAX_SKEW: time::Duration = time::Duration::minutes(5);

/// Gets the credentials of `request`, from the furthest of `sessions` on, and hands over each session that is
/// begun on the way.
///
/// # Errors
/// As [`super::obtain`].
pub(super) fn obtain(request: &Request, sessions: &Sessions) -> Result<Credentials, Error> {
    let begin = sessions.furthest();
    let mut codes = codes(request, begin.as_ref().map_or(0, |(count, _)| count - 1))?;
    let asks_user = codes.iter().any(|code| matches!(code, Some(Code::Prompt(_))));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::other(format!("could not start asking for credentials: {error}")))?;
    let description = request.identity.describe();
    let asking = Asking::new(request);
    let work = async {
        let work = asking.chain(sessions, begin, &mut codes);
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            // Who is asked for a code sees that, and nothing else in between.
            () = tokio::time::sleep(PATIENCE), if !asks_user => {
                request.report.progress(&format!("waiting for credentials from {description}"));
            }
        }
        work.await
    };
    let has_mfa_process = codes_run(&request.identity.roles);
    let has_process = has_mfa_process || matches!(request.identity.source, Source::Process(_));
    let slow = if has_mfa_process { format!("{description}, or its mfa_process,") } else { description.clone() };
    let answer = runtime.block_on(async {
        tokio::select! {
            answer = tokio::time::timeout_at(request.deadline.into(), work) => {
                answer.unwrap_or_else(|_| Err(late(&slow, asks_user)))
            }
            // A program that was started has to be ended first; without one, a signal ends us as it does others.
            (name, exit) = process::signalled(), if has_process => {
                Err(Error::new(exit, format!("ended by {name} while waiting for {description}")).personal())
            }
        }
    });
    if asks_user && answer.as_ref().is_err_and(|error| error.exit() == Exit::Network) {
        // What is said now begins a line, and doesn't follow the prompt.
        let _ = request.host.terminal().map(|mut terminal| terminal.output.write_all(b"\n"));
    }
    // A name lookup or a read that still runs in a thread must not hold us up.
    runtime.shutdown_background();
    check_clock(&asking.asked, request)?;
    answer
}

/// Whether a program may be run for a code.
fn codes_run(roles: &[Role]) -> bool {
    roles.iter().any(|role| role.mfa.as_ref().is_some_and(|mfa| mfa.process.is_some()))
}

/// Where the codes come from that the roles from `begin` on want.
fn codes(request: &Request, begin: usize) -> Result<Vec<Option<Code>>, Error> {
    let mut given = request.mfa_code;
    let Identity { roles, .. } = request.identity;
    let mut codes = Vec::new();
    for (index, role) in roles.iter().enumerate() {
        let wanted = role.mfa.as_ref().filter(|_| index >= begin);
        // A code is good for once.
        let code = wanted.map(|mfa| Code::find(mfa, given.take(), request));
        codes.push(code.transpose()?);
    }
    Ok(codes)
}

/// A token is dated, and the database's clock is AWS's.
fn check_clock(asked: &Asked, request: &Request) -> Result<(), Error> {
    let Some(skew) = asked.skew(request.host.now().wall) else { return Ok(()) };
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    let told = format!("clock: this machine's is {}s {direction} AWS's", skew.whole_seconds().abs());
    if skew.abs() > MAX_SKEW {
        return Err(Error::other(format!(
            "{told}, which takes no token so dated; set it, by `timedatectl set-ntp true`"
        )));
    }
    if skew.abs() > NOTABLE_SKEW {
        request.report.warn(&format!("{told}; set it: past 5 minutes no token is taken"));
    }
    Ok(())
}

fn late(description: &str, asks_user: bool) -> Error {
    let why = match asks_user {
        true => "wants an MFA code, and none came in time; type it sooner, or allow more with --timeout",
        false => "did not answer in time; try again, or allow more with --timeout",
    };
    Error::network(format!("AWS credentials: {description} {why}")).personal()
}

/// What every request of one identity shares.
pub(super) struct Asking<'a> {
    pub(super) request: &'a Request<'a>,
    /// The region of AWS's own services.
    pub(super) region: Region,
    asked: Asked,
}

impl<'a> Asking<'a> {
    fn new(request: &'a Request<'a>) -> Self {
        let identity = request.identity;
        let region = identity.services.region.clone().unwrap_or_else(|| Region::new(request.region.to_owned()));
        Self { request, region, asked: Asked::default() }
    }

    /// The first source's credentials, and then each role's in turn, but for what a session is there for.
    async fn chain(
        &self,
        sessions: &Sessions<'_>,
        begin: Option<(usize, Credentials)>,
        codes: &mut [Option<Code>],
    ) -> Result<Credentials, Error> {
        let (done, mut credentials) = match begin {
            Some((count, credentials)) => (count - 1, credentials),
            None => {
                let credentials = self.first().await?;
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
            credentials = self.assume(role, codes[index].take(), &credentials).await?;
            sessions.store(index + 2, &credentials, account_of(&role.arn));
        }
        Ok(credentials)
    }

    async fn first(&self) -> Result<Credentials, Error> {
        let Request { host, deadline, .. } = self.request;
        match &self.request.identity.source {
            Source::Keys(keys) => Ok(keys.clone()),
            Source::Process(command) => process::credentials(command, host.is_foreground())
                .await
                .map_err(|why| self.fail(Exit::Credentials, &why)),
            Source::WebIdentity { role_arn, session_name, token_file } => {
                let token = read_text(token_file.as_ref(), *deadline).map_err(|error| {
                    self.fail(Exit::Credentials, &format!("could not read the token file {token_file}: {error}"))
                })?;
                self.web_identity(role_arn, session_name.as_deref(), token.trim()).await
            }
            Source::Sso(sso) => sso::credentials(self, sso).await,
            Source::Login(session) => {
                // Keys that end are traded for new ones by what may be good for once: one after the other. Who
                // comes later finds what the first has got.
                let _turn = self.board(session.as_bytes(), || None::<()>).await;
                let config = self.provider_config(Reach::Services);
                let config = config.with_use_fips(Some(self.request.identity.services.use_fips));
                let config = config.with_use_dual_stack(Some(self.request.identity.services.use_dual_stack));
                self.provided(LoginCredentialsProvider::builder(session).configure(&config).build()).await
            }
            Source::Container => {
                self.check_token_file()?;
                let config = self.provider_config(Reach::Platform);
                self.provided(EcsCredentialsProvider::builder().configure(&config).build()).await
            }
            Source::InstanceMetadata => {
                let config = self.provider_config(Reach::Platform);
                let client = ImdsClient::builder().configure(&config).connect_timeout(METADATA_CONNECT).build();
                metadata::credentials(&client, metadata::patience(host)).await.map_err(|absent| match absent {
                    Absent::NotThere => Error::credentials(format!("AWS credentials: {NONE_FOUND}")),
                    Absent::Failed(why) => {
                        let why = format!("the EC2 metadata service: {why}");
                        Error::credentials(format!("AWS credentials: {NONE_FOUND} ({why})"))
                    }
                })
            }
        }
    }

    /// Joins those that renew the login that `what` tells, in a thread, so that a signal ends the waiting. None
    /// for who waits for nobody.
    pub(super) async fn board<T: Send + 'static>(
        &self,
        what: &[u8],
        look: impl Fn() -> Option<T> + Send + 'static,
    ) -> Option<Boarding<T>> {
        let Request { host, deadline, locks, report, .. } = *self.request;
        let lock = locks?(&Fingerprint::default().field("login").field(what).hex())?;
        let (host, report) = (host.clone(), *report);
        let wait = move || board(&lock, &host, give_up(deadline), |message| report.progress(message), look);
        tokio::task::spawn_blocking(wait).await.ok()
    }

    /// The SDK reads this file without a limit in time or size.
    fn check_token_file(&self) -> Result<(), Error> {
        let Some(path) = self.request.host.path_var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") else { return Ok(()) };
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_TOKEN_FILE => Ok(()),
            Ok(_) => Err(self.fail(Exit::Credentials, &format!("{} is no file of a token", path.display()))),
            Err(error) => Err(self.fail(Exit::Credentials, &format!("could not read {}: {error}", path.display()))),
        }
    }

    async fn provided(&self, provider: impl ProvideCredentials) -> Result<Credentials, Error> {
        let given =
            provider.provide_credentials().await.map_err(|error| self.fail(exit_of(&error), &explain(&error)))?;
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

    /// The SDK's settings for a service, all of them given: it shall read neither environment nor files, which
    /// would count without being in the fingerprint.
    pub(super) fn sdk_config(&self, service: &str, region: &Region, credentials: Option<&Credentials>) -> SdkConfig {
        let services = &self.request.identity.services;
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(region.clone())
            .http_client(client(Reach::Services, &self.asked, services.ca_bundle.as_deref()))
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

    fn provider_config(&self, reach: Reach) -> ProviderConfig {
        // Only AWS's own services are asked what time it is.
        let asked = if reach == Reach::Services { self.asked.clone() } else { Asked::default() };
        let ca_bundle = self.request.identity.services.ca_bundle.as_deref();
        ProviderConfig::without_region()
            .with_region(Some(self.region.clone()))
            .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
            .with_http_client(client(reach, &asked, ca_bundle))
            .with_sleep_impl(TokioSleep::new())
    }

    /// One line: which source failed, why, and what to do about it.
    pub(super) fn fail(&self, exit: Exit, why: &str) -> Error {
        let why: String = why.trim().chars().take(MAX_QUOTE).collect();
        let profile = self.request.identity.profile.as_deref().unwrap_or("default");
        let remedy = match (&self.request.identity.source, exit) {
            (_, Exit::Network) => {
                let asked = self.asked.authority().map(|host| format!(" (asked: {host})")).unwrap_or_default();
                format!("{asked}; check the network and the proxy settings")
            }
            (Source::Sso(_), _) => format!("; run `aws sso login --profile {profile}`"),
            (Source::Login(_), _) => format!("; run `aws login --profile {profile}`"),
            _ => String::new(),
        };
        Error::new(exit, format!("AWS credentials: {}: {why}{remedy}", self.request.identity.describe()))
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

pub(super) fn exit_of(error: &(dyn StdError + 'static)) -> Exit {
    let network = |error: &(dyn StdError + 'static)| {
        error.downcast_ref::<ConnectorError>().is_some_and(|error| !error.is_user())
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
        // Layers, which say nothing to a user.
        if ["dispatch failure", "io error", "user error", "other"].contains(&text.as_str()) {
            continue;
        }
        let text = text.strip_prefix("client error (Connect)").map_or(text.clone(), |_| "could not connect".to_owned());
        // Many wrappers repeat what they wrap.
        if !text.contains('{') && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// What a service itself said, or why it couldn't be asked.
pub(super) fn explain_service<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match (error.code(), error.message(), error.raw_response()) {
        (Some(code), Some(message), _) => format!("{code}: {message}"),
        (Some(code), None, _) => code.to_owned(),
        (None, _, Some(response)) => format!("the answer can't be read (HTTP status {})", response.status()),
        _ => explain(error),
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
