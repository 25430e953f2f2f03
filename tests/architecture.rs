//! The structure of `src/`: imports run downwards only, and never in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The parts of the program, from the top down. A part imports only parts below it.
const LAYERS: [&[&str]; 13] = [
    &["main"],
    &["lib", "testing"],
    &["command"],
    &["settings"],
    &["cli", "config"],
    &["layer"],
    &["cache", "client"],
    &["token"],
    &["aws", "target"],
    &["output"],
    &["os"],
    &["error"],
    &["escape", "fingerprint", "percent", "rfc3339", "secret", "similar"],
];

/// A source file, as a path of modules such as `["aws", "sso"]`.
type Module = Vec<String>;

#[test]
fn imports_form_no_circle() {
    let imports = imports();
    let mut circles = Vec::new();
    for (module, import) in imports.iter().flat_map(|(module, imports)| imports.iter().map(move |i| (module, i))) {
        if reachable(import, &imports).contains(module) {
            circles.push(format!("{} -> {}", module.join("::"), import.join("::")));
        }
    }
    assert!(circles.is_empty(), "these imports are part of a circle: {circles:#?}");
}

/// The modules that `module` imports, directly or through others.
fn reachable(module: &Module, imports: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let (mut found, mut pending) = (BTreeSet::new(), vec![module.clone()]);
    while let Some(module) = pending.pop() {
        let new = imports.get(&module).into_iter().flatten().filter(|import| found.insert((*import).clone()));
        pending.extend(new.cloned().collect::<Vec<_>>());
    }
    found
}

#[test]
fn imports_run_downwards() {
    let rank = |module: &Module| {
        let part = module[0].as_str();
        LAYERS.iter().position(|layer| layer.contains(&part)).unwrap_or_else(|| panic!("{part} is in no layer"))
    };
    let mut upwards = Vec::new();
    for (module, imports) in imports() {
        let others = imports.iter().filter(|import| import[0] != module[0] && rank(import) <= rank(&module));
        upwards.extend(others.map(|import| format!("{} -> {}", module.join("::"), import.join("::"))));
    }
    assert!(upwards.is_empty(), "these imports run upwards: {upwards:#?}");
}

/// The modules that each module imports.
fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = source_files(&source);
    let modules: BTreeSet<Module> = files.iter().map(|path| module(&source, path)).collect();
    assert!(modules.len() > 60, "{modules:?}");
    let mut imports: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for path in &files {
        let module = module(&source, path);
        let text = std::fs::read_to_string(path).unwrap();
        let paths = imported_paths(&text, &module_path(&source, path));
        // A module imports the modules that it declares, so they must import nothing from it.
        let declared = text.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
        let children = declared.map(|name| [module.as_slice(), &[name.to_owned()]].concat());
        let children: Vec<Module> = children.filter(|child| modules.contains(child) && module[0] != "lib").collect();
        let found = paths.iter().filter_map(|path| nearest_module(path, &modules)).chain(children);
        let found = found.filter(|import| *import != module);
        imports.entry(module.clone()).or_default().extend(found);
    }
    imports
}

fn source_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The module of a file. `unix.rs` and `windows.rs` are the halves of the module that they belong to.
fn module(source: &Path, path: &Path) -> Module {
    let mut module = module_path(source, path);
    if module.len() > 1 && ["unix", "windows", "tests"].contains(&module.last().unwrap().as_str()) {
        module.pop();
    }
    module
}

fn module_path(source: &Path, path: &Path) -> Module {
    let relative = path.strip_prefix(source).unwrap().with_extension("");
    relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect()
}

/// The paths in a file that begin with `crate::` or `super::`, in `use` lines and elsewhere, without tests.
fn imported_paths(text: &str, module: &Module) -> BTreeSet<Vec<String>> {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut paths = BTreeSet::new();
    for (start, parent) in [("crate::", Vec::new()), ("super::", module[..module.len() - 1].to_vec())] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == ':' || c == '_') || code[..at].ends_with("pub(in ") {
                continue;
            }
            let (mut path, mut rest) = (parent.clone(), &code[at + start.len()..]);
            while let Some(inner) = rest.strip_prefix("super::") {
                path.pop();
                rest = inner;
            }
            expand(&path, rest, &mut paths);
        }
    }
    paths
}

/// Expands `a::{b, c::d}` into the paths `a::b` and `a::c::d`.
fn expand(parent: &[String], text: &str, paths: &mut BTreeSet<Vec<String>>) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let mut path = parent.to_vec();
    path.extend(word.split("::").filter(|part| !part.is_empty() && *part != "self").map(str::to_owned));
    if !((word.is_empty() || word.ends_with("::")) && rest.starts_with('{')) {
        paths.insert(path);
        return;
    }
    let (mut depth, mut start) = (0, 1);
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 1 => {
                expand(&path, rest[start..at].trim(), paths);
                start = at + 1;
                if c == '}' {
                    return;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The module that a path leads into: its longest beginning that is one.
fn nearest_module(path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|module| modules.contains(module))
}
