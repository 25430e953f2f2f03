//! The CA certificates that AWS is verified with.

use std::io::ErrorKind;
use std::path::PathBuf;

use rustls_native_certs::CertificateResult;

/// Where the CA certificates come from that AWS is verified with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Roots {
    /// The system's certificates.
    #[default]
    System,
    /// A bundle that a setting names; `setting` is its name in messages.
    Bundle { path: PathBuf, setting: &'static str },
    /// The file and directory that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    Environment { file: Option<PathBuf>, directory: PathBuf },
}

impl Roots {
    /// Reads the certificates, in DER. Certificates that can't be parsed are left out, because the HTTP client
    /// panics on one.
    ///
    /// # Errors
    /// When no usable certificate is found.
    pub(super) fn load(&self) -> Result<Vec<Vec<u8>>, String> {
        let loaded = match self {
            Self::System => load_system_roots(),
            Self::Environment { file, directory } => {
                let file = file.as_ref().filter(|file| file.is_file());
                rustls_native_certs::load_certs_from_paths(file.map(PathBuf::as_path), Some(directory))
            }
            Self::Bundle { path, setting } => {
                let fail = |why: &str| {
                    format!("the CA bundle {} ({setting}) {why}; correct the setting or remove it", path.display())
                };
                // A pipe or a device could block, or never end.
                match std::fs::metadata(path) {
                    Ok(metadata) if !metadata.is_file() => return Err(fail("is not a regular file")),
                    Err(error) if error.kind() == ErrorKind::NotFound => return Err(fail("does not exist")),
                    _ => {}
                }
                let loaded = rustls_native_certs::load_certs_from_paths(Some(path), None);
                if let Some(error) = loaded.errors.first() {
                    return Err(fail(&format!("can't be read: {error}")));
                }
                if !loaded.certs.iter().any(is_usable) {
                    return Err(fail("has no certificates"));
                }
                loaded
            }
        };
        let certificates: Vec<Vec<u8>> =
            loaded.certs.iter().filter(|der| is_usable(der)).map(|der| der.to_vec()).collect();
        match certificates.is_empty() {
            true => Err(match self {
                Self::Environment { .. } => {
                    "SSL_CERT_FILE and SSL_CERT_DIR name no usable CA certificates; correct or unset them".to_owned()
                }
                _ => "this machine has no CA certificates to verify AWS with; install ca-certificates".to_owned(),
            }),
            false => Ok(certificates),
        }
    }
}

/// The system's certificates: on Linux the one bundle file, where there is one, since the directory beside it
/// holds the same certificates again, one file each.
fn load_system_roots() -> CertificateResult {
    #[cfg(target_os = "linux")]
    if let Some(file) = openssl_probe::probe().cert_file {
        return rustls_native_certs::load_certs_from_paths(Some(&file), None);
    }
    rustls_native_certs::load_native_certs()
}

fn is_usable(der: &rustls_pki_types::CertificateDer) -> bool {
    webpki::anchor_from_trusted_cert(der).is_ok()
}
