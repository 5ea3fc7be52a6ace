//! What Weir's kernel programs and its user space share.
//!
//! Everything here is `no_std` without `alloc`, and plain data or pure functions: the layouts of the BPF
//! maps ([`abi`]), the [`verdict`] that every packet ends in, and the packet arithmetic ([`checksum`], [`hash`]).
#![cfg_attr(not(test), no_std)]
// The packet path is one function to the verifier: a call that is not inlined costs 8 ns.
#![allow(clippy::inline_always)]

pub mod abi;
pub mod checksum;
pub mod hash;
pub mod limits;
pub mod packet;
pub mod pick;
pub mod verdict;
