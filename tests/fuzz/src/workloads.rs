//! Lists of workloads.

use gateway_model::workload;

use crate::place::{FILE, assert_within};

const NAMESPACE: &str = "default";

/// Every mistake has its place; what is read is the same each time, with any line ends, and in JSON.
pub(crate) fn keep_promises(text: &str) {
    let parsed = workload::parse(FILE, text, NAMESPACE);
    assert_within(text, &parsed.findings);
    let again = workload::parse(FILE, text, NAMESPACE);
    assert_eq!((&parsed.workloads, &parsed.findings), (&again.workloads, &again.findings), "read twice");
    if !text.contains('\r') {
        let other = workload::parse(FILE, &text.replace('\n', "\r\n"), NAMESPACE);
        assert_eq!((&parsed.workloads, &parsed.findings), (&other.workloads, &other.findings), "with CRLF");
    }
    for (index, workload) in parsed.workloads.iter().enumerate() {
        let is_new = parsed.workloads[..index].iter().all(|other| other.identity() != workload.identity());
        assert!(is_new, "two workloads are called {}", workload.identity());
    }
    let printed = serde_json::to_string(&parsed.workloads).expect("workloads have texts as keys");
    let again = workload::parse(FILE, &printed, NAMESPACE);
    assert_eq!(again.findings, [], "printed: {printed}");
    assert_eq!(again.workloads, parsed.workloads, "printed: {printed}");
}
