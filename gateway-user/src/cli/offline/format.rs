//! `weir fmt`: artifacts in normal form.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use gateway_model::format::format;

use super::files::{self, Loaded};
use crate::cli::{args::DEFAULT_NAMESPACE, output};

/// Formats files: to standard output, in place, or only to tell which are not in normal form. A file with an error
/// is left as it is.
pub(super) fn run(paths: &[PathBuf], write: bool, check: bool) -> anyhow::Result<ExitCode> {
    let (mut failed, mut printed) = (false, false);
    let mut broken = Loaded::default();
    for (path, text) in files::read(paths) {
        let name = path.display().to_string();
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                broken.findings.push(files::unreadable(name, &error));
                continue;
            }
        };
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
                replace(&path, &formatted).with_context(|| format!("{name}: cannot be written"))?;
                output::print(&format!("{name}\n"))?;
            }
        } else {
            if printed {
                output::print("---\n")?;
            }
            output::print(&formatted)?;
            printed = true;
        }
    }
    broken.settle();
    broken.complain()?;
    Ok(if failed || !broken.findings.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Writes a file anew, with its permissions, in one step: whoever is interrupted leaves the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let mut draft = path.clone().into_os_string();
    draft.push(format!(".{}.weir-fmt", std::process::id()));
    let written = fs::write(&draft, text)
        .and_then(|()| fs::set_permissions(&draft, fs::metadata(&path)?.permissions()))
        .and_then(|()| fs::rename(&draft, &path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}
