//! AWS partitions: groups of regions with their own ARNs, DNS names and accounts.
//!
//! Source: `partitions.json` in botocore.

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Its name in ARNs, such as `aws-cn`.
    pub(crate) name: &'static str,
    /// The prefix of its regions' names.
    prefix: &'static str,
    pub(super) dns_suffix: &'static str,
    pub(super) dual_stack_suffix: &'static str,
    /// The endpoint of IAM, and the region that its requests are signed for.
    pub(super) iam: (&'static str, &'static str),
}

const fn partition(
    name: &'static str,
    prefix: &'static str,
    dns_suffix: &'static str,
    dual_stack_suffix: &'static str,
    iam: (&'static str, &'static str),
) -> Partition {
    Partition { name, prefix, dns_suffix, dual_stack_suffix, iam }
}

/// The partition of regions that match no other prefix.
const AWS: Partition = partition("aws", "", "amazonaws.com", "api.aws", ("iam.amazonaws.com", "us-east-1"));

const OTHERS: [Partition; 7] = [
    partition(
        "aws-cn",
        "cn-",
        "amazonaws.com.cn",
        "api.amazonwebservices.com.cn",
        ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ),
    partition("aws-us-gov", "us-gov-", "amazonaws.com", "api.aws", ("iam.us-gov.amazonaws.com", "us-gov-west-1")),
    partition("aws-iso", "us-iso-", "c2s.ic.gov", "api.aws.ic.gov", ("iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1")),
    partition(
        "aws-iso-b",
        "us-isob-",
        "sc2s.sgov.gov",
        "api.aws.scloud",
        ("iam.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
    ),
    partition(
        "aws-iso-e",
        "eu-isoe-",
        "cloud.adc-e.uk",
        "api.cloud-aws.adc-e.uk",
        ("iam.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"),
    ),
    partition(
        "aws-iso-f",
        "us-isof-",
        "csp.hci.ic.gov",
        "api.aws.hci.ic.gov",
        ("iam.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"),
    ),
    partition(
        "aws-eusc",
        "eusc-",
        "amazonaws.eu",
        "api.amazonwebservices.eu",
        ("iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ),
];

impl Partition {
    /// The partition of a region.
    pub(crate) fn of(region: &str) -> Self {
        OTHERS.into_iter().find(|partition| region.starts_with(partition.prefix)).unwrap_or(AWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_is_in_one_partition() {
        for (region, name) in [
            ("eu-west-1", "aws"),
            ("us-east-1", "aws"),
            ("il-central-1", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-iso-west-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-east-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(Partition::of(region).name, name, "{region}");
        }
    }
}
