//! The schema, completions and the manual.

use std::fs;

use gateway_tests::command::{Folder, assert_says, run};

#[test]
fn the_schema_in_the_repository_is_the_one_that_is_generated() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/schema/gateway.schema.json");
    let ran = run(&["schema"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(fs::read_to_string(kept).unwrap(), ran.out, "write it anew: cargo xtask codegen");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completion", shell]);
        assert_eq!(ran.code, Some(0));
        assert_says(&ran.out, &["explain", "workloads"]);
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = Folder::new("man");
    let ran = run(&["man", folder.path().to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let page = fs::read_to_string(folder.path().join("weir-explain.1")).unwrap();
    assert_says(&page, &["weir", "explain", "header"]);
    assert!(fs::read_dir(folder.path()).unwrap().count() >= 15);
}
