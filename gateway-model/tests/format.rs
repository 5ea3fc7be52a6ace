//! The normal form of artifacts: the pairs in tests/cases/format (`NAME.EXT` is written as `NAME.formatted.EXT`),
//! and what holds for all artifacts that there are.

use std::{collections::BTreeMap, fs, path::PathBuf};

use gateway_model::{
    finding::Finding,
    format::format,
    gateway::{self, GatewayArtifact},
};

/// The files of a folder below tests/cases, by name.
fn cases(folder: &str) -> BTreeMap<String, String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").join(folder);
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let files = entries.map(|entry| entry.expect("a folder that can be read").path()).map(|path| {
        let name = path.file_name().expect("entries have names").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("a text file"))
    });
    files.collect()
}

fn declared(text: &str) -> Vec<GatewayArtifact> {
    gateway::parse("f", text, "default").gateways.iter().map(GatewayArtifact::from).collect()
}

#[test]
fn artifacts_are_written_as_their_pairs_say() {
    let cases = cases("format");
    let mut count = 0;
    for (name, text) in cases.iter().filter(|(name, _)| !name.contains(".formatted.")) {
        let (stem, extension) = name.rsplit_once('.').expect("files have extensions");
        let pair = format!("{stem}.formatted.{extension}");
        let written = format(name, text, "default").unwrap_or_else(|findings| panic!("{findings:?}"));
        assert_eq!(Some(&written), cases.get(&pair), "{name} is written as\n{written}");
        assert_eq!(format(name, &written, "default").as_ref(), Ok(&written), "{pair}");
        assert_eq!(declared(&written), declared(text), "{name}");
        count += 1;
    }
    assert_eq!(count * 2, cases.len(), "a file without its pair");
}

#[test]
fn good_artifacts_and_examples_mean_the_same_in_normal_form() {
    let all = cases("good").into_iter().chain(cases("../../deploy/examples"));
    for (name, text) in all.filter(|(name, _)| name != "workloads.yaml") {
        let written = format(&name, &text, "default").unwrap_or_else(|findings| panic!("{findings:?}"));
        assert_eq!(declared(&written), declared(&text), "{name}");
        assert_eq!(format(&name, &written, "default").as_ref(), Ok(&written), "{name}");
    }
}

#[test]
fn the_seed_example_is_in_normal_form() {
    let text = &cases("good")["foo-ingress.yaml"];
    assert_eq!(format("f", text, "default").as_ref(), Ok(text));
}

#[test]
fn a_text_with_errors_is_refused_with_them() {
    for (name, text) in cases("broken") {
        let findings = gateway::parse(&name, &text, "default").findings;
        let errors: Vec<Finding> = findings.into_iter().filter(Finding::is_error).collect();
        let written = format(&name, &text, "default");
        assert_eq!(written.is_ok(), errors.is_empty(), "{name}");
        assert_eq!(written.err().unwrap_or_default(), errors, "{name}");
    }
}
