//! A passfile for libpq (PostgreSQL manual, "The Password File").

use crate::client::heading::heading;
use crate::target::{Target, Via};
use crate::token::Token;

/// The text of the file: the token for the user at the endpoint, for any database.
///
/// With `via`, libpq looks up the port of `via`, and the host of the endpoint or of `via`. It may also look up the host
/// `cname`.
pub fn render(target: &Target, via: Option<&Via>, cname: Option<&str>, token: &Token) -> String {
    let line = |host: &str, port: u16| {
        format!("{}:{port}:*:{}:{}\n", escape(host), escape(&target.user), escape(token.expose()))
    };
    let port = via.map_or(target.port, |via| via.port);
    let hosts = [Some(target.host.as_str()), via.map(|via| via.host.as_str()), cname];
    heading(target) + &hosts.into_iter().flatten().map(|host| line(host, port)).collect::<String>()
}

fn escape(field: &str) -> String {
    field.replace('\\', "\\\\").replace(':', "\\:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_escaped_and_other_names_add_lines() {
        let target = Target {
            host: "h.x".to_owned(),
            port: 5432,
            user: "a:b\\c".to_owned(),
            database: None,
            engine: None,
            region: "eu-west-1".to_owned(),
        };
        let via = Via { host: "::1".to_owned(), port: 1 };
        for (via, cname, expected) in [
            (None, None, "h.x:5432:*:a\\:b\\\\c:h.x\\:5432/?t\n"),
            (None, Some("c.x"), "h.x:5432:*:a\\:b\\\\c:h.x\\:5432/?t\nc.x:5432:*:a\\:b\\\\c:h.x\\:5432/?t\n"),
            (Some(&via), None, "h.x:1:*:a\\:b\\\\c:h.x\\:5432/?t\n\\:\\:1:1:*:a\\:b\\\\c:h.x\\:5432/?t\n"),
        ] {
            let text = render(&target, via, cname, &Token::new("h.x:5432/?t".to_owned()));
            assert_eq!(text.split_once('\n').unwrap(), ("# rds-token: a:b\\c@h.x:5432 eu-west-1", expected));
        }
    }
}
