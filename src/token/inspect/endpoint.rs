//! The endpoint and the user of a token.

use super::finding::Finding;
use crate::target::endpoint::{self, Endpoint};
use crate::target::{Service, is_valid_host, parse_port};

/// The valid parts of the endpoint in a token.
#[derive(Default)]
pub(super) struct Address {
    /// The host name as written.
    pub(super) host: Option<String>,
    /// The port.
    pub(super) port: Option<u16>,
    pub(super) findings: Vec<Finding>,
}

const SIGN_FOR_ENDPOINT: &str = "sign the token for the database's endpoint, and connect to the other address: \
     `rds-token connect --host ENDPOINT --via HOST:PORT`";

/// Parses the text before the `?`.
pub(super) fn parse(text: &str, kind: Service) -> Address {
    let mut address = Address::default();
    let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    if !matches!(path, "" | "/") {
        let problem = "the token has a path between its endpoint and its parameters";
        address.findings.push(Finding::error("path", problem, "sign the token for the path `/`"));
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    address.port = port.and_then(parse_port);
    address.findings.extend(check_port(port, address.port, kind));
    if is_valid_host(host) {
        address.host = Some(host.to_owned());
        address.findings.extend(check_host_case(host));
    } else {
        let problem = "the text before the parameters is not a host name with a port";
        address.findings.push(Finding::error("host", problem, "sign a new token for the database's endpoint"));
    }
    address
}

fn check_port(text: Option<&str>, port: Option<u16>, kind: Service) -> Option<Finding> {
    match (kind, text, port) {
        (Service::Dsql, Some(_), _) => {
            let problem = "the token has a port, but tokens of Aurora DSQL are signed for the host name alone";
            Some(Finding::error("port", problem, "sign the token without a port"))
        }
        (Service::Rds, None, _) => {
            let problem = "the token has no port, and the server expects one in the signature";
            Some(Finding::error("port", problem, "sign the token with the port of the database, such as 3306 or 5432"))
        }
        (Service::Rds, Some(_), None) => {
            let problem = "the port of the token is not a number from 1 to 65535";
            Some(Finding::error("port", problem, "sign the token with the port of the database, such as 3306 or 5432"))
        }
        (Service::Rds, Some(_), Some(443)) => {
            let problem = "the port is 443, which the AWS SDKs omit from the signature, so the server may refuse it";
            Some(Finding::warning("endpoint", problem, "use another port for the database"))
        }
        _ => None,
    }
}

fn check_host_case(host: &str) -> Option<Finding> {
    let problem = "the host name has upper-case letters, and SDKs differ in whether they sign it in lower case";
    let has_upper = host.bytes().any(|byte| byte.is_ascii_uppercase());
    has_upper.then(|| Finding::warning("host_case", problem, "sign the token for the host name in lower case"))
}

/// Checks that `host`, in lower case, is an endpoint of the service and in the region of the signature.
pub(super) fn check_host(host: &str, kind: Service, region: Option<&str>) -> Option<Finding> {
    let in_host = match kind {
        Service::Dsql => endpoint::dsql(host).map(|(_, region)| region).ok_or_else(not_dsql),
        Service::Rds => rds_region(host),
    };
    match (in_host, region) {
        (Err(finding), _) => Some(finding),
        (Ok(in_host), Some(region)) if in_host != region => {
            let problem = format!("the token is signed for the region {region}, but the host is in {in_host}");
            Some(Finding::error(
                "region_mismatch",
                problem,
                format!("sign the token for {in_host}: `--region {in_host}`"),
            ))
        }
        _ => None,
    }
}

fn not_dsql() -> Finding {
    let problem = "the token is signed for Aurora DSQL, but the host is not one of its endpoints";
    Finding::error("wrong_host", problem, "sign the token for the endpoint: `ID.dsql.REGION.on.aws`")
}

fn rds_region(host: &str) -> Result<&str, Finding> {
    Err(match endpoint::classify(host) {
        Endpoint::Rds(region) => return Ok(region),
        Endpoint::Global => {
            let problem = "the host is the endpoint of a global database, whose name has no region";
            Finding::warning("endpoint", problem, "check that the region of the token is that of its writer")
        }
        Endpoint::UnknownRds => {
            let problem = "the host name is not in a known form of RDS endpoints";
            Finding::warning("endpoint", problem, "compare it with the endpoint that the RDS console shows")
        }
        Endpoint::Dsql(_) => {
            let problem = "the host belongs to Aurora DSQL, which does not accept tokens of RDS";
            let remedy = format!("sign a token for Aurora DSQL: `rds-token USER@{host}`");
            Finding::error("wrong_host", problem, &remedy)
        }
        Endpoint::OtherService(service) => {
            let service = service.unwrap_or("an AWS service other than RDS");
            let problem = format!("the host belongs to {service}, which does not accept tokens of RDS");
            Finding::error("wrong_host", problem, SIGN_FOR_ENDPOINT)
        }
        Endpoint::Foreign if is_address(host) => {
            let problem = "the token is signed for an address or for localhost instead of the database's endpoint";
            Finding::error("wrong_host", problem, SIGN_FOR_ENDPOINT)
        }
        Endpoint::Foreign => {
            let problem = "the host is not an RDS endpoint: no server accepts a token that is signed for a CNAME";
            Finding::error("wrong_host", problem, SIGN_FOR_ENDPOINT)
        }
    })
}

fn is_address(host: &str) -> bool {
    !host.contains('.') || host.parse::<std::net::IpAddr>().is_ok()
}

/// Checks the user. `raw` is the percent-encoded value. `user` is the decoded one, or `None` if it can't be decoded.
pub(super) fn check_user(raw: Option<&str>, user: Option<&str>, kind: Service) -> Option<Finding> {
    let remedy = "sign a new token for the database user";
    let problem = match (kind, raw, user) {
        (Service::Rds, Some(""), _) => "the user (DBUser) is empty",
        (Service::Rds, _, Some(user)) if user.contains(char::is_control) => {
            "the user (DBUser) contains a control character, which user names can't contain"
        }
        (Service::Dsql, Some(_), _) => {
            let problem = "the token has a user (DBUser), which tokens of Aurora DSQL do not have";
            return Some(Finding::warning("unknown_parameter", problem, "sign a token for Aurora DSQL"));
        }
        _ => return None,
    };
    Some(Finding::error("user", problem, remedy))
}
