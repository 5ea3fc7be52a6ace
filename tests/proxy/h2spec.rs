//! The conformance suite for HTTP/2 servers, from outside.

use std::{path::PathBuf, process::Command};

use crate::{backend::Backend, stage::Stage};

/// Where `cargo xtask setup` puts it.
fn h2spec() -> PathBuf {
    let cache = std::env::var_os("WEIR_CACHE")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("weir")));
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/weir"));
    cache.join("h2spec-2.2.1/bin/h2spec")
}

#[test]
fn h2spec_strict_finds_nothing() {
    let program = h2spec();
    assert!(program.exists(), "{} is missing: cargo xtask setup", program.display());
    let backend = Backend::named("h2spec wants an answer with a body that it can see");
    let stage = Stage::to(backend.address);
    let output = Command::new(program)
        .args(["--strict", "--timeout", "5", "--host", "127.0.0.1", "--port"])
        .arg(stage.frontend.port().to_string())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    // 2.2.1 has 146 cases; the newest sources, which no module version carries, have 147.
    let all = ["146 passed, 0 skipped, 0 failed", "147 passed, 0 skipped, 0 failed"];
    assert!(output.status.success() && all.iter().any(|sum| report.contains(sum)), "{report}");
}
