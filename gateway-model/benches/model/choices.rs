//! What choosing routes and endpoints costs.

use std::{
    hint::black_box,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use gateway_model::{
    balance::{Chooser, Table},
    gateway::Balance,
    key::{GatewayKey, RouteName},
    matching::Request,
    pick::Picker,
    plan::l7::{L7Gateway, L7Route},
    rewrite::{self, Rewrite, RewriteKind},
    sticky::{By, Keys, UserKey, Users, captures, choose_endpoint, choose_route},
    weight::{Weight, apportion},
};

use super::{Asked, address, least};

pub fn choices() {
    picks();
    users();
    endpoints();
    rewrites();
}

/// A gateway whose weights are odd hundredths, so that its sequence is as long as it can be.
fn gateway(count: u64) -> L7Gateway {
    let parts: Vec<u64> = (1..=count).map(|part| part * 7 + 1).collect();
    let endpoints: Arc<[SocketAddr]> = Arc::from([SocketAddr::new(address(1), 80)]);
    let routes = apportion(Weight::FULL, &parts).into_iter().enumerate().map(|(index, weight)| L7Route {
        name: RouteName(format!("(1.{index}.0)")),
        weight,
        balance: Balance::P2c,
        endpoints: endpoints.clone(),
        chained: None,
    });
    L7Gateway::new(GatewayKey::new("default", "foo"), routes.collect(), Vec::new())
}

fn picks() {
    for count in [2, 10, 100] {
        let (gateway, mut picker) = (gateway(count), Picker::new(1));
        let time = least(5, || gateway.decide_matched(None, &mut picker));
        let mut seed = 0;
        let enter = least(5, || {
            seed += 1;
            gateway.decide_matched(None, &mut Picker::new(seed))
        });
        let alone = least(5, || self::gateway(count));
        let round = least(5, || self::gateway(count).decide_matched(None, &mut Picker::new(1)));
        let round = round.saturating_sub(alone + enter);
        println!(
            "a weighted pick of {count} routes: {time:?}; the first one of a picker: {enter:?}; a round: {round:?}"
        );
    }
}

fn users() {
    for count in [2, 10, 100] {
        let gateway = gateway(count);
        let mut number = 0;
        let time = least(5, || {
            number += 1;
            let routes = gateway.routes.iter().map(|route| (route.name.0.as_str(), route.weight));
            choose_route(UserKey(number), routes)
        });
        println!("a user's route of {count}: {time:?}");
    }
    let time =
        least(5, || captures(black_box(UserKey(7)), "User-Agent is Firefox && Path has /api", Weight::FULL));
    println!("a user's capture: {time:?}");
    let (key, keys) = (GatewayKey::new("default", "foo"), Keys::new(&[1; 32], None).expect("long enough"));
    for (name, by) in [("address", By::Client), ("header", By::Header("user-agent".to_owned()))] {
        let users = Users::new(&key, by);
        let time = least(5, || users.find(&Asked, Some(&keys)));
        println!("a user by {name}: {time:?}");
    }
    let users = Users::new(&key, By::Cookie);
    let cookie = users.cookie().expect("known by it");
    let asked = WithCookie(format!("a=b; {}={}; beta=yes", cookie.name(), cookie.issue([7; 16], &keys)));
    let time = least(5, || users.find(black_box(&asked), Some(&keys)));
    println!("a user's signed cookie: {time:?}");
}

struct WithCookie(String);

impl Request for WithCookie {
    fn method(&self) -> &'static str {
        "GET"
    }
    fn host(&self) -> &'static str {
        "example.com"
    }
    fn path(&self) -> &'static str {
        "/"
    }
    fn query(&self) -> &'static str {
        ""
    }
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        name == "cookie" && test(self.0.as_bytes())
    }
    fn client(&self) -> IpAddr {
        address(7)
    }
    fn sni(&self) -> &'static str {
        ""
    }
}

fn endpoints() {
    for count in [10, 100, 1_000] {
        let endpoints: Vec<SocketAddr> =
            (0..count).map(|number| SocketAddr::new(address(number), 80)).collect();
        let (mut chooser, mut number) = (Chooser::new(1), 0_u32);
        let mut client = || {
            number = number.wrapping_add(1);
            IpAddr::V4(number.into())
        };
        for balance in
            [Balance::RoundRobin, Balance::LeastConn, Balance::Random, Balance::P2c, Balance::Maglev]
        {
            let time = least(3, || chooser.choose(balance, &endpoints, |index| index as u32 & 3, client()));
            println!("an endpoint of {count} by {balance:?}: {time:?}");
        }
        let time = least(3, || choose_endpoint(UserKey(u64::from(client().is_ipv4())), &endpoints));
        println!("a user's endpoint of {count}: {time:?}");
        let table = Table::new(&endpoints);
        let time = least(3, || table.choose(client()));
        let build = least(3, || Table::new(&endpoints));
        println!("an endpoint of {count} by a table: {time:?}; the table: {build:?}");
    }
}

fn rewrites() {
    let parse = |kind, text| Rewrite::parse(kind, text).expect("it parses");
    let list = [
        parse(RewriteKind::Path, "/new if Path is /old"),
        parse(RewriteKind::Prefix, "/api/v1 to /v1 if User-Agent is Firefox"),
        parse(RewriteKind::Host, "internal.example.com"),
    ];
    let time = least(5, || rewrite::apply(black_box(&list), &Asked));
    println!("three rewrites, two of which apply: {time:?}");
}
