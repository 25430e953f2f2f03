//! Log events (`logs:FilterLogEvents`).

use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::client::Api;
use super::error::ApiError;
use super::service::LOGS;

/// Maximum number of events to read.
const MAX_EVENTS: u32 = 100;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogEvent {
    pub(crate) time: OffsetDateTime,
    pub(crate) message: String,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    events: Vec<EventRecord>,
}

#[derive(Deserialize)]
struct EventRecord {
    /// Unix time, in milliseconds.
    #[serde(default)]
    timestamp: i64,
    #[serde(default)]
    message: String,
}

impl Api<'_> {
    /// Returns the events of a log group since a time, the oldest first. `None` if the group does not exist.
    pub(crate) fn log_events(&self, group: &str, since: OffsetDateTime) -> Result<Option<Vec<LogEvent>>, ApiError> {
        let since = since.unix_timestamp() * 1_000;
        let document = json!({ "logGroupName": group, "startTime": since, "limit": MAX_EVENTS });
        let response: Response = match self.json(&LOGS, "FilterLogEvents", &document) {
            Err(error) if error.code.as_deref() == Some("ResourceNotFoundException") => return Ok(None),
            response => response?,
        };
        let event = |EventRecord { timestamp, message }| {
            let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(timestamp) * 1_000_000).ok()?;
            Some(LogEvent { time, message })
        };
        Ok(Some(response.events.into_iter().filter_map(event).collect()))
    }
}
