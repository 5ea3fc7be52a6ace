//! From a text to its layout. Every comment finds its place here; a text that has been read without errors as
//! gateways is expected.

mod frame;

use frame::Frame;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{
    comments::{Found, Scan},
    layout::{Comment, Document, Entry, Layout, Scalar, Value},
};

/// Reads a text whose lines end in `\n`; `None` where the parser refuses it.
pub(super) fn read(text: &str) -> Option<Layout> {
    let source: Vec<char> = text.chars().collect();
    let mut reader = Reader {
        scan: Scan::new(&source),
        layout: Layout::default(),
        frames: Vec::new(),
        waiting: Vec::new(),
        head: Vec::new(),
        is_filled: false,
        last: Last::Nothing,
        last_line: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        reader.take(event, span);
    }
    Some(reader.layout)
}

struct Reader<'a> {
    scan: Scan<'a>,
    layout: Layout,
    /// Collections that are not closed yet, the innermost last.
    frames: Vec<Frame>,
    /// Comments in lines of their own of which it is not known yet what they stand above.
    waiting: Vec<Found>,
    /// Of the document to come.
    head: Vec<Comment>,
    /// Whether the present document has a root.
    is_filled: bool,
    /// What a comment in line `last_line` belongs to.
    last: Last,
    last_line: usize,
}

/// The last token.
#[derive(Clone, Copy)]
enum Last {
    Nothing,
    /// The beginning of a document.
    Document,
    /// A key of the innermost collection.
    Key,
    /// The beginning of the innermost collection.
    Opened,
    /// The last entry of the innermost collection, or the root.
    Child,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Nothing | Event::StreamStart | Event::Alias(_) => {}
            Event::StreamEnd => {
                self.scan.seek_end();
                self.sort_found();
                self.end_document(true);
            }
            Event::DocumentStart(is_explicit) => self.begin_document(is_explicit, span),
            Event::DocumentEnd => {
                self.scan.advance(span.start.index());
                self.sort_found();
                self.end_document(false);
            }
            Event::Scalar(text, style, _, tag) => {
                let is_quoted =
                    style != ScalarStyle::Plain || tag.as_ref().is_some_and(|tag| tag.suffix == "str");
                let scalar = Scalar { text: text.into_owned(), is_quoted };
                self.take_scalar(scalar, style, span, tag.is_some());
            }
            Event::SequenceStart(_, tag) => self.open(false, span, tag.is_some()),
            Event::MappingStart(_, tag) => self.open(true, span, tag.is_some()),
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    fn take_scalar(&mut self, scalar: Scalar, style: ScalarStyle, span: Span, is_tagged: bool) {
        if style == ScalarStyle::Plain && scalar.text.is_empty() {
            return self.add_scalar(scalar, false);
        }
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let mut header_comment = None;
        if is_block {
            self.scan.seek_block(span, is_tagged);
            header_comment = self.scan.take_header_comment();
        } else {
            self.scan.seek(span, is_tagged);
        }
        self.sort_found();
        self.add_scalar(scalar, true);
        if let (Some(comment), Some(entry)) = (header_comment, self.last_entry()) {
            entry.add_beside(comment);
        }
        self.scan.pass_scalar(style, span);
        // The walk stands in a line behind a block already.
        self.last_line = if is_block { 0 } else { self.scan.line() };
    }

    /// Comments in the line of the last token belong to it, the others wait.
    fn sort_found(&mut self) {
        for found in self.scan.take_found() {
            if found.is_alone || found.line != self.last_line {
                self.waiting.push(found);
            } else if let Last::Document = self.last {
                self.head.push(Comment::new(found.text));
            } else if let Some(entry) = self.last_entry() {
                entry.add_beside(found.text);
            } else {
                self.waiting.push(found);
            }
        }
    }

    /// The entry that the last token belongs to.
    fn last_entry(&mut self) -> Option<&mut Entry> {
        let frame = self.frames.last_mut()?;
        match self.last {
            Last::Nothing | Last::Document => None,
            Last::Key => frame.waiting.as_mut(),
            Last::Opened => Some(&mut frame.entry),
            Last::Child => frame.content.entries.last_mut(),
        }
    }

