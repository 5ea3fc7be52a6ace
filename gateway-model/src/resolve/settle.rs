//! Which declarations are to be in force, and what each may have for itself.
//!
//! A gateway that was in force and cannot be as it is declared now (its port belongs to another, say) stays as it
//! was. It is out of force only where it cannot stay either.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    claims::{self, Claim, Claimed, PortSpace},
    declared::Declared,
};
use crate::{discovery::KeptGateway, finding::Finding, gateway::Gateway, key::GatewayKey};

/// What is to be in force.
#[derive(Debug)]
pub(crate) struct Settled<'a> {
    /// Gateways in the order declared: as they were those that stay so, the others as they are declared.
    pub gateways: Cow<'a, [Gateway]>,
    /// Which of them count.
    pub declared: Declared,
    /// By gateway; one that is not in force is not in it.
    pub claims: BTreeMap<GatewayKey, Claim>,
    /// What is wrong; with those that stay as they were, what is wrong with how they are declared.
    pub findings: Vec<Finding>,
    /// Those that stay as they were.
    pub stayed: BTreeSet<GatewayKey>,
}

/// Settles what is to be in force of `asked`. `was` knows the declaration of each gateway that is in force, `kept`
/// each gateway of `asked`.
pub(crate) fn settle<'a, 'b>(
    asked: &'a [Gateway],
    was: impl Fn(&GatewayKey) -> Option<&'b Gateway>,
    kept: &BTreeMap<GatewayKey, KeptGateway>,
    space: PortSpace<'_>,
) -> Settled<'a> {
    let mut lost: BTreeSet<GatewayKey> = BTreeSet::new();
    loop {
        let can_stay = |key: &GatewayKey| was(key).filter(|_| !lost.contains(key));
        let settled = attempt(asked, can_stay, kept, space);
        let out = settled.stayed.iter().filter(|key| !settled.claims.contains_key(*key));
        let out: Vec<GatewayKey> = out.cloned().collect();
        // Nobody is to give way to a gateway that is not in force after all.
        if out.is_empty() {
            return settled;
        }
        lost.extend(out);
    }
}

/// Takes declarations back one after the other, until nobody is out of force who could stay as it was.
fn attempt<'a, 'b>(
    asked: &'a [Gateway],
    can_stay: impl Fn(&GatewayKey) -> Option<&'b Gateway>,
    kept: &BTreeMap<GatewayKey, KeptGateway>,
    space: PortSpace<'_>,
) -> Settled<'a> {
    let mut gateways = Cow::Borrowed(asked);
    let mut stayed: BTreeSet<GatewayKey> = BTreeSet::new();
    let mut told: Vec<Finding> = Vec::new();
    loop {
        let declared = Declared::new(&gateways);
        let valid: Vec<&Gateway> = declared.valid().map(|index| &gateways[index]).collect();
        let Claimed { claims, findings } = claims::settle(&valid, kept, space);
        let mut findings = [declared.findings.as_slice(), &findings].concat();
        findings.retain(|finding| !is_of(&stayed, finding));
        let out = gateways.iter().enumerate().filter(|(index, gateway)| {
            let is_out = !claims.contains_key(&gateway.key) && !stayed.contains(&gateway.key);
            is_out && declared.get(&gateway.key) == Some(*index)
        });
        let back = out.filter_map(|(index, gateway)| {
            Some((index, can_stay(&gateway.key).filter(|was| *was != gateway)?.clone()))
        });
        let back: Vec<(usize, Gateway)> = back.collect();
        if back.is_empty() {
            findings.extend(told);
            return Settled { gateways, declared, claims, findings, stayed };
        }
        let keys: BTreeSet<GatewayKey> = back.iter().map(|(_, gateway)| gateway.key.clone()).collect();
        told.extend(findings.into_iter().filter(|finding| is_of(&keys, finding)));
        stayed.extend(keys);
        for (index, gateway) in back {
            gateways.to_mut()[index] = gateway;
        }
    }
}

fn is_of(keys: &BTreeSet<GatewayKey>, finding: &Finding) -> bool {
    finding.gateway.as_ref().is_some_and(|key| keys.contains(key))
}
