//! The AWS service and region in a host name.
//!
//! Source of the forms: the endpoint pages of the Amazon RDS and Aurora user guides, the host patterns of AWS's JDBC
//! wrapper (`RdsUtils.java`), `partitions.json` in botocore, and "Managing and connecting to Amazon Aurora DSQL clusters
//! using AWS PrivateLink" in the Aurora DSQL user guide.

/// The domains of RDS endpoints, one for each partition.
const DOMAINS: [&str; 9] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "amazonaws.au",
    "amazonaws.uk",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// The domain of Aurora DSQL, with its dot.
const DSQL_DOMAIN: &str = ".on.aws";

const OTHER_DOMAINS: [&str; 3] = ["on.aws", "api.aws", "api.amazonwebservices.com.cn"];

/// The labels of RDS in a host name. One of them is next to the region.
const RDS_LABELS: [&str; 2] = ["rds", "rds-fips"];

/// The kind of endpoint that a host name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint<'a> {
    /// RDS, Aurora or RDS Proxy, in this region.
    Rds(&'a str),
    /// A cluster of Aurora DSQL, in this region.
    Dsql(&'a str),
    /// An Aurora global database, whose name has no region.
    Global,
    /// A host name of RDS in an unknown form.
    UnknownRds,
    /// Another AWS service, with its name if known.
    OtherService(Option<&'static str>),
    /// Not a host name of AWS: a CNAME, a tunnel, an address.
    Foreign,
}

/// Classifies a host name in lower case.
///
/// RDS uses two forms: `NAME.ID.REGION.rds.DOMAIN`, and `NAME.ID.rds.REGION.DOMAIN` in China, GovCloud and the isolated
/// partitions. The whole name is matched, label by label from its end, so that a similar name of another domain does
/// not match.
pub(crate) fn classify(host: &str) -> Endpoint<'_> {
    let without_domain = |domain: &&str| host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    let Some(name) = DOMAINS.iter().find_map(without_domain) else {
        return match OTHER_DOMAINS.iter().find_map(without_domain) {
            Some(name) => match dsql(host) {
                Some((_, region)) => Endpoint::Dsql(region),
                None => Endpoint::OtherService(other_service(name)),
            },
            None => Endpoint::Foreign,
        };
    };
    let has_rds_label = || name.split('.').any(|label| RDS_LABELS.contains(&label));
    match rds_region(name) {
        Some("global") => Endpoint::Global,
        Some(region) => Endpoint::Rds(region),
        None if has_rds_label() => Endpoint::UnknownRds,
        None => Endpoint::OtherService(other_service(name)),
    }
}

/// Whether a host name in lower case is the endpoint of an RDS Proxy: `NAME.proxy-ID.REGION.rds.DOMAIN`, or
/// `NAME.endpoint.proxy-ID.…` for one of its additional endpoints.
pub(crate) fn is_proxy(host: &str) -> bool {
    matches!(classify(host), Endpoint::Rds(_)) && host.split('.').any(|label| label.starts_with("proxy-"))
}

/// Returns the cluster's id and the region in a host name of Aurora DSQL, in lower case: `ID.dsql.REGION.on.aws`, or
/// `ID.dsql-SUFFIX.REGION.on.aws` for a VPC endpoint. `None` for other names.
pub(crate) fn dsql(host: &str) -> Option<(&str, &str)> {
    let labels: Vec<&str> = host.strip_suffix(DSQL_DOMAIN)?.split('.').collect();
    let [id, service, region] = labels[..] else { return None };
    let is_dsql = service == "dsql" || service.strip_prefix("dsql-").is_some_and(|suffix| !suffix.is_empty());
    (is_dsql && !id.is_empty() && is_region(region)).then_some((id, region))
}

/// Whether a host name, in any case, is in the domain of Aurora DSQL.
pub(super) fn has_dsql_domain(host: &str) -> bool {
    let start = host.len().saturating_sub(DSQL_DOMAIN.len());
    host.as_bytes()[start..].eq_ignore_ascii_case(DSQL_DOMAIN.as_bytes())
}

/// The region in the part of a host name before the domain, or `global`. `None` if it is not the name of a database.
fn rds_region(name: &str) -> Option<&str> {
    let (rest, last) = name.rsplit_once('.')?;
    let (rest, second_last) = rest.rsplit_once('.')?;
    // The name of a database begins with the instance or cluster and the account's id.
    let is_database = rest.split('.').count() >= 2 && rest.split('.').all(|label| !label.is_empty());
    let region = if RDS_LABELS.contains(&last) {
        second_last
    } else if RDS_LABELS.contains(&second_last) {
        last
    } else {
        return None;
    };
    (is_database && (is_region(region) || region == "global")).then_some(region)
}

/// The name of another AWS service in messages, by its last label in a host name: databases that do not accept RDS
/// tokens, and services that often front a database.
fn other_service(name: &str) -> Option<&'static str> {
    name.rsplit('.').find_map(|label| match label {
        _ if label == "dsql" || label.starts_with("dsql-") => Some("Aurora DSQL"),
        "redshift" => Some("Redshift"),
        "redshift-serverless" => Some("Redshift Serverless"),
        "cache" | "serverless" => Some("ElastiCache"),
        "memorydb" => Some("MemoryDB"),
        "docdb" | "docdb-elastic" => Some("DocumentDB"),
        "neptune" => Some("Neptune"),
        "neptune-graph" => Some("Neptune Analytics"),
        "es" | "aos" => Some("OpenSearch"),
        "aoss" => Some("OpenSearch Serverless"),
        "dynamodb" => Some("DynamoDB"),
        "cassandra" => Some("Keyspaces"),
        "timestream" => Some("Timestream"),
        "elb" => Some("a load balancer"),
        "vpce" => Some("a VPC endpoint"),
        "compute" => Some("EC2"),
        _ => None,
    })
}

