//! The client: signs calls, sends them with retries, and parses the responses.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use super::endpoint;
use super::error::{ApiError, error_of, is_about_credentials};
use super::service::{Protocol, Service};
use crate::aws::client::{CONNECT_TIMEOUT, MAX_REASON};
use crate::aws::endpoints::EndpointConfig;
use crate::aws::http::{HttpClient, PlainHttp, ResponseLog};
use crate::aws::keys::AccessKeys;
use crate::aws::profile_files::{ProfileFiles, Profiles};
use crate::aws::request::SourceError;
use crate::aws::sdk_error::{THROTTLING, is_retryable};
use crate::error::{Error, ExitCode};
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::os::single_flight::PROGRESS_AFTER;
use crate::output::Report;
use crate::percent::encode;

/// Maximum number of attempts for a call that is throttled or fails in the service.
const ATTEMPTS: u32 = 3;

/// A client for the services of one region, with one set of access keys. It can be shared by threads.
pub(crate) struct Api<'a> {
    env: &'a Env,
    keys: AccessKeys,
    region: String,
    endpoints: EndpointConfig,
    deadline: Deadline,
    report: &'a Report,
    http: HttpClient,
    log: ResponseLog,
    /// `None` only during `drop`.
    runtime: Option<Runtime>,
}

impl<'a> Api<'a> {
    /// Creates a client that signs with `keys`. `profile` is the selected profile, whose endpoint settings apply. Fails
    /// if an endpoint setting is unusable (exit 2).
    pub(crate) fn new(
        env: &'a Env,
        profiles: &ProfileFiles,
        profile: Option<&str>,
        keys: AccessKeys,
        region: &str,
        deadline: Deadline,
        report: &'a Report,
    ) -> Result<Self, Error> {
        let profile = profile.map_or_else(|| Profiles::selected(env).0, str::to_owned);
        let endpoints = EndpointConfig::read(env, profiles.get(env)?, &profile)?;
        Self::with_endpoints(env, keys, region, endpoints, deadline, report)
    }

    /// Returns a client for another region, with the same keys and settings.
    pub(crate) fn in_region(&self, region: &str) -> Result<Self, Error> {
        let Self { env, keys, endpoints, deadline, report, .. } = self;
        Self::with_endpoints(env, keys.clone(), region, endpoints.clone(), deadline.clone(), report)
    }

    fn with_endpoints(
        env: &'a Env,
        keys: AccessKeys,
        region: &str,
        endpoints: EndpointConfig,
        deadline: Deadline,
        report: &'a Report,
    ) -> Result<Self, Error> {
        let region = endpoint::check_region(region)?.to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::other(format!("could not start a call to AWS: {error}")))?;
        let log = ResponseLog::default();
        let http = HttpClient::new(PlainHttp::Loopback, &endpoints.roots, CONNECT_TIMEOUT, log.clone());
        Ok(Self { env, keys, region, endpoints, deadline, report, http, log, runtime: Some(runtime) })
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// The difference between this machine's clock and the clock of AWS in the last response. It is negative if this
    /// machine is behind. `None` before the first response.
    pub(crate) fn clock_skew(&self) -> Option<time::Duration> {
        self.log.skew(self.env.now().wall)
    }

    /// Sends a call of the Query protocol, and parses the response.
    pub(super) fn query<T: DeserializeOwned>(
        &self,
        service: &Service,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, ApiError> {
        let Protocol::Query { version } = service.protocol else { unreachable!("a Query service") };
        let fixed = [("Action", operation), ("Version", version)];
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", encode(value));
        let body: Vec<String> = fixed.iter().chain(parameters).map(pair).collect();
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
        let response = self.call(service, operation, &headers, body.join("&"))?;
        let text = String::from_utf8_lossy(&response);
        quick_xml::de::from_str(&text).map_err(|_| self.not_from_aws(service, operation))
    }

    /// Sends a call of the JSON protocol, and parses the response.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        service: &Service,
        operation: &str,
        document: &serde_json::Value,
    ) -> Result<T, ApiError> {
        let Protocol::Json { target } = service.protocol else { unreachable!("a JSON service") };
        let headers = [
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", format!("{target}.{operation}")),
        ];
        let response = self.call(service, operation, &headers, document.to_string())?;
        serde_json::from_slice(&response).map_err(|_| self.not_from_aws(service, operation))
    }

