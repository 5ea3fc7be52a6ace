//! Who gets which share of the requests that match a condition.

use std::net::IpAddr;

use super::*;
use crate::{condition::Condition, gateway::Balance, matching::Request, pick::Picker, weight};

/// How many requests are decided about.
const REQUESTS: u32 = 4_000;

/// A request with one header, or none.
struct Asked(&'static str);

impl Request for Asked {
    fn method(&self) -> &'static str {
        "GET"
    }
    fn host(&self) -> &'static str {
        ""
    }
    fn path(&self) -> &'static str {
        "/"
    }
    fn query(&self) -> &'static str {
        ""
    }
    fn any_header(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        name == self.0 && test(b"")
    }
    fn client(&self) -> IpAddr {
        [192, 0, 2, 1].into()
    }
    fn sni(&self) -> &'static str {
        ""
    }
}

/// Routes of these parts of everything, each asking for a header of its own, with this strength.
fn gateway(parts: &[u64], strengths: &[u16]) -> L7Gateway {
    let weights = weight::apportion(Weight::FULL, parts).into_iter().enumerate();
    let routes = weights.map(|(index, weight)| L7Route {
        name: RouteName(format!("({index})")),
        weight,
        balance: Balance::P2c,
        endpoints: Arc::new([SocketAddr::from(([10, 0, 0, index as u8], 80))]),
        chained: None,
    });
    let conditions = strengths.iter().take(parts.len()).enumerate().map(|(route, strength)| L7Condition {
        route,
        strength: Weight::from_hundredths(*strength).unwrap(),
        condition: Condition::parse(&format!("Has Header {}", HEADERS[route])).unwrap(),
    });
    L7Gateway::new(GatewayKey::new("default", "g"), routes.collect(), conditions.collect())
}

const HEADERS: [&str; 5] = ["h0", "h1", "h2", "h3", "h4"];

/// How many of the requests each route takes.
fn measure(gateway: &L7Gateway, header: &'static str, seed: u64) -> Vec<u32> {
    let mut picker = Picker::new(seed);
    let mut taken = vec![0; gateway.routes.len()];
    for _ in 0..REQUESTS {
        if let Some(route) = gateway.decide(&Asked(header), &mut picker) {
            taken[route] += 1;
        }
    }
    taken
}

proptest! {
    #![proptest_config(crate::tests::cases(1_000))]

    #[test]
    fn a_condition_gives_its_route_s_plus_what_is_left_times_w(
        parts in prop::collection::vec(0_u64..100, 1..=5),
        strengths in prop::collection::vec(0_u16..=10_000, 5),
        asked in 0_usize..5,
        seed in any::<u64>(),
    ) {
        let asked = asked % parts.len();
        let gateway = gateway(&parts, &strengths);
        let taken = measure(&gateway, HEADERS[asked], seed);
        let strength = f64::from(strengths[asked]) / 10_000.0;
        let left = f64::from(REQUESTS) * (1.0 - strength);
        for (route, taken) in taken.iter().enumerate() {
            let captured = if route == asked { f64::from(REQUESTS) * strength } else { 0.0 };
            let expected = captured + left * f64::from(gateway.shares()[route]) / 10_000.0;
            prop_assert!((f64::from(*taken) - expected).abs() <= 4.0, "({route}): {taken}, not {expected}");
        }
    }

    #[test]
    fn what_no_condition_matches_goes_by_weight_over_all_routes(
        parts in prop::collection::vec(0_u64..100, 1..=5),
        strengths in prop::collection::vec(0_u16..=10_000, 5),
        seed in any::<u64>(),
    ) {
        let gateway = gateway(&parts, &strengths);
        for (taken, share) in measure(&gateway, "other", seed).iter().zip(gateway.shares()) {
            let expected = f64::from(REQUESTS) * f64::from(*share) / 10_000.0;
            prop_assert!((f64::from(*taken) - expected).abs() <= 2.0, "{taken}, not {expected}");
        }
    }
}
