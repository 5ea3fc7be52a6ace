//! File systems of the kernel that pins and control groups live in.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::exec::{command, read};

/// Where cgroup2 goes on a machine whose control groups are those of version 1.
const CGROUP2: &str = "/sys/fs/cgroup/unified";

/// Mounts bpffs and cgroup2 where they are missing.
pub fn ensure() -> Result<()> {
    let mounts = fs::read_to_string("/proc/mounts").context("reading /proc/mounts")?;
    let at = |kind: &str| {
        mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let place = fields.next()?;
            (fields.next()? == kind).then_some(place)
        })
    };
    if at("bpf").is_none() {
        mount("bpf", "/sys/fs/bpf")?;
    }
    if at("cgroup2").is_none() {
        fs::create_dir_all(CGROUP2).with_context(|| format!("making {CGROUP2}"))?;
        mount("cgroup2", CGROUP2)?;
    }
    let pins = at("bpf").unwrap_or("/sys/fs/bpf");
    ensure!(pins == "/sys/fs/bpf", "bpffs is mounted at {pins}; Weir's pins need it at /sys/fs/bpf");
    Ok(())
}

fn mount(kind: &str, place: &str) -> Result<()> {
    eprintln!("weir: mounting {kind} at {place}");
    read(command("mount").args(["-t", kind, kind, place])).map(drop).with_context(|| {
        format!("{kind} is not mounted and cannot be: as root, `mount -t {kind} {kind} {place}`")
    })
}
