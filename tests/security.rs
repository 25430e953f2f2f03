//! docs/security.md: each protection names the tests that verify it.

use std::path::Path;

#[test]
fn every_protection_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| protection"));
    let mut count = 0;
    for row in rows {
        let cell = row.trim_end_matches('|').trim().rsplit(" | ").next().unwrap();
        for name in cell.split(", ") {
            let (module, test) =
                name.trim_matches('`').split_once("::").unwrap_or_else(|| panic!("the row names no test: {row}"));
            let source = std::fs::read_to_string(root.join(format!("tests/{module}.rs"))).unwrap_or_default();
            let (before, _) = source
                .split_once(&format!("\nfn {test}()"))
                .unwrap_or_else(|| panic!("the test {name} does not exist"));
            let mut attributes = before.lines().rev().take_while(|line| line.starts_with("#["));
            assert!(attributes.any(|line| line == "#[test]"), "{name} is not a test");
            count += 1;
        }
    }
    assert!(count > 40, "{count} tests are named");
}
