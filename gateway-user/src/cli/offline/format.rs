//! `weir fmt`: artifacts in normal form.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use gateway_model::format::format;

use super::files::{self, Loaded};
use crate::cli::{args::DEFAULT_NAMESPACE, output};

/// Formats files: to standard output, in place, or only to tell which are not in normal form. A file with an error
/// is left as it is.
pub(super) fn run(paths: &[PathBuf], write: bool, check: bool) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    let mut broken = Loaded::default();
    for (path, text) in files::read(paths) {
        let name = path.display().to_string();
        let text = text.with_context(|| format!("{name} cannot be formatted"))?;
        let formatted = match format(&name, &text, DEFAULT_NAMESPACE) {
            Ok(formatted) => formatted,
            Err(findings) => {
                broken.findings.extend(findings);
                broken.sources.insert(name, text);
                continue;
            }
        };
        let differs = formatted != *text;
        if check {
            if differs {
                output::print(&format!("{name}\n"))?;
                failed = true;
            }
        } else if write && name != "-" {
            if differs {
                fs::write(&path, formatted).with_context(|| format!("{name}: cannot be written"))?;
                output::print(&format!("{name}\n"))?;
            }
        } else {
            output::print(&formatted)?;
        }
    }
    broken.settle();
    broken.complain()?;
    Ok(if failed || !broken.findings.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
