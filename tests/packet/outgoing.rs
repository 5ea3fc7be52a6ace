//! Connections that begin at a frontend's address and port, as masqueraded ones do: their answers are not for the
//! frontend's pods.

use std::net::SocketAddr;

use gateway_common::{packet::tcp, verdict::Verdict};

use crate::{
    frame::Frame,
    kernel::{Hook, PATHS, TCP, UDP},
    scene::{A, FAMILIES, ISN, Scene, settled},
};

/// The device by which a pod's packets come in.
const POD_DEVICE: u32 = 7;

/// For both families and paths: a scene, its frontend, and what the node or its pods connect to.
fn everywhere(protocol: u8, test: impl Fn(Scene, SocketAddr, SocketAddr)) {
    for family in FAMILIES {
        for hook in PATHS {
            println!("{family:?} {hook:?}");
            let scene = Scene::new(family, hook, protocol, settled(A));
            let (frontend, far) = (scene.frontend(), scene.client(443));
            test(scene, frontend, far);
        }
    }
}

/// Out through the uplink, from a pod or, without a device, from the node itself.
fn leave(scene: &mut Scene, frame: &Frame, device: u32) {
    let bytes = frame.bytes();
    let outcome = scene.kernel.run_forwarded(Hook::Egress, &bytes, device);
    assert_eq!((outcome.verdict, outcome.bytes), (Verdict::EgressNotOurs, bytes));
}

fn passes(scene: &mut Scene, frame: &Frame) -> bool {
    let bytes = frame.bytes();
    let outcome = scene.kernel.run(scene.hook, &bytes);
    outcome.verdict == Verdict::OutgoingReply && outcome.bytes == bytes
}

fn segment(from: SocketAddr, to: SocketAddr, flags: u8) -> Frame {
    Frame::tcp(from, to, flags).numbers(7, 8)
}

fn go_on(scene: &mut Scene, seconds: u32) {
    let settings = scene.kernel.current_settings();
    scene
        .kernel
        .settings(gateway_common::abi::settings::Settings { now: settings.now + seconds, ..settings });
}

#[test]
fn a_connection_from_a_frontends_port_gets_its_answers() {
    everywhere(TCP, |mut scene, frontend, far| {
        for device in [0, POD_DEVICE] {
            let far = SocketAddr::new(far.ip(), far.port() + device as u16);
            leave(&mut scene, &Frame::syn(frontend, far, ISN), device);
            let syn_ack = segment(far, frontend, tcp::SYN | tcp::ACK).bytes();
            scene.kernel.expect(scene.hook, &syn_ack, Verdict::SynAck, &syn_ack);
            leave(&mut scene, &segment(frontend, far, tcp::ACK), device);
            for flags in [tcp::ACK, tcp::FIN | tcp::ACK, tcp::RST] {
                assert!(passes(&mut scene, &segment(far, frontend, flags)), "{flags}");
            }
        }
        let client = scene.client(40_000);
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN)), Ok(A), "others are clients");
        let stray = scene.send(&segment(client, frontend, tcp::ACK).numbers(ISN + 1, 8));
        assert!(stray == Ok(A) || stray == Err(Verdict::NoState), "{stray:?}");
    });
}

#[test]
fn a_connection_that_was_there_before_the_frontend_gets_its_answers() {
    everywhere(TCP, |mut scene, frontend, far| {
        leave(&mut scene, &segment(frontend, far, tcp::ACK), POD_DEVICE);
        assert!(passes(&mut scene, &segment(far, frontend, tcp::ACK)));
    });
}

#[test]
fn answers_and_refusals_from_a_frontend_begin_nothing() {
    everywhere(TCP, |mut scene, frontend, client| {
        leave(&mut scene, &segment(frontend, client, tcp::SYN | tcp::ACK), 0);
        leave(&mut scene, &segment(frontend, client, tcp::SYN | tcp::ACK), POD_DEVICE);
        leave(&mut scene, &segment(frontend, client, tcp::ACK), 0);
        leave(&mut scene, &segment(frontend, client, tcp::RST | tcp::ACK), POD_DEVICE);
        assert_eq!(scene.send(&Frame::syn(client, frontend, ISN)), Ok(A));
        assert!(!passes(&mut scene, &segment(client, frontend, tcp::ACK)));
    });
}

#[test]
fn the_far_end_may_become_a_client_once_the_connection_is_over() {
    everywhere(TCP, |mut scene, frontend, far| {
        let syn = Frame::syn(far, frontend, ISN);
        leave(&mut scene, &Frame::syn(frontend, far, ISN), POD_DEVICE);
        assert!(passes(&mut scene, &syn), "a forged SYN does not take it over");
        leave(&mut scene, &segment(frontend, far, tcp::FIN | tcp::ACK), POD_DEVICE);
        assert!(passes(&mut scene, &segment(far, frontend, tcp::FIN | tcp::ACK)));
        leave(&mut scene, &segment(frontend, far, tcp::ACK), POD_DEVICE);
        assert!(passes(&mut scene, &segment(far, frontend, tcp::ACK)), "stragglers");
        assert_eq!(scene.send(&syn), Ok(A));
        // A connection of which nothing was heard for long.
        leave(&mut scene, &Frame::syn(frontend, far, ISN), POD_DEVICE);
        go_on(&mut scene, 61);
        assert!(passes(&mut scene, &segment(far, frontend, tcp::ACK)), "it may still be there");
        go_on(&mut scene, 61);
        assert_eq!(scene.send(&syn), Ok(A), "the far end has forgotten it");
    });
}

#[test]
fn datagrams_from_a_frontends_port_get_their_answers_while_they_are_fresh() {
    everywhere(UDP, |mut scene, frontend, far| {
        let answer = Frame::udp(far, frontend);
        for device in [0, POD_DEVICE] {
            leave(&mut scene, &Frame::udp(frontend, far), device);
            assert!(passes(&mut scene, &answer));
            go_on(&mut scene, 179);
            assert!(passes(&mut scene, &answer));
            go_on(&mut scene, 181);
            assert_eq!(scene.send(&answer), Ok(A), "a client");
        }
    });
}
