//! The boolean layer that selectors and conditions share: `!`/`not` binds tighter than `and`/`&&`/`&`, that
//! tighter than `or`/`||`/`|`; parentheses; keywords in any case; white space after the word operators.
//!
//! Printing an expression and parsing it again gives the same expression.

mod cursor;
mod lint;
mod place;
pub(crate) mod refute;
pub(crate) mod shape;
mod warning;

use std::fmt;

use thiserror::Error;

pub(crate) use cursor::{Cursor, Mark, Value, quote, slash};
pub(crate) use lint::{Linter, Names};
pub(crate) use place::texts;
pub use place::{Placed, Span};
pub use warning::Warning;

/// Longest expression, in bytes.
pub const MAX_LENGTH: usize = 16 << 10;
/// Deepest nesting of parentheses and negations.
pub const MAX_DEPTH: usize = 64;

/// Most steps that reading an expression takes for each of its bytes: see `Condition::parse_counted`.
pub const STEPS_PER_BYTE: usize = 16;

/// A boolean expression over terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression<T> {
    /// A term, and where it is written.
    Term(Placed<T>),
    /// True where the inner one is false.
    Not(Box<Self>),
    /// True where all are true; two or more.
    All(Vec<Self>),
    /// True where one is true; two or more.
    Any(Vec<Self>),
}

/// Why and where an expression does not parse.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("column {column}: expected {expected}, found {found}")]
pub struct SyntaxError {
    /// Where, in characters from 1.
    pub column: usize,
    /// How many characters are wrong, at least 1.
    pub length: usize,
    /// What would have been right.
    pub expected: String,
    /// What is there instead.
    pub found: String,
}

/// What can stand in an expression as a term.
pub(crate) trait Operand: Sized {
    /// What is expected where a term must begin, for messages.
    const EXPECTED: &'static str;

    /// Parses one term; the cursor stands at its first character, which is not a blank.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError>;
}

impl SyntaxError {
    /// An error about `text`, which stands at `span`.
    pub(crate) fn at(span: Span, expected: &str, text: &str) -> Self {
        let found = cursor::in_backticks(text.chars());
        Self { column: span.column, length: span.length.max(1), expected: expected.to_owned(), found }
    }

    /// Where what is wrong is written.
    pub fn span(&self) -> Span {
        Span { column: self.column, length: self.length }
    }
}

/// Parses a whole text; says also how many bytes were looked at, those looked at twice counted twice.
pub(crate) fn parse<T: Operand>(text: &str) -> (Result<Expression<T>, SyntaxError>, usize) {
    if text.len() > MAX_LENGTH {
        let expected = format!("at most {MAX_LENGTH} bytes");
        let found = format!("{} bytes", text.len());
        return (Err(SyntaxError { column: 1, length: 1, expected, found }), 0);
    }
    let mut cursor = Cursor::new(text);
    (parse_whole(&mut cursor), cursor.steps())
}

fn parse_whole<T: Operand>(cursor: &mut Cursor<'_>) -> Result<Expression<T>, SyntaxError> {
    let expression = parse_any(cursor, 0)?;
    cursor.skip_blanks();
    if cursor.is_at_end() { Ok(expression) } else { Err(cursor.expected("`and`, `or` or the end")) }
}

