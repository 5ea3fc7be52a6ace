//! The normal form of artifacts: what `weir fmt` writes.
//!
//! Nothing is lost and nothing changes its meaning: comments stay at the entries that they belong to, and what is
//! written reads as what was read. Writing the normal form in normal form changes nothing.

mod comments;
mod json;
mod layout;
mod normal;
mod read;
mod scalar;
mod write;

use serde::de::IgnoredAny;

use crate::{
    finding::{Finding, Place},
    gateway,
};

/// Writes the gateways of a YAML or JSON text in normal form. `file` is its name in findings. A text with errors is
/// refused with them. Line breaks become `\n`; a byte order mark is dropped.
pub fn format(file: &str, text: &str, namespace: &str) -> Result<String, Vec<Finding>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let findings = gateway::parse(file, &text, namespace).findings;
    let errors: Vec<Finding> = findings.into_iter().filter(Finding::is_error).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    rewrite(&text).ok_or_else(|| vec![not_formatted(file)])
}

/// `None` where what would be written does not say what the text says.
fn rewrite(text: &str) -> Option<String> {
    let is_json = is_json(text);
    let mut layout = read::read(text)?;
    normal::normalize(&mut layout, is_json);
    let written = if is_json { json::write(&layout) } else { write::write(&layout) };
    read::read(&written).filter(|again| layout.says_the_same(again)).map(|_| written)
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn not_formatted(file: &str) -> Finding {
    let message = "the text cannot be written in normal form without a change of what it says";
    let place = Place { file: file.to_owned(), line: 1, column: 1, length: 1 };
    Finding::error("not-formatted", message, "leave it as it is, and report it with the text").at(&place)
}

#[cfg(test)]
mod tests;
