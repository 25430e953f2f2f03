//! Fetches the credentials of an identity: from a cached session, else from its source and roles.

use std::io::ErrorKind;
use std::time::Duration;

use super::client::AwsClient;
use super::container;
use super::endpoints::EndpointConfig;
use super::identity::{Identity, NONE_FOUND};
use super::imds::{self, ImdsError};
use super::keys::AccessKeys;
use super::mfa::Code;
use super::process;
use super::profile_files::read_text;
use super::request::{CredentialRequest, SourceError};
use super::session_cache::SessionCache;
use super::source::Source;
use super::{login, sso, sts};
use crate::error::{Error, ExitCode};
use crate::fingerprint::Fingerprint;
use crate::os::single_flight::{self, Outcome, PROGRESS_AFTER};

/// Credentials, and how they were fetched.
pub(crate) struct Fetched {
    /// The credentials.
    pub(crate) keys: AccessKeys,
    /// Whether they are a session that expires soon, used because a new one could not be started.
    pub(crate) is_leftover: bool,
}

/// Fetches the credentials of `request`: the keys already present, a session in `sessions`, or new credentials. If
/// several processes need the same session, one of them starts it.
///
/// # Errors
/// Exit 3 if the source has no credentials, exit 4 if it can't be reached or time is out, exit 1 if this machine's
/// clock is off.
pub(crate) fn fetch(request: &CredentialRequest, sessions: &SessionCache) -> Result<Fetched, Error> {
    let fetched = |keys| Fetched { keys, is_leftover: false };
    if let Some(keys) = request.identity.keys() {
        return Ok(fetched(keys.clone()));
    }
    let cached = || sessions.load_last(request.min_ttl);
    if let Some(keys) = cached() {
        return Ok(fetched(keys));
    }
    // Another process's session can be used only if it is stored.
    let lock = request.locks.filter(|_| sessions.is_shared()).and_then(|locks| locks(&lock_name(request)));
    let progress = |message: &str| request.report.progress(message);
    let result = match lock.map(|lock| {
        let give_up = request.identity.follower_deadline(request.env, &request.deadline);
        single_flight::join(&lock, request.env, give_up, progress, cached)
    }) {
        None => fetch_new(request, sessions),
        Some(Outcome::Ready(keys)) => return Ok(fetched(*keys)),
        Some(Outcome::Failed(error)) => Err(error),
        // This process has waited long enough, so it waits for no other lock.
        Some(Outcome::Unshared) => fetch_new(&CredentialRequest { locks: None, ..request.clone() }, sessions),
        Some(Outcome::Leader(leader)) => {
            let result = fetch_new(request, sessions);
            if let Err(error) = &result {
                leader.fail(error, request.env.now());
            }
            result
        }
    };
    let error = match result {
        // A session that expires soon is better than none.
        Err(error) if matches!(error.exit(), ExitCode::Credentials | ExitCode::Network) => error,
        result => return result.map(fetched),
    };
    let keys = sessions.load_last(Duration::ZERO).ok_or_else(|| error.clone())?;
    let why = error.message().trim_start_matches("AWS credentials: ");
    request.report.warn(&format!("using a session that expires soon, because a new one could not be started: {why}"));
    Ok(Fetched { keys, is_leftover: true })
}

/// The name of the lock for a session. It includes the region, because STS may refuse in one region a request that
/// it accepts in another.
fn lock_name(request: &CredentialRequest) -> String {
    let region = request.identity.endpoints.region.as_ref().map_or(request.region, |region| region.as_ref());
    Fingerprint::default().field("session").field(request.identity.fingerprint()).field(region).hex()
}

/// Fetches new credentials, from the latest usable session or from the source, within the time limit.
fn fetch_new(request: &CredentialRequest, sessions: &SessionCache) -> Result<AccessKeys, Error> {
    let start = sessions.latest_usable();
    let mut codes = find_codes(request, start.as_ref().map_or(0, |(step, _)| step + 1))?;
    let prompts = codes.iter().any(|code| matches!(code, Some(Code::Prompt(_))));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::other(format!("could not start fetching credentials: {error}")))?;
    let description = request.identity.describe();
    let client = AwsClient::new(request);
    let work = async {
        let work = run_steps(&client, sessions, start, &mut codes);
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
    let result = runtime.block_on(async {
        tokio::select! {
            result = request.deadline.within(work) => result.unwrap_or_else(|| Err(client.timed_out(&slow))),
            // A helper program must be stopped first. Without one, the signal ends this process at once.
            (name, exit) = process::signalled(), if has_process => {
                Err(Error::new(exit, format!("ended by {name} while waiting for {description}")).process_local())
            }
        }
    });
    // A name lookup or a read that still runs in a thread must not delay the exit.
    runtime.shutdown_background();
    client.check_clock()?;
    result
}