fn parse_any<T: Operand>(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression<T>, SyntaxError> {
    let first = parse_all(cursor, depth)?;
    let mut terms = Vec::new();
    while cursor.take_operator("or", &["||", "|"])? {
        terms.push(parse_all(cursor, depth)?);
    }
    Ok(join(first, terms, Expression::Any))
}

fn parse_all<T: Operand>(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression<T>, SyntaxError> {
    let first = parse_unary(cursor, depth)?;
    let mut terms = Vec::new();
    while cursor.take_operator("and", &["&&", "&"])? {
        terms.push(parse_unary(cursor, depth)?);
    }
    Ok(join(first, terms, Expression::All))
}

fn join<T>(
    first: Expression<T>,
    mut rest: Vec<Expression<T>>,
    joined: fn(Vec<Expression<T>>) -> Expression<T>,
) -> Expression<T> {
    if rest.is_empty() {
        return first;
    }
    rest.insert(0, first);
    joined(rest)
}

fn parse_unary<T: Operand>(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression<T>, SyntaxError> {
    if depth == MAX_DEPTH {
        return Err(cursor.expected(&format!("at most {MAX_DEPTH} levels of parentheses and `!`")));
    }
    if cursor.take_operator("not", &["!"])? {
        return Ok(Expression::Not(Box::new(parse_unary(cursor, depth + 1)?)));
    }
    if cursor.take("(") {
        let inner = parse_any(cursor, depth + 1)?;
        cursor.skip_blanks();
        return if cursor.take(")") { Ok(inner) } else { Err(cursor.expected("`and`, `or` or `)`")) };
    }
    if cursor.is_at_end() {
        return Err(cursor.expected(T::EXPECTED));
    }
    let start = cursor.mark();
    let term = T::parse(cursor)?;
    Ok(Expression::Term(Placed { term, span: cursor.span_since(start) }))
}

impl<T> Expression<T> {
    /// Whether it is true, given which terms are. Stops as soon as the answer is known.
    pub fn is_true(&self, test: &mut impl FnMut(&T) -> bool) -> bool {
        match self {
            Self::Term(term) => test(term),
            Self::Not(inner) => !inner.is_true(test),
            Self::All(inner) => inner.iter().all(|one| one.is_true(test)),
            Self::Any(inner) => inner.iter().any(|one| one.is_true(test)),
        }
    }

    /// Visits every term, in the order written.
    pub fn visit<'a>(&'a self, seen: &mut impl FnMut(&'a T)) {
        self.visit_placed(&mut |term, _| seen(&term.term));
    }

    /// Visits every term with its place, in the order written, and whether it is negated: whether an odd number
    /// of `not` stands before it or around it.
    pub fn visit_placed<'a>(&'a self, seen: &mut impl FnMut(&'a Placed<T>, bool)) {
        self.visit_signed(false, seen);
    }

    fn visit_signed<'a>(&'a self, negated: bool, seen: &mut impl FnMut(&'a Placed<T>, bool)) {
        match self {
            Self::Term(term) => seen(term, negated),
            Self::Not(inner) => inner.visit_signed(!negated, seen),
            Self::All(inner) | Self::Any(inner) => {
                for one in inner {
                    one.visit_signed(negated, seen);
                }
            }
        }
    }

    /// From its first term to its last; a `not` before it and parentheses around it are left out.
    pub fn span(&self) -> Span {
        let mut span = None::<Span>;
        self.visit_placed(&mut |term, _| {
            span = Some(span.map_or(term.span, |before| before.through(term.span)));
        });
        span.unwrap_or(Span { column: 1, length: 0 })
    }

    /// How tightly it binds; looser ones inside tighter ones need parentheses.
    fn binding(&self) -> u8 {
        match self {
            Self::Any(_) => 0,
            Self::All(_) => 1,
            Self::Not(_) | Self::Term(_) => 2,
        }
    }
}

impl<T: fmt::Display> Expression<T> {
    fn write_inside(&self, f: &mut fmt::Formatter<'_>, outer: u8) -> fmt::Result {
        if self.binding() > outer { write!(f, "{self}") } else { write!(f, "({self})") }
    }
}

impl<T: fmt::Display> fmt::Display for Expression<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inner, operator, binding) = match self {
            Self::Term(term) => return term.term.fmt(f),
            Self::Not(inner) => {
                f.write_str("!")?;
                return inner.write_inside(f, 1);
            }
            Self::All(inner) => (inner, " && ", 1),
            Self::Any(inner) => (inner, " || ", 0),
        };
        for (index, one) in inner.iter().enumerate() {
            if index > 0 {
                f.write_str(operator)?;
            }
            one.write_inside(f, binding)?;
        }
        Ok(())
    }
}
