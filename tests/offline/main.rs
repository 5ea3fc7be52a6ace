//! Commands about files: neither an agent nor rights are needed, and nothing is left behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod check;
mod explain;
mod format;
mod generate;
mod plan;
mod select;
