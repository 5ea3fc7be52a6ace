//! When the kernel lets a thread run.

use std::{io, mem::size_of, time::Duration};

/// Shorter than what others have (1.4 ms with two processors, 2.8 ms with eight), and enough for a change.
const SLICE: Duration = Duration::from_millis(1);

/// Asks for slices that are shorter than those of others: this thread then runs soon after it is woken. Its share of the processor stays as it is, and no privilege is needed. Threads that it starts have
/// long ones again. Kernels before 6.12 ignore it.
///
/// # Errors
/// Where the kernel, or a seccomp filter, refuses.
pub(super) fn run_soon_after_waking() -> io::Result<()> {
    let mut attributes = attributes()?;
    attributes.sched_flags |= libc::SCHED_FLAG_RESET_ON_FORK as u64;
    attributes.sched_runtime = SLICE.as_nanos() as u64;
    // SAFETY: sched_setattr(2) reads as many bytes as `size` says, which are those of this struct; 0 is this thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// As the thread is scheduled now.
fn attributes() -> io::Result<libc::sched_attr> {
    let mut attributes = libc::sched_attr {
        size: 0,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: sched_getattr(2) writes no more than the size that it is given; 0 is this thread.
    let result = unsafe {
        libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size_of::<libc::sched_attr>(), 0)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(attributes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gets_short_slices_and_keeps_all_else_and_its_children_get_none() {
        let asked = std::thread::spawn(|| {
            let before = attributes().unwrap();
            run_soon_after_waking().unwrap();
            (before, attributes().unwrap(), std::thread::spawn(|| attributes().unwrap()).join().unwrap())
        });
        let (before, after, child) = asked.join().unwrap();
        assert_eq!((before.sched_policy, before.sched_nice), (after.sched_policy, after.sched_nice));
        // Kernels that know no slices tell of none.
        assert!(matches!(after.sched_runtime, 0 | 1_000_000), "{}", after.sched_runtime);
        assert_eq!(child.sched_runtime, before.sched_runtime);
    }
}
