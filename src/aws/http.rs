//! The HTTP clients of a run of the program: one for AWS services, and one for the container and EC2 endpoints.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::{Provider as TlsProvider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Connector, proxy::ProxyConfig};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use http_body_util::{BodyExt as _, Limited};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::ca_certificates::Roots;
use super::request::SourceError;
use super::sdk_error::{explain, is_retryable};
use crate::os::dns::Resolver;

/// The servers that a client may send plain HTTP to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlainHttp {
    /// Servers on loopback, such as an emulator of AWS.
    Loopback,
    /// Servers on loopback, and the container and EC2 endpoints.
    Platform,
}

/// Maximum size of a response body, in bytes. A response with credentials is far smaller.
const MAX_BODY: usize = 1 << 20;

/// Maximum number of attempts for a request to the container or EC2 endpoint, and the pause between two attempts.
const ATTEMPTS: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The server of the last request, and its last response.
#[derive(Clone, Debug, Default)]
pub(super) struct ResponseLog(Arc<Mutex<LastResponse>>);

#[derive(Debug, Default)]
pub(super) struct LastResponse {
    /// Host and port.
    pub(super) authority: Option<String>,
    /// `None` if there was no response.
    pub(super) status: Option<u16>,
    /// The last `Date` header, and the time when it was received.
    date: Option<(OffsetDateTime, Instant)>,
}

impl ResponseLog {
    pub(super) fn last(&self) -> MutexGuard<'_, LastResponse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The difference between `now` and the server's clock. It is negative if `now` is behind. `None` if no response
    /// had a `Date`.
    pub(super) fn skew(&self, now: OffsetDateTime) -> Option<time::Duration> {
        let (date, received) = self.last().date?;
        Some(now - received.elapsed() - date)
    }
}

/// An HTTP client. Its connectors are created on first use and shared by every request of the run.
#[derive(Clone, Debug)]
pub(super) struct HttpClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    plain_http: PlainHttp,
    roots: Roots,
    connect_timeout: Duration,
    log: ResponseLog,
    plain: OnceLock<Result<SharedHttpConnector, String>>,
    tls: OnceLock<Result<SharedHttpConnector, String>>,
}

