//! From a text to its layout. Every comment finds its place here; a text that has been read without errors as
//! gateways is expected.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{
    comments::{Found, Scan},
    layout::{Collection, Comment, Document, Entry, Layout, Scalar, Value},
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

/// A collection that is being read.
struct Frame {
    /// The entry whose value it is.
    entry: Entry,
    is_map: bool,
    style: Style,
    /// Comments with a smaller column than this do not belong to it.
    column: usize,
    content: Collection,
    /// The entry whose key has been read.
    waiting: Option<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Block,
    Flow,
    /// A single pair in a flow list, without brackets.
    Pair,
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
                let is_quoted = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
                let is_written = style != ScalarStyle::Plain || !text.is_empty();
                if is_written {
                    self.scan.seek(span);
                    self.sort_found();
                }
                self.add_scalar(Scalar { text: text.into_owned(), is_quoted }, is_written);
                if is_written {
                    self.scan.pass_scalar(style, span);
                    // The walk stands in a line behind a block already.
                    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    self.last_line = if is_block { 0 } else { self.scan.line() };
                }
            }
            Event::SequenceStart(..) => self.open(false, span),
            Event::MappingStart(..) => self.open(true, span),
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    /// Comments in the line of the last token belong to it, the others wait.
    fn sort_found(&mut self) {
        for found in self.scan.take_found() {
            let owner =
                if found.is_alone || found.line != self.last_line { Last::Nothing } else { self.last };
            let frame = self.frames.last_mut();
            let entry = match owner {
                Last::Nothing => None,
                Last::Document => {
                    self.head.push(Comment::new(found.text));
                    continue;
                }
                Last::Key => frame.and_then(|frame| frame.waiting.as_mut()),
                Last::Opened => frame.map(|frame| &mut frame.entry),
                Last::Child => frame.and_then(|frame| frame.content.entries.last_mut()),
            };
            match entry {
                Some(entry) => entry.add_beside(found.text),
                None => self.waiting.push(found),
            }
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

    /// A new entry of the innermost collection: what waits stands above it.
    fn begin_entry(&mut self, key: Option<Scalar>) -> Entry {
        let follows_gap = self.scan.take_gap();
        let is_first = self.frames.len() == 1
            && self.frames.iter().all(|frame| frame.content.entries.is_empty() && frame.waiting.is_none());
        if is_first {
            let gaps = self.waiting.iter().skip(1).map(|found| found.follows_gap).chain([follows_gap]);
            let count = gaps.collect::<Vec<_>>().iter().rposition(|gap| *gap).map_or(0, |last| last + 1);
            let count = count.min(self.waiting.len());
            self.head.extend(self.waiting.drain(..count).map(Comment::from));
        }
        let above = self.waiting.drain(..).map(Comment::from).collect();
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

    fn open(&mut self, is_map: bool, span: Span) {
        self.scan.seek(span);
        self.sort_found();
        let is_inside_flow = self.frames.last().is_some_and(|frame| frame.style != Style::Block);
        let style = match self.scan.is_at_bracket() && span.start.index() < span.end.index() {
            true => Style::Flow,
            false if is_inside_flow => Style::Pair,
            false => Style::Block,
        };
        let mut column = self.scan.column();
        let entry = match self.frames.last_mut() {
            None => Entry::new(None, Value::default()),
            Some(frame) => match frame.waiting.take() {
                Some(mut entry) => {
                    if style == Style::Flow {
                        entry.above.extend(self.waiting.drain(..).map(Comment::from));
                    }
                    // A list that is not indented further than its key begins behind its first dash.
                    if !is_map && !self.scan.is_at_dash() {
                        column = frame.column + 1;
                    }
                    entry
                }
                None => self.begin_entry(None),
            },
        };
        let content = Collection { is_flow: style != Style::Block, ..Collection::default() };
        self.frames.push(Frame { entry, is_map, style, column, content, waiting: None });
        self.last = Last::Opened;
        if style == Style::Flow {
            self.scan.pass(1);
            self.last_line = self.scan.line();
        }
    }

    fn close(&mut self, span: Span) {
        let style = self.frames.last().map_or(Style::Pair, |frame| frame.style);
        match style {
            Style::Pair => {}
            Style::Flow => self.scan.seek_end_of_flow(),
            Style::Block => self.scan.advance(span.start.index()),
        }
        self.sort_found();
        let Some(mut frame) = self.frames.pop() else { return };
        let column = frame.column;
        let count = match style {
            Style::Pair => 0,
            Style::Flow => self.waiting.len(),
            Style::Block => {
                let is_inside = |found: &&Found| found.column >= column && found.column > span.start.col();
                self.waiting.iter().take_while(is_inside).count()
            }
        };
        frame.content.tail.extend(self.waiting.drain(..count).map(Comment::from));
        frame.entry.value = if frame.is_map { Value::Map(frame.content) } else { Value::List(frame.content) };
        self.end_entry(frame.entry);
        if style == Style::Flow {
            self.scan.pass(1);
            self.last_line = self.scan.line();
        }
    }
}

impl From<Found> for Comment {
    fn from(found: Found) -> Self {
        Self { follows_gap: found.follows_gap, text: found.text }
    }
}
