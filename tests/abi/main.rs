//! What user space and the kernel must agree on: the layouts of the maps, as the object's BTF has them, and the
//! verdicts. `bpftool map dump` shows these names; a change here is a change of `ABI_VERSION`.

#![allow(clippy::unwrap_used, reason = "what surprises a test is to end it, in helpers as well")]

use std::collections::BTreeMap;

use aya_obj::{Map, Object, maps::PinningType};
use gateway_common::{
    abi::{
        announce::UplinkMac,
        backend::Backend,
        flow::{
            Flow, FlowKey4, FlowKey6, Nat4, Nat6, NatKey4, NatKey6, Outgoing, Reply4, Reply6, ReplyKey4,
            ReplyKey6,
        },
        frontend::{Frontend, FrontendKey4, FrontendKey6, Source, SourceKey4, SourceKey6},
        names::RouteNames,
        refusals::Refusals,
        settings::Settings,
        slot::Slot,
        socket::{Pick, PickNode, ServicePeer, SocketKey, UdpPeer, UdpPick},
        stats::{RouteStats, TrafficStats, UpstreamMark, VerdictStats},
    },
    limits,
    verdict::{self, Verdict},
};
use weir::dataplane::object::OBJECT;

mod btf;

fn maps() -> BTreeMap<String, Map> {
    Object::parse(OBJECT).unwrap().maps.into_iter().collect()
}

#[test]
fn map_names_fit_the_kernel() {
    for name in maps().keys() {
        assert!(name.len() <= 15, "{name} would be cut");
        assert!(
            name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'),
            "{name}"
        );
    }
}

#[test]
fn there_are_no_mutable_globals() {
    assert!(maps().keys().all(|name| !name.contains("data") && !name.contains("bss")));
    assert!(maps().values().all(|map| map.pinning() == PinningType::None));
}

