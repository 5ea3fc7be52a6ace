//! Running commands, from the workspace's root.

use std::{
    env,
    ffi::OsStr,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// Root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// A command that runs at the root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// `cargo`, the one that runs this program.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    // Set for this program by `cargo run`; a build below would take them for its own.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Runs it with its output shown.
pub fn show(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", line(command)))?;
    ensure!(status.success(), "{}: {status}", line(command));
    Ok(())
}

/// Runs it and returns its standard output.
pub fn read(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("starting {}", line(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}\n{}", line(command), output.status, complaint.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs it with `input` as its standard input and returns its standard output.
pub fn feed(command: &mut Command, input: impl AsRef<[u8]>) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {}", line(command)))?;
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // One that ends early says why; that it read no further is nothing to add.
    let written = stdin.write_all(input.as_ref());
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}\n{}", line(command), output.status, complaint.trim_end());
    }
    written.with_context(|| format!("writing to {}", line(command)))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks `probe` until it has an answer, for at most `seconds`.
///
/// # Errors
/// Of `probe`, at once; or that `what` did not come in time.
pub fn wait_for<T>(what: &str, seconds: u64, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "waited {seconds} s in vain for {what}");
        thread::sleep(Duration::from_millis(30));
    }
}

/// Writes to standard output. That its reader has seen enough is no error.
pub fn say(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("writing to standard output")
        }
        _ => Ok(()),
    }
}

/// Does something that takes a while: says what, and how long it took.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("weir: {what} …");
    let began = Instant::now();
    let done = work().with_context(|| format!("{what} failed"))?;
    eprintln!("weir: {what}: done in {:.0} s", began.elapsed().as_secs_f64());
    Ok(done)
}

/// Whether `program` is found on the path, or where Debian puts programs for root.
pub fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin"].map(Into::into);
    env::split_paths(&path).chain(sbin).any(|dir| dir.join(program).is_file())
}

/// Fails unless this runs as root.
pub fn need_root(what: &str) -> Result<()> {
    let uid = read(command("id").arg("-u"))?;
    ensure!(
        uid.trim() == "0",
        "{what} makes network namespaces and loads BPF programs, which needs root: run it as root"
    );
    Ok(())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
