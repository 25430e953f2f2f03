//! Tokens, compared byte for byte with those of botocore.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rds_token::testing::{AccessKeys, Region, TargetSpec, TokenFields, sign};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::harness::{HOST, Sandbox, TARGET, skip};

/// A reference token and the values that it was signed from, as in `data/tokens.json` and in the input of
/// `botocore_tokens.py`.
#[derive(Serialize, Deserialize)]
struct Vector {
    host: String,
    /// Without it, the default port.
    #[serde(default)]
    port: Option<u16>,
    user: String,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    signed_at: String,
    /// In seconds.
    #[serde(default = "default_lifetime")]
    expires_in: u64,
    #[serde(default)]
    token: String,
}

fn default_lifetime() -> u64 {
    900
}

impl Vector {
    fn sign(&self) -> String {
        let spec = TargetSpec {
            host: Some(self.host.clone()),
            port: self.port.map(|port| port.to_string()),
            user: Some(self.user.clone()),
            ..TargetSpec::default()
        };
        let target = spec.validate(Some(Region::of_flag(&self.region)), || Ok(None)).unwrap().0;
        let keys = AccessKeys::new(
            self.access_key_id.clone(),
            self.secret_access_key.clone(),
            self.session_token.clone(),
            None,
        )
        .unwrap();
        let now = OffsetDateTime::parse(&self.signed_at, &Rfc3339).unwrap();
        let token = sign(&target, &keys, Duration::from_secs(self.expires_in), now).unwrap().expose().clone();
        let fields = TokenFields::parse(&token).expect(&token);
        assert!(fields.is_for(&target) && fields.signed_at == now, "{fields:?}");
        token
    }
}

#[test]
fn tokens_equal_the_reference_tokens() {
    let mut vectors: Vec<Vector> = serde_json::from_str(include_str!("data/tokens.json")).unwrap();
    vectors.extend(serde_json::from_str::<Vec<Vector>>(include_str!("data/dsql_tokens.json")).unwrap());
    assert!(vectors.len() >= 10);
    for vector in vectors {
        assert_eq!(vector.sign(), vector.token, "{}", vector.user);
    }
}

#[test]
#[ignore = "needs botocore"]
fn random_tokens_equal_those_of_botocore() {
    let seed = fastrand::u64(..);
    fastrand::seed(seed);
    let vectors: Vec<Vector> = (0..500).map(|_| random_vector()).collect();
    let Some(tokens) = botocore(&vectors) else { return };
    assert_eq!(tokens.len(), vectors.len());
    for (vector, token) in vectors.iter().zip(tokens) {
        assert_eq!(vector.sign(), token, "seed {seed}, user {:?}", vector.user);
    }
}

#[test]
#[ignore = "needs the AWS CLI"]
fn random_tokens_of_aurora_dsql_equal_those_of_the_aws_cli() {
    let seed = fastrand::u64(..);
    fastrand::seed(seed);
    let vectors: Vec<Vector> = (0..300).map(|_| random_dsql_vector()).collect();
    let test = "random_tokens_of_aurora_dsql_equal_those_of_the_aws_cli";
    let Some(tokens) = dsql_tokens(test, &serde_json::to_value(&vectors).unwrap()) else { return };
    assert_eq!(tokens.len(), vectors.len());
    for (vector, token) in vectors.iter().zip(tokens) {
        assert_eq!(vector.sign(), token, "seed {seed}, user {:?}", vector.user);
    }
}

fn random_dsql_vector() -> Vector {
    let vector = random_vector();
    let region = fastrand::choice(["eu-west-1", "us-east-1", "ap-northeast-3"]).unwrap();
    let id: String = (0..26).map(|_| fastrand::alphanumeric().to_ascii_lowercase()).collect();
    let service = fastrand::choice(["dsql", "dsql-fnh4", "dsql-0a1b"]).unwrap();
    Vector {
        host: format!("{id}.{service}.{region}.on.aws"),
        port: None,
        user: if fastrand::bool() { "admin".to_owned() } else { vector.user },
        region: region.to_owned(),
        expires_in: fastrand::choice([1, 60, 900, 604_800, fastrand::u64(1..=604_800)]).unwrap(),
        ..vector
    }
}

