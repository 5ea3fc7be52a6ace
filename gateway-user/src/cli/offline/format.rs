//! `weir fmt`: artifacts in normal form.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use gateway_model::format::format;
use serde::Serialize;

use super::files::{self, FindingView, Loaded};
use crate::cli::args::{DEFAULT_NAMESPACE, Output};

#[derive(Serialize)]
struct Answer<'a> {
    files: &'a [Formatted],
    findings: Vec<FindingView<'a>>,
}

/// A file in normal form.
#[derive(Serialize)]
struct Formatted {
    file: String,
    /// Whether that is not what it holds.
    changed: bool,
    text: String,
    #[serde(skip)]
    path: PathBuf,
}

/// Formats files: to standard output, in place, or only to tell which are not in normal form. A file with an error
/// is left as it is.
pub(super) fn run(paths: &[PathBuf], write: bool, check: bool, format: Output) -> anyhow::Result<ExitCode> {
    let (formatted, mut broken) = format_all(paths);
    broken.settle();
    let changed: Vec<&Formatted> = formatted.iter().filter(|file| file.changed).collect();
    if write {
        for file in changed.iter().filter(|file| file.path != Path::new("-")) {
            replace(&file.path, &file.text).with_context(|| format!("{}: cannot be written", file.file))?;
        }
    }
    let answer = Answer { files: &formatted, findings: files::views(&broken.findings) };
    files::answer(&broken, format, &answer, || {
        if write || check {
            changed.iter().flat_map(|file| [file.file.as_str(), "\n"]).collect()
        } else {
            let texts: Vec<&str> = formatted.iter().map(|file| file.text.as_str()).collect();
            texts.join("---\n")
        }
    })?;
    let is_wrong = !broken.findings.is_empty() || (check && !changed.is_empty());
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn format_all(paths: &[PathBuf]) -> (Vec<Formatted>, Loaded) {
    let (mut formatted, mut broken) = (Vec::new(), Loaded::default());
    for (path, text) in files::read(paths) {
        let file = path.display().to_string();
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                broken.findings.push(files::unreadable(file, &error));
                continue;
            }
        };
        match format(&file, &text, DEFAULT_NAMESPACE) {
            Ok(normal) => {
                let changed = normal != *text;
                formatted.push(Formatted { file, changed, text: normal, path });
            }
            Err(findings) => {
                broken.findings.extend(findings);
                broken.sources.insert(file, text);
            }
        }
    }
    (formatted, broken)
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
