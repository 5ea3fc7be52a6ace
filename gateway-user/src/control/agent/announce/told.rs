//! What the agent says to those who decide who answers, and hears of them.

use std::{collections::BTreeMap, net::IpAddr};

/// Addresses that have a Lease, each with whether this node is to answer for it.
pub type Answers = BTreeMap<IpAddr, bool>;

/// What the agent says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Addresses that load balancers gave, each with whether this node may answer for it.
    pub servable: BTreeMap<IpAddr, bool>,
    /// What the kernel was told last; `None` where that was a predecessor's doing.
    pub in_force: Option<Answers>,
    /// Whether others are to answer.
    pub is_leaving: bool,
}

impl Told {
    pub(super) fn may_answer(&self, address: IpAddr) -> bool {
        !self.is_leaving && self.servable.get(&address) == Some(&true)
    }

    pub(super) fn does_answer(&self, address: IpAddr) -> bool {
        self.in_force.as_ref().is_some_and(|told| told.get(&address) == Some(&true))
    }

    /// Whether it is known that the kernel does not.
    pub(super) fn is_silent(&self, address: IpAddr) -> bool {
        self.in_force.is_some() && !self.does_answer(address)
    }
}
