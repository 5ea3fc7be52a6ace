//! The texts from which fuzzing starts, in tests/fuzz-seeds: what is accepted prints as itself, and nothing that
//! can be asked of it panics.

use std::{fmt::Display, fs, path::PathBuf, str::FromStr};

use gateway_model::{
    condition::Condition,
    expression::{STEPS_PER_BYTE, SyntaxError, Warning},
    selector::Selector,
    workload::Workload,
};

fn seeds(folder: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz-seeds").join(folder);
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let seed = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.display().to_string(), text)
    };
    let mut seeds: Vec<_> =
        entries.map(|entry| seed(entry.expect("a folder that can be read").path())).collect();
    seeds.sort();
    seeds
}

/// Asserts what holds for every text, and gives the parsed ones.
fn parsed<T: FromStr<Err = SyntaxError> + Display + PartialEq + std::fmt::Debug>(
    folder: &str,
    lint: impl Fn(&T) -> Vec<Warning>,
    steps: impl Fn(&str) -> usize,
) -> Vec<T> {
    let seeds = seeds(folder);
    let mut accepted = Vec::new();
    for (file, text) in &seeds {
        assert!(steps(text) <= STEPS_PER_BYTE * (text.len() + 1), "{file}");
        let length = text.chars().count();
        match text.parse::<T>() {
            Ok(parsed) => {
                assert_eq!(parsed.to_string().parse::<T>().as_ref(), Ok(&parsed), "{file}");
                for warning in lint(&parsed) {
                    let end = warning.span.column + warning.span.length - 1;
                    assert!(warning.span.length > 0 && end <= length, "{file}: {warning}");
                }
                accepted.push(parsed);
            }
            Err(error) => assert!(error.column <= length + 1 && error.length > 0, "{file}: {error:?}"),
        }
    }
    assert!(
        accepted.len() > 10 && accepted.len() + 5 < seeds.len(),
        "{folder}: some are right, some are wrong"
    );
    accepted
}

#[test]
fn conditions_and_acls_hold_what_is_promised_of_every_text() {
    let conditions = ["condition", "acl"]
        .into_iter()
        .flat_map(|folder| parsed(folder, Condition::lint, |text| Condition::parse_counted(text).1))
        .collect::<Vec<_>>();
    let (always, never): (Vec<bool>, Vec<bool>) =
        conditions.iter().map(|one| (one.always_matches(), one.never_matches())).unzip();
    assert!(always.contains(&true) && never.contains(&true), "some always match, some never do");
    let mut implications = 0;
    for (at, one) in conditions.iter().enumerate() {
        assert!(one.implies(one) && !(always[at] && never[at]), "{one}");
        for (other_at, other) in conditions.iter().enumerate() {
            let implies = one.implies(other);
            assert!(!(always[at] && never[other_at] && implies), "{one} {other}");
            implications += usize::from(implies && one != other && !never[at] && !always[other_at]);
        }
    }
    assert!(implications > 5, "{implications}: some imply others");
}

#[test]
fn selectors_hold_what_is_promised_of_every_text() {
    let workload = Workload { name: "foo".to_owned(), ..Workload::default() };
    for selector in parsed("selector", Selector::lint, |text| Selector::parse_counted(text).1) {
        let explanation = selector.explain_workload(&workload);
        assert_eq!(explanation.terms.iter().filter(|term| term.text.is_empty()).count(), 0, "{selector}");
    }
}
