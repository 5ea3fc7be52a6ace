//! What the bytes' side and the requests' side of an HTTP/1 connection tell each other.

use std::{
    cell::{Cell, RefCell},
    task::{Context, Poll, Waker},
};

use hyper::{body::Incoming, upgrade::OnUpgrade};

use crate::proxy::error::Refusal;

/// One connection's; the library in between knows nothing of it.
#[derive(Default)]
pub(in crate::proxy) struct Link {
    /// Requests whose heads the framing check let through.
    passed: Cell<u64>,
    /// Requests that were handed to us.
    begun: Cell<u64>,
    /// Requests that are answered to the end.
    ended: Cell<u64>,
    /// Why the next request is a stand-in for a refused one.
    refusal: Cell<Option<Refusal>>,
    /// Why the body under way broke off.
    body_refusal: Cell<Option<Refusal>>,
    upgrade: Cell<Upgrade>,
    waker: RefCell<Option<Waker>>,
    tunnel: RefCell<Option<OnUpgrade>>,
    unread: RefCell<Option<Incoming>>,
    /// The last response has left us.
    settled: Cell<bool>,
}

/// What became of an upgrade that a request asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Upgrade {
    #[default]
    Undecided,
    Declined,
    Accepted,
}

impl Link {
    /// Says how many heads have passed the framing check.
    pub fn set_passed(&self, heads: u64) {
        self.passed.set(heads);
    }

    /// Says that the next request stands in for a refused one.
    pub fn refuse(&self, refusal: Refusal) {
        self.refusal.set(Some(refusal));
    }

    /// Says that the body under way ends here, for this reason.
    pub fn refuse_body(&self, refusal: Refusal) {
        self.body_refusal.set(Some(refusal));
    }

    /// Why the body under way broke off, where it was refused.
    pub fn body_refusal(&self) -> Option<Refusal> {
        self.body_refusal.get()
    }

    /// A request has arrived. An error where it is a stand-in for a refused one.
    pub fn begin(&self) -> Result<(), Refusal> {
        self.begun.set(self.begun.get() + 1);
        self.upgrade.set(Upgrade::Undecided);
        self.settled.set(false);
        if self.begun.get() <= self.passed.get() {
            return Ok(());
        }
        // Without a reason, the library saw a request where the check saw none.
        Err(self.refusal.get().unwrap_or(Refusal::Malformed))
    }

    /// A request has been answered to the end.
    pub fn end(&self) {
        self.ended.set(self.ended.get() + 1);
    }

    /// Whether no request is under way, nor behind one that is.
    pub fn is_idle(&self) -> bool {
        self.is_answered() && self.begun.get() >= self.passed.get()
    }

    /// Whether every request that was handed to us is answered to the end. Others may have come with them: those behind
    /// a body that nobody wants never get to us.
    pub fn is_answered(&self) -> bool {
        self.ended.get() >= self.begun.get()
    }

    /// The upgrade, where one was asked for, is not to be.
    pub fn decline_upgrade(&self) {
        self.decide(Upgrade::Declined);
    }

    /// The connection becomes a tunnel to where `upgrade` leads.
    pub fn accept_upgrade(&self, upgrade: OnUpgrade) {
        *self.tunnel.borrow_mut() = Some(upgrade);
        self.decide(Upgrade::Accepted);
    }

    fn decide(&self, upgrade: Upgrade) {
        self.upgrade.set(upgrade);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Ready once the upgrade that the last request asked for is declined; never, where it is accepted.
    pub fn poll_declined(&self, context: &Context<'_>) -> Poll<()> {
        // Requests before it, which asked for nothing, are declined too.
        if self.begun.get() == self.passed.get() && self.upgrade.get() == Upgrade::Declined {
            return Poll::Ready(());
        }
        *self.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    /// Where the connection leads to, once it has become a tunnel.
    pub fn take_tunnel(&self) -> Option<OnUpgrade> {
        self.tunnel.borrow_mut().take()
    }

    /// Keeps a request's body that nobody wants until its response has left us: dropped before, it would make the
    /// library close the connection with bytes of the response unsent.
    pub fn keep_unread(&self, body: Incoming) {
        if !self.settled.get() {
            *self.unread.borrow_mut() = Some(body);
        }
    }

    /// Every response has left us: drops the body kept.
    pub fn settle(&self) {
        self.settled.set(true);
        // Taken first: dropping it wakes the connection.
        let body = self.unread.borrow_mut().take();
        drop(body);
    }
}
