//! Reads the tree's Rust files into what the other checks ask of them: their place and the paths that they name.

use std::path::{Path, PathBuf};

use syn::{UseTree, visit::Visit};

/// A Rust file of the library.
pub(super) struct Source {
    /// Its path below `bot/`, such as `engine/alerts/decide.rs`.
    pub(super) path: String,
    /// Its module path, such as `["engine", "alerts", "decide"]`.
    pub(super) module: Vec<String>,
    /// Its text.
    pub(super) text: String,
    /// Every path that it names, each from its root: `["crate", "store", "Tx"]`, `["sqlx", "query"]`.
    pub(super) names: Vec<Vec<String>>,
}

/// Every file under `bot/`.
pub(super) fn library() -> Vec<Source> {
    let root = root().join("bot");
    let mut sources: Vec<Source> = files(&root, "rs").iter().map(|file| read(&root, file)).collect();
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(sources.len() > 20, "the library was found at {}", root.display());
    sources
}

/// The top of the project.
pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with this ending.
pub(super) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|has| has == ending) {
            found.push(path);
        }
    }
    found
}

fn read(root: &Path, file: &Path) -> Source {
    let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let mut module: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let is_folder = module.last().is_some_and(|last| last == "mod");
    if is_folder {
        module.pop();
    }
    let text = std::fs::read_to_string(file).unwrap();
    let parsed = syn::parse_file(&text).unwrap();
    let mut paths = Paths::default();
    paths.visit_file(&parsed);
    let names = paths.0.into_iter().map(|name| from_root(&name, &module)).collect();
    Source { path, module, text, names }
}

/// The path from the crate's root, if it starts from where it stands.
fn from_root(name: &[String], module: &[String]) -> Vec<String> {
    let ups = name.iter().take_while(|part| *part == "super").count();
    let here = name.first().is_some_and(|part| part == "self");
    if ups == 0 && !here {
        return name.to_owned();
    }
    let base = &module[..module.len().saturating_sub(ups)];
    let rest = &name[ups.max(usize::from(here))..];
    std::iter::once("crate").map(str::to_owned).chain(base.iter().cloned()).chain(rest.iter().cloned()).collect()
}

#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !is_test {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        unfold(&item.tree, &mut Vec::new(), &mut self.0);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }
}

fn unfold(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            unfold(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|item| unfold(item, before, found)),
        UseTree::Name(name) => found.push([before.clone(), vec![name.ident.to_string()]].concat()),
        UseTree::Rename(rename) => found.push([before.clone(), vec![rename.ident.to_string()]].concat()),
        UseTree::Glob(_) => found.push(before.clone()),
    }
}
