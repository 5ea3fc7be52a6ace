//! A memo's ring is the ring from nothing.

use super::*;

#[derive(Clone, Debug)]
enum Edit {
    Add { route: usize, number: usize },
    Remove { route: usize, number: usize },
    Weigh { route: usize, weight: u64 },
    Reseed(u64),
    Nothing,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => (0_usize..3, 0_usize..200).prop_map(|(route, number)| Edit::Add { route, number }),
        6 => (0_usize..3, any::<usize>()).prop_map(|(route, number)| Edit::Remove { route, number }),
        2 => (0_usize..3, 0_u64..4).prop_map(|(route, weight)| Edit::Weigh { route, weight }),
        1 => (0_u64..2).prop_map(Edit::Reseed),
        1 => Just(Edit::Nothing),
    ]
}

proptest! {
    #![proptest_config(crate::tests::cases(400))]

    #[test]
    fn a_memo_gives_the_ring_from_nothing_after_any_edits(
        sizes in (0_usize..120, 0_usize..60, 0_usize..10), bits in 6_u32..=12,
        steps in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..8),
    ) {
        let mut routes = [
            route("(1)", 3, 0..sizes.0), route("(2)", 2, 300..300 + sizes.1), route("(3)", 1, 600..600 + sizes.2),
        ];
        let (mut memo, mut seed) = (Memo::default(), 0);
        memo.assign(1 << bits, seed, &routes);
        for edits in steps {
            for edit in edits {
                match edit {
                    Edit::Add { route, number } => routes[route].endpoints.push(address(300 * route + number)),
                    Edit::Remove { route, number } => {
                        let endpoints = &mut routes[route].endpoints;
                        if !endpoints.is_empty() {
                            endpoints.swap_remove(number % endpoints.len());
                        }
                    }
                    Edit::Weigh { route, weight } => routes[route].weight = weight,
                    Edit::Reseed(other) => seed = other,
                    Edit::Nothing => {}
                }
            }
            prop_assert!(memo.assign(1 << bits, seed, &routes) == assign(1 << bits, seed, &routes));
        }
    }
}

#[test]
fn endpoints_come_and_go_in_a_large_ring_as_if_it_were_made_anew() {
    let mut routes = [route("(1)", 1, 0..300)];
    let mut memo = Memo::default();
    memo.assign(65_536, 3, &routes);
    for number in 0..12 {
        if number % 3 == 2 {
            routes[0].endpoints.push(address(1_000 + number));
        } else {
            routes[0].endpoints.swap_remove(number * 17);
        }
        assert!(memo.assign(65_536, 3, &routes) == assign(65_536, 3, &routes), "step {number}");
    }
}

#[test]
fn a_memo_takes_nothing_but_names_and_addresses_unless_endpoints_are_many() {
    let mut memo = Memo::default();
    let few: Vec<RingRoute> =
        (0..10).map(|index| route(&format!("({index})"), 1, index * 10..index * 10 + 10)).collect();
    memo.assign(4_096, 0, &few);
    assert!(memo.bytes() < 8_192, "{}", memo.bytes());
    memo.assign(4_096, 0, &[route("(1)", 1, 0..100)]);
    assert!((4_096 * 50..4_096 * 110).contains(&memo.bytes()), "{}", memo.bytes());
}
