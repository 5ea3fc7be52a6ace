//! The page's grammars, read and followed: whether a text is one that they describe.
//!
//! Alternatives are tried in order and the first that fits is taken, repetitions take what they can (a parsing
//! expression grammar; Ford, 2004). Blanks may stand between the parts of a rule unless its name is in capitals.

use std::collections::HashMap;

use super::page;

/// Rules by name.
#[derive(Debug, Default)]
pub struct Grammar(HashMap<String, Rule>);

#[derive(Debug)]
enum Rule {
    Choice(Vec<Self>),
    Sequence(Vec<Self>),
    Repeated(Box<Self>),
    Optional(Box<Self>),
    /// A text, and whether its case matters.
    Literal(String, bool),
    Name(String),
    /// In words, between question marks.
    Special(String),
}

impl Grammar {
    /// The rules of all blocks `ebnf NAME` of the page, for each of the names.
    pub fn of_page(names: &[&str]) -> Self {
        let mut grammar = Self::default();
        for block in names.iter().flat_map(|name| page::blocks(&format!("ebnf {name}"))) {
            let mut reader = Reader { tokens: tokens(&block.text), at: 0 };
            while reader.at < reader.tokens.len() {
                let name = reader.next();
                reader.expect("=");
                let rule = reader.choice();
                reader.expect(";");
                assert!(grammar.0.insert(name.clone(), rule).is_none(), "`{name}` is described twice");
            }
        }
        grammar
    }

    /// Whether the rule describes all of `text`, with blanks around it or not.
    pub fn accepts(&self, rule: &str, text: &str) -> bool {
        let start = text.len() - text.trim_start().len();
        self.follow(&Rule::Name(rule.to_owned()), text, start, false)
            .is_some_and(|end| text[end..].trim_start().is_empty())
    }

    /// Names that are used and not described.
    pub fn unknown_names(&self) -> Vec<&str> {
        let names = self.parts().into_iter().filter_map(|part| {
            let Rule::Name(name) = part else { return None };
            Some(name.as_str()).filter(|name| !self.0.contains_key(*name))
        });
        names.collect()
    }

    /// Its words: texts that end with a letter.
    pub fn words(&self) -> Vec<&str> {
        let words = self.parts().into_iter().filter_map(|part| {
            let Rule::Literal(text, _) = part else { return None };
            Some(text.as_str()).filter(|text| ends_with_letter(text))
        });
        words.collect()
    }

    /// All rules, and all parts of them.
    fn parts(&self) -> Vec<&Rule> {
        let mut parts: Vec<&Rule> = self.0.values().collect();
        let mut at = 0;
        while let Some(part) = parts.get(at).copied() {
            match part {
                Rule::Choice(inner) | Rule::Sequence(inner) => parts.extend(inner),
                Rule::Repeated(inner) | Rule::Optional(inner) => parts.push(inner),
                Rule::Name(_) | Rule::Literal(..) | Rule::Special(_) => {}
            }
            at += 1;
        }
        parts
    }

    /// Where the rule ends that begins at `at`; `tight`: without blanks between parts.
    fn follow(&self, rule: &Rule, text: &str, at: usize, tight: bool) -> Option<usize> {
        match rule {
            Rule::Choice(parts) => parts.iter().find_map(|part| self.follow(part, text, at, tight)),
            Rule::Sequence(parts) => parts.iter().enumerate().try_fold(at, |at, (index, part)| {
                let at = if index == 0 { at } else { skip(part, text, at, tight) };
                self.follow(part, text, at, tight)
            }),
            Rule::Optional(inner) => Some(self.follow(inner, text, at, tight).unwrap_or(at)),
            Rule::Repeated(inner) => {
                let (mut end, mut next) = (at, at);
                while let Some(after) = self.follow(inner, text, next, tight).filter(|after| *after > next) {
                    end = after;
                    next = skip(inner, text, end, tight);
                }
                Some(end)
            }
            Rule::Literal(wanted, exactly) => literal(wanted, *exactly, text, at),
            Rule::Name(name) => {
                let rule = self.0.get(name).unwrap_or_else(|| panic!("no rule `{name}`"));
                let tight = tight || !name.contains(|c: char| c.is_ascii_lowercase());
                self.follow(rule, text, at, tight)
            }
            Rule::Special(words) => special(words, text, at),
        }
    }
}

