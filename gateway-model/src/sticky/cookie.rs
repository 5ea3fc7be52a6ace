//! The cookie by which a user is known again: a random id and a signature of it.
//!
//! The signature keeps users from choosing their version: who could make up ids would try until one has the
//! version that he wants. It is HMAC-SHA-256 (RFC 2104) cut to 128 bits.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

use crate::{condition::cookies, hash, key::GatewayKey, matching::Request};

/// Length of an id, in bytes.
pub const ID_LENGTH: usize = 16;
/// Length of a key, in bytes, at least: shorter ones than the hash are discouraged (RFC 2104, section 3).
pub const KEY_LENGTH: usize = 32;

const TAG_LENGTH: usize = 16;
/// Cookies of the right name that are looked at in one request: checking one costs about a microsecond.
const MOST_TRIED: usize = 4;

/// The keys that sign. Both verify, only the current one signs: put a new one before the old one, and take the
/// old one away when its cookies have gone.
#[derive(Clone)]
pub struct Keys {
    current: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

/// A key is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key of {0} bytes: expected at least {KEY_LENGTH} random bytes")]
pub struct KeyTooShort(pub usize);

impl Keys {
    /// From random bytes, at least [`KEY_LENGTH`] each.
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Result<Self, KeyTooShort> {
        let key = |bytes: &[u8]| match Hmac::new_from_slice(bytes) {
            Ok(key) if bytes.len() >= KEY_LENGTH => Ok(key),
            Ok(_) | Err(_) => Err(KeyTooShort(bytes.len())),
        };
        Ok(Self { current: key(current)?, previous: previous.map(key).transpose()? })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// The cookie of one gateway. Its name is a hash of the gateway's: cookies know no ports, and two gateways on
/// one host must not overwrite each other's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    gateway: String,
}

impl Cookie {
    /// The cookie of a gateway.
    pub fn new(gateway: &GatewayKey) -> Self {
        let gateway = gateway.to_string();
        let name = format!("weir-{:016x}", hash::bytes(0x0000_636f_6f6b_6965, gateway.as_bytes()));
        Self { name, gateway }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value for a new user; `id` is random.
    pub fn issue(&self, id: [u8; ID_LENGTH], keys: &Keys) -> String {
        let tag = self.sign(id, &keys.current).finalize().into_bytes();
        let mut value = [0; ID_LENGTH + TAG_LENGTH];
        value[..ID_LENGTH].copy_from_slice(&id);
        value[ID_LENGTH..].copy_from_slice(&tag[..TAG_LENGTH]);
        URL_SAFE_NO_PAD.encode(value)
    }

    /// The `Set-Cookie` field value that gives a user this value until he closes his browser. `secure`: the
    /// request came over TLS.
    pub fn set(&self, value: &str, secure: bool) -> String {
        let secure = if secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}", self.name)
    }

    /// The id in the first cookie of this name that one of the keys has signed; others are ignored. Does not
    /// allocate.
    pub fn read(&self, request: &(impl Request + ?Sized), keys: &Keys) -> Option<[u8; ID_LENGTH]> {
        let (mut found, mut left) = (None, MOST_TRIED);
        request.any_header("cookie", &mut |line| {
            let own = cookies(line).filter(|(name, _)| *name == self.name.as_bytes());
            for (_, value) in own.take(left) {
                left -= 1;
                found = self.verify(value, keys);
                if found.is_some() {
                    break;
                }
            }
            found.is_some() || left == 0
        });
        found
    }

    /// The id in a value, if one of the keys has signed it for this gateway.
    fn verify(&self, value: &[u8], keys: &Keys) -> Option<[u8; ID_LENGTH]> {
        // As long as the decoder wants it: it counts in whole groups of three.
        let mut decoded = [0; ID_LENGTH + TAG_LENGTH + 1];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut decoded).ok()?;
        let (id, tag) = decoded[..length].split_first_chunk::<ID_LENGTH>()?;
        let signed = |key: &Hmac<Sha256>| {
            tag.len() == TAG_LENGTH && self.sign(*id, key).verify_truncated_left(tag).is_ok()
        };
        (signed(&keys.current) || keys.previous.as_ref().is_some_and(signed)).then_some(*id)
    }

    fn sign(&self, id: [u8; ID_LENGTH], key: &Hmac<Sha256>) -> Hmac<Sha256> {
        let mut mac = key.clone();
        // Lengths first: no two triples of name, gateway and id are the same bytes.
        for part in [self.name.as_bytes(), self.gateway.as_bytes(), &id] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests;
