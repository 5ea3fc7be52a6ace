//! The normal form of gateways: the order of fields, routes as a map, expressions and shares as they display.

use std::{fmt::Display, mem, str::FromStr};

use super::layout::{Collection, Comment, Document, Entry, Layout, Scalar, Value};
use crate::{condition::Condition, selector::Selector, weight::Weight};

/// Fields of a gateway, in order.
const GATEWAY: &[&str] = &[
    "name",
    "kind",
    "port",
    "host_port",
    "virtual_hosts",
    "selector",
    "routes",
    "sticky",
    "preserve_client_ip",
    "tls",
    "level",
    "metadata",
];
/// Fields of a route, in order.
const ROUTE: &[&str] = &[
    "name",
    "weight",
    "condition",
    "condition_strength",
    "priority",
    "rewrites",
    "balance",
    "selector",
    "metadata",
];

/// Brings all gateways into normal form; `is_json`: to be written as JSON.
pub(super) fn normalize(layout: &mut Layout, is_json: bool) {
    for document in &mut layout.documents {
        match &mut document.root {
            Value::Scalar(_) => {}
            Value::Map(fields) => normalize_gateway(fields, is_json),
            Value::List(gateways) => {
                for gateway in &mut gateways.entries {
                    if let Value::Map(fields) = &mut gateway.value {
                        normalize_gateway(fields, is_json);
                    }
                }
            }
        }
        settle_root(document);
    }
}

fn normalize_gateway(fields: &mut Collection, is_json: bool) {
    // Of a resource of Kubernetes only the selector is brought into normal form: the rest has an order of its own.
    if let Some(spec) = fields.entries.iter_mut().find(|field| name_of(field) == "spec") {
        let fields = spec.value.collection_mut().into_iter().flat_map(|spec| &mut spec.entries);
        for field in fields.filter(|field| name_of(field) == "selector") {
            respell::<Selector>(&mut field.value);
        }
        return;
    }
    for field in &mut fields.entries {
        match name_of(field) {
            "selector" => respell::<Selector>(&mut field.value),
            "routes" => normalize_routes(field, is_json),
            "port" if !is_json => unquote(&mut field.value),
            _ => {}
        }
    }
    order(fields, GATEWAY);
}

fn normalize_routes(field: &mut Entry, is_json: bool) {
    let routes = match mem::take(&mut field.value) {
        Value::Scalar(name) if name.is_null() => {
            field.value = Value::Scalar(name);
            return;
        }
        Value::Scalar(name) => {
            let mut route = route(name);
            route.beside = field.beside.take();
            Collection { entries: vec![route], ..Collection::default() }
        }
        Value::List(mut list) => {
            list.entries = list.entries.into_iter().map(named).collect();
            list
        }
        Value::Map(map) => map,
    };
    field.value = Value::Map(routes);
    for route in field.value.collection_mut().into_iter().flat_map(|routes| &mut routes.entries) {
        if let Some(key) = &mut route.key {
            key.text = key.text.trim().to_owned();
        }
        normalize_route(&mut route.value, is_json);
    }
}

/// A route of which only the name is given.
fn route(name: Scalar) -> Entry {
    Entry::new(Some(name), Value::Map(Collection::default()))
}

/// A route from a list as one from a map: its name becomes the key.
fn named(mut item: Entry) -> Entry {
    match mem::take(&mut item.value) {
        Value::Scalar(name) => Entry { key: Some(name), value: Value::Map(Collection::default()), ..item },
        Value::List(list) => Entry { value: Value::List(list), ..item },
        Value::Map(mut body) => {
            let is_name = |field: &Entry| name_of(field) == "name" && matches!(field.value, Value::Scalar(_));
            if let Some(at) = body.entries.iter().position(is_name) {
                let name = body.entries.remove(at);
                if let Value::Scalar(text) = name.value {
                    item.key = Some(text);
                }
                item.value = Value::Map(body);
                item.add_comments(name.above, name.beside);
            } else if let Some(inner) = body.entries.pop() {
                // A map of one entry: the name, with the body as its value.
                (item.key, item.value) = (inner.key, inner.value);
                item.add_comments(inner.above, inner.beside);
                item.add_tail(body.tail);
            }
            item
        }
    }
}

fn normalize_route(body: &mut Value, is_json: bool) {
    if let Value::Scalar(text) = body
        && text.is_null()
    {
        *body = Value::Map(Collection::default());
    }
    let Value::Map(fields) = body else { return };
    for field in &mut fields.entries {
        match name_of(field) {
            "weight" | "condition_strength" => respell::<Weight>(&mut field.value),
            "condition" => respell::<Condition>(&mut field.value),
            "selector" => respell::<Selector>(&mut field.value),
            "priority" if !is_json => unquote(&mut field.value),
            _ => {}
        }
    }
    order(fields, ROUTE);
}

fn name_of(field: &Entry) -> &str {
    field.key.as_ref().map_or("", |key| key.text.as_str())
}

/// Writes a text as it displays, unless that would be another one.
fn respell<T: FromStr + Display + PartialEq>(value: &mut Value) {
    let Value::Scalar(scalar) = value else { return };
    let Ok(parsed) = scalar.text.parse::<T>() else { return };
    let text = parsed.to_string();
    if text.parse::<T>().is_ok_and(|again| again == parsed) {
        *scalar = Scalar { text, is_quoted: true };
    }
}

/// A number that is read as a text may stand without quotes.
fn unquote(value: &mut Value) {
    if let Value::Scalar(scalar) = value
        && scalar.text.bytes().all(|byte| byte.is_ascii_digit())
        && !scalar.text.is_empty()
    {
        scalar.is_quoted = false;
    }
}

/// Sorts fields; what is not listed comes before the last one.
fn order(fields: &mut Collection, known: &[&str]) {
    let last = known.len() - 1;
    fields.entries.sort_by_key(|field| {
        let place = known.iter().position(|name| *name == name_of(field));
        place.map_or((last, 0), |place| (place, 1))
    });
}

fn settle_root(document: &mut Document) {
    let Some(root) = document.root.collection_mut() else { return };
    root.entries.iter_mut().for_each(settle);
    if root.entries.is_empty() {
        document.head.append(&mut root.tail);
    }
}

/// Moves comments from where they cannot be written to above the entry: out of empty collections, from behind a
/// dash, and from between a dash and what follows it.
fn settle(entry: &mut Entry) {
    let is_key_apart = entry.key.as_ref().is_some_and(Scalar::is_too_long_for_key);
    let Some(collection) = entry.value.collection_mut() else {
        if is_key_apart {
            entry.above.extend(entry.beside.take().map(Comment::new));
        }
        return;
    };
    collection.entries.iter_mut().for_each(settle);
    let mut hoisted = Vec::new();
    match collection.entries.first_mut() {
        None => hoisted.append(&mut collection.tail),
        Some(first) => {
            if entry.key.is_none() || is_key_apart {
                hoisted.extend(entry.beside.take().map(Comment::new));
            }
            if entry.key.is_none() {
                hoisted.append(&mut first.above);
            }
        }
    }
    if let Some(comment) = hoisted.first_mut() {
        comment.follows_gap |= mem::take(&mut entry.follows_gap);
    }
    entry.above.append(&mut hoisted);
}
