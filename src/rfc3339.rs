//! Times in RFC 3339, and in the similar forms that AWS tools write.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Formats a time in UTC, with seconds.
pub(crate) fn format(time: OffsetDateTime) -> String {
    let description = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time.to_offset(UtcOffset::UTC).format(description).unwrap_or_default()
}

/// Formats a span of time with its two largest units, such as `2h 5m`.
pub(crate) fn format_span(span: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(span.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Parses a time in RFC 3339 or a similar form: a space instead of the `T`, `UTC` instead of the `Z`, an offset such as
/// `+0000`, or no offset, which means UTC. `None` if it is not a time.
pub(crate) fn parse(text: &str) -> Option<OffsetDateTime> {
    let (date, rest) = text.trim().split_at_checked("2026-01-31".len())?;
    let rest = rest.strip_prefix(['T', 't', ' '])?.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit() && !":.".contains(c)).unwrap_or(rest.len());
    let (time, offset) = rest.split_at(end);
    let offset = match offset.trim() {
        "" | "Z" | "z" | "UTC" | "GMT" => "Z".to_owned(),
        offset => {
            let digits = offset.strip_prefix(['+', '-'])?.replace(':', "");
            let (hours, minutes) = digits.split_at_checked(2)?;
            format!("{}{hours}:{}", &offset[..1], if minutes.is_empty() { "00" } else { minutes })
        }
    };
    OffsetDateTime::parse(&format!("{date}T{time}{offset}"), &Rfc3339).ok()
}

/// Quotes a text that is not a valid time. Returns `(not shown)` if it may be a secret in the wrong variable.
pub(crate) fn quote(text: &str) -> String {
    let is_like_a_time = text.len() <= 40 && text.chars().all(|c| c.is_ascii_digit() || "-:.+TtZzUC ".contains(c));
    if is_like_a_time || text.len() < 8 { format!("'{text}'") } else { "(not shown)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_times_are_parsed() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00UTC",
            " 2026-01-31 12:00:00 ",
            "2026-01-31T12:00:00",
            "2026-01-31t12:00:00z",
            "2026-01-31T12:00:00.000Z",
            "2026-01-31T12:00:00.123456789+00:00",
            "2026-01-31 12:00:00 UTC",
            "2026-01-31 12:00:00+0000",
            "2026-01-31T14:00:00+02:00",
            "2026-01-31T14:00:00 +0200",
            "2026-01-31T04:30:00-0730",
            "2026-01-31T13:00:00+01",
        ] {
            assert_eq!(parse(text).map(format).as_deref(), Some("2026-01-31T12:00:00Z"), "{text}");
        }
    }

    #[test]
    fn spans_have_at_most_two_units() {
        for (seconds, expected) in [(0, "0s"), (59, "59s"), (899, "14m 59s"), (7_501, "2h 5m"), (90_061, "1day 1h")] {
            assert_eq!(format_span(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn invalid_times_are_refused() {
        for text in [
            "",
            "soon",
            "2026-01-31",
            "12:00:00",
            "2026-13-31T12:00:00Z",
            "2026-01-31T25:00:00Z",
            "1769860800",
            "2026-01-31T12:00:00+",
            "2026-01-31T12:00:00+0",
            "2026-01-31T12:00:00 CET",
            "2026-01-31T12:00:00Z;x",
            "2026/01/31 12:00:00",
            "2026-01-31é12:00:00",
            "2026-01-31T12:00:00+ééé",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
