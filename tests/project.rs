//! The project's own files agree with each other: workflows and documents call make targets that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the files in `directory` that have this extension.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(directory)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|name| name == extension)).collect()
}

/// Returns the names at the beginning of lines `name: …` in the Makefile.
fn make_targets() -> BTreeSet<String> {
    let makefile = read("Makefile");
    let names = makefile.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name);
    let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    names.filter(is_name).map(str::to_owned).collect()
}

/// Returns the commands in a workflow's `run` lines.
fn run_lines(workflow: &str) -> Vec<&str> {
    let mut before = "";
    let mut commands = Vec::new();
    for line in workflow.lines().map(str::trim) {
        let key = line.strip_prefix("- ").unwrap_or(line);
        // The `run` of `defaults` is a table.
        if let Some(command) = key.strip_prefix("run:").filter(|_| before != "defaults:") {
            commands.push(command.trim());
        }
        before = line;
    }
    commands
}

/// Panics unless `command` is `make` with targets that exist.
#[track_caller]
fn assert_calls_make(command: &str, targets: &BTreeSet<String>) {
    let words: Vec<&str> = command.split(' ').collect();
    assert!(words[0] == "make" && words.len() > 1, "not a call of make with a target: {command:?}");
    for target in &words[1..] {
        assert!(targets.contains(*target), "the Makefile has no target {target:?}: {command:?}");
    }
}

#[test]
fn workflows_call_only_make_targets() {
    let (targets, workflows) = (make_targets(), files(".github/workflows", "yml"));
    assert!(workflows.len() >= 2, "{workflows:?}");
    for workflow in workflows {
        let text = read(&workflow);
        let commands = run_lines(&text);
        assert!(!commands.is_empty(), "{}", workflow.display());
        commands.iter().for_each(|command| assert_calls_make(command, &targets));
    }
    let script = read(".ci/run");
    let commands = script.lines().filter(|line| line.starts_with("make "));
    assert!(commands.inspect(|command| assert_calls_make(command, &targets)).count() > 3);
}

#[test]
fn other_commands_in_workflows_are_found() {
    let workflow =
        "defaults:\n  run:\n    shell: bash\nsteps:\n  - run: |\n      make test\n  - name: x\n    run: make a b\n";
    assert_eq!(run_lines(workflow), ["|", "make a b"]);
    let targets = ["a".to_owned()].into();
    for wrong in ["|", "make", "make b", "make a && make a", "cargo test", "make -k a"] {
        let result = std::panic::catch_unwind(|| assert_calls_make(wrong, &targets));
        assert!(result.is_err(), "{wrong}");
    }
    assert_calls_make("make a", &targets);
}

#[test]
fn documents_name_make_targets_that_exist() {
    let targets = make_targets();
    for document in [files(".", "md"), files("docs", "md")].concat() {
        for mention in read(&document).split("`make ").skip(1) {
            let name: String = mention.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            assert!(name.is_empty() || targets.contains(&name), "{}: `make {name}`", document.display());
        }
    }
}

#[test]
fn documents_for_contributors_name_files_that_exist() {
    for document in ["CONTRIBUTING.md", "STYLE.md", "RELEASING.md"] {
        let text = read(document);
        // Every second part of the text is between backticks.
        let code = text.split('`').skip(1).step_by(2);
        let is_path = |text: &&str| {
            let directories = ["src/", "tests/", "fuzz/", "shell/", "docs/", ".ci/", ".github/"];
            directories.iter().any(|directory| text.starts_with(directory)) && !text.contains("NAME")
        };
        for path in code.filter(is_path) {
            assert!(root().join(path).exists(), "{document}: {path}");
        }
    }
}

#[test]
fn workflows_use_the_minimum_rust_version() {
    let cargo = read("Cargo.toml");
    let version = cargo.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"')).unwrap();
    for workflow in files(".github/workflows", "yml") {
        let text = read(&workflow);
        let images: Vec<&str> = text.lines().filter_map(|line| line.split_once(" rust:")).map(|(_, tag)| tag).collect();
        assert!(!images.is_empty(), "{}", workflow.display());
        for tag in images {
            assert_eq!(tag, format!("{version}-bookworm"), "{}", workflow.display());
        }
    }
    assert!(read("fuzz/Cargo.toml").contains(&format!("rust-version = \"{version}\"")));
}

/// tests/summary.rs counts them by what they need.
#[test]
fn ignored_tests_name_what_they_need() {
    for source in files("tests", "rs") {
        for line in read(&source).lines().map(str::trim).filter(|line| line.starts_with("#[ignore")) {
            assert!(line.starts_with("#[ignore = \"needs "), "{}: {line}", source.display());
        }
    }
}
