//! HTTP clients that let nothing out in clear text, except to where that is how it is done.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use aws_smithy_http_client::tls::{Provider as TlsProvider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Connector, ConnectorBuilder, proxy::ProxyConfig};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use http_body_util::Limited;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Where a client may speak plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// AWS's services: on this machine only, for those who run a stand-in.
    Services,
    /// The container's endpoint and the metadata service: their own addresses too.
    Platform,
}

/// More than any answer with credentials has, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Who was asked last, when it says it answered (`Date`), and when that came here.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    authority: Option<String>,
    date: Option<(OffsetDateTime, Instant)>,
}

impl Asked {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_request(&self, uri: &str) {
        let uri: Option<Uri> = uri.parse().ok();
        self.last().authority = uri.and_then(|uri| Some(uri.authority()?.to_string()));
    }

    fn note_date(&self, date: &str) {
        if let Ok(date) = OffsetDateTime::parse(date, &Rfc2822) {
            self.last().date = Some((date, Instant::now()));
        }
    }

    /// Host and port of who was asked last.
    pub(super) fn authority(&self) -> Option<String> {
        self.last().authority.clone()
    }

    /// How far a clock that shows `now` is ahead of theirs, or behind when negative. None when nobody told.
    pub(super) fn skew(&self, now: OffsetDateTime) -> Option<time::Duration> {
        let (date, came) = self.last().date?;
        Some(now - came.elapsed() - date)
    }
}

/// A client. TLS is by the roots in `ca_bundle`, else the system's, and by the proxy that the environment names;
/// plain HTTP goes without a proxy, which would see what it carries.
pub(super) fn client(reach: Reach, asked: &Asked, ca_bundle: Option<&Path>) -> SharedHttpClient {
    let (asked, ca_bundle) = (asked.clone(), ca_bundle.map(Path::to_owned));
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Fence {
            reach,
            ca_bundle: ca_bundle.clone(),
            settings: settings.clone(),
            components: components.clone(),
            asked: asked.clone(),
            plain: OnceLock::new(),
            tls: OnceLock::new(),
        })
    })
}

/// Lets no request past its reach, and makes a connector when the first request needs it: the one for TLS
/// reads all of the system's certificates.
#[derive(Debug)]
struct Fence {
    reach: Reach,
    ca_bundle: Option<PathBuf>,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
    asked: Asked,
    plain: OnceLock<SharedHttpConnector>,
    tls: OnceLock<Result<SharedHttpConnector, String>>,
}

impl HttpConnector for Fence {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.asked.note_request(request.uri());
        let refuse = |why: &str| HttpConnectorFuture::ready(Err(ConnectorError::user(why.to_owned().into())));
        let answer = match scheme(request.uri(), self.reach) {
            Some(Scheme::Plain) => {
                let plain = || SharedHttpConnector::new(self.builder().build_http());
                self.plain.get_or_init(plain).call(request)
            }
            Some(Scheme::Tls) => match self.tls.get_or_init(|| self.with_tls()) {
                Ok(connector) => connector.call(request),
                Err(why) => refuse(why),
            },
            None => refuse("the configured endpoint is plain http:// and not on this machine; make it https://"),
        };
        let asked = self.asked.clone();
        HttpConnectorFuture::new(async move {
            let response = answer.await?;
            response.headers().get("date").inspect(|date| asked.note_date(date));
            Ok(response.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_ANSWER))))
        })
    }
}

impl Fence {
    fn builder(&self) -> ConnectorBuilder {
        let mut builder = Connector::builder().connector_settings(self.settings.clone());
        builder.set_sleep_impl(self.components.sleep_impl());
        builder
    }

    fn with_tls(&self) -> Result<SharedHttpConnector, String> {
        let roots = match &self.ca_bundle {
            Some(path) => roots_in(path)?,
            None if rustls_native_certs::load_native_certs().certs.is_empty() => {
                let why = "this machine has no CA certificates to verify AWS by; install ca-certificates";
                return Err(why.to_owned());
            }
            None => TrustStore::default(),
        };
        let context = TlsContext::builder().with_trust_store(roots).build().map_err(|error| error.to_string())?;
        let tls =
            self.builder().proxy_config(ProxyConfig::from_env()).tls_provider(TlsProvider::Rustls(CryptoMode::Ring));
        Ok(SharedHttpConnector::new(tls.tls_context(context).build()))
    }
}

/// The certificates in a file, which the HTTP client would take unseen.
fn roots_in(path: &Path) -> Result<TrustStore, String> {
    let fail =
        |why: &str| format!("the CA bundle {} (AWS_CA_BUNDLE, SSL_CERT_FILE or ca_bundle) {why}", path.display());
    // A pipe or a device could keep us waiting, or never end.
    if path.exists() && !path.is_file() {
        return Err(fail("is no file"));
    }
    let found = rustls_native_certs::load_certs_from_paths(Some(path), None);
    if let Some(error) = found.errors.first() {
        return Err(fail(&format!("can't be read: {error}")));
    }
    if found.certs.is_empty() {
        return Err(fail("has no certificates"));
    }
    let pem = std::fs::read(path).map_err(|error| fail(&error.to_string()))?;
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

#[derive(Debug, PartialEq, Eq)]
enum Scheme {
    Plain,
    Tls,
}

/// How a request goes out; None when it must not.
fn scheme(uri: &str, reach: Reach) -> Option<Scheme> {
    let uri: Uri = uri.parse().ok()?;
    let authority = uri.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    match uri.scheme_str()? {
        "https" => Some(Scheme::Tls),
        "http" => is_near(authority.host(), reach).then_some(Scheme::Plain),
        _ => None,
    }
}

fn is_near(host: &str, reach: Reach) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(address) = host.parse::<IpAddr>() else { return host.eq_ignore_ascii_case("localhost") };
    address.is_loopback()
        || reach == Reach::Platform
            && match address {
                // 169.254.169.254 (EC2), 169.254.170.2 (ECS), 169.254.170.23 (EKS)
                IpAddr::V4(v4) => v4.is_link_local(),
                // fd00:ec2::254 (EC2), fd00:ec2::23 (EKS)
                IpAddr::V6(v6) => v6.segments()[..2] == [0xfd00, 0x0ec2],
            }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_stays_on_this_machine() {
        for uri in ["http://127.0.0.1:80/x", "http://localhost:5000", "http://LOCALHOST/", "http://[::1]:1/"] {
            assert_eq!(scheme(uri, Reach::Services), Some(Scheme::Plain), "{uri}");
        }
        assert_eq!(scheme("https://sts.amazonaws.com/", Reach::Services), Some(Scheme::Tls));
        for uri in ["http://169.254.169.254/x", "http://169.254.170.2/x", "http://[fd00:ec2::254]/x"] {
            assert_eq!(
                (scheme(uri, Reach::Platform), scheme(uri, Reach::Services)),
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
            "ftp://127.0.0.1/",
            "http://",
        ] {
            assert_eq!(scheme(uri, Reach::Platform), None, "{uri}");
        }
    }
}
