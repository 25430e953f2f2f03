//! The last lines of `cargo test`: which tests did not run, and how to run them.
//!
//! Cargo runs test binaries in the order of their names. This one has no tests, and prints the tests of tests/main.rs
//! that did not run.

#![expect(clippy::print_stdout, reason = "the summary is for the user")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[path = "summary/log.rs"]
mod log;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Test runners other than Cargo's list the tests first.
    if args.iter().any(|arg| arg == "--list") {
        return;
    }
    let skipped = take_skipped();
    let runs_all = args.iter().any(|arg| arg == "--include-ignored" || arg == "--ignored");
    let ignored = ignored_tests();
    // With a filter, the user knows which tests to expect.
    if args.is_empty() && !ignored.is_empty() {
        let count: usize = ignored.values().sum();
        println!("\n{count} tests were left out; `make test` runs them. They need:");
        for (need, count) in &ignored {
            println!("{count:>5}  {need}");
        }
    }
    for (reason, tests) in &skipped {
        println!("\nSKIPPED, because {reason} ({}):", tests.len());
        for test in tests {
            println!("       {test}");
        }
    }
    if runs_all {
        println!("\n{} tests were skipped", skipped.values().flatten().count());
    } else if !skipped.is_empty() {
        println!("\n`make setup` installs what is missing (Debian, Ubuntu)");
    }
    println!();
}

/// Reads the list of skipped tests and removes it. Returns the tests for each reason.
fn take_skipped() -> BTreeMap<String, BTreeSet<String>> {
    let path = log::path();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    let mut skipped = BTreeMap::new();
    for (test, reason) in text.lines().filter_map(|line| line.split_once(": ")) {
        skipped.entry(reason.to_owned()).or_insert_with(BTreeSet::new).insert(test.to_owned());
    }
    skipped
}

/// Counts the tests marked `#[ignore = "needs …"]` by what they need.
fn ignored_tests() -> BTreeMap<String, usize> {
    let mut needs = BTreeMap::new();
    let sources = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")).into_iter().flatten();
    for source in sources.flatten().filter(|source| source.path().extension().is_some_and(|name| name == "rs")) {
        let text = std::fs::read_to_string(source.path()).unwrap_or_default();
        let reasons =
            text.lines().filter_map(|line| line.trim().strip_prefix("#[ignore = \"needs ")?.strip_suffix("\"]"));
        for need in reasons {
            *needs.entry(need.to_owned()).or_default() += 1;
        }
    }
    needs
}
