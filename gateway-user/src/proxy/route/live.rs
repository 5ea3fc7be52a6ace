//! Gateways, routes and endpoints by name, as long as they are in the table, and routes for an hour more.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use gateway_model::{
    balance::Chooser,
    key::{GatewayKey, RouteName},
    pick::Picker,
    plan::l7::{L7Gateway, L7Route},
};

use crate::proxy::{
    stats::{EndpointCounters, RouteCounters},
    upstream::Pool,
    worker::Context,
};

/// How long the counters of a route that left the table are kept.
const KEPT: Duration = Duration::from_hours(1);

/// A gateway.
pub(super) struct LiveGateway {
    seed: u64,
    pub picker: RefCell<Picker>,
    routes: RefCell<HashMap<RouteName, Rc<LiveRoute>>>,
}

/// A route.
pub(in crate::proxy) struct LiveRoute {
    pub counters: Arc<RouteCounters>,
    pub chooser: RefCell<Chooser>,
    endpoints: RefCell<HashMap<SocketAddr, Rc<Endpoint>>>,
    /// Since when, by the worker's clock, it is not in the table.
    left: Cell<Option<Duration>>,
}

/// An endpoint of a route.
pub(in crate::proxy) struct Endpoint {
    pub address: SocketAddr,
    pub counters: Arc<EndpointCounters>,
    pub pool: Pool,
    in_flight: Cell<u32>,
    /// Until when, by the worker's clock, others are tried first, since connecting to it failed.
    shunned: Cell<Duration>,
}

impl LiveGateway {
    pub fn new(seed: u64) -> Self {
        Self { seed, picker: RefCell::new(Picker::new(seed)), routes: RefCell::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.routes.borrow().is_empty()
    }

    /// A route, made where it is not known, and in the table from now on.
    pub fn route(&self, context: &Context, gateway: &GatewayKey, name: &RouteName) -> Rc<LiveRoute> {
        let mut routes = self.routes.borrow_mut();
        let route = routes.entry(name.clone()).or_insert_with(|| {
            let counters = context.counters.route(gateway, name);
            Rc::new(LiveRoute {
                counters,
                chooser: RefCell::new(Chooser::new(self.seed)),
                endpoints: RefCell::default(),
                left: Cell::default(),
            })
        });
        route.left.set(None);
        Rc::clone(route)
    }

    /// Lets go of what the gateway in the table has no more; `None`: the gateway itself is gone.
    pub fn retire_what_left(&self, gateway: Option<&L7Gateway>, context: &Context) {
        let routes = gateway.map_or(&[][..], |gateway| &gateway.routes);
        for (name, live) in self.routes.borrow().iter() {
            let route = routes.iter().find(|route| route.name == *name);
            live.retire_what_left(route);
            let left = live.left.get().unwrap_or(context.clock.now());
            live.left.set(route.is_none().then_some(left));
        }
    }

    /// Lets go of connections and routes whose time has come.
    pub fn sweep(&self, context: &Context, gateway: &GatewayKey) {
        let now = context.clock.now();
        self.routes.borrow_mut().retain(|name, route| {
            let idle = now.saturating_sub(context.shared.config.timeouts.upstream_idle);
            route.endpoints.borrow().values().for_each(|endpoint| endpoint.pool.drop_idle_since(idle));
            let kept = route.left.get().is_none_or(|left| now < left + KEPT);
            if !kept {
                context.counters.forget(gateway, name);
            }
            kept
        });
    }
}

impl LiveRoute {
    /// An endpoint, made where it is not known.
    pub fn endpoint(&self, address: SocketAddr) -> Rc<Endpoint> {
        let mut endpoints = self.endpoints.borrow_mut();
        Rc::clone(endpoints.entry(address).or_insert_with(|| {
            let counters = self.counters.endpoint(address);
            Rc::new(Endpoint {
                address,
                counters,
                pool: Pool::default(),
                in_flight: Cell::new(0),
                shunned: Cell::default(),
            })
        }))
    }

    fn retire_what_left(&self, route: Option<&L7Route>) {
        self.endpoints.borrow_mut().retain(|address, endpoint| {
            let stays = route.is_some_and(|route| route.endpoints.contains(address));
            if !stays {
                endpoint.pool.retire();
                self.counters.forget(*address);
            }
            stays
        });
    }
}

impl Endpoint {
    /// Requests of this worker that it has not answered to the end.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// Others are to be tried first until then.
    pub fn shun(&self, until: Duration) {
        self.shunned.set(until);
        self.counters.connect_failures.fetch_add(1, Relaxed);
    }

    /// Whether others are to be tried first.
    pub fn is_shunned(&self, now: Duration) -> bool {
        now < self.shunned.get()
    }
}

/// A request that an endpoint has: counted until it is dropped.
pub(in crate::proxy) struct InFlight(Rc<Endpoint>);

impl InFlight {
    pub fn count(endpoint: &Rc<Endpoint>) -> Self {
        endpoint.in_flight.set(endpoint.in_flight.get() + 1);
        endpoint.counters.in_flight.fetch_add(1, Relaxed);
        Self(Rc::clone(endpoint))
    }

    /// It is sent.
    pub fn sent(&self) {
        self.0.counters.requests.fetch_add(1, Relaxed);
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        self.0.counters.in_flight.fetch_sub(1, Relaxed);
    }
}
