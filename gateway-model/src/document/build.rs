//! From text to nodes.

use std::{borrow::Cow, collections::BTreeMap};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{Key, Node, Value, Written, written};
use crate::finding::{Finding, Place};

/// Deepest nesting of a document.
pub const MAX_DEPTH: usize = 32;
/// Longest text, in bytes: 8 MiB.
pub const MAX_TEXT: usize = 8 << 20;

/// Reads all documents of a text; empty ones are left out. A text that does not parse yields one finding, and
/// the documents before it.
pub fn parse(file: &str, text: &str) -> (Vec<Node>, Vec<Finding>) {
    let mut builder = Builder {
        file,
        source: Vec::new(),
        end: end_of(usize::MAX, text),
        documents: Vec::new(),
        open: Vec::new(),
        findings: Vec::new(),
    };
    if text.len() > MAX_TEXT {
        builder.findings.push(
            Finding::error(
                "text-too-long",
                format!("the text has {} bytes, more than {MAX_TEXT}", text.len()),
                "split it into several files",
            )
            .at(&builder.place(1, 1)),
        );
        return (Vec::new(), builder.findings);
    }
    builder.source = text.chars().collect();
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(builder.syntax(text, &error)),
        };
        if let Err(finding) = step {
            builder.findings.push(finding);
            break;
        }
    }
    (builder.documents, builder.findings)
}

struct Builder<'a> {
    file: &'a str,
    /// The whole text.
    source: Vec<char>,
    /// Line and column of the end.
    end: (usize, usize),
    documents: Vec<Node>,
    /// Collections that are not closed yet, the innermost last.
    open: Vec<Open>,
    findings: Vec<Finding>,
}

enum Open {
    List(Place, Vec<Node>),
    Map(Place, Entries, Option<Key>),
}

/// Entries of a map, and the line of each key.
type Entries = (Vec<(Key, Node)>, BTreeMap<String, u32>);

impl Builder<'_> {
    /// The parser counts bytes for characters in directives, where it may find a mistake.
    fn syntax(&self, text: &str, error: &ScanError) -> Finding {
        let (line, column) = (error.marker().line(), error.marker().col() + 1);
        let (_, end) = end_of(line, text);
        let message = format!("not valid YAML or JSON: {}", error.info());
        Finding::error("syntax", message, "check indentation, colons, quotes and brackets at this place")
            .at(&self.place(line, column.min(end)))
    }

    /// At the end at most: the parser ends every text with a line end of its own, and finds things after it.
    fn place(&self, line: usize, column: usize) -> Place {
        self.stretch(line, column, 1)
    }

    fn stretch(&self, line: usize, column: usize, length: usize) -> Place {
        let (line, column) = (line, column).min(self.end);
        let bounded = |number: usize| u32::try_from(number.max(1)).unwrap_or(u32::MAX);
        let file = self.file.to_owned();
        Place { file, line: bounded(line), column: bounded(column), length: bounded(length) }
    }

    /// A scalar; one in a single line is all of its place.
    fn scalar(&self, text: Cow<'_, str>, style: ScalarStyle, span: Span, is_text: bool) -> Node {
        let (start, end) = (span.start, span.end);
        let length = if start.line() == end.line() { end.index().saturating_sub(start.index()) } else { 1 };
        let place = self.stretch(start.line(), start.col() + 1, length);
        let written = written::locate(&self.source, style, span, &text, place.clone());
        let quoted = style != ScalarStyle::Plain || is_text;
        Node { place, written, value: Value::Scalar(text.into_owned(), quoted) }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Finding> {
        let place = self.place(span.start.line(), span.start.col() + 1);
        let anchored = |anchor: usize, place: &Place| if anchor == 0 { Ok(()) } else { Err(no_alias(place)) };
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(_) => Err(no_alias(&place)),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text =
                    tag.as_deref().is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                refuse_tag(tag.as_deref().filter(|_| !is_text), &place)?;
                anchored(anchor, &place)?;
                self.add(self.scalar(text, style, span, is_text))
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), &place)?;
                anchored(anchor, &place)?;
                self.begin(Open::List(place, Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), &place)?;
                anchored(anchor, &place)?;
                self.begin(Open::Map(place, Entries::default(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (place, value) = match self.open.pop() {
                    Some(Open::List(place, items)) => (place, Value::List(items)),
                    Some(Open::Map(place, (entries, _), _)) => (place, Value::Map(entries)),
                    None => return Ok(()),
                };
                self.add(Node { written: Written::at_once(place.clone()), place, value })
            }
        }
    }

    fn begin(&mut self, collection: Open) -> Result<(), Finding> {
        if let Some(Open::Map(_, _, key @ None)) = self.open.last_mut() {
            let (Open::List(place, _) | Open::Map(place, ..)) = &collection;
            *key = None;
            return Err(
                Finding::error("syntax", "a key is a list or a map", "use a text as the key").at(place)
            );
        }
        if self.open.len() == MAX_DEPTH {
            let (Open::List(place, _) | Open::Map(place, ..)) = &collection;
            return Err(Finding::error(
                "too-deep",
                format!("nested more than {MAX_DEPTH} levels deep"),
                "flatten the document",
            )
            .at(place));
        }
        self.open.push(collection);
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), Finding> {
        match self.open.last_mut() {
            None if node.is_null() => {}
            None => self.documents.push(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, (entries, lines), waiting)) => match waiting.take() {
                Some(key) => entries.push((key, node)),
                None => *waiting = Some(new_key(node, lines)?),
            },
        }
        Ok(())
    }
}

/// Where the line `line` ends, or the text where it has fewer. As in YAML 1.2, a line ends with LF, CR or both.
fn end_of(line: usize, text: &str) -> (usize, usize) {
    let mut at = (1, 1);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' if rest.peek() == Some(&'\n') => {}
            '\r' | '\n' if at.0 == line => break,
            '\r' | '\n' => at = (at.0 + 1, 1),
            _ => at.1 += 1,
        }
    }
    at
}

fn new_key(node: Node, lines: &mut BTreeMap<String, u32>) -> Result<Key, Finding> {
    let Node { place, value: Value::Scalar(text, _), .. } = node else {
        return Err(
            Finding::error("syntax", "a key is a list or a map", "use a text as the key").at(&node.place)
        );
    };
    if let Some(first) = lines.insert(text.clone(), place.line) {
        return Err(Finding::error(
            "repeated-key",
            format!("`{text}` is given twice; the first is in line {first}"),
            "remove one of them",
        )
        .at(&place));
    }
    Ok(Key { place, text })
}

/// YAML takes a word that begins with `!` for a tag, and it would be lost: half of `!Has Header x` is none of it.
fn refuse_tag(tag: Option<&Tag>, place: &Place) -> Result<(), Finding> {
    let Some(tag) = tag else { return Ok(()) };
    let message = format!("YAML takes `{}{}` for a tag, and tags are not accepted", tag.handle, tag.suffix);
    let advice = "put the whole text in quotes if it begins with `!`, or remove the tag";
    Err(Finding::error("tag", message, advice).at(place))
}

fn no_alias(place: &Place) -> Finding {
    Finding::error("alias", "anchors (`&`) and aliases (`*`) are not accepted", "write the value out")
        .at(place)
}
