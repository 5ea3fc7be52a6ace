//! Connections to endpoints: made, kept idle, taken again.

mod connect;

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use hyper::client::conn::http1;

use super::body::RequestBody;
pub(super) use connect::connect;

/// What requests are sent with.
pub(super) type Sender = http1::SendRequest<RequestBody>;

/// A worker's idle connections to an endpoint; the one last used is taken first, so that the others can age.
#[derive(Default)]
pub(super) struct Pool {
    idle: RefCell<Vec<Idle>>,
    retired: Cell<bool>,
}

struct Idle {
    sender: Sender,
    since: Duration,
}

impl Pool {
    /// A connection that can take a request and was used at `oldest` or later.
    pub fn take(&self, oldest: Duration) -> Option<Sender> {
        let mut idle = self.idle.borrow_mut();
        let index = idle.iter().rposition(|one| one.since >= oldest && one.sender.is_ready())?;
        Some(idle.remove(index).sender)
    }

    /// Keeps a connection whose response has ended, if there is room and its endpoint is still wanted. `now` by the
    /// worker's clock.
    pub fn put(&self, sender: Sender, now: Duration, most: usize) {
        let mut idle = self.idle.borrow_mut();
        if self.retired.get() || sender.is_closed() {
            return;
        }
        if idle.len() >= most {
            idle.retain(|one| !one.sender.is_closed());
        }
        if idle.len() < most {
            idle.push(Idle { sender, since: now });
        }
    }

    /// Closes what is idle, and whatever is given back from now on.
    pub fn retire(&self) {
        self.retired.set(true);
        self.idle.borrow_mut().clear();
    }

    /// Closes what has been idle since `then` or longer, or is closed.
    pub fn drop_idle_since(&self, then: Duration) {
        self.idle.borrow_mut().retain(|one| one.since > then && !one.sender.is_closed());
    }
}
