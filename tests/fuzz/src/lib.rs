//! What the parsers of the language promise for any text.
//!
//! A target is a parser and its promises: a function that panics where one is broken. Two drivers feed it: the
//! test `replay`, with seeds and a fixed number of mutations of them, and libFuzzer (`cargo xtask fuzz`). A new
//! target is a line in [`TARGETS`] and a folder of seeds; an input that broke a promise becomes a seed.

mod artifact;
mod condition;
mod format;
mod place;
mod request;
mod rewrite;
mod selector;
mod workloads;

use std::str;

/// A parser and what it promises.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its folder in `tests/fuzz-seeds`, and of its dictionary.
    pub name: &'static str,
    /// Panics where a text breaks a promise.
    promises: fn(&str),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "acl", promises: condition::keep_acl_promises },
    Target { name: "artifact", promises: artifact::keep_promises },
    Target { name: "condition", promises: condition::keep_promises },
    Target { name: "rewrite", promises: rewrite::keep_promises },
    Target { name: "selector", promises: selector::keep_promises },
    Target { name: "workloads", promises: workloads::keep_promises },
];

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.iter().copied().find(|target| target.name == name)
    }

    /// Holds an input against the promises; whatever is not UTF-8 never reaches a parser.
    ///
    /// # Panics
    /// Where a promise is broken.
    pub fn check(self, input: &[u8]) {
        if let Ok(text) = str::from_utf8(input) {
            (self.promises)(text);
        }
    }
}
