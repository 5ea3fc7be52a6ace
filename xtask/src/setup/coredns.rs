//! CoreDNS, which answers for the names of a cluster.

use std::path::PathBuf;

use anyhow::Result;

use super::go::Program;

/// Its version.
pub const VERSION: &str = "1.15.0";

const COREDNS: Program = Program {
    name: "coredns",
    folder: "coredns-1.15.0",
    files: &[
        ("main.go", include_str!("../../go/coredns/main.go")),
        ("go.mod", include_str!("../../go/coredns/go.mod")),
        ("go.sum", include_str!("../../go/coredns/go.sum")),
    ],
    definitions: &[],
    takes: "about four minutes",
};

/// Builds it where it is missing.
pub fn ensure() -> Result<PathBuf> {
    COREDNS.ensure()
}
