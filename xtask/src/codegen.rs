//! `cargo xtask codegen`: files of the repository that are generated from the code.

use std::fs;

use anyhow::{Context, Result};

use crate::{
    build::{self, Profile},
    exec::{command, read, root},
    setup,
};

/// Where the JSON Schema of artifacts is kept.
const SCHEMA: &str = "deploy/schema/gateway.schema.json";

/// Writes them anew. A test fails where they are not what the code says.
pub fn command_line() -> Result<()> {
    setup::to_build()?;
    let weir = build::build("gateway-user", "weir", Profile::Dev)?;
    let schema = read(command(weir).arg("schema"))?;
    let path = root().join(SCHEMA);
    fs::create_dir_all(path.parent().expect("a path below the root"))?;
    fs::write(&path, schema).with_context(|| format!("writing {SCHEMA}"))?;
    println!("{SCHEMA}");
    Ok(())
}
