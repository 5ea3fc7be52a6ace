//! What clients do: many short connections, connections held open, requests, floods, bulk transfers.

pub mod bulk;
pub mod connect;
pub mod datagram;
pub mod dialect;
pub mod flood;
pub mod held;
pub mod http;
pub mod journal;

pub use bulk::bulk;
pub use connect::{ConnectLoad, connect_many};
pub use datagram::ask_udp;
pub use dialect::Dialect;
pub use flood::{Flood, FloodKind, flood};
pub use held::Held;
pub use http::{HttpLoad, get};
pub use journal::{Answer, Journal, Record, Tally};
