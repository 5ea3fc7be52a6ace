//! What the verifier makes of the kernel programs: `cargo xtask build` ends with it. Needs root.

use weir::dataplane::report::program_report;

fn main() -> anyhow::Result<()> {
    println!("{:<20} {:>22} {:>12} {:>12}", "program", "verified instructions", "BPF bytes", "code bytes");
    for program in program_report()? {
        println!(
            "{:<20} {:>22} {:>12} {:>12}",
            program.name, program.verified_instructions, program.xlated_bytes, program.jited_bytes
        );
    }
    Ok(())
}
