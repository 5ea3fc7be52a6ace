//! A client, two frontends and three pods in one address family.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use gateway_common::{
    abi::{backend, slot::Slot},
    packet::tcp,
    verdict::Verdict,
};

use crate::{
    frame::Frame,
    kernel::{Hook, Kernel},
};

/// Backend ids, and route indices.
pub const A: u32 = 16;
pub const B: u32 = 17;
pub const C: u32 = 18;

/// Initial sequence numbers.
pub const ISN: u32 = 1000;
pub const POD_ISN: u32 = 9_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

pub const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// A slot that everything goes to.
pub const fn settled(current: u32) -> Slot {
    Slot { current, previous: backend::NONE }
}

/// A slot that new connections go to, and others to `previous`.
pub const fn asking(current: u32, previous: u32) -> Slot {
    Slot { current, previous }
}

pub struct Scene {
    pub kernel: Kernel,
    pub family: Family,
    pub hook: Hook,
    pub ring: u32,
}

impl Scene {
    /// One slot for both frontends, so that every flow falls into it.
    pub fn new(family: Family, hook: Hook, protocol: u8, slot: Slot) -> Self {
        Self::with_kernel(Kernel::new(), family, hook, protocol, slot)
    }

    pub fn with_kernel(kernel: Kernel, family: Family, hook: Hook, protocol: u8, slot: Slot) -> Self {
        let mut scene = Self { kernel, family, hook, ring: 0 };
        scene.ring = scene.kernel.ring(&[slot]);
        for frontend in [scene.frontend(), scene.other_frontend()] {
            scene.kernel.frontend(frontend, protocol, scene.ring, 0);
        }
        for id in [A, B, C] {
            let pod = scene.pod(id);
            scene.kernel.backend(id, pod, 1);
        }
        scene
    }

    fn address(&self, v4: [u8; 4], v6: u16, port: u16) -> SocketAddr {
        let ip = match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from(v4)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, v6, 0, 0, 0xff, u16::from(v4[3]))),
        };
        SocketAddr::new(ip, port)
    }

    pub fn client(&self, port: u16) -> SocketAddr {
        self.address([198, 51, 100, 77], 1, port)
    }

    /// Another one, for every number.
    pub fn stranger(&self, number: u32) -> SocketAddr {
        let [_, high, middle, low] = number.to_be_bytes();
        let ip = match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(10, high, middle, low)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(number))),
        };
        SocketAddr::new(ip, 1024 + (number & 0x3fff) as u16)
    }

    pub fn frontend(&self) -> SocketAddr {
        self.address([192, 0, 2, 1], 2, 80)
    }

    pub fn other_frontend(&self) -> SocketAddr {
        self.address([192, 0, 2, 2], 2, 8081)
    }

    pub fn pod(&self, id: u32) -> SocketAddr {
        self.address([10, 244, 1, id as u8], 3, 8080)
    }

    pub fn set(&mut self, slot: Slot) {
        self.kernel.slot(self.ring, 0, slot);
    }

    /// Sends a frame in and says which pod it goes to, its checksums checked, or the verdict.
    pub fn send(&mut self, frame: &Frame) -> Result<u32, Verdict> {
        let bytes = frame.bytes();
        let outcome = self.kernel.run(self.hook, &bytes);
        if outcome.verdict != Verdict::Local {
            return Err(outcome.verdict);
        }
        for id in [A, B, C] {
            if outcome.bytes == frame.clone().to(self.pod(id)).bytes() {
                return Ok(id);
            }
        }
        panic!("went to no pod, or with wrong checksums: {:02x?}", outcome.bytes);
    }

    /// Sends a pod's reply out and checks that it shows the frontend.
    pub fn reply(&mut self, id: u32, to: SocketAddr, frontend: SocketAddr, reply: &Frame) {
        let frame = reply.clone().from(self.pod(id)).to(to);
        let expected = frame.clone().from(frontend).bytes();
        self.kernel.expect(Hook::Egress, &frame.bytes(), Verdict::Reply, &expected);
    }

    /// A SYN, a SYN-ACK of the pod that it went to, and the ACK.
    pub fn connect(&mut self, client: SocketAddr, frontend: SocketAddr) -> u32 {
        let id = self.send(&Frame::syn(client, frontend, ISN)).expect("a pod");
        self.answer(id, client, frontend);
        assert_eq!(self.send(&self.ack(client, frontend)), Ok(id));
        id
    }

    /// The pod's SYN-ACK.
    pub fn answer(&mut self, id: u32, client: SocketAddr, frontend: SocketAddr) {
        let syn_ack = Frame::tcp(client, client, tcp::SYN | tcp::ACK).numbers(POD_ISN, ISN + 1);
        self.reply(id, client, frontend, &syn_ack);
    }

    /// The end of the handshake.
    #[allow(clippy::unused_self, reason = "reads as what the scene's client sends")]
    pub fn ack(&self, client: SocketAddr, frontend: SocketAddr) -> Frame {
        Frame::tcp(client, frontend, tcp::ACK).numbers(ISN + 1, POD_ISN + 1)
    }

    /// Data of a connection that has been going on for a while.
    #[allow(clippy::unused_self, reason = "reads as what the scene's client sends")]
    pub fn data(&self, client: SocketAddr, frontend: SocketAddr) -> Frame {
        Frame::tcp(client, frontend, tcp::ACK).numbers(ISN + 500_000, POD_ISN + 70_000).payload(b"ping\n")
    }
}
