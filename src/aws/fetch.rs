//! The fetch of an identity's credentials: from a cached session, else from its source and roles.

use std::time::Duration;

use super::client::AwsClient;
use super::endpoints::EndpointConfig;
use super::keys::AccessKeys;
use super::mfa::Code;
use super::precedence::NONE_FOUND;
use super::profile_chain::ResolvedProfile;
use super::profile_files::read_text;
use super::request::{CredentialRequest, SourceError};
use super::session_cache::SessionCache;
use super::source::{Source, account_of};
use super::{container, imds, login, process, sso, sts};
use crate::error::{Error, ExitCode};
use crate::fingerprint::Fingerprint;
use crate::os::signal::wait_for_signal;
use crate::os::single_flight::{self, Outcome, PROGRESS_AFTER};

#[derive(Clone)]
pub(crate) struct Fetched {
    pub(crate) keys: AccessKeys,
    /// Whether the keys are a session that expires soon, which is used because a new one could not be started.
    pub(crate) is_leftover: bool,
}

/// Returns the credentials of `request`: the keys already present, a session in `sessions`, or new credentials. If
/// several processes need the same session, one of them starts it. Fails if the source has no credentials (exit 3) or
/// can't be reached in time (exit 4), or if this machine's clock is wrong (exit 1).
pub(crate) fn fetch(request: &CredentialRequest, sessions: &SessionCache) -> Result<Fetched, Error> {
    let fetched = |keys| Fetched { keys, is_leftover: false };
    if let Some(keys) = request.identity.keys() {
        return Ok(fetched(keys.clone()));
    }
    let load_cached = || sessions.load_last(request.min_ttl);
    if let Some(keys) = load_cached() {
        return Ok(fetched(keys));
    }
    // Single flight needs a stored session, which the other processes can load.
    let locks = request.locks.filter(|_| sessions.is_shared());
    let outcome = locks.and_then(|locks| locks(&lock_name(request))).map(|lock| {
        let give_up = request.identity.follower_deadline(request.env, &request.deadline);
        single_flight::join(&lock, request.env, give_up, |message| request.report.progress(message), load_cached)
    });
    let result = match outcome {
        None => fetch_new(request, sessions),
        Some(Outcome::Ready(keys)) => return Ok(fetched(*keys)),
        Some(Outcome::Failed(error)) => Err(error),
        // This process has waited long enough, so it does not wait for other locks.
        Some(Outcome::Unshared) => fetch_new(&CredentialRequest { locks: None, ..request.clone() }, sessions),
        Some(Outcome::Leader(leader)) => {
            fetch_new(request, sessions).inspect_err(|error| leader.fail(error, request.env.now()))
        }
    };
    let error = match result {
        // A session that expires soon is better than none.
        Err(error) if matches!(error.exit, ExitCode::Credentials | ExitCode::Network) => error,
        result => return result.map(fetched),
    };
    let keys = sessions.load_last(Duration::ZERO).ok_or_else(|| error.clone())?;
    let why = error.message().trim_start_matches("AWS credentials: ");
    request.report.warn(&format!("using a session that expires soon, because a new one could not be started: {why}"));
    Ok(Fetched { keys, is_leftover: true })
}

/// Returns the name of the lock for a session. It includes the region, because STS may accept a request in one region
/// and refuse it in another.
fn lock_name(request: &CredentialRequest) -> String {
    let region = request.identity.endpoints.region.as_ref().map_or(request.region, |region| region.as_ref());
    Fingerprint::default().field("session").field(request.identity.fingerprint()).field(region).hex()
}

/// Fetches new credentials within the time limit, starting from the latest usable session, else from the source.
fn fetch_new(request: &CredentialRequest, sessions: &SessionCache) -> Result<AccessKeys, Error> {
    let start = sessions.latest_usable();
    let mut codes = find_codes(request, start.as_ref().map_or(0, |(step, _)| step + 1))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::other(format!("could not start fetching credentials: {error}")))?;
    let client = AwsClient::new(request);
    let result = runtime.block_on(fetch_in_time(&client, sessions, start, &mut codes));
    // A name lookup or a read that still runs in a thread must not delay the exit.
    runtime.shutdown_background();
    client.check_clock()?;
    result
}

