//! The lifetime of a token, and the minimum lifetime that remains.

use std::time::Duration;

use humantime::format_duration;

use super::account::check_duration;
use super::inputs::Inputs;
use crate::cli::lifetime;
use crate::error::Error;
use crate::target::Service;
use crate::token::LIFETIME;

/// Returns the lifetime of a new token. Fails if the setting is invalid or the service has no choice (exit 2). A default
/// for all targets applies only to those with a choice.
pub(super) fn resolve_lifetime(inputs: &Inputs, service: Service) -> Result<Duration, Error> {
    let configured = check_duration(inputs, "expires_in", lifetime)?;
    let Some(setting) = inputs.merged.get("expires_in") else { return Ok(LIFETIME) };
    match service {
        Service::Dsql => Ok(configured.unwrap_or(LIFETIME)),
        Service::Rds if setting.origin.name() == Some("[defaults]") => Ok(LIFETIME),
        Service::Rds => setting.check(|_| {
            Err(Error::usage(
                "expires_in: only tokens of Aurora DSQL can have another lifetime than 15 minutes; remove expires_in or \
                 --expires-in",
            ))
        }),
    }
}

/// Returns the minimum remaining lifetime of a token. The default is at most a third of the token's lifetime. Fails if
/// a configured minimum is not shorter than the lifetime (exit 2). `min_ttl` is that of a token of RDS.
pub(super) fn resolve_min_ttl(inputs: &Inputs, min_ttl: Duration, lifetime: Duration) -> Result<Duration, Error> {
    match inputs.merged.get("min_ttl") {
        None => Ok(min_ttl.min(lifetime / 3)),
        Some(_) if min_ttl < lifetime => Ok(min_ttl),
        Some(setting) => setting.check(|_| {
            Err(Error::usage(format!(
                "min_ttl {} is not shorter than the lifetime of the token, {}; use a shorter --min-ttl, or a longer \
                 --expires-in",
                format_duration(min_ttl),
                format_duration(lifetime)
            )))
        }),
    }
}
