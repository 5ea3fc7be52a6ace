//! One look at a cluster, by whoever is on none of its nodes.

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::core::DynamicObject;

use super::{
    translate,
    view::{Change, Delta, Event, View},
};

/// Objects as they were listed.
#[derive(Debug, Default)]
pub struct Listed {
    /// `WeirGateway`s.
    pub gateways: Vec<DynamicObject>,
    /// Slices that were published for them.
    pub slices: Vec<EndpointSlice>,
    /// Their Services.
    pub services: Vec<Service>,
}

/// What they mean, as a node would take it that has no address.
pub fn look(listed: Listed, system_namespace: &str) -> Delta {
    let mut view = View::new("", system_namespace);
    let Listed { gateways, slices, services } = listed;
    for facts in services.into_iter().filter_map(translate::service) {
        view.handle(Change::Service(Event::Applied(facts)));
    }
    for facts in gateways.into_iter().filter_map(translate::gateway) {
        view.handle(Change::Gateway(Event::Applied(facts)));
    }
    for facts in slices.into_iter().filter_map(translate::slice) {
        view.handle(Change::Slice(Event::Applied(facts)));
    }
    view.tell_all()
}
