//! Where AWS's own services are reached: endpoint overrides, FIPS and dual-stack.
//!
//! Source: "Service-specific endpoints" and "Dual-stack and FIPS endpoints", AWS SDKs and tools reference
//! guide.

use std::path::PathBuf;

use aws_config::Region;
use http::Uri;

use super::profile::Profiles;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::host::Host;

/// The services that give credentials, as `[services]` sections name them, and the variable for the endpoint.
const SERVICES: [(&str, &str); 4] = [
    ("sts", "AWS_ENDPOINT_URL_STS"),
    ("sso", "AWS_ENDPOINT_URL_SSO"),
    ("sso_oidc", "AWS_ENDPOINT_URL_SSO_OIDC"),
    ("signin", "AWS_ENDPOINT_URL_SIGNIN"),
];

/// How AWS's services are reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    /// The endpoints that are configured, in the order of [`SERVICES`].
    endpoints: [Option<String>; SERVICES.len()],
    pub(super) use_fips: bool,
    pub(super) use_dual_stack: bool,
    /// Their region, where it is configured.
    pub(super) region: Option<Region>,
    /// The roots to verify them by, in place of the system's.
    pub(super) ca_bundle: Option<PathBuf>,
}

impl Services {
    /// What the environment says, or else the profile.
    ///
    /// # Errors
    /// When an endpoint is no URL (exit 2).
    pub(super) fn find(host: &Host, profile: Option<(&Profiles, &str)>) -> Result<Self, Error> {
        let value = |key: &str| profile.and_then(|(profiles, name)| profiles.value(name, key)).map(str::to_owned);
        let is_true = |text: Option<String>| text.is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let flag = |variable: &str, key: &str| is_true(host.var(variable).or_else(|| value(key)));
        let section = |service: &str| {
            let (profiles, _) = profile?;
            profiles.service(&value("services")?, service, "endpoint_url").map(str::to_owned)
        };
        let is_ignored = flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls");
        let shared = host.var("AWS_ENDPOINT_URL");
        let mut endpoints = [const { None }; SERVICES.len()];
        for (endpoint, (service, variable)) in endpoints.iter_mut().zip(SERVICES).filter(|_| !is_ignored) {
            let of_environment = host.var(variable).or_else(|| shared.clone());
            *endpoint = of_environment.or_else(|| section(service)).or_else(|| value("endpoint_url"));
            endpoint.as_deref().map(|url| check(service, url)).transpose()?;
        }
        let region = host.var("AWS_REGION").or_else(|| host.var("AWS_DEFAULT_REGION")).or_else(|| value("region"));
        let of_profile = || Some(host.expand_home(&value("ca_bundle")?));
        Ok(Self {
            endpoints,
            use_fips: flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
            use_dual_stack: flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
            region: region.map(Region::new),
            ca_bundle: host.path_var("AWS_CA_BUNDLE").or_else(of_profile).or_else(|| roots_for_all(host)),
        })
    }

    /// The endpoint of `service`, one of [`SERVICES`], where it is configured.
    pub(super) fn endpoint(&self, service: &str) -> Option<&str> {
        SERVICES.iter().zip(&self.endpoints).find(|((name, _), _)| *name == service)?.1.as_deref()
    }

    /// Adds what decides who is asked.
    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        let fingerprint = self.endpoints.iter().fold(fingerprint, |f, url| f.optional(url.as_ref()));
        fingerprint
            .field([u8::from(self.use_fips), u8::from(self.use_dual_stack)])
            .optional(self.region.as_ref().map(Region::as_ref))
            .optional(self.ca_bundle.as_ref().map(|path| path.as_os_str().as_encoded_bytes()))
    }
}

/// The roots that the environment names for all programs, as OpenSSL has it.
fn roots_for_all(host: &Host) -> Option<PathBuf> {
    host.path_var("SSL_CERT_FILE").filter(|_| host.path_var("SSL_CERT_DIR").is_none())
}

fn check(service: &str, url: &str) -> Result<(), Error> {
    let uri: Option<Uri> = url.parse().ok();
    let is_url = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some_and(|a| !a.as_str().contains('@'))
    });
    if is_url {
        return Ok(());
    }
    Err(Error::usage(format!(
        "AWS configuration: the endpoint of {service}, '{url}', is no URL such as https://sts.eu-west-1.amazonaws.com"
    )))
}
