//! What a cluster on this machine takes: Kubernetes itself as one binary, the pause image's program, etcd, containerd,
//! runc and network plugins of Debian's.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use anyhow::{Context, Result};

use super::{debian, go::Program, mounts};
use crate::cache;

/// Version of Kubernetes.
pub const VERSION: &str = "1.37.2";

/// kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy and kubectl: `kube PROGRAM …`.
const KUBE: Program = Program {
    name: "kube",
    folder: "kubernetes-1.37.2",
    files: &[
        ("main.go", include_str!("../../go/kubernetes/main.go")),
        ("go.mod", include_str!("../../go/kubernetes/go.mod")),
        ("go.sum", include_str!("../../go/kubernetes/go.sum")),
    ],
    definitions: &[
        "k8s.io/component-base/version.gitVersion=v1.37.2",
        "k8s.io/component-base/version.gitMajor=1",
        "k8s.io/component-base/version.gitMinor=37",
    ],
    takes: "about ten minutes",
};

/// The program of the pause image.
const PAUSE: Program = Program {
    name: "pause",
    folder: "pause-1",
    files: &[
        ("main.go", include_str!("../../go/pause/main.go")),
        ("go.mod", include_str!("../../go/pause/go.mod")),
    ],
    definitions: &[],
    takes: "seconds",
};

/// Programs (or files) of the nodes and the control plane, and the packages that have them.
const DEBIAN: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("ethtool", "ethtool"),
    ("nft", "nftables"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("etcd", "etcd-server"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/ptp", "containernetworking-plugins"),
    ("as", "binutils"),
];

/// Installs, builds and mounts what is missing.
pub fn ensure() -> Result<()> {
    debian::ensure_without_services(DEBIAN)?;
    mounts::ensure()?;
    kube()?;
    kubectl().map(drop)
}

/// The binary of Kubernetes.
pub fn kube() -> Result<PathBuf> {
    KUBE.ensure()
}

/// The pause image's program.
pub fn pause() -> Result<PathBuf> {
    PAUSE.ensure()
}

/// A `kubectl` that needs no first argument.
pub fn kubectl() -> Result<PathBuf> {
    let path = cache::dir()?.join(KUBE.folder).join("kubectl");
    if !path.is_file() {
        let part = path.with_extension("part");
        fs::write(&part, "#!/bin/sh\nexec \"$(dirname \"$(readlink -f \"$0\")\")/kube\" kubectl \"$@\"\n")?;
        fs::set_permissions(&part, fs::Permissions::from_mode(0o755))?;
        fs::rename(&part, &path).with_context(|| format!("making {}", path.display()))?;
    }
    Ok(path)
}

/// The same, where Kubernetes has been built on this machine already.
pub fn kubectl_if_built() -> Result<Option<PathBuf>> {
    let is_built = cache::dir()?.join(KUBE.folder).join(KUBE.name).is_file();
    is_built.then(kubectl).transpose()
}
