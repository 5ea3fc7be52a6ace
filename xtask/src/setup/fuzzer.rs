//! What building libFuzzer takes: the rest of it is in the crate libfuzzer-sys. The flags that guide it are
//! those of the stable compiler, so that neither another toolchain nor cargo-fuzz is needed.

use anyhow::Result;

use super::debian;

/// A compiler of C++.
pub fn ensure() -> Result<()> {
    debian::ensure(&[("c++", "g++")])
}
