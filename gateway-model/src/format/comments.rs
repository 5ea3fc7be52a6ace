//! Where comments are: the YAML parser drops them, so that its source is walked again beside its events.
//!
//! A `#` begins a comment at a line's start or after a blank, but not inside a scalar. The walk only goes forward:
//! every character is looked at once.

use saphyr_parser::{ScalarStyle, Span};

/// A comment in a source.
#[derive(Debug)]
pub(super) struct Found {
    /// Its line, from 1.
    pub line: usize,
    /// Its column, from 0.
    pub column: usize,
    /// Whether nothing stands before it in its line.
    pub is_alone: bool,
    /// Whether the `|` or `>` of a block stands before it.
    pub is_behind_header: bool,
    /// Whether a blank line stands between it and what is before it.
    pub follows_gap: bool,
    /// From its `#` to the end of the line, without blanks at the end.
    pub text: String,
}

/// A walk through a source.
pub(super) struct Scan<'a> {
    source: &'a [char],
    at: usize,
    line: usize,
    /// Where the line begins.
    start: usize,
    /// Whether the line has nothing but blanks so far.
    is_blank: bool,
    /// Whether there was a blank line since the last token or comment.
    gap: bool,
    found: Vec<Found>,
}

impl<'a> Scan<'a> {
    /// From the beginning of a text whose lines end in `\n`.
    pub(super) fn new(source: &'a [char]) -> Self {
        Self { source, at: 0, line: 1, start: 0, is_blank: true, gap: false, found: Vec::new() }
    }

    /// The line, from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The column, from 0.
    pub(super) fn column(&self) -> usize {
        self.at - self.start
    }

    /// The comments that were found since the last time.
    pub(super) fn take_found(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.found)
    }

    /// The comment behind the `|` or `>` of a block whose content begins here. A blank line before it is one before
    /// the block.
    pub(super) fn take_header_comment(&mut self) -> Option<String> {
        let found = self.found.pop_if(|found| found.is_behind_header)?;
        self.gap = found.follows_gap;
        Some(found.text)
    }

    /// Whether there is a blank line before the token to come.
    pub(super) fn take_gap(&mut self) -> bool {
        std::mem::take(&mut self.gap)
    }

    /// Goes to where a node begins, past its tag.
    pub(super) fn seek(&mut self, span: Span, is_tagged: bool) {
        self.advance(span.start.index());
        if is_tagged {
            while self.peek().is_some_and(|c| !matches!(c, ' ' | '\t' | '\n')) {
                self.step();
            }
            self.seek_while(|c| matches!(c, ' ' | '\t' | '\n' | '#'));
        }
    }

    /// Goes to the content of a block. Its span begins there, but with the tag where it has one.
    pub(super) fn seek_block(&mut self, span: Span, is_tagged: bool) {
        self.seek(span, is_tagged);
        if is_tagged {
            self.seek_while(|c| c != '\n');
        }
    }

    /// Goes to the bracket that ends a flow collection.
    pub(super) fn seek_end_of_flow(&mut self) {
        self.seek_while(|c| !matches!(c, ']' | '}'));
    }

    /// Goes to the end of the text.
    pub(super) fn seek_end(&mut self) {
        self.advance(self.source.len());
    }

    /// Whether an item of a block list begins here.
    pub(super) fn is_at_dash(&self) -> bool {
        let next = self.source.get(self.at + 1);
        self.peek() == Some('-') && next.is_none_or(|c| matches!(c, ' ' | '\t' | '\n'))
    }

    /// Whether a flow collection begins here.
    pub(super) fn is_at_bracket(&self) -> bool {
        matches!(self.peek(), Some('[' | '{'))
    }

    /// Goes past a token of `length` characters that stands here.
    pub(super) fn pass(&mut self, length: usize) {
        self.skip(self.at + length);
    }

    /// Goes past the scalar that stands here.
    pub(super) fn pass_scalar(&mut self, style: ScalarStyle, span: Span) {
        match style {
            ScalarStyle::Plain => self.skip(span.end.index()),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => self.pass_quoted(),
            ScalarStyle::Literal | ScalarStyle::Folded => self.pass_block(span),
        }
    }

    /// Its end is searched: a comment in the same line may be part of the parser's span.
    fn pass_quoted(&mut self) {
        let Some(quote) = self.peek() else { return };
        let mut end = self.at + 1;
        while let Some(c) = self.source.get(end) {
            let escapes = *c == '\\' && quote == '"'
                || *c == '\'' && quote == '\'' && self.source.get(end + 1) == Some(&'\'');
            if *c == quote && !escapes {
                break;
            }
            end += if escapes { 2 } else { 1 };
        }
        self.skip(end + 1);
    }

    /// Its span ends in the indentation of what follows.
    fn pass_block(&mut self, span: Span) {
        let from = self.at;
        self.skip(span.end.index());
        let passed = &self.source[from..self.at];
        let breaks = passed.iter().rev().take_while(|c| c.is_whitespace()).filter(|c| **c == '\n').count();
        self.gap = breaks > 1;
        self.is_blank = true;
    }

    fn peek(&self) -> Option<char> {
        self.source.get(self.at).copied()
    }

    fn seek_while(&mut self, goes_on: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&goes_on) {
            self.advance(self.at + 1);
        }
    }

    /// Goes to `to`, or to the end of the comment around it.
    pub(super) fn advance(&mut self, to: usize) {
        while self.at < to.min(self.source.len()) {
            match self.source[self.at] {
                '#' if self.is_after_blank() => self.take_comment(),
                '\n' => {
                    self.gap |= self.is_blank;
                    self.is_blank = true;
                    self.step();
                }
                ' ' | '\t' => self.step(),
                _ => {
                    self.is_blank = false;
                    self.step();
                }
            }
        }
    }

    fn is_after_blank(&self) -> bool {
        self.at == 0 || matches!(self.source[self.at - 1], ' ' | '\t' | '\n')
    }

    fn take_comment(&mut self) {
        let rest = &self.source[self.at..];
        let length = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
        let text: String = rest[..length].iter().collect();
        let follows_gap = self.take_gap();
        let before: String = self.source[self.start..self.at].iter().collect();
        let header =
            before.trim_end().trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
        self.found.push(Found {
            line: self.line,
            column: self.column(),
            is_alone: before.trim().is_empty(),
            is_behind_header: header.ends_with(['|', '>']),
            follows_gap,
            text: text.trim_end().to_owned(),
        });
        self.skip(self.at + length);
    }

    /// Goes to `to` without looking for comments.
    fn skip(&mut self, to: usize) {
        while self.at < to.min(self.source.len()) {
            self.step();
        }
        self.gap = false;
        self.is_blank = false;
    }

    fn step(&mut self) {
        if self.peek() == Some('\n') {
            self.line += 1;
            self.start = self.at + 1;
        }
        self.at += 1;
    }
}
