//! What a worker knows of gateways, routes and endpoints beside the table: picks, pools, counters.
//!
//! It outlives a swap of the table, by name: a change loses no pick, no connection, no count.

mod live;

use std::{
    cell::{Ref, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use gateway_model::{
    key::GatewayKey,
    plan::l7::{L7Gateway, RouteTable},
};

use self::live::LiveGateway;
pub(super) use self::live::{Endpoint, InFlight, LiveRoute};
use super::worker::Context;

/// The table in force for this worker, and what is known of what is in it.
pub(super) struct Gateways {
    seed: u64,
    table: RefCell<Arc<RouteTable>>,
    /// By where in memory the table has them; each holds its gateway, so no other can take its place.
    bound: RefCell<HashMap<*const L7Gateway, Rc<Bound>>>,
    live: RefCell<HashMap<GatewayKey, Rc<LiveGateway>>>,
}

/// A gateway of the table in force, with what is known of it.
pub(super) struct Bound {
    pub gateway: Arc<L7Gateway>,
    live: Rc<LiveGateway>,
    /// Parallel to the gateway's routes.
    pub routes: Box<[BoundRoute]>,
}

/// A route of a gateway of the table in force.
pub(super) struct BoundRoute {
    pub live: Rc<LiveRoute>,
    /// Parallel to the route's endpoints.
    pub endpoints: Box<[Rc<Endpoint>]>,
}

impl Gateways {
    /// For a worker of this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, table: RefCell::default(), bound: RefCell::default(), live: RefCell::default() }
    }

    /// Takes the newest table, where there is one, and lets go of what is not in it.
    pub fn follow(&self, context: &Context) {
        let newest = context.shared.table.load();
        if Arc::ptr_eq(&newest, &self.table.borrow()) {
            return;
        }
        *self.table.borrow_mut() = Arc::clone(&newest);
        self.bound.borrow_mut().clear();
        for (key, live) in self.live.borrow().iter() {
            live.retire_what_left(newest.find(key).map(|gateway| &**gateway), context);
        }
    }

    /// The table in force.
    pub fn table(&self) -> Ref<'_, Arc<RouteTable>> {
        self.table.borrow()
    }

    /// What is known of a gateway of the table in force.
    pub fn bind(&self, context: &Context, gateway: &Arc<L7Gateway>) -> Rc<Bound> {
        if let Some(bound) = self.bound.borrow().get(&Arc::as_ptr(gateway)) {
            return Rc::clone(bound);
        }
        let live = Rc::clone(
            self.live
                .borrow_mut()
                .entry(gateway.key.clone())
                .or_insert_with(|| Rc::new(LiveGateway::new(self.seed))),
        );
        let routes = gateway.routes.iter().map(|route| {
            let known = live.route(context, &gateway.key, &route.name);
            let endpoints = route.endpoints.iter().map(|address| known.endpoint(*address)).collect();
            BoundRoute { live: known, endpoints }
        });
        let bound = Rc::new(Bound { gateway: Arc::clone(gateway), routes: routes.collect(), live });
        self.bound.borrow_mut().insert(Arc::as_ptr(gateway), Rc::clone(&bound));
        bound
    }

    /// Lets go of connections that were idle for too long, and of routes that left the table an hour ago.
    pub fn sweep(&self, context: &Context) {
        let mut live = self.live.borrow_mut();
        live.retain(|key, gateway| {
            gateway.sweep(context, key);
            !gateway.is_empty()
        });
    }
}

impl Bound {
    /// The route that takes a request, as an index; `None`: no route can.
    pub fn decide(&self, request: &impl gateway_model::matching::Request) -> Option<usize> {
        self.gateway.decide(request, &mut self.live.picker.borrow_mut())
    }
}
