use sha2::Digest as _;

use super::*;
use crate::condition::tests::Asked;

const ID: [u8; ID_LENGTH] = *b"0123456789abcdef";

fn key(byte: u8) -> Vec<u8> {
    vec![byte; KEY_LENGTH]
}

fn keys(current: u8, previous: Option<u8>) -> Keys {
    Keys::new(&key(current), previous.map(key).as_deref()).unwrap()
}

fn cookie() -> Cookie {
    Cookie::new(&GatewayKey::new("default", "foo"))
}

/// What is read from these `Cookie` lines.
fn read(cookie: &Cookie, lines: &[&str], keys: &Keys) -> Option<[u8; ID_LENGTH]> {
    let headers = lines.iter().map(|line| ("cookie", &*line.to_string().leak())).collect();
    cookie.read(&Asked { headers, ..Asked::default() }, keys)
}

fn read_value(value: &str, keys: &Keys) -> Option<[u8; ID_LENGTH]> {
    read(&cookie(), &[&format!("{}={value}", cookie().name())], keys)
}

#[test]
fn an_issued_cookie_verifies_by_the_current_and_the_previous_key_and_only_by_them() {
    let value = cookie().issue(ID, &keys(1, None));
    assert_eq!(value.len(), 43);
    assert_eq!(read_value(&value, &keys(1, None)), Some(ID));
    assert_eq!(read_value(&value, &keys(1, Some(2))), Some(ID));
    assert_eq!(read_value(&value, &keys(2, Some(1))), Some(ID), "a key that was replaced still verifies");
    assert_eq!(read_value(&value, &keys(2, None)), None);
    assert_eq!(read_value(&value, &keys(2, Some(3))), None);
    assert_eq!(value, cookie().issue(ID, &keys(1, Some(2))), "only the current key signs");
    assert_ne!(value, cookie().issue(ID, &keys(2, Some(1))));
}

#[test]
fn the_signature_is_the_beginning_of_an_hmac_of_name_gateway_and_id() {
    let value = URL_SAFE_NO_PAD.decode(cookie().issue(ID, &keys(1, None))).unwrap();
    let mut text = Vec::new();
    for part in [cookie().name().as_bytes(), b"default/foo", &ID] {
        text.extend((part.len() as u64).to_le_bytes());
        text.extend(part);
    }
    // HMAC written out: H(K ^ opad, H(K ^ ipad, text)).
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        block[..KEY_LENGTH].iter_mut().for_each(|byte| *byte ^= 1);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(&text).finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
    assert_eq!(value, [&ID[..], &outer[..TAG_LENGTH]].concat());
}

#[test]
fn a_cookie_with_any_bit_flipped_never_verifies() {
    let keys = keys(1, Some(2));
    let issued = cookie().issue(ID, &keys);
    let value = URL_SAFE_NO_PAD.decode(&issued).unwrap();
    for bit in 0..value.len() * 8 {
        let mut forged = value.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read_value(&URL_SAFE_NO_PAD.encode(forged), &keys), None, "bit {bit}");
    }
    for bit in 0..issued.len() * 8 {
        let mut forged = issued.clone().into_bytes();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(cookie().verify(&forged, &keys), None, "bit {bit} of the text");
    }
}

#[test]
fn unknown_and_malformed_cookies_are_ignored() {
    let keys = keys(1, None);
    let value = cookie().issue(ID, &keys);
    for wrong in [
        "",
        "x",
        "=",
        "é",
        &value[1..],
        &value[..42],
        &value[..22],
        &format!("{value}="),
        &format!("{value}A"),
        &format!("{value}AAAAAAAA"),
        &format!("\"{value}\""),
        &value.repeat(1_000),
    ] {
        assert_eq!(read_value(wrong, &keys), None, "{wrong}");
    }
    assert_eq!(read(&cookie(), &[&format!("other={value}")], &keys), None);
    assert_eq!(read(&cookie(), &[], &keys), None);
    let other = Cookie::new(&GatewayKey::new("default", "bar"));
    assert_ne!(other.name(), cookie().name());
    assert_eq!(read(&other, &[&format!("{}={value}", other.name())], &keys), None, "of another gateway");
}

#[test]
fn the_first_cookie_that_verifies_counts_wherever_it_is_among_a_few() {
    let keys = keys(1, None);
    let own = |value: &str| format!("{}={value}", cookie().name());
    let good = own(&cookie().issue(ID, &keys));
    let other = own(&cookie().issue([7; ID_LENGTH], &keys));
    assert_eq!(read(&cookie(), &[&format!("a=b; {good}; c=d")], &keys), Some(ID));
    assert_eq!(read(&cookie(), &["a=b", &format!("{}; {good}; {other}", own("x"))], &keys), Some(ID));
    assert_eq!(read(&cookie(), &[&own("x"), &own("y"), &own("z"), &good], &keys), Some(ID));
    assert_eq!(
        read(&cookie(), &[&format!("{0}; {0}; {0}; {0}; {good}", own("x")), &good], &keys),
        None,
        "not more than {MOST_TRIED}"
    );
}

#[test]
fn a_cookie_is_set_for_the_whole_host_and_out_of_reach_of_scripts() {
    let value = cookie().issue(ID, &keys(1, None));
    let name = cookie().name().to_owned();
    assert!(
        name.starts_with("weir-") && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    );
    assert_eq!(cookie().set(&value, false), format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax"));
    assert_eq!(cookie().set(&value, true), format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Secure"));
    assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
}

#[test]
fn short_keys_are_refused_and_keys_are_not_printed() {
    assert_eq!(Keys::new(&[1; 31], None).unwrap_err(), KeyTooShort(31));
    assert_eq!(Keys::new(&[1; 32], Some(&[])).unwrap_err(), KeyTooShort(0));
    assert!(Keys::new(&[1; 200], Some(&[1; 32])).is_ok());
    assert_eq!(format!("{:?}", keys(1, Some(2))), "Keys { .. }");
}