/// Runs the steps until the deadline, and prints a progress message if they are slow.
async fn fetch_in_time(
    client: &AwsClient<'_>,
    sessions: &SessionCache<'_>,
    start: Option<(usize, AccessKeys)>,
    codes: &mut [Option<Code>],
) -> Result<AccessKeys, Error> {
    let CredentialRequest { identity, deadline, report, .. } = client.request;
    let description = identity.describe();
    let prompts = codes.iter().any(|code| matches!(code, Some(Code::Prompt(_))));
    let has_mfa_process = identity.mfa_devices().any(|mfa| mfa.process.is_some());
    let runs_program = has_mfa_process || matches!(identity.chain.source, Source::Process(_));
    let report_progress = async {
        tokio::time::sleep(PROGRESS_AFTER).await;
        report.progress(&format!("waiting for credentials from {description}"));
        std::future::pending().await
    };
    tokio::select! {
        // The branches are polled in this order, so that the signal handlers are installed before a program is started.
        biased;
        // A helper program must be stopped first. Without one, the signal terminates this process at once.
        (name, exit) = wait_for_signal(), if runs_program => {
            Err(Error::new(exit, format!("terminated by {name} while waiting for {description}")).process_local())
        }
        result = deadline.within(run_steps(client, sessions, start, codes)) => result.unwrap_or_else(|| {
            let program = if has_mfa_process { ", or its mfa_process," } else { "" };
            Err(client.timeout_error(&format!("{description}{program}")))
        }),
        // The message must not appear while the user is being prompted.
        result = report_progress, if !prompts => result,
    }
}

/// Finds the origin of the MFA code of each step: one element for the source, and one for each role. Steps before
/// `first` have a session, so they need no code.
fn find_codes(request: &CredentialRequest, first: usize) -> Result<Vec<Option<Code>>, Error> {
    let ResolvedProfile { source, roles, .. } = &request.identity.chain;
    let devices = std::iter::once(source.mfa()).chain(roles.iter().map(|role| role.mfa.as_ref()));
    let mut flag = request.mfa_code;
    // `take`, because a code can be used only once.
    let mut find = |mfa| Code::find(mfa, flag.take(), request);
    devices.enumerate().map(|(step, mfa)| mfa.filter(|_| step >= first).map(&mut find).transpose()).collect()
}

/// Fetches the source's credentials (step 0), then assumes each role (steps 1, 2, …), and stores each new session.
/// `start` is a step and its session, after which to continue.
async fn run_steps(
    client: &AwsClient<'_>,
    sessions: &SessionCache<'_>,
    start: Option<(usize, AccessKeys)>,
    codes: &mut [Option<Code>],
) -> Result<AccessKeys, Error> {
    let ResolvedProfile { source, roles, .. } = &client.request.identity.chain;
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
        sessions.store(step, &keys, account_of(&role.arn));
    }
    Ok(keys)
}

async fn fetch_from_source(client: &AwsClient<'_>, source: &Source, code: Option<Code>) -> Result<AccessKeys, Error> {
    let CredentialRequest { env, deadline, identity, .. } = client.request;
    match source {
        Source::Keys(keys) => Ok(keys.clone()),
        Source::UserSession(session) => sts::start_user_session(client, session, code).await,
        Source::Process(command) => {
            let stdout = process::run(command, client.request).await;
            let stdout = stdout.map_err(|error| client.refused(&error.why).quoting(error.stderr_line))?;
            process::parse_credentials(&stdout).map_err(|why| client.refused(&why))
        }
        Source::WebIdentity { role_arn, session_name, token_file } => {
            let token = read_text(token_file.as_ref(), deadline).map_err(|error| {
                client.source_error(SourceError::unreadable(&format!("the token file {token_file}"), &error))
            })?;
            sts::assume_role_with_web_identity(client, role_arn, session_name.as_deref(), token.trim()).await
        }
        Source::Sso(sso) => sso::fetch(client, sso).await,
        Source::Login(session) => login::fetch(client, session).await,
        Source::Container => {
            container::fetch(&client.platform, env, deadline).await.map_err(|error| client.source_error(error))
        }
        Source::InstanceMetadata => {
            let EndpointConfig { metadata_endpoint, metadata_default, .. } = &identity.endpoints;
            let fetched = imds::fetch(&client.platform, metadata_endpoint.as_deref(), metadata_default).await;
            fetched.map_err(|why| match identity.chain.profile {
                Some(_) => client.refused(&format!("{why}; check the instance's role or credential_source")),
                // Unless a profile names the service, it is the last source to try.
                None => Error::credentials(format!("AWS credentials: {NONE_FOUND} (the EC2 metadata service: {why})")),
            })
        }
    }
}
