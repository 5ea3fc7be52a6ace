//! A text as it is laid out: its values, with the comments at the entries that they belong to.

/// What a text says.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub documents: Vec<Document>,
    /// Comments of a text without documents.
    pub rest: Vec<Comment>,
}

/// A document.
#[derive(Debug)]
pub(super) struct Document {
    /// Comments that stay at the top, a blank line behind them.
    pub head: Vec<Comment>,
    pub root: Value,
}

/// A comment in a line of its own.
#[derive(Debug)]
pub(super) struct Comment {
    /// Whether a blank line stands before it.
    pub follows_gap: bool,
    /// With its `#`.
    pub text: String,
}

/// An item of a list, or a key of a map with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub above: Vec<Comment>,
    /// Whether a blank line stands before it.
    pub follows_gap: bool,
    /// Of a map's.
    pub key: Option<Scalar>,
    pub value: Value,
    /// The comment at the end of its (first) line.
    pub beside: Option<String>,
}

/// A value.
#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Collection),
    Map(Collection),
}

/// A text, and whether it is one whatever it looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scalar {
    pub text: String,
    pub is_quoted: bool,
}

/// The entries of a list or map.
#[derive(Debug, Default)]
pub(super) struct Collection {
    pub entries: Vec<Entry>,
    /// Whether it was written between brackets.
    pub is_flow: bool,
    /// Comments behind the last entry.
    pub tail: Vec<Comment>,
}

impl Default for Value {
    /// Nothing.
    fn default() -> Self {
        Self::Scalar(Scalar::default())
    }
}

impl Value {
    pub(super) fn collection(&self) -> Option<&Collection> {
        match self {
            Self::Scalar(_) => None,
            Self::List(collection) | Self::Map(collection) => Some(collection),
        }
    }

    pub(super) fn collection_mut(&mut self) -> Option<&mut Collection> {
        match self {
            Self::Scalar(_) => None,
            Self::List(collection) | Self::Map(collection) => Some(collection),
        }
    }

    /// A list or map with something in it.
    pub(super) fn filled_mut(&mut self) -> Option<&mut Collection> {
        self.collection_mut().filter(|collection| !collection.entries.is_empty())
    }

    /// Whether both say the same, comments and layout left aside.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let all = |own: &Collection, other: &Collection| {
            own.entries.len() == other.entries.len()
                && own.entries.iter().zip(&other.entries).all(|(own, other)| own.says_the_same(other))
        };
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => {
                own.text == other.text && own.is_string() == other.is_string()
            }
            (Self::List(own), Self::List(other)) | (Self::Map(own), Self::Map(other)) => all(own, other),
            (Self::Scalar(_) | Self::List(_) | Self::Map(_), _) => false,
        }
    }
}

impl Entry {
    /// Without comments.
    pub(super) fn new(key: Option<Scalar>, value: Value) -> Self {
        Self { above: Vec::new(), follows_gap: false, key, value, beside: None }
    }

    /// Adds a comment that stands in the same line, behind what is known of the entry so far.
    pub(super) fn add_beside(&mut self, text: String) {
        if self.beside.is_some()
            && let Some(collection) = self.value.filled_mut()
        {
            collection.tail.push(Comment::new(text));
        } else if let Some(earlier) = self.beside.replace(text) {
            self.above.push(Comment::new(earlier));
        }
    }

    /// Adds the comments of an entry that becomes a part of this one.
    pub(super) fn add_comments(&mut self, above: Vec<Comment>, beside: Option<String>) {
        self.above.extend(above);
        if let Some(comment) = beside {
            self.add_beside(comment);
        }
    }

    /// Adds comments that stood at the end of what is inside.
    pub(super) fn add_tail(&mut self, mut comments: Vec<Comment>) {
        match self.value.filled_mut() {
            Some(collection) => collection.tail.append(&mut comments),
            None => self.above.append(&mut comments),
        }
    }

    fn says_the_same(&self, other: &Self) -> bool {
        let text = |entry: &Self| entry.key.as_ref().map(|key| key.text.clone());
        text(self) == text(other) && self.value.says_the_same(&other.value)
    }
}

impl Comment {
    pub(super) fn new(text: String) -> Self {
        Self { follows_gap: false, text }
    }
}

impl Layout {
    /// Whether both say the same and have the same comments, wherever those stand.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let mut documents = self.documents.iter().zip(&other.documents);
        self.documents.len() == other.documents.len()
            && documents.all(|(own, other)| own.root.says_the_same(&other.root))
            && self.comments() == other.comments()
    }

    /// The texts of all comments, sorted.
    pub(super) fn comments(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = self.rest.iter().map(|comment| comment.text.as_str()).collect();
        for document in &self.documents {
            texts.extend(document.head.iter().map(|comment| comment.text.as_str()));
            collect_comments(&document.root, &mut texts);
        }
        texts.sort_unstable();
        texts
    }
}

fn collect_comments<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    let Some(collection) = value.collection() else { return };
    for entry in &collection.entries {
        texts.extend(entry.above.iter().map(|comment| comment.text.as_str()));
        texts.extend(entry.beside.as_deref());
        collect_comments(&entry.value, texts);
    }
    texts.extend(collection.tail.iter().map(|comment| comment.text.as_str()));
}
