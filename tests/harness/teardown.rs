//! Taking a lab down, whatever became of the process that built it.
//!
//! A shell of its own session waits for the end of a pipe that only this process holds open. Dropping the lab,
//! a panic, Ctrl-C and SIGKILL all close the pipe; the shell then removes everything that carries the lab's
//! name. The same script, fed an empty pipe, removes what is left of labs whose owner is gone.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context, Result};

use crate::name::Name;

/// `$1` is the lab's name, `$2` its control group, or empty. Processes are ended by id, and only those that run
/// in the lab's namespaces. A control group stays busy for a moment after its last process.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for ns in /run/netns/"$1"-*; do
    [ -e "$ns" ] || continue
    pids=$(ip netns pids "${ns##*/}" 2>/dev/null)
    [ -z "$pids" ] || kill -9 $pids 2>/dev/null
done
for ns in /run/netns/"$1"-*; do
    [ -e "$ns" ] || continue
    ip netns del "${ns##*/}"
done
rm -rf "/run/$1" "/sys/fs/bpf/$1"
if [ -n "$2" ]; then
    for try in 1 2 3 4 5 6 7 8 9 10; do
        [ -d "$2" ] || break
        for inner in "$2"/*/; do
            [ ! -d "$inner" ] || rmdir "$inner" 2>/dev/null
        done
        rmdir "$2" 2>/dev/null || sleep 0.1
    done
fi
"#;

/// Takes the lab down when dropped, or when this process ends.
#[derive(Debug)]
pub(crate) struct Teardown {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Teardown {
    /// Arms the clean-up for `name`; call it before anything with that name exists.
    pub(crate) fn arm(name: &Name) -> Result<Self> {
        let mut shell = shell(name)?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }
}

impl Drop for Teardown {
    fn drop(&mut self) {
        drop(self.pipe.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("lab not taken down: {error}");
        }
    }
}

/// Takes the lab `name` down now, also from another thread or process than the one that built it.
///
/// # Errors
/// Where the shell that does it cannot be started.
pub fn take_down(name: &Name) -> Result<()> {
    Teardown::arm(name).map(drop)
}

/// Removes what is left of labs whose owner is gone.
pub(crate) fn remove_stale() -> Result<()> {
    let mut names: Vec<Name> = Vec::new();
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(Name::of_namespace) else { continue };
        let gone = name.owner().is_some_and(|pid| !is_owner(pid, &entry.path()));
        if gone && !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        take_down(&name)?;
    }
    Ok(())
}

/// Whether process `pid` is alive and older than `file`: a younger one has only inherited the number.
fn is_owner(pid: u32, file: &Path) -> bool {
    match (started(pid), fs::metadata(file)) {
        (Some(started), Ok(file)) => started <= file.ctime() + 1,
        (None, _) => false,
        // The namespace went away while we looked: whoever removes it is alive.
        (_, Err(_)) => true,
    }
}

/// When a process started, in seconds since 1970; `None` where there is no such process.
fn started(pid: u32) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name in parentheses, may hold blanks; start time is the 22nd.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: i64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(boot + ticks / i64::try_from(rustix::param::clock_ticks_per_second()).ok()?)
}

fn shell(name: &Name) -> Result<Child> {
    let cgroup = cgroup_root().map(|root| root.join(name.as_str()).display().to_string());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "weir-teardown", name.as_str(), cgroup.as_deref().unwrap_or("")]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: setsid is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| {
            // A session of its own, so that Ctrl-C on the terminal does not reach it.
            rustix::process::setsid()?;
            Ok(())
        });
    }
    command.spawn().context("starting the clean-up shell")
}

/// Where cgroup2 is mounted.
pub(crate) fn cgroup_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let path = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(path))
    })
}
