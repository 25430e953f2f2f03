use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::token::fields::TokenFields;

const NOW: OffsetDateTime = datetime!(2026-01-31 12:05:00 UTC);
const SIGNATURE: &str = "3c0d5e9fb8a7164235d1c2b3a49586770f1e2d3c4b5a69788796a5b4c3d2e1f0";
const SESSION: &str = "IQoJb3JpZ2luX2VjEXAMPLEcanarySESSIONzY%2BTf%2F9q2w%3D%3D";

/// A valid token. It expires 10 minutes after `NOW`.
fn valid() -> String {
    format!(
        "db.abc123.eu-west-1.rds.amazonaws.com:3306/?Action=connect&DBUser=app&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIDEXAMPLE%2F20260131%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20260131T120000Z\
         &X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature={SIGNATURE}"
    )
}

/// A valid token of temporary keys, with the parameters in the order of the JavaScript SDK.
fn valid_temporary() -> String {
    valid()
        .replace("&X-Amz-SignedHeaders=host", "")
        .replace("AKIDEXAMPLE", "ASIAEXAMPLE")
        .replace("&X-Amz-Signature", &format!("&X-Amz-Security-Token={SESSION}&X-Amz-Signature"))
        + "&X-Amz-SignedHeaders=host"
}

/// A valid token of Aurora DSQL.
fn valid_dsql() -> String {
    valid()
        .replace("db.abc123.eu-west-1.rds.amazonaws.com:3306", "abc123.dsql.eu-west-1.on.aws")
        .replace("connect&DBUser=app", "DbConnect")
        .replace("rds-db", "dsql")
        .replace("Expires=900", "Expires=604800")
}

/// The codes of the findings.
fn codes(text: &str) -> Vec<&'static str> {
    inspect(text, NOW).unwrap_or_else(|| panic!("{text}")).findings.iter().map(|finding| finding.code).collect()
}

/// Checks tokens that are made from `token` by replacing the first text with the second.
#[track_caller]
fn assert_codes(token: &str, cases: &[(&str, &str, &[&str])]) {
    assert_eq!(codes(token), [""; 0]);
    for (from, to, expected) in cases {
        assert!(token.contains(from), "{from}");
        assert_eq!(codes(&token.replacen(from, to, 1)), *expected, "{from} -> {to}");
    }
}

#[test]
fn the_fields_of_a_valid_token_are_read() {
    let inspection = inspect(&valid(), NOW).unwrap();
    let fields = TokenFields::parse(&valid()).unwrap();
    assert_eq!((inspection.host, inspection.port), (Some(fields.host), Some(3306)));
    assert_eq!((inspection.user.as_deref(), inspection.region.as_deref()), (Some("app"), Some("eu-west-1")));
    assert_eq!((inspection.access_key_id.as_deref(), inspection.has_session_token), (Some("AKIDEXAMPLE"), Some(false)));
    assert_eq!((inspection.signed_at, inspection.lifetime), (Some(fields.signed_at), Some(fields.lifetime)));
    assert_eq!(inspection.findings, []);
    let inspection = inspect(&valid_temporary(), NOW).unwrap();
    assert_eq!((inspection.user.as_deref(), inspection.has_session_token), (Some("app"), Some(true)));
    let inspection = inspect(&valid_dsql(), NOW).unwrap();
    assert_eq!((inspection.kind, inspection.port, inspection.user), (Service::Dsql, None, None));
    assert_eq!(inspection.findings, []);
}

#[test]
fn the_command_that_signs_a_token_of_dsql_names_the_user_if_it_is_known() {
    let later = NOW + time::Duration::days(30);
    for (action, command) in
        [("DbConnect", "rds-token USER@abc123.dsql"), ("DbConnectAdmin", "rds-token admin@abc123.dsql")]
    {
        let inspection = inspect(&valid_dsql().replace("DbConnect", action), later).unwrap();
        assert!(inspection.findings[0].remedy.contains(command), "{inspection:?}");
    }
}

#[test]
fn other_texts_are_not_tokens() {
    for text in ["", "hunter2", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "db.x:3306", "db.x:3306/", "?", "a?b=c&d=e"]
    {
        assert_eq!(inspect(text, NOW), None, "{text}");
    }
}

