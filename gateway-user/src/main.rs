//! The binary `weir`; see [`weir::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: weir::allocator::Allocator = weir::allocator::ALLOCATOR;

fn main() -> ExitCode {
    weir::cli::main()
}