impl HttpClient {
    /// Creates a client that verifies servers with `roots` and whose connections time out after `connect_timeout`.
    /// HTTPS uses the proxy that the environment names. Plain HTTP never uses a proxy, which could read the
    /// credentials.
    pub(super) fn new(plain_http: PlainHttp, roots: &Roots, connect_timeout: Duration, log: ResponseLog) -> Self {
        let (roots, plain, tls) = (roots.clone(), OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner { plain_http, roots, connect_timeout, log, plain, tls }))
    }

    pub(super) fn to_sdk(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// Sends a request without a body, and returns the status and the body of the response. Failed connections and
    /// server errors are retried.
    pub(super) async fn request(
        &self,
        method: &str,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(u16, Vec<u8>), SourceError> {
        let mut attempt = 1;
        loop {
            match self.send(new_request(method, url, headers)?).await {
                Ok((status, _)) if is_retryable(status) && attempt < ATTEMPTS => {}
                Ok(response) => return Ok(response),
                Err(error) if error.is_user() => return Err(SourceError::Refused(explain(&error))),
                Err(error) if attempt == ATTEMPTS => return Err(SourceError::Unreachable(explain(&error))),
                Err(_) => {}
            }
            attempt += 1;
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Sends a request once, and returns the status and the body of the response.
    pub(super) async fn send_once(&self, request: HttpRequest) -> Result<(u16, Vec<u8>), SourceError> {
        self.send(request).await.map_err(|error| match error.is_user() {
            true => SourceError::Refused(explain(&error)),
            false => SourceError::Unreachable(explain(&error)),
        })
    }

    async fn send(&self, request: HttpRequest) -> Result<(u16, Vec<u8>), ConnectorError> {
        let response = self.call(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(ConnectorError::io)?;
        Ok((status, body.to_bytes().to_vec()))
    }
}

fn new_request(method: &str, url: &str, headers: &[(&'static str, &str)]) -> Result<HttpRequest, SourceError> {
    let refused = |why: String| SourceError::Refused(why);
    let mut request = HttpRequest::get(url).map_err(|_| refused("the configured endpoint is not a URL".to_owned()))?;
    request.set_method(method).map_err(|_| refused(format!("'{method}' is not an HTTP method")))?;
    for (name, value) in headers {
        let inserted = request.headers_mut().try_insert(*name, (*value).to_owned());
        inserted.map_err(|_| refused(format!("the value of the header {name} has control characters")))?;
    }
    Ok(request)
}

impl HttpConnector for HttpClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = &self.0;
        let uri: Option<Uri> = request.uri().parse().ok();
        inner.log.last().authority = uri.as_ref().and_then(|uri| Some(uri.authority()?.to_string()));
        let refuse = |why: &str| HttpConnectorFuture::ready(Err(ConnectorError::user(why.to_owned().into())));
        // Only the connector for HTTPS has certificates and a proxy.
        let connector = match uri.and_then(|uri| allowed_scheme(&uri, inner.plain_http)) {
            Some(Scheme::Plain) => {
                inner.plain.get_or_init(|| inner.connector(TrustStore::empty(), ProxyConfig::disabled()))
            }
            Some(Scheme::Tls) => inner.tls.get_or_init(|| {
                let roots = TrustStore::empty().with_pem_certificate(inner.roots.load()?);
                inner.connector(roots, ProxyConfig::from_env())
            }),
            None => {
                return refuse(
                    "the endpoint must be https://, or plain http:// on this machine, without a user name; correct the \
                     endpoint setting",
                );
            }
        };
        let pending = match connector {
            Ok(connector) => connector.call(request),
            Err(why) => return refuse(why),
        };
        let log = inner.log.clone();
        HttpConnectorFuture::new(async move {
            let response = pending.await?;
            let date = response.headers().get("date").and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
            let mut last = log.last();
            last.status = Some(response.status().as_u16());
            last.date = date.map(|date| (date, Instant::now())).or(last.date);
            Ok(response.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_BODY))))
        })
    }
}

impl Inner {
    fn connector(&self, roots: TrustStore, proxy: ProxyConfig) -> Result<SharedHttpConnector, String> {
        let context = TlsContext::builder().with_trust_store(roots).build().map_err(|error| error.to_string())?;
        let settings = HttpConnectorSettings::builder().connect_timeout(self.connect_timeout).build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .sleep_impl(TokioSleep::new())
            .proxy_config(proxy)
            .tls_provider(TlsProvider::Rustls(CryptoMode::Ring))
            .tls_context(context)
            .build_with_resolver(Resolver);
        Ok(SharedHttpConnector::new(connector))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Scheme {
    Plain,
    Tls,
}

/// Returns the scheme of a request's URI. `None` if the request must not be sent.
fn allowed_scheme(uri: &Uri, plain_http: PlainHttp) -> Option<Scheme> {
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    match uri.scheme_str()? {
        "https" => Some(Scheme::Tls),
        "http" => allows_plain_http(authority.host(), plain_http).then_some(Scheme::Plain),
        _ => None,
    }
}

/// The addresses of the endpoints of EC2, ECS and EKS.
const PLATFORM_ADDRESSES: [&str; 5] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"];

fn allows_plain_http(host: &str, plain_http: PlainHttp) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(address) = host.parse::<IpAddr>() else { return host.eq_ignore_ascii_case("localhost") };
    address.is_loopback()
        || plain_http == PlainHttp::Platform && PLATFORM_ADDRESSES.iter().any(|known| known.parse() == Ok(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_sent_only_to_loopback_and_platform_endpoints() {
        let allowed_scheme = |uri: &str, plain_http| allowed_scheme(&uri.parse().ok()?, plain_http);
        for uri in ["http://127.0.0.1:80/x", "http://localhost:5000", "http://LOCALHOST/", "http://[::1]:1/"] {
            assert_eq!(allowed_scheme(uri, PlainHttp::Loopback), Some(Scheme::Plain), "{uri}");
        }
        assert_eq!(allowed_scheme("https://sts.amazonaws.com/", PlainHttp::Loopback), Some(Scheme::Tls));
        for uri in ["http://169.254.169.254/x", "http://169.254.170.2/x", "http://[fd00:ec2::254]/x"] {
            assert_eq!(
                (allowed_scheme(uri, PlainHttp::Platform), allowed_scheme(uri, PlainHttp::Loopback)),
                (Some(Scheme::Plain), None),
                "{uri}"
            );
        }
        for uri in [
            "http://sts.amazonaws.com/",
            "http://127.0.0.1.evil.com/",
            "http://localhost.evil.com/",
            "http://127.0.0.1@evil.com/",
            "http://127.0.0.1:1@evil.com/",
            "http://localhost:1@10.9.9.9:80/",
            "http://[::1]@10.9.9.9/",
            "http://10.0.0.1/",
            "http://169.254.1.1/x",
            "http://169.254.170.3/x",
            "http://[fd00:ec2::1]/x",
            "ftp://127.0.0.1/",
            "http://",
        ] {
            assert_eq!(allowed_scheme(uri, PlainHttp::Platform), None, "{uri}");
        }
    }
}
