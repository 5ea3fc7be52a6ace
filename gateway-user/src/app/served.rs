//! What the language can say and this agent does not serve yet. Such a gateway is left out, and told so: nothing
//! of what it asks for is quietly not done.

use gateway_model::{
    finding::{Finding, Place},
    gateway::{Gateway, PortType},
};

/// A finding for each thing that `gateway` asks for and this agent does not serve.
pub(super) fn lacks(gateway: &Gateway) -> Vec<Finding> {
    let mut lacking: Vec<(String, &Place)> = Vec::new();
    let kind = gateway.kind();
    if matches!(kind, PortType::Https | PortType::Tls) {
        lacking.push((format!("a port of type {kind}"), gateway.place_of("port")));
    }
    if !gateway.tls.is_empty() {
        lacking.push(("`tls`".to_owned(), gateway.place_of("tls")));
    }
    if gateway.sticky.is_some() {
        lacking.push(("`sticky`".to_owned(), gateway.place_of("sticky")));
    }
    for route in &gateway.routes {
        if !route.rewrites.is_empty() {
            lacking.push(("`rewrites`".to_owned(), route.place_of("rewrites")));
        }
        let host = route.external().map(|(host, _)| host);
        if host.is_some_and(|host| host.parse::<std::net::IpAddr>().is_err()) {
            lacking.push((format!("the host name of route `{}`", route.name), &route.place));
        }
    }
    let finding = |(what, place): (String, &Place)| {
        let message = format!("{what} is not served by this agent yet");
        Finding::error("unsupported", message, "leave it out").at(place).of(&gateway.key)
    };
    lacking.into_iter().map(finding).collect()
}
