//! Operators' side of the agent: the admin API ([`api`]), metrics and health ([`metrics`]).
//!
//! Nothing here knows the kernel or the proxy: what is asked becomes a [`Question`] that the agent answers.

pub mod address;
pub mod api;
mod auth;
pub mod listen;
pub mod metrics;
pub mod question;
pub mod server;
pub mod views;

pub use auth::Writers;
pub use question::{Agent, AgentGone, Question, Refusal};
