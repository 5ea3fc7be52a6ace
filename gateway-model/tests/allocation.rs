//! Deciding about a request does not allocate: counted.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use gateway_model::{
    balance::{Chooser, Table},
    condition::Condition,
    gateway::Balance,
    key::{GatewayKey, RouteName},
    matching::Request,
    pick::Picker,
    plan::l7::{L7Condition, L7Gateway, L7Route, RouteTable},
    rewrite::{self, Rewrite, RewriteKind},
    sticky::{By, Keys, Users, captures, choose_endpoint, choose_route},
    weight::Weight,
};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory of others.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> usize {
    let before = COUNT.with(Cell::get);
    run();
    COUNT.with(Cell::get) - before
}

struct Asked {
    headers: [(&'static str, &'static str); 3],
}

impl Request for Asked {
    fn method(&self) -> &'static str {
        "GET"
    }
    fn host(&self) -> &'static str {
        "A.B.Example.com:80"
    }
    fn path(&self) -> &'static str {
        "/api/v1/items"
    }
    fn query(&self) -> &'static str {
        "q=a%20b&page=2"
    }
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers.iter().any(|(own, value)| own.eq_ignore_ascii_case(name) && test(value.as_bytes()))
    }
    fn client(&self) -> IpAddr {
        IpAddr::from([192, 0, 2, 7])
    }
    fn sni(&self) -> &'static str {
        ""
    }
}

#[test]
fn finding_a_gateway_a_route_and_an_endpoint_does_not_allocate() {
    let endpoints: Arc<[SocketAddr]> = (1..=5).map(|last| SocketAddr::from(([10, 0, 0, last], 80))).collect();
    let half = Weight::from_hundredths(5_000).expect("less than all");
    let balances = [Balance::P2c, Balance::LeastConn, Balance::RoundRobin, Balance::Random, Balance::Maglev];
    let routes: Vec<L7Route> = ["(1)", "(2)"]
        .map(|name| L7Route {
            name: RouteName(name.to_owned()),
            weight: half,
            balance: Balance::P2c,
            endpoints: endpoints.clone(),
            chained: None,
        })
        .into();
    let conditions = [
        "User-Agent is Chrome or Header x-user has zed",
        "Cookie beta matches /^n[aeiou]+$/ and IP in 10.0.0.0/8",
        "Query q is 'a c' or Query q matches /^x/ or < hdr_sub(x-groups) -i admin staff >",
        "Host is a.b.example.com and Path starts with /api and Method is GET and not Percent < 0",
    ];
    let conditions = conditions.map(|text| L7Condition {
        route: 1,
        strength: half,
        condition: Condition::parse(text).expect("it parses"),
    });
    let gateway = Arc::new(L7Gateway::new(GatewayKey::new("default", "foo"), routes, conditions.into()));
    let mut table = RouteTable::default();
    let (key, frontend) = (gateway.key.clone(), SocketAddr::from(([192, 0, 2, 1], 80)));
    table.set(gateway);
    table.answer(&key, &["*.example.com".parse().expect("a host")], [frontend].iter());
    let request =
        Asked { headers: [("User-Agent", "Firefox"), ("Cookie", "beta=no; x=y"), ("X-Groups", "a, b")] };
    let (mut picker, mut chooser) = (Picker::new(1), Chooser::new(1));
    let mut ask = || {
        let gateway = table.find_host(request.host()).expect("the host is known");
        assert_eq!(gateway.find_condition(&request), Some(3));
        let route = gateway.decide(&request, &mut picker).expect("a route serves");
        for balance in balances {
            let route = &gateway.routes[route];
            chooser
                .choose(balance, &route.endpoints, |index| index as u32, request.client())
                .expect("endpoints");
        }
    };
    // The first time the picker gets to know the gateway, and regular expressions make their caches.
    assert!(allocations(&mut ask) > 0, "the counter counts");
    for _ in 0..1_000 {
        assert_eq!(allocations(&mut ask), 0);
    }
}

#[test]
fn knowing_a_user_and_his_route_and_rewriting_his_request_does_not_allocate() {
    let keys = Keys::new(&[2; 32], Some(&[1; 32])).expect("long enough");
    let before = Keys::new(&[1; 32], None).expect("long enough");
    let users = |by| Users::new(&GatewayKey::new("default", "foo"), by);
    let users = [users(By::Cookie), users(By::Client), users(By::Header("x-groups".to_owned()))];
    let cookie = users[0].cookie().expect("they are known by it");
    let line: &str = format!("x=y; {}={}", cookie.name(), cookie.issue([7; 16], &before)).leak();
    let request = Asked { headers: [("User-Agent", "Firefox"), ("Cookie", line), ("X-Groups", "a, b")] };
    let half = Weight::from_hundredths(5_000).expect("less than all");
    let endpoints: Vec<SocketAddr> = (1..=5).map(|last| SocketAddr::from(([10, 0, 0, last], 80))).collect();
    let table = Table::new(&endpoints);
    let rewrites = [
        (RewriteKind::Path, "/new if Path is /old"),
        (RewriteKind::Prefix, "/api to / if User-Agent is Firefox"),
        (RewriteKind::Host, "internal.example.com"),
    ];
    let rewrites = rewrites.map(|(kind, text)| Rewrite::parse(kind, text).expect("it parses"));
    let ask = || {
        for users in &users {
            let user = users.find(&request, Some(&keys)).expect("he is known");
            assert!(choose_route(user, [("(1)", half), ("(2)", half)]).is_some());
            assert!(choose_endpoint(user, &endpoints).is_some());
            captures(user, "Has Header a", half);
        }
        assert!(table.choose(request.client()).is_some());
        let rewritten = rewrite::apply(&rewrites, &request);
        assert!(rewritten.host.is_some() && rewritten.path.is_some_and(|path| path.tail == "v1/items"));
    };
    for _ in 0..1_000 {
        assert_eq!(allocations(ask), 0);
    }
}
