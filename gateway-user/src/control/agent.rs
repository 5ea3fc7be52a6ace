//! The agent's side: from what it watches to what is to be in force on its node.
//!
//! Objects become [`facts`] as they arrive, and the rest of them is dropped; a [`View`](view::View) makes of facts
//! what the model works with, and only tells what has changed. Nothing is told before every kind of object is
//! known; what is known stays while the API server is away.

pub mod acknowledge;
pub mod announce;
pub mod facts;
mod follow;
mod in_force;
pub mod kept;
pub mod moment;
mod services;
pub(super) mod store;
mod translate;
pub mod view;
pub mod watch;
