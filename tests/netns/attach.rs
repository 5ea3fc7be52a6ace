//! Coming, staying and going: adoption, foreign programs, interfaces that vanish, a host left clean.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use aya::{
    Ebpf,
    programs::{Xdp, XdpMode},
};
use gateway_model::key::Protocol;
use gateway_tests::{Lab, LabPlan, client::connect_many};
use weir::dataplane::{Dataplane, Error, Ingress, Options, Removed, uninstall};

use crate::{
    node::Node,
    plan::{POD_PORT, PORT, Shop},
    shares::frontends,
};

#[test]
fn xdp_runs_in_the_driver() {
    let lab = LabPlan::new("native").pods(0).build().unwrap();
    let mut node = Node::open(&lab);
    let attachments = node.with(|dataplane| dataplane.attachments());
    assert_eq!((attachments[0].ingress, attachments[0].reason.as_deref()), (Ingress::Xdp, None));
    assert_eq!(attachments[0].egress_position, 0);
    // `xdp` without `generic`: the driver's own hook.
    assert!(links(&lab).contains(" xdp "), "{}", links(&lab));
}

#[test]
fn a_foreign_xdp_program_is_kept_and_packets_are_served_behind_it() {
    let lab = LabPlan::new("foreign").pods(1).build().unwrap();
    let _server = lab.pods[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    // Somebody else's program: it passes everything, having no frontends.
    let mut foreign = Ebpf::load(weir::dataplane::object::OBJECT).unwrap();
    let uplink = &lab.client().uplink;
    lab.node.run(|| {
        let program: &mut Xdp = foreign.program_mut("weir_xdp").unwrap().try_into().unwrap();
        program.load().unwrap();
        program.attach(uplink, XdpMode::Driver).unwrap();
    });
    let before = links(&lab);
    let mut node = Node::open(&lab);
    let attachment = node.with(|dataplane| dataplane.attachments().remove(0));
    assert_eq!(attachment.ingress, Ingress::Tcx);
    assert!(attachment.reason.unwrap().contains("never replaces"));
    assert_eq!(links(&lab), before, "the foreign program is where it was");
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods));
    for to in frontends(&lab) {
        let tally = connect_many(&lab.client().netns, to, 100, 8);
        assert_eq!((tally.answered(), tally.failures), (100, Vec::new()));
    }
}

#[test]
fn an_interface_that_does_not_exist_is_an_error_that_names_it() {
    let lab = LabPlan::new("noif").pods(0).build().unwrap();
    let options = Options::new(vec!["nosuch0".to_owned()]);
    let error = lab.node.run(|| Dataplane::open(&lab.name().pin_dir(), options)).unwrap_err();
    assert!(matches!(&error, Error::NoSuchInterface { name } if name == "nosuch0"), "{error}");
    assert!(!lab.name().pin_dir().join("v1").exists(), "nothing was pinned");
}

#[test]
fn a_pinned_map_of_another_layout_is_an_error_that_names_it() {
    let lab = LabPlan::new("layout").pods(0).build().unwrap();
    let pin = lab.name().pin_dir().join("v1/SETTINGS");
    std::fs::create_dir_all(pin.parent().unwrap()).unwrap();
    let create =
        format!("bpftool map create {} type array key 4 value 4 entries 1 name SETTINGS", pin.display());
    lab.node.exec(&create).unwrap();
    let options = Options::new(lab.uplinks());
    let error = lab.node.run(|| Dataplane::open(&lab.name().pin_dir(), options)).unwrap_err();
    assert!(matches!(&error, Error::MapLayout { path } if *path == pin), "{error}");
    assert!(error.to_string().contains("weir uninstall"), "{error}");
}

