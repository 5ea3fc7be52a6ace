//! Reading what the commands are about.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use gateway_model::{
    finding::{self, Finding, Place},
    gateway::{self, Gateway},
    key::GatewayKey,
    resolve,
    snapshot::Settings,
    workload::{self, Workload},
};
use serde::Serialize;

use crate::{
    cli::{
        args::{FileArgs, Output},
        block_on,
        cluster::{self, Cluster, World},
        draw, output,
    },
    watch::{self, ReadError, Texts},
};

/// What files say, and what is wrong with it.
#[derive(Debug, Default)]
pub(in crate::cli) struct Loaded {
    pub gateways: Vec<Gateway>,
    pub workloads: Vec<Workload>,
    pub findings: Vec<Finding>,
    /// The texts, by the name that findings call them by.
    pub sources: draw::Sources,
    /// Whether workloads were given, and all could be read.
    pub knows_workloads: bool,
}

impl Loaded {
    /// Reads artifacts and workloads.
    pub(in crate::cli) fn read(artifacts: &[PathBuf], workloads: &[PathBuf], namespace: &str) -> Self {
        let mut loaded = Self::default();
        let mut known: HashMap<GatewayKey, usize> = HashMap::new();
        loaded.add(artifacts, |loaded, file, text| {
            let parsed = gateway::parse(file, text, namespace);
            loaded.findings.extend(parsed.findings);
            for gateway in parsed.gateways {
                if let Some(first) = known.get(&gateway.key) {
                    loaded.findings.push(gateway::repeated(&gateway, &loaded.gateways[*first]));
                } else {
                    known.insert(gateway.key.clone(), loaded.gateways.len());
                    loaded.gateways.push(gateway);
                }
            }
        });
        let before = loaded.findings.len();
        loaded.add(workloads, |loaded, file, text| {
            let parsed = workload::parse(file, text, namespace);
            loaded.findings.extend(parsed.findings);
            loaded.workloads.extend(parsed.workloads);
        });
        let broken = loaded.findings[before..].iter().any(Finding::is_error);
        loaded.knows_workloads = !workloads.is_empty() && !broken;
        loaded
    }

    /// Adds what came of resolving, but for what compares it with surroundings that nobody looked at: host names
    /// are never looked up here.
    pub(in crate::cli) fn extend(&mut self, resolved: impl IntoIterator<Item = Finding>) {
        let is_known = |finding: &Finding| {
            finding.code != "external-unresolved"
                && (self.knows_workloads || !resolve::ABOUT_SURROUNDINGS.contains(&finding.code))
        };
        let known: Vec<Finding> = resolved.into_iter().filter(is_known).collect();
        self.findings.extend(known);
    }

    fn add(&mut self, paths: &[PathBuf], mut parse: impl FnMut(&mut Self, &str, &str)) {
        for (path, text) in read(paths) {
            let file = path.display().to_string();
            match text {
                Ok(text) => {
                    parse(self, &file, &text);
                    self.sources.insert(file, text);
                }
                Err(error) => self.findings.push(unreadable(file, &error)),
            }
        }
    }

    /// Puts findings in the order of their places; says whether something is wrong.
    pub(in crate::cli) fn settle(&mut self) -> bool {
        finding::sort(&mut self.findings);
        self.findings.iter().any(Finding::is_error)
    }

    /// Draws the findings on standard error; how many there were stands below.
    pub(in crate::cli) fn complain(&self) -> io::Result<()> {
        let mut err = io::stderr().lock();
        let drawn = draw::findings(&self.findings, &self.sources, output::is_styled(&io::stderr()));
        err.write_all(drawn.as_bytes())?;
        if let Some(summary) = draw::summary(&self.findings) {
            writeln!(err, "{summary}")?;
        }
        Ok(())
    }
}

/// The gateways and workloads of files, or those in force in the cluster; and how the model is to work with them.
pub(in crate::cli) fn load(args: &FileArgs) -> anyhow::Result<(Loaded, Settings)> {
    if !args.config.is_empty() {
        return Ok((Loaded::read(&args.config, &args.workloads, args.namespace()), Settings::default()));
    }
    let world = block_on(async {
        let cluster = Cluster::need(&args.cluster).await?;
        cluster.world(args.namespace.as_deref()).await
    })?;
    let World { in_force: gateways, workloads, .. } = world;
    let loaded = Loaded { gateways, workloads, knows_workloads: true, ..Loaded::default() };
    Ok((loaded, cluster::settings()))
}

/// The texts of files and folders; `-` is standard input.
pub(in crate::cli) fn read(paths: &[PathBuf]) -> Texts {
    let (input, named): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| path == Path::new("-"));
    let mut texts = watch::read(&named);
    if !input.is_empty() {
        texts.insert(PathBuf::from("-"), watch::read_from(io::stdin().lock()));
    }
    texts
}

/// The finding for a file that cannot be read.
pub(in crate::cli) fn unreadable(file: String, error: &ReadError) -> Finding {
    let advice = "name a YAML or JSON file that you may read, or a folder of such";
    let message = format!("{file}: {error}");
    Finding::error("unreadable-file", message, advice).at(&Place { file, line: 1, column: 1, length: 1 })
}

/// A finding as it is printed.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct FindingView<'a> {
    code: &'a str,
    severity: finding::Severity,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    length: Option<u32>,
    gateway: Option<String>,
    message: &'a str,
    advice: &'a str,
}

impl<'a> From<&'a Finding> for FindingView<'a> {
    fn from(finding: &'a Finding) -> Self {
        let place = finding.place.as_ref();
        Self {
            code: finding.code,
            severity: finding.severity,
            file: place.map(|place| place.file.as_str()),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            length: place.map(|place| place.length),
            gateway: finding.gateway.as_ref().map(ToString::to_string),
            message: &finding.message,
            advice: &finding.advice,
        }
    }
}

/// Findings as they are printed.
pub(in crate::cli) fn views(findings: &[Finding]) -> Vec<FindingView<'_>> {
    findings.iter().map(Into::into).collect()
}

/// Prints an answer: for people, with the findings drawn on standard error; else whole, findings in it.
pub(in crate::cli) fn answer(
    loaded: &Loaded,
    format: Output,
    value: &impl Serialize,
    table: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    if format == Output::Table {
        loaded.complain()?;
    }
    output::show(format, &serde_json::to_value(value)?, |_| Ok(table()))
}
