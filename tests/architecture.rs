//! The structure of `src/`: imports run downwards only, without cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The parts of the program, from the top down. A part imports only parts below it.
const LAYERS: [&[&str]; 16] = [
    &["main"],
    &["lib", "testing"],
    &["command"],
    &["settings"],
    &["cli", "config"],
    &["layer"],
    &["policy"],
    &["lookup"],
    &["account"],
    &["cache", "client"],
    &["token"],
    &["aws", "target"],
    &["output"],
    &["os"],
    &["error"],
    &["escape", "fingerprint", "percent", "region_name", "rfc3339", "secret", "similar"],
];

/// A source file, as a path of modules such as `["aws", "sso"]`.
type Module = Vec<String>;

#[test]
fn imports_have_no_cycle() {
    let imports = imports();
    let mut cycles = Vec::new();
    for (module, import) in imports.iter().flat_map(|(module, imports)| imports.iter().map(move |i| (module, i))) {
        if reachable(import, &imports).contains(module) {
            cycles.push(format!("{} -> {}", module.join("::"), import.join("::")));
        }
    }
    assert!(cycles.is_empty(), "these imports are part of a cycle: {cycles:#?}");
}

/// The modules that `module` imports, directly or through others.
fn reachable(module: &Module, imports: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let (mut reached, mut pending) = (BTreeSet::new(), vec![module.clone()]);
    while let Some(module) = pending.pop() {
        let new = imports.get(&module).into_iter().flatten().filter(|import| reached.insert((*import).clone()));
        pending.extend(new.cloned().collect::<Vec<_>>());
    }
    reached
}

#[test]
fn imports_run_downwards() {
    let layer_number = |module: &Module| {
        let part = module[0].as_str();
        LAYERS.iter().position(|layer| layer.contains(&part)).unwrap_or_else(|| panic!("{part} is in no layer"))
    };
    let mut upwards = Vec::new();
    for (module, imports) in imports() {
        let others =
            imports.iter().filter(|import| import[0] != module[0] && layer_number(import) <= layer_number(&module));
        upwards.extend(others.map(|import| format!("{} -> {}", module.join("::"), import.join("::"))));
    }
    assert!(upwards.is_empty(), "these imports run upwards: {upwards:#?}");
}

#[test]
fn credentials_and_cache_are_independent() {
    for (module, imports) in imports() {
        let is_pair = |import: &Module| {
            let pair = (module[0].as_str(), import[0].as_str());
            pair == ("aws", "cache") || pair == ("cache", "aws")
        };
        assert!(!imports.iter().any(is_pair), "{} imports {imports:?}", module.join("::"));
    }
}

/// The modules that each module imports.
fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = files_below(&source);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let modules: BTreeSet<Module> = files.iter().map(|path| module(&source, path)).collect();
    assert!(modules.len() > 60, "{modules:?}");
    let mut imports: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for path in &files {
        let module = module(&source, path);
        let text = std::fs::read_to_string(path).unwrap();
        let paths = imported_paths(&text, &module_path(&source, path));
        // A declaration counts as an import, so a module may not import from its parent.
        let declared = text.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
        let children = declared.map(|name| [module.as_slice(), &[name.to_owned()]].concat());
        let children: Vec<Module> = children.filter(|child| modules.contains(child) && module[0] != "lib").collect();
        let imported = paths.iter().filter_map(|path| nearest_module(path, &modules)).chain(children);
        let imported = imported.filter(|import| *import != module);
        imports.entry(module.clone()).or_default().extend(imported);
    }
    imports
}

/// The files below a directory, in order, without build directories and the `.git` directory.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            let is_skipped = entry.file_name() == "target" || entry.file_name() == ".git";
            files.extend((!is_skipped).then(|| files_below(&entry.path())).into_iter().flatten());
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

/// The module of a file. `unix.rs`, `windows.rs` and `tests.rs` count as part of their parent module.
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

/// The paths in a file that begin with `crate::` or `super::`, in `use` lines and elsewhere. Test modules are skipped.
fn imported_paths(text: &str, module: &Module) -> BTreeSet<Vec<String>> {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut paths = BTreeSet::new();
    for (prefix, parent) in [("crate::", Vec::new()), ("super::", module[..module.len() - 1].to_vec())] {
        for (index, _) in code.match_indices(prefix) {
            let before = &code[..index];
            if before.ends_with(|c: char| c.is_alphanumeric() || c == ':' || c == '_') || before.ends_with("pub(in ") {
                continue;
            }
            let (mut path, mut rest) = (parent.clone(), &code[index + prefix.len()..]);
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
    for (index, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 1 => {
                expand(&path, rest[start..index].trim(), paths);
                start = index + 1;
                if c == '}' {
                    return;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The module that a path points into: its longest prefix that is a module.
fn nearest_module(path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|module| modules.contains(module))
}
