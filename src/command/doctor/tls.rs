//! A TLS connection that is verified as clients verify it. A failure has a precise reason.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme, StreamOwned,
};
use time::OffsetDateTime;

use super::stream::{Stream, explain};
use crate::rfc3339;

pub(super) type TlsStream = StreamOwned<ClientConnection, Stream>;

/// A verified connection.
pub(super) struct VerifiedConnection {
    pub(super) stream: TlsStream,
    /// Such as `TLS 1.3`.
    pub(super) version: &'static str,
    /// The name of the CA at the end of the server's chain, if it has one.
    pub(super) issuer: Option<String>,
}

/// The reason why a connection could not be verified.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The CA of the certificate is not one of the roots. Contains the name of the CA, if it has one.
    UnknownCa(Option<String>),
    /// The certificate is for other names.
    WrongName(Vec<String>),
    /// The certificate expired at this time.
    Expired(String),
    /// The certificate is not valid before this time.
    NotYetValid(String),
    Other(String),
}

/// Starts TLS, and verifies the server with `roots` (PEM) and `name`. Sends no data to an unverified server.
pub(super) fn connect(stream: Stream, name: &str, roots: &str) -> Result<VerifiedConnection, Failure> {
    let other = |why: &dyn std::fmt::Display| Failure::Other(why.to_string());
    let verifier = Verifier::new(roots)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| other(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).map_err(|error| other(&error))?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(|error| other(&error))?;
    let mut stream = StreamOwned::new(connection, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| verifier.failure(&error))?;
    }
    let version = match stream.conn.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS 1.2",
    };
    Ok(VerifiedConnection { stream, version, issuer: verifier.issuer() })
}

/// Verifies a server as rustls does, and records its certificates.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    /// The last certificate of the server's chain.
    last: Mutex<Option<CertificateDer<'static>>>,
}

impl Verifier {
    fn new(roots: &str) -> Result<Arc<Self>, Failure> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(CertificateDer::pem_slice_iter(roots.as_bytes()).flatten());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
        let inner = inner.map_err(|_| Failure::Other("the CA file contains no certificate".to_owned()))?;
        Ok(Arc::new(Self { inner, last: Mutex::default() }))
    }

    fn issuer(&self) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let certificate = webpki::EndEntityCert::try_from(last.as_ref()?).ok()?;
        common_name(certificate.issuer())
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        let date = |time: &UnixTime| {
            let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
            OffsetDateTime::from_unix_timestamp(seconds).map(rfc3339::format).unwrap_or_default()
        };
        match tls {
            Some(TlsError::InvalidCertificate(certificate)) => match certificate {
                CertificateError::UnknownIssuer => Failure::UnknownCa(self.issuer()),
                CertificateError::NotValidForNameContext { presented, .. } => Failure::WrongName(presented.clone()),
                CertificateError::NotValidForName => Failure::WrongName(Vec::new()),
                CertificateError::ExpiredContext { not_after, .. } => Failure::Expired(date(not_after)),
                CertificateError::NotValidYetContext { not_before, .. } => Failure::NotYetValid(date(not_before)),
                other => Failure::Other(format!("the certificate is not valid: {other}")),
            },
            Some(error) => Failure::Other(error.to_string()),
            None => Failure::Other(explain(error)),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let last = intermediates.last().unwrap_or(end_entity).clone().into_owned();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Returns the common name in a distinguished name (DER). `None` if it has none.
fn common_name(name: &[u8]) -> Option<String> {
    /// The identifier of a common name (X.520, 2.5.4.3).
    const OID: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    let start = name.windows(OID.len()).position(|window| window == OID)? + OID.len();
    // A string shorter than 128 bytes: its type, its length, its text.
    let [_, length, text @ ..] = name.get(start..)? else { return None };
    let text = text.get(..usize::from(*length)).filter(|_| *length < 128)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_name_is_read_from_a_name() {
        let name = b"\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02US\x31\x0e\x30\x0c\x06\x03\x55\x04\x03\x0c\x05My CA";
        for (bytes, expected) in
            [(&name[..], Some("My CA")), (&name[..name.len() - 1], None), (&name[..12], None), (b"", None)]
        {
            assert_eq!(common_name(bytes).as_deref(), expected);
        }
    }
}
