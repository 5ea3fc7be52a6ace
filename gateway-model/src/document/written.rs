//! Where the characters of a scalar stand in the text that it was read from.
//!
//! Quotes, escapes, folded lines and indentation make a value differ from its source; a mistake in an expression
//! is to be shown where it is written all the same. The source is walked again beside the value. Where the two
//! cannot be brought together, every character stands at the scalar's beginning: a place is never wrong by guess.

use saphyr_parser::{ScalarStyle, Span};

use crate::finding::Place;

/// Where a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it begins: at its quote, where it has one.
    place: Place,
    /// Stretches of the value that stand side by side in the source, in ascending order.
    runs: Vec<Run>,
}

/// From this character of the value on, the source goes on from this line and column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Offset into the value, in characters.
    from: u32,
    line: u32,
    column: u32,
}

impl Written {
    /// A value of which only the place is known.
    pub fn at_once(place: Place) -> Self {
        Self { place, runs: Vec::new() }
    }

    /// A value that is written as it is, in one line.
    pub fn in_one_line(place: Place) -> Self {
        let run = Run { from: 0, line: place.line, column: place.column };
        Self { place, runs: vec![run] }
    }

    /// Where it begins.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The place of `length` characters of the value, the first of which is number `column`, from 1; of a stretch
    /// that goes over several lines of the source, the part in the first of them.
    pub fn part(&self, column: usize, length: usize) -> Place {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let offset = narrow(column.saturating_sub(1));
        let end = offset.saturating_add(narrow(length).max(1));
        let first = self.runs.partition_point(|run| run.from <= offset).saturating_sub(1);
        let Some(run) = self.runs.get(first) else { return self.place.clone() };
        let column = run.column.saturating_add(offset - run.from);
        let mut after = column.saturating_add(1);
        let starts = self.runs[first + 1..].iter().map(|run| run.from).chain([u32::MAX]);
        for (part, next) in self.runs[first..].iter().zip(starts) {
            if part.line != run.line || part.from >= end {
                break;
            }
            after = part.column.saturating_add(end.min(next) - part.from);
        }
        Place { file: self.place.file.clone(), line: run.line, column, length: after - column }
    }
}

/// Finds where the characters of `value` stand; `source` is the whole text and `place` the scalar's beginning.
pub(super) fn locate(source: &[char], style: ScalarStyle, span: Span, value: &str, place: Place) -> Written {
    let mut walk = Walk {
        source,
        at: span.start.index(),
        line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
        column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
        style,
        indentation: span.start.col(),
    };
    if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
        walk.advance();
    }
    let mut runs: Vec<Run> = Vec::new();
    let (mut length, mut last) = (0, None);
    for (offset, wanted) in (0_u32..).zip(value.chars()) {
        let Some((line, column)) = walk.take(wanted) else { return Written::at_once(place) };
        let goes_on = runs
            .last()
            .is_some_and(|run| run.line == line && run.column.checked_add(offset - run.from) == Some(column));
        if !goes_on {
            runs.push(Run { from: offset, line, column });
        }
        (length, last) = (offset + 1, Some((line, column)));
    }
    if let (true, Some((line, column))) = (value.ends_with('\n'), last) {
        // What is missing at the end is missing in the last line, not after it.
        runs.push(Run { from: length, line, column });
    }
    Written { place, runs }
}

/// A position in the source of a scalar.
struct Walk<'a> {
    source: &'a [char],
    at: usize,
    line: u32,
    column: u32,
    style: ScalarStyle,
    /// Of a block scalar.
    indentation: usize,
}

impl Walk<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.source.get(self.at + ahead).copied()
    }

    fn advance(&mut self) {
        self.at += 1;
        self.column = self.column.saturating_add(1);
    }

    fn is_block(&self) -> bool {
        matches!(self.style, ScalarStyle::Literal | ScalarStyle::Folded)
    }

    /// Takes what stands for the next character of the value; its line and column, or `None` where the source
    /// has something else.
    fn take(&mut self, wanted: char) -> Option<(u32, u32)> {
        loop {
            let here = (self.line, self.column);
            if let Some(blanks) = self.blanks_before_break() {
                (0..blanks).for_each(|_| self.advance());
                self.break_line();
                if matches!(wanted, ' ' | '\n') {
                    return Some(here);
                }
                continue;
            }
            let found = self.peek(0)?;
            if self.style == ScalarStyle::DoubleQuoted && found == '\\' {
                if self.escaped_break() {
                    continue;
                }
                return self.escape(wanted).then_some(here);
            }
            if self.style == ScalarStyle::SingleQuoted && found == '\'' {
                self.advance();
            }
            let same = self.peek(0) == Some(wanted);
            self.advance();
            return same.then_some(here);
        }
    }

    /// How many blanks stand before the end of this line, where nothing else does; block scalars keep them.
    fn blanks_before_break(&self) -> Option<usize> {
        let mut blanks = 0;
        while !self.is_block() && matches!(self.peek(blanks), Some(' ' | '\t')) {
            blanks += 1;
        }
        matches!(self.peek(blanks), Some('\n' | '\r')).then_some(blanks)
    }

    /// Goes to where the next line's text begins.
    fn break_line(&mut self) {
        if self.peek(0) == Some('\r') && self.peek(1) == Some('\n') {
            self.at += 1;
        }
        self.at += 1;
        (self.line, self.column) = (self.line.saturating_add(1), 1);
        let mut skipped = 0;
        while matches!(self.peek(0), Some(' ' | '\t')) && !(self.is_block() && skipped == self.indentation) {
            self.advance();
            skipped += 1;
        }
    }

    /// Skips a line break behind a backslash.
    fn escaped_break(&mut self) -> bool {
        let breaks = matches!(self.peek(1), Some('\n' | '\r'));
        if breaks {
            self.advance();
            self.break_line();
        }
        breaks
    }

    /// Takes an escape; whether it stands for `wanted`.
    fn escape(&mut self, wanted: char) -> bool {
        self.advance();
        let Some(kind) = self.peek(0) else { return false };
        self.advance();
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return unescape(kind) == Some(wanted),
        };
        let code = (0..digits).try_fold(0_u32, |code, _| {
            let digit = self.peek(0)?.to_digit(16)?;
            self.advance();
            code.checked_mul(16)?.checked_add(digit)
        });
        code.and_then(char::from_u32) == Some(wanted)
    }
}

/// YAML 1.2, section 5.7.
fn unescape(kind: char) -> Option<char> {
    Some(match kind {
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        ' ' | '"' | '/' | '\\' => kind,
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        _ => return None,
    })
}