/// Name, size of the key, size of the value, entries; 0 where user space or the kernel decides.
fn expected() -> Vec<(&'static str, usize, usize, usize)> {
    let flow4 = (size_of::<FlowKey4>(), size_of::<Flow>());
    let flow6 = (size_of::<FlowKey6>(), size_of::<Flow>());
    let reply4 = (size_of::<ReplyKey4>(), size_of::<Reply4>());
    let reply6 = (size_of::<ReplyKey6>(), size_of::<Reply6>());
    let nat4 = (size_of::<NatKey4>(), size_of::<Nat4>());
    let nat6 = (size_of::<NatKey6>(), size_of::<Nat6>());
    let outgoing4 = (size_of::<FlowKey4>(), size_of::<Outgoing>());
    let outgoing6 = (size_of::<FlowKey6>(), size_of::<Outgoing>());
    let of = |name, (key, value): (usize, usize), entries| (name, key, value, entries);
    vec![
        of("FRONTENDS4", (size_of::<FrontendKey4>(), size_of::<Frontend>()), limits::FRONTENDS),
        of("FRONTENDS6", (size_of::<FrontendKey6>(), size_of::<Frontend>()), limits::FRONTENDS),
        of("SOURCES4", (size_of::<SourceKey4>(), 4), limits::SOURCES),
        of("SOURCES6", (size_of::<SourceKey6>(), 4), limits::SOURCES),
        of("RINGS", (4, 4), limits::RINGS),
        of("BACKENDS", (4, size_of::<Backend>()), limits::BACKENDS),
        of("FLOWS4", flow4, limits::ESTABLISHED),
        of("FLOWS6", flow6, limits::ESTABLISHED),
        of("EMBRYO4", flow4, limits::RECENT),
        of("EMBRYO6", flow6, limits::RECENT),
        of("OLD4", flow4, limits::RECENT),
        of("OLD6", flow6, limits::RECENT),
        of("UDP_FLOWS4", flow4, limits::RECENT),
        of("UDP_FLOWS6", flow6, limits::RECENT),
        of("REPLIES4", reply4, limits::ESTABLISHED),
        of("REPLIES6", reply6, limits::ESTABLISHED),
        of("REPLY_EMBRYO4", reply4, limits::RECENT),
        of("REPLY_EMBRYO6", reply6, limits::RECENT),
        of("UDP_REPLIES4", reply4, limits::RECENT),
        of("UDP_REPLIES6", reply6, limits::RECENT),
        of("POD_DEVICES", (4, 4), limits::POD_DEVICES),
        of("NAT4", nat4, limits::ESTABLISHED),
        of("NAT6", nat6, limits::ESTABLISHED),
        of("NAT_EMBRYO4", nat4, limits::RECENT),
        of("NAT_EMBRYO6", nat6, limits::RECENT),
        of("UDP_NAT4", nat4, limits::RECENT),
        of("UDP_NAT6", nat6, limits::RECENT),
        of("OUTGOING4", outgoing4, limits::OUTGOING),
        of("OUTGOING6", outgoing6, limits::OUTGOING),
        of("UDP_OUTGOING4", outgoing4, limits::OUTGOING),
        of("UDP_OUTGOING6", outgoing6, limits::OUTGOING),
        of("ANNOUNCED4", (4, 4), limits::ANNOUNCED),
        of("ANNOUNCED6", (16, 4), limits::ANNOUNCED),
        of("UPLINK_MACS", (4, size_of::<UplinkMac>()), limits::UPLINKS),
        of("ROUTE_STATS", (4, size_of::<RouteStats>()), limits::ROUTES),
        of("BACKEND_STATS", (4, size_of::<TrafficStats>()), limits::BACKENDS),
        of("GATEWAY_STATS", (4, size_of::<TrafficStats>()), limits::ROUTES),
        of("VERDICT_STATS", (4, size_of::<VerdictStats>()), verdict::CAPACITY),
        of("REFUSALS", (4, size_of::<Refusals>()), 1),
        of("ROUTE_NAMES", (4, size_of::<RouteNames>()), limits::ROUTES),
        of("SETTINGS", (4, size_of::<Settings>()), 1),
        of("AGENT_SOCKETS", (4, 4), 2 * limits::LISTENERS),
        of("UPSTREAM_MARK", (4, size_of::<UpstreamMark>()), 0),
        of("PICKS", (4, size_of::<Pick>()), limits::RINGS),
        of("PICK_COUNTS", (4, 8), limits::RINGS),
        of("PICK_NODES", (4, size_of::<PickNode>()), limits::PICK_NODES),
        of("SERVICE_PEER", (4, size_of::<ServicePeer>()), 0),
        of("UDP_PICKS", (size_of::<SocketKey>(), size_of::<UdpPick>()), limits::RECENT),
        of("UDP_PEERS", (size_of::<SocketKey>(), size_of::<UdpPeer>()), limits::RECENT),
        of("AGENT_CGROUP", (4, 8), 1),
    ]
}

#[test]
fn keys_and_values_have_the_sizes_that_user_space_writes() {
    let maps = maps();
    for (name, key, value, entries) in expected() {
        let map = maps.get(name).unwrap_or_else(|| panic!("no map {name}"));
        let found = (map.key_size() as usize, map.value_size() as usize, map.max_entries() as usize);
        assert_eq!(found, (key, value, entries), "{name}");
    }
    // The packet in hand is the programs' own affair.
    let own: Vec<_> = maps.keys().filter(|name| expected().iter().all(|(known, ..)| name != known)).collect();
    assert_eq!(own, ["VISIT4", "VISIT6"]);
}

/// Fields of a struct as Rust lays them out: name, offset.
macro_rules! fields {
    ($type:ty: $($field:ident),+) => {
        (size_of::<$type>(), vec![$((stringify!($field), std::mem::offset_of!($type, $field))),+])
    };
}

