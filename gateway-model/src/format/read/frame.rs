//! Collections while they are read: where each begins and ends, and which comments are inside.

use saphyr_parser::Span;

use super::{Last, Reader};
use crate::format::{
    comments::Found,
    layout::{Collection, Comment, Entry, Value},
};

/// A collection that is being read.
pub(super) struct Frame {
    /// The entry whose value it is.
    pub(super) entry: Entry,
    pub(super) is_map: bool,
    pub(super) style: Style,
    /// Comments with a smaller column than this do not belong to it.
    pub(super) column: usize,
    pub(super) content: Collection,
    /// The entry whose key has been read.
    pub(super) waiting: Option<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Block,
    Flow,
    /// A single pair in a flow list, without brackets.
    Pair,
}

impl Reader<'_> {
    pub(super) fn open(&mut self, is_map: bool, span: Span, is_tagged: bool) {
        self.scan.seek(span, is_tagged);
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

    pub(super) fn close(&mut self, span: Span) {
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