#[test]
fn envelopes_are_removed_and_reported() {
    let encoded = crate::percent::encode(&valid()).to_string();
    let twice = crate::percent::encode(&encoded).to_string();
    let address = "db.abc123.eu-west-1.rds.amazonaws.com:3306";
    for (text, expected) in [
        (format!("{}\n", valid()), &["line_break"][..]),
        (format!("{}\r\n", valid()), &["line_break"]),
        (valid().replace("&X-Amz-Date", "\n  &X-Amz-Date"), &["line_break"]),
        (format!(" {} ", valid()), &["whitespace"]),
        (format!("'{}'", valid()), &["quotes"]),
        (format!("\"{}\"\n", valid()), &["quotes", "line_break"]),
        (format!("\u{201c}{}\u{201d}", valid()), &["quotes"]),
        (format!("\u{feff}{}", valid()), &["byte_order_mark"]),
        (valid().replace('&', "&amp;"), &["html_escapes"]),
        (valid().replace('&', "\\u0026"), &["json_escapes"]),
        (valid().replace(':', "\\:"), &["backslashes"]),
        (format!("https://{}", valid()), &["scheme"]),
        (format!("HTTPS://{}", valid()), &["scheme"]),
        (encoded.clone(), &["percent_encoded"]),
        (twice.clone(), &["percent_encoded"]),
        (format!("postgresql://app:{encoded}@{address}/db?sslmode=verify-full"), &[]),
        (format!("postgresql://app:{encoded}@{address}"), &[]),
        (format!("mysql+pymysql://app:{encoded}@{address}/"), &[]),
        (format!("postgres://app:{twice}@{address}/"), &["percent_encoded"]),
        (format!("mysql://app:{}@{address}/db", valid()), &["raw_in_url"]),
        (format!("mysql://App:{encoded}@{address}/db"), &["url_user"]),
        (format!("mysql://app:{encoded}@localhost:3307/db"), &["url_host"]),
        (format!("mysql://app:{encoded}@{}/db", address.replace("3306", "3307")), &["url_host"]),
        (valid().replace('&', "\\&").replace('?', "\\?"), &["backslashes"]),
    ] {
        assert_eq!(codes(&text), expected, "{text}");
    }
}

#[test]
fn damaged_parameters_are_reported() {
    assert_codes(
        &valid(),
        &[
            (SIGNATURE, &SIGNATURE[..63], &["truncated"]),
            (SIGNATURE, "", &["truncated"]),
            (SIGNATURE, "REDACTED", &["signature"]),
            (SIGNATURE, &format!("{SIGNATURE}0"), &["signature"]),
            (
                &format!(
                    "Date=20260131T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature={SIGNATURE}"
                ),
                "Da",
                &["truncated"],
            ),
            ("&X-Amz-Date", "&DBUser=b&X-Amz-Date", &["repeated_parameter"]),
            ("&X-Amz-Expires=900", "", &["missing_parameter"]),
            ("X-Amz-Expires", "x-amz-expires", &["missing_parameter", "unknown_parameter"]),
            ("&X-Amz-Date", "&x-id=1&X-Amz-Date", &["unknown_parameter"]),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", &["algorithm"]),
            ("Action=connect", "Action=Connect", &["action"]),
            ("Headers=host", "Headers=host%3Bx-amz-date", &["signed_headers"]),
            ("rds-db", "rds", &["wrong_service"]),
            ("rds-db", "sts", &["wrong_service"]),
            ("%2Faws4_request", "", &["credential"]),
            ("AKIDEXAMPLE", "", &["credential"]),
            ("%2F2026", "%252F2026", &["percent_encoded"]),
            ("20260131%2F", "20260130%2F", &["date"]),
            ("20260131T120000Z", "20260131T126000Z", &["date"]),
            ("Expires=900", "Expires=901", &["lifetime"]),
            ("Expires=900", "Expires=15m", &["lifetime"]),
            ("AKIDEXAMPLE", "AKIAEXAMPLE", &[]),
            ("&X-Amz-Signature", "&X-Amz-Security-Token=&X-Amz-Signature", &["session_token_empty"]),
            ("AKIDEXAMPLE", "ASIAEXAMPLE", &["session_token_missing"]),
        ],
    );
    assert_codes(&valid_temporary(), &[("ASIAEXAMPLE", "AKIAEXAMPLE", &["session_token_unexpected"])]);
    let empty = valid_temporary().replace(SESSION, "");
    assert_eq!(codes(&empty), ["session_token_missing"]);
    let proxy =
        valid().replace("abc123", "proxy-abc123").replace("&X-Amz-Signature", "&X-Amz-Security-Token=&X-Amz-Signature");
    assert_eq!(codes(&proxy), ["session_token_empty"]);
    let finding = &inspect(&proxy, NOW).unwrap().findings[0];
    assert_eq!(finding.severity, Severity::Error);
    assert!(finding.answer.as_ref().unwrap().contains("A value is missing"), "{finding:?}");
}

