//! Findings and errors stand within the text that they are about.

use gateway_model::{
    expression::SyntaxError,
    finding::{self, Finding},
};

/// The name that texts are parsed under.
pub(crate) const FILE: &str = "fuzzed.yaml";

/// Asserts that findings have a place in the text, one past the end of a line at most, are sorted, and say
/// something.
pub(crate) fn assert_within(text: &str, findings: &[Finding]) {
    let lines = lengths(text);
    for finding in findings {
        let place = finding.place.as_ref().unwrap_or_else(|| panic!("no place: {finding}"));
        assert_eq!(place.file, FILE, "{finding}");
        let length = (place.line as usize).checked_sub(1).and_then(|line| lines.get(line));
        let length = length.unwrap_or_else(|| panic!("a text of {} lines: {finding}", lines.len()));
        let column = place.column as usize;
        assert!((1..=length + 1).contains(&column), "a line of {length} characters: {finding}");
        assert!(!finding.message.is_empty() && !finding.advice.is_empty(), "{finding:?}");
    }
    let mut sorted = findings.to_vec();
    finding::sort(&mut sorted);
    assert_eq!(findings, sorted, "not in the order of their places");
}

/// Asserts that an error stands in the text, one past its end at most, and says something.
pub(crate) fn assert_column(text: &str, error: &SyntaxError) {
    let length = text.chars().count();
    assert!((1..=length + 1).contains(&error.column), "a text of {length} characters: {error}");
    assert!(!error.expected.is_empty() && !error.found.is_empty(), "{error:?}");
}

/// Characters in each line. As in YAML 1.2, a line ends with LF, CR or both.
fn lengths(text: &str) -> Vec<usize> {
    let unified = text.replace("\r\n", "\n");
    unified.split(['\n', '\r']).map(|line| line.chars().count()).collect()
}
