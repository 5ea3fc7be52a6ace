//! What a lab is called: every namespace, folder, pin and control group of it derives from one name.

use std::{
    fmt,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

/// The name of a lab: `weir-<tag>-<process id>-<number>`, or `weir-demo` for the demo that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The lab that outlives its command; the only one whose name carries no process id.
    pub const KEPT: &str = "weir-demo";

    /// A name that no other live process uses. `tag` is a short word in lower case.
    pub fn unique(tag: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("weir-{tag}-{}-{number}", std::process::id()))
    }

    /// [`Name::KEPT`].
    pub fn kept() -> Self {
        Self(Self::KEPT.to_owned())
    }

    /// Takes a name back from the name of one of its namespaces; `None` for one that is not ours.
    pub(crate) fn of_namespace(namespace: &str) -> Option<Self> {
        let (name, _role) = namespace.rsplit_once('-')?;
        let name = Self(name.to_owned());
        (name.0 == Self::KEPT || name.owner().is_some()).then_some(name)
    }

    /// The process that made the lab; `None` for the kept one.
    pub(crate) fn owner(&self) -> Option<u32> {
        let mut parts = self.0.rsplit('-');
        let _number: u32 = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        self.0.starts_with("weir-").then_some(pid)
    }

    /// Name of the namespace that plays `role`; a role has no dash.
    pub fn namespace(&self, role: &str) -> String {
        format!("{}-{role}", self.0)
    }

    /// Folder for state, sockets, logs and configuration.
    pub fn run_dir(&self) -> PathBuf {
        PathBuf::from("/run").join(&self.0)
    }

    /// Folder for pins.
    pub fn pin_dir(&self) -> PathBuf {
        PathBuf::from("/sys/fs/bpf").join(&self.0)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_leads_back_to_its_lab_and_owner() {
        let name = Name::unique("flows");
        let back = Name::of_namespace(&name.namespace("pod0")).unwrap();
        assert_eq!(back, name);
        assert_eq!(back.owner(), Some(std::process::id()));
    }

    #[test]
    fn the_kept_lab_has_no_owner() {
        assert_eq!(Name::kept().owner(), None);
        assert_eq!(Name::of_namespace("weir-demo-client"), Some(Name::kept()));
    }

    #[test]
    fn foreign_namespaces_are_not_ours() {
        for foreign in ["cni-1234-0-x", "weir", "weir-cluster-n1", "blue"] {
            assert_eq!(Name::of_namespace(foreign), None, "{foreign}");
        }
    }
}
