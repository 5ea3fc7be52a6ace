//! A proxy with a table of a test's own. Its listener's address is the frontend.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gateway_model::{
    condition::Condition,
    gateway::Balance,
    key::{GatewayKey, RouteName},
    plan::l7::{L7Condition, L7Gateway, L7Route, RouteTable},
    weight::Weight,
};
use weir::proxy::{Config, Family, Mark, Proxy, Stats, mark::Unmarked, stats::RouteStats};

use crate::client::Client;

/// How long a condition may take to come true before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy of one worker.
pub struct Stage {
    pub proxy: Proxy,
    pub frontend: SocketAddr,
}

impl Stage {
    /// With this configuration and no table.
    pub fn with(config: Config) -> Self {
        Self::start(config, Family::V4, Arc::new(Unmarked))
    }

    /// With this configuration, the listener of this family, and no table.
    pub fn start(config: Config, family: Family, mark: Arc<dyn Mark>) -> Self {
        let config = Config { workers: 1, ..config };
        let proxy = Proxy::start(config, Arc::default(), mark).unwrap();
        let (_, _, listener) = proxy.listeners().find(|(known, ..)| *known == family).unwrap();
        let frontend = socket2::SockRef::from(&listener).local_addr().unwrap().as_socket().unwrap();
        Self { proxy, frontend }
    }

    /// With default configuration, and a gateway on a port of its own.
    pub fn of(gateway: Arc<L7Gateway>) -> Self {
        let stage = Self::with(Config::default());
        stage.serve(gateway);
        stage
    }

    /// A gateway on a port of its own, with one route of weight 100 % to `endpoint`.
    pub fn to(endpoint: SocketAddr) -> Self {
        Self::of(gateway(&[("a", 10_000, &[endpoint])]))
    }

    /// Makes the frontend a gateway's own port.
    pub fn serve(&self, gateway: Arc<L7Gateway>) {
        let (mut table, key) = (RouteTable::default(), gateway.key.clone());
        table.set(gateway);
        table.answer(&key, &[], [self.frontend].iter());
        self.proxy.set_table(Arc::new(table));
    }

    /// Makes the frontend a shared port with these hosts; `*.x` are wildcards.
    pub fn share(&self, hosts: &[(&str, &Arc<L7Gateway>)]) {
        let mut table = RouteTable::default();
        table.share(self.frontend);
        for (host, gateway) in hosts {
            table.set(Arc::clone(gateway));
            table.answer(&gateway.key, &[host.parse().unwrap()], [].iter());
        }
        self.proxy.set_table(Arc::new(table));
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.frontend)
    }

    pub fn refused(&self, reason: &str) -> u64 {
        let refused = self.proxy.stats().refused;
        refused.iter().find(|(known, _)| *known == reason).unwrap_or_else(|| panic!("no reason {reason}")).1
    }

    /// The counters of a route that has answered.
    pub fn route(&self, name: &str) -> RouteStats {
        let routes = self.proxy.stats().routes;
        routes.into_iter().find(|route| route.route.0 == name).unwrap_or_else(|| panic!("no route {name}"))
    }

    /// Waits until the counters are as told.
    pub fn wait(&self, what: &str, is_so: impl Fn(&Stats) -> bool) {
        wait(what, || is_so(&self.proxy.stats()));
    }
}

/// Waits until something is so.
pub fn wait(what: &str, is_so: impl Fn() -> bool) {
    gateway_tests::wait_until(PATIENCE, what, is_so);
}

/// A gateway with routes of these names, weights in hundredths of a percent, and endpoints.
pub fn gateway(routes: &[(&str, u16, &[SocketAddr])]) -> Arc<L7Gateway> {
    gateway_with(routes, &[])
}

/// A gateway with conditions too: text, index of the route, strength in hundredths of a percent.
pub fn gateway_with(
    routes: &[(&str, u16, &[SocketAddr])],
    conditions: &[(&str, usize, u16)],
) -> Arc<L7Gateway> {
    let routes = routes.iter().map(|(name, weight, endpoints)| L7Route {
        name: RouteName((*name).to_owned()),
        weight: Weight::from_hundredths(*weight).unwrap(),
        balance: Balance::P2c,
        endpoints: (*endpoints).into(),
        chained: None,
    });
    let conditions = conditions.iter().map(|(text, route, strength)| L7Condition {
        route: *route,
        strength: Weight::from_hundredths(*strength).unwrap(),
        condition: Condition::parse(text).unwrap(),
    });
    let key = GatewayKey { namespace: "default".to_owned(), name: "foo".to_owned() };
    Arc::new(L7Gateway::new(key, routes.collect(), conditions.collect()))
}
