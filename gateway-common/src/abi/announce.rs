//! ANNOUNCED4, ANNOUNCED6 and `UPLINK_MACS`: who answers, on the link, for addresses that every node serves.

use super::pod;

/// Values of ANNOUNCED4 and ANNOUNCED6, whose keys are addresses, be.
pub mod answers {
    /// Another node answers for it.
    pub const ELSEWHERE: u32 = 0;
    /// This node answers for it, while its agent lives.
    pub const HERE: u32 = 1;
}

/// Value of `UPLINK_MACS` (a hash by device index).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UplinkMac {
    /// The device's own MAC address.
    pub mac: [u8; 6],
    /// Zero.
    pub pad: [u8; 2],
}

const _: () = assert!(size_of::<UplinkMac>() == 8);
pod!(UplinkMac);
