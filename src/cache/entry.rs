//! A cache entry: its key, the token, and its remaining lifetime.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::fingerprint::Fingerprint;
use crate::os::env::{Env, Timestamp};
use crate::secret::Secret;
use crate::target::{Service, Target};
use crate::token::{Login, Token, TokenFields, max_lifetime};

/// The version of the key's fields. Increase it when they change.
const KEY_VERSION: u32 = 1;
/// The version of the stored form. An entry of another version is ignored.
const VERSION: u32 = 1;
/// The version of the stored form with the login, which a token of Aurora DSQL does not contain.
const VERSION_WITH_LOGIN: u32 = 2;

/// How far a signature may be ahead of the clock. The two clocks are read one after the other, and the system may
/// adjust their speed.
const TOLERANCE: time::Duration = time::Duration::seconds(5);

/// A digest of everything that a token depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of a token that this user signs for `target`, with this lifetime. `identity` is the fingerprint of the AWS
    /// identity.
    pub fn of(env: &Env, target: &Target, lifetime: Duration, identity: &str) -> Self {
        let fingerprint = Fingerprint::default()
            .field(KEY_VERSION.to_be_bytes())
            .field(env.uid().to_be_bytes())
            // An entry also records the time since boot, which is meaningless after another boot.
            .field(env.boot_id())
            .field(&target.host)
            .field(target.port.to_be_bytes())
            .field(&target.user)
            .field(&target.region)
            .field(identity);
        Self(match target.service() {
            Service::Rds => fingerprint.hex(),
            // A long-lived token is used only by requests for one.
            Service::Dsql => fingerprint.field(lifetime.as_secs().to_be_bytes()).hex(),
        })
    }

    /// The digest, in lower-case hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A token with the data that determines its lifetime.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The token.
    pub token: Token,
    /// The fields of the token.
    pub fields: TokenFields,
    /// The database user that the token was signed for. A token of Aurora DSQL does not contain it.
    pub user: String,
    /// The port that the token was signed for. A token of Aurora DSQL does not contain it.
    pub port: u16,
    /// The time since boot when the token was signed.
    pub signed_at_boot: Duration,
    /// The expiry of the credentials that signed the token. The token is invalid from then on.
    pub credentials_expire_at: Option<OffsetDateTime>,
}

/// The stored form: one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryRecord {
    version: u32,
    token: String,
    /// In milliseconds.
    signed_at_boot: u64,
    /// Unix time, in seconds.
    credentials_expire_at: Option<i64>,
    /// The user and the port, if the token does not contain them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<(String, u16)>,
    checksum: String,
}

impl EntryRecord {
    /// The checksum. It covers the key too, so that a renamed entry is invalid.
    fn checksum(&self, key: &str) -> String {
        let fingerprint = Fingerprint::default()
            .field(key)
            .field(self.version.to_be_bytes())
            .field(&self.token)
            .field(self.signed_at_boot.to_be_bytes())
            .optional(self.credentials_expire_at.map(i64::to_be_bytes));
        match &self.login {
            None => fingerprint.hex(),
            Some((user, port)) => fingerprint.field(user).field(port.to_be_bytes()).hex(),
        }
    }
}

impl Entry {
    /// An entry for a token that was signed for `user` and `port` at `signed`. `None` if the token can't be parsed, or is
    /// for another user or port.
    pub fn new(
        token: Token,
        user: &str,
        port: u16,
        signed: Timestamp,
        credentials_expire_at: Option<OffsetDateTime>,
    ) -> Option<Self> {
        let fields = TokenFields::parse(token.expose())?;
        let entry =
            Self { token, fields, user: user.to_owned(), port, signed_at_boot: signed.boot, credentials_expire_at };
        entry.has_login_of_token().then_some(entry)
    }

    /// Whether the user and the port are those of the token, as far as the token contains them.
    fn has_login_of_token(&self) -> bool {
        match &self.fields.login {
            Login::Rds { port, user } => (port, user) == (&self.port, &self.user),
            Login::Dsql | Login::DsqlAdmin => true,
        }
    }

    /// Whether it is for `target`.
    pub fn is_for(&self, target: &Target) -> bool {
        self.fields.is_for(target) && (self.port, &self.user) == (target.port, &target.user)
    }

