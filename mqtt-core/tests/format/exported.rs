//! The names of what a crate exports, out of its source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Public structures and enumerations, each with the module that it is to be had from.
pub(crate) fn types(source: &Path) -> Vec<String> {
    let mut declared = BTreeSet::new();
    declarations(source, &mut declared);
    let root = fs::read_to_string(source.join("lib.rs")).unwrap();
    let mut found = exported(&root, &declared, "");
    for module in root.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        let text = fs::read_to_string(source.join(module).join("mod.rs")).unwrap();
        found.extend(exported(&text, &declared, &format!("{module}::")));
        found.extend(text.lines().filter_map(declaration).map(|name| format!("{module}::{name}")));
    }
    found
}

/// What is in a `pub use`, as far as it is a type of this crate.
fn exported(text: &str, declared: &BTreeSet<String>, module: &str) -> Vec<String> {
    let uses = text.split("pub use ").skip(1).filter_map(|rest| rest.split_once(';'));
    let names = uses.flat_map(|(list, _)| list.split(|char: char| !char.is_alphanumeric() && char != '_'));
    names.filter(|name| declared.contains(*name)).map(|name| format!("{module}{name}")).collect()
}

fn declarations(directory: &Path, declared: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            declarations(&path, declared);
        } else {
            declared.extend(fs::read_to_string(&path).unwrap().lines().filter_map(declaration).map(str::to_owned));
        }
    }
}

fn declaration(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))?;
    rest.split(|char: char| !char.is_alphanumeric()).next()
}
