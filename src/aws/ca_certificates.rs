//! The CA certificates that verify AWS's servers.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustls_native_certs::{CertificateResult, load_certs_from_paths};

/// The location of the CA certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Roots {
    /// The system's certificates.
    #[default]
    System,
    /// A bundle from a setting. `setting` is its name in messages.
    Bundle { path: PathBuf, setting: &'static str },
    /// The file and directory in `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    Environment { file: Option<PathBuf>, directory: PathBuf },
}

impl Roots {
    /// Reads the certificates, in PEM. Certificates that can't be parsed are skipped, because the HTTP client panics
    /// on them. Fails if no certificate is usable.
    pub(super) fn load(&self) -> Result<String, String> {
        let loaded = match self {
            Self::System => load_system_roots(),
            Self::Environment { file, directory } => {
                load_certs_from_paths(file.as_deref().filter(|file| file.is_file()), Some(directory))
            }
            Self::Bundle { path, setting } => load_bundle(path).map_err(|why| {
                format!("the CA bundle {} ({setting}) {why}; correct the setting or remove it", path.display())
            })?,
        };
        let usable = loaded.certs.iter().filter(|der| is_usable(der)).map(aws_smithy_types::base64::encode);
        let pem: String =
            usable.map(|text| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")).collect();
        match self {
            _ if !pem.is_empty() => Ok(pem),
            Self::Environment { .. } => {
                Err("SSL_CERT_FILE and SSL_CERT_DIR name no usable CA certificates; correct or unset them".to_owned())
            }
            _ => Err("this machine has no CA certificates to verify AWS with; install ca-certificates".to_owned()),
        }
    }
}

/// Reads a bundle that has at least one usable certificate.
fn load_bundle(path: &Path) -> Result<CertificateResult, String> {
    // Reading a pipe could block, and reading a device could never finish.
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err("is not a regular file".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err("does not exist".to_owned()),
        _ => {}
    }
    let loaded = load_certs_from_paths(Some(path), None);
    match loaded.errors.first() {
        Some(error) => Err(format!("can't be read: {error}")),
        None if !loaded.certs.iter().any(is_usable) => Err("has no usable CA certificates".to_owned()),
        None => Ok(loaded),
    }
}

/// Reads the system's certificates. On Linux, only the bundle file is read if there is one, because the directory
/// beside it holds the same certificates again, one file each.
fn load_system_roots() -> CertificateResult {
    #[cfg(target_os = "linux")]
    if let Some(file) = openssl_probe::probe().cert_file {
        return load_certs_from_paths(Some(&file), None);
    }
    rustls_native_certs::load_native_certs()
}

fn is_usable(der: &rustls_pki_types::CertificateDer) -> bool {
    webpki::anchor_from_trusted_cert(der).is_ok()
}
