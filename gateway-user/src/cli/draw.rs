//! Findings for people: each drawn under the line that it is about.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DEFAULT_TERM_WIDTH};
use gateway_model::finding::{Finding, Place, Severity};

/// Texts by the name that findings call their file by.
pub(super) type Sources = BTreeMap<String, std::sync::Arc<str>>;

/// Draws findings, in their order, with colours where `styled`.
pub(super) fn findings(findings: &[Finding], sources: &Sources, styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(DEFAULT_TERM_WIDTH);
    let mut out = String::new();
    for finding in findings {
        let message = match &finding.gateway {
            Some(gateway) => format!("gateway {}: {}", gateway.name, finding.message),
            None => finding.message.clone(),
        };
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(message.as_str()).id(finding.code));
        let place = finding.place.as_ref();
        if let Some((place, text)) = place.and_then(|place| Some((place, sources.get(&place.file)?))) {
            group = group.element(
                Snippet::source(&**text)
                    .path(place.file.as_str())
                    .annotation(AnnotationKind::Primary.span(span(text, place))),
            );
        } else if let Some(place) = place {
            group = group.element(Level::NOTE.message(format!("at {place}")));
        }
        let group = group.element(Level::HELP.message(finding.advice.as_str()));
        writeln!(out, "{}\n", renderer.render(&[group])).expect("writing to a String does not fail");
    }
    out
}

/// How many errors and warnings there are, in words; `None` where there are neither.
pub(super) fn summary(findings: &[Finding]) -> Option<String> {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let counted = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")];
    let words: Vec<String> = counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// The bytes of a place in its text.
fn span(text: &str, place: &Place) -> std::ops::Range<usize> {
    let line_start = match place.line {
        0 | 1 => 0,
        line => text.match_indices('\n').nth(line as usize - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    let line = text[line_start..].split('\n').next().unwrap_or_default();
    // A byte order mark is no column.
    let mark = if line_start == 0 && line.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let offset = |column: usize| {
        let in_line = &line[mark..];
        in_line.char_indices().nth(column).map_or(line.len(), |(at, _)| mark + at)
    };
    let start = (place.column as usize).saturating_sub(1);
    let (from, to) = (offset(start), offset(start.saturating_add(place.length as usize)));
    line_start + from..line_start + to.max(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u32, column: u32, length: u32) -> Place {
        Place { file: "f".to_owned(), line, column, length }
    }

    #[test]
    fn a_place_is_found_in_its_text_by_characters() {
        let text = "\u{feff}ä: b\nüx: yz\n";
        assert_eq!(&text[span(text, &place(1, 1, 1))], "ä");
        assert_eq!(&text[span(text, &place(2, 2, 1))], "x");
        assert_eq!(&text[span(text, &place(2, 5, 9))], "yz");
        assert_eq!(span(text, &place(9, 9, 9)), text.len()..text.len());
    }

    #[test]
    fn a_finding_is_drawn_under_its_line_with_its_advice() {
        let finding =
            Finding::error("unknown-field", "a gateway has no field `prot`", "did you mean `port`?");
        let sources = Sources::from([("f".to_owned(), "name: a\nprot: 80\n".into())]);
        let drawn = findings(&[finding.at(&place(2, 1, 4))], &sources, false);
        for part in ["error[unknown-field]", "f:2:1", "prot: 80", "^^^^", "did you mean `port`?"] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(!drawn.contains('\u{1b}'));
    }
}
