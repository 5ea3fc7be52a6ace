//! What the packet path needs of the place it runs at: XDP or tcx.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_skb_pull_data, bpf_xdp_get_buff_len},
    programs::{TcContext, XdpContext},
};
use gateway_common::{
    abi::settings::Settings,
    packet::{icmp, ip, tcp, udp},
    verdict::Verdict,
};

use crate::{
    announce,
    answer::{self, Answer},
    family::Family,
    maps::SETTINGS,
    packet::Packet,
    raw::{At, opaque},
    refuse, rewrite,
};

/// Which end of a packet is rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The source: a reply gets its frontend's address.
    Source,
    /// The destination: a request goes to a pod.
    Destination,
}

/// The helper or the bounds check said no; nothing more can be done with the packet.
#[derive(Clone, Copy)]
pub struct Failed;

/// A place that the packet function runs at.
pub trait Hook {
    /// Address of the first byte.
    fn data(&self) -> usize;
    /// Address after the last byte that can be read directly.
    fn data_end(&self) -> usize;
    /// Bytes of the frame, those that cannot be read directly included.
    fn frame_len(&self) -> usize;
    /// Whether a buffer may stand for several packets, with lengths to match.
    const SEGMENTS: bool;
    /// How many packets the buffer stands for.
    fn segments(&self) -> u64;
    /// Index of the device at tcx; 0 at XDP, which never runs on a pod's.
    fn device(&self) -> u32;
    /// Index of the device that the packet came in by.
    fn arrived_by(&self) -> u32;
    /// Makes a MAC address the frame's source.
    fn set_source_mac(&self, mac: [u8; 6]) -> Result<(), Failed>;
    /// Judges a packet that is neither TCP nor UDP; `otherwise` if it is nothing of ours.
    fn announce(&self, otherwise: Verdict) -> Verdict;
    /// Writes another address and port into one end, checksums included.
    fn rewrite<F: Family>(
        &self,
        packet: &Packet<F>,
        end: End,
        address: F::Words,
        port: u16,
    ) -> Result<(), Failed>;
    /// Makes the packet its own answer: everything from the IP header on becomes `answer`, MAC addresses swap.
    fn replace<A: Answer>(&self, l3: usize, answer: &A) -> Result<(), Failed>;
    /// Makes the packet its own answer: `answer`, then the first `quote` bytes of it, MAC addresses swap.
    fn quote<A: Answer>(&self, l3: usize, quote: usize, answer: &A) -> Result<(), Failed>;

    /// Whether the packet's own checksum is left to the device that it leaves by, which then completes whatever stands
    /// in its place. Cuts off what follows the checksum: for packets that are about to be replaced.
    fn is_checksum_left<F: Family>(&self, packet: &Packet<F>) -> Result<bool, Failed>;

    /// Turns the packet into the answer that a refusal asks for; returns what became of it.
    fn refuse(&self, why: Verdict) -> Verdict;

    /// `size` bytes from `offset` on, if they are all there.
    #[inline(always)]
    fn at(&self, offset: usize, size: usize) -> Option<At> {
        let start = opaque(self.data() + offset);
        if start + size > self.data_end() {
            return None;
        }
        // SAFETY: compared with the end just now; callers stay below `size` and take a new one after a rewrite.
        Some(unsafe { At::new(start) })
    }
}

/// Bytes that must be directly readable for every header that the path looks at.
const HEADERS: u32 = 256;

impl Hook for XdpContext {
    const SEGMENTS: bool = false;

    #[inline(always)]
    fn data(&self) -> usize {
        XdpContext::data(self)
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        XdpContext::data_end(self)
    }

    #[inline(always)]
    fn frame_len(&self) -> usize {
        // SAFETY: the context is the program's own.
        unsafe { bpf_xdp_get_buff_len(self.ctx) as usize }
    }

    #[inline(always)]
    fn segments(&self) -> u64 {
        1
    }

    #[inline(always)]
    fn device(&self) -> u32 {
        0
    }

    #[inline(always)]
    fn arrived_by(&self) -> u32 {
        // SAFETY: the context is the program's own.
        unsafe { (*self.ctx).ingress_ifindex }
    }

    #[inline(always)]
    fn set_source_mac(&self, mac: [u8; 6]) -> Result<(), Failed> {
        answer::set_source_mac_xdp(self, mac)
    }

