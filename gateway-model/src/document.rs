//! Text files in YAML or JSON as trees of nodes that know their places.
//!
//! A tree of our own rather than a deserialiser's: all mistakes of a file are reported at once, each with its
//! place. Anchors and aliases are refused (an alias can make a small file a huge tree), as are merge keys,
//! repeated keys and deep nesting.

mod build;
mod fields;
mod written;

pub use build::{MAX_DEPTH, MAX_TEXT, parse};
pub use fields::Places;
pub(crate) use fields::{Fields, Spelling, wrong};
pub use written::Written;

use crate::finding::Place;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins; for a scalar in one line, all of it.
    pub place: Place,
    /// Where the characters of a scalar stand.
    pub written: Written,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A scalar as written, and whether it was quoted (then it is a string, whatever it looks like).
    Scalar(String, bool),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written; keys differ.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Where it begins.
    pub place: Place,
    /// Its text.
    pub text: String,
}

impl Node {
    /// What it is, in words for a message: `a map`, `the text "x"`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Scalar(text, false) if is_null(text) => "nothing".to_owned(),
            Value::Scalar(text, _) => format!("`{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// Whether it says nothing: `null`, `~` or an empty value.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(text, false) if is_null(text))
    }

    /// As JSON, for free-form data. Plain scalars become null, booleans and numbers where they read as such.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar(text, quoted) => scalar_to_json(text, *quoted),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect()
            }
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn scalar_to_json(text: &str, quoted: bool) -> serde_json::Value {
    use serde_json::Value as Json;
    if quoted {
        return Json::String(text.to_owned());
    }
    match text {
        text if is_null(text) => Json::Null,
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        text => match text.parse::<serde_json::Number>() {
            // serde_json's own reading of fractions may miss the nearest one.
            Ok(number) if number.is_f64() => text.parse::<f64>().map_or(Json::Null, Json::from),
            Ok(number) => Json::Number(number),
            Err(_) => Json::String(text.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests;