#[test]
fn an_interface_that_goes_away_and_comes_back_is_attached_again() {
    let lab = LabPlan::new("flap").pods(0).build().unwrap();
    let mut node = Node::open(&lab);
    let uplink = lab.client().uplink.clone();
    let ingress = |node: &mut Node| node.with(|dataplane| dataplane.attachments()[0].ingress);
    lab.node.ip(&format!("link del {uplink}\n")).unwrap();
    node.tick_until(Duration::from_secs(5), "it is noticed", |node, _| ingress(node) == Ingress::Absent);
    lab.node.ip(&format!("link add {uplink} type veth peer name other\nlink set {uplink} up\n")).unwrap();
    node.tick_until(Duration::from_secs(5), "it is attached", |node, _| ingress(node) == Ingress::Xdp);
    assert!(links(&lab).contains(" xdp "));
}

#[test]
fn virtual_addresses_are_served_and_forgotten() {
    let lab = LabPlan::new("vip").pods(1).build().unwrap();
    let _server = lab.pods[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    let addresses: [SocketAddr; 2] =
        [format!("10.99.0.1:{PORT}").parse().unwrap(), format!("[fd00:99::1]:{PORT}").parse().unwrap()];
    let wanted: BTreeSet<_> = addresses.iter().map(SocketAddr::ip).collect();
    node.with(|dataplane| dataplane.ensure_local_routes(&wanted).unwrap());
    let shop = Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods);
    node.apply(&addresses.iter().fold(shop, |shop, address| shop.also_on(*address)));
    for to in addresses {
        let tally = connect_many(&lab.client().netns, to, 20, 4);
        assert_eq!((tally.answered(), tally.failures), (20, Vec::new()), "{to}");
    }
    let local = || lab.node.exec("ip -4 route show table local").unwrap();
    assert!(local().contains("10.99.0.1"));
    node.with(|dataplane| dataplane.ensure_local_routes(&BTreeSet::new()).unwrap());
    assert!(!local().contains("10.99.0.1"));
    assert!(local().contains("192.168.0.1"), "the kernel's own routes stay");
}

#[test]
fn addresses_of_the_uplinks_are_listed_and_followed() {
    let lab = LabPlan::new("addr").pods(0).build().unwrap();
    let mut node = Node::open(&lab);
    let addresses = |node: &mut Node| node.with(|dataplane| dataplane.interface_addresses().unwrap());
    let both: BTreeSet<_> = frontends(&lab).iter().map(SocketAddr::ip).collect();
    assert_eq!(addresses(&mut node), both);
    node.tick();
    lab.node.ip(&format!("addr add 192.168.0.77/24 dev {}\n", lab.client().uplink)).unwrap();
    node.tick_until(Duration::from_secs(5), "the change is told", |_, ticked| ticked.network_changed);
    assert!(addresses(&mut node).contains(&"192.168.0.77".parse().unwrap()));
}

#[test]
fn uninstall_leaves_nothing_and_may_be_repeated() {
    let lab = LabPlan::new("uninst").pods(1).build().unwrap();
    let _server = lab.pods[0].serve_tcp(POD_PORT, "1.0.3").unwrap();
    let mut node = Node::open(&lab);
    node.apply(&Shop::new(&lab, Protocol::Tcp).route("1.0.3", 100, &lab.pods));
    let address = BTreeSet::from(["10.99.0.1".parse().unwrap()]);
    node.with(|dataplane| dataplane.ensure_local_routes(&address).unwrap());
    node.die();
    let pins = lab.name().pin_dir();
    let removed = lab.node.run(|| uninstall(&pins)).unwrap();
    let uplink = &lab.client().uplink;
    assert_eq!(removed.links, ["sk_lookup".to_owned(), format!("tcx-out-{uplink}"), format!("xdp-{uplink}")]);
    assert_eq!((removed.rings, removed.local_routes.len()), (2, 1));
    assert!(!pins.exists());
    assert!(!links(&lab).contains("xdp"), "{}", links(&lab));
    let net = lab.node.exec("bpftool net show").unwrap();
    assert!(!net.contains("weir"), "{net}");
    assert!(!lab.node.exec("ip -4 route show table local").unwrap().contains("10.99.0.1"));
    assert_eq!(lab.node.run(|| uninstall(&pins)).unwrap(), Removed::default(), "twice");
}

/// What `ip` says about the uplink.
fn links(lab: &Lab) -> String {
    lab.node.exec(&format!("ip -details link show dev {}", lab.client().uplink)).unwrap()
}
