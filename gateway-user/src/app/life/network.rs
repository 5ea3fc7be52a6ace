//! Changes of interfaces, addresses and routes.

use tokio::sync::watch;

use super::super::kernel::Ticks;

/// Changes of the network that the kernel's ticks find.
#[derive(Default)]
pub(super) struct Network {
    ticks: Option<watch::Receiver<Ticks>>,
    seen: u64,
}

impl Network {
    /// Another data plane has other ticks; they count from 0.
    pub(super) fn follow(&mut self, ticks: Option<watch::Receiver<Ticks>>) {
        let is_same =
            |other: &watch::Receiver<Ticks>| self.ticks.as_ref().is_some_and(|own| own.same_channel(other));
        if !ticks.as_ref().is_some_and(is_same) {
            *self = Self { ticks, seen: 0 };
        }
    }

    /// Waits for a change that was not seen; without a data plane forever.
    pub(super) async fn changed(&mut self) {
        let Some(ticks) = &mut self.ticks else { return std::future::pending().await };
        let Ok(found) = ticks
            .wait_for(|ticks| ticks.network_changes != self.seen)
            .await
            .map(|ticks| ticks.network_changes)
        else {
            self.ticks = None;
            return std::future::pending().await;
        };
        self.seen = found;
    }
}