/// Whether `text` has the form of a region's name: `eu-west-1`, `us-gov-east-1`, `us-isob-east-1`.
pub(crate) fn is_region(text: &str) -> bool {
    let labels: Vec<&str> = text.split('-').collect();
    let [area, middle @ .., number] = labels.as_slice() else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    is_word(area)
        && (2..=4).contains(&area.len())
        && (1..=2).contains(&middle.len())
        && middle.iter().all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_endpoint_has_its_region() {
        for (host, expected) in [
            ("db.abc123.eu-west-1.rds.amazonaws.com", "eu-west-1"),
            ("c.cluster-abc123.ap-southeast-2.rds.amazonaws.com", "ap-southeast-2"),
            ("c.cluster-ro-abc123.us-east-2.rds.amazonaws.com", "us-east-2"),
            ("a.cluster-custom-abc123.us-east-2.rds.amazonaws.com", "us-east-2"),
            ("p.proxy-abc123.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1"),
            ("ro.endpoint.proxy-abc123.us-east-1.rds.amazonaws.com", "us-east-1"),
            ("s.shardgrp-abc123.us-east-1.rds.amazonaws.com", "us-east-1"),
            ("db-green-x1y2z3.abc123.us-east-1.rds.amazonaws.com", "us-east-1"),
            ("db.abc123.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("db.abc123.cn-northwest-1.rds.amazonaws.com.cn", "cn-northwest-1"),
            ("c.cluster-ro-abc123.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("db.abc123.rds.us-gov-east-1.amazonaws.com", "us-gov-east-1"),
            ("db.abc123.us-east-1.rds-fips.amazonaws.com", "us-east-1"),
            ("db.abc123.rds-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("db.abc123.eusc-de-east-1.rds.amazonaws.eu", "eusc-de-east-1"),
            ("db.abc123.ap-southeast-2.rds.amazonaws.au", "ap-southeast-2"),
            ("db.abc123.eu-west-2.rds.amazonaws.uk", "eu-west-2"),
            ("db.abc123.rds.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
            ("db.abc123.us-isob-east-1.rds.sc2s.sgov.gov", "us-isob-east-1"),
            ("db.abc123.eu-isoe-west-1.rds.cloud.adc-e.uk", "eu-isoe-west-1"),
            ("db.abc123.rds.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"),
        ] {
            assert_eq!(classify(host), Endpoint::Rds(expected), "{host}");
        }
    }

    #[test]
    fn similar_names_have_no_region() {
        for host in [
            "x.rds.amazonaws.com.evil.com",
            "db.abc123.eu-west-1.rds.amazonaws.com.evil.com",
            "db.abc123.eu-west-1.evil-rds.amazonaws.com",
            "db.abc123.eu-west-1.rds-evil.amazonaws.com",
            "db.abc123.eu-west-1.rdsx.amazonaws.com",
            "db.abc123.eu-west-1.xrds.amazonaws.com",
            "evil-rds.amazonaws.com",
            "db.abc123.eu-west-1.rds.evilamazonaws.com",
            "db.abc123.eu-west-1.rds.amazonaws.com.",
            "db.abc123.eu-west-1.rds.amazonaws.comm",
            "db.abc123.eu-west-1.rds.amazonaws.co",
            "db.abc123.eu-west-1.rds.amazonaws.org",
            "db.abc123.eu-west-1.rds.amazonaws.cn",
            "db.abc123.eu-west-1.rds.amazonaws.com.cn.evil.cn",
            "db.abc123.eu-west-1.rds.amazonaws-com.com",
            "db.abc123.eu-west-1.rds.c2s.ic.gov.evil.com",
            "db.abc123.eu-west-1.rds.xc2s.ic.gov",
            "db.abc123.eu-west-1.rds.fake.sgov.gov",
            "eu-west-1.rds.amazonaws.com",
            "abc123.eu-west-1.rds.amazonaws.com",
            "rds.eu-west-1.amazonaws.com",
            "rds.amazonaws.com",
            "amazonaws.com",
            ".eu-west-1.rds.amazonaws.com",
            "db..eu-west-1.rds.amazonaws.com",
            "db.abc123.eu-west-1.x.rds.amazonaws.com",
            "db.abc123.eu-west-1.ec2.amazonaws.com",
            "db.abc123.eu_west_1.rds.amazonaws.com",
            "db.abc123.euwest1.rds.amazonaws.com",
            "db.abc123.eu-west-.rds.amazonaws.com",
            "db.abc123.eu--1.rds.amazonaws.com",
            "db.abc123.eu-west-1234.rds.amazonaws.com",
            "x.global-abc123.global.rds.amazonaws.com",
            "db.example.com",
            "localhost",
            "127.0.0.1",
            "",
        ] {
            assert!(!matches!(classify(host), Endpoint::Rds(_)), "{host}");
        }
    }

    #[test]
    fn a_dsql_host_has_an_id_and_a_region() {
        for (host, expected) in [
            ("abc123.dsql.eu-west-1.on.aws", Some(("abc123", "eu-west-1"))),
            ("abc123.dsql-fnh4.us-east-1.on.aws", Some(("abc123", "us-east-1"))),
            ("dsql.eu-west-1.api.aws", None),
            ("dsql.eu-west-1.on.aws", None),
            (".dsql.eu-west-1.on.aws", None),
            ("abc123.dsqlx.eu-west-1.on.aws", None),
            ("abc123.dsql-.eu-west-1.on.aws", None),
            ("abc123.dsql.nowhere.on.aws", None),
            ("abc123.dsql.eu-west-1.on.aws.evil.com", None),
            ("x.abc123.dsql.eu-west-1.on.aws", None),
        ] {
            assert_eq!(dsql(host), expected, "{host}");
        }
    }

    #[test]
    fn other_hosts_are_classified() {
        use Endpoint::{Foreign, Global, OtherService, UnknownRds};
        for (host, expected) in [
            ("x.global-abc123.global.rds.amazonaws.com", Global),
            ("w.abc123.eu-west-1.redshift.amazonaws.com", OtherService(Some("Redshift"))),
            ("w.123456789012.eu-west-1.redshift-serverless.amazonaws.com", OtherService(Some("Redshift Serverless"))),
            ("c.abc123.ng.0001.euw1.cache.amazonaws.com", OtherService(Some("ElastiCache"))),
            ("c-abc123.serverless.euw1.cache.amazonaws.com", OtherService(Some("ElastiCache"))),
            ("clustercfg.m.abc123.memorydb.eu-west-1.amazonaws.com", OtherService(Some("MemoryDB"))),
            ("d.cluster-abc123.eu-west-1.docdb.amazonaws.com", OtherService(Some("DocumentDB"))),
            ("n.cluster-abc123.eu-west-1.neptune.amazonaws.com", OtherService(Some("Neptune"))),
            ("n.cluster-abc123.neptune.cn-north-1.amazonaws.com.cn", OtherService(Some("Neptune"))),
            ("search-s-abc123.eu-west-1.es.amazonaws.com", OtherService(Some("OpenSearch"))),
            ("search-s-abc123.aos.eu-west-1.on.aws", OtherService(Some("OpenSearch"))),
            ("abc123.dsql.eu-west-1.on.aws", Endpoint::Dsql("eu-west-1")),
            ("abc123.dsql-fnh4.us-east-1.on.aws", Endpoint::Dsql("us-east-1")),
            ("abc123.dsql.nowhere.on.aws", OtherService(Some("Aurora DSQL"))),
            ("dsql.eu-west-1.api.aws", OtherService(Some("Aurora DSQL"))),
            ("nlb-abc123.elb.eu-west-1.amazonaws.com", OtherService(Some("a load balancer"))),
            ("ec2-1-2-3-4.eu-west-1.compute.amazonaws.com", OtherService(Some("EC2"))),
            ("sts.eu-west-1.amazonaws.com", OtherService(None)),
            ("rds.eu-west-1.amazonaws.com", UnknownRds),
            ("db.abc123.somewhere.rds.amazonaws.com", UnknownRds),
            ("db.abc123.eu-west-1.rds.amazonaws.com.evil.com", Foreign),
            ("db.example.com", Foreign),
            ("10.0.0.1", Foreign),
        ] {
            assert_eq!(classify(host), expected, "{host}");
        }
    }
}
