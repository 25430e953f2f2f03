//! Where AWS's own services are reached: endpoint overrides, FIPS and dual-stack.
//!
//! Source: "Service-specific endpoints" and "Dual-stack and FIPS endpoints", AWS SDKs and tools reference
//! guide.

use aws_config::Region;
use http::Uri;

use super::profile::Profiles;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::host::Host;

/// The variables that lead the SDK's own providers elsewhere.
const ENDPOINT_VARIABLES: [&str; 4] =
    ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC"];

/// How AWS's services are reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    /// The endpoint of STS, where it is configured.
    pub(super) sts: Option<String>,
    pub(super) use_fips: bool,
    pub(super) use_dual_stack: bool,
    /// Their region, where it is configured.
    pub(super) region: Option<Region>,
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
        for variable in ENDPOINT_VARIABLES {
            host.var(variable).map(|url| check(variable, &url)).transpose()?;
        }
        let of_environment = || host.var("AWS_ENDPOINT_URL_STS").or_else(|| host.var("AWS_ENDPOINT_URL"));
        let of_profile = || {
            let (profiles, _) = profile?;
            let section = value("services").and_then(|name| profiles.service(&name, "sts", "endpoint_url"));
            section.map(str::to_owned).or_else(|| value("endpoint_url"))
        };
        let is_ignored = flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls");
        let sts = (!is_ignored).then(|| of_environment().or_else(of_profile)).flatten();
        if let Some(url) = &sts {
            check("endpoint_url", url)?;
        }
        let region = host.var("AWS_REGION").or_else(|| host.var("AWS_DEFAULT_REGION")).or_else(|| value("region"));
        Ok(Self {
            sts,
            use_fips: flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
            use_dual_stack: flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
            region: region.map(Region::new),
        })
    }

    /// Adds what decides who is asked.
    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Fingerprint {
        fingerprint
            .optional(self.sts.as_ref())
            .field([u8::from(self.use_fips), u8::from(self.use_dual_stack)])
            .optional(self.region.as_ref().map(Region::as_ref))
    }
}

fn check(name: &str, url: &str) -> Result<(), Error> {
    let uri: Option<Uri> = url.parse().ok();
    let is_url = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some_and(|a| !a.as_str().contains('@'))
    });
    if is_url {
        return Ok(());
    }
    Err(Error::usage(format!(
        "AWS configuration: {name} '{url}' is no URL such as https://sts.eu-west-1.amazonaws.com"
    )))
}
