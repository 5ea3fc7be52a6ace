//! Who may come in through a frontend, and where a client's connections go together.

use gateway_common::{abi::frontend::flags, verdict::Verdict};

use crate::{
    frame::Frame,
    kernel::{PATHS, TCP, UDP},
    scene::{A, B, FAMILIES, Family, ISN, Scene, settled},
};

fn everywhere(test: impl Fn(Scene, u8)) {
    for family in FAMILIES {
        for hook in PATHS {
            for protocol in [TCP, UDP] {
                println!("{family:?} {hook:?} {protocol}");
                test(Scene::new(family, hook, protocol, settled(A)), protocol);
            }
        }
    }
}

fn first(scene: &Scene, protocol: u8, port: u16) -> Frame {
    let (client, frontend) = (scene.client(port), scene.frontend());
    if protocol == TCP { Frame::syn(client, frontend, ISN) } else { Frame::udp(client, frontend) }
}

#[test]
fn clients_from_elsewhere_are_dropped_and_counted() {
    everywhere(|mut scene, protocol| {
        let (frontend, other, client) = (scene.frontend(), scene.other_frontend(), scene.client(40_000));
        scene.kernel.frontend(frontend, protocol, scene.ring, flags::HAS_SOURCES);
        let frame = first(&scene, protocol, 40_000);
        assert_eq!(scene.send(&frame), Err(Verdict::SourceDenied), "nobody is let in");
        scene.kernel.source(other, protocol, client.ip(), 0);
        assert_eq!(scene.send(&frame), Err(Verdict::SourceDenied), "another frontend's prefixes");
        let bits = if scene.family == Family::V4 { 24 } else { 64 };
        scene.kernel.source(frontend, protocol, scene.stranger(1).ip(), bits);
        assert_eq!(scene.send(&frame), Err(Verdict::SourceDenied), "another network");
        scene.kernel.source(frontend, protocol, client.ip(), bits);
        assert_eq!(scene.send(&frame), Ok(A));
    });
}

#[test]
fn prefixes_bind_only_frontends_that_ask_for_them() {
    everywhere(|mut scene, protocol| {
        let (frontend, stranger) = (scene.frontend(), scene.stranger(1).ip());
        scene.kernel.source(frontend, protocol, stranger, 8);
        let frame = first(&scene, protocol, 40_000);
        assert_eq!(scene.send(&frame), Ok(A));
    });
}

#[test]
fn all_connections_of_a_client_go_to_one_endpoint() {
    everywhere(|mut scene, protocol| {
        let frontend = scene.frontend();
        let ring = scene.kernel.ring(&[settled(A), settled(B)]);
        let pods = |scene: &mut Scene, flags| {
            scene.kernel.frontend(frontend, protocol, ring, flags);
            (0..20)
                .map(|port| {
                    let frame = first(scene, protocol, 40_000 + port);
                    scene.send(&frame).unwrap()
                })
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(pods(&mut scene, flags::BY_CLIENT).len(), 1);
        let clients: std::collections::BTreeSet<_> = (0..20)
            .map(|number| {
                let client = scene.stranger(number);
                let frame = if protocol == TCP {
                    Frame::syn(client, frontend, ISN)
                } else {
                    Frame::udp(client, frontend)
                };
                scene.send(&frame).unwrap()
            })
            .collect();
        assert_eq!(clients.len(), 2, "different clients are spread");
        let pods = |scene: &mut Scene| {
            scene.kernel.frontend(frontend, protocol, ring, 0);
            (100..120)
                .map(|port| {
                    let frame = first(scene, protocol, 40_000 + port);
                    scene.send(&frame).unwrap()
                })
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(pods(&mut scene).len(), 2, "without the flag ports count");
    });
}
