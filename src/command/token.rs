//! `rds-token [TARGET]`: prints a token.

use crate::cli::{Output, TokenArgs};
use crate::command::{obtain_token, report, rfc3339, target};
use crate::error::Error;
use crate::host::Host;
use crate::report as output;
use crate::sink::{json, url};

pub(super) fn run(host: &Host, args: &TokenArgs) -> Result<(), Error> {
    let target = target(host, &args.target, &args.identity)?;
    let ca = args.ca.clone().or_else(|| host.path_var("RDS_TOKEN_CA"));
    // Refused before anybody is asked for credentials.
    let url = match args.output {
        Output::Url => Some(url::Url::new(&target, ca.as_deref())?),
        Output::Text | Output::Json => None,
    };
    let obtained = obtain_token(host, &target, &args.identity, &args.cache, report(host, args.common))?;
    let entry = &obtained.entry;
    let mut text = match (args.output, url) {
        (_, Some(url)) => url.render(&entry.token),
        (Output::Json, _) => {
            let ttl = entry.remaining(host.now()).unwrap_or_default();
            json::render(&target, &entry.token, &rfc3339(entry.expires_at()), ttl, obtained.is_cached)
        }
        _ => entry.token.expose().clone(),
    };
    if !args.no_newline {
        text.push('\n');
    }
    output::result(&text)
}
