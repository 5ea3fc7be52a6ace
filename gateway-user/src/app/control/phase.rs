//! Serving, yielding to a successor, and serving again where it did not come to be.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use gateway_model::discovery::Kept;
use tokio::task::{self, JoinHandle};

use super::{
    super::{declared::Declared, kernel::Kernel},
    Control,
};
use crate::{
    admin::Refusal,
    config::Config,
    dataplane::{self, Loaded, Options},
};

/// Who writes the maps and the state.
#[derive(Debug)]
pub(in crate::app) enum Phase {
    /// This agent.
    Serving(Kernel),
    /// A successor; this agent serves requests on.
    Yielding,
    /// Nobody, since a successor went away: this agent tries each second to write again.
    Recovering,
    /// A successor, which serves as well: this agent has nothing left to do.
    Succeeded,
}

impl Phase {
    pub(super) fn kernel(&self) -> Option<&Kernel> {
        match self {
            Self::Serving(kernel) => Some(kernel),
            Self::Yielding | Self::Recovering | Self::Succeeded => None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Serving(_) => "serving",
            Self::Yielding => "yielding to a successor",
            Self::Recovering => "recovering from a successor that failed",
            Self::Succeeded => "succeeded by another agent",
        }
    }
}

/// Programs that are being loaded, on a thread where that holds nothing up.
#[derive(Debug)]
pub(in crate::app) struct Loading(JoinHandle<Result<Loaded, dataplane::Error>>);

impl Loading {
    /// Begins to load the programs over the pins that are below `pin_dir`.
    pub(in crate::app) fn begin(pin_dir: &Path) -> Self {
        let pin_dir = pin_dir.to_owned();
        Self(task::spawn_blocking(move || Loaded::load(&pin_dir)))
    }

    /// Waits until they are there.
    ///
    /// # Errors
    /// Where the host does not suffice or the kernel refuses.
    pub(in crate::app) async fn done(self) -> anyhow::Result<Loaded> {
        Ok(self.0.await.context("loading the programs")??)
    }
}

/// How the data plane is to be set up.
///
/// # Errors
/// Where control groups cannot be had.
pub(super) fn options(config: &Config) -> anyhow::Result<Options> {
    let mut options = Options::new(config.interfaces.clone());
    let cgroup = match &config.cgroup {
        Some(cgroup) => cgroup.clone(),
        None => dataplane::ensure_cgroup2().context("--cgroup")?.join("weir"),
    };
    options.cgroup = Some(cgroup);
    options.services_cgroup.clone_from(&config.services_cgroup);
    if config.cluster.is_some() && options.services_cgroup.is_none() {
        // A node's pods reach Services by connect(2).
        options.services_cgroup = Some(dataplane::ensure_cgroup2().context("--services-cgroup")?);
    }
    Ok(options)
}

impl Control {
    /// Stops writing: the maps and the state are a successor's from now on.
    pub(in crate::app) fn yield_to_successor(&mut self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Serving(_) => {}
            Phase::Yielding | Phase::Recovering | Phase::Succeeded => return Err(Refusal::Yielding),
        }
        tracing::info!("a successor takes over; requests are served on until it is ready");
        // Closes the data plane; everything pinned goes on.
        self.phase = Phase::Yielding;
        self.state.release();
        Ok(())
    }

    /// The successor serves.
    pub(in crate::app) fn be_succeeded(&mut self) {
        self.phase = Phase::Succeeded;
    }

    /// The successor went away: writes again.
    pub(in crate::app) async fn resume(&mut self) {
        if matches!(self.phase, Phase::Yielding) {
            tracing::warn!("the successor went away before it was ready; this agent goes on");
            self.phase = Phase::Recovering;
            self.try_to_recover().await;
        }
    }

    /// What ticks find, while there are ticks.
    pub(in crate::app) fn ticks(&self) -> Option<tokio::sync::watch::Receiver<super::super::kernel::Ticks>> {
        self.phase.kernel().map(Kernel::ticks)
    }

    pub(super) async fn try_to_recover(&mut self) {
        if matches!(self.phase, Phase::Recovering) {
            let recovered = self.recover().await;
            self.note(recovered);
        }
    }

    async fn recover(&mut self) -> anyhow::Result<()> {
        // The successor may take a moment to die, with the lock.
        self.state.take()?;
        // It may have stored what was changed through it.
        let is_ours = matches!(self.desired.declared, Declared::Files(_));
        let kept: Option<Kept> = if is_ours { self.state.load()? } else { None };
        let loaded = Loading::begin(&self.config.pin_dir).done().await?;
        let kernel = Kernel::open(loaded, options(&self.config)?).await?;
        self.marks.set(kernel.call(|dataplane| dataplane.marker())?);
        self.phase = Phase::Serving(kernel);
        self.forget_announced();
        if is_ours {
            let kept = kept.unwrap_or_default();
            self.stored = kept.clone();
            self.desired.planner.set_kept(kept);
        }
        // Clients first: the proxy still has its table, and connections wait for nobody.
        self.hand_over_listeners()?;
        self.try_refresh()
    }

    /// Where the pins are, for the last words.
    pub(in crate::app) fn pin_dir(&self) -> PathBuf {
        self.config.pin_dir.clone()
    }
}