    #[inline(always)]
    fn announce(&self, otherwise: Verdict) -> Verdict {
        Verdict::from_number(announce::announce_xdp(self.ctx, u32::from(otherwise as u8)) as u8)
    }

    #[inline(always)]
    fn rewrite<F: Family>(
        &self,
        packet: &Packet<F>,
        end: End,
        address: F::Words,
        port: u16,
    ) -> Result<(), Failed> {
        rewrite::in_place(self, packet, end, address, port)
    }

    #[inline(always)]
    fn replace<A: Answer>(&self, l3: usize, answer: &A) -> Result<(), Failed> {
        answer::replace_xdp(self, l3, answer)
    }

    #[inline(always)]
    fn quote<A: Answer>(&self, l3: usize, quote: usize, answer: &A) -> Result<(), Failed> {
        answer::quote_xdp(self, l3, quote, answer)
    }

    #[inline(always)]
    fn is_checksum_left<F: Family>(&self, _: &Packet<F>) -> Result<bool, Failed> {
        Ok(false)
    }

    #[inline(always)]
    fn refuse(&self, why: Verdict) -> Verdict {
        Verdict::from_number(refuse::refuse_xdp(self.ctx, u32::from(why as u8)) as u8)
    }
}

impl Hook for TcContext {
    const SEGMENTS: bool = true;

    #[inline(always)]
    fn data(&self) -> usize {
        TcContext::data(self)
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        TcContext::data_end(self)
    }

    #[inline(always)]
    fn frame_len(&self) -> usize {
        self.len() as usize
    }

    #[inline(always)]
    fn segments(&self) -> u64 {
        // SAFETY: the context is the program's own.
        match unsafe { (*self.skb.skb).gso_segs } {
            0 => 1,
            segments => u64::from(segments),
        }
    }

    #[inline(always)]
    fn device(&self) -> u32 {
        // SAFETY: the context is the program's own.
        unsafe { (*self.skb.skb).ifindex }
    }

    #[inline(always)]
    fn arrived_by(&self) -> u32 {
        self.device()
    }

    #[inline(always)]
    fn set_source_mac(&self, mac: [u8; 6]) -> Result<(), Failed> {
        answer::set_source_mac_skb(self, mac)
    }

    #[inline(always)]
    fn announce(&self, otherwise: Verdict) -> Verdict {
        Verdict::from_number(announce::announce_skb(self.skb.skb, u32::from(otherwise as u8)) as u8)
    }

    #[inline(always)]
    fn rewrite<F: Family>(
        &self,
        packet: &Packet<F>,
        end: End,
        address: F::Words,
        port: u16,
    ) -> Result<(), Failed> {
        rewrite::by_helper(self, packet, end, address, port)
    }

    #[inline(always)]
    fn replace<A: Answer>(&self, l3: usize, answer: &A) -> Result<(), Failed> {
        answer::replace_skb(self, l3, answer)
    }

    #[inline(always)]
    fn quote<A: Answer>(&self, l3: usize, quote: usize, answer: &A) -> Result<(), Failed> {
        answer::quote_skb(self, l3, quote, answer)
    }

    #[inline(always)]
    fn is_checksum_left<F: Family>(&self, packet: &Packet<F>) -> Result<bool, Failed> {
        let offset = if packet.protocol == ip::TCP { tcp::CHECKSUM } else { udp::CHECKSUM };
        answer::is_checksum_left(self, packet.l4 + offset)
    }

    #[inline(always)]
    fn refuse(&self, why: Verdict) -> Verdict {
        Verdict::from_number(refuse::refuse_skb(self.skb.skb, u32::from(why as u8)) as u8)
    }
}

/// Makes headers that the driver left in fragments directly readable. A failure shows as truncated headers.
#[inline(always)]
pub fn pull_headers(context: &TcContext) {
    let linear = context.data_end() - context.data();
    if linear < HEADERS as usize && (linear as u32) < context.len() {
        let wanted = if context.len() < HEADERS { context.len() } else { HEADERS };
        // SAFETY: the context is the program's own.
        unsafe { bpf_skb_pull_data(context.as_ptr().cast(), wanted) };
    }
}

/// What the agent told all programs.
#[inline(always)]
pub fn settings() -> Settings {
    SETTINGS.get(0).copied().unwrap_or_default()
}

const _: () = assert!(icmp::MAX_QUOTE <= HEADERS as usize);
