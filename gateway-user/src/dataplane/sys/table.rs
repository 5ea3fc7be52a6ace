//! Typed access to a map by its descriptor.

use std::{
    io,
    marker::PhantomData,
    mem::size_of,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use aya::Pod;

use super::{Command, attr, bpf, map_info, possible_cpus};

/// A map of any kind with keys `K` and values `V` (per-CPU arrays: see [`Table::sum`]).
#[derive(Debug)]
pub(in super::super) struct Table<K, V> {
    fd: OwnedFd,
    capacity: u32,
    types: PhantomData<fn(K) -> V>,
}

/// Where a batched walk over a hash map stands; starts with `Cursor::default()`.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Cursor {
    /// The kernel's token; 32 bytes hold any kind's.
    token: Option<[u8; 64]>,
}

impl<K: Pod, V: Pod> Table<K, V> {
    /// Wraps a map; `None` where its key or value has another size.
    pub(in super::super) fn new(fd: OwnedFd) -> io::Result<Option<Self>> {
        let info = map_info(fd.as_fd())?;
        let fits = info.key_size as usize == size_of::<K>() && info.value_size as usize == size_of::<V>();
        Ok(fits.then_some(Self { fd, capacity: info.max_entries, types: PhantomData }))
    }

    /// `max_entries`.
    pub(in super::super) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Reads one value.
    pub(in super::super) fn get(&self, key: &K) -> io::Result<Option<V>> {
        let mut value = zero::<V>();
        match self.element(Command::MapLookup, key, std::ptr::from_mut(&mut value) as u64) {
            Ok(()) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes one value, whether the key exists or not.
    pub(in super::super) fn set(&self, key: &K, value: &V) -> io::Result<()> {
        self.element(Command::MapUpdate, key, std::ptr::from_ref(value) as u64)
    }

    /// Writes many values in one call; how many were written before the error, if any. An array of maps waits for
    /// programs to be done with what was there before: once for all of them, since Linux 6.8.
    pub(in super::super) fn set_all(&self, keys: &[K], values: &[V]) -> (usize, io::Result<()>) {
        debug_assert_eq!(keys.len(), values.len());
        if keys.is_empty() {
            return (0, Ok(()));
        }
        let mut attr = attr::Batch {
            keys: keys.as_ptr() as u64,
            values: values.as_ptr() as u64,
            count: keys.len() as u32,
            map_fd: self.fd.as_raw_fd().cast_unsigned(),
            ..Default::default()
        };
        match bpf(Command::MapUpdateBatch, &mut attr) {
            Ok(_) => (keys.len(), Ok(())),
            // Where the kernel did not come as far as counting, it leaves the number as it was.
            Err(error) => {
                (Some(attr.count as usize).filter(|count| *count < keys.len()).unwrap_or(0), Err(error))
            }
        }
    }

    /// Removes a key; whether it was there.
    pub(in super::super) fn remove(&self, key: &K) -> io::Result<bool> {
        match self.element(Command::MapDelete, key, 0) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Everything in a hash map, or the first `limit` entries of an array.
    pub(in super::super) fn entries(&self, limit: u32) -> io::Result<Vec<(K, V)>> {
        let (mut all, mut cursor) = (Vec::new(), Cursor::default());
        while self.next_batch(&mut cursor, 4096.min(limit), &mut all)? && all.len() < limit as usize {}
        all.truncate(limit as usize);
        Ok(all)
    }

    /// How many entries a hash map has.
    pub(in super::super) fn count(&self) -> io::Result<u64> {
        let (mut count, mut cursor, mut batch) = (0, Cursor::default(), Vec::new());
        loop {
            let more = self.next_batch(&mut cursor, 4096, &mut batch)?;
            count += batch.len() as u64;
            batch.clear();
            if !more {
                return Ok(count);
            }
        }
    }

    /// Appends the next batch of about `size` entries to `out`; false at the end of the map.
    pub(in super::super) fn next_batch(
        &self,
        cursor: &mut Cursor,
        size: u32,
        out: &mut Vec<(K, V)>,
    ) -> io::Result<bool> {
        let mut keys = vec![zero::<K>(); size as usize];
        let mut values = vec![zero::<V>(); size as usize];
        let (count, more) = self.batch(cursor, size, keys.as_mut_ptr() as u64, values.as_mut_ptr() as u64)?;
        out.extend(keys.into_iter().zip(values).take(count as usize));
        Ok(more)
    }

    /// The first `count` values of a per-CPU array, each summed over the CPUs by `add`.
    pub(in super::super) fn sum(&self, count: u32, add: impl Fn(&mut V, &V)) -> io::Result<Vec<V>> {
        // The kernel rounds each CPU's value up to 8 bytes; all values here are multiples of that.
        debug_assert_eq!(size_of::<V>() % 8, 0);
        let (cpus, count) = (possible_cpus()?, count.min(self.capacity));
        let mut keys = vec![0_u32; count as usize];
        let mut values = vec![zero::<V>(); count as usize * cpus];
        if count > 0 {
            let (keys, values) = (keys.as_mut_ptr() as u64, values.as_mut_ptr() as u64);
            self.batch(&mut Cursor::default(), count, keys, values)?;
        }
        let sum = |per_cpu: &[V]| {
            per_cpu.iter().fold(zero::<V>(), |mut sum, value| {
                add(&mut sum, value);
                sum
            })
        };
        Ok(values.chunks_exact(cpus).map(sum).collect())
    }

    /// Sets one value of a per-CPU array to zero on all CPUs.
    pub(in super::super) fn clear(&self, key: &K) -> io::Result<()> {
        let zero = vec![zero::<V>(); possible_cpus()?];
        self.element(Command::MapUpdate, key, zero.as_ptr() as u64)
    }

    fn element(&self, command: Command, key: &K, value: u64) -> io::Result<()> {
        let mut attr = attr::Element {
            map_fd: self.fd.as_raw_fd().cast_unsigned(),
            key: std::ptr::from_ref(key) as u64,
            value,
            ..Default::default()
        };
        bpf(command, &mut attr).map(drop)
    }

    /// One batch lookup into buffers for `size` entries: how many were filled, and whether more may follow.
    fn batch(&self, cursor: &mut Cursor, size: u32, keys: u64, values: u64) -> io::Result<(u32, bool)> {
        let mut next = [0_u8; 64];
        let mut attr = attr::Batch {
            in_batch: cursor.token.as_ref().map_or(0, |token| token.as_ptr() as u64),
            out_batch: next.as_mut_ptr() as u64,
            keys,
            values,
            count: size,
            map_fd: self.fd.as_raw_fd().cast_unsigned(),
            ..Default::default()
        };
        let more = match bpf(Command::MapLookupBatch, &mut attr) {
            Ok(_) => true,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => false,
            Err(error) => return Err(error),
        };
        cursor.token = more.then_some(next);
        Ok((attr.count, more))
    }
}

/// A value to be overwritten by the kernel, or to clear with.
fn zero<T: Pod>() -> T {
    // SAFETY: all types used here are plain integers and arrays of them, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

impl<K, V> AsFd for Table<K, V> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
