//! The page's grammars and the parsers accept the same texts: the examples, and thousands of changed ones.

use gateway_model::{
    condition::Condition,
    expression::SyntaxError,
    rewrite::{Rewrite, RewriteKind},
    selector::Selector,
};

use super::{grammar::Grammar, page, rewrites::kind_of};

/// What parsers expect where a text is one of the grammar and its values are wrong: numbers, addresses, regular
/// expressions, lengths.
const BEYOND_GRAMMAR: [&str; 17] = [
    "a regular expression that compiles",
    "at most ",
    "a number from 0",
    "an address or network",
    "a count",
    "the name of a ",
    "a name",
    "no -m flag",
    "regular expressions that are smaller",
    "a path",
    "a host name",
    "a fixed text",
    "a port",
    "one slash",
    "letters, digits",
    "% and two",
    "labels of",
];
/// Changed texts that are tried for each example.
const CHANGES: usize = 100;

/// What a parser makes of a text.
type Verdict = Result<(), SyntaxError>;

fn condition(text: &str) -> Verdict {
    Condition::parse(text).map(drop)
}

fn selector(text: &str) -> Verdict {
    Selector::parse(text).map(drop)
}

fn texts(info: &str) -> Vec<String> {
    let examples = page::examples(info);
    examples.into_iter().flat_map(|example| example.texts).map(|(_, text)| text).collect()
}

/// Small changes to a text, the same each time: words taken out, doubled, swapped, or taken from elsewhere.
struct Changes {
    random: u64,
    words: Vec<String>,
}

impl Changes {
    fn below(&mut self, count: usize) -> usize {
        // Knuth, The Art of Computer Programming, volume 2, section 3.3.4.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) as usize) % count
    }

    fn change(&mut self, text: &str) -> String {
        let mut parts = split(text);
        for _ in 0..=self.below(2) {
            let (one, other) = (self.below(parts.len()), self.below(parts.len()));
            let word = self.below(self.words.len());
            let word = self.words[word].clone();
            match self.below(5) {
                0 if parts.len() > 1 => drop(parts.remove(one)),
                1 => parts.swap(one, other),
                2 => parts.insert(one, word),
                3 => parts[one] = word,
                _ => parts.insert(one, parts[other].clone()),
            }
        }
        parts.concat()
    }
}

/// Words, runs of blanks, and signs.
fn split(text: &str) -> Vec<String> {
    let kind = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') => 0,
        c if c.is_whitespace() => 1,
        c => c as u32,
    };
    let mut parts: Vec<String> = Vec::new();
    for c in text.chars() {
        match parts.last_mut() {
            Some(last) if kind(c) < 2 && last.chars().all(|before| kind(before) == kind(c)) => last.push(c),
            Some(_) | None => parts.push(c.to_string()),
        }
    }
    parts
}

/// Whether something follows a word of the grammar with nothing between that would go on with it: in places the
/// parser takes it for another word, and the page promises nothing.
fn is_glued(grammar: &Grammar, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let ends_word = |c: char| !c.is_ascii_alphanumeric();
    let goes_on = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.' | '(' | ')');
    let is_glued = |word: &str| {
        text.match_indices(word).any(|(at, _)| {
            text[..at].chars().next_back().is_none_or(ends_word)
                && text[at + word.len()..].starts_with(goes_on)
        })
    };
    grammar.words().into_iter().any(is_glued)
}

fn assert_agree(grammar: &Grammar, rule: &str, parse: impl Fn(&str) -> Verdict, texts: &[String]) {
    assert_eq!(grammar.unknown_names(), Vec::<String>::new());
    let words: Vec<String> = texts.iter().flat_map(|text| split(text)).collect();
    let mut changes = Changes { random: 7, words };
    let (mut right, mut wrong) = (0, Vec::new());
    let mut compare = |text: &str| {
        let accepted = grammar.accepts(rule, text);
        match parse(text) {
            Ok(()) if accepted => right += 1,
            Ok(()) if is_glued(grammar, text) => {}
            Ok(()) => wrong.push(format!("parses, and the grammar knows nothing of it: {text}")),
            Err(error)
                if accepted && !BEYOND_GRAMMAR.iter().any(|start| error.expected.starts_with(start)) =>
            {
                wrong.push(format!("the grammar has it: {text}: {error}"));
            }
            Err(_) => {}
        }
    };
    for text in texts {
        compare(text);
        (0..CHANGES).for_each(|_| compare(&changes.change(text)));
    }
    wrong.sort_by_key(String::len);
    wrong.dedup();
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert!(right > texts.len() * 10, "only {right} changed texts still parse");
}

#[test]
fn the_grammar_of_conditions_is_that_of_the_parser() {
    assert_agree(&Grammar::of_page(&["boolean", "condition"]), "expression", condition, &texts("condition"));
}

#[test]
fn the_grammar_of_selectors_is_that_of_the_parser() {
    assert_agree(&Grammar::of_page(&["boolean", "selector"]), "expression", selector, &texts("selector"));
}

#[test]
fn the_grammar_of_rewrites_is_that_of_the_parser() {
    let grammar = Grammar::of_page(&["boolean", "condition", "rewrite"]);
    for (rule, kind) in
        [("path", RewriteKind::Path), ("prefix", RewriteKind::Prefix), ("host", RewriteKind::Host)]
    {
        let lines = texts("rewrite");
        let own = lines.iter().map(|line| kind_of(line)).filter(|(own, _)| *own == kind);
        let texts: Vec<String> = own.map(|(_, text)| text.to_owned()).collect();
        assert_agree(&grammar, rule, |text| Rewrite::parse(kind, text).map(drop), &texts);
    }
}