/// The tokens of Aurora DSQL that the botocore in the AWS CLI signs for vectors. `None`, and a skipped `test`, if the
/// AWS CLI is not installed.
pub(crate) fn dsql_tokens(test: &str, vectors: &serde_json::Value) -> Option<Vec<String>> {
    let awscli = concat!(env!("CARGO_MANIFEST_DIR"), "/target/awscli");
    if !std::path::Path::new(awscli).is_dir() {
        skip(test, "the AWS CLI is not in target/awscli; run `make test`");
        return None;
    }
    let mut python = Command::new("/usr/bin/python3");
    Some(run_script(python.env("PYTHONPATH", awscli), "dsql_tokens.py", vectors))
}

/// Runs a script of `tests/lab` that prints a JSON list of tokens for the vectors on its stdin.
fn run_script(python: &mut Command, script: &str, vectors: &serde_json::Value) -> Vec<String> {
    let script = format!("{}/tests/lab/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut child = python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(vectors).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn random_vector() -> Vector {
    let region = fastrand::choice(["eu-west-1", "us-gov-west-1", "cn-north-1", "ap-southeast-2"]).unwrap();
    let label =
        || (0..fastrand::usize(1..30)).map(|_| fastrand::alphanumeric().to_ascii_lowercase()).collect::<String>();
    let host = match region {
        "cn-north-1" => format!("{}.{}.rds.{region}.amazonaws.com.cn", label(), label()),
        _ => format!("{}.cluster-{}.{region}.rds.amazonaws.com", label(), label()),
    };
    let port = fastrand::choice([3306, 5432, 443, 80, 1, 65535, fastrand::u16(1..)]).unwrap();
    let any = |_| loop {
        // Half of the characters are ASCII, which includes the separators.
        let c = if fastrand::bool() { fastrand::char(' '..='~') } else { fastrand::char(..) };
        if !c.is_control() && c != char::REPLACEMENT_CHARACTER {
            break c;
        }
    };
    let user = loop {
        let user: String = (0..fastrand::usize(1..20)).map(any).collect();
        if user.len() <= 63 {
            break user;
        }
    };
    let base64 = |length| {
        let c = |_| *fastrand::choice(b"ABCabc019+/=").unwrap() as char;
        (0..length).map(c).collect::<String>()
    };
    let date = OffsetDateTime::from_unix_timestamp(fastrand::i64(1_500_000_000..2_500_000_000)).unwrap();
    Vector {
        host,
        port: Some(port),
        user,
        region: region.to_owned(),
        access_key_id: format!("AKID{}", label().to_uppercase()),
        secret_access_key: base64(40),
        session_token: fastrand::bool().then(|| base64(fastrand::usize(1..4000))),
        signed_at: date.format(&Rfc3339).unwrap(),
        expires_in: 900,
        token: String::new(),
    }
}

/// The tokens that Debian's botocore signs. `None` if it is not installed.
fn botocore(vectors: &[Vector]) -> Option<Vec<String>> {
    let python = || Command::new("/usr/bin/python3");
    if !python().args(["-c", "import botocore"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        skip("random_tokens_equal_those_of_botocore", "python3-botocore is not installed");
        return None;
    }
    Some(run_script(&mut python(), "botocore_tokens.py", &serde_json::to_value(vectors).unwrap()))
}

#[test]
fn session_tokens_of_any_size_are_signed_and_cached() {
    let sandbox = Sandbox::new();
    for size in [300, 1_000, 1_600, 4_000, 8_000] {
        let session = "+/=a".repeat(size / 4);
        let get = || {
            sandbox
                .rds_token(["-u", "u", "--hostname", HOST, "-P", "3306"])
                .env("AWS_SESSION_TOKEN", &session)
                .succeeds()
        };
        let token = get();
        assert!(token.contains(&format!("&X-Amz-Security-Token={}&", "%2B%2F%3Da".repeat(size / 4))), "{size}");
        assert_eq!(get(), token, "the second token is not from the cache");
    }
}

#[test]
fn a_blank_session_token_is_ignored() {
    let sandbox = Sandbox::new();
    for blank in ["", " "] {
        let token = sandbox.rds_token([TARGET]).env("AWS_SESSION_TOKEN", blank).succeeds();
        assert!(!token.contains("Security-Token"), "{token}");
    }
}
