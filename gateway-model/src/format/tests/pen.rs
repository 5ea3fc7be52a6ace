//! Writing values in random styles, with comments at random legal spots.

use std::fmt::Write;

use super::artifacts::{Tree, Written};

/// Writes trees in styles that a row of choices picks.
pub(super) struct Pen {
    choices: Vec<u8>,
    at: usize,
    text: String,
    comments: Vec<String>,
    /// Whether what is written further in would be a line of a block.
    is_behind_block: bool,
}

impl Pen {
    pub(super) fn new(choices: Vec<u8>) -> Self {
        Self { choices, at: 0, text: String::new(), comments: Vec::new(), is_behind_block: false }
    }

    /// One of `count` ways.
    fn choose(&mut self, count: u8) -> u8 {
        self.at += 1;
        self.choices[self.at % self.choices.len()].wrapping_add((self.at / self.choices.len()) as u8) % count
    }

    pub(super) fn write(mut self, documents: &[Tree]) -> Written {
        if self.choose(6) == 0 {
            self.text.push('\u{feff}');
        }
        self.lines_between(0, 3);
        for (index, document) in documents.iter().enumerate() {
            if index > 0 || self.choose(3) == 0 {
                self.text.push_str("---");
                self.end_line();
            }
            self.is_behind_block = false;
            self.lines_between(0, 3);
            match document {
                tree if self.choose(5) == 0 => {
                    self.flow(tree, 1);
                    self.end_line();
                }
                Tree::List(items) => self.block_list(items, 0),
                Tree::Map(entries) => self.block_map(entries, 0, false),
                Tree::Plain(_) | Tree::Text(_) => unreachable!("documents are collections"),
            }
            self.lines_between(0, 3);
        }
        if self.choose(4) == 0 {
            self.text = self.text.replace('\n', "\r\n");
        }
        Written { text: self.text, comments: self.comments }
    }

    fn comment(&mut self) {
        let ends = ["", " # x", ": 'y", "  ", "{[", "\t\u{e4}"];
        let end = ends[usize::from(self.choose(6))];
        let comment = format!("#{}c{}{end}", if self.choose(2) == 0 { " " } else { "" }, self.comments.len());
        self.text.push_str(&comment);
        self.comments.push(comment.trim_end().to_owned());
    }

    /// The end of a line, with a comment perhaps.
    fn end_line(&mut self) {
        match self.choose(5) {
            0 => {
                self.text.push(' ');
                self.comment();
            }
            1 => self.text.push_str("  "),
            _ => {}
        }
        self.text.push('\n');
    }

    /// Blank lines and comments.
    fn lines_between(&mut self, indent: usize, further: u8) {
        for _ in 0..self.choose(6).saturating_sub(3) {
            if self.choose(2) == 0 {
                self.text.push_str("\n\n");
            }
            let more = if self.is_behind_block { 0 } else { usize::from(self.choose(further)) };
            self.indent(indent + more);
            self.comment();
            self.text.push('\n');
        }
        if self.choose(6) == 0 {
            self.text.push('\n');
        }
    }

    fn indent(&mut self, indent: usize) {
        self.text.extend(std::iter::repeat_n(' ', indent));
    }

    fn block_map(&mut self, entries: &[(String, Tree)], indent: usize, is_begun: bool) {
        for (index, (key, value)) in entries.iter().enumerate() {
            if index > 0 || !is_begun {
                self.lines_between(indent, 4);
                self.indent(indent);
            }
            let key_start = self.text.len();
            self.quoted(key);
            if self.text.len() - key_start > 900 {
                self.text.insert_str(key_start, "? ");
                self.text.push('\n');
                self.indent(indent);
            }
            self.text.push(':');
            self.value(value, indent, true);
        }
    }

