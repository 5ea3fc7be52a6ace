//! What Weir needs of the host before it touches a map: kernel, capabilities, bpffs, a cgroup.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::statfs,
    mount::{MountFlags, mount},
    system::uname,
};

use super::error::Error;

/// Where systems mount the BPF file system.
const BPFFS: &str = "/sys/fs/bpf";
const BPFFS_MAGIC: i64 = 0xcafe_4a11;
const CGROUP2_MAGIC: i64 = 0x6367_7270;
/// tcx, which turns replies back.
const KERNEL: (u32, u32) = (6, 6);
/// Capabilities by number (`linux/capability.h`); `SYS_ADMIN` stands in for the others on kernels' behalf.
const CAPABILITIES: [(u32, &str); 3] = [(39, "CAP_BPF"), (12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON")];
const SYS_ADMIN: u32 = 21;

/// Fails where the kernel or the process's rights do not suffice.
pub(super) fn check() -> Result<(), Error> {
    let release = uname().release().to_string_lossy().into_owned();
    if kernel_version(&release).is_some_and(|version| version < KERNEL) {
        return Err(Error::KernelTooOld { found: release, needed: "6.6" });
    }
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    match missing_capabilities(&status) {
        missing if missing.is_empty() => Ok(()),
        missing => Err(Error::MissingCapabilities { missing: missing.join(", ") }),
    }
}

fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        // Without /proc nothing is known; the calls themselves will say.
        .unwrap_or(u64::MAX);
    let has = |number: u32| effective & (1 << number) != 0;
    let admin_helps = |number: u32| number != 12 && has(SYS_ADMIN);
    CAPABILITIES
        .iter()
        .filter(|&&(number, _)| !has(number) && !admin_helps(number))
        .map(|&(_, name)| name)
        .collect()
}

/// Makes sure that `folder` can hold pins: mounts a bpffs on `/sys/fs/bpf` where it lies below and none is
/// mounted, and creates the folder.
///
/// # Errors
/// Where the mount fails, or the folder lies on another file system.
pub fn ensure_bpffs(folder: &Path) -> Result<(), Error> {
    if !is_on(folder, BPFFS_MAGIC) && folder.starts_with(BPFFS) {
        mount("bpf", BPFFS, "bpf", MountFlags::empty(), Some(c"mode=0700"))
            .map_err(|error| Error::Mount { kind: "bpffs", path: BPFFS.into(), source: error.into() })?;
    }
    if !is_on(folder, BPFFS_MAGIC) {
        return Err(Error::NotBpffs { path: folder.to_owned() });
    }
    fs::create_dir_all(folder).map_err(Error::pin("create", folder))
}

/// Whether `path`, or its nearest ancestor that exists, lies on the file system with this magic number.
fn is_on(path: &Path, magic: i64) -> bool {
    let nearest = path.ancestors().find_map(|ancestor| statfs(ancestor).ok());
    nearest.is_some_and(|stat| stat.f_type == magic)
}

/// Where cgroup2 is mounted; mounts it on `/run/weir/cgroup2` where nowhere.
///
/// # Errors
/// Where the mount fails.
pub fn ensure_cgroup2() -> Result<PathBuf, Error> {
    if let Some(path) = mounted_cgroup2() {
        return Ok(path);
    }
    let path = PathBuf::from("/run/weir/cgroup2");
    let failed = |source: io::Error| Error::Mount { kind: "cgroup2", path: path.clone(), source };
    fs::create_dir_all(&path).map_err(failed)?;
    mount("cgroup2", &path, "cgroup2", MountFlags::empty(), None).map_err(|error| failed(error.into()))?;
    Ok(path)
}

/// Where cgroup2 is mounted by now.
pub(super) fn mounted_cgroup2() -> Option<PathBuf> {
    find_cgroup2(&fs::read_to_string("/proc/thread-self/mounts").unwrap_or_default())
}

fn find_cgroup2(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (path, kind) = (fields.nth(1)?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    })
}

/// Creates the cgroup where it is missing and moves this process into it.
pub(super) fn enter_cgroup(path: &Path) -> Result<(), Error> {
    let failed = |source: io::Error| Error::Cgroup { path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(failed)?;
    if !is_on(path, CGROUP2_MAGIC) {
        return Err(failed(io::Error::other("not on a cgroup2 file system")));
    }
    fs::write(path.join("cgroup.procs"), "0").map_err(failed)
}

/// Fails where `path` is no cgroup2.
pub(super) fn check_cgroup2(path: &Path) -> Result<(), Error> {
    let source = match statfs(path) {
        Ok(stat) if stat.f_type == CGROUP2_MAGIC => return Ok(()),
        Ok(_) => io::Error::other("not on a cgroup2 file system"),
        Err(error) => error.into(),
    };
    Err(Error::Cgroup { path: path.to_owned(), source })
}

/// Id of the cgroup, as programs know it.
pub(super) fn cgroup_id(path: &Path) -> Result<u64, Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Cgroup { path: path.to_owned(), source })?;
    Ok(metadata.ino())
}

/// The folder of the cgroup with this id (its inode number), at most `depth` folders below `root`.
pub(super) fn find_cgroup(root: &Path, id: u64, depth: u32) -> Option<PathBuf> {
    if fs::metadata(root).is_ok_and(|metadata| metadata.ino() == id) {
        return Some(root.to_owned());
    }
    let folders = (depth > 0).then(|| fs::read_dir(root).ok()).flatten()?;
    folders
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .find_map(|entry| find_cgroup(&entry.path(), id, depth - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions_are_read_from_any_distribution() {
        assert_eq!(kernel_version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(kernel_version("5.15.0-1023-aws"), Some((5, 15)));
        assert!(kernel_version("6.18").is_some_and(|version| version >= KERNEL));
    }

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(
            missing_capabilities("CapEff:\t0000000000000000\n"),
            ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]
        );
        assert!(missing_capabilities("CapEff:\t000001ffffffffff\n").is_empty());
        let sys_admin_only = format!("CapEff:\t{:016x}\n", 1_u64 << SYS_ADMIN);
        assert_eq!(missing_capabilities(&sys_admin_only), ["CAP_NET_ADMIN"]);
    }

    #[test]
    fn the_cgroup2_mount_is_found_on_hybrid_hosts() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs ro 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(find_cgroup2(mounts), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(find_cgroup2("proc /proc proc rw 0 0\n"), None);
    }
}
