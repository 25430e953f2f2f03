//! Logins to the lab's servers, which verify the tokens.

use std::time::Duration;

use rds_token::testing::{AccessKeys, LIFETIME, Target, sign};
use time::OffsetDateTime;

use crate::harness::{Sandbox, texts};
use crate::servers::{Key, Mariadb, Postgres, lab};

#[test]
#[ignore = "needs database servers"]
fn new_and_cached_tokens_log_in() {
    let Some(lab) = lab("new_and_cached_tokens_log_in") else { return };
    for engine in [Mariadb, Postgres] {
        for name in ["static", "session", "long", "huge"] {
            let sandbox = Sandbox::new();
            let get = || lab.rds_token(&sandbox, engine, &lab.user, &lab.key(name)).succeeds();
            let new = get();
            lab.logs_in(engine, &lab.user, new.trim_end());
            let cached = get();
            assert_eq!(cached, new);
            lab.logs_in(engine, &lab.user, cached.trim_end());
        }
    }
}

#[test]
#[ignore = "needs database servers"]
fn users_with_odd_names_log_in() {
    let Some(lab) = lab("users_with_odd_names_log_in") else { return };
    for engine in [Mariadb, Postgres] {
        for user in &lab.users {
            let token = lab.rds_token(&Sandbox::new(), engine, user, &lab.key("session")).succeeds();
            lab.logs_in(engine, user, token.trim_end());
        }
    }
}

#[test]
#[ignore = "needs database servers"]
fn a_url_logs_in() {
    let Some(lab) = lab("a_url_logs_in") else { return };
    let sandbox = Sandbox::new();
    let target = format!("postgres://{}@{}:{}/{}", lab.user, lab.host, lab.postgres.port, lab.database);
    let key = lab.key("long");
    let run = sandbox.without_keys([&target, "--output", "url", "--ca", &lab.ca]);
    let run = run.env("AWS_ACCESS_KEY_ID", &key.access_key_id).env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key);
    let url = run.env("AWS_SESSION_TOKEN", key.session_token.unwrap()).succeeds();
    let mut psql = sandbox.command("psql");
    psql.args(["-X", "-At", url.trim_end(), "-c", "select * from greeting"]);
    let (stdout, stderr) = texts(&lab.on_loopback(&mut psql).output().unwrap());
    assert_eq!((stdout.as_str(), stderr.as_str()), ("hello from postgres\n", ""));
}

/// Changes each part of a valid token, to show that the verifier checks it.
#[test]
#[ignore = "needs database servers"]
fn wrong_tokens_are_refused() {
    let Some(lab) = lab("wrong_tokens_are_refused") else { return };
    let user = lab.user.as_str();
    let (fixed, session) = (lab.key("static"), lab.key("session"));
    let keys = |key: &Key| {
        AccessKeys::new(key.access_key_id.clone(), key.secret_access_key.clone(), key.session_token.clone(), None)
            .unwrap()
    };
    let now = OffsetDateTime::now_utc();
    let token = |target: &Target, key: &Key, at| sign(target, &keys(key), LIFETIME, at).unwrap().expose().clone();
    for engine in [Mariadb, Postgres] {
        let target = lab.target(engine, user);
        let valid = token(&target, &fixed, now);
        lab.logs_in(engine, user, &valid);

        let changed = |change: &dyn Fn(&mut Target)| {
            let mut other = target.clone();
            change(&mut other);
            token(&other, &fixed, now)
        };
        lab.is_refused(engine, user, &changed(&|t| t.user = "other".into()), "user");
        lab.is_refused(engine, user, &changed(&|t| t.host = format!("x{}", lab.host)), "host");
        lab.is_refused(engine, user, &changed(&|t| t.port += 1), "port");
        lab.is_refused(engine, user, &changed(&|t| t.region = "us-east-1".into()), "region");
        lab.is_refused(engine, user, &token(&target, &fixed, now - Duration::from_secs(905)), "age");
        lab.is_refused(engine, user, &token(&target, &fixed, now + Duration::from_secs(600)), "age");
        let unknown = Key { access_key_id: "AKIDUNKNOWN".into(), ..fixed.clone() };
        lab.is_refused(engine, user, &token(&target, &unknown, now), "key");
        let wrong = Key { secret_access_key: "wrong".into(), ..fixed.clone() };
        lab.is_refused(engine, user, &token(&target, &wrong, now), "signature");
        for session_token in [None, Some("other".to_owned())] {
            let wrong = Key { session_token, ..session.clone() };
            lab.is_refused(engine, user, &token(&target, &wrong, now), "session-token");
        }
        for length in [valid.len() - 1, 79] {
            lab.is_refused(engine, user, &valid[..length], "malformed");
        }
    }
    assert_eq!(lab.region, "eu-west-1");
}

#[test]
#[ignore = "needs database servers"]
fn a_server_that_is_not_the_endpoint_gets_no_token() {
    let Some(lab) = lab("a_server_that_is_not_the_endpoint_gets_no_token") else { return };
    for engine in [Mariadb, Postgres] {
        let token = lab.rds_token(&Sandbox::new(), engine, &lab.user, &lab.key("static")).succeeds();
        let before = lab.verdicts().len();
        for (host, ca) in [(&lab.host, &lab.other_ca), (&lab.outside_host, &lab.ca)] {
            let output = lab.client(engine, host, ca, &lab.user, token.trim_end());
            assert!(!output.status.success(), "{engine:?}, {host}");
        }
        assert_eq!(lab.verdicts().len(), before, "{engine:?}: the server received a password");
    }
}
