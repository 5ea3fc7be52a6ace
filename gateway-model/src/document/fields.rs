//! Reading the fields of a map: each is taken once, what is left is unknown, mistakes pile up.

use std::borrow::Cow;

use super::{Key, Node, Value, Written};
use crate::finding::{Finding, Place};

/// How the names of fields are spelled; code knows them as artifacts do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// `virtual_hosts`, in artifacts.
    Snake,
    /// `virtualHosts`, in resources of Kubernetes.
    Camel,
}

/// Where the fields of a map are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(Vec<(&'static str, Written)>);

impl Places {
    /// Where the value of a field stands; `None` where it is not given.
    pub fn of(&self, field: &str) -> Option<&Written> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, written)| written)
    }
}

/// The fields of one map.
pub(crate) struct Fields<'a> {
    /// Where the map begins.
    pub place: &'a Place,
    /// What the map describes, for messages: `gateway`, `route`.
    what: &'static str,
    entries: Vec<Option<&'a (Key, Node)>>,
    spelling: Spelling,
    /// As they are spelled.
    known: Vec<Cow<'static, str>>,
    places: Places,
}

impl<'a> Fields<'a> {
    /// The fields of `node`; a finding if it is not a map.
    pub(crate) fn of(node: &'a Node, what: &'static str, findings: &mut Vec<Finding>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            findings.push(wrong(node, &format!("a map with the fields of a {what}")));
            return None;
        };
        Some(Self {
            place: &node.place,
            what,
            entries: entries.iter().map(Some).collect(),
            spelling: Spelling::Snake,
            known: Vec::new(),
            places: Places::default(),
        })
    }

    /// The same fields with names spelled otherwise.
    pub(crate) fn spelled(self, spelling: Spelling) -> Self {
        Self { spelling, ..self }
    }

    /// Takes a field; `None` where it is absent or null.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'a Node> {
        let spelled = self.spelling.of(name);
        let found = self.entries.iter_mut().find(|entry| entry.is_some_and(|(key, _)| key.text == spelled));
        self.known.push(spelled);
        let found = found?;
        let node = found.take().map(|(_, node)| node).filter(|node| !node.is_null())?;
        self.places.0.push((name, node.written.clone()));
        Some(node)
    }

    /// Reports what was not taken; tells where the others stand.
    pub(crate) fn finish(self, findings: &mut Vec<Finding>) -> Places {
        for (key, _) in self.entries.into_iter().flatten() {
            let advice = match nearest(&key.text, &self.known) {
                Some(near) => format!("did you mean `{near}`? allowed are: {}", self.known.join(", ")),
                None => format!("allowed are: {}", self.known.join(", ")),
            };
            let message = format!("a {} has no field `{}`", self.what, key.text);
            findings.push(Finding::error("unknown-field", message, advice).at(&key.place));
        }
        self.places
    }
}

impl Spelling {
    fn of(self, name: &'static str) -> Cow<'static, str> {
        if self == Self::Snake || !name.contains('_') {
            return name.into();
        }
        let mut parts = name.split('_');
        let mut camel = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (first, rest) = part.split_at(part.len().min(1));
            camel.extend([&first.to_ascii_uppercase(), rest]);
        }
        camel.into()
    }
}

/// A finding about a value of the wrong shape.
pub(crate) fn wrong(node: &Node, expected: &str) -> Finding {
    Finding::error(
        "wrong-type",
        format!("expected {expected}, found {}", node.describe()),
        format!("write {expected} here"),
    )
    .at(&node.place)
}

impl Node {
    /// A scalar's text.
    pub(crate) fn text(&self, expected: &str, findings: &mut Vec<Finding>) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, quoted) if *quoted || !self.is_null() => Some(text),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => {
                findings.push(wrong(self, expected));
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, findings: &mut Vec<Finding>) -> Option<bool> {
        match &self.value {
            Value::Scalar(text, false) if text == "true" => Some(true),
            Value::Scalar(text, false) if text == "false" => Some(false),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => {
                findings.push(wrong(self, "`true` or `false`"));
                None
            }
        }
    }

    /// The items of a list; a single value is a list of one.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar(..) | Value::Map(_) => std::slice::from_ref(self),
        }
    }
}

/// The known name that is at most two edits away.
fn nearest<'k>(text: &str, known: &'k [Cow<'static, str>]) -> Option<&'k str> {
    let text = text.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|name| (edits(&text, &name.to_ascii_lowercase()), &**name))
        .filter(|(edits, name)| *edits <= 2 && *edits < name.len())
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
