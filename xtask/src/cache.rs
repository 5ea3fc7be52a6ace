//! The folder for what is built once per machine, outside any clone.

use std::{env, path::PathBuf};

use anyhow::{Context, Result};

/// `$WEIR_CACHE`, else `$XDG_CACHE_HOME/weir`, else `~/.cache/weir`.
pub fn dir() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("WEIR_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("weir")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/weir")))
        .context("no cache folder: set WEIR_CACHE, XDG_CACHE_HOME or HOME")
}
