//! The first line of an option file or passfile, which names the target of its token.

use crate::target::Target;

const PREFIX: &str = "# rds-token: ";

/// The first line of a file with a token for `target`.
pub(super) fn heading(target: &Target) -> String {
    format!("{PREFIX}{target} {}\n", target.region)
}

/// Parses the first line: user, host, port and region. `None` if the file has no such line.
pub fn read_heading(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (target, region) = text.lines().next()?.strip_prefix(PREFIX)?.rsplit_once(' ')?;
    let (user, address) = target.rsplit_once('@')?;
    let (host, port) = address.rsplit_once(':')?;
    Some((user, host, port, region))
}
