//! Bodies on their way through: passed on as they come, never collected.

mod request;
mod response;

pub(super) use request::{Gate, Progress, RequestBody};
pub(super) use response::{Lease, ResponseBody};

/// Why a body broke off.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;