/// Decides where the MFA codes come from, one element for the source and one for each role. Steps before `first` need
/// no code.
fn find_codes(request: &CredentialRequest, first: usize) -> Result<Vec<Option<Code>>, Error> {
    let mut given = request.mfa_code;
    let Identity { source, roles, .. } = request.identity;
    let devices = std::iter::once(source.mfa()).chain(roles.iter().map(|role| role.mfa.as_ref()));
    let mut codes = Vec::new();
    for (step, device) in devices.enumerate() {
        // A code can be used only once.
        let code = device.filter(|_| step >= first).map(|mfa| Code::find(mfa, given.take(), request));
        codes.push(code.transpose()?);
    }
    Ok(codes)
}

/// Fetches the source's credentials (step 0), then assumes each role (steps 1, 2, …). `start` is a session from which
/// to go on, and its step. Stores each new session.
async fn run_steps(
    client: &AwsClient<'_>,
    sessions: &SessionCache<'_>,
    start: Option<(usize, AccessKeys)>,
    codes: &mut [Option<Code>],
) -> Result<AccessKeys, Error> {
    let Identity { source, roles, .. } = client.request.identity;
    let (mut step, mut keys) = match start {
        Some(start) => start,
        None => {
            let keys = fetch_from_source(client, source, codes[0].take()).await?;
            sessions.store(0, &keys, source.account());
            (0, keys)
        }
    };
    for role in &roles[step..] {
        step += 1;
        keys = sts::assume_role(client, role, codes[step].take(), &keys).await?;
        sessions.store(step, &keys, role.account());
    }
    Ok(keys)
}

async fn fetch_from_source(client: &AwsClient<'_>, source: &Source, code: Option<Code>) -> Result<AccessKeys, Error> {
    let CredentialRequest { env, deadline, identity, .. } = client.request;
    match source {
        Source::Keys(keys) => Ok(keys.clone()),
        Source::UserSession(session) => sts::user_session(client, session, code).await,
        Source::Process(command) => process::credentials(command, client.request)
            .await
            .map_err(|error| client.refused(&error.why).quoting(error.said)),
        Source::WebIdentity { role_arn, session_name, token_file } => {
            let token = read_text(token_file.as_ref(), deadline).map_err(|error| {
                let timed_out = error.kind() == ErrorKind::TimedOut;
                let kind = if timed_out { SourceError::Unreachable } else { SourceError::Refused };
                client.error(kind(format!("could not read the token file {token_file}: {error}")))
            })?;
            sts::web_identity(client, role_arn, session_name.as_deref(), token.trim()).await
        }
        Source::Sso(sso) => sso::credentials(client, sso).await,
        Source::Login(session) => login::credentials(client, session).await,
        Source::Container => {
            container::fetch(&client.platform, env, deadline).await.map_err(|error| client.error(error))
        }
        Source::InstanceMetadata => {
            let EndpointConfig { metadata_endpoint, metadata_default, .. } = &identity.endpoints;
            let fetched = imds::fetch(&client.platform, metadata_endpoint.as_deref(), metadata_default).await;
            fetched.map_err(|error| metadata_error(client, error))
        }
    }
}

/// The error for the EC2 metadata service, which is the last source unless a profile names it.
fn metadata_error(client: &AwsClient, error: ImdsError) -> Error {
    let why = match error {
        ImdsError::NotFound => "it does not answer, or the instance has no role".to_owned(),
        ImdsError::Failed(why) => why,
    };
    match &client.request.identity.profile {
        Some(_) => client.refused(&format!("{why}; check the instance's role or credential_source")),
        None => Error::credentials(format!("AWS credentials: {NONE_FOUND} (the EC2 metadata service: {why})")),
    }
}
