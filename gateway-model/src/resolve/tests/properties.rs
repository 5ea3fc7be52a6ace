//! What holds whatever happens to weights.

use proptest::prelude::*;

use super::*;

/// Something that changes weights, or might.
#[derive(Clone, Debug)]
enum Deed {
    /// Pods of these versions exist, those of the second set ready.
    Run(u8, u8),
    /// What the file says of each version.
    Write(Vec<Said>),
    Set(Vec<(u8, u16)>, bool),
    RollBack(u8),
    Wait(u64),
    Restart,
}

/// What a file says of a version.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    Nothing,
    /// It is listed and takes a part of the rest.
    Listed,
    /// It has this share of what those before it leave, in hundredths of a percent.
    Given(u16),
}

fn deed() -> impl Strategy<Value = Deed> {
    let said = prop_oneof![Just(Said::Nothing), Just(Said::Listed), (0_u16..=10_000).prop_map(Said::Given)];
    let listing = prop::collection::vec(said, 4);
    prop_oneof![
        5 => (0_u8..16, any::<u8>()).prop_map(|(exist, ready)| Deed::Run(exist, ready)),
        2 => listing.prop_map(Deed::Write),
        4 => (prop::collection::vec((0_u8..4, 0_u16..=10_000), 1..4), any::<bool>())
            .prop_map(|(changes, rebalance)| Deed::Set(changes, rebalance)),
        1 => (0_u8..4).prop_map(Deed::RollBack),
        2 => (0_u64..5_000).prop_map(Deed::Wait),
        1 => Just(Deed::Restart),
    ]
}

/// Given weights that add up to at most 100 %, and to exactly that (or 0) where all are given.
fn write(listing: &[Said]) -> String {
    let mut left = 10_000_u32;
    let last = listing.iter().rposition(|said| *said != Said::Nothing);
    let all_given = !listing.contains(&Said::Listed);
    let mut routes = Vec::new();
    for (version, said) in listing.iter().enumerate() {
        let weight = match said {
            Said::Nothing => continue,
            Said::Listed => String::new(),
            Said::Given(part) => {
                let is_last = all_given && last == Some(version);
                let weight = if is_last { left } else { left * u32::from(*part) / 10_000 };
                left -= weight;
                format!("weight: {}", Weight::from_hundredths(weight as u16).unwrap())
            }
        };
        routes.push(format!("(1.{version}): {{{weight}}}"));
    }
    if routes.is_empty() { TCP.to_owned() } else { format!("{TCP}routes: {{{}}}\n", routes.join(", ")) }
}

fn run(exist: u8, ready: u8) -> String {
    let pods = (0..4).filter(|version| exist & (1 << version) != 0).map(|version| {
        let is_ready = ready & (1 << version) != 0;
        pod(&format!("p{version}"), &format!("1.{version}"), &format!("10.0.0.{version}"))
            .replace("created", &format!("ready: {is_ready}, created"))
    });
    let pods: String = pods.collect();
    if pods.is_empty() { "[]".to_owned() } else { pods }
}

fn of(story: &Story) -> BTreeMap<String, Weight> {
    let routes = story.resolved.gateways.iter().flat_map(|gateway| &gateway.routes);
    routes.map(|route| (route.name.to_string(), route.weight)).collect()
}

proptest! {
    #![proptest_config(crate::tests::cases(600))]

    #[test]
    fn weights_add_up_and_nothing_becomes_more_by_itself(deeds in prop::collection::vec(deed(), 1..16)) {
        let mut story = Story::new();
        let (mut file, mut pods) = (TCP.to_owned(), run(1, 1));
        story.step(&file, &pods);
        for deed in deeds {
            let before = of(&story);
            // Which routes a person says something about.
            let mut named: Vec<String> = Vec::new();
            let mut rolled_back = None;
            match deed {
                Deed::Run(exist, ready) => pods = run(exist, ready),
                Deed::Write(listing) => {
                    let text = write(&listing);
                    if text != file {
                        named = (0..4).map(|version| format!("(1.{version})")).collect();
                    }
                    file = text;
                }
                Deed::Set(changes, rebalance) => {
                    let changes: Vec<(String, String)> = changes.iter().map(|(version, weight)| {
                        (format!("(1.{version})"), Weight::from_hundredths(*weight).unwrap().to_string())
                    }).collect();
                    let changes: Vec<(&str, &str)> = changes.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
                    if story.set(&changes, rebalance).is_ok() {
                        named = changes.iter().map(|(name, _)| (*name).to_owned()).collect();
                    }
                }
                Deed::RollBack(version) => {
                    let name = format!("(1.{version})");
                    if before.contains_key(&name) {
                        story.roll_back(&name);
                        rolled_back = Some(name);
                    }
                }
                Deed::Wait(pause) => story.now += pause,
                Deed::Restart => {
                    let stored = serde_json::to_string(&story.kept).unwrap();
                    story.kept = serde_json::from_str(&stored).unwrap();
                }
            }
            let held: Vec<String> = story.resolved.gateways.iter().flat_map(|gateway| &gateway.routes)
                .filter(|route| route.rolled_back).map(|route| route.name.to_string()).collect();
            story.step(&file, &pods);
            let after = of(&story);
            let is_reborn = before.keys().all(|name| !after.contains_key(name));
            for route in &story.resolved.gateways[0].routes {
                let name = route.name.to_string();
                let was_zero = before.get(&name).is_none_or(|weight| weight.is_zero());
                let grew = was_zero && !route.weight.is_zero();
                prop_assert!(!grew || named.contains(&name) || is_reborn, "{name} got {}", route.weight);
                prop_assert!(route.lent.is_zero() || !route.weight.is_zero(), "{name} was lent {}", route.lent);
                prop_assert!(!route.rolled_back || route.weight.is_zero());
                if held.contains(&name) && !named.contains(&name) && !is_reborn {
                    prop_assert!(route.weight.is_zero(), "{name} was rolled back");
                }
            }
            if let Some(name) = rolled_back {
                prop_assert!(after.get(&name).is_none_or(|weight| weight.is_zero()), "{name} was rolled back");
            }
            let lent = weight::sum(story.resolved.gateways[0].routes.iter().map(|route| route.lent));
            prop_assert!(matches!(lent, 0 | 10_000), "{lent}");
        }
    }
}
