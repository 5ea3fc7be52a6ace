//! The boolean layer that selectors and conditions share: `!`/`not` binds tighter than `and`/`&&`/`&`, that
//! tighter than `or`/`||`/`|`; parentheses; keywords in any case; white space after the word operators.
//!
//! Printing an expression and parsing it again gives the same expression.

mod cursor;

use std::fmt;

use thiserror::Error;

pub(crate) use cursor::{Cursor, Value, quote, slash};

/// Longest expression, in bytes.
pub const MAX_LENGTH: usize = 16 << 10;
/// Deepest nesting of parentheses and negations.
pub const MAX_DEPTH: usize = 64;

/// A boolean expression over terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression<T> {
    /// A term.
    Term(T),
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

/// Parses a whole text.
pub(crate) fn parse<T: Operand>(text: &str) -> Result<Expression<T>, SyntaxError> {
    let mut cursor = Cursor::new(text);
    if text.len() > MAX_LENGTH {
        return Err(SyntaxError {
            column: 1,
            expected: format!("at most {MAX_LENGTH} bytes"),
            found: format!("{} bytes", text.len()),
        });
    }
    let expression = parse_any(&mut cursor, 0)?;
    cursor.skip_blanks();
    if cursor.is_at_end() { Ok(expression) } else { Err(cursor.expected("`and`, `or` or the end")) }
}

fn parse_any<T: Operand>(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression<T>, SyntaxError> {
    let mut terms = vec![parse_all(cursor, depth)?];
    while cursor.take_operator("or", &["||", "|"])? {
        terms.push(parse_all(cursor, depth)?);
    }
    Ok(if terms.len() == 1 { terms.remove(0) } else { Expression::Any(terms) })
}

fn parse_all<T: Operand>(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression<T>, SyntaxError> {
    let mut terms = vec![parse_unary(cursor, depth)?];
    while cursor.take_operator("and", &["&&", "&"])? {
        terms.push(parse_unary(cursor, depth)?);
    }
    Ok(if terms.len() == 1 { terms.remove(0) } else { Expression::All(terms) })
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
    Ok(Expression::Term(T::parse(cursor)?))
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
        match self {
            Self::Term(term) => seen(term),
            Self::Not(inner) => inner.visit(seen),
            Self::All(inner) | Self::Any(inner) => inner.iter().for_each(|one| one.visit(seen)),
        }
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
            Self::Term(term) => return term.fmt(f),
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
