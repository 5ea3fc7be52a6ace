//! Where a hook's context has the other end's address. An IPv6 socket may name an IPv4 one (RFC 4291, 2.5.5.2): for
//! the kernel's hook that is IPv6, for everybody else IPv4.

use aya_ebpf::programs::SockAddrContext;

use crate::family::{Family, V4, V6};

/// A place for an address.
pub trait Place {
    /// What the address belongs to.
    type Family: Family;

    /// Reads it.
    fn address(context: &SockAddrContext) -> Words<Self>;
    /// Writes it.
    fn set_address(context: &SockAddrContext, address: Words<Self>);
    /// Its bytes as maps have them.
    fn wide(address: Words<Self>) -> [u8; 16];
}

/// An address at a place.
pub type Words<P> = <<P as Place>::Family as Family>::Words;

/// IPv4.
pub struct Plain4;
/// IPv6.
pub struct Plain6;
/// IPv4 in IPv6.
pub struct Mapped;

impl Place for Plain4 {
    type Family = V4;

    #[inline(always)]
    fn address(context: &SockAddrContext) -> u32 {
        // SAFETY: the context is the program's own.
        unsafe { (&raw const (*context.sock_addr).user_ip4).read_volatile() }
    }

    #[inline(always)]
    fn set_address(context: &SockAddrContext, address: u32) {
        // SAFETY: as above.
        unsafe { (&raw mut (*context.sock_addr).user_ip4).write_volatile(address) }
    }

    #[inline(always)]
    fn wide(address: u32) -> [u8; 16] {
        V6::bytes([address, 0, 0, 0])
    }
}

impl Place for Plain6 {
    type Family = V6;

    #[inline(always)]
    fn address(context: &SockAddrContext) -> [u32; 4] {
        [word::<0>(context), word::<1>(context), word::<2>(context), word::<3>(context)]
    }

    #[inline(always)]
    fn set_address(context: &SockAddrContext, [w0, w1, w2, w3]: [u32; 4]) {
        set_word::<0>(context, w0);
        set_word::<1>(context, w1);
        set_word::<2>(context, w2);
        set_word::<3>(context, w3);
    }

    #[inline(always)]
    fn wide(address: [u32; 4]) -> [u8; 16] {
        V6::bytes(address)
    }
}

impl Place for Mapped {
    type Family = V4;

    #[inline(always)]
    fn address(context: &SockAddrContext) -> u32 {
        word::<3>(context)
    }

    #[inline(always)]
    fn set_address(context: &SockAddrContext, address: u32) {
        set_word::<3>(context, address);
    }

    #[inline(always)]
    fn wide(address: u32) -> [u8; 16] {
        Plain4::wide(address)
    }
}

/// Whether the IPv6 address is an IPv4 one.
#[inline(always)]
pub fn is_mapped(context: &SockAddrContext) -> bool {
    const PREFIX: u32 = 0xffff_u32.to_be();
    word::<0>(context) | word::<1>(context) == 0 && word::<2>(context) == PREFIX
}

/// The port, as it is on the wire.
#[inline(always)]
pub fn port(context: &SockAddrContext) -> u16 {
    // SAFETY: the context is the program's own.
    unsafe { (&raw const (*context.sock_addr).user_port).read_volatile() as u16 }
}

/// Writes the port.
#[inline(always)]
pub fn set_port(context: &SockAddrContext, port: u16) {
    // SAFETY: as above.
    unsafe { (&raw mut (*context.sock_addr).user_port).write_volatile(u32::from(port)) }
}

/// The socket's IP protocol.
#[inline(always)]
pub fn protocol(context: &SockAddrContext) -> u32 {
    // SAFETY: as above.
    unsafe { (&raw const (*context.sock_addr).protocol).read_volatile() }
}

/// The verifier allows words, one by one.
#[inline(always)]
fn word<const AT: usize>(context: &SockAddrContext) -> u32 {
    // SAFETY: as above; there are four words.
    unsafe { (&raw const (*context.sock_addr).user_ip6).cast::<u32>().add(AT).read_volatile() }
}

#[inline(always)]
fn set_word<const AT: usize>(context: &SockAddrContext, word: u32) {
    // SAFETY: as above.
    unsafe { (&raw mut (*context.sock_addr).user_ip6).cast::<u32>().add(AT).write_volatile(word) }
}
