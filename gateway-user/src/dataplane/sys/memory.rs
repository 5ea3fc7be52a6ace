//! Arrays as shared memory: the kernel's array map, mapped into this process.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use gateway_common::abi::slot::Slot;

/// All slots of one ring. Each is read and written as one 64-bit word, as the packet path does.
#[derive(Debug)]
pub(in super::super) struct SlotMemory(Words);

impl SlotMemory {
    /// Maps `len` slots of `ring`, an array map of 8-byte values made with `BPF_F_MMAPABLE`.
    pub(in super::super) fn map(ring: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Words::map(ring, len).map(Self)
    }

    /// Number of slots.
    pub(in super::super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Reads a slot.
    pub(in super::super) fn load(&self, index: usize) -> Slot {
        let [current, previous] = self.0.load(index);
        Slot { current, previous }
    }

    /// Reads all slots, one after the other.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = Slot> {
        (0..self.len()).map(|at| self.load(at))
    }

    /// Writes a slot; the packet path sees the old or the new one, never a mixture.
    pub(in super::super) fn store(&self, index: usize, slot: Slot) {
        self.0.store(index, [slot.current, slot.previous]);
    }
}

/// Words of 64 bits, each read and written whole, in halves for those who use them.
#[derive(Debug)]
pub(in super::super) struct Words {
    start: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: the memory is shared with the kernel anyway and only touched through atomics.
unsafe impl Send for Words {}

impl Words {
    /// Maps the first `len` words of an array map made with `BPF_F_MMAPABLE`.
    pub(in super::super) fn map(array: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Self::map_shared(len, libc::MAP_SHARED, array.as_raw_fd())
    }

    /// Words that no map has.
    #[cfg(test)]
    pub(in super::super) fn anonymous(len: usize) -> io::Result<Self> {
        Self::map_shared(len, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
    }

    fn map_shared(len: usize, flags: libc::c_int, descriptor: libc::c_int) -> io::Result<Self> {
        // SAFETY: a fresh shared mapping at an address of the kernel's choice; it touches no memory of ours.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len * size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                descriptor,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(address.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { start, len })
    }

    /// How many.
    pub(in super::super) fn len(&self) -> usize {
        self.len
    }

    /// Reads a word.
    pub(in super::super) fn load(&self, index: usize) -> [u32; 2] {
        let word = self.words()[index].load(Ordering::Acquire).to_ne_bytes();
        let half = |at: usize| u32::from_ne_bytes([word[at], word[at + 1], word[at + 2], word[at + 3]]);
        [half(0), half(4)]
    }

    /// Writes a word, after everything that was written before: programs see the old one or the new one, never a
    /// mixture.
    pub(in super::super) fn store(&self, index: usize, [first, second]: [u32; 2]) {
        let mut word = [0; 8];
        word[..4].copy_from_slice(&first.to_ne_bytes());
        word[4..].copy_from_slice(&second.to_ne_bytes());
        self.words()[index].store(u64::from_ne_bytes(word), Ordering::Release);
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: a mapping of `len` words was made that lives as long as `self`; atomics may be shared.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no reference to it outlives `self`. A failure leaves it mapped.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len * size_of::<AtomicU64>()) };
    }
}
