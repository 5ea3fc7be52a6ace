//! From a layout to YAML.

use super::layout::{Collection, Comment, Entry, Layout, Scalar, Value};

/// Longest line with a list in brackets, in characters.
const WIDTH: usize = 80;
/// Longest key that may stand in a line with its value, in characters; YAML 1.2, section 7.4.2, has 1024.
const LONGEST_KEY: usize = 1000;

/// Writes a layout in normal form.
pub(super) fn write(layout: &Layout) -> String {
    let mut writer = Writer { text: String::new(), is_at_top: true, is_open: false };
    writer.comments(&layout.rest, 0);
    for (index, document) in layout.documents.iter().enumerate() {
        if index > 0 {
            writer.line(0, "---");
        }
        writer.is_at_top = true;
        writer.comments(&document.head, 0);
        if !document.head.is_empty() {
            writer.gap();
            writer.is_at_top = true;
        }
        match &document.root {
            Value::Scalar(scalar) => writer.line(0, &scalar.inline(false)),
            Value::List(root) | Value::Map(root) if root.entries.is_empty() => {
                writer.line(0, brackets(&document.root));
            }
            Value::List(root) | Value::Map(root) => writer.collection(root, 0, 0, false),
        }
    }
    writer.text
}

impl Scalar {
    /// Whether it must be marked as a key.
    pub(super) fn is_too_long_for_key(&self) -> bool {
        self.text.len() > LONGEST_KEY && self.inline(false).chars().count() > LONGEST_KEY
    }
}

fn brackets(value: &Value) -> &'static str {
    if matches!(value, Value::Map(_)) { "{}" } else { "[]" }
}

struct Writer {
    text: String,
    /// Whether nothing of the collection is written yet: no blank line then.
    is_at_top: bool,
    /// Whether a blank line would belong to the scalar before it.
    is_open: bool,
}

impl Writer {
    fn line(&mut self, indent: usize, text: &str) {
        self.indent(indent);
        self.text.push_str(text);
        self.end_line(None);
    }

    fn indent(&mut self, indent: usize) {
        self.text.extend(std::iter::repeat_n(' ', indent));
    }

    fn end_line(&mut self, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.text.push(' ');
            self.text.push_str(comment);
        }
        self.text.push('\n');
        (self.is_at_top, self.is_open) = (false, false);
    }

    fn gap(&mut self) {
        if !self.is_at_top && !self.is_open {
            self.text.push('\n');
        }
    }

    fn comments(&mut self, comments: &[Comment], indent: usize) {
        for comment in comments {
            if comment.follows_gap {
                self.gap();
            }
            self.line(indent, &comment.text);
        }
    }

    /// Entries at `indent`, comments behind them at `tail_indent`; `is_begun`: the first line has its indentation.
    fn collection(&mut self, collection: &Collection, indent: usize, tail_indent: usize, is_begun: bool) {
        for (index, entry) in collection.entries.iter().enumerate() {
            if index > 0 || !is_begun {
                self.comments(&entry.above, indent);
                if entry.follows_gap {
                    self.gap();
                }
                self.indent(indent);
            }
            match &entry.key {
                Some(key) => self.key(key, indent),
                None => self.text.push('-'),
            }
            self.value(entry, indent);
        }
        self.comments(&collection.tail, tail_indent);
    }

    fn key(&mut self, key: &Scalar, indent: usize) {
        let text = match key.inline(false) {
            text if text.is_empty() => "''".to_owned(),
            text => text,
        };
        if key.is_too_long_for_key() {
            self.text.push_str("? ");
            self.text.push_str(&text);
            self.text.push('\n');
            self.indent(indent);
        } else {
            self.text.push_str(&text);
        }
        self.text.push(':');
    }

    /// What follows a key or a dash, with the end of the line.
    fn value(&mut self, entry: &Entry, indent: usize) {
        let beside = entry.beside.as_deref();
        match &entry.value {
            Value::Scalar(scalar) => self.scalar(scalar, beside, indent + 2),
            Value::List(content) | Value::Map(content) if content.entries.is_empty() => {
                self.inline(brackets(&entry.value), beside);
            }
            Value::List(list) => {
                if let Some(text) = self.list_in_brackets(list) {
                    self.inline(&text, beside);
                } else if entry.key.is_none() {
                    self.text.push(' ');
                    self.collection(list, indent + 2, indent + 2, true);
                } else {
                    let is_key_apart = entry.key.as_ref().is_some_and(Scalar::is_too_long_for_key);
                    let indent = if is_key_apart { indent + 2 } else { indent };
                    self.end_line(beside);
                    self.is_at_top = true;
                    self.collection(list, indent, tail_indent(list, indent), false);
                }
            }
            Value::Map(map) if entry.key.is_none() => {
                self.text.push(' ');
                self.collection(map, indent + 2, indent + 2, true);
            }
            Value::Map(map) => {
                self.end_line(beside);
                self.is_at_top = true;
                self.collection(map, indent + 2, indent + 2, false);
            }
        }
    }

    fn inline(&mut self, text: &str, beside: Option<&str>) {
        if !text.is_empty() {
            self.text.push(' ');
            self.text.push_str(text);
        }
        self.end_line(beside);
    }

    fn scalar(&mut self, scalar: &Scalar, beside: Option<&str>, indent: usize) {
        let Some(block) = scalar.block() else { return self.inline(&scalar.inline(false), beside) };
        self.inline(block.header, beside);
        for line in &block.lines {
            if !line.is_empty() {
                self.indent(indent);
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
        self.is_open = block.header == "|+";
    }

    /// A short list of scalars that was in brackets, and has no comments in it.
    fn list_in_brackets(&self, list: &Collection) -> Option<String> {
        if !list.is_flow || !list.tail.is_empty() {
            return None;
        }
        let mut items = Vec::new();
        let mut width = self.text.len() - self.text.rfind('\n').map_or(0, |at| at + 1) + " []".len();
        for entry in &list.entries {
            let Value::Scalar(scalar) = &entry.value else { return None };
            let text = scalar.inline(true);
            width += text.chars().count() + if items.is_empty() { 0 } else { ", ".len() };
            let is_alone = entry.above.is_empty() && entry.beside.is_none();
            if !is_alone || text.is_empty() || scalar.text.contains('\n') || width > WIDTH {
                return None;
            }
            items.push(text);
        }
        Some(format!("[{}]", items.join(", ")))
    }
}

/// Comments behind a list stand further in than its dashes, so that they stay its own; but not where they would
/// be lines of a block.
fn tail_indent(list: &Collection, indent: usize) -> usize {
    let ends_in_block = list
        .entries
        .last()
        .is_some_and(|last| matches!(&last.value, Value::Scalar(scalar) if scalar.block().is_some()));
    if ends_in_block { indent } else { indent + 2 }
}
