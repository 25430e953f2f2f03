//! The roots that are built in.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::harness::{Sandbox, has, skip};

#[test]
fn the_bundle_is_written_once_and_privately() {
    let sandbox = Sandbox::new();
    let path = sandbox.without_keys(["ca"]).succeeds();
    let path = sandbox.path(path.trim_end());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), rds_token::ca::BUNDLE);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(sandbox.without_keys(["ca"]).succeeds().trim_end(), path.to_str().unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
    // What somebody changed is mended.
    std::fs::write(&path, "x").unwrap();
    sandbox.without_keys(["ca"]).succeeds();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), rds_token::ca::BUNDLE);
}

#[test]
fn every_root_is_good_for_60_more_days() {
    if !has("openssl") {
        return skip("every_root_is_good_for_60_more_days", "openssl is not installed");
    }
    let end = "-----END CERTIFICATE-----";
    let roots: Vec<&str> = rds_token::ca::BUNDLE.split_inclusive(end).filter(|part| part.contains(end)).collect();
    assert!(roots.len() > 80, "{}", roots.len());
    for root in roots {
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-noout", "-checkend", &(60 * 86_400).to_string()]);
        let mut child = openssl.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(root.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "ends soon; run src/ca/update:\n{root}");
    }
}
