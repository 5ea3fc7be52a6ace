//! What can be told of a regular expression without a text: what it must contain, what alone it matches.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// What a regular expression is found in, where that is as plain as comparing texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// In every text.
    Everywhere,
    /// Where this is anywhere.
    Inside(String),
    /// Where this is the beginning.
    AtBegin(String),
    /// Where this is the end.
    AtEnd(String),
    /// In this text only.
    Whole(String),
}

/// How much there is to compile, roughly in ranges of characters: a repeated part counts as often as it is
/// repeated.
pub(crate) fn weight(hir: &Hir) -> usize {
    let sum = |parts: &[Hir]| parts.iter().fold(1, |sum: usize, part| sum.saturating_add(weight(part)));
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().len(),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len(),
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(1),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            weight(&repetition.sub).saturating_mul(times as usize)
        }
    }
}

/// What the regular expression, searched for, is found in; `None` where that is no plain comparison.
pub(crate) fn found_in(hir: &Hir) -> Option<Found> {
    let properties = hir.properties();
    // The empty text at the beginning: nothing but the beginning may be asked for there.
    let at_begin = properties.look_set().iter().all(|look| matches!(look, Look::Start | Look::StartLF));
    if at_begin && properties.minimum_len() == Some(0) {
        return Some(Found::Everywhere);
    }
    let one = std::slice::from_ref(hir);
    let parts = if let HirKind::Concat(parts) = hir.kind() { parts.as_slice() } else { one };
    let is = |part: Option<&Hir>, look| part.is_some_and(|part| *part.kind() == HirKind::Look(look));
    let (begin, end) = (is(parts.first(), Look::Start), is(parts.last(), Look::End));
    let inner = parts.get(usize::from(begin)..parts.len().checked_sub(usize::from(end))?)?;
    let text = String::from_utf8(literal_of(inner)?).ok()?;
    Some(match (begin, end) {
        (true, true) => Found::Whole(text),
        (true, false) => Found::AtBegin(text),
        (false, true) => Found::AtEnd(text),
        (false, false) => Found::Inside(text),
    })
}

/// The only text that the regular expression matches as a whole.
pub(crate) fn only_text(hir: &Hir) -> Option<String> {
    String::from_utf8(literal_of(std::slice::from_ref(hir))?).ok()
}

fn literal_of(parts: &[Hir]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for part in parts {
        match part.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => text.extend_from_slice(&literal.0),
            HirKind::Capture(capture) => text.extend(literal_of(std::slice::from_ref(&capture.sub))?),
            HirKind::Concat(inner) => text.extend(literal_of(inner)?),
            HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => {
                return None;
            }
        }
    }
    Some(text)
}

/// Whether every text that it matches contains a byte that `wanted` accepts.
pub(crate) fn must_contain(hir: &Hir, wanted: &impl Fn(u8) -> bool) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.iter().any(|byte| wanted(*byte)),
        HirKind::Class(_) => class_bytes(hir).is_some_and(|bytes| bytes.into_iter().all(wanted)),
        HirKind::Repetition(repetition) => repetition.min > 0 && must_contain(&repetition.sub, wanted),
        HirKind::Capture(capture) => must_contain(&capture.sub, wanted),
        HirKind::Concat(inner) => inner.iter().any(|one| must_contain(one, wanted)),
        HirKind::Alternation(inner) => inner.iter().all(|one| must_contain(one, wanted)),
    }
}

/// What a class matches, where that is single ASCII characters.
fn class_bytes(hir: &Hir) -> Option<Vec<u8>> {
    let HirKind::Class(class) = hir.kind() else { return None };
    let Class::Unicode(class) = class else { return None };
    let mut bytes = Vec::new();
    for range in class.ranges() {
        let end = u8::try_from(range.end()).ok().filter(u8::is_ascii)?;
        bytes.extend(range.start() as u8..=end);
    }
    Some(bytes)
}

/// Whether its group captures the empty text and nothing else.
pub(crate) fn captures_only_emptiness(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Capture(capture) => capture.sub.properties().maximum_len() == Some(0),
        HirKind::Repetition(repetition) => captures_only_emptiness(&repetition.sub),
        HirKind::Concat(inner) | HirKind::Alternation(inner) => inner.iter().any(captures_only_emptiness),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hir(source: &str) -> Hir {
        regex_syntax::parse(source).unwrap()
    }

    #[test]
    fn plain_searches_are_comparisons() {
        for (source, found) in [
            ("", Some(Found::Everywhere)),
            (".*", Some(Found::Everywhere)),
            ("^", Some(Found::Everywhere)),
            ("^/api", Some(Found::AtBegin("/api".to_owned()))),
            (r"^/a\.b$", Some(Found::Whole("/a.b".to_owned()))),
            ("^$", Some(Found::Whole(String::new()))),
            ("b$", Some(Found::AtEnd("b".to_owned()))),
            ("a(b)c", Some(Found::Inside("abc".to_owned()))),
            ("(?m)^a", None),
            ("a|b", None),
            ("^a*$", None),
            (r"\b", None),
            (r"(?-u)\xff", None),
        ] {
            let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(source).unwrap();
            assert_eq!(found_in(&hir), found, "{source}");
        }
    }

    #[test]
    fn repetition_weighs_as_often_as_it_repeats() {
        for (source, least, most) in [
            ("abc", 3, 3),
            ("(?:abc){100}", 300, 300),
            ("(?:(?:a{9}){9}){9}", 729, 729),
            (r"\w", 500, 2_000),
            ("", 1, 1),
        ] {
            let weight = weight(&hir(source));
            assert!((least..=most).contains(&weight), "{source}: {weight}");
        }
    }

    #[test]
    fn single_texts_are_known() {
        assert_eq!(only_text(&hir(r"10\.0\.0\.1")).as_deref(), Some("10.0.0.1"));
        assert_eq!(only_text(&hir("f(oo)")).as_deref(), Some("foo"));
        assert_eq!(only_text(&hir("")).as_deref(), Some(""));
        for open in [".", "a|b", "a*", "^a", "(?i)a"] {
            assert_eq!(only_text(&hir(open)), None, "{open}");
        }
    }

    #[test]
    fn what_must_be_contained_is_known() {
        let digit = |byte: u8| byte.is_ascii_digit();
        for (source, contained) in
            [("8080", true), ("[0-9]+", true), ("a|1", false), ("1|2", true), ("1*", false), (".", false)]
        {
            assert_eq!(must_contain(&hir(source), &digit), contained, "{source}");
        }
    }

    #[test]
    fn groups_of_nothing_are_known() {
        for (source, nothing) in
            [("a()", true), ("(b*)", false), ("(^)a|b", true), ("a", false), ("(b{0})", true)]
        {
            assert_eq!(captures_only_emptiness(&hir(source)), nothing, "{source}");
        }
    }
}
