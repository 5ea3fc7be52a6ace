//! A request's way: the table once → gateway → route → endpoint → response.

mod authority;
mod view;

use std::{rc::Rc, time::Instant};

use gateway_model::plan::l7::Entry;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use hyper::body::{Body, Incoming};

use self::view::View;
use super::{
    body::ResponseBody,
    error::{Error, Failure, Refusal, answer},
    forward::{self, Forward},
    route::{Bound, LiveRoute},
    serve::{Peer, link::Link},
    worker::Context,
};

/// Where a request comes from.
pub(super) struct Origin {
    pub context: Rc<Context>,
    pub peer: Rc<Peer>,
    /// The connection it came over, where that is HTTP/1.
    pub link: Option<Rc<Link>>,
}

/// Answers a request, whatever happens.
pub(super) async fn handle(origin: Origin, request: Request<Incoming>) -> Response<ResponseBody> {
    let is_h1 = origin.link.is_some();
    let outcome = match begin(&origin, &request) {
        Ok(()) => serve(&origin, request).await,
        Err(refusal) => Err((Error::Refused(refusal), None)),
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err((error, body)) => refuse(&origin, error, body),
    };
    if is_h1 && origin.context.draining.get() && response.status().as_u16() != 101 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(link) = origin.link {
        if response.status().as_u16() != 101 {
            link.decline_upgrade();
        }
        response.body_mut().end_of(link);
    }
    response
}

/// What speaks against a request before anyone is asked who answers it.
fn begin(origin: &Origin, request: &Request<Incoming>) -> Result<(), Refusal> {
    match &origin.link {
        Some(link) => link.begin(),
        None => authority::check_h2(request).inspect_err(|refusal| origin.context.counters.refuse(*refusal)),
    }
}

/// An error, and the request's body where nobody has read it.
type Failed = (Error, Option<Incoming>);

async fn serve(origin: &Origin, request: Request<Incoming>) -> Result<Response<ResponseBody>, Failed> {
    let began = Instant::now();
    let context = &origin.context;
    let (mut parts, body) = request.into_parts();
    authority::settle(&mut parts);
    let Some(bound) = find_gateway(origin, &parts.headers) else {
        context.counters.count_unrouted(None, Failure::UnknownHost);
        return Err((Error::Failed(Failure::UnknownHost), Some(body)));
    };
    let way = match decide(origin, bound, &View::new(&parts, origin.peer.ends.client.ip())) {
        Ok(way) => way,
        Err(bound) => {
            context.counters.count_unrouted(Some(&bound.gateway.key), Failure::NoRoute);
            return Err((Error::Failed(Failure::NoRoute), Some(body)));
        }
    };
    let forwarded = forward::run(Forward { origin, bound: &way.bound, route: way.route, parts, body }).await;
    let last = &way.bound.routes[way.route].live;
    for route in way.outer.iter().chain([last]) {
        let counters = &route.counters;
        match &forwarded {
            Ok(response) => counters.count(response.status(), began.elapsed()),
            Err(error) => counters.count(answer(*error).0, began.elapsed()),
        }
        if let Err(Error::Failed(failure)) = &forwarded {
            counters.count_failure(*failure);
        }
    }
    forwarded.map_err(|error| (error, None))
}

/// Where a request goes.
struct Way {
    /// The gateway that decided last.
    bound: Rc<Bound>,
    /// Its route, as an index.
    route: usize,
    /// Routes of other gateways that led there: they count it as well.
    outer: Vec<Rc<LiveRoute>>,
}

/// Decides, gateway after gateway where routes are chained; the gateway that had no route where there is none.
fn decide(origin: &Origin, mut bound: Rc<Bound>, request: &View<'_>) -> Result<Way, Rc<Bound>> {
    let mut outer = Vec::new();
    loop {
        let Some(route) = bound.decide(request) else { return Err(bound) };
        let Some(inner) = bound.gateway.routes[route].chained.clone() else {
            return Ok(Way { bound, route, outer });
        };
        outer.push(Rc::clone(&bound.routes[route].live));
        bound = origin.context.gateways.bind(&origin.context, &inner);
    }
}

/// The gateway that answers: the frontend's, or on a shared port the host's.
fn find_gateway(origin: &Origin, headers: &HeaderMap) -> Option<Rc<Bound>> {
    let gateways = &origin.context.gateways;
    gateways.follow(&origin.context);
    let table = gateways.table();
    let gateway = match table.find_frontend(&origin.peer.ends.frontend)? {
        Entry::Gateway(gateway) => gateway,
        Entry::Shared => table.find_host(authority::host(headers))?,
    };
    Some(gateways.bind(&origin.context, gateway))
}

/// The proxy's own answer to a request that no endpoint answered.
fn refuse(origin: &Origin, error: Error, body: Option<Incoming>) -> Response<ResponseBody> {
    let (status, text) = answer(error);
    let mut response = Response::new(ResponseBody::text(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let Some(link) = &origin.link else { return response };
    let unread = body.filter(|body| !body.is_end_stream());
    if unread.is_some() || matches!(error, Error::Refused(_)) || link.body_refusal().is_some() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(body) = unread {
        link.keep_unread(body);
    }
    response
}

/// Whether a request may be sent again when it is not known what became of it (RFC 9110, 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// Whether a version has upgrades.
pub(super) fn has_upgrades(version: Version) -> bool {
    version == Version::HTTP_11
}
