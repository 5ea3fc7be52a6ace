//! Who asks.

use super::{By, Cookie, Keys, claim};
use crate::{hash, key::GatewayKey, matching::Request};

/// A user as one gateway knows him: a hash of what he is known by. Gateways know the same user by different
/// keys, so that whom one sends to its new version is not whom every other does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserKey(pub u64);

/// How one gateway finds out who asks.
#[derive(Clone, Debug)]
pub struct Users {
    salt: u64,
    by: By,
    cookie: Cookie,
}

impl Users {
    /// The users of a gateway.
    pub fn new(gateway: &GatewayKey, by: By) -> Self {
        let salt = hash::bytes(0x7573_6572, gateway.to_string().as_bytes());
        Self { salt, by, cookie: Cookie::new(gateway) }
    }

    /// The cookie that they are known by, if they are by one.
    pub fn cookie(&self) -> Option<&Cookie> {
        (self.by == By::Cookie).then_some(&self.cookie)
    }

    /// Who asks; `None`: nothing says so, or only a cookie that none of the keys has signed. Allocates only to
    /// read a claim.
    pub fn find(&self, request: &(impl Request + ?Sized), keys: Option<&Keys>) -> Option<UserKey> {
        match &self.by {
            By::Cookie => self.cookie.read(request, keys?).map(|id| self.key(&id)),
            By::Client => Some(UserKey(hash::address(self.salt, request.client()))),
            By::Header(name) => first_line(request, name, |value| {
                let value = value.trim_ascii();
                (!value.is_empty()).then(|| self.key(value))
            }),
            By::Claim(name) => first_line(request, "authorization", |value| {
                claim::read(value, name, |claim| self.key(claim))
            }),
        }
    }

    /// The user that is known by `identity`: the id of a cookie, the value of a header, the text of a claim.
    pub fn key(&self, identity: &[u8]) -> UserKey {
        UserKey(hash::bytes(self.salt, identity))
    }
}

/// What `read` makes of the first field line of a header.
fn first_line<T>(
    request: &(impl Request + ?Sized),
    name: &str,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let mut found = None;
    request.any_header(name, &mut |value| {
        found = read(value);
        true
    });
    found
}
