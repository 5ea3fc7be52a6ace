//! Bulk transfers: whole, in both directions, past a firewall that drops what conntrack does not understand.

use gateway_model::key::Protocol;
use gateway_tests::{
    LabPlan,
    client::bulk::{Direction, bulk},
};

use crate::{
    node::Node,
    plan::{POD_PORT, Shop},
    shares::frontends,
};

const GIGABYTE: u64 = 1_000_000_000;

/// What kube-proxy's iptables mode does: cuts flows of which conntrack sees one direction only.
pub const DROP_INVALID: &str = "table inet strict {\n chain forward {\n type filter hook forward priority 0;\n \
     ct state invalid counter drop\n }\n}\n";

#[test]
fn a_gigabyte_each_way_passes_with_pod_offloads_and_a_ct_invalid_drop_rule() {
    let lab = LabPlan::new("bulk").pods(1).build().unwrap();
    lab.node.nft(DROP_INVALID).unwrap();
    let _server = lab.pods[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods));
    for to in frontends(&lab) {
        for direction in [Direction::Up, Direction::Down] {
            let took = bulk(&lab.client().netns, to, GIGABYTE, direction).unwrap();
            println!("{to} {direction:?}: {:.1} Gbit/s", GIGABYTE as f64 * 8e-9 / took.as_secs_f64());
        }
    }
    let rules = lab.node.exec("nft list table inet strict").unwrap();
    assert!(rules.contains("counter packets 0 "), "conntrack found packets invalid: {rules}");
}
