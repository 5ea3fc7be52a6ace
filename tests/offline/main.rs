//! Commands about files: neither an agent nor rights are needed, and nothing is left behind.

mod check;
mod explain;
mod format;
mod generate;
mod plan;
mod select;
