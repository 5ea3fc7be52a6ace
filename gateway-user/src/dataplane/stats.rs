//! Counters, by the names that users know.

use gateway_common::{
    abi::stats::{RouteStats, TrafficStats, VerdictStats},
    verdict::Verdict,
};
use gateway_model::{
    key::{EndpointKey, GatewayKey, RouteName},
    plan::l4::L4Plan,
};

use super::{error::Error, maps::Maps, names::digest, shadow::Shadow};

/// All counters, summed over the CPUs. They rise from the time a gateway, route or endpoint was first seen, over
/// restarts of the agent.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Per gateway: the client leg of connections that the agent answers.
    pub gateways: Vec<GatewayTraffic>,
    /// Per route: packets, bytes and new flows.
    pub routes: Vec<RouteTraffic>,
    /// Per endpoint: packets and bytes.
    pub endpoints: Vec<EndpointTraffic>,
    /// Packets per verdict; all verdicts, by rising number.
    pub verdicts: Vec<(Verdict, u64)>,
}

/// Counters of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayTraffic {
    /// The gateway.
    pub gateway: GatewayKey,
    /// Its index in `GATEWAY_STATS`.
    pub index: u32,
    /// Clients' packets to the agent and back.
    pub traffic: TrafficStats,
}

/// Counters of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTraffic {
    /// The gateway.
    pub gateway: GatewayKey,
    /// The route.
    pub route: RouteName,
    /// Its index in `ROUTE_STATS`.
    pub index: u32,
    /// Its counters.
    pub traffic: RouteStats,
}

/// Counters of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointTraffic {
    /// The endpoint.
    pub endpoint: EndpointKey,
    /// Its id in `BACKEND_STATS`.
    pub id: u32,
    /// Its counters.
    pub traffic: TrafficStats,
}

/// Reads all counters of what `plan` names.
pub(super) fn read(maps: &Maps, shadow: &Shadow, plan: &L4Plan) -> Result<Stats, Error> {
    let names = shadow.names.high_water();
    let routes = maps.route_stats.sum(names, add_route).map_err(Error::map("ROUTE_STATS", "read"))?;
    let gateways = maps.gateway_stats.sum(names, add_traffic).map_err(Error::map("GATEWAY_STATS", "read"))?;
    let backends = shadow.backends.high_water();
    let backends =
        maps.backend_stats.sum(backends, add_traffic).map_err(Error::map("BACKEND_STATS", "read"))?;
    let mut stats = Stats { verdicts: read_verdicts(maps)?, ..Stats::default() };
    for (key, gateway) in &plan.gateways {
        let Some(index) = shadow.names.get(&digest(key, None)) else { continue };
        let traffic = gateways.get(index as usize).copied().unwrap_or_default();
        stats.gateways.push(GatewayTraffic { gateway: key.clone(), index, traffic });
        for (name, route) in &gateway.routes {
            let Some(index) = shadow.names.get(&digest(key, Some(name))) else { continue };
            let traffic = routes.get(index as usize).copied().unwrap_or_default();
            stats.routes.push(RouteTraffic { gateway: key.clone(), route: name.clone(), index, traffic });
            for &address in &route.endpoints {
                let Some(id) = shadow.backends.get(&(index, address)) else { continue };
                let traffic = backends.get(id as usize).copied().unwrap_or_default();
                let endpoint = EndpointKey { gateway: key.clone(), route: name.clone(), address };
                stats.endpoints.push(EndpointTraffic { endpoint, id, traffic });
            }
        }
    }
    Ok(stats)
}

fn read_verdicts(maps: &Maps) -> Result<Vec<(Verdict, u64)>, Error> {
    let add = |sum: &mut VerdictStats, one: &VerdictStats| sum.packets += one.packets;
    let count = Verdict::ALL.len() as u32;
    let counters = maps.verdict_stats.sum(count, add).map_err(Error::map("VERDICT_STATS", "read"))?;
    Ok(Verdict::ALL.iter().copied().zip(counters.into_iter().map(|counter| counter.packets)).collect())
}

fn add_route(sum: &mut RouteStats, one: &RouteStats) {
    sum.packets += one.packets;
    sum.bytes += one.bytes;
    sum.new_flows += one.new_flows;
    sum.reply_packets += one.reply_packets;
    sum.reply_bytes += one.reply_bytes;
}

fn add_traffic(sum: &mut TrafficStats, one: &TrafficStats) {
    sum.packets += one.packets;
    sum.bytes += one.bytes;
    sum.reply_packets += one.reply_packets;
    sum.reply_bytes += one.reply_bytes;
}
