//! Sending a request to an endpoint of its route, once, and again where that is safe.

mod attempt;
mod headers;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, request::Parts};
use hyper::{
    body::{Body, Incoming},
    client::conn::TrySendError,
};

use self::attempt::{Attempts, Ready};
use super::{
    body::{Gate, Lease, Progress, RequestBody, ResponseBody},
    clock::Timer,
    error::{Error, Failure},
    request::{Origin, is_idempotent},
    route::Bound,
    upstream::Sender,
    worker::Context,
};

/// A request and the route that takes it.
pub(super) struct Forward<'a> {
    pub origin: &'a Origin,
    pub bound: &'a Bound,
    /// Index of the route.
    pub route: usize,
    pub parts: Parts,
    pub body: Incoming,
}

/// A request that can be made again: it has no body, and may be sent twice.
struct Replay {
    method: Method,
    uri: Uri,
    headers: http::HeaderMap,
}

/// What became of sending a request.
enum Sent {
    Answered(Response<Incoming>),
    /// It never left us.
    Unsent(Request<RequestBody>),
    /// The connection ended before an answer.
    Lost(Error),
    Failed(Error),
}

/// Sends a request to an endpoint and gives the response, or why there is none.
pub(super) async fn run(forward: Forward<'_>) -> Result<Response<ResponseBody>, Error> {
    let Forward { origin, bound, route, mut parts, body } = forward;
    let context = &origin.context;
    let prepared = headers::prepare(&mut parts, &origin.peer, body.is_end_stream());
    let gate = prepared.expects_continue.then(|| Gate::new(context));
    let (gate, open) = gate.unzip();
    let progress = Rc::new(Progress::default());
    let body = RequestBody::new(body, &progress, context, origin.link.clone(), gate);
    let replayable = body.is_end_stream() && is_idempotent(&parts.method);
    let mut request = Request::from_parts(parts, body);
    if let Some(open) = open {
        Gate::open_on_continue(&mut request, open);
    }
    let timers = Timers::new(context);
    let mut attempts = Attempts::new(context, bound, route, &origin.peer, replayable);
    loop {
        let Ready { in_flight, mut sender, reused } = tokio::select! {
            ready = attempts.next() => ready.map_err(Error::Failed)?,
            () = timers.request.expired() => return Err(Error::Failed(Failure::RequestTimeout)),
        };
        let replay = (reused && replayable).then(|| Replay::of(&request));
        in_flight.sent();
        match send(context, &mut sender, request, &progress, &timers).await {
            Sent::Answered(response) => {
                let route = Rc::clone(&bound.routes[route].live);
                let lease =
                    Lease { context: Rc::clone(context), route, in_flight, progress, sender: Some(sender) };
                return respond(origin, response, lease, prepared.upgrades);
            }
            Sent::Unsent(unsent) if reused => request = unsent,
            Sent::Lost(error) => match replay {
                Some(replay) => request = replay.make(),
                None => return Err(error),
            },
            Sent::Unsent(_) => return Err(Error::Failed(Failure::EndpointClosed)),
            Sent::Failed(error) => return Err(error),
        }
        // Other idle connections may have died with this one.
        attempts.avoid_idle();
    }
}

/// Time-outs of one request.
struct Timers {
    /// From the head to the response's head.
    request: Timer,
    /// From the last byte sent to the response's head.
    backend: Timer,
}

impl Timers {
    fn new(context: &Rc<Context>) -> Self {
        let timers = Self { request: context.clock.timer(), backend: context.clock.timer() };
        if let Some(timeout) = context.shared.config.timeouts.request {
            timers.request.set(timeout);
        }
        timers
    }
}

/// Sends a request on a connection and waits for the response's head.
async fn send(
    context: &Context,
    sender: &mut Sender,
    request: Request<RequestBody>,
    progress: &Progress,
    timers: &Timers,
) -> Sent {
    let limit = context.shared.config.timeouts.backend;
    timers.backend.set(limit);
    let mut answered = pin!(sender.try_send_request(request));
    let outcome = poll_fn(|task| {
        if let Poll::Ready(outcome) = answered.as_mut().poll(task) {
            return Poll::Ready(Ok(outcome));
        }
        if timers.request.poll(task).is_ready() {
            return Poll::Ready(Err(Failure::RequestTimeout));
        }
        while timers.backend.poll(task).is_ready() {
            // The endpoint's time begins anew with every byte that the client sends it.
            let quiet = context.clock.now().saturating_sub(progress.last());
            if quiet >= limit {
                return Poll::Ready(Err(Failure::BackendTimeout));
            }
            timers.backend.set(limit.saturating_sub(quiet));
        }
        Poll::Pending
    });
    match outcome.await {
        Ok(Ok(response)) => Sent::Answered(response),
        Ok(Err(error)) => judge(error, progress),
        Err(failure) => Sent::Failed(Error::Failed(failure)),
    }
}

/// What an error of the library means.
fn judge(mut error: TrySendError<Request<RequestBody>>, progress: &Progress) -> Sent {
    if let Some(unsent) = error.take_message() {
        return Sent::Unsent(unsent);
    }
    if let Some(refusal) = progress.failure() {
        return Sent::Failed(Error::Refused(refusal));
    }
    if error.error().is_parse() {
        return Sent::Failed(Error::Failed(Failure::EndpointProtocol));
    }
    Sent::Lost(Error::Failed(Failure::EndpointClosed))
}

impl Replay {
    fn of(request: &Request<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    fn make(self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

/// The response for the client.
fn respond(
    origin: &Origin,
    mut response: Response<Incoming>,
    lease: Lease,
    upgrades: bool,
) -> Result<Response<ResponseBody>, Error> {
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switches && !upgrades {
        return Err(Error::Failed(Failure::EndpointProtocol));
    }
    if let (true, Some(link)) = (switches, &origin.link) {
        link.accept_upgrade(hyper::upgrade::on(&mut response));
    }
    headers::strip_response(response.headers_mut(), switches);
    if origin.link.is_some() && !switches && !lease.progress.has_ended() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    *response.version_mut() = http::Version::HTTP_11;
    Ok(response.map(|incoming| ResponseBody::endpoint(incoming, lease)))
}
