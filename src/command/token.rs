//! `rds-token [TARGET]`: prints a token.

use crate::cli::{Output, TokenArgs};
use crate::client::json;
use crate::client::url::Url;
use crate::command::get_token::{IssuedToken, get_token};
use crate::command::{ca, github};
use crate::error::Error;
use crate::os::env::Env;
use crate::output;
use crate::rfc3339;
use crate::settings::Settings;

pub(super) fn run(env: &Env, args: &TokenArgs) -> Result<(), Error> {
    let settings = Settings::resolve(env, &args.request)?;
    let target = &settings.target;
    // Fail before credentials are fetched.
    github::refuse_unmasked(env)?;
    let url = match args.output {
        Some(Output::Url) => {
            let engine = settings.engine()?;
            Some(Url::new(target, engine, settings.via.as_ref(), &ca::file(env, &settings)?)?)
        }
        _ => None,
    };
    let IssuedToken { entry, source, .. } = get_token(env, &settings)?;
    let mut text = match (args.output, url) {
        (_, Some(url)) => url.render(&entry.token),
        (Some(Output::Json), _) => {
            let ttl = entry.remaining(env.now()).unwrap_or_default();
            json::render(target, &entry.token, &rfc3339::format(entry.expires_at()), ttl, source)
        }
        _ => entry.token.expose().clone(),
    };
    if !args.no_newline {
        text.push('\n');
    }
    output::result(&text)
}
