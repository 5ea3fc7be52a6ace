//! The page's table of codes has those of the code, and its picture of a finding is one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use gateway_model::gateway;

use super::page;

/// Texts of the code that look like codes and are none.
const OTHER_TEXTS: [&str; 4] = ["user-agent", "weir-agent", "x-user", "foo-ingress"];

/// Sources of a crate, without their tests.
fn sources(krate: &str) -> Vec<String> {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(krate).join("src")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.map(|entry| entry.expect("a folder that can be read").path()) {
            let name = path.file_stem().unwrap_or_default();
            if path.is_dir() {
                folders.extend((name != "tests").then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests" {
                sources.push(without_tests(&path));
            }
        }
    }
    sources
}

fn without_tests(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a text file");
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

/// Codes, and the severities that they are given where they are written.
fn codes() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut codes: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for source in sources("gateway-user") {
        direct(&source, &mut codes);
    }
    for source in sources("gateway-model") {
        direct(&source, &mut codes);
        // Where a code is chosen before the finding is made.
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let texts = code.flat_map(|line| line.split('"').skip(1).step_by(2));
        let is_code = |text: &&str| {
            text.contains('-')
                && text.split('-').all(|word| {
                    !word.is_empty()
                        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                })
                && !OTHER_TEXTS.contains(text)
        };
        for text in texts.filter(is_code) {
            codes.entry(text.to_owned()).or_default();
        }
    }
    codes
}

fn direct(source: &str, codes: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    for (call, severity) in
        [("Finding::error(", "error"), ("Finding::warning(", "warning"), ("Warning::new(", "warning")]
    {
        for (at, _) in source.match_indices(call) {
            let after = source[at + call.len()..].trim_start();
            if let Some(code) = after.strip_prefix('"').and_then(|text| text.split('"').next()) {
                codes.entry(code.to_owned()).or_default().insert(severity);
            }
        }
    }
}

#[test]
fn the_table_of_codes_is_complete() {
    let rows: Vec<Vec<String>> = page::table_after("### All codes").into_iter().skip(1).collect();
    let listed: Vec<&str> = rows.iter().map(|row| row[0].split('`').nth(1).expect("a code")).collect();
    let codes = codes();
    let missing: Vec<&String> = codes.keys().filter(|code| !listed.contains(&code.as_str())).collect();
    let unknown: Vec<&&str> = listed.iter().filter(|code| !codes.contains_key(**code)).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:?}, not in the code: {unknown:?}");
    assert!(listed.is_sorted() && listed.len() == codes.len(), "sorted, and each once");
    for row in &rows {
        let code = row[0].split('`').nth(1).expect("a code");
        for severity in &codes[code] {
            assert!(row[1].split(", ").any(|listed| listed == *severity), "{code} is an {severity} as well");
        }
        assert!(
            row[1].split(", ").all(|severity| matches!(severity, "error" | "warning")),
            "{code}: {}",
            row[1]
        );
    }
}

#[test]
fn a_finding_looks_as_the_page_shows() {
    let blocks = page::all_blocks();
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.info.ends_with(" finding")) {
        let artifact =
            blocks[..index].iter().rfind(|block| block.info == "yaml").expect("an artifact before it");
        let findings = gateway::parse("foo-ingress.yaml", &artifact.text, "default").findings;
        let [finding] = findings.as_slice() else { panic!("one finding: {findings:?}") };
        let place = finding.place.as_ref().expect("a place");
        let gateway = finding.gateway.as_ref().expect("a gateway");
        if block.info == "json finding" {
            let shown: serde_json::Value = serde_json::from_str(&block.text).expect("JSON");
            let expected = serde_json::json!({
                "code": finding.code, "severity": finding.severity, "file": place.file, "line": place.line,
                "column": place.column, "length": place.length, "gateway": gateway.to_string(),
                "message": finding.message, "advice": finding.advice,
            });
            assert_eq!(shown, expected);
        } else {
            let line = artifact.text.lines().nth(place.line as usize - 1).expect("the line is there");
            let mark =
                format!("{}{}", " ".repeat(place.column as usize - 1), "^".repeat(place.length as usize));
            let expected = [
                format!("error[{}]: gateway {}: {}", finding.code, gateway.name, finding.message),
                format!(" --> {place}"),
                "  |".to_owned(),
                format!("{} | {line}", place.line),
                format!("  | {mark}"),
                "  |".to_owned(),
                format!("  = help: {}", finding.advice),
            ];
            assert_eq!(block.text.lines().collect::<Vec<_>>(), expected);
        }
    }
}
