//! How long the path takes, in nanoseconds per packet: a measurement, not a test.
//!
//! The test run does not restore a packet between repetitions. So the endpoint has the frontend's own address here:
//! everything is looked up, rewritten and counted each time, and the packet stays what it was. The figures include
//! the harness (about 26 ns) and are minima of several rounds, for one hot flow.

use std::time::Duration;

use gateway_common::{abi::backend, verdict::Verdict};

use crate::{
    frame::Frame,
    kernel::{Hook, TCP, UDP},
    scene::{A, FAMILIES, Family, ISN, POD_ISN, Scene, settled},
};

const ROUNDS: u32 = 9;
const REPEAT: u32 = 200_000;

/// A scene whose endpoint is the frontend itself.
fn mirror(family: Family, protocol: u8, current: u32) -> Scene {
    let mut scene = Scene::new(family, Hook::Xdp, protocol, settled(current));
    let frontend = scene.frontend();
    scene.kernel.backend(A, frontend, 1);
    scene
}

fn measure(name: &str, scene: &mut Scene, frame: &Frame, verdict: Verdict) {
    let bytes = frame.bytes();
    scene.kernel.expect(Hook::Xdp, &bytes, verdict, &bytes);
    let best =
        (0..ROUNDS).map(|_| scene.kernel.time(Hook::Xdp, &bytes, REPEAT)).min().unwrap_or(Duration::ZERO);
    println!("{:>4} ns  {:?} {name}", best.as_nanos(), scene.family);
}

#[test]
#[ignore = "a measurement: cargo test -p gateway-tests --test packet -- --ignored --nocapture speed"]
fn speed_of_the_path() {
    for family in FAMILIES {
        let mut scene = mirror(family, TCP, A);
        let (client, frontend) = (scene.client(40_000), scene.frontend());
        let other = Frame::syn(client, scene.pod(A), ISN);
        measure("TCP, not ours", &mut scene, &other, Verdict::NotOurs);
        // The handshake: the SYN-ACK comes from the "pod", which has the frontend's address.
        scene.kernel.run(Hook::Xdp, &Frame::syn(client, frontend, ISN).bytes());
        let syn_ack = Frame::tcp(frontend, client, 18).numbers(POD_ISN, ISN + 1).bytes();
        scene.kernel.expect(Hook::Egress, &syn_ack, Verdict::Reply, &syn_ack);
        scene.kernel.run(Hook::Xdp, &scene.ack(client, frontend).bytes());
        let data = scene.data(client, frontend);
        measure("TCP, established, settled slot", &mut scene, &data, Verdict::Local);
        scene.set(crate::scene::asking(16, 16));
        measure("TCP, established, asking slot (OLD)", &mut scene, &data, Verdict::Local);

        let mut scene = mirror(family, UDP, A);
        let other = Frame::udp(client, scene.pod(A));
        measure("UDP, not ours", &mut scene, &other, Verdict::NotOurs);
        let udp = Frame::udp(client, frontend);
        scene.kernel.run(Hook::Xdp, &udp.bytes());
        measure("UDP, live, settled slot", &mut scene, &udp, Verdict::Local);

        let mut scene = mirror(family, TCP, backend::AGENT);
        measure("TCP to the agent", &mut scene, &data, Verdict::Agent);
        let mut scene = mirror(family, TCP, backend::DROP);
        measure("TCP, dropped", &mut scene, &data, Verdict::Dropped);
    }
}
