//! The last good plan: everything that is needed to serve while the API server is away. It lies in two places:
//! with everything in a folder that does not outlive the machine, and without secrets in one that does.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::facts::{GatewayFacts, NodeFacts, PodFacts, ServiceFacts, SliceFacts};
use crate::state::{self, Document, StateError};

const FILE: &str = "plan";

/// Everything that is needed to serve. None of it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptFacts {
    /// Gateways.
    #[serde(with = "shared")]
    pub gateways: Vec<Arc<GatewayFacts>>,
    /// Their endpoints.
    #[serde(with = "shared")]
    pub slices: Vec<Arc<SliceFacts>>,
    /// Their Services.
    #[serde(with = "shared")]
    pub services: Vec<Arc<ServiceFacts>>,
    /// Pods of the node.
    #[serde(with = "shared")]
    pub pods: Vec<Arc<PodFacts>>,
    /// The node.
    pub node: Option<NodeFacts>,
}

/// Lists of what is shared, as if it were not.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer, T: Serialize>(all: &[Arc<T>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(Arc::as_ref))
    }

    pub(super) fn deserialize<'de, D, T>(from: D) -> Result<Vec<Arc<T>>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        Ok(Vec::<T>::deserialize(from)?.into_iter().map(Arc::new).collect())
    }
}

/// Where it is kept.
#[derive(Clone, Debug)]
pub struct Places {
    /// A folder that goes with a reboot.
    pub run: PathBuf,
    /// One that stays.
    pub state: PathBuf,
}

impl Places {
    /// How much later than it is known something may be kept in each: what a disk writes wears it out.
    pub const EACH: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

    /// What was kept last, if anything that reads back was. A node that was rebooted has it in the second place only.
    pub fn load(&self, node: &str) -> Option<KeptFacts> {
        for path in self.paths() {
            state::remove_drafts(&path);
        }
        self.paths().iter().find_map(|path| load(path, node))
    }

    /// Keeps it in those places of which `which` says so.
    ///
    /// # Errors
    /// The first place that cannot be written; the other one is written all the same.
    pub fn store(&self, facts: &KeptFacts, which: [bool; 2]) -> Result<(), StateError> {
        let document =
            Document::of(facts).map_err(|source| StateError::Broken { path: self.run.join(FILE), source })?;
        let paths = self.paths().into_iter().zip(which).filter(|(_, is_asked)| *is_asked);
        paths.map(|(path, _)| document.store(&path)).fold(Ok(()), Result::and)
    }

    fn paths(&self) -> [PathBuf; 2] {
        [&self.run, &self.state].map(|folder| folder.join(FILE))
    }
}

fn load(path: &Path, node: &str) -> Option<KeptFacts> {
    let shown = path.display();
    let kept: KeptFacts = match state::load_document(path) {
        Ok(kept) => kept?,
        Err(error) => {
            tracing::warn!(%error, "a kept plan is left aside");
            return None;
        }
    };
    // A disk that was moved, or a folder that nodes share.
    let owner = kept.node.as_ref().map(|node| node.name.as_str());
    if owner != Some(node) {
        tracing::warn!(plan = %shown, owner, node, "a kept plan is another node's and is left aside");
        return None;
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(node: &str) -> KeptFacts {
        let node = NodeFacts { name: node.to_owned(), ..NodeFacts::default() };
        let gateway = GatewayFacts { name: "foo".to_owned(), ..GatewayFacts::default() };
        KeptFacts { gateways: vec![Arc::new(gateway)], node: Some(node), ..KeptFacts::default() }
    }

    #[test]
    fn the_plan_survives_the_loss_of_either_place() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { run: dir.path().join("run"), state: dir.path().join("state") };
        assert_eq!(places.load("n1"), None);
        places.store(&facts("n1"), [true; 2]).unwrap();
        std::fs::remove_dir_all(&places.run).unwrap();
        assert_eq!(places.load("n1"), Some(facts("n1")), "rebooted");
        places.store(&facts("n1"), [true, false]).unwrap();
        std::fs::write(places.state.join(FILE), "torn").unwrap();
        assert_eq!(places.load("n1"), Some(facts("n1")));
        std::fs::write(places.run.join(FILE), "torn").unwrap();
        assert_eq!(places.load("n1"), None);
    }

    #[test]
    fn what_others_left_half_written_is_removed_once_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { run: dir.path().join("run"), state: dir.path().join("state") };
        places.store(&facts("n1"), [true; 2]).unwrap();
        let [fresh, old] = ["plan.7-1.new", "plan.7-2.new"].map(|name| places.run.join(name));
        for path in [&fresh, &old, &places.run.join("lock")] {
            let file = std::fs::File::create(path).unwrap();
            let age = if *path == fresh { 0 } else { 3_600 };
            file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        assert_eq!(places.load("n1"), Some(facts("n1")));
        let mut left: Vec<_> =
            std::fs::read_dir(&places.run).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["lock", "plan", "plan.7-1.new"]);
    }

    #[test]
    fn another_node_s_plan_is_left_aside() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { run: dir.path().join("run"), state: dir.path().join("state") };
        places.store(&facts("n1"), [true; 2]).unwrap();
        assert_eq!(places.load("n2"), None);
    }
}
