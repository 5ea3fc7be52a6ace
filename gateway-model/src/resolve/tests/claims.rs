//! Who gets a port or a host.

use super::*;

#[test]
fn hosts_and_ports_belong_to_the_oldest_gateway() {
    let second = SEED.replace("foo-ingress", "bar") + "port: 40001/http\n";
    let gateways = format!("{TCP}---\n{SEED}---\n{second}");
    let mut story = Story::new();
    story.step(&gateways, &two_pods());
    let codes: Vec<_> = story
        .resolved
        .findings
        .iter()
        .map(|finding| (finding.code, finding.place.clone().unwrap().line))
        .collect();
    assert_eq!(codes, [("port-conflict", 16)]);
    assert_eq!(story.resolved.gateways.len(), 2);
    let gateways = format!("{}---\n{SEED}---\n{TCP}", SEED.replace("foo-ingress", "baz"));
    story.now += 1;
    story.step(&gateways, &two_pods());
    let conflict = &story.resolved.findings[0];
    assert_eq!(
        (conflict.code, conflict.gateway.as_ref().unwrap().name.as_str()),
        ("conflicted", "baz"),
        "the newer one, though it is written first"
    );
    let hosts: Vec<usize> = story.resolved.gateways.iter().map(|gateway| gateway.hosts.len()).collect();
    assert_eq!(hosts, [0, 1, 0], "it keeps its port");
}

#[test]
fn ports_are_given_out_once_kept_and_never_those_in_use() {
    let one =
        |name: &str| SEED.replace("foo-ingress", name).replace("foo.bar.com", &format!("{name}.bar.com"));
    let mut story = Story::new();
    story.step(&format!("{}---\n{}", one("a"), one("b")), &two_pods());
    let ports = |story: &Story| {
        story
            .resolved
            .gateways
            .iter()
            .map(|gateway| (gateway.key.name.clone(), gateway.port))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(ports(&story), [("a".to_owned(), 40_000), ("b".to_owned(), 40_001)].into());
    story.step(&one("b"), &two_pods());
    assert_eq!(ports(&story)["b"], 40_001);
    story.step(&format!("{}---\n{}", one("c"), one("b")), &two_pods());
    assert_eq!(ports(&story)["c"], 40_002, "a's is kept for it");
    let mut used = snapshot(&one("a"), &two_pods());
    used.ports_in_use = [(Protocol::Tcp, 40_000), (Protocol::Udp, 40_001)].into();
    assert_eq!(resolve(&used).gateways[0].port, 40_002);
    let mut named = snapshot(TCP, &two_pods());
    named.ports_in_use = [(Protocol::Tcp, 40_001)].into();
    let resolved = resolve(&named);
    assert_eq!((resolved.findings[0].code, resolved.gateways.len()), ("port-in-use", 0));
    named.ports_in_use.clear();
    named.kept = resolve(&named).kept;
    named.ports_in_use = [(Protocol::Tcp, 40_001)].into();
    assert_eq!(resolve(&named).gateways.len(), 1, "not taken away afterwards");
}

#[test]
fn a_port_of_its_own_cannot_be_the_shared_one() {
    let resolved = resolve(&snapshot(&format!("{SEED}---\n{}", TCP.replace("40001/tcp", "80")), &two_pods()));
    assert_eq!((resolved.findings[0].code, resolved.gateways.len()), ("port-shared", 1));
    let alone = resolve(&snapshot(&TCP.replace("40001/tcp", "80"), &two_pods()));
    assert_eq!((alone.findings.len(), alone.gateways.len()), (0, 1), "without virtual hosts it is free");
}
