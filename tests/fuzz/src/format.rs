//! Artifacts in normal form.

use gateway_model::{
    format::format,
    gateway::{GatewayArtifact, Parsed, parse},
};

use crate::place::FILE;

/// What can be read is written so that it reads the same, and is written the same again.
pub(crate) fn assert_formats(text: &str, before: &Parsed) {
    let Ok(formatted) = format(FILE, text, "n") else {
        assert!(before.has_errors(), "it reads, and has no normal form");
        return;
    };
    let after = parse(FILE, &formatted, "n");
    let artifacts =
        |parsed: &Parsed| -> Vec<GatewayArtifact> { parsed.gateways.iter().map(Into::into).collect() };
    assert_eq!(artifacts(before), artifacts(&after), "{formatted}");
    assert_eq!(format(FILE, &formatted, "n").as_ref(), Ok(&formatted), "once is not enough");
}
