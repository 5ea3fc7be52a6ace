use std::net::IpAddr;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp};

use super::{
    due::{SPREAD, spread},
    *,
};
use crate::control::translate::{LASTS, lease_name};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 200, 0, 1));

fn after(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The API server's copy of a Lease, and nodes that watch it.
struct World {
    now: Instant,
    lease: LeaseFacts,
    nodes: Vec<Node>,
    is_away: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
struct Node {
    claims: Claims,
    servable: bool,
    in_force: bool,
    /// Whether it runs at all.
    is_up: bool,
    is_leaving: bool,
}

impl World {
    fn new(nodes: &[&str]) -> Self {
        let lease = LeaseFacts {
            key: ("weir-system".to_owned(), lease_name(ADDRESS)),
            uid: "u".to_owned(),
            version: 1,
            address: ADDRESS,
            holder: None,
            renewed: None,
            transitions: 0,
            lasts: LASTS,
        };
        let mut world = Self { now: Instant::now(), lease, nodes: Vec::new(), is_away: false };
        for name in nodes {
            world.start(name);
        }
        world
    }

    fn start(&mut self, name: &str) -> usize {
        let mut claims = Claims::new(name);
        for event in [Event::Begin, Event::Listed(self.lease.clone()), Event::End] {
            claims.note(event, self.now);
        }
        let node = Node { claims, servable: true, in_force: false, is_up: true, is_leaving: false };
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Lets time pass, in small steps; nodes do what is due, and hear of what others do.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(5);
            for at in 0..self.nodes.len() {
                self.turn(at);
            }
        }
    }

    fn turn(&mut self, at: usize) {
        let now = self.now;
        let node = &mut self.nodes[at];
        if !node.is_up {
            return;
        }
        let told = Told {
            servable: BTreeMap::from([(ADDRESS, node.servable)]),
            in_force: Some(BTreeMap::from([(ADDRESS, node.in_force)])),
            is_leaving: node.is_leaving,
        };
        node.claims.tell(Some(told), now);
        for step in node.claims.steps(now) {
            let done = match step {
                Step::Look => Done::Looked((!self.is_away).then(|| vec![self.lease.clone()])),
                Step::Write(seen, _) if self.is_away => Done::Written(seen.key, Outcome::Failed),
                Step::Write(seen, wish) => {
                    if seen.version == self.lease.version {
                        self.lease.version += 1;
                        let stamp = Timestamp::new(i64::try_from(self.lease.version).unwrap(), 0).unwrap();
                        match wish {
                            Wish::Release => self.lease.holder = None,
                            Wish::Renew | Wish::Take => {
                                self.lease.holder = Some(node.claims.node.clone());
                                self.lease.renewed = Some(MicroTime(stamp));
                            }
                        }
                    }
                    Done::Written(seen.key, Outcome::Is(self.lease.clone()))
                }
            };
            node.claims.end(done, now);
        }
        node.in_force = node.claims.answers().is_some_and(|answers| answers[&ADDRESS]);
        if !self.is_away {
            for node in self.nodes.iter_mut().filter(|node| node.is_up) {
                node.claims.note(Event::Applied(self.lease.clone()), now);
            }
        }
    }

    fn set_away(&mut self, is_away: bool) {
        self.is_away = is_away;
        for node in &mut self.nodes {
            node.claims.lose(self.now);
        }
    }

    /// Which nodes answer.
    fn answering(&self) -> Vec<&str> {
        let nodes = self.nodes.iter().filter(|node| node.is_up && node.in_force);
        nodes.map(|node| node.claims.node.as_str()).collect()
    }

    fn at(&self, name: &str) -> usize {
        self.nodes.iter().position(|node| node.claims.node == name).unwrap()
    }

    /// The node that answers; no other does.
    fn holder(&self) -> String {
        let [holder] = self.answering()[..] else { panic!("{:?} answer", self.answering()) };
        assert_eq!(self.lease.holder.as_deref(), Some(holder));
        holder.to_owned()
    }
}

#[test]
fn of_two_candidates_one_answers_and_goes_on() {
    let mut world = World::new(&["a", "b"]);
    world.pass(SPREAD);
    let holder = world.holder();
    let version = world.lease.version;
    world.pass(after(60));
    assert_eq!(world.holder(), holder);
    assert_eq!(world.lease.version - version, 60 / RENEW.as_secs(), "the other one writes nothing");
}

#[test]
fn who_dies_is_succeeded_once_it_was_not_seen_renewed_for_as_long_as_the_lease_lasts() {
    let mut world = World::new(&["a", "b"]);
    world.pass(SPREAD);
    let dead = world.holder();
    let at = world.at(&dead);
    world.nodes[at].is_up = false;
    world.pass(after(11));
    assert!(world.answering().is_empty());
    world.pass(RENEW + SPREAD);
    assert_ne!(world.holder(), dead);
    // It was only held up: what it sees ends its answers.
    world.nodes[at].is_up = true;
    world.turn(1 - at);
    world.turn(at);
    assert_ne!(world.holder(), dead);
}

#[test]
fn a_successor_on_the_same_node_goes_on_at_once() {
    let mut world = World::new(&["a"]);
    world.pass(SPREAD);
    let version = world.lease.version;
    world.nodes[0].is_up = false;
    world.pass(after(14));
    let successor = world.start("a");
    world.turn(successor);
    assert_eq!(world.lease.version, version + 1, "it is renewed at once");
    assert_eq!(world.holder(), "a");
}

#[test]
fn who_may_not_any_more_stops_first_and_then_gives_the_lease_away() {
    let mut world = World::new(&["a", "b"]);
    world.pass(SPREAD);
    let before = world.holder();
    let at = world.at(&before);
    world.nodes[at].servable = false;
    // What its kernel does is not known, or known not to have followed.
    for in_force in [None, Some(BTreeMap::from([(ADDRESS, true)]))] {
        world.nodes[at].claims.tell(Some(Told { in_force, ..Told::default() }), world.now);
        assert_eq!(world.nodes[at].claims.steps(world.now), []);
    }
    assert!(!world.nodes[at].claims.answers().unwrap()[&ADDRESS]);
    world.pass(SPREAD + Duration::from_millis(100));
    assert_ne!(world.holder(), before);
}

#[test]
fn a_node_without_endpoints_of_its_own_never_claims_what_is_local() {
    let mut world = World::new(&["a", "b"]);
    for node in &mut world.nodes {
        node.servable = false;
    }
    world.pass(LASTS * 2);
    assert!(world.answering().is_empty() && world.lease.version == 1);
    world.nodes[1].servable = true;
    world.pass(SPREAD);
    assert_eq!(world.holder(), "b");
}

#[test]
fn while_the_api_server_is_away_the_holder_goes_on_and_keeps_it_afterwards() {
    let mut world = World::new(&["a", "b", "c"]);
    world.pass(SPREAD);
    let holder = world.holder();
    for outage in [5, 20, 300] {
        world.set_away(true);
        world.pass(after(outage));
        assert_eq!(world.answering(), [&holder]);
        world.is_away = false;
        world.pass(LASTS * 2);
        assert_eq!(world.holder(), holder, "after {outage} s");
    }
    // One that does not come back is succeeded all the same.
    world.set_away(true);
    world.pass(after(20));
    let at = world.at(&holder);
    world.nodes[at].is_up = false;
    world.is_away = false;
    world.pass(LASTS + SPREAD + RETRY * 2);
    assert_ne!(world.holder(), holder);
}

#[test]
fn who_leaves_answers_until_another_does() {
    let mut world = World::new(&["a", "b"]);
    world.pass(SPREAD);
    let before = world.holder();
    let at = world.at(&before);
    world.nodes[1 - at].servable = false;
    world.nodes[at].is_leaving = true;
    world.pass(after(1));
    assert_eq!((world.answering(), world.lease.holder.as_deref()), (vec![before.as_str()], None));
    world.nodes[1 - at].servable = true;
    world.pass(SPREAD);
    assert_ne!(world.holder(), before);
}

#[test]
fn nothing_is_claimed_or_said_before_the_agent_serves() {
    let world = World::new(&["a"]);
    let mut claims = Claims::new("b");
    claims.tell(Some(Told::default()), world.now);
    assert_eq!(claims.answers(), None, "Leases are not known");
    let node = &world.nodes[0].claims;
    assert_eq!((node.answers(), node.next()), (None, None));
}

#[test]
fn an_address_without_lease_is_left_to_the_kernel() {
    let mut world = World::new(&["a"]);
    world.pass(SPREAD);
    let key = world.lease.key.clone();
    let claims = &mut world.nodes[0].claims;
    claims.note(Event::Deleted(key, 9), world.now);
    assert_eq!(claims.answers(), Some(Answers::new()));
    assert_eq!((claims.steps(world.now), claims.next()), (vec![], None));
}

#[test]
fn addresses_spread_over_nodes() {
    let nodes = ["a", "b", "c"];
    let first = |last: u8| {
        let address = IpAddr::from([10, 200, 0, last]);
        *nodes.iter().min_by_key(|node| spread(node, address)).unwrap()
    };
    for node in nodes {
        let share = (0..240).filter(|last| first(*last) == node).count();
        assert!((50..=110).contains(&share), "{node} gets {share} of 240");
    }
    assert!(nodes.iter().all(|node| spread(node, ADDRESS) < SPREAD));
}
