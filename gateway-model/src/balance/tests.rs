use super::*;

fn endpoints(count: u8) -> Vec<SocketAddr> {
    (0..count).map(|number| SocketAddr::from(([10, 0, 0, number], 80))).collect()
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

const ALL: [Balance; 5] =
    [Balance::RoundRobin, Balance::LeastConn, Balance::Random, Balance::P2c, Balance::Maglev];

#[test]
fn idle_endpoints_get_equal_parts() {
    for balance in ALL {
        for count in counts(balance, 4_000, |_| 0) {
            assert!((850..=1_150).contains(&count), "{balance:?}: {count} of 4000");
        }
    }
    assert_eq!(counts(Balance::RoundRobin, 4_000, |_| 0), [1_000; 4]);
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
fn maglev_keeps_a_client_and_moves_only_those_of_an_endpoint_that_is_gone() {
    let mut chooser = Chooser::new(1);
    let (all, fewer) = (endpoints(5), endpoints(4));
    for number in 0..500 {
        let mut choose =
            |from: &[SocketAddr]| from[chooser.choose(Balance::Maglev, from, |_| 0, client(number)).unwrap()];
        let before = choose(&all);
        assert_eq!(choose(&all), before);
        if before != all[4] {
            assert_eq!(choose(&fewer), before);
        }
    }
}