#[test]
fn structs_in_btf_have_rusts_fields_at_rusts_offsets() {
    let structs = btf::structs(OBJECT);
    let expected = [
        ("FrontendKey4", fields!(FrontendKey4: addr, port, protocol, pad)),
        ("FrontendKey6", fields!(FrontendKey6: addr, port, protocol, pad)),
        ("Source<[u8; 4]>", fields!(Source<[u8; 4]>: frontend, port, protocol, pad, client)),
        ("Source<[u8; 16]>", fields!(Source<[u8; 16]>: frontend, port, protocol, pad, client)),
        ("Frontend", fields!(Frontend: ring, ring_mask, gateway, flags)),
        ("Slot", fields!(Slot: current, previous)),
        (
            "Backend",
            fields!(Backend: addr, port, family, mode, generation, route, gateway, device, source, pad),
        ),
        ("Flow", fields!(Flow: backend, generation, ring, slot, client_isn, server_isn, seen, state)),
        ("FlowKey<[u8; 4]>", fields!(FlowKey4: client, frontend, client_port, frontend_port)),
        ("FlowKey<[u8; 16]>", fields!(FlowKey6: client, frontend, client_port, frontend_port)),
        ("ReplyKey<[u8; 4]>", fields!(ReplyKey4: client, pod, client_port, pod_port)),
        ("ReplyKey<[u8; 16]>", fields!(ReplyKey6: client, pod, client_port, pod_port)),
        (
            "Reply<[u8; 4]>",
            fields!(Reply4: frontend, frontend_port, node_port, node, backend, generation, client_isn, server_isn, seen, state),
        ),
        (
            "Reply<[u8; 16]>",
            fields!(Reply6: frontend, frontend_port, node_port, node, backend, generation, client_isn, server_isn, seen, state),
        ),
        ("NatKey<[u8; 4]>", fields!(NatKey4: pod, node, pod_port, node_port)),
        ("NatKey<[u8; 16]>", fields!(NatKey6: pod, node, pod_port, node_port)),
        ("UplinkMac", fields!(UplinkMac: mac, pad)),
        ("Outgoing", fields!(Outgoing: seen, state)),
        ("Nat<[u8; 4]>", fields!(Nat4: client, client_port, pad)),
        ("Nat<[u8; 16]>", fields!(Nat6: client, client_port, pad)),
        ("RouteStats", fields!(RouteStats: packets, bytes, new_flows, reply_packets, reply_bytes)),
        ("TrafficStats", fields!(TrafficStats: packets, bytes, reply_packets, reply_bytes)),
        ("VerdictStats", fields!(VerdictStats: packets)),
        ("UpstreamMark", fields!(UpstreamMark: route, backend)),
        ("Pick", fields!(Pick: root, generation)),
        ("PickNode", fields!(PickNode: share, total, left, right)),
        ("ServicePeer", fields!(ServicePeer: frontend, backend, frontend_port, backend_port, id, generation)),
        ("SocketKey", fields!(SocketKey: cookie, addr, port, family, pad)),
        ("UdpPick", fields!(UdpPick: backend, generation, seen)),
        ("UdpPeer", fields!(UdpPeer: addr, port, pad)),
        ("Refusals", fields!(Refusals: second, sent)),
        ("RouteNames", fields!(RouteNames: digest, namespace, gateway, route)),
        (
            "Settings",
            fields!(Settings: now, stale_after, hash_seed, listeners, refusals, paused, nat_first, nat_ports),
        ),
    ];
    for (name, (size, fields)) in expected {
        let found = structs.get(name).unwrap_or_else(|| panic!("no struct {name} in the BTF"));
        assert_eq!(found.size, size, "{name}");
        let named: Vec<_> = found.fields.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        assert_eq!(named, fields, "{name}");
    }
}

#[test]
fn numbers_and_labels_of_verdicts_stay() {
    let known = [
        "not_ours",
        "not_ip",
        "truncated",
        "fragment",
        "extension_headers",
        "other_protocol",
        "syn_ack",
        "kernel",
        "agent",
        "local",
        "refused",
        "dropped",
        "backend_dead",
        "no_state",
        "refusal_limited",
        "refused_silently",
        "no_candidate",
        "flows_full",
        "replies_full",
        "ring_missing",
        "stale",
        "rewrite_failed",
        "reply",
        "agent_reply",
        "egress_not_ours",
        "connected",
        "connected_to_frontend",
        "connect_refused",
        "nat",
        "nat_reply",
        "masqueraded",
        "no_nat_port",
        "source_denied",
        "outgoing_reply",
        "announced",
        "announced_elsewhere",
    ];
    let labels: Vec<_> = Verdict::ALL.iter().map(|verdict| verdict.label()).collect();
    assert_eq!(labels, known, "new verdicts are appended, here and there");
}
