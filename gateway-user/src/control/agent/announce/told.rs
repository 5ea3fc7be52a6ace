//! What the agent says to those who decide who answers, and hears of them.

use std::{collections::BTreeMap, net::IpAddr};

/// Addresses that have a Lease, each with whether this node is to answer for it.
pub type Answers = BTreeMap<IpAddr, bool>;

/// What the agent says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Addresses that load balancers gave, each with whether this node may answer for it.
    pub servable: BTreeMap<IpAddr, bool>,
    /// What the kernel was told last.
    pub in_force: Answers,
    /// Whether others are to answer.
    pub is_leaving: bool,
}

impl Told {
    pub(super) fn may_answer(&self, address: IpAddr) -> bool {
        !self.is_leaving && self.servable.get(&address) == Some(&true)
    }

    pub(super) fn does_answer(&self, address: IpAddr) -> bool {
        self.in_force.get(&address) == Some(&true)
    }
}
