//! Artifacts in normal form.

use gateway_model::{
    finding::Finding,
    format::format,
    gateway::{GatewayArtifact, parse},
};

/// What can be read is written so that it reads the same, and is written the same again.
pub(crate) fn keep_promises(text: &str) {
    let before = parse("f", text, "n");
    let formatted = match format("f", text, "n") {
        Ok(formatted) => formatted,
        Err(findings) => {
            assert!(findings.iter().any(Finding::is_error), "refused without a reason: {findings:?}");
            assert!(
                before.has_errors() || findings.iter().all(|finding| finding.code != "not-formatted"),
                "not written although it reads: {text:?}"
            );
            return;
        }
    };
    let after = parse("f", &formatted, "n");
    let artifacts = |parsed: &gateway_model::gateway::Parsed| -> Vec<GatewayArtifact> {
        parsed.gateways.iter().map(Into::into).collect()
    };
    assert_eq!(artifacts(&before), artifacts(&after), "{formatted}");
    assert_eq!(format("f", &formatted, "n").as_ref(), Ok(&formatted), "once is not enough");
}
