//! How a scalar is written: plain, quoted, or as a block of lines.

use std::sync::LazyLock;

use regex::Regex;

use super::layout::Scalar;

/// What some reader of YAML (1.1 or 1.2) does not take for a text.
static TYPED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)^(?: ~ | null | true | false | yes | no | on | off | y | n | = | <<
        | [-+]?(?: 0x[0-9a-f_]+ | 0o[0-7_]+ | 0b[01_]+ | [0-9][0-9_,]*(?::[0-9]+)*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?
            | \.[0-9][0-9_]*(?:e[-+]?[0-9]+)? | \.inf )
        | \.nan | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t\ ].*)? )$",
    )
    .expect("a regular expression that does not change")
});

/// A text as lines of their own.
pub(super) struct Block {
    /// `|`, `|-` or `|+`.
    pub header: &'static str,
    /// Its lines, without indentation and without the last line break.
    pub lines: Vec<String>,
}

impl Scalar {
    /// Whether it is nothing.
    pub(super) fn is_null(&self) -> bool {
        !self.is_quoted && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// Whether it is a text: neither nothing nor a boolean nor a number.
    pub(super) fn is_string(&self) -> bool {
        let boolean = matches!(self.text.as_str(), "true" | "True" | "TRUE" | "false" | "False" | "FALSE");
        let number = || self.text.parse::<serde_json::Number>().is_ok();
        self.is_quoted || !(self.is_null() || boolean || number())
    }

    /// In one line; empty for nothing. `is_in_list`: inside the brackets of a list.
    pub(super) fn inline(&self, is_in_list: bool) -> String {
        if self.text.is_empty() && !self.is_quoted || self.is_plain(is_in_list) {
            return self.text.clone();
        }
        if self.text.chars().all(is_printable) {
            return format!("'{}'", self.text.replace('\'', "''"));
        }
        let escaped: String = self.text.chars().map(escape).collect();
        format!("\"{escaped}\"")
    }

    /// As a block: a text of several lines, none of which would lose its blanks.
    pub(super) fn block(&self) -> Option<Block> {
        let fits = |line: &str| line.is_empty() || !line.trim().is_empty();
        let is_possible = self.text.contains('\n')
            && !self.text.starts_with(char::is_whitespace)
            && self.text.chars().all(|c| is_printable(c) || matches!(c, '\n' | '\t'))
            && self.text.split('\n').all(fits);
        if !is_possible {
            return None;
        }
        let (text, header) = match self.text.strip_suffix('\n') {
            None => (self.text.as_str(), "|-"),
            Some(text) if text.ends_with('\n') => (text, "|+"),
            Some(text) => (text, "|"),
        };
        Some(Block { header, lines: text.split('\n').map(str::to_owned).collect() })
    }

    /// Whether it can stand without quotes and is the same then.
    fn is_plain(&self, is_in_list: bool) -> bool {
        let text = self.text.as_str();
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else { return false };
        let second = text.chars().nth(1);
        let begins = match first {
            '-' | '?' | ':' => second.is_some_and(|c| !c.is_whitespace()),
            first => !",[]{}#&*!|>'\"%@`".contains(first),
        };
        let bracketed = is_in_list && text.contains([',', '[', ']', '{', '}']);
        begins
            && !bracketed
            && !first.is_whitespace()
            && !last.is_whitespace()
            && last != ':'
            && !text.contains(": ")
            && !text.contains(" #")
            && !text.starts_with("---")
            && !text.starts_with("...")
            && text.chars().all(is_printable)
            && !(self.is_quoted && (TYPED.is_match(text) || !is_string(text)))
    }
}

/// Whether a plain text is a string.
fn is_string(text: &str) -> bool {
    Scalar { text: text.to_owned(), is_quoted: false }.is_string()
}

/// YAML 1.2, section 5.1, without line breaks, tabs and marks that cannot be seen.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// YAML 1.2, section 5.7.
fn escape(c: char) -> String {
    match c {
        '"' | '\\' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        c if is_printable(c) => c.to_string(),
        c if u32::from(c) <= 0xff => format!("\\x{:02x}", u32::from(c)),
        c if u32::from(c) <= 0xffff => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    }
}