    fn block_list(&mut self, items: &[Tree], indent: usize) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 || !self.text.ends_with(' ') {
                self.lines_between(indent, 2);
                self.indent(indent);
            }
            self.text.push('-');
            self.value(item, indent, false);
        }
    }

    /// What stands behind a key or dash at `indent`, with the end of the line.
    fn value(&mut self, value: &Tree, indent: usize, is_of_key: bool) {
        let further = indent + 1 + usize::from(self.choose(4));
        self.is_behind_block = false;
        let is_empty = match value {
            Tree::List(items) => items.is_empty(),
            Tree::Map(entries) => entries.is_empty(),
            Tree::Plain(_) | Tree::Text(_) => true,
        };
        match value {
            Tree::Plain(_) | Tree::Text(_) => self.scalar(value, further),
            Tree::List(_) | Tree::Map(_) if is_empty || self.choose(4) == 0 => {
                self.text.push(' ');
                self.flow(value, further);
                self.end_line();
            }
            Tree::List(items) if is_of_key => {
                self.end_line();
                let further = if self.choose(2) == 0 { indent } else { further };
                self.block_list(items, further);
            }
            Tree::Map(entries) if is_of_key => {
                self.end_line();
                self.block_map(entries, further, false);
            }
            Tree::List(items) => {
                self.indent(further - indent - 1 + usize::from(further == indent + 1));
                let further = further.max(indent + 2);
                self.block_list(items, further);
            }
            Tree::Map(entries) => {
                self.indent(further - indent - 1 + usize::from(further == indent + 1));
                self.block_map(entries, further.max(indent + 2), true);
            }
        }
    }

    fn scalar(&mut self, value: &Tree, indent: usize) {
        let text = match value {
            Tree::Plain(text) => {
                self.text.push(' ');
                self.text.push_str(text);
                return self.end_line();
            }
            Tree::Text(text) => text,
            Tree::List(_) | Tree::Map(_) => unreachable!("no scalar"),
        };
        let fits = |c: char| c == '\n' || c == '\u{e4}' || (' '..='~').contains(&c);
        let is_block = text.chars().all(fits) && !text.starts_with(['\n', ' ']) && !text.is_empty();
        self.text.push(' ');
        if !is_block || self.choose(2) == 0 {
            self.quoted(text);
            return self.end_line();
        }
        self.text.push_str(match text.strip_suffix('\n') {
            None => "|-",
            Some(text) if text.ends_with('\n') => "|+",
            Some(_) => "|",
        });
        self.end_line();
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            if !line.is_empty() {
                self.indent(indent);
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
        self.is_behind_block = true;
    }

    /// Plain, single- or double-quoted, in one line.
    fn quoted(&mut self, text: &str) {
        let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic());
        let is_word = is_word && !matches!(text, "null" | "true" | "yes" | "No");
        if is_word && self.choose(3) > 0 {
            self.text.push_str(text);
        } else if text.chars().all(|c| (' '..='~').contains(&c)) && self.choose(2) == 0 {
            write!(self.text, "'{}'", text.replace('\'', "''")).unwrap();
        } else {
            self.text.push('"');
            for c in text.chars() {
                match c {
                    '"' | '\\' => write!(self.text, "\\{c}").unwrap(),
                    ' '..='~' | '\u{e4}' => self.text.push(c),
                    c => write!(self.text, "\\U{:08x}", u32::from(c)).unwrap(),
                }
            }
            self.text.push('"');
        }
    }

    fn flow(&mut self, value: &Tree, indent: usize) {
        match value {
            Tree::Plain(text) => self.text.push_str(text),
            Tree::Text(text) => self.quoted(text),
            Tree::List(items) => {
                self.text.push('[');
                self.flow_lines(indent);
                for (index, item) in items.iter().enumerate() {
                    self.separate(index, indent);
                    self.flow(item, indent);
                }
                self.flow_lines(indent);
                self.text.push(']');
            }
            Tree::Map(entries) => {
                self.text.push('{');
                self.flow_lines(indent);
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.separate(index, indent);
                    self.quoted(key);
                    self.text.push_str(": ");
                    self.flow(value, indent);
                }
                self.flow_lines(indent);
                self.text.push('}');
            }
        }
    }

    fn separate(&mut self, index: usize, indent: usize) {
        if index > 0 {
            self.text.push_str(", ");
            self.flow_lines(indent);
        }
    }

    /// Line breaks and comments inside brackets.
    fn flow_lines(&mut self, indent: usize) {
        for _ in 0..self.choose(8).saturating_sub(5) {
            self.end_line();
            let more = usize::from(self.choose(3));
            self.indent(indent + more);
        }
    }
}
