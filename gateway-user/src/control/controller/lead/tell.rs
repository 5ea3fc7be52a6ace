//! Events: what users of a gateway are to know.

use gateway_model::key::GatewayKey;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};

use super::{Ended, Lead};

/// The API server takes texts up to this length.
const LONGEST: usize = 1_000;

impl Lead {
    /// Tells users of a gateway.
    pub(super) fn tell(&mut self, key: &GatewayKey, reason: &str, mut message: String, is_warning: bool) {
        let Some(of) = self.cluster.of(key) else { return };
        message.truncate(message.floor_char_boundary(LONGEST));
        let object = ObjectReference {
            api_version: Some("weir.dev/v1".to_owned()),
            kind: Some("WeirGateway".to_owned()),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            uid: Some(of.facts.uid.clone()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: if is_warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(message),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let recorder = self.recorder.clone();
        self.tasks.spawn(async move {
            if let Err(error) = recorder.publish(&event, &object).await {
                tracing::debug!(%error, "an event was not told");
            }
            Ended::Told
        });
    }
}
