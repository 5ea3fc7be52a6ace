//! An endpoint's body on its way to a client, or a text of the proxy's own.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context as TaskContext, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{BodyError, Progress};
use crate::proxy::{
    clock::Timer,
    error::Failure,
    route::{InFlight, LiveRoute},
    serve::{h2::OpenStream, link::Link},
    upstream::Sender,
    worker::Context,
};

/// What a client gets.
pub(in crate::proxy) struct ResponseBody {
    source: Source,
    link: Option<Rc<Link>>,
    stream: Option<OpenStream>,
}

enum Source {
    Text(Bytes),
    Endpoint(Box<Answer>),
}

struct Answer {
    incoming: Incoming,
    lease: Lease,
    timer: Timer,
}

/// An upstream connection that is answering a request.
pub(in crate::proxy) struct Lease {
    pub context: Rc<Context>,
    pub route: Rc<LiveRoute>,
    pub in_flight: InFlight,
    pub progress: Rc<Progress>,
    /// What the next request may be sent with, where there may be one.
    pub sender: Option<Sender>,
}

impl Lease {
    /// The response has ended: the connection goes back to its pool, if all of the request was sent on it.
    fn end(&mut self) {
        if let Some(sender) = self.sender.take_if(|_| self.progress.has_ended()) {
            let limits = &self.context.shared.config.limits;
            self.in_flight.endpoint().pool.put(sender, self.context.clock.now(), limits.upstream_idle);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.progress.has_ended() {
            self.progress.abandon();
        }
    }
}

impl ResponseBody {
    /// A text.
    pub fn text(text: Bytes) -> Self {
        Self { source: Source::Text(text), link: None, stream: None }
    }

    /// An endpoint's.
    pub fn endpoint(incoming: Incoming, mut lease: Lease) -> Self {
        if incoming.is_end_stream() {
            lease.end();
            return Self::text(Bytes::new());
        }
        let timer = lease.context.clock.timer();
        let source = Source::Endpoint(Box::new(Answer { incoming, lease, timer }));
        Self { source, link: None, stream: None }
    }

    /// Tells an HTTP/1 connection when it has ended.
    pub fn end_of(&mut self, link: Rc<Link>) {
        self.link = Some(link);
    }

    /// Keeps an HTTP/2 stream counted until it has ended.
    pub fn keep(&mut self, stream: OpenStream) {
        self.stream = Some(stream);
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.end();
        }
    }
}

impl Answer {
    fn poll_frame(&mut self, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(task) else {
            self.timer.arm(self.lease.context.shared.config.timeouts.response_idle);
            ready!(self.timer.poll(task));
            return Poll::Ready(Some(Err(self.fail(Failure::ResponseBroke.into()))));
        };
        self.timer.clear();
        match frame {
            Some(Ok(frame)) => {
                if self.incoming.is_end_stream() {
                    self.lease.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(self.fail(error.into())))),
            None => {
                self.lease.end();
                Poll::Ready(None)
            }
        }
    }

    fn fail(&self, error: BodyError) -> BodyError {
        self.lease.route.counters.count_failure(Failure::ResponseBroke);
        error
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Text(text) if text.is_empty() => Poll::Ready(None),
            Source::Text(text) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
            Source::Endpoint(answer) => answer.poll_frame(task),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Text(text) => text.is_empty(),
            Source::Endpoint(answer) => answer.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Text(text) => SizeHint::with_exact(text.len() as u64),
            Source::Endpoint(answer) => answer.incoming.size_hint(),
        }
    }
}
