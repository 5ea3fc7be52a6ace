//! h2spec, the conformance suite of HTTP/2: one pinned version, built once per machine.

use anyhow::Result;

use super::debian;
use crate::{
    cache,
    exec::{command, read, step},
};

const VERSION: &str = "2.2.1";

/// Builds it where it is missing.
pub fn ensure() -> Result<()> {
    let bin = cache::dir()?.join(format!("h2spec-{VERSION}/bin"));
    if bin.join("h2spec").is_file() {
        return Ok(());
    }
    debian::ensure(&[("go", "golang-go")])?;
    step(&format!("building h2spec {VERSION}, once per machine"), || {
        let module = format!("github.com/summerwind/h2spec/cmd/h2spec@v{VERSION}+incompatible");
        read(command("go").args(["install", &module]).env("GOBIN", bin)).map(drop)
    })
}
