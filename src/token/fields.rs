//! Parses valid tokens.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::format::{
    ADMIN_ACTION, CONNECT_ACTION, PARAMETERS, RDS_ACTION, SESSION_TOKEN, USER, dsql_action, is_token_char, scope_name,
};
use crate::target::{Service, Target};

/// The logins that a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// RDS: those of a user, at a port.
    Rds {
        /// The port of the endpoint.
        port: u16,
        /// The database user.
        user: String,
    },
    /// Aurora DSQL: those of any user but the administrator. The token does not contain the user.
    Dsql,
    /// Aurora DSQL: those of the administrator.
    DsqlAdmin,
}

/// The fields of a token, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFields {
    /// Host name of the endpoint.
    pub host: String,
    /// The logins that it allows.
    pub login: Login,
    /// The region of the signature's scope.
    pub region: String,
    /// The date of the signature.
    pub signed_at: OffsetDateTime,
    /// The lifetime, counted from `signed_at` (`X-Amz-Expires`).
    pub lifetime: Duration,
}

impl TokenFields {
    /// Parses a token. `None` unless it has every parameter exactly once, and no other parameter or character.
    pub fn parse(token: &str) -> Option<Self> {
        let (endpoint, query) = token.split_once("/?")?;
        let value = |name: &str| {
            let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            values.next().filter(|value| !value.is_empty() && values.next().is_none())
        };
        let is_known = |pair: &str| PARAMETERS.contains(&pair.split('=').next().unwrap_or_default());
        let signature = value("X-Amz-Signature")?;
        let is_valid = token.chars().all(is_token_char)
            && query.split('&').all(is_known)
            && (!query.contains(SESSION_TOKEN) || value(SESSION_TOKEN).is_some())
            && value("X-Amz-Algorithm")? == "AWS4-HMAC-SHA256"
            && value("X-Amz-SignedHeaders")? == "host"
            && signature.len() == 64
            && signature.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_valid {
            return None;
        }
        let scope = percent_decode_str(value("X-Amz-Credential")?).decode_utf8().ok()?;
        let scope: Vec<&str> = scope.split('/').collect();
        let [_, _, region, service, "aws4_request"] = scope[..] else { return None };
        let (host, login) = read_login(endpoint, value("Action")?, value(USER))?;
        let is_for_service = service == scope_name(login.service()) && (value(USER).is_some() || !query.contains(USER));
        if !is_for_service {
            return None;
        }
        let date = format_description!("[year][month][day]T[hour][minute][second]Z");
        let signed_at = PrimitiveDateTime::parse(value("X-Amz-Date")?, date).ok()?.assume_utc();
        let lifetime = value("X-Amz-Expires")?.parse::<u32>().ok()?;
        // The expiry must be a valid date too.
        signed_at.checked_add(time::Duration::seconds(lifetime.into()))?;
        Some(Self {
            host: host.to_owned(),
            login,
            region: region.to_owned(),
            signed_at,
            lifetime: Duration::from_secs(lifetime.into()),
        })
    }

    /// Whether these are the fields of a token for `target`.
    pub fn is_for(&self, target: &Target) -> bool {
        let is_login_of = match &self.login {
            Login::Rds { port, user } => (*port, user) == (target.port, &target.user),
            Login::Dsql => dsql_action(&target.user) == CONNECT_ACTION,
            Login::DsqlAdmin => dsql_action(&target.user) == ADMIN_ACTION,
        };
        is_login_of
            && self.login.service() == target.service()
            && (&self.host, &self.region) == (&target.host, &target.region)
    }
}

impl Login {
    pub(crate) fn service(&self) -> Service {
        match self {
            Self::Rds { .. } => Service::Rds,
            Self::Dsql | Self::DsqlAdmin => Service::Dsql,
        }
    }
}

