//! Every command that a developer of Weir types.

fn main() {}
