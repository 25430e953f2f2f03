//! JSON output: one line, in which every value is a string, as Terraform's `external` data source requires.

use std::time::Duration;

use serde::Serialize;

use crate::target::Target;
use crate::token::{Token, TokenSource};

#[derive(Serialize)]
struct Output<'a> {
    version: &'a str,
    token: &'a str,
    host: &'a str,
    port: String,
    user: &'a str,
    region: &'a str,
    expires_at: &'a str,
    ttl: String,
    source: TokenSource,
}

/// The line, without a newline. `expires_at` is in RFC 3339. `ttl` is printed in whole seconds.
pub fn render(target: &Target, token: &Token, expires_at: &str, ttl: Duration, source: TokenSource) -> String {
    let output = Output {
        version: "1",
        token: token.expose(),
        host: &target.host,
        port: target.port.to_string(),
        user: &target.user,
        region: &target.region,
        expires_at,
        ttl: ttl.as_secs().to_string(),
        source,
    };
    serde_json::to_string(&output).unwrap_or_default()
}
