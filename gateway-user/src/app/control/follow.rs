//! Following a cluster: what a change touches is worked out and put in force, and nothing else.

use std::time::Duration;

use super::{
    super::{answer, declared::Declared},
    Control, Extent,
};
use crate::{
    admin::views::Latency,
    control::agent::{acknowledge::Acknowledgement, view::Delta},
    dataplane::Ingress,
};

/// Upper bounds of the buckets, in microseconds.
const BOUNDS: [u32; 14] = [
    250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];

/// How long changes took, from the arrival of the first event to the last write of a map.
#[derive(Debug, Default)]
pub(super) struct Convergence {
    buckets: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Convergence {
    fn note(&mut self, took: Duration) {
        let bucket = BOUNDS.iter().position(|bound| took <= Duration::from_micros((*bound).into()));
        self.buckets[bucket.unwrap_or(BOUNDS.len())] += 1;
        self.sum += took;
    }

    /// For metrics; nothing where nothing was followed.
    pub(super) fn view(&self) -> Option<Latency> {
        let count: u64 = self.buckets.iter().sum();
        let bounds = BOUNDS.iter().map(|bound| Some(f64::from(*bound) / 1e6)).chain([None]);
        let buckets = bounds.zip(self.buckets).collect();
        (count > 0).then_some(Latency { buckets, sum: self.sum.as_secs_f64(), count })
    }
}

impl Control {
    /// Takes over what has changed in the cluster, and puts it in force. While another agent takes over, it is only
    /// remembered.
    pub(in crate::app) fn follow(&mut self, delta: Delta) {
        // What came while the agent started says nothing of how long a change takes.
        let arrived = delta.arrived.filter(|arrived| *arrived >= self.started);
        let Declared::Cluster(cluster) = &mut self.desired.declared else { return };
        self.desired.are_findings_new |= !delta.findings.is_empty();
        cluster.absorb(delta);
        if self.phase.kernel().is_none() {
            return;
        }
        let before = self.in_force;
        let done = self.try_follow();
        // What changes neither a map nor the proxy's table says nothing of it either.
        if let (Some(arrived), Ok(())) = (arrived, &done)
            && self.in_force != before
        {
            let took = arrived.elapsed();
            self.convergence.note(took);
            tracing::debug!(micros = took.as_micros(), generation = self.in_force, "followed");
        }
        self.note(done);
        self.tell();
    }

    fn try_follow(&mut self) -> anyhow::Result<()> {
        // Routes to external addresses may be among what is new.
        if let Declared::Cluster(cluster) = &mut self.desired.declared
            && cluster.take_is_external_new()
        {
            self.look_for_endpoints()?;
        }
        self.desired.work_out(&self.node);
        self.put_in_force(Extent::Changes)
    }

    /// Says what is new to people and to the cluster.
    pub(super) fn tell(&mut self) {
        let are_findings_new = std::mem::take(&mut self.desired.are_findings_new);
        if are_findings_new || matches!(self.desired.declared, Declared::Files(_)) {
            let findings = self.findings();
            self.log.update(&findings);
        }
        self.acknowledge(are_findings_new);
    }

    fn acknowledge(&mut self, are_findings_new: bool) {
        let Declared::Cluster(cluster) = &self.desired.declared else { return };
        if self.acknowledger.is_none() {
            return;
        }
        // What is not in force is not acknowledged.
        if self.trouble.is_none() {
            self.said.programmed = cluster.resource_version;
        }
        if are_findings_new || self.said.phase.is_empty() {
            let findings = self.findings();
            let errors = findings.iter().filter(|finding| finding.is_error()).map(answer::finding);
            let text = |advice: &str, message: String| format!("{message}; {advice}");
            self.said.errors =
                errors.map(|error| (error.gateway, text(&error.advice, error.message))).collect();
        }
        if self.said.phase.is_empty() {
            self.said.features = super::status::kernel_facts();
            "Serving".clone_into(&mut self.said.phase);
            self.say_interfaces();
        }
        let mut said = self.said.clone();
        said.errors.extend(self.trouble.clone().map(|trouble| (None, trouble)));
        if let Some(acknowledger) = &self.acknowledger {
            acknowledger.say(said);
        }
    }

    /// Notes how the programs are attached.
    pub(super) fn say_interfaces(&mut self) {
        let attachments = self.call(|dataplane| dataplane.attachments()).unwrap_or_default();
        let how = |ingress: Ingress, reason: Option<String>| {
            let mode = super::status::mode(ingress);
            reason.map_or_else(|| mode.to_owned(), |reason| format!("{mode}: {reason}"))
        };
        self.said.interfaces =
            attachments.into_iter().map(|one| (one.interface, how(one.ingress, one.reason))).collect();
    }

    /// Says nothing more to the cluster. Leases that were not given to others stay this node's until they run out: a
    /// successor goes on with them.
    pub(in crate::app) fn fall_silent(&mut self) {
        self.acknowledger = None;
        self.announcing = None;
        self.said = Acknowledgement::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_counted_under_the_bound_that_it_keeps() {
        let mut convergence = Convergence::default();
        assert_eq!(convergence.view(), None);
        for micros in [100, 5_000, 5_001, 9_000_000] {
            convergence.note(Duration::from_micros(micros));
        }
        let view = convergence.view().unwrap();
        let filled: Vec<_> = view.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(Some(0.000_25), 1), (Some(0.005), 1), (Some(0.01), 1), (None, 1)]);
        assert_eq!((view.count, (view.sum * 1e6).round()), (4, 9_010_101.0));
    }
}
