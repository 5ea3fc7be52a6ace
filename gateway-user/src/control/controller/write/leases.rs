//! Leases of addresses: they come and go with their addresses.

use std::net::IpAddr;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams},
};

use super::{WriteError, Writer, only};
use crate::control::{
    agent::store::Event,
    controller::watch::Change,
    resource::CONTROLLER,
    translate::{self, LeaseFacts},
};

impl Writer {
    /// Makes Leases of addresses, and removes others. One that is there already keeps its holder.
    pub(in crate::control::controller) async fn change_leases(
        self,
        lacking: Vec<IpAddr>,
        orphans: Vec<LeaseFacts>,
    ) -> Result<Vec<Change>, WriteError> {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut changes = Vec::new();
        for address in lacking {
            let lease = translate::free_lease(address);
            let name = translate::lease_name(address);
            let params = PatchParams::apply(CONTROLLER).force();
            let made = self.ask("lease", &name, api.patch(&name, &params, &Patch::Apply(&lease))).await?;
            changes.extend(translate::lease(made).map(|lease| Change::Lease(Event::Applied(lease))));
        }
        for LeaseFacts { key, uid, .. } in orphans {
            match self.ask("lease", &key.1, api.delete(&key.1, &only(uid))).await {
                Err(error) if !error.has_code(404) => return Err(error),
                Ok(_) | Err(_) => changes.push(Change::Lease(Event::Deleted(key, 0))),
            }
        }
        Ok(changes)
    }
}
