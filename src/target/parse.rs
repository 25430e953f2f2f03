//! Parses a positional TARGET.

use super::spec::{TargetSpec, split_optional};
use super::url;
use crate::error::Error;

impl TargetSpec {
    /// Parses a positional TARGET: `[USER@]HOST[:PORT][/DATABASE]` or a URL. Errors name the invalid part (exit 2).
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.split_once("://") {
            Some((scheme, rest)) => url::parse(scheme, rest),
            None => Self::parse_host_form(text),
        }
    }

    /// Splits at the last `@`, because a user name may contain `/`, `:` and `@`, and a host can't.
    fn parse_host_form(text: &str) -> Result<Self, Error> {
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (authority, database) = split_optional(rest, '/');
        let (host, port) = split_optional(authority, ':');
        Ok(Self {
            host: Some(host.to_owned()),
            port: port.map(str::to_owned),
            user: user.map(str::to_owned),
            database: database.map(str::to_owned),
            engine: None,
        })
    }
}
