//! The check of the target: the endpoint, the engine, the region and its origin.

use std::net::IpAddr;

use super::check::{Check, Status};
use super::server::product_name;
use crate::escape::quote_argument;
use crate::lookup::query_cname;
use crate::percent::encode;
use crate::settings::Settings;
use crate::target::endpoint::{Endpoint, classify};
use crate::target::{Engine, Service, Target};

pub(super) fn check(settings: &Settings, engine: Result<Engine, String>) -> Check {
    let Settings { target, via, cname, region_origin, .. } = settings;
    let engine = match engine {
        Ok(engine) => engine,
        Err(message) => return Check::from_message("target", Status::Fail, message.trim_start_matches("target: ")),
    };
    let via = via.as_ref().map(|via| format!(" via {}:{}", via.host, via.port)).unwrap_or_default();
    let Target { host, region, .. } = target;
    let cname = cname.as_ref().map(|cname| format!("; {cname} is a CNAME of it")).unwrap_or_default();
    let product = match target.service() {
        Service::Rds => product_name(engine),
        Service::Dsql => "Aurora DSQL",
    };
    let finding = format!("{target}{via}, {product}{cname}; region {region}, from {region_origin}");
    match classify(host) {
        Endpoint::Global if region_origin != "--region" && !region_origin.contains("[target.") => {
            let finding = format!("{finding}; the endpoint of a global database needs the region of its writer");
            Check::warn("target", finding, "if the writer is in another region, use --region")
        }
        Endpoint::Foreign | Endpoint::UnknownRds => not_an_endpoint(settings, &finding),
        _ => Check::ok("target", finding),
    }
}

/// Returns the target as an argument of another command.
pub(super) fn format_argument(target: &Target) -> String {
    let Target { host, port, user, database, engine, .. } = target;
    let Some(engine) = engine else { return quote_argument(&format!("{user}@{host}:{port}")) };
    let database = database.as_ref().map(|database| format!("/{}", encode(database))).unwrap_or_default();
    quote_argument(&format!("{}://{}@{host}:{port}{database}", engine.name(), encode(user)))
}

/// Returns the result for a host that is not an RDS endpoint. With `--no-resolve`, the host may be a CNAME of one.
fn not_an_endpoint(settings: &Settings, finding: &str) -> Check {
    let Target { host, port, .. } = &settings.target;
    let is_name = host != "localhost" && host.parse::<IpAddr>().is_err();
    match is_name.then(|| query_cname(host, &settings.deadline).ok()?).flatten() {
        Some(endpoint) => Check::fail(
            "target",
            format!("{finding}; '{host}' is a CNAME of {endpoint}, and the server accepts only a token for that name"),
            format!("omit --no-resolve, or use --host {endpoint}"),
        ),
        None => Check::warn(
            "target",
            format!("{finding}; '{host}' is not an RDS endpoint, and servers accept only tokens for their endpoint"),
            format!("use the endpoint of the database as --host, and --via {host}:{port}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_argument_of_another_command() {
        for (engine, user, expected) in [
            (Some(Engine::Postgres), "app", "postgres://app@h.x:1/d"),
            (Some(Engine::Mysql), "a@b c", "'mysql://a%40b%20c@h.x:1/d'"),
            (None, "app", "app@h.x:1"),
        ] {
            let target = Target {
                host: "h.x".to_owned(),
                port: 1,
                user: user.to_owned(),
                database: Some("d".to_owned()),
                engine,
                region: "eu-west-1".to_owned(),
            };
            assert_eq!(format_argument(&target), expected);
        }
    }
}
