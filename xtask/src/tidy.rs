//! `cargo xtask tidy`: the rules of the house that no lint knows, as rules over text.
//!
//! The invariants are absences ("nothing under `proxy/` knows aya"), so a rule is a function of a file's path
//! and text to complaints; each is tested on a text that breaks it.

mod boundary;
mod graph;
mod shape;
mod source;
mod words;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::exec::root;
use source::Source;

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

impl Complaint {
    fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

/// Checks every file of the workspace and prints what is wrong.
pub fn command() -> Result<()> {
    let sources = read_all()?;
    let maps = boundary::map_names(&sources);
    let commands = crate::subcommands();
    let mut count = 0;
    for source in &sources {
        let complaints = [
            boundary::check(source, &maps),
            graph::check(source),
            shape::check(source),
            words::check(source, &commands),
        ];
        for Complaint { line, what } in complaints.into_iter().flatten() {
            println!("{}:{line}: {what}", source.path);
            count += 1;
        }
    }
    for name in MUST_EXIST.iter().filter(|name| !root().join(name).is_file()) {
        println!("{name}:0: this file must exist");
        count += 1;
    }
    if count == 0 { Ok(()) } else { bail!("{count} broken rules") }
}

const MUST_EXIST: &[&str] = &[
    "README.md",
    "LICENSE-APACHE",
    "gateway-ebpf/LICENSE-APACHE",
    "gateway-ebpf/LICENSE-GPL2",
    "docs/ARCHITECTURE.md",
    "docs/DEVELOPMENT.md",
];

fn read_all() -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    walk(root(), &mut sources)?;
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

/// Reads the text files below `dir`, leaving out what git does not keep.
fn walk(dir: &Path, sources: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "target" || name == ".git" || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(&path, sources)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).expect("found below the root").display().to_string();
            sources.push(Source { path, text });
        }
    }
    Ok(())
}
