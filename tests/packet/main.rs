//! The packet path in the kernel, packet by packet, through `BPF_PROG_TEST_RUN`. Needs root.

mod flows;
mod frame;
mod kernel;
mod odd;
mod refuse;
mod replies;
mod rewrite;
mod scene;
mod speed;
mod udp;