#[test]
fn an_unusable_endpoint_or_user_is_reported() {
    let host = "db.abc123.eu-west-1.rds.amazonaws.com";
    assert_codes(
        &valid(),
        &[
            (host, "db.abc123.us-east-1.rds.amazonaws.com", &["region_mismatch"]),
            (host, "db.example.com", &["wrong_host"]),
            (host, "127.0.0.1", &["wrong_host"]),
            (host, "localhost", &["wrong_host"]),
            (host, "w.abc123.eu-west-1.redshift.amazonaws.com", &["wrong_host"]),
            (host, "abc123.dsql.eu-west-1.on.aws", &["wrong_host"]),
            (host, "x.global-abc123.global.rds.amazonaws.com", &["endpoint"]),
            (host, "db.abc123.somewhere.rds.amazonaws.com", &["endpoint"]),
            (host, "app@db", &["host"]),
            (host, "", &["host"]),
            ("db.", "DB.", &["host_case"]),
            (":3306", "", &["port"]),
            (":3306", ":", &["port"]),
            (":3306", ":03306", &["port"]),
            (":3306", ":443", &["endpoint"]),
            ("/?", "?", &[]),
            ("/?", "/mysql?", &["path"]),
            ("DBUser=app&", "", &["missing_parameter"]),
            ("DBUser=app", "DBUser=", &["user"]),
            ("DBUser=app", "DBUser=a%0Ab", &["user"]),
            ("DBUser=app", "DBUser=jane@corp", &["encoding"]),
            ("DBUser=app", "DBUser=a+b", &["encoding"]),
            ("DBUser=app", "DBUser=a b", &["encoding"]),
            ("DBUser=app", "DBUser=a%2fb", &["encoding"]),
            ("DBUser=app", "DBUser=a%2Fb", &[]),
            ("DBUser=app", "DBUser=a%", &["encoding_invalid"]),
            ("DBUser=app", "DBUser=%FF", &["encoding_invalid"]),
            ("DBUser=app", "DBUser=a\u{7}b", &["characters", "user", "encoding"]),
        ],
    );
    assert_codes(
        &valid_dsql(),
        &[
            ("on.aws", "on.aws:5432", &["port"]),
            ("eu-west-1.on", "us-east-1.on", &["region_mismatch"]),
            ("abc123.dsql.eu-west-1.on.aws", host, &["wrong_host"]),
            ("DbConnect", "connect", &["action"]),
            ("DbConnect", "DbConnectAdmin", &[]),
            ("DbConnect", "DbConnect&DBUser=app", &["unknown_parameter"]),
            ("604800", "604801", &["lifetime"]),
            ("dsql%2F", "rds-db%2F", &["wrong_service"]),
        ],
    );
}

