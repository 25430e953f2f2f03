//! The check of the target: the endpoint, the engine, the region and its origin.

use super::check::{Check, Status};
use super::server::product;
use crate::settings::Settings;
use crate::target::endpoint::{Endpoint, classify};
use crate::target::{Engine, Target};

pub(super) fn check(settings: &Settings, engine: Result<Engine, String>) -> Check {
    let Settings { target, via, cname, region_origin, .. } = settings;
    let engine = match engine {
        Ok(engine) => engine,
        Err(message) => return Check::from_message("target", Status::Fail, message.trim_start_matches("target: ")),
    };
    let via = via.as_ref().map(|via| format!(" via {}:{}", via.host, via.port)).unwrap_or_default();
    let Target { host, region, .. } = target;
    let cname = cname.as_ref().map(|cname| format!("; {cname} is a CNAME of it")).unwrap_or_default();
    let finding = format!("{target}{via}, {}{cname}; region {region}, from {region_origin}", product(engine));
    match classify(host) {
        Endpoint::Global if region_origin != "--region" && !region_origin.contains("[target.") => {
            let finding = format!("{finding}; the endpoint of a global database needs the region of its writer");
            Check::warn("target", finding, "if the writer is in another region, use --region")
        }
        Endpoint::Foreign | Endpoint::UnknownRds => {
            let finding = format!(
                "{finding}; '{host}' is not an RDS endpoint, and no server accepts a token signed for another name"
            );
            let remedy = format!("use the endpoint of the database as --host, and --via {host}:{}", target.port);
            Check::warn("target", finding, remedy)
        }
        _ => Check::ok("target", finding),
    }
}