/// Parses the host and the login. `None` if the endpoint, the action and the user are not those of one service.
fn read_login<'a>(endpoint: &'a str, action: &str, user: Option<&str>) -> Option<(&'a str, Login)> {
    match (action, endpoint.rsplit_once(':'), user) {
        (RDS_ACTION, Some((host, port)), Some(user)) => {
            // Rust's parser accepts a leading `+` or `0`.
            let port = Some(port).filter(|port| !port.starts_with(['+', '0']))?.parse().ok()?;
            let user = percent_decode_str(user).decode_utf8().ok()?.into_owned();
            Some((host, Login::Rds { port, user }))
        }
        (CONNECT_ACTION, None, None) => Some((endpoint, Login::Dsql)),
        (ADMIN_ACTION, None, None) => Some((endpoint, Login::DsqlAdmin)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::LIFETIME;

    /// Replaces `from` with `to` in a valid token, and parses the result.
    fn parse_changed(from: &str, to: &str) -> Option<TokenFields> {
        change(&valid(), from, to)
    }

    fn change(token: &str, from: &str, to: &str) -> Option<TokenFields> {
        assert!(token.contains(from), "{from}");
        TokenFields::parse(&token.replacen(from, to, 1))
    }

    fn valid() -> String {
        format!(
            "h.x:3306/?Action=connect&DBUser=a%40b&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKID%2F20260131%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20260131T120000Z\
             &X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature={}",
            "0a".repeat(32)
        )
    }

    fn valid_dsql() -> String {
        valid()
            .replace("h.x:3306/?Action=connect&DBUser=a%40b", "h.x/?Action=DbConnect")
            .replace("rds-db", "dsql")
            .replace("=900", "=604800")
    }

    #[test]
    fn a_valid_token_is_parsed() {
        let fields = parse_changed("", "").unwrap();
        assert_eq!((fields.host.as_str(), fields.login), ("h.x", Login::Rds { port: 3306, user: "a@b".to_owned() }));
        assert_eq!((fields.region.as_str(), fields.lifetime), ("eu-west-1", LIFETIME));
        assert_eq!(fields.signed_at.unix_timestamp(), 1_769_860_800);
        assert!(parse_changed("&X-Amz-Signature", "&X-Amz-Security-Token=s&X-Amz-Signature").is_some());
    }

    #[test]
    fn a_valid_token_of_dsql_is_parsed() {
        let fields = TokenFields::parse(&valid_dsql()).unwrap();
        assert_eq!((fields.host.as_str(), fields.login, fields.lifetime.as_secs()), ("h.x", Login::Dsql, 604_800));
        let admin = change(&valid_dsql(), "DbConnect", "DbConnectAdmin").unwrap();
        assert_eq!(admin.login, Login::DsqlAdmin);
        for (from, to) in [
            ("DbConnect", "connect"),
            ("DbConnect", "DbConnectadmin"),
            ("DbConnect&", "DbConnect&DBUser=app&"),
            ("DbConnect&", "DbConnect&DBUser=&"),
            ("DbConnect&", "DbConnect&DBUser&"),
            ("h.x", "h.x:5432"),
            ("dsql", "rds-db"),
            ("604800", "4294967296"),
        ] {
            assert_eq!(change(&valid_dsql(), from, to), None, "{from} -> {to}");
        }
    }

    #[test]
    fn a_token_of_dsql_is_for_the_users_of_its_action() {
        let host = "abc123.dsql.eu-west-1.on.aws";
        let target = |user: &str, host: &str| Target {
            host: host.to_owned(),
            port: 5432,
            user: user.to_owned(),
            database: None,
            engine: None,
            region: "eu-west-1".to_owned(),
        };
        let token = valid_dsql().replace("h.x", host);
        for (action, user, target_host, expected) in [
            ("DbConnect", "app", host, true),
            ("DbConnect", "Admin", host, true),
            ("DbConnect", "admin", host, false),
            ("DbConnectAdmin", "admin", host, true),
            ("DbConnectAdmin", "app", host, false),
            ("DbConnect", "app", "other.dsql.eu-west-1.on.aws", false),
            ("DbConnect", "app", "db.abc123.eu-west-1.rds.amazonaws.com", false),
        ] {
            let fields = change(&token, "DbConnect", action).unwrap();
            assert_eq!(fields.is_for(&target(user, target_host)), expected, "{action} {user} {target_host}");
        }
    }

    #[test]
    fn a_damaged_token_is_not_parsed() {
        for (from, to) in [
            ("h.x:3306", "h.x"),
            ("3306", "03306"),
            ("3306", "+3306"),
            ("3306", "65536"),
            ("connect", "other"),
            ("DBUser=a%40b", "DBUser="),
            ("DBUser=a%40b", "DBUser=a&DBUser=b"),
            ("DBUser=a%40b", "DBUser=%ff"),
            ("DBUser=a%40b", "DBUser=a b"),
            ("rds-db", "sts"),
            ("T120000Z", "T126000Z"),
            ("900", "900s"),
            ("&X-Amz-SignedHeaders=host", ""),
            ("&X-Amz-SignedHeaders", "&Other=1&X-Amz-SignedHeaders"),
            ("&X-Amz-Signature", "&X-Amz-Security-Token=&X-Amz-Signature"),
            ("0a0a", "0a"),
            ("0a0a", "0g0a"),
        ] {
            assert_eq!(parse_changed(from, to), None, "{from} -> {to}");
        }
    }
}