#[test]
fn the_dates_are_compared_with_the_clock() {
    for (now, expected) in [
        (datetime!(2026-01-31 12:00:00 UTC), &[][..]),
        (datetime!(2026-01-31 11:59:55 UTC), &[]),
        (datetime!(2026-01-31 11:59:54 UTC), &["clock"]),
        (datetime!(2026-01-31 11:45:00 UTC), &["clock"]),
        (datetime!(2026-01-31 11:44:59 UTC), &["not_yet_valid"]),
        (datetime!(2026-01-31 12:14:59 UTC), &[]),
        (datetime!(2026-01-31 12:15:00 UTC), &["expired"]),
    ] {
        let findings = inspect(&valid(), now).unwrap().findings;
        assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), expected, "{now}");
    }
    let late = inspect(&valid(), datetime!(2026-01-31 14:20:00 UTC)).unwrap();
    let finding = &late.findings[0];
    assert_eq!(finding.problem, "the token expired 2h 5m ago");
    assert!(finding.remedy.ends_with("`rds-token app@db.abc123.eu-west-1.rds.amazonaws.com:3306`"), "{finding:?}");
    assert!(finding.answer.as_ref().unwrap().contains("token age is longer than 15 minutes"), "{finding:?}");
}

/// The worst finding comes first, and each code has a place in the order.
#[test]
fn findings_are_sorted() {
    let text = format!("'{}'", valid().replace("DB", "db").replace("900", "9000").replace("db.", "DB."));
    let findings = inspect(&text, datetime!(2026-02-01 12:00:00 UTC)).unwrap().findings;
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["quotes", "missing_parameter", "lifetime", "expired", "host_case", "unknown_parameter"]);
    assert!(findings.iter().all(|finding| finding.rank().1 < finding::CODES.len()));
}

/// Whether a text contains a part of a secret that is long enough to be recognized.
fn shows_secret(text: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(SESSION).decode_utf8().unwrap();
    [SIGNATURE, SESSION, &decoded].iter().any(|secret| {
        let windows: Vec<&str> = (0..=secret.len() - 8).map(|at| &secret[at..at + 8]).collect();
        windows.iter().any(|window| text.contains(window))
    })
}

#[track_caller]
fn assert_shows_no_secret(text: &str) {
    let inspection = inspect(text, NOW);
    let findings = inspection.iter().flat_map(|inspection| &inspection.findings);
    assert!(findings.into_iter().all(|finding| finding::CODES.contains(&finding.code)), "{inspection:?}");
    assert!(!shows_secret(&format!("{inspection:?}")), "{text}\n{inspection:#?}");
}

#[test]
fn no_truncation_shows_a_secret() {
    for token in [valid(), valid_temporary(), valid_dsql(), format!("postgresql://app:{}@h/", valid_temporary())] {
        assert!(shows_secret(&token));
        for end in 0..token.len() {
            assert_shows_no_secret(&token[..end]);
            assert_shows_no_secret(&token[end..]);
            for start in (0..end).step_by(if end % 7 == 0 { 5 } else { end.max(1) }) {
                // A hole, as in a log that shortens long values.
                assert_shows_no_secret(&format!("{}{}", &token[..start], &token[end..]));
            }
        }
    }
}

proptest! {
    #[test]
    fn no_damage_shows_a_secret(
        kind in 0..4_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, "[&?=%@:/.A-Za-z0-9\n\"' -]{0,3}"), 0..6),
        encodings in 0..3_usize,
    ) {
        let mut text = [valid(), valid_temporary(), valid_dsql(), format!("mysql://a:{}@h/d", valid_temporary())][kind].clone();
        for _ in 0..encodings {
            text = crate::percent::encode(&text).to_string();
        }
        for (index, length, patch) in edits {
            let start = index.index(text.len() + 1);
            let end = (start + usize::from(length)).min(text.len());
            text.replace_range(start..end, &patch);
        }
        assert_shows_no_secret(&text);
    }

    #[test]
    fn any_text_is_inspected(text in "\\PC*") {
        let _ = inspect(&text, NOW);
        let _ = inspect(&format!("h:1/?Action=connect&DBUser={text}&X-Amz-Date={text}"), NOW);
    }

    #[test]
    fn a_parsed_token_has_no_structural_errors(user in "[a-z@ %&=é]{1,10}") {
        let text = valid().replace("app", &crate::percent::encode(&user).to_string());
        let inspection = inspect(&text, NOW).unwrap();
        prop_assert!(TokenFields::parse(&text).is_some());
        prop_assert_eq!(inspection.findings, []);
        prop_assert_eq!(inspection.user, Some(user));
    }
}
