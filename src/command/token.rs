//! `rds-token [TARGET]`: prints a token.

use crate::cli::{Output, TokenArgs};
use crate::command::files;
use crate::command::obtain::obtain_token;
use crate::command::settings::Settings;
use crate::error::Error;
use crate::host::Host;
use crate::report;
use crate::rfc3339;
use crate::sink::{json, url};

pub(super) fn run(host: &Host, args: &TokenArgs) -> Result<(), Error> {
    let settings = Settings::resolve(host, &args.request)?;
    let target = &settings.target;
    // Fail before credentials are fetched.
    files::refuse_unmasked(host)?;
    let url = match args.output {
        Output::Url => {
            let engine = files::engine(&settings)?;
            Some(url::Url::new(target, engine, settings.via.as_ref(), &files::ca(host, &settings)?)?)
        }
        Output::Text | Output::Json => None,
    };
    let obtained = obtain_token(host, &settings)?;
    let entry = &obtained.entry;
    let mut text = match (args.output, url) {
        (_, Some(url)) => url.render(&entry.token),
        (Output::Json, _) => {
            let ttl = entry.remaining(host.now()).unwrap_or_default();
            json::render(target, &entry.token, &rfc3339::format(entry.expires_at()), ttl, obtained.is_cached)
        }
        _ => entry.token.expose().clone(),
    };
    if !args.no_newline {
        text.push('\n');
    }
    report::result(&text)
}
