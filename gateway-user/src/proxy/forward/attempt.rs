//! Which endpoint, over which connection.

use std::{rc::Rc, time::Duration};

use gateway_model::balance::Chooser;

use crate::proxy::{
    error::Failure,
    route::{Bound, BoundRoute, Endpoint, InFlight},
    serve::Peer,
    upstream::{self, Sender},
    worker::Context,
};

/// How long other endpoints are tried before one to which connecting failed.
const SHUNNED: Duration = Duration::from_secs(1);

/// How long an idle connection may have been idle for a request that cannot be sent again: endpoints commonly close
/// theirs after five seconds or more.
const FRESH: Duration = Duration::from_secs(2);

/// The attempts of one request.
pub(super) struct Attempts<'a> {
    context: &'a Rc<Context>,
    bound: &'a Bound,
    route: usize,
    peer: &'a Peer,
    replayable: bool,
    avoid_idle: bool,
    /// Endpoints that could not be reached, by index.
    tried: Vec<usize>,
}

/// A connection to send a request on.
pub(super) struct Ready {
    pub in_flight: InFlight,
    pub sender: Sender,
    /// It has carried a request before, and may have died since.
    pub reused: bool,
}

impl<'a> Attempts<'a> {
    /// For a request to a route, which may or may not be sent twice.
    pub fn new(
        context: &'a Rc<Context>,
        bound: &'a Bound,
        route: usize,
        peer: &'a Peer,
        replayable: bool,
    ) -> Self {
        Self { context, bound, route, peer, replayable, avoid_idle: false, tried: Vec::new() }
    }

    /// From now on, new connections only.
    pub fn avoid_idle(&mut self) {
        self.avoid_idle = true;
    }

    /// A connection to an endpoint of the route: the one that its balance says, else any that can be reached.
    pub async fn next(&mut self) -> Result<Ready, Failure> {
        let mut failure = Failure::Connect;
        while self.tried.len() < self.context.shared.config.limits.connect_attempts.max(1) {
            let Some(index) = self.choose() else { break };
            let endpoint = &self.route().endpoints[index];
            let in_flight = InFlight::count(endpoint);
            if let Some(sender) = self.take_idle(endpoint) {
                return Ok(Ready { in_flight, sender, reused: true });
            }
            let gateway = &self.bound.gateway;
            let name = &gateway.routes[self.route].name;
            match upstream::connect(self.context, &gateway.key, name, endpoint.address).await {
                Ok(sender) => return Ok(Ready { in_flight, sender, reused: false }),
                Err(failed) => {
                    endpoint.shun(self.context.clock.now() + SHUNNED);
                    failure = failed;
                }
            }
            self.tried.push(index);
        }
        Err(failure)
    }

    fn route(&self) -> &'a BoundRoute {
        &self.bound.routes[self.route]
    }

    fn take_idle(&self, endpoint: &Endpoint) -> Option<Sender> {
        if self.avoid_idle {
            return None;
        }
        let now = self.context.clock.now();
        let age = if self.replayable { self.context.shared.config.timeouts.upstream_idle } else { FRESH };
        endpoint.pool.take(now.saturating_sub(age))
    }

    /// The next endpoint's index; `None` once all were tried.
    fn choose(&self) -> Option<usize> {
        let route = self.route();
        let model = &self.bound.gateway.routes[self.route];
        let now = self.context.clock.now();
        let is_bad = |index: usize| self.tried.contains(&index) || route.endpoints[index].is_shunned(now);
        let load = |index: usize| if is_bad(index) { u32::MAX } else { route.endpoints[index].in_flight() };
        let client = self.peer.ends.client.ip();
        let mut chooser = route.live.chooser.borrow_mut();
        let chosen = Chooser::choose(&mut chooser, model.balance, &model.endpoints, load, client)?;
        // A shunned one where there is no other, and one that was tried never.
        let mut others = (0..route.endpoints.len()).map(|step| (chosen + step) % route.endpoints.len());
        others
            .clone()
            .find(|index| !is_bad(*index))
            .or_else(|| others.find(|index| !self.tried.contains(index)))
    }
}
