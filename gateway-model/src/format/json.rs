//! From a layout to JSON. JSON has no comments.

use super::layout::{Collection, Layout, Scalar, Value};

/// Writes the first document.
pub(super) fn write(layout: &Layout) -> String {
    let mut text = String::new();
    if let Some(document) = layout.documents.first() {
        write_value(&document.root, 0, &mut text);
    }
    text.push('\n');
    text
}

fn write_value(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Scalar(scalar) if scalar.is_quoted => text.push_str(&quote(scalar)),
        Value::Scalar(scalar) => text.push_str(&scalar.text),
        Value::List(list) => write_collection(list, ['[', ']'], indent, text),
        Value::Map(map) => write_collection(map, ['{', '}'], indent, text),
    }
}

fn write_collection(collection: &Collection, [open, close]: [char; 2], indent: usize, text: &mut String) {
    text.push(open);
    let mut separator = "";
    for entry in &collection.entries {
        text.push_str(separator);
        separator = ",";
        break_line(indent + 2, text);
        if let Some(key) = &entry.key {
            text.push_str(&quote(key));
            text.push_str(": ");
        }
        write_value(&entry.value, indent + 2, text);
    }
    if !collection.entries.is_empty() {
        break_line(indent, text);
    }
    text.push(close);
}

fn break_line(indent: usize, text: &mut String) {
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', indent));
}

fn quote(scalar: &Scalar) -> String {
    serde_json::Value::from(scalar.text.as_str()).to_string()
}
