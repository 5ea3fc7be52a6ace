//! Programs that Debian packages.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result, bail, ensure};

use crate::exec::{command, is_installed, read, step};

/// Programs that building takes beside a C compiler, and the packages that have them.
pub const TO_BUILD: &[(&str, &str)] = &[("make", "make")];
/// Programs that labs and the demo use, and the packages that have them.
pub const TO_RUN: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("ethtool", "ethtool"),
    ("tcpdump", "tcpdump"),
    ("bpftool", "bpftool"),
    ("ping", "iputils-ping"),
    ("nft", "nftables"),
    ("curl", "curl"),
];

/// Installs the packages of those programs (or, with a slash, paths) that are missing.
///
/// # Errors
/// Naming the packages, where they cannot be installed.
pub fn ensure(programs: &[(&str, &str)]) -> Result<()> {
    let packages: Vec<_> = programs.iter().filter(|(program, _)| !has(program)).map(|(_, p)| *p).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    install(&packages).with_context(|| format!("missing and not installable here: {names}"))?;
    let still: Vec<_> = programs.iter().filter(|(program, _)| !has(program)).map(|(p, _)| *p).collect();
    ensure!(still.is_empty(), "installed {names}, but still not found: {}", still.join(" "));
    Ok(())
}

/// As [`ensure`], for packages that would start a service: it is neither started nor left to start with the machine.
/// A service that is there already is somebody's, and stays as it is.
pub fn ensure_without_services(programs: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = programs.iter().filter(|(program, _)| !has(program)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    // Debian asks this program before it starts anything.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let ours = !policy.exists();
    if ours {
        fs::write(policy, "#!/bin/sh\nexit 101\n")
            .context("writing policy-rc.d, so that no service starts")?;
        fs::set_permissions(policy, fs::Permissions::from_mode(0o755))?;
    }
    let installed = ensure(&missing);
    if ours {
        fs::remove_file(policy).context("removing policy-rc.d")?;
    }
    installed?;
    if Path::new("/run/systemd/system").is_dir() {
        for service in ["etcd", "containerd"] {
            if missing.iter().any(|(program, _)| *program == service) {
                read(command("systemctl").args(["disable", service]))?;
            }
        }
    }
    Ok(())
}

fn has(program: &str) -> bool {
    if program.contains('/') { Path::new(program).exists() } else { is_installed(program) }
}

fn install(packages: &[&str]) -> Result<()> {
    if !is_installed("apt-get") {
        bail!("there is no apt-get: install them by this system's own means");
    }
    let uid = read(command("id").arg("-u"))?;
    ensure!(uid.trim() == "0", "installing needs root: apt-get install {}", packages.join(" "));
    step(&format!("installing {}", packages.join(" ")), || {
        let apt = |arguments: &[&str]| {
            read(command("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
        };
        // A list that cannot be refreshed may still do; the installation tells.
        let refreshed = apt(&["update", "-qq"]);
        apt(&[&["install", "-qq", "-y", "--no-install-recommends"], packages].concat())
            .or_else(|error| refreshed.and(Err(error)))
    })
}
