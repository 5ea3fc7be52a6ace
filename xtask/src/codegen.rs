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

/// What is installed, in parts.
const BASE: &str = "deploy/base";

/// What is rendered into one file: its parts, the file, and what it is.
const RENDERED: [(&str, &str, &str); 2] = [
    (BASE, "deploy/weir.yaml", "Weir, in one file"),
    (
        "deploy/uninstall",
        "deploy/uninstall.yaml",
        "What Weir leaves on nodes, taken away; after weir.yaml is deleted",
    ),
];

/// Writes them anew. A test fails where they are not what the code says.
pub fn command_line() -> Result<()> {
    setup::to_build()?;
    let weir = build::build("gateway-user", "weir", Profile::Dev)?;
    let schema = read(command(&weir).arg("schema"))?;
    let path = root().join(SCHEMA);
    fs::create_dir_all(path.parent().expect("a path below the root"))?;
    fs::write(&path, schema).with_context(|| format!("writing {SCHEMA}"))?;
    println!("{SCHEMA}");
    definitions(&weir)?;
    for (parts, file, what) in RENDERED {
        let Some(all) = render(parts, file, what)? else {
            println!("{file}: left as it is; kubectl renders it, and comes with `cargo xtask cluster up`");
            continue;
        };
        fs::write(root().join(file), all).with_context(|| format!("writing {file}"))?;
        println!("{file}");
    }
    Ok(())
}

/// What `kubectl apply -k` would install, as one text; `None` where there is no kubectl yet.
fn render(parts: &str, file: &str, what: &str) -> Result<Option<String>> {
    let Some(kubectl) = setup::kubernetes::kubectl_if_built()? else { return Ok(None) };
    let objects = read(command(kubectl).args(["kustomize", parts]))?;
    let head = format!(
        "# {what}: kubectl apply --server-side -f {file}\n# Generated from {parts}: cargo xtask codegen\n"
    );
    Ok(Some(head + &objects))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_from_one_file_is_what_its_parts_say() {
        for (parts, file, what) in RENDERED {
            let kept = fs::read_to_string(root().join(file)).unwrap();
            match render(parts, file, what).unwrap() {
                Some(fresh) => assert!(fresh == kept, "{file} is not {parts}: cargo xtask codegen"),
                None => eprintln!("not compared: `cargo xtask cluster up` builds kubectl first"),
            }
        }
    }

    #[test]
    fn the_image_is_the_one_of_this_version() {
        let kept = RENDERED.map(|(_, file, _)| fs::read_to_string(root().join(file)).unwrap()).concat();
        let images: Vec<_> = kept.lines().filter(|line| line.trim_start().starts_with("image: ")).collect();
        let wanted = format!("image: weir.dev/weir:{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(images.len(), 4, "agent and controller, and two of uninstalling");
        assert!(images.iter().all(|line| line.trim() == wanted), "{images:?} instead of {wanted}");
    }
}
