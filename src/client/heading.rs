//! The forms that a token is handed out in, one file each. A sink escapes what it is given, or refuses
//! it; none does I/O.

use crate::target::Target;

/// What the first line of a client's file begins with; it says whose token the file has.
const HEADING: &str = "# rds-token: ";

/// The first line of a client's file.
pub(super) fn heading(target: &Target) -> String {
    format!("{HEADING}{target} {}\n", target.region)
}

/// Whose token a client's file has: user, host, port and region. None for other files.
pub fn read_heading(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (target, region) = text.lines().next()?.strip_prefix(HEADING)?.rsplit_once(' ')?;
    let (user, address) = target.rsplit_once('@')?;
    let (host, port) = address.rsplit_once(':')?;
    Some((user, host, port, region))
}
