//! The help texts and the manual page, compared with the files in tests/snapshots.
//!
//! After an intended change: `INSTA_UPDATE=always cargo test snapshots`, then review `git diff tests/snapshots`.

use crate::harness::Sandbox;

/// Compares the output of `rds-token` with the snapshot `name`.
fn assert_output(name: &str, args: &[&str]) {
    let output = Sandbox::new().without_keys(args).succeeds().replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut settings = insta::Settings::new();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, output));
}

#[test]
fn help_texts_equal_the_snapshots() {
    assert_output("help-short", &["-h"]);
    assert_output("help", &["--help"]);
    assert_output("version", &["--version"]);
    for command in [
        "connect",
        "cnf",
        "pgpass",
        "env",
        "sql",
        "doctor",
        "setup",
        "targets",
        "inspect",
        "policy",
        "cache",
        "init",
        "token",
        "ca",
        "completions",
        "man",
    ] {
        assert_output(&format!("help-{command}"), &[command, "--help"]);
    }
    for command in ["path", "list", "clear"] {
        assert_output(&format!("help-cache-{command}"), &["cache", command, "--help"]);
    }
}

#[test]
fn the_manual_page_equals_the_snapshot() {
    assert_output("man", &["man"]);
}

/// The scripts in shell/ are printed unchanged, so they are their own snapshots.
#[test]
fn scripts_are_printed_unchanged() {
    for (shell, extension) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish"), ("powershell", "ps1")] {
        let file = |name: &str| std::fs::read_to_string(format!("shell/{name}.{extension}")).unwrap();
        let output = |command: &str| Sandbox::new().without_keys([command, shell]).succeeds();
        assert_eq!(output("completions"), file("completion"));
        assert_eq!(output("init"), file("rds-token") + "\n" + &file("completion"));
    }
}
