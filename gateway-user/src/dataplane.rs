//! The kernel's side: the only folder that names a BPF map or a program.

pub mod object;
pub mod report;