    fn begin_document(&mut self, is_explicit: bool, span: Span) {
        (self.is_filled, self.last) = (false, Last::Nothing);
        if is_explicit {
            self.scan.advance(span.start.index());
            self.sort_found();
            self.head.extend(self.waiting.drain(..).map(Comment::from));
            self.scan.pass(3);
            (self.last, self.last_line) = (Last::Document, self.scan.line());
        }
    }

    /// What waits belongs to the document that ends, if there is one.
    fn end_document(&mut self, is_last: bool) {
        self.last = Last::Nothing;
        if !self.is_filled && !is_last {
            return;
        }
        let mut rest: Vec<Comment> = self.head.drain(..).collect();
        rest.extend(self.waiting.drain(..).map(Comment::from));
        let Some(document) = self.layout.documents.last_mut() else {
            self.layout.rest = rest;
            return;
        };
        match document.root.filled_mut() {
            Some(collection) => collection.tail.append(&mut rest),
            None => document.head.append(&mut rest),
        }
    }

    fn add_scalar(&mut self, scalar: Scalar, is_written: bool) {
        let is_root = self.frames.is_empty();
        let Some(frame) = self.frames.last_mut().filter(|_| !is_root) else {
            if is_written && !scalar.is_null() {
                self.end_root(Entry::new(None, Value::Scalar(scalar)));
            }
            return;
        };
        if frame.is_map && frame.waiting.is_none() {
            let entry = self.begin_entry(Some(scalar));
            if let Some(frame) = self.frames.last_mut() {
                frame.waiting = Some(entry);
            }
            self.last = Last::Key;
            return;
        }
        let entry = match frame.waiting.take() {
            Some(mut entry) => {
                if is_written {
                    entry.above.extend(self.waiting.drain(..).map(Comment::from));
                }
                entry.value = Value::Scalar(scalar);
                entry
            }
            None if is_written => {
                let mut entry = self.begin_entry(None);
                entry.value = Value::Scalar(scalar);
                entry
            }
            None => Entry::new(None, Value::Scalar(scalar)),
        };
        self.end_entry(entry);
    }

    /// A new entry of the innermost collection: what waits stands above it; of a document's first entry, only what
    /// no blank line parts from it. No blank line stands before the first.
    fn begin_entry(&mut self, key: Option<Scalar>) -> Entry {
        let mut follows_gap = self.scan.take_gap();
        let is_first = self
            .frames
            .last()
            .is_some_and(|frame| frame.content.entries.is_empty() && frame.waiting.is_none());
        if is_first && self.frames.len() == 1 {
            let is_parted = |at: &usize| self.waiting.get(*at).map_or(follows_gap, |found| found.follows_gap);
            let count = (1..=self.waiting.len()).rfind(is_parted).unwrap_or(0);
            self.head.extend(self.waiting.drain(..count).map(Comment::from));
        }
        let mut above: Vec<Comment> = self.waiting.drain(..).map(Comment::from).collect();
        if is_first {
            match above.first_mut() {
                Some(comment) => comment.follows_gap = false,
                None => follows_gap = false,
            }
        }
        Entry { above, follows_gap, ..Entry::new(key, Value::default()) }
    }

    fn end_entry(&mut self, entry: Entry) {
        self.last = Last::Child;
        match self.frames.last_mut() {
            Some(frame) => frame.content.entries.push(entry),
            None => self.end_root(entry),
        }
    }

    fn end_root(&mut self, entry: Entry) {
        let mut head: Vec<Comment> = self.head.drain(..).chain(entry.above).collect();
        head.extend(entry.beside.map(Comment::new));
        self.layout.documents.push(Document { head, root: entry.value });
        self.is_filled = true;
    }
}

impl From<Found> for Comment {
    fn from(found: Found) -> Self {
        Self { follows_gap: found.follows_gap, text: found.text }
    }
}
