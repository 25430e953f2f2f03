//! Times as text (RFC 3339), as this program and the AWS tools write them.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// A time to the second, in UTC.
pub fn format(time: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time.to_offset(UtcOffset::UTC).format(form).unwrap_or_default()
}

/// Reads a time. Some of the AWS tools write `UTC` in place of `Z`.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    let text = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |start| format!("{start}Z"));
    OffsetDateTime::parse(&text, &Rfc3339).ok()
}
