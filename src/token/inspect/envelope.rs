//! Removes text around a token (quotes, line breaks, a URL) and escapes in it.

use percent_encoding::percent_decode_str;

use super::finding::{Finding, Outcome};
use crate::secret::Secret;
use crate::target::Engine;
use crate::target::parse::engine_of_scheme;

/// A token without its envelope.
pub(super) struct Opened {
    pub(super) token: Secret<String>,
    /// The connection URL that contained the token.
    pub(super) url: Option<ConnectionUrl>,
    pub(super) findings: Vec<Finding>,
}

/// The parts of a connection URL without its password. They are compared with the token, and never shown, because those of
/// a damaged URL may contain parts of the token.
pub(super) struct ConnectionUrl {
    scheme: String,
    pub(super) user: String,
    pub(super) host: String,
    pub(super) port: Option<String>,
}

impl ConnectionUrl {
    pub(super) fn engine(&self) -> Option<Engine> {
        engine_of_scheme(&self.scheme)
    }
}

/// Maximum number of nested envelopes.
const MAX_DEPTH: usize = 12;

/// Removes all envelopes of `text`.
pub(super) fn open(text: &str) -> Opened {
    let (mut token, mut findings, mut url) = (text.to_owned(), Vec::new(), None);
    for _ in 0..MAX_DEPTH {
        // A token in a URL is percent-encoded, so the URL is split before anything is decoded.
        let found = if url.is_none() { split_url(&token) } else { None };
        let (inner, finding) = if let Some((inner, finding)) = remove_one(&token) {
            (inner, Some(finding))
        } else if let Some((found, password)) = found {
            url = Some(found);
            let raw = decode_whole(&password).is_none();
            (decode_whole(&password).unwrap_or(password), raw.then(raw_in_url))
        } else if let Some(inner) = decode_whole(&token) {
            (inner, Some(percent_encoded()))
        } else {
            break;
        };
        token = inner;
        findings.extend(finding.filter(|finding| !findings.contains(finding)));
    }
    Opened { token: Secret::new(token), url, findings }
}

/// An envelope: a function that removes it, and the finding about it.
type Envelope = (fn(&str) -> String, fn() -> Finding);

const ENVELOPES: [Envelope; 9] = [
    (|text| text.trim_matches(BYTE_ORDER_MARK).to_owned(), byte_order_mark),
    (|text| text.trim_matches(['\r', '\n']).to_owned(), line_break),
    (|text| text.trim().to_owned(), whitespace),
    (without_broken_lines, line_break),
    (|text| text.trim_matches(QUOTES).to_owned(), quotes),
    (|text| text.replace("&amp;", "&").replace("&#38;", "&"), html_escapes),
    (|text| text.replace("\\u0026", "&").replace("\\u003d", "="), json_escapes),
    (|text| text.replace('\\', ""), backslashes),
    (without_http, scheme),
];

/// Removes the outermost envelope. `None` if `text` does not have an envelope.
fn remove_one(text: &str) -> Option<(String, Finding)> {
    ENVELOPES.iter().map(|(remove, finding)| (remove(text), finding())).find(|(inner, _)| inner != text)
}

const BYTE_ORDER_MARK: char = '\u{feff}';
const QUOTES: [char; 7] = ['\'', '"', '`', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}'];

/// Joins lines, and removes the blanks around each line break.
fn without_broken_lines(text: &str) -> String {
    if text.contains(['\r', '\n']) { text.split(['\r', '\n']).map(str::trim).collect() } else { text.to_owned() }
}

/// Removes `https://`, in any case.
fn without_http(text: &str) -> String {
    let is_start = |scheme: &&str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let scheme = ["https://", "http://"].into_iter().find(is_start).unwrap_or_default();
    text[scheme.len()..].to_owned()
}

/// Decodes a token that is percent-encoded as a whole. `None` if it is not.
fn decode_whole(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    let is_encoded = !text.contains(['?', '&']) && ["%3F", "%253F"].iter().any(|mark| upper.contains(mark));
    let decode = || percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    is_encoded.then(decode)?
}

/// Splits a connection URL with a token as its password: `scheme://user:TOKEN@host:port/…`. `None` for other texts.
fn split_url(text: &str) -> Option<(ConnectionUrl, String)> {
    let (scheme, rest) = text.split_once("://")?;
    engine_of_scheme(scheme)?;
    let (user, rest) = rest.split_once(':')?;
    // A raw token may contain '@' only in its user.
    let (password, address) = rest.rsplit_once('@').unwrap_or((rest, ""));
    let address = address.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = address.rsplit_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
    let url = ConnectionUrl {
        scheme: scheme.to_owned(),
        user: percent_decode_str(user).decode_utf8_lossy().into_owned(),
        host: host.to_ascii_lowercase(),
        port: port.map(str::to_owned),
    };
    Some((url, password.to_owned()))
}

const COPY_AGAIN: &str =
    "pass exactly the token that the signing program printed, as in `MYSQL_PWD=\"$(rds-token …)\"`";

fn byte_order_mark() -> Finding {
    let problem = "the token begins with a byte-order mark, which is sent as part of the password";
    Finding::error("byte_order_mark", problem, "write the file as UTF-8 without a byte-order mark")
}

fn line_break() -> Finding {
    let problem = "the token contains a line break, which is sent as part of the password";
    let remedy = "remove it; use `rds-token -n` if a program reads the whole output, and `tr -d '\\r\\n'` for a file";
    Finding::error("line_break", problem, remedy)
}

fn whitespace() -> Finding {
    let problem = "the token has blanks before or after it, which are sent as part of the password";
    Finding::error("whitespace", problem, COPY_AGAIN)
}

fn quotes() -> Finding {
    let problem = "the token is in quotes, which are sent as part of the password";
    let remedy = "remove them; a shell removes quotes, but docker --env-file and similar readers pass them on";
    Finding::error("quotes", problem, remedy)
}

fn html_escapes() -> Finding {
    Finding::error("html_escapes", "the token is escaped for HTML or XML: `&amp;` instead of `&`", COPY_AGAIN)
}

fn json_escapes() -> Finding {
    let problem = "the token is escaped for JSON: `\\u0026` instead of `&`";
    Finding::error("json_escapes", problem, "decode the JSON text, for example with `jq -r .token`")
}

fn backslashes() -> Finding {
    let problem = "the token contains backslashes, which a shell or a passfile reads as escapes";
    let remedy = "remove them; quote the token with '…' in a shell, and use `rds-token pgpass` for a passfile";
    Finding::error("backslashes", problem, remedy)
}

fn scheme() -> Finding {
    let problem = "the token begins with `https://`; a token is a presigned URL without its scheme";
    Finding::error("scheme", problem, "remove `https://`")
}

fn percent_encoded() -> Finding {
    let problem = "the token is percent-encoded once more than a password may be";
    let remedy = "use the token as it was signed; only in a connection URL it must be percent-encoded, and only once";
    Finding::error("percent_encoded", problem, remedy)
}

fn raw_in_url() -> Finding {
    let problem = "the URL contains the token without percent-encoding, so the first '/' or '?' in it ends the address";
    let remedy = "percent-encode the token, or use `rds-token --output url` (PostgreSQL), which does";
    Finding::error("raw_in_url", problem, remedy).with_outcome(Outcome::UrlInvalid)
}
