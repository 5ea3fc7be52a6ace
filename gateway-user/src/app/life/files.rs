//! The files of artifacts and workloads.

use gateway_model::finding::Finding;
use tokio::sync::watch;

use super::super::sources::Sources;
use crate::{
    config::Config,
    watch::{Texts, Watch},
};

/// Files, followed.
pub(super) struct Files {
    /// Of gateway artifacts.
    pub(super) artifacts: watch::Receiver<Texts>,
    /// Of workloads.
    pub(super) workloads: watch::Receiver<Texts>,
}

impl Files {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// Where there is nothing to start with, with all that is wrong.
    pub(super) fn open(config: &Config) -> anyhow::Result<(Self, Sources)> {
        let mut files = Self {
            artifacts: Watch::new(&config.artifacts).follow(),
            workloads: Watch::new(&config.workloads).follow(),
        };
        let mut sources = Sources::new(&config.namespace);
        files.read_into(&mut sources);
        let fatal = sources.fatal();
        if !fatal.is_empty() {
            let all: Vec<_> = fatal.iter().map(Finding::to_string).collect();
            anyhow::bail!("there is nothing to start with:\n  {}", all.join("\n  "));
        }
        Ok((files, sources))
    }

    /// Takes over what they say now.
    pub(super) fn read_into(&mut self, sources: &mut Sources) {
        sources.set_artifacts(&self.artifacts.borrow_and_update());
        sources.set_workloads(&self.workloads.borrow_and_update());
    }
}
