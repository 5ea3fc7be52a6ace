//! What cannot be as it is declared now stays as it was.

use super::*;

/// Follows declarations as an agent does, which remembers what is in force.
struct Declarations {
    kept: Kept,
    in_force: Vec<Gateway>,
    ports_in_use: BTreeSet<(Protocol, u16)>,
    resolved: Resolved,
}

impl Declarations {
    fn new(text: &str) -> Self {
        let mut declarations = Self {
            kept: Kept::default(),
            in_force: Vec::new(),
            ports_in_use: BTreeSet::new(),
            resolved: Resolved::default(),
        };
        declarations.say(text);
        assert_eq!(told(&declarations.resolved), []);
        declarations
    }

    /// Ports by gateway, with an asterisk for those that stay as they were.
    fn say(&mut self, text: &str) -> Vec<String> {
        let mut snapshot = snapshot(text, &two_pods());
        snapshot.ports_in_use = self.ports_in_use.clone();
        snapshot.kept = self.kept.clone();
        snapshot.in_force = self.in_force.clone();
        self.resolved = resolve(&snapshot);
        self.kept = self.resolved.kept.clone();
        let of = |list: &[Gateway], key: &GatewayKey| list.iter().find(|one| one.key == *key).cloned();
        let in_force = self.resolved.gateways.iter().map(|gateway| {
            let stays = self.resolved.stayed.contains(&gateway.key);
            of(if stays { &self.in_force } else { &snapshot.gateways }, &gateway.key).unwrap()
        });
        self.in_force = in_force.collect();
        let again =
            resolve(&Snapshot { kept: self.kept.clone(), in_force: self.in_force.clone(), ..snapshot });
        assert_eq!(again.gateways, self.resolved.gateways, "working it out again changes nothing");
        assert_eq!(again.findings, self.resolved.findings);
        let show = |gateway: &Arc<ResolvedGateway>| {
            let star = if self.resolved.stayed.contains(&gateway.key) { "*" } else { "" };
            format!("{} {}{star}", gateway.key.name, gateway.port)
        };
        self.resolved.gateways.iter().map(show).collect()
    }

    fn codes(&self) -> Vec<(&'static str, &str)> {
        let findings = self.resolved.findings.iter();
        findings.map(|finding| (finding.code, finding.gateway.as_ref().unwrap().name.as_str())).collect()
    }
}

fn ports(ports: &[(&str, u16)]) -> String {
    let of = |(name, port): &(&str, u16)| {
        format!("---\nname: {name}\nport: {port}/tcp\nselector: label(app)(foo) && label(version)((.*))\n")
    };
    ports.iter().map(of).collect()
}

#[test]
fn a_gateway_that_asks_for_an_older_one_s_port_stays_and_is_told_of() {
    let mut say = Declarations::new(&ports(&[("a", 1001), ("b", 1002)]));
    let asks = ports(&[("a", 1001), ("b", 1001)]);
    assert_eq!(say.say(&asks), ["a 1001", "b 1002*"]);
    assert_eq!(say.codes(), [("port-conflict", "b")]);
    assert_eq!(say.say(&asks), ["a 1001", "b 1002*"], "for as long as it asks");
    assert_eq!(say.say(&ports(&[("a", 1003), ("b", 1001)])), ["a 1003", "b 1001"]);
    assert_eq!(say.codes(), []);
}

#[test]
fn one_that_was_never_in_force_has_nothing_to_stay_with() {
    let mut say = Declarations::new(&ports(&[("a", 1001)]));
    assert_eq!(say.say(&ports(&[("a", 1001), ("b", 1001)])), ["a 1001"]);
    assert_eq!(say.codes(), [("port-conflict", "b")]);
    assert_eq!(say.say(&ports(&[("a", 1001)])), ["a 1001"], "nor has one that is declared no more");
}

#[test]
fn of_one_that_stays_only_what_is_declared_now_is_told() {
    let nothing = ports(&[("a", 1001)]) + "---\nname: b\nport: 1002/tcp\nselector: label(app)(none)\n";
    let mut say = Declarations::new(&ports(&[("a", 1001), ("b", 1002)]));
    say.say(&nothing);
    assert_eq!(say.codes(), [("selector-finds-nothing", "b")]);
    say.say(&nothing.replace("1002", "1001"));
    assert_eq!(say.codes(), [("port-conflict", "b")]);
}

#[test]
fn one_that_stays_keeps_its_port_from_who_came_later() {
    let mut say = Declarations::new(&ports(&[("a", 1001), ("b", 1002), ("c", 1003)]));
    assert_eq!(say.say(&ports(&[("a", 1001), ("b", 1001), ("c", 1002)])), ["a 1001", "b 1002*", "c 1003*"]);
    assert_eq!(say.codes(), [("port-conflict", "b"), ("port-conflict", "c")]);
}

#[test]
fn one_whose_old_port_went_to_an_older_one_cannot_stay() {
    let mut say = Declarations::new(&ports(&[("a", 1001), ("b", 1002)]));
    say.ports_in_use = [(Protocol::Tcp, 1005)].into();
    let asks = ports(&[("a", 1002), ("b", 1005), ("c", 1001)]);
    assert_eq!(say.say(&asks), ["a 1002", "c 1001"]);
    assert_eq!(say.codes(), [("port-in-use", "b")], "what is wrong with what it asks for");
    say.ports_in_use.clear();
    assert_eq!(say.say(&asks), ["a 1002", "b 1005", "c 1001"]);
}

#[test]
fn nobody_gives_way_to_one_that_cannot_stay() {
    let hosts = "---\nname: b\nport: 1002\nvirtual_hosts: [b.example.com]\nselector: label(app)(foo)\n";
    let mut say = Declarations::new(&(ports(&[("a", 1001)]) + hosts));
    // Were it as it was, nobody else could have port 80; and its own port has gone to an older gateway.
    say.ports_in_use = [(Protocol::Tcp, 1005)].into();
    assert_eq!(say.say(&ports(&[("a", 1002), ("b", 1005), ("c", 80)])), ["a 1002", "c 80"]);
    assert_eq!(say.codes(), [("port-in-use", "b")]);
}

#[test]
fn a_circle_is_not_closed_by_who_stayed_out_of_it() {
    let chain =
        |name: &str, port: u16, to: &str| format!("---\nname: {name}\nport: {port}/tcp\nroutes: {to}\n");
    let mut say = Declarations::new(&(ports(&[("a", 1001)]) + &chain("b", 1002, "a")));
    let circle = chain("a", 1001, "b") + &chain("b", 1002, "a");
    assert_eq!(say.say(&circle), ["a 1001*", "b 1002"], "it is a that changed");
    assert_eq!(say.codes(), [("gateway-cycle", "a")]);
    // What b was leads to a, which is to lead to b: both stay.
    let swapped = chain("a", 1001, "b") + &ports(&[("b", 1001)]);
    assert_eq!(say.say(&swapped), ["a 1001*", "b 1002*"]);
    assert_eq!(say.codes(), [("gateway-cycle", "a"), ("port-conflict", "b")]);
}
