//! What Weir's kernel programs and its user space share.
//!
//! Everything here is `no_std` without `alloc`, and plain data or pure functions: the layouts of the BPF
//! maps ([`abi`]) and the [`verdict`] that every packet ends in.
#![no_std]

pub mod abi;
pub mod hash;
pub mod limits;
pub mod verdict;
