//! The URL of a service.
//!
//! Source: the endpoint rule sets of these services in botocore (`endpoint-rule-set-1.json`).

use super::partition::Partition;
use super::service::{IAM, LOGS, RDS, STS, Service};
use crate::aws::endpoints::EndpointConfig;
use crate::error::Error;
use crate::region_name::is_region_name;

/// Returns the region. Fails if it is not one label of a host name, because it becomes a part of the URL (exit 2).
pub(super) fn check_region(region: &str) -> Result<&str, Error> {
    match is_region_name(region) {
        true => Ok(region),
        false => Err(Error::usage(format!(
            "region: '{region}' is not the name of a region; use --region with a name such as eu-west-1"
        ))),
    }
}

/// Returns the URL of a service, and the region that its requests are signed for.
pub(super) fn url(service: &Service, region: &str, endpoints: &EndpointConfig) -> (String, String) {
    let (default, signing_region) = default_url(service, region, endpoints);
    let configured = endpoints.endpoint(service.setting).map(|url| format!("{}/", url.trim_end_matches('/')));
    (configured.unwrap_or(default), signing_region)
}

fn default_url(service: &Service, region: &str, endpoints: &EndpointConfig) -> (String, String) {
    let partition = Partition::of(region);
    let Service { name, .. } = service;
    if *name == IAM.name {
        let (host, signing_region) = partition.iam;
        let host = match host {
            "iam.amazonaws.com" if endpoints.use_fips => "iam-fips.amazonaws.com",
            host => host,
        };
        return (format!("https://{host}/"), signing_region.to_owned());
    }
    // In GovCloud, the ordinary endpoints of these services comply with FIPS.
    let is_compliant =
        partition.name == "aws-us-gov" && !endpoints.use_dual_stack && [RDS.name, STS.name, LOGS.name].contains(name);
    let fips = if endpoints.use_fips && !is_compliant { "-fips" } else { "" };
    let suffix = if endpoints.use_dual_stack { partition.dual_stack_suffix } else { partition.dns_suffix };
    (format!("https://{name}{fips}.{region}.{suffix}/"), region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::service::SECRETS;
    use super::*;

    #[test]
    fn only_a_label_is_a_region() {
        for region in ["eu-west-1", "us-isob-east-1", "r"] {
            assert_eq!(check_region(region).unwrap(), region);
        }
        for region in ["", "evil.test/#", "evil.test", "a b", "a@b", "EU-west-1", "é", &"x".repeat(64)] {
            assert!(check_region(region).is_err(), "{region}");
        }
    }

    #[test]
    fn each_service_has_its_endpoint() {
        for (service, region, use_fips, use_dual_stack, expected) in [
            (RDS, "eu-west-1", false, false, "https://rds.eu-west-1.amazonaws.com/ eu-west-1"),
            (RDS, "us-east-1", true, false, "https://rds-fips.us-east-1.amazonaws.com/ us-east-1"),
            (RDS, "us-east-1", false, true, "https://rds.us-east-1.api.aws/ us-east-1"),
            (RDS, "us-gov-west-1", true, false, "https://rds.us-gov-west-1.amazonaws.com/ us-gov-west-1"),
            (RDS, "cn-north-1", false, false, "https://rds.cn-north-1.amazonaws.com.cn/ cn-north-1"),
            (STS, "cn-north-1", false, false, "https://sts.cn-north-1.amazonaws.com.cn/ cn-north-1"),
            (STS, "us-west-2", true, false, "https://sts-fips.us-west-2.amazonaws.com/ us-west-2"),
            (IAM, "eu-west-1", false, false, "https://iam.amazonaws.com/ us-east-1"),
            (IAM, "eu-west-1", true, false, "https://iam-fips.amazonaws.com/ us-east-1"),
            (IAM, "cn-northwest-1", false, false, "https://iam.cn-north-1.amazonaws.com.cn/ cn-north-1"),
            (IAM, "us-gov-east-1", true, false, "https://iam.us-gov.amazonaws.com/ us-gov-west-1"),
            (LOGS, "eu-west-1", true, true, "https://logs-fips.eu-west-1.api.aws/ eu-west-1"),
            (SECRETS, "us-iso-east-1", false, false, "https://secretsmanager.us-iso-east-1.c2s.ic.gov/ us-iso-east-1"),
        ] {
            let endpoints = EndpointConfig { use_fips, use_dual_stack, ..EndpointConfig::default() };
            let (url, region) = default_url(&service, region, &endpoints);
            assert_eq!(format!("{url} {region}"), expected);
        }
    }
}
