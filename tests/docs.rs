//! The Markdown files: every relative link and anchor leads somewhere, and README.md stays short.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The upper limit for README.md, in lines. What does not fit belongs in docs/.
const README_LINES: usize = 180;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Markdown files of the repository, except in build and hidden directories.
fn markdown_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![root().to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let is_skipped = name == "target" || name == ".git";
            if entry.file_type().unwrap().is_dir() {
                directories.extend((!is_skipped).then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The lines outside fenced code blocks.
fn prose(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        if !in_code && !is_fence {
            lines.push(line);
        }
    }
    assert!(!in_code, "a code block is not closed");
    lines
}

/// The text without `code spans`.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The anchors that GitHub gives to the headings of a page.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(text).into_iter().filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then(|| title.trim())
    });
    headings
        .map(|title| {
            let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let slug: String = title.to_lowercase().chars().filter(is_kept).collect();
            let slug = slug.replace(' ', "-");
            let count = seen.entry(slug.clone()).or_default();
            *count += 1;
            if *count == 1 { slug } else { format!("{slug}-{}", *count - 1) }
        })
        .collect()
}

/// The destinations of the links in a line.
fn links(line: &str) -> Vec<String> {
    let line = without_code(line);
    line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// What is wrong with a link on a page. `None` if it leads somewhere.
fn fault(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { page.to_path_buf() } else { page.parent().unwrap().join(file) };
    if !path.exists() {
        return Some(format!("{}: {link}: there is no {}", page.display(), path.display()));
    }
    let anchors = || anchors(&std::fs::read_to_string(&path).unwrap());
    let is_missing = anchor.is_some_and(|anchor| !anchors().iter().any(|found| found == anchor));
    is_missing.then(|| format!("{}: {link}: no heading has this anchor", page.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    let mut faults = Vec::new();
    for page in markdown_files() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in prose(&text).into_iter().flat_map(links) {
            count += 1;
            faults.extend(fault(&page, &link));
        }
    }
    assert_eq!(faults, Vec::<String>::new());
    assert!(count > 80, "{count} links were found");
}

#[test]
fn broken_links_are_found() {
    let page = root().join("README.md");
    for link in ["docs/commands.md", "docs/commands.md#exit-codes", "#install", "https://example.com/#nothing"] {
        assert_eq!(fault(&page, link), None, "{link}");
    }
    for link in ["docs/nothing.md", "docs/commands.md#nothing", "#nothing"] {
        assert!(fault(&page, link).is_some(), "{link}");
    }
    assert_eq!(links("[a](b.md), `[c](d.md)` and [`e`](f.md#g)"), ["b.md", "f.md#g"]);
    assert_eq!(anchors("# A `b`: c?\n```\n# no\n```\n## D\n## D\n"), ["a-b-c", "d", "d-1"]);
}

#[test]
fn the_index_lists_every_page() {
    let index = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    for page in markdown_files().iter().filter_map(|path| path.strip_prefix(root().join("docs")).ok()) {
        let name = page.display();
        assert!(name.to_string() == "README.md" || index.contains(&format!("({name})")), "docs/README.md: no {name}");
    }
}

/// Messages and comments name pages too.
#[test]
fn pages_that_the_sources_name_exist() {
    let mut count = 0;
    let mut directories = ["src", "tests", "shell"].map(|name| root().join(name)).to_vec();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
                continue;
            }
            let source = std::fs::read(entry.path()).unwrap();
            let source = String::from_utf8_lossy(&source);
            // The test of this file names pages that do not exist.
            if entry.path().ends_with("tests/docs.rs") {
                continue;
            }
            for rest in source.split("docs/").skip(1) {
                let Some((name, _)) = rest.split_once(".md") else { continue };
                if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                    count += 1;
                    let page = root().join("docs").join(format!("{name}.md"));
                    assert!(page.exists(), "{}: docs/{name}.md does not exist", entry.path().display());
                }
            }
        }
    }
    assert!(count > 3, "{count} pages are named");
}

#[test]
fn the_readme_is_short() {
    let lines = std::fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines, of {README_LINES}; move details to docs/");
}
