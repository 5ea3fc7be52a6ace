//! A client's body on its way to an endpoint.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{Mutex, PoisonError},
    task::{Context as TaskContext, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::BodyError;
use crate::proxy::{clock::Timer, error::Refusal, serve::link::Link, worker::Context};

/// How far a request's body has come, for whoever waits for the response.
#[derive(Default)]
pub(in crate::proxy) struct Progress {
    ended: Cell<bool>,
    failed: Cell<Option<Refusal>>,
    /// When its last byte was passed on, by the worker's clock.
    last: Cell<Duration>,
    /// The response has ended without it.
    abandoned: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Progress {
    /// Whether all of it was passed on.
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Why it broke off, where it did.
    pub fn failure(&self) -> Option<Refusal> {
        self.failed.get()
    }

    /// When its last byte was passed on, by the worker's clock.
    pub fn last(&self) -> Duration {
        self.last.get()
    }

    /// The response has ended: what is left of the body is of no use.
    pub fn abandon(&self) {
        self.abandoned.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// A client's body, or none.
pub(in crate::proxy) struct RequestBody(Option<Passing>);

struct Passing {
    incoming: Option<Incoming>,
    progress: Rc<Progress>,
    context: Rc<Context>,
    link: Option<Rc<Link>>,
    timer: Timer,
    gate: Option<Gate>,
}

/// Holds a body back until the endpoint wants it, or has had time to say so (RFC 9110, 10.1.1).
pub(in crate::proxy) struct Gate {
    /// `None` once an answer has come without a Continue: whatever waits for the body is about to go.
    opened: Option<oneshot::Receiver<()>>,
    timer: Timer,
}

impl Gate {
    /// A gate, and what opens it.
    pub fn new(context: &Rc<Context>) -> (Self, oneshot::Sender<()>) {
        let timer = context.clock.timer();
        timer.set(context.shared.config.timeouts.expect_continue);
        let (open, opened) = oneshot::channel();
        (Self { opened: Some(opened), timer }, open)
    }

    /// Makes the endpoint's `100 Continue` open the gate.
    pub fn open_on_continue<B>(request: &mut Request<B>, open: oneshot::Sender<()>) {
        let open = Mutex::new(Some(open));
        hyper::ext::on_informational(request, move |response| {
            if response.status() == http::StatusCode::CONTINUE
                && let Some(open) = open.lock().unwrap_or_else(PoisonError::into_inner).take()
            {
                // Where nobody waits any more, the timer has opened it.
                let _ = open.send(());
            }
        });
    }

    fn poll(&mut self, task: &mut TaskContext<'_>) -> Poll<()> {
        let Some(opened) = &mut self.opened else { return Poll::Pending };
        match Pin::new(opened).poll(task) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(_)) => {
                self.opened = None;
                Poll::Pending
            }
            Poll::Pending => self.timer.poll(task),
        }
    }
}

impl RequestBody {
    /// No body.
    pub fn empty() -> Self {
        Self(None)
    }

    /// A client's body.
    pub fn new(
        incoming: Incoming,
        progress: &Rc<Progress>,
        context: &Rc<Context>,
        link: Option<Rc<Link>>,
        gate: Option<Gate>,
    ) -> Self {
        progress.last.set(context.clock.now());
        if incoming.is_end_stream() {
            progress.ended.set(true);
            return Self(None);
        }
        Self(Some(Passing {
            incoming: Some(incoming),
            progress: Rc::clone(progress),
            context: Rc::clone(context),
            link,
            timer: context.clock.timer(),
            gate,
        }))
    }
}

impl Passing {
    fn poll_frame(&mut self, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.progress.abandoned.get() {
            return Poll::Ready(Some(Err("the answer came first".into())));
        }
        let frame = self.poll_client(task);
        if frame.is_pending() {
            *self.progress.waker.borrow_mut() = Some(task.waker().clone());
        }
        frame
    }

    fn poll_client(&mut self, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.poll(task));
            self.gate = None;
        }
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(task) else {
            self.timer.arm(self.context.shared.config.timeouts.body_idle);
            ready!(self.timer.poll(task));
            self.context.counters.refuse(Refusal::BodyTimeout);
            return Poll::Ready(Some(Err(self.fail(Refusal::BodyTimeout, None))));
        };
        self.timer.clear();
        self.progress.last.set(self.context.clock.now());
        let ended = incoming.is_end_stream();
        match frame {
            Some(Ok(frame)) => {
                self.progress.ended.set(ended);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                let refused = self.link.as_ref().and_then(|link| link.body_refusal());
                Poll::Ready(Some(Err(self.fail(refused.unwrap_or(Refusal::Incomplete), Some(error)))))
            }
            None => {
                self.progress.ended.set(true);
                self.incoming = None;
                Poll::Ready(None)
            }
        }
    }

    fn fail(&self, refusal: Refusal, error: Option<hyper::Error>) -> BodyError {
        self.progress.failed.set(Some(refusal));
        error.map_or_else(|| refusal.into(), Into::into)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // The endpoint has answered without reading all of it.
        if let (Some(incoming), Some(link), false) =
            (self.incoming.take(), &self.link, self.progress.has_ended())
        {
            link.keep_unread(incoming);
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Some(passing) => passing.poll_frame(task),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|passing| passing.incoming.as_ref().is_none_or(Body::is_end_stream))
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_ref().and_then(|passing| passing.incoming.as_ref()) {
            Some(incoming) => incoming.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
