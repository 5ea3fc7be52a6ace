//! A claim of a bearer token, read without verifying the token: it is only hashed, to tell users apart.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// Longest payload of a token that is read, in bytes of its text.
const LONGEST: usize = 16 << 10;

/// Hands the text of a claim, text or number, of an `Authorization` value to `use_it`. `None`: there is none.
pub(super) fn read<T>(authorization: &[u8], name: &str, use_it: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let (scheme, token) = authorization.trim_ascii().split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    // header.payload.signature (RFC 7515, section 7.1).
    let mut parts = token.trim_ascii_start().split(|byte| *byte == b'.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || payload.len() > LONGEST {
        return None;
    }
    let claims: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    match claims.get(name)? {
        Value::String(text) if !text.is_empty() => Some(use_it(text.as_bytes())),
        Value::Number(number) => Some(use_it(number.to_string().as_bytes())),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    fn claim(authorization: &str) -> Option<String> {
        read(authorization.as_bytes(), "sub", |text| String::from_utf8_lossy(text).into_owned())
    }

    #[test]
    fn a_claim_is_a_text_or_a_number() {
        for (payload, text) in [
            (r#"{"iss":"x","sub":"ann"}"#, "ann"),
            (r#"{"sub":"\u00e4nn","sub2":1}"#, "änn"),
            (r#"{"sub":17}"#, "17"),
            (r#"{"a":{"sub":"no"},"sub":-3}"#, "-3"),
        ] {
            assert_eq!(claim(&token(payload)).as_deref(), Some(text), "{payload}");
            assert_eq!(claim(&token(payload).replace("Bearer ", "bearer  ")).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_token_or_has_no_such_claim_names_nobody() {
        let payloads =
            ["{}", "", "17", r#"{"sub":null}"#, r#"{"sub":""}"#, r#"{"sub":["a"]}"#, r#"{"sub":"a""#];
        let deep = format!("{{\"sub\":{}1{}}}", "[".repeat(3_000), "]".repeat(3_000));
        let long = format!("{{\"sub\":\"a\",\"x\":\"{}\"}}", "x".repeat(LONGEST));
        for payload in payloads.into_iter().chain([deep.as_str(), &long]) {
            assert_eq!(claim(&token(payload)), None, "{payload:.20}");
        }
        let good = token(r#"{"sub":"ann"}"#);
        for text in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a.b",
            "Basic YTpi",
            "Bearer é",
            &good[7..],
            &format!("{good}.x"),
        ] {
            assert_eq!(claim(text), None, "{text}");
        }
    }
}
