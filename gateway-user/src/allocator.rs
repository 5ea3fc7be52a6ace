//! Where memory comes from, for the binary and for what is measured of it (ADR 16).

/// The kind of it.
pub type Allocator = tikv_jemallocator::Jemalloc;

/// The one there is.
pub const ALLOCATOR: Allocator = tikv_jemallocator::Jemalloc;

/// Its options, which it looks for under this name. A list of everything in a cluster leaves much more behind than is kept
/// of it: that goes back to the system within a second, by a thread of its own and so in nobody's way.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static OPTIONS: &[u8; 70] = b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,thp:never\0";
