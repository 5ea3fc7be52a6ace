//! The eBPF object, embedded: the binary needs no other file at run time.

/// The ELF object that the build script made of package gateway-ebpf; aligned as the ELF parser needs it.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/weir-ebpf"));
