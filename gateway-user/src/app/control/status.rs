//! What the agent says about itself.

use std::collections::BTreeMap;

use super::{super::answer, Control, Phase};
use crate::{
    admin::{
        Refusal,
        views::{DumpView, GatewayView, InterfaceView, StatsView, StatusView},
    },
    dataplane::{Attachment, Ingress},
};

impl Control {
    /// All gateways.
    pub(in crate::app) fn gateways(&self) -> Vec<GatewayView> {
        let desired = &self.desired;
        answer::gateways(
            desired.declared.gateways(),
            desired.resolved(),
            &desired.plan().l4,
            &self.findings(),
        )
    }

    /// The agent itself.
    pub(in crate::app) fn status(&self) -> StatusView {
        let attachments = self.call(|dataplane| dataplane.attachments()).unwrap_or_default();
        let tick_error =
            self.ticks().and_then(|ticks| ticks.borrow().error.as_ref().map(ToString::to_string));
        let detached =
            attachments.iter().find(|attachment| attachment.ingress == Ingress::Absent).map(|one| {
                let reason = one.reason.as_deref().unwrap_or("nothing is attached");
                format!("interface {}: {reason}", one.interface)
            });
        let trouble = self.trouble.clone().or(tick_error).or(detached);
        let resolved = self.desired.resolved();
        // While a successor takes over, this agent still serves what it has.
        let is_in_force = self.in_force > 0 && self.in_force == self.desired.generation;
        StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            generation: self.desired.generation,
            generation_in_force: self.in_force,
            ready: is_in_force
                && trouble.is_none()
                && !matches!(self.phase, Phase::Recovering | Phase::Succeeded),
            phase: self.phase.name().to_owned(),
            kernel_error: trouble,
            interfaces: attachments.into_iter().map(|attachment| self.interface(attachment)).collect(),
            announces: self.announced().iter().map(ToString::to_string).collect(),
            kernel: kernel_facts(),
            gateways: resolved.gateways.len(),
            routes: resolved.gateways.iter().map(|gateway| gateway.routes.len()).sum(),
            findings: self.findings().iter().map(answer::finding).collect(),
            paths: self.paths(),
        }
    }

    /// Counters, read now.
    pub(in crate::app) fn stats(&self) -> Result<StatsView, Refusal> {
        if self.phase.kernel().is_none() {
            return Err(Refusal::Yielding);
        }
        let failed = |error: &dyn std::fmt::Display| Refusal::Failed(error.to_string());
        let kernel = self.call(|dataplane| dataplane.stats()).map_err(|error| failed(&error))?;
        let kernel = kernel.map_err(|error| failed(&error))?;
        let convergence = self.convergence.view();
        Ok(StatsView { convergence, ..answer::stats(&kernel, &self.proxy.stats(), self.desired.resolved()) })
    }

    /// Kernel against desired.
    pub(in crate::app) fn dump(&self) -> Result<DumpView, Refusal> {
        if self.phase.kernel().is_none() {
            return Err(Refusal::Yielding);
        }
        let failed = |error: &dyn std::fmt::Display| Refusal::Failed(error.to_string());
        let dump = self.call(|dataplane| dataplane.dump()).map_err(|error| failed(&error))?;
        let mut dump = dump.map_err(|error| failed(&error))?;
        let differences = std::mem::take(&mut dump.differences);
        let mut kernel = serde_json::to_value(&dump).map_err(|error| failed(&error))?;
        if let Some(fields) = kernel.as_object_mut() {
            fields.remove("differences");
        }
        Ok(DumpView { generation: self.in_force, differences, kernel })
    }

    fn interface(&self, attachment: Attachment) -> InterfaceView {
        let addresses = self.node.devices.get(&attachment.interface);
        InterfaceView {
            mode: mode(attachment.ingress).to_owned(),
            reason: attachment.reason,
            addresses: addresses.into_iter().flatten().map(ToString::to_string).collect(),
            name: attachment.interface,
        }
    }

    fn paths(&self) -> BTreeMap<String, String> {
        let config = &self.config;
        let list = |paths: &[std::path::PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        BTreeMap::from([
            ("config".to_owned(), list(&config.artifacts)),
            ("workloads".to_owned(), list(&config.workloads)),
            ("state".to_owned(), config.state_dir.display().to_string()),
            ("pins".to_owned(), config.pin_dir.display().to_string()),
            ("admin".to_owned(), config.admin.to_string()),
            ("metrics".to_owned(), config.metrics.to_string()),
        ])
    }
}

/// How a program is attached.
pub(super) fn mode(ingress: Ingress) -> &'static str {
    match ingress {
        Ingress::Xdp => "xdp, native",
        Ingress::Tcx => "tcx",
        Ingress::Absent => "absent",
    }
}

/// What matters of the kernel; what Weir cannot do without, it does not start without.
pub(super) fn kernel_facts() -> BTreeMap<String, String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut facts = BTreeMap::from([("release".to_owned(), release)]);
    // Only the first network namespace has this file.
    if let Ok(jit) = std::fs::read_to_string("/proc/sys/net/core/bpf_jit_enable") {
        let jit = match jit.trim() {
            "0" => "off: each packet costs several times as much; set net.core.bpf_jit_enable to 1",
            _ => "on",
        };
        facts.insert("jit".to_owned(), jit.to_owned());
    }
    facts
}
