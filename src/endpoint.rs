//! What the host name of an RDS endpoint tells.
//!
//! Source of the shapes: the endpoint pages of the Amazon RDS and Aurora user guides, and the host
//! patterns of AWS's JDBC wrapper (`RdsUtils.java`).

/// The domains that AWS serves RDS under, one a partition.
const DOMAINS: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "amazonaws.au",
    "amazonaws.uk",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
];

/// The labels that stand for the service, beside the region.
const SERVICES: [&str; 2] = ["rds", "rds-fips"];

/// The region that an RDS host name tells, or none: a global endpoint, a CNAME, an address, or a name
/// that only looks like one of RDS. `host` is in lower case.
///
/// Both orders are served: `NAME.ID.REGION.rds.DOMAIN`, and `NAME.ID.rds.REGION.DOMAIN` in China,
/// GovCloud and the isolated partitions. The whole name is matched, label by label from its end.
pub fn region(host: &str) -> Option<&str> {
    let name = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain)?.strip_suffix('.'))?;
    let (rest, last) = name.rsplit_once('.')?;
    let (rest, before) = rest.rsplit_once('.')?;
    // An instance or cluster name and the account's id come first; without them it's no database.
    let is_database = rest.split('.').count() >= 2 && rest.split('.').all(|label| !label.is_empty());
    let region = if SERVICES.contains(&last) {
        before
    } else if SERVICES.contains(&before) {
        last
    } else {
        return None;
    };
    (is_database && is_region(region)).then_some(region)
}

/// Whether `text` has the form of a region's name: `eu-west-1`, `us-gov-east-1`, `us-isob-east-1`.
fn is_region(text: &str) -> bool {
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
    fn every_shape_of_endpoint_tells_its_region() {
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
        ] {
            assert_eq!(region(host), Some(expected), "{host}");
        }
    }

    #[test]
    fn lookalikes_and_other_names_tell_none() {
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
            assert_eq!(region(host), None, "{host}");
        }
    }
}
