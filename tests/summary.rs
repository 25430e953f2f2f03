//! The last lines of `cargo test`: which tests did not run, and how to run them.
//!
//! Cargo runs test binaries in the order of their names. This one has no tests, and prints what `main` left out.

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
    if !skipped.is_empty() {
        println!("\nSKIPPED, because this machine can't run them ({}):", skipped.len());
        for line in &skipped {
            println!("    {line}");
        }
        if !runs_all {
            println!("`make setup` installs what is missing (Debian, Ubuntu).");
        }
    } else if runs_all {
        println!("\nno test was skipped");
    }
    println!();
}

/// Reads the list of skipped tests and removes it.
fn take_skipped() -> BTreeSet<String> {
    let path = log::path();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    text.lines().map(str::to_owned).collect()
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
