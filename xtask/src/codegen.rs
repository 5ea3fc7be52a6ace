//! `cargo xtask codegen`: files of the repository that are generated from the code.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    build::{self, Profile},
    exec::{command, read, root},
    setup,
};

/// Where the JSON Schema of artifacts is kept.
const SCHEMA: &str = "deploy/schema/gateway.schema.json";

/// Where the definitions of custom resources are kept.
const DEFINITIONS: &str = "deploy/crd";

/// Writes them anew. A test fails where they are not what the code says.
pub fn command_line() -> Result<()> {
    setup::to_build()?;
    let weir = build::build("gateway-user", "weir", Profile::Dev)?;
    let schema = read(command(&weir).arg("schema"))?;
    let path = root().join(SCHEMA);
    fs::create_dir_all(path.parent().expect("a path below the root"))?;
    fs::write(&path, schema).with_context(|| format!("writing {SCHEMA}"))?;
    println!("{SCHEMA}");
    definitions(&weir)
}

/// Writes each definition of a custom resource into a file that is named after it.
fn definitions(weir: &Path) -> Result<()> {
    let all = read(command(weir).args(["schema", "--crds"]))?;
    let folder = root().join(DEFINITIONS);
    fs::create_dir_all(&folder).with_context(|| format!("making {DEFINITIONS}"))?;
    for definition in all.split("---\n").filter(|definition| !definition.trim().is_empty()) {
        let name = definition.lines().find_map(|line| line.strip_prefix("  name: ")).context("no name")?;
        let path = format!("{DEFINITIONS}/{name}.yaml");
        fs::write(root().join(&path), definition).with_context(|| format!("writing {path}"))?;
        println!("{path}");
    }
    Ok(())
}
