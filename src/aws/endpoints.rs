//! Settings for requests to AWS services: endpoint URLs, region, FIPS, dual-stack and CA certificates.
//!
//! Source: "Service-specific endpoints", "Dual-stack and FIPS endpoints" and "IMDS credential provider", AWS SDKs
//! and tools reference guide.

use std::path::PathBuf;

use aws_config::Region;
use http::Uri;

use super::ca_certificates::Roots;
use super::profile_files::Profiles;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::os::env::Env;

/// The names of services in `[services]` sections, each with the variable for its endpoint. Only the first four services
/// return credentials.
const SERVICES: [(&str, &str); 8] = [
    ("sts", "AWS_ENDPOINT_URL_STS"),
    ("sso", "AWS_ENDPOINT_URL_SSO"),
    ("sso_oidc", "AWS_ENDPOINT_URL_SSO_OIDC"),
    ("signin", "AWS_ENDPOINT_URL_SIGNIN"),
    ("rds", "AWS_ENDPOINT_URL_RDS"),
    ("iam", "AWS_ENDPOINT_URL_IAM"),
    ("cloudwatch_logs", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"),
    ("secrets_manager", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
];

#[derive(Clone, Debug, Default)]
pub(super) struct EndpointConfig {
    /// The configured endpoints, in the order of [`SERVICES`].
    pub(super) endpoints: [Option<String>; SERVICES.len()],
    pub(super) use_fips: bool,
    pub(super) use_dual_stack: bool,
    pub(super) region: Option<Region>,
    pub(super) roots: Roots,
    /// The configured endpoint of the EC2 metadata service.
    pub(super) metadata_endpoint: Option<String>,
    /// The endpoint of the EC2 metadata service, if none is configured.
    pub(super) metadata_default: &'static str,
}

impl EndpointConfig {
    /// Reads the settings from the environment, else from the profile. Fails if a setting is unusable (exit 2).
    pub(super) fn read(env: &Env, profiles: &Profiles, profile: &str) -> Result<Self, Error> {
        let value = |key: &str| profiles.value(profile, key).map(str::to_owned);
        let setting = |variable: &str, key: &str| env.var(variable).or_else(|| value(key));
        let flag = |variable, key| setting(variable, key).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let services = value("services");
        if let Some(name) = services.as_ref().filter(|name| profiles.services(name).is_none()) {
            return Err(Error::usage(format!(
                "AWS configuration: profile '{profile}' has services = {name}, but the section \
                 [services {name}] is missing in {}; add it",
                profiles.paths[0].display()
            )));
        }
        let services_value =
            |service| profiles.services(services.as_ref()?)?.nested(service, "endpoint_url").map(str::to_owned);
        let is_ignored = flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls");
        let common = env.var("AWS_ENDPOINT_URL");
        let mut endpoints = [const { None }; SERVICES.len()];
        for (endpoint, (service, variable)) in endpoints.iter_mut().zip(SERVICES).filter(|_| !is_ignored) {
            let variable = env.var(variable).or_else(|| common.clone());
            *endpoint = variable.or_else(|| services_value(service)).or_else(|| value("endpoint_url"));
            check_url(service, endpoint.as_deref())?;
        }
        let metadata_endpoint = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
        check_url("the EC2 metadata service", metadata_endpoint.as_deref())?;
        let mode = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
        let region = env.var("AWS_REGION").or_else(|| env.var("AWS_DEFAULT_REGION")).or_else(|| value("region"));
        Ok(Self {
            endpoints,
            use_fips: flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
            use_dual_stack: flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
            region: region.map(Region::new),
            roots: roots(env, value("ca_bundle")),
            metadata_endpoint,
            metadata_default: metadata_default(mode.as_deref())?,
        })
    }

    /// The configured endpoint of `service`, one of [`SERVICES`].
    pub(super) fn endpoint(&self, service: &str) -> Option<&str> {
        SERVICES.iter().zip(&self.endpoints).find(|((name, _), _)| *name == service)?.1.as_deref()
    }

    /// Adds every setting that decides which server receives the requests.
    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        let path = |path: &PathBuf| path.as_os_str().as_encoded_bytes().to_owned();
        let (file, directory) = match &self.roots {
            Roots::System => (None, None),
            Roots::Bundle { path: file, .. } => (Some(path(file)), None),
            Roots::Environment { file, directory } => (file.as_ref().map(path), Some(path(directory))),
        };
        let fingerprint = self.endpoints.iter().fold(fingerprint, |f, url| f.optional(url.as_ref()));
        fingerprint
            .field([u8::from(self.use_fips), u8::from(self.use_dual_stack)])
            .optional(self.region.as_ref().map(Region::as_ref))
            .optional(file)
            .optional(directory)
            .optional(self.metadata_endpoint.as_ref())
            .field(self.metadata_default)
    }
}

/// Returns the location of the CA certificates: `AWS_CA_BUNDLE`, else the profile's bundle, else OpenSSL's variables
/// for all programs, else the system's.
fn roots(env: &Env, ca_bundle: Option<String>) -> Roots {
    let bundle = |path, setting| Roots::Bundle { path, setting };
    if let Some(path) = env.path_var("AWS_CA_BUNDLE") {
        return bundle(path, "AWS_CA_BUNDLE");
    }
    if let Some(path) = ca_bundle {
        return bundle(env.expand_home(&path), "ca_bundle in the profile");
    }
    match (env.path_var("SSL_CERT_FILE"), env.path_var("SSL_CERT_DIR")) {
        (file, Some(directory)) => Roots::Environment { file, directory },
        (Some(path), None) => bundle(path, "SSL_CERT_FILE"),
        (None, None) => Roots::System,
    }
}

/// Returns the default address of the EC2 metadata service.
fn metadata_default(mode: Option<&str>) -> Result<&'static str, Error> {
    match mode.unwrap_or("IPv4") {
        mode if mode.eq_ignore_ascii_case("IPv4") => Ok("http://169.254.169.254"),
        mode if mode.eq_ignore_ascii_case("IPv6") => Ok("http://[fd00:ec2::254]"),
        other => Err(Error::usage(format!(
            "AWS configuration: the EC2 metadata service endpoint mode is '{other}'; set \
             AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE (or ec2_metadata_service_endpoint_mode in the profile) to IPv4 or \
             IPv6"
        ))),
    }
}

