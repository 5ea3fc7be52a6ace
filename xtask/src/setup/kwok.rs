//! kwok, which makes up nodes and pods by the thousand.

use std::path::PathBuf;

use anyhow::Result;

use super::go;

const VERSION: &str = "0.8.0";

/// Builds it where it is missing.
pub fn ensure() -> Result<PathBuf> {
    go::install("kwok", &format!("sigs.k8s.io/kwok/cmd/kwok@v{VERSION}"), &format!("kwok-{VERSION}"))
}
