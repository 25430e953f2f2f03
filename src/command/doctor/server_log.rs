//! The check of the server's log after a rejected login: `iam-db-auth-error` in CloudWatch Logs.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::check::Check;
use super::database::skip_after_error;
use crate::aws::api::{Api, Database, DatabaseKind, LogEvent};
use crate::os::deadline::Deadline;
use crate::rfc3339;

const LOG: &str = "iam-db-auth-error";
/// Time limit for the line about the login, which the server writes after its answer to the client.
const WAIT: Duration = Duration::from_secs(10);
/// The pause between two reads of the log.
const PAUSE: Duration = Duration::from_secs(2);

/// The messages of the log, in lower case, with causes and remedies.
///
/// Source: "Troubleshooting for IAM DB authentication" in the RDS user guide.
const MESSAGES: [(&str, &str, &str); 4] = [
    (
        "not authorized to perform rds-db:connect",
        "the policy does not allow the login",
        "allow rds-db:connect for the caller in the message, with the database's resource id",
    ),
    (
        "malformed or otherwise invalid",
        "the token is for another host, port, region or user, is signed with wrong keys, or was truncated",
        "use the endpoint and the port of the database, and check the credentials",
    ),
    ("longer than 15 minutes", "the token has expired", "get a new token, and check the clock"),
    ("throttl", "too many new connections per second", "reuse connections (docs/pools.md)"),
];

/// Reads the log for lines since `start`, until the deadline.
pub(super) fn check(api: &Api, database: &Database, start: OffsetDateTime, deadline: &Deadline) -> Check {
    if database.kind == DatabaseKind::Proxy {
        let finding = format!("not read, because a proxy has its own log: /aws/rds/proxy/{}", database.id);
        return Check::skip("server log", finding);
    }
    let (kind, id) = match &database.cluster {
        Some(cluster) => ("cluster", cluster),
        None => (database.kind.name(), &database.id),
    };
    let is_exported = database.log_exports.iter().any(|log| log == LOG);
    // The export of an instance in a cluster is a setting of the cluster.
    if !is_exported && database.cluster.is_none() {
        return skip_not_exported(kind, id);
    }
    let group = format!("/aws/rds/{kind}/{id}/{LOG}");
    let until = deadline.at().min(Instant::now() + WAIT);
    loop {
        match api.log_events(&group, start) {
            Ok(None) => return skip_not_exported(kind, id),
            Ok(Some(events)) => {
                if let Some(event) = events.last() {
                    return explain(event);
                }
            }
            Err(error) => return skip_after_error("server log", &error),
        }
        if Instant::now() + PAUSE >= until {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    let remedy = format!("try again in a minute: `aws logs tail {group} --since 10m`");
    Check::skip("server log", format!("{group} has no line about this login yet")).remedy(remedy)
}

fn skip_not_exported(kind: &str, id: &str) -> Check {
    let remedy = format!(
        "`aws rds modify-db-{kind} --db-{kind}-identifier {id} --cloudwatch-logs-export-configuration \
         '{{\"EnableLogTypes\":[\"{LOG}\"]}}'`, then run the doctor again"
    );
    Check::skip("server log", format!("the {kind} {id} does not export the log {LOG}, which contains the cause"))
        .remedy(remedy)
}

fn explain(event: &LogEvent) -> Check {
    let lower = event.message.to_lowercase();
    let known = MESSAGES.iter().find(|(text, ..)| lower.contains(text));
    let (cause, remedy) = known.map_or((String::new(), ""), |(_, cause, remedy)| (format!(": {cause}"), *remedy));
    let finding = format!("at {}, the server logged: {}{cause}", rfc3339::format(event.time), event.message.trim());
    Check::fail("server log", finding, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_log_are_explained() {
        for (message, expected) in [
            ("caller 'arn:x' is not authorized to perform rds-db:connect", ": the policy does not allow the login"),
            ("The provided token is malformed or otherwise invalid", "or was truncated"),
            ("token age is longer than 15 minutes", ": the token has expired"),
            ("IAM DB authentication throttling", ": too many new connections per second"),
            ("internal IAM DB authentication error", "internal IAM DB authentication error"),
        ] {
            let event = LogEvent { time: OffsetDateTime::UNIX_EPOCH, message: message.to_owned() };
            let check = explain(&event);
            assert!(check.is_failed() && check.finding.ends_with(expected), "{check:?}");
        }
    }
}