/// Checks that a configured endpoint is an HTTP or HTTPS URL without a user name.
fn check_url(service: &str, url: Option<&str>) -> Result<(), Error> {
    let has_host = |uri: &Uri| uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let is_url = |uri: Uri| matches!(uri.scheme_str(), Some("http" | "https")) && has_host(&uri);
    let Some(url) = url.filter(|url| !url.parse().is_ok_and(is_url)) else { return Ok(()) };
    // The text before the last `@` may be a password.
    let shown = url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, rest)| format!("…@{rest}"));
    Err(Error::usage(format!(
        "AWS configuration: the endpoint of {service}, '{shown}', is not a URL such as \
         https://sts.eu-west-1.amazonaws.com"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::profile_files::tests::{environment, files};

    fn find(vars: &[(&str, &str)], config: &str) -> Result<EndpointConfig, String> {
        let (_home, env) = environment(vars, config, "");
        EndpointConfig::read(&env, files(&env).get(&env).unwrap(), "default")
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn endpoints_come_from_variables_then_from_the_services_section_then_from_the_profile() {
        let services = "[default]\nservices = s\nendpoint_url = http://profile\n\
            [services s]\nsts =\n  endpoint_url = http://services\n";
        let (common, sts) = (("AWS_ENDPOINT_URL", "http://common"), ("AWS_ENDPOINT_URL_STS", "http://sts"));
        let ignore = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE");
        for (vars, config, expected_sts, expected_sso) in [
            (&[][..], "", None, None),
            (&[sts, common], services, Some("http://sts"), Some("http://common")),
            (&[common], services, Some("http://common"), Some("http://common")),
            (&[], services, Some("http://services"), Some("http://profile")),
            (&[], "[default]\nendpoint_url = http://profile\n", Some("http://profile"), Some("http://profile")),
            (&[ignore, sts, common], services, None, None),
        ] {
            let endpoints = find(vars, config).unwrap();
            assert_eq!(
                (endpoints.endpoint("sts"), endpoints.endpoint("sso")),
                (expected_sts, expected_sso),
                "{vars:?}"
            );
        }
    }

    #[test]
    fn unusable_settings_are_errors_without_passwords() {
        for (vars, config, expected) in [
            (
                &[("AWS_ENDPOINT_URL", "sts.example.com")][..],
                "",
                "the endpoint of sts, 'sts.example.com', is not a URL",
            ),
            (&[("AWS_ENDPOINT_URL_SSO", "ftp://x")], "", "the endpoint of sso, 'ftp://x', is not a URL"),
            (&[("AWS_ENDPOINT_URL", "http://u:pw@x/")], "", "the endpoint of sts, '…@x/', is not a URL"),
            (
                &[],
                "[default]\nec2_metadata_service_endpoint = x\n",
                "the endpoint of the EC2 metadata service, 'x', is",
            ),
            (
                &[],
                "[default]\nec2_metadata_service_endpoint_mode = ipv5\n",
                "the EC2 metadata service endpoint mode is",
            ),
            (
                &[],
                "[default]\nservices = s\n",
                "profile 'default' has services = s, but the section [services s] is missing in ",
            ),
        ] {
            let error = find(vars, config).unwrap_err();
            assert!(error.starts_with(&format!("AWS configuration: {expected}")), "{error}");
        }
    }

    #[test]
    fn ca_certificates_come_from_aws_settings_then_from_openssl_variables() {
        let bundle = |path: &str, setting| Roots::Bundle { path: path.into(), setting };
        let (aws, file, directory) = (("AWS_CA_BUNDLE", "/aws"), ("SSL_CERT_FILE", "/file"), ("SSL_CERT_DIR", "/dir"));
        let profile = "[default]\nca_bundle = /profile\n";
        for (vars, config, expected) in [
            (&[][..], "", Roots::System),
            (&[aws, file, directory], profile, bundle("/aws", "AWS_CA_BUNDLE")),
            (&[file, directory], profile, bundle("/profile", "ca_bundle in the profile")),
            (&[file, directory], "", Roots::Environment { file: Some("/file".into()), directory: "/dir".into() }),
            (&[directory], "", Roots::Environment { file: None, directory: "/dir".into() }),
            (&[file], "", bundle("/file", "SSL_CERT_FILE")),
        ] {
            assert_eq!(find(vars, config).unwrap().roots, expected, "{vars:?}");
        }
    }

    #[test]
    fn other_settings_come_from_variables_then_from_the_profile() {
        let config =
            "[default]\nregion = profile\nuse_fips_endpoint = true\nec2_metadata_service_endpoint_mode = ipv6\n";
        let vars = [
            ("AWS_DEFAULT_REGION", "default"),
            ("AWS_USE_FIPS_ENDPOINT", "false"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "True"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv4"),
            ("AWS_REGION", "region"),
        ];
        for (vars, region, use_fips, use_dual_stack, metadata) in [
            (&vars[..0], "profile", true, false, "http://[fd00:ec2::254]"),
            (&vars[..4], "default", false, true, "http://169.254.169.254"),
            (&vars, "region", false, true, "http://169.254.169.254"),
        ] {
            let found = find(vars, config).unwrap();
            assert_eq!(found.region, Some(Region::new(region)));
            assert_eq!((found.use_fips, found.use_dual_stack), (use_fips, use_dual_stack), "{vars:?}");
            assert_eq!(found.metadata_default, metadata);
        }
    }
}
