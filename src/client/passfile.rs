//! A passfile for libpq (PostgreSQL manual, "The Password File").

use crate::client::heading::heading;
use crate::target::{Target, Via};
use crate::token::Token;

/// The text of the file: the token for this user at this endpoint, whatever the database. Where clients
/// dial elsewhere, it goes by the port that they dial, and by either host.
pub fn render(target: &Target, via: Option<&Via>, token: &Token) -> String {
    let line = |host: &str, port: u16| {
        format!("{}:{port}:*:{}:{}\n", escape(host), escape(&target.user), escape(token.expose()))
    };
    let lines = match via {
        None => line(&target.host, target.port),
        Some(via) => line(&target.host, via.port) + &line(&via.host, via.port),
    };
    heading(target) + &lines
}

/// An unescaped `:` would end the field, and nobody would say so.
fn escape(field: &str) -> String {
    field.replace('\\', "\\\\").replace(':', "\\:")
}