/// After the blanks that may stand before a part.
fn skip(part: &Rule, text: &str, at: usize, tight: bool) -> usize {
    let is_blank = matches!(part, Rule::Name(name) if name == "blank");
    if tight || is_blank { at } else { text.len() - text[at..].trim_start().len() }
}

/// Words end where letters, digits, `-`, `_` and `.` end.
fn literal(wanted: &str, exactly: bool, text: &str, at: usize) -> Option<usize> {
    let end = at + wanted.len();
    let found = text.get(at..end)?;
    let is_in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let goes_on = ends_with_letter(wanted) && text[end..].starts_with(is_in_word);
    let is_same = if exactly { found == wanted } else { found.eq_ignore_ascii_case(wanted) };
    (is_same && !goes_on).then_some(end)
}

fn ends_with_letter(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_alphabetic())
}

fn special(words: &str, text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let first = rest.chars().next()?;
    let one = |fits: bool| fits.then_some(at + first.len_utf8());
    let listed = |list: &str, c: char| list.split(' ').any(|item| item.chars().eq([c]));
    if let Some(excluded) = words.strip_prefix("a character other than ") {
        return one(!listed(excluded, first));
    }
    if let Some(ends) = words.strip_prefix("characters up to a blank") {
        let (ends, wrong_first) = ends.split_once(", the first none of ").unwrap_or((ends, ""));
        let ends = ends.strip_prefix(" or one of ").unwrap_or_default();
        let length = rest.find(|c: char| c.is_whitespace() || listed(ends, c)).unwrap_or(rest.len());
        return (length > 0 && !listed(wrong_first, first)).then_some(at + length);
    }
    match words {
        "a character" => one(true),
        "a digit" => one(first.is_ascii_digit()),
        "one blank or more" => Some(text.len() - rest.trim_start().len()).filter(|end| *end > at),
        _ => panic!("what is `{words}`?"),
    }
}

/// Names, signs, quoted texts with their quotes, and `? words ?`.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' | '?' => 2 + rest[1..].find(first).unwrap_or_else(|| panic!("not closed: {rest}")),
            'a'..='z' | 'A'..='Z' => rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

struct Reader {
    tokens: Vec<String>,
    at: usize,
}

impl Reader {
    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().unwrap_or_default()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &str) {
        let found = self.take(token);
        assert!(found, "expected {token} after {:?}", &self.tokens[self.at.saturating_sub(8)..self.at]);
    }

    fn choice(&mut self) -> Rule {
        let mut parts = vec![self.sequence()];
        while self.take("|") {
            parts.push(self.sequence());
        }
        if parts.len() == 1 { parts.remove(0) } else { Rule::Choice(parts) }
    }

    fn sequence(&mut self) -> Rule {
        let mut parts = vec![self.part()];
        while self.take(",") {
            parts.push(self.part());
        }
        if parts.len() == 1 { parts.remove(0) } else { Rule::Sequence(parts) }
    }

    fn part(&mut self) -> Rule {
        let token = self.next();
        let mut inner = |close: &str| {
            let inner = self.choice();
            self.expect(close);
            inner
        };
        match token.as_str() {
            "(" => inner(")"),
            "[" => Rule::Optional(Box::new(inner("]"))),
            "{" => Rule::Repeated(Box::new(inner("}"))),
            text if text.starts_with(['"', '\'']) => {
                Rule::Literal(text[1..text.len() - 1].to_owned(), text.starts_with('\''))
            }
            text if text.starts_with('?') => Rule::Special(text[1..text.len() - 1].trim().to_owned()),
            name => {
                assert!(name.starts_with(|c: char| c.is_ascii_alphabetic()), "`{name}` is no part of a rule");
                Rule::Name(name.to_owned())
            }
        }
    }
}
