//! File systems of the kernel that pins and control groups live in.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};

use crate::exec::{command, read};

/// Where cgroup2 goes on a machine whose control groups are those of version 1.
const CGROUP2: &str = "/sys/fs/cgroup/unified";

/// Mounts bpffs and cgroup2 where they are missing.
pub fn ensure() -> Result<()> {
    let mounts = read_mounts()?;
    let bpf = places(&mounts, "bpf").next();
    if bpf.is_none() {
        mount("bpf", "/sys/fs/bpf")?;
    }
    if places(&mounts, "cgroup2").next().is_none() {
        fs::create_dir_all(CGROUP2).with_context(|| format!("making {CGROUP2}"))?;
        mount("cgroup2", CGROUP2)?;
    }
    let pins = bpf.unwrap_or("/sys/fs/bpf");
    ensure!(pins == "/sys/fs/bpf", "bpffs is mounted at {pins}; Weir's pins need it at /sys/fs/bpf");
    Ok(())
}

/// Where cgroup2 is.
pub fn cgroup2() -> Result<PathBuf> {
    let mounts = read_mounts()?;
    places(&mounts, "cgroup2").next().map(PathBuf::from).context("cgroup2 is mounted nowhere")
}

/// Where the controllers of version 1 are, if there are any.
pub fn cgroup1() -> Result<Vec<PathBuf>> {
    let mounts = read_mounts()?;
    Ok(places(&mounts, "cgroup").map(PathBuf::from).collect())
}

fn read_mounts() -> Result<String> {
    fs::read_to_string("/proc/mounts").context("reading /proc/mounts")
}

/// Where file systems of that kind are.
fn places<'a>(mounts: &'a str, kind: &'static str) -> impl Iterator<Item = &'a str> {
    mounts.lines().filter_map(move |line| {
        let mut fields = line.split(' ').skip(1);
        let place = fields.next()?;
        (fields.next()? == kind).then_some(place)
    })
}

fn mount(kind: &str, place: &str) -> Result<()> {
    eprintln!("weir: mounting {kind} at {place}");
    read(command("mount").args(["-t", kind, kind, place])).map(drop).with_context(|| {
        format!("{kind} is not mounted and cannot be: as root, `mount -t {kind} {kind} {place}`")
    })
}
