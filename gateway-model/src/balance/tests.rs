#![expect(clippy::cast_precision_loss, reason = "counts of a test are small")]

use std::cell::RefCell;

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;

fn endpoints(count: u32) -> Vec<SocketAddr> {
    (0..count).map(|number| SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + number), 80))).collect()
}

fn client(number: u32) -> IpAddr {
    IpAddr::V4((0x0a01_0000 + number).into())
}

fn counts(balance: Balance, picks: u32, in_flight: impl Fn(usize) -> u32) -> Vec<u32> {
    let mut chooser = Chooser::new(7);
    let mut counts = vec![0; 4];
    for pick in 0..picks {
        counts[chooser.choose(balance, &endpoints(4), &in_flight, client(pick)).unwrap()] += 1;
    }
    counts
}

/// Whether a count is within five standard deviations (and one) of what a binomial distribution has.
fn is_likely(count: u32, trials: u32, share: f64) -> bool {
    let trials = f64::from(trials);
    (f64::from(count) - trials * share).abs() <= 5.0 * (trials * share * (1.0 - share)).sqrt() + 1.0
}

const ALL: [Balance; 5] =
    [Balance::RoundRobin, Balance::LeastConn, Balance::Random, Balance::P2c, Balance::Maglev];

proptest! {
    #![proptest_config(crate::tests::cases(2_000))]

    #[test]
    fn roundrobin_gives_each_of_any_n_picks_in_a_row_to_another(
        count in 1_u32..60, seed in any::<u64>(), before in prop::collection::vec(1_u32..60, 0..5),
    ) {
        let mut chooser = Chooser::new(seed);
        let mut choose = |count| {
            chooser.choose(Balance::RoundRobin, &endpoints(count), |_| 0, client(1)).unwrap()
        };
        // Sets of other sizes before do not matter.
        for count in before {
            prop_assert!(choose(count) < count as usize);
        }
        let picks: Vec<_> = (0..3 * count).map(|_| choose(count)).collect();
        for run in picks.windows(count as usize) {
            let mut run = run.to_vec();
            run.sort_unstable();
            prop_assert_eq!(run, (0..count as usize).collect::<Vec<_>>());
        }
    }

    #[test]
    fn leastconn_takes_one_with_the_fewest_in_flight(loads in prop::collection::vec(0_u32..5, 1..60), seed in any::<u64>()) {
        let mut chooser = Chooser::new(seed);
        let endpoints = endpoints(loads.len() as u32);
        let chosen = chooser.choose(Balance::LeastConn, &endpoints, |index| loads[index], client(1)).unwrap();
        prop_assert_eq!(loads[chosen], *loads.iter().min().unwrap());
    }

    #[test]
    fn p2c_looks_at_two_and_never_takes_the_busier(loads in prop::collection::vec(0_u32..5, 2..60), seed in any::<u64>()) {
        let mut chooser = Chooser::new(seed);
        let endpoints = endpoints(loads.len() as u32);
        let seen = RefCell::new(Vec::new());
        let look = |index: usize| {
            seen.borrow_mut().push(index);
            loads[index]
        };
        let chosen = chooser.choose(Balance::P2c, &endpoints, look, client(1)).unwrap();
        let seen = seen.into_inner();
        prop_assert!(seen.len() == 2 && seen[0] != seen[1] && seen.contains(&chosen));
        prop_assert!(seen.iter().all(|index| loads[*index] >= loads[chosen]));
    }

    #[test]
    fn maglev_keeps_a_client_and_moves_only_those_of_an_endpoint_that_is_gone(
        count in 2_u32..20, gone in 0_usize..20, turn in 0_usize..20, seed in any::<u64>(), first in 0_u32..1 << 20,
    ) {
        let mut chooser = Chooser::new(seed);
        let all = endpoints(count);
        let mut fewer = all.clone();
        let gone = fewer.remove(gone % all.len());
        let turn = turn % fewer.len();
        fewer.rotate_left(turn);
        for number in first..first + 30 {
            let mut choose = |from: &[SocketAddr]| from[chooser.choose(Balance::Maglev, from, |_| 0, client(number)).unwrap()];
            let before = choose(&all);
            prop_assert_eq!(choose(&all), before);
            if before != gone {
                prop_assert_eq!(choose(&fewer), before);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, rng_seed: RngSeed::Fixed(4), ..ProptestConfig::default() })]

    #[test]
    fn idle_endpoints_get_equal_parts(count in 2_u32..40, seed in any::<u64>(), first in 0_u32..1 << 24) {
        let endpoints = endpoints(count);
        for balance in ALL {
            let mut chooser = Chooser::new(seed);
            let mut counts = vec![0; count as usize];
            for number in 0..10_000 {
                counts[chooser.choose(balance, &endpoints, |_| 0, client(first + number)).unwrap()] += 1;
            }
            for chosen in &counts {
                prop_assert!(is_likely(*chosen, 10_000, 1.0 / f64::from(count)), "{balance:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn leastconn_gives_equal_parts_to_the_idle_wherever_the_busy_are(
        busy in prop::collection::vec(any::<bool>(), 3..20), seed in any::<u64>(),
    ) {
        let idle = busy.iter().filter(|busy| !**busy).count();
        prop_assume!(idle > 0);
        let (endpoints, mut chooser) = (endpoints(busy.len() as u32), Chooser::new(seed));
        let mut counts = vec![0; busy.len()];
        for _ in 0..10_000 {
            counts[chooser.choose(Balance::LeastConn, &endpoints, |index| u32::from(busy[index]), client(1)).unwrap()] += 1;
        }
        for (chosen, busy) in counts.iter().zip(&busy) {
            let share = if *busy { 0.0 } else { 1.0 / idle as f64 };
            prop_assert!(*chosen == 0 || !busy, "a busy one was taken");
            prop_assert!(is_likely(*chosen, 10_000, share), "{counts:?}");
        }
    }
}

#[test]
fn a_busy_endpoint_gets_less_where_that_counts() {
    let busy = |index| if index == 2 { 50 } else { 0 };
    assert_eq!(counts(Balance::LeastConn, 400, busy)[2], 0);
    assert_eq!(counts(Balance::P2c, 400, busy)[2], 0);
    assert!(counts(Balance::Random, 400, busy)[2] > 0);
    let idle = |index| u32::from(index != 3);
    assert_eq!(counts(Balance::LeastConn, 100, idle)[3], 100);
}

#[test]
fn none_and_one_are_no_choice() {
    for balance in ALL {
        let mut chooser = Chooser::new(1);
        assert_eq!(chooser.choose(balance, &[], |_| 0, client(1)), None);
        assert_eq!(chooser.choose(balance, &endpoints(1), |_| 0, client(1)), Some(0));
    }
}

#[test]
fn workers_begin_to_go_round_at_points_of_their_own() {
    let mut counts = [0; 10];
    for seed in 0..10_000 {
        counts[Chooser::new(seed).choose(Balance::RoundRobin, &endpoints(10), |_| 0, client(1)).unwrap()] +=
            1;
    }
    assert!(counts.iter().all(|count| is_likely(*count, 10_000, 0.1)), "{counts:?}");
}