    /// Returns the stored form, for storage under `key`.
    pub fn encode(&self, key: &Key) -> Vec<u8> {
        let (version, login) = match self.fields.login {
            Login::Rds { .. } => (VERSION, None),
            Login::Dsql | Login::DsqlAdmin => (VERSION_WITH_LOGIN, Some((self.user.clone(), self.port))),
        };
        let mut record = EntryRecord {
            version,
            token: self.token.expose().clone(),
            signed_at_boot: u64::try_from(self.signed_at_boot.as_millis()).unwrap_or(u64::MAX),
            credentials_expire_at: self.credentials_expire_at.map(OffsetDateTime::unix_timestamp),
            login,
            checksum: String::new(),
        };
        record.checksum = record.checksum(key.as_str());
        let mut bytes = serde_json::to_vec(&record).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads the stored form of the entry under `key`. `None` if it is damaged or has another version.
    pub fn decode(bytes: &[u8], key: &str) -> Option<Self> {
        let record: EntryRecord = serde_json::from_slice(bytes).ok()?;
        if record.checksum != record.checksum(key) {
            return None;
        }
        let expire_at = record.credentials_expire_at.map(OffsetDateTime::from_unix_timestamp);
        let fields = TokenFields::parse(&record.token)?;
        let (user, port) = match (record.version, &fields.login, record.login) {
            (VERSION, Login::Rds { port, user }, None) => (user.clone(), *port),
            (VERSION_WITH_LOGIN, Login::Dsql | Login::DsqlAdmin, Some(login)) => login,
            _ => return None,
        };
        Some(Self {
            fields,
            user,
            port,
            token: Secret::new(record.token),
            signed_at_boot: Duration::from_millis(record.signed_at_boot),
            credentials_expire_at: expire_at.transpose().ok()?,
        })
    }

    /// The expiry by the wall clock: that of the token, or earlier if the credentials expire first.
    pub fn expires_at(&self) -> OffsetDateTime {
        let expires_at = self.fields.signed_at + self.fields.lifetime.min(max_lifetime(self.fields.login.service()));
        self.credentials_expire_at.map_or(expires_at, |credentials_expire_at| credentials_expire_at.min(expires_at))
    }

    /// The remaining lifetime. `None` if the token has expired, or was signed in the future.
    ///
    /// Of the wall clock and the time since boot, the one that shows more elapsed time counts, because the wall clock
    /// may have been set back.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let by_wall = now.wall - self.fields.signed_at;
        let by_boot = time::Duration::try_from(now.boot).ok()? - time::Duration::try_from(self.signed_at_boot).ok()?;
        if by_wall < -TOLERANCE || by_boot < -TOLERANCE {
            return None;
        }
        let lifetime = self.expires_at() - self.fields.signed_at;
        let left = lifetime - by_wall.max(by_boot);
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }

    /// Whether the remaining lifetime is at least `min_ttl`.
    pub fn is_fresh(&self, now: Timestamp, min_ttl: Duration) -> bool {
        self.remaining(now).is_some_and(|left| left >= min_ttl)
    }

    /// Whether the token was signed at `time` or later.
    pub(crate) fn is_signed_since(&self, time: Timestamp) -> bool {
        self.signed_at_boot.as_millis() >= time.boot.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::LIFETIME;

    #[test]
    fn the_clock_that_shows_more_elapsed_time_counts() {
        // In seconds after the signature: the wall clock, the time since boot, and the expiry of the credentials.
        for (wall, boot, credentials_expire, expected) in [
            (0, 0, None, Some(900)),
            (899, 10, None, Some(1)),
            (10, 899, None, Some(1)),
            (900, 0, None, None),
            (0, 900, None, None),
            // The wall clock was set back: by a little, and by more.
            (-5, 300, None, Some(600)),
            (-6, 300, None, None),
            (300, -6, None, None),
            (0, 0, Some(60), Some(60)),
            (60, 0, Some(60), None),
            (0, 0, Some(3_600), Some(900)),
        ] {
            let after = |seconds: i64| OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds);
            let fields = TokenFields {
                host: "h".to_owned(),
                login: Login::Rds { port: 3306, user: "u".to_owned() },
                region: "eu-west-1".to_owned(),
                signed_at: after(0),
                lifetime: LIFETIME,
            };
            let entry = Entry {
                token: Secret::new(String::new()),
                fields,
                user: "u".to_owned(),
                port: 3306,
                signed_at_boot: Duration::from_secs(100),
                credentials_expire_at: credentials_expire.map(after),
            };
            let now = Timestamp { wall: after(wall), boot: Duration::from_secs((100 + boot).try_into().unwrap()) };
            let case = (wall, boot, credentials_expire);
            assert_eq!(entry.remaining(now), expected.map(Duration::from_secs), "{case:?}");
            assert_eq!(entry.is_fresh(now, Duration::from_secs(300)), expected >= Some(300), "{case:?}");
        }
    }
}
