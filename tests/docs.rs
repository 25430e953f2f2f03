//! The Markdown files: every relative link and anchor has a target, and README.md stays short.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::architecture::files_below;

/// The upper limit for README.md, in lines. Longer text belongs in docs/.
const README_LINES: usize = 180;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn markdown_files() -> Vec<PathBuf> {
    let mut files = files_below(root());
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
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
            let is_in_slug = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let slug: String = title.to_lowercase().chars().filter(is_in_slug).collect();
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

/// The error in a link on a page. `None` if the link has a target.
fn link_error(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { page.to_path_buf() } else { page.parent().unwrap().join(file) };
    if !path.exists() {
        return Some(format!("{}: {link}: {} does not exist", page.display(), path.display()));
    }
    let anchors = || anchors(&std::fs::read_to_string(&path).unwrap());
    let is_missing = anchor.is_some_and(|anchor| !anchors().iter().any(|existing| existing == anchor));
    is_missing.then(|| format!("{}: {link}: the page has no heading with this anchor", page.display()))
}

#[test]
fn every_link_has_a_target() {
    let mut count = 0;
    let mut errors = Vec::new();
    for page in markdown_files() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in prose(&text).into_iter().flat_map(links) {
            count += 1;
            errors.extend(link_error(&page, &link));
        }
    }
    assert_eq!(errors, Vec::<String>::new());
    assert!(count > 80, "{count} links were found");
}

#[test]
fn broken_links_are_reported() {
    let page = root().join("README.md");
    for link in ["docs/commands.md", "docs/commands.md#exit-codes", "#install", "https://example.com/#nothing"] {
        assert_eq!(link_error(&page, link), None, "{link}");
    }
    for link in ["docs/nothing.md", "docs/commands.md#nothing", "#nothing"] {
        assert!(link_error(&page, link).is_some(), "{link}");
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
fn pages_named_in_the_sources_exist() {
    let mut count = 0;
    let files = ["src", "tests", "shell"].iter().flat_map(|name| files_below(&root().join(name)));
    // The test of broken links names pages that do not exist.
    for path in files.filter(|path| !path.ends_with("tests/docs.rs")) {
        let source = std::fs::read(&path).unwrap();
        for rest in String::from_utf8_lossy(&source).split("docs/").skip(1) {
            let Some((name, _)) = rest.split_once(".md") else { continue };
            if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                count += 1;
                let page = root().join("docs").join(format!("{name}.md"));
                assert!(page.exists(), "{}: docs/{name}.md does not exist", path.display());
            }
        }
    }
    assert!(count > 3, "{count} pages are named");
}

#[test]
fn the_readme_is_short() {
    let lines = std::fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines, more than {README_LINES}; move details to docs/");
}
