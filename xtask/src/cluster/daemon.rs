//! Starting a program that goes on after this one has ended: in a control group of its own, by which it is found and
//! ended, and with its output in a file.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};

use super::cgroup;

/// `$0` is a control group, the rest a command line.
const ENTER: &str = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
/// How much of a log an error shows.
const TAIL_LINES: usize = 15;

/// A program that runs in the background.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    log: PathBuf,
    child: Child,
}

/// Starts `program` in `cgroup`, within the namespaces that `enter` gives to nsenter.
pub fn start(
    cgroup: &Path,
    log: PathBuf,
    enter: &[String],
    program: impl AsRef<OsStr>,
    arguments: &[String],
) -> Result<Daemon> {
    cgroup::make(cgroup)?;
    let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir)?;
    }
    let output = File::options().append(true).create(true).open(&log);
    let output = output.with_context(|| format!("opening {}", log.display()))?;
    // A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", ENTER]).arg(cgroup).arg("nsenter").args(enter).arg("--");
    command.arg(program).args(arguments).current_dir("/");
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let child = command.spawn().with_context(|| format!("starting {name}"))?;
    Ok(Daemon { name, log, child })
}

impl Daemon {
    /// Fails where it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Adds the end of its log to an error.
    pub fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| anyhow!("{error:#}; {} says:\n{}", self.name, tail(&self.log)))
    }
}

/// The last lines of a log, and where it is.
pub fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    format!("{}\n(the end of {})", last.join("\n"), log.display())
}
