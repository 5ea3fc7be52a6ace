//! Layouts of the BPF maps, one file per map family.
//!
//! Rules: `repr(C)`, integers and byte arrays only, explicit padding, sizes asserted. Addresses and ports
//! are in network byte order ("be" in a field's doc), everything else in host order. A change of any layout
//! raises [`ABI_VERSION`], which is part of the pin path, so that two layouts never share a map.

pub mod announce;
pub mod backend;
pub mod flow;
pub mod frontend;
pub mod names;
pub mod refusals;
pub mod settings;
pub mod slot;
pub mod socket;
pub mod stats;

/// Version of the map layouts; maps are pinned under `<pin-dir>/v<ABI_VERSION>/`.
pub const ABI_VERSION: u32 = 1;

/// Implements aya's `Pod` for plain `repr(C)` structs without padding.
#[cfg(feature = "user")]
macro_rules! pod {
    ($($name:ty),+ $(,)?) => {
        $(
            // SAFETY: `repr(C)`, integers and byte arrays only, no implicit padding (size asserted beside it).
            unsafe impl aya::Pod for $name {}
        )+
    };
}
#[cfg(not(feature = "user"))]
macro_rules! pod {
    ($($name:ty),+ $(,)?) => {};
}
pub(crate) use pod;
