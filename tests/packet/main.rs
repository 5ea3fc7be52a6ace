//! The packet path in the kernel, packet by packet, through `BPF_PROG_TEST_RUN`. Needs root.

#![allow(clippy::unwrap_used, reason = "what surprises a test is to end it, in helpers as well")]

mod access;
mod announce;
mod flows;
mod frame;
mod kernel;
mod nat;
mod odd;
mod outgoing;
mod refuse;
mod replies;
mod rewrite;
mod scene;
mod speed;
mod udp;