    /// Sends a signed call with retries until the deadline, and returns the body of the response. Prints a progress
    /// message if the call is slow.
    fn call(
        &self,
        service: &Service,
        operation: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Vec<u8>, ApiError> {
        let action = format!("{}:{operation}", service.name);
        let send = async {
            let mut attempt = 1;
            loop {
                let error = match self.attempt(service, &action, headers, &body).await {
                    Ok(body) => return Ok(body),
                    Err(error) => error,
                };
                if attempt == ATTEMPTS || error.exit != ExitCode::Network {
                    return Err(error);
                }
                tokio::time::sleep(Duration::from_millis(300 * u64::from(attempt))).await;
                attempt += 1;
            }
        };
        let report_progress = async {
            tokio::time::sleep(PROGRESS_AFTER).await;
            self.report.progress(&format!("waiting for {action}"));
            std::future::pending().await
        };
        let in_time = async {
            tokio::select! {
                result = self.deadline.within(send) => result,
                never = report_progress => never,
            }
        };
        let runtime = self.runtime.as_ref().expect("a runtime until dropped");
        let late = || self.error(&action, None, "no response before the time limit".to_owned());
        runtime.block_on(in_time).unwrap_or_else(|| Err(late()))
    }

    async fn attempt(
        &self,
        service: &Service,
        action: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<Vec<u8>, ApiError> {
        let request = self.signed_request(service, headers, body);
        let request = request.map_err(|why| ApiError { exit: ExitCode::Other, ..self.error(action, None, why) })?;
        let (status, response) = self.http.send_once(request).await.map_err(|error| {
            let (SourceError::Refused(why) | SourceError::Unreachable(why)) = error;
            self.error(action, None, self.keys.scrub(why))
        })?;
        if status == 200 {
            return Ok(response);
        }
        let (code, message) = error_of(service, &response).ok_or_else(|| {
            let why = format!("the response is not from AWS (HTTP status {status})");
            self.error(action, None, why)
        })?;
        let is_temporary = is_retryable(status) || THROTTLING.contains(&code.as_str());
        let exit = match code.as_str() {
            _ if is_temporary => ExitCode::Network,
            code if is_about_credentials(code) => ExitCode::Credentials,
            _ => ExitCode::Other,
        };
        let [code, message] = [code, message].map(|text| self.keys.scrub(text).chars().take(MAX_REASON).collect());
        Err(ApiError { exit, ..self.error(action, Some(code), message) })
    }

    /// Returns a signed POST request.
    fn signed_request(
        &self,
        service: &Service,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<HttpRequest, String> {
        let (url, signing_region) = endpoint::url(service, &self.region, &self.endpoints);
        let now = SystemTime::from(self.env.now().wall);
        let identity = self.keys.to_sdk().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&signing_region)
            .name(service.name)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let signed = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new("POST", &url, signed, SignableBody::Bytes(body.as_bytes()));
        let signable = signable.map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
        let mut request = http::Request::post(&url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(SdkBody::from(body)).map_err(|error| error.to_string())?;
        instructions.apply_to_request_http1x(&mut request);
        HttpRequest::try_from(request).map_err(|error| error.to_string())
    }

    pub(super) fn not_from_aws(&self, service: &Service, operation: &str) -> ApiError {
        let action = format!("{}:{operation}", service.name);
        self.error(&action, None, "the response could not be parsed".to_owned())
    }

    fn error(&self, action: &str, code: Option<String>, why: String) -> ApiError {
        let host = self.log.last().authority.clone().filter(|_| code.is_none());
        let message = host.map_or(why.clone(), |host| format!("{why} (from {host})"));
        ApiError { action: action.to_owned(), code, message, exit: ExitCode::Network }
    }
}

impl Drop for Api<'_> {
    fn drop(&mut self) {
        // A name lookup that still runs in a thread must not delay the exit.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
