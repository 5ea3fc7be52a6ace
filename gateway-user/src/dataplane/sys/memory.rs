//! A ring's slots as shared memory: the kernel's array map, mapped into this process.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use gateway_common::abi::slot::Slot;

/// All slots of one ring. Each is read and written as one 64-bit word, as the packet path does.
#[derive(Debug)]
pub(in super::super) struct SlotMemory {
    start: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: the memory is shared with the kernel anyway and only touched through atomics.
unsafe impl Send for SlotMemory {}

impl SlotMemory {
    /// Maps `len` slots of `ring`, an array map of 8-byte values made with `BPF_F_MMAPABLE`.
    pub(in super::super) fn map(ring: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        // SAFETY: a fresh shared mapping at an address of the kernel's choice; it touches no memory of ours.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len * size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                ring.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(address.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { start, len })
    }

    /// Number of slots.
    pub(in super::super) fn len(&self) -> usize {
        self.len
    }

    /// Reads a slot.
    pub(in super::super) fn load(&self, index: usize) -> Slot {
        let word = self.words()[index].load(Ordering::Relaxed).to_ne_bytes();
        let half = |at: usize| u32::from_ne_bytes([word[at], word[at + 1], word[at + 2], word[at + 3]]);
        Slot { current: half(0), previous: half(4) }
    }

    /// Writes a slot; the packet path sees the old or the new one, never a mixture.
    pub(in super::super) fn store(&self, index: usize, slot: Slot) {
        let mut word = [0; 8];
        word[..4].copy_from_slice(&slot.current.to_ne_bytes());
        word[4..].copy_from_slice(&slot.previous.to_ne_bytes());
        self.words()[index].store(u64::from_ne_bytes(word), Ordering::Relaxed);
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: `map` made a mapping of `len` words that lives as long as `self`; atomics may be shared.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for SlotMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no reference to it outlives `self`. A failure leaves it mapped.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len * size_of::<AtomicU64>()) };
    }
}
