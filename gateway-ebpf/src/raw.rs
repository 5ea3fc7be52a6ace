//! Packet bytes: loads and stores of words at any alignment.
//!
//! BPF loads a word from any address, Rust's references may not, and `read_unaligned` becomes one load per byte.
//! So the loads are written as the instructions that they are; slices would bring panics and bounds of their own.

use core::arch::asm;

/// The address of packet bytes that a bounds check has covered.
#[derive(Clone, Copy)]
pub struct At(*mut u8);

impl At {
    /// An address inside the packet.
    ///
    /// # Safety
    /// `address` and everything that is loaded or stored through the value must lie in the packet, checked by a
    /// comparison with its end that the verifier sees, and the packet must not have been moved since.
    #[inline(always)]
    pub unsafe fn new(address: usize) -> Self {
        Self(address as *mut u8)
    }

    /// The byte at `OFFSET`.
    #[inline(always)]
    pub fn byte<const OFFSET: i16>(self) -> u8 {
        let value: u64;
        // SAFETY: inside the packet, as `new` requires.
        unsafe {
            asm!("{v} = *(u8 *)({p} + {o})", v = out(reg) value, p = in(reg) self.0, o = const OFFSET,
                options(pure, readonly, nostack, preserves_flags));
        }
        value as u8
    }

    /// The 16-bit word at `OFFSET`, as it is on the wire.
    #[inline(always)]
    pub fn half<const OFFSET: i16>(self) -> u16 {
        let value: u64;
        // SAFETY: inside the packet, as `new` requires.
        unsafe {
            asm!("{v} = *(u16 *)({p} + {o})", v = out(reg) value, p = in(reg) self.0, o = const OFFSET,
                options(pure, readonly, nostack, preserves_flags));
        }
        value as u16
    }

    /// The 32-bit word at `OFFSET`, as it is on the wire.
    #[inline(always)]
    pub fn word<const OFFSET: i16>(self) -> u32 {
        let value: u64;
        // SAFETY: inside the packet, as `new` requires.
        unsafe {
            asm!("{v} = *(u32 *)({p} + {o})", v = out(reg) value, p = in(reg) self.0, o = const OFFSET,
                options(pure, readonly, nostack, preserves_flags));
        }
        value as u32
    }

    /// Writes a 16-bit word, as it is to be on the wire.
    #[inline(always)]
    pub fn set_half<const OFFSET: i16>(self, value: u16) {
        // SAFETY: inside the packet, as `new` requires.
        unsafe {
            asm!("*(u16 *)({p} + {o}) = {v}", v = in(reg) u64::from(value), p = in(reg) self.0, o = const OFFSET,
                options(nostack, preserves_flags));
        }
    }

    /// Writes a 32-bit word, as it is to be on the wire.
    #[inline(always)]
    pub fn set_word<const OFFSET: i16>(self, value: u32) {
        // SAFETY: inside the packet, as `new` requires.
        unsafe {
            asm!("*(u32 *)({p} + {o}) = {v}", v = in(reg) u64::from(value), p = in(reg) self.0, o = const OFFSET,
                options(nostack, preserves_flags));
        }
    }

    /// The address `bytes` further on, under the same bounds check.
    #[inline(always)]
    pub fn plus(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

/// Keeps the compiler from calculating with an address across this point: the verifier follows an address into the
/// packet only through additions.
#[inline(always)]
pub fn opaque(mut address: usize) -> usize {
    // SAFETY: moves a register to itself. Without an instruction its line would be told for an address that the
    // next line has as well, which the kernel refuses (line_info).
    unsafe { asm!("{0} = {0}", inout(reg) address, options(pure, nomem, nostack, preserves_flags)) };
    address
}

/// Returns the byte that it is given, and makes the verifier forget which of its values came from where.
///
/// Without this the verifier walks everything that follows once for each constant that may arrive (header offsets,
/// claims, verdicts), and for each combination of them. A store to the stack of less than a word, not at the start
/// of a word, is not tracked; zero is the exception.
#[inline(always)]
pub fn forget<T: Copy>(value: T) -> T {
    const { assert!(size_of::<T>() == 1) };
    let mut cell = Cell { _pad: 0, value };
    // SAFETY: a local; volatile, so that the store and the load stay.
    unsafe {
        (&raw mut cell.value).write_volatile(value);
        (&raw const cell.value).read_volatile()
    }
}

/// A byte that is not at the start of an eight-byte word.
#[repr(C, align(8))]
struct Cell<T> {
    _pad: u8,
    value: T,
}
