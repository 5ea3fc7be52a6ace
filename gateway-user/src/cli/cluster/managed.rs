//! What a field manager has applied of an object: applying again without it would take it away.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};

/// The part of `object` that `manager` has applied.
pub(super) fn applied(object: &Value, entries: &[ManagedFieldsEntry], manager: &str) -> Value {
    let own = entries.iter().find(|entry| {
        entry.manager.as_deref() == Some(manager)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    });
    let fields = own.and_then(|entry| entry.fields_v1.as_ref());
    fields.map_or_else(|| Value::Object(Map::new()), |fields| extract(object, &fields.0))
}

/// The fields of a set (`FieldsV1`: `f:NAME` is a field, `.` the object itself; a set without fields is whole).
fn extract(object: &Value, set: &Value) -> Value {
    let (Value::Object(object), Value::Object(set)) = (object, set) else { return object.clone() };
    let fields: Vec<(&str, &Value)> =
        set.iter().filter_map(|(name, inner)| Some((name.strip_prefix("f:")?, inner))).collect();
    if fields.is_empty() && !set.contains_key(".") {
        return Value::Object(object.clone());
    }
    let extracted = fields
        .into_iter()
        .filter_map(|(name, inner)| Some((name.to_owned(), extract(object.get(name)?, inner))));
    Value::Object(extracted.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(fields: &Value) -> Vec<ManagedFieldsEntry> {
        let all = json!([
            {"manager": "weir-cli", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields},
            {"manager": "weir-cli", "operation": "Update", "fieldsV1": {"f:spec": {"f:port": {}}}},
            {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:selector": {}}}}
        ]);
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn only_what_the_manager_applied_is_taken() {
        let object = json!({"spec": {
            "port": 9050, "selector": "true", "virtualHosts": ["a", "b"],
            "routes": {"(1)": {"weight": "95%", "condition": "Has Header x"}, "(2)": {"weight": "5%"}, "(3)": {"weight": "0%"}}
        }});
        let fields = json!({"f:spec": {
            "f:virtualHosts": {}, "f:gone": {},
            "f:routes": {"f:(1)": {".": {}, "f:weight": {}}, "f:(2)": {}}
        }});
        let expected = json!({"spec": {"virtualHosts": ["a", "b"], "routes": {"(1)": {"weight": "95%"}, "(2)": {"weight": "5%"}}}});
        assert_eq!(applied(&object, &entries(&fields), "weir-cli"), expected);
    }

    #[test]
    fn a_manager_that_applied_nothing_has_nothing() {
        assert_eq!(applied(&json!({"spec": {"port": 1}}), &entries(&json!({})), "nobody"), json!({}));
        let fields = json!({"f:spec": {"f:routes": {"f:(1)": {".": {}}}}});
        let object = json!({"spec": {"routes": {"(1)": {"weight": "5%"}}}});
        assert_eq!(applied(&object, &entries(&fields), "weir-cli"), json!({"spec": {"routes": {"(1)": {}}}}));
    }
}
