//! What the demo shows: a heading per step and a table that lives as long as the step lasts.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _, stdout},
};

use crate::{
    shares::Shares,
    stage::{INGRESS, NEW, OLD, Route, Stage, route},
};

/// Where things are shown.
#[derive(Debug)]
pub struct Screen {
    /// Whether a table may be drawn over.
    live: bool,
    /// Lines of the table that stands at the bottom.
    drawn: usize,
    step: usize,
}

impl Screen {
    pub fn new() -> Self {
        Self { live: stdout().is_terminal(), drawn: 0, step: 0 }
    }

    /// Begins a step.
    pub fn heading(&mut self, text: &str) {
        self.step += 1;
        self.drawn = 0;
        println!("\n{} {text}", bold(self.live, &format!("{}.", self.step)));
    }

    /// Says what is done, as a user would type it.
    pub fn command(&self, line: &str) {
        println!("   {}", bold(self.live, &format!("$ {line}")));
    }

    /// Says something.
    pub fn say(&mut self, text: &str) {
        self.drawn = 0;
        println!("   {text}");
    }

    /// Draws the table; over the last one where there is a terminal. `last` is the end of the step, which is
    /// shown everywhere.
    pub fn table(&mut self, stage: &Stage, shares: &Shares, held: (usize, usize), last: bool) {
        if !self.live && !last {
            return;
        }
        let table = render(stage, shares, held);
        let mut out = stdout().lock();
        if self.drawn > 0 {
            let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn);
        }
        let _ = out.write_all(table.as_bytes());
        let _ = out.flush();
        self.drawn = if last { 0 } else { table.lines().count() };
    }
}

fn render(stage: &Stage, shares: &Shares, (open, broken): (usize, usize)) -> String {
    let routes = stage.routes().unwrap_or_default();
    let counters = stage.agent.json(&["top", "--once"]).unwrap_or_default();
    let mut table = format!(
        "   {:<12} {:<8} {:>7} {:>9} {:>9} {:>12} {:>7} {:>9} {:>11}\n",
        "gateway", "route", "weight", "measured", "answers", "by condition", "errors", "packets", "bytes"
    );
    for entry in &routes {
        let version = if entry.name == route(NEW) { NEW } else { OLD };
        let is_ingress = entry.gateway == INGRESS;
        let tally = if is_ingress { &shares.unmatched } else { &shares.connections };
        let answered = tally.answered().max(1) as f64;
        let captured = if is_ingress { shares.matched.version(version) } else { 0 };
        let errors = tally.failures.len() + if is_ingress { shares.matched.failures.len() } else { 0 };
        let (packets, bytes) = traffic_of(&counters, entry);
        let _ = writeln!(
            table,
            "   {:<12} {:<8} {:>7} {:>8.2}% {:>9} {:>12} {:>7} {:>9} {:>11}  {}",
            entry.gateway,
            entry.name,
            entry.weight,
            tally.version(version) as f64 / answered * 100.0,
            tally.version(version),
            captured,
            errors,
            packets,
            bytes,
            entry.condition.as_deref().unwrap_or_default(),
        );
    }
    let _ = writeln!(table, "   connections held open: {open}, broken: {broken}");
    table
}

/// Packets and bytes of a route, towards its pods, from the answer of `weir top --once -o json`.
fn traffic_of(counters: &serde_json::Value, of: &Route) -> (u64, u64) {
    let named = |list: &serde_json::Value, name: &str| {
        list.as_array().into_iter().flatten().find(|entry| entry["name"] == name).cloned()
    };
    let route =
        named(&counters["gateways"], of.gateway).and_then(|gateway| named(&gateway["routes"], &of.name));
    let field = |name: &str| route.as_ref().and_then(|route| route[name].as_u64()).unwrap_or(0);
    (field("packets"), field("bytes"))
}

fn bold(live: bool, text: &str) -> String {
    if live { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}
