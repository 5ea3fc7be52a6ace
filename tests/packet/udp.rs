//! UDP: a flow is what was seen lately.

use gateway_common::{abi::backend, limits, verdict::Verdict};

use crate::{
    frame::Frame,
    kernel::{PATHS, UDP},
    scene::{A, B, C, FAMILIES, Scene, asking, settled},
};

fn everywhere(slot: gateway_common::abi::slot::Slot, test: impl Fn(Scene)) {
    for family in FAMILIES {
        for hook in PATHS {
            test(Scene::new(family, hook, UDP, slot));
        }
    }
}

#[test]
fn live_flows_stay_through_changes_there_and_back() {
    everywhere(settled(A), |mut scene| {
        let frontend = scene.frontend();
        let [old, during, after] =
            [40_000, 40_001, 40_002].map(|port| Frame::udp(scene.client(port), frontend));
        assert_eq!(scene.send(&old), Ok(A));
        scene.set(asking(B, A));
        assert_eq!(scene.send(&old), Ok(A));
        assert_eq!(scene.send(&during), Ok(B));
        scene.set(asking(C, A));
        assert_eq!(scene.send(&after), Ok(C));
        for _ in 0..2 {
            assert_eq!(scene.send(&old), Ok(A));
            assert_eq!(scene.send(&during), Ok(B));
            assert_eq!(scene.send(&after), Ok(C));
        }
        let new_flows = [A, B, C].map(|route| scene.kernel.route_stats(route).new_flows);
        assert_eq!(new_flows, [1, 1, 1]);
    });
}

#[test]
fn flow_that_was_silent_for_too_long_is_a_new_one() {
    everywhere(settled(A), |mut scene| {
        let frame = Frame::udp(scene.client(40_000), scene.frontend());
        assert_eq!(scene.send(&frame), Ok(A));
        scene.set(asking(B, A));
        scene.kernel.later(limits::UDP_IDLE_SECONDS - 1);
        assert_eq!(scene.send(&frame), Ok(A));
        scene.kernel.later(limits::UDP_IDLE_SECONDS);
        assert_eq!(scene.send(&frame), Ok(B));
    });
}

#[test]
fn flow_of_a_dead_backend_goes_to_current() {
    everywhere(asking(B, A), |mut scene| {
        let frame = Frame::udp(scene.client(40_000), scene.frontend());
        assert_eq!(scene.send(&frame), Ok(B));
        let pod = scene.pod(B);
        scene.kernel.kill(B, pod, 1);
        scene.set(asking(C, A));
        assert_eq!(scene.send(&frame), Ok(C));
    });
}

#[test]
fn flow_that_was_turned_away_goes_where_new_ones_go_when_it_comes_again() {
    for id in [backend::REFUSE, backend::DROP] {
        everywhere(asking(id, A), |mut scene| {
            let frame = Frame::udp(scene.client(40_000), scene.frontend());
            assert!(scene.send(&frame).is_err());
            scene.set(asking(B, A));
            assert_eq!(scene.send(&frame), Ok(B));
        });
    }
}

#[test]
fn same_client_port_to_two_frontends_takes_another_pod_and_is_found_again() {
    for family in FAMILIES {
        let mut scene = Scene::new(family, PATHS[0], UDP, settled(A));
        let ring = scene.kernel.ring(&[settled(A), settled(B)]);
        let (first, second) = (scene.frontend(), scene.other_frontend());
        scene.kernel.frontend(second, UDP, ring, 0);
        let mut conflicts = 0;
        for port in 40_000..40_020 {
            let client = scene.client(port);
            assert_eq!(scene.send(&Frame::udp(client, first)), Ok(A));
            assert_eq!(
                scene.send(&Frame::udp(client, second)),
                Ok(B),
                "A's port is taken, or it is B's slot"
            );
            assert_eq!(scene.send(&Frame::udp(client, first)), Ok(A));
            assert_eq!(scene.send(&Frame::udp(client, second)), Ok(B));
            scene.reply(A, client, first, &Frame::udp(client, client));
            scene.reply(B, client, second, &Frame::udp(client, client));
            conflicts += usize::from(scene.kernel.flow("UDP_FLOWS", client, second).is_some());
        }
        assert!((1..20).contains(&conflicts), "{conflicts} of 20 had to take another slot's pod");
    }
}

#[test]
fn client_port_without_a_free_pod_is_dropped_and_counted() {
    everywhere(settled(A), |mut scene| {
        let client = scene.client(40_000);
        assert_eq!(scene.send(&Frame::udp(client, scene.frontend())), Ok(A));
        assert_eq!(scene.send(&Frame::udp(client, scene.other_frontend())), Err(Verdict::NoCandidate));
    });
}

#[test]
fn pseudo_backends_decide_by_their_verdict() {
    let pseudo = [
        (backend::KERNEL, Verdict::Kernel),
        (backend::AGENT, Verdict::Agent),
        (backend::REFUSE, Verdict::Refused),
        (backend::DROP, Verdict::Dropped),
    ];
    for (id, verdict) in pseudo {
        for slot in [settled(id), asking(id, A)] {
            everywhere(slot, |mut scene| {
                let frame = Frame::udp(scene.client(40_000), scene.frontend());
                assert_eq!(scene.send(&frame), Err(verdict));
                assert_eq!(scene.send(&frame), Err(verdict));
            });
        }
    }
}
