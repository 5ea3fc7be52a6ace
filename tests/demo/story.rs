//! The story, step by step.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gateway_tests::{Name, came_true};

use crate::{
    audit::Audit,
    kernel::{self, Counters},
    screen::Screen,
    shares::Shares,
    stage::{INGRESS, NEW, OLD, Stage, TCP, route},
    traffic::{Traffic, Window},
};

/// How long a step is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As briefly as a share can be judged.
    Check,
    /// Long enough to watch.
    Show,
}

impl Pace {
    /// Samples of a step, and the least time it takes.
    fn step(self) -> (u64, Duration) {
        match self {
            Self::Check => (400, Duration::ZERO),
            Self::Show => (400, Duration::from_secs(5)),
        }
    }
}

/// A step that has not its samples after this long has failed.
const STUCK: Duration = Duration::from_mins(1);

/// Everything that a step needs.
struct Teller {
    stage: Stage,
    traffic: Traffic,
    screen: Screen,
    pace: Pace,
    /// Whether Firefox users have a route of their own by now.
    condition: bool,
    audit: Audit,
    /// What the audit found, line by line.
    books: Vec<String>,
}

/// Tells it on a stage of that name; the stage, with version 2.0.1 alone, is left up.
///
/// # Errors
/// The first thing that is not as promised.
pub fn tell(name: &Name, pace: Pace) -> Result<Stage> {
    let mut screen = Screen::new();
    let began = Instant::now();
    screen.heading(&format!("A client, a node and four pods; the agent starts, {OLD} is all there is"));
    let stage = Stage::build(name)?;
    stage.wait_for_route(OLD, 2)?;
    let audit = Audit::start(&stage)?;
    let traffic = Traffic::start(&stage)?;
    let mut teller = Teller { stage, traffic, screen, pace, condition: false, audit, books: Vec::new() };
    teller.watch(0.0)?;
    teller.appear()?;
    teller.try_with_firefox()?;
    for (weight, why) in [
        (5, "5 % of everyone"),
        (50, "Half of everyone"),
        (5, "Back to 5 %: a rollback moves new traffic only, and cuts nobody"),
        (100, "Everyone"),
    ] {
        teller.weigh(weight, why)?;
    }
    teller.remove_old()?;
    teller.end(began)
}

impl Teller {
    fn appear(&mut self) -> Result<()> {
        self.screen.heading(&format!("{NEW} is deployed: its route appears at 0 %, nobody gets it"));
        self.stage.deploy(&[OLD, NEW])?;
        self.stage.wait_for_route(NEW, 2)?;
        self.watch(0.0)
    }

    fn try_with_firefox(&mut self) -> Result<()> {
        self.screen.heading(&format!("Firefox users get {NEW}, by a condition; everyone else stays"));
        let condition = "User-Agent is Firefox";
        self.screen.command(&format!("weir condition {INGRESS} '{}' '{condition}'", route(NEW)));
        self.stage.agent.cli(&["condition", INGRESS, &route(NEW), condition])?;
        self.condition = true;
        self.watch(0.0)
    }

    fn weigh(&mut self, new: u8, why: &str) -> Result<()> {
        let old = 100 - new;
        self.screen.heading(why);
        for gateway in [INGRESS, TCP] {
            let (old_route, new_route) = (route(OLD), route(NEW));
            self.screen.command(&format!("weir weight {gateway} '{old_route}={old}%' '{new_route}={new}%'"));
        }
        self.stage.weigh(old, new)?;
        self.watch(f64::from(new) / 100.0)?;
        if new == 50 {
            // Held on both versions from here on.
            self.traffic.hold_more(&self.stage)?;
        }
        Ok(())
    }

    fn remove_old(&mut self) -> Result<()> {
        self.screen.heading(&format!("{OLD} is removed, once the last of its connections has been closed"));
        self.audit_requests()?;
        self.traffic.leave_old()?;
        self.stage.deploy(&[NEW])?;
        self.stage.wait_for_route(OLD, 0)?;
        self.stage.stop_servers(OLD);
        self.watch(1.0)
    }

    /// Watches until the step has its samples, and judges it: `weight` is the share of the new version.
    fn watch(&mut self, weight: f64) -> Result<()> {
        let from = Instant::now();
        let (samples, least) = self.pace.step();
        let mut drawn = Instant::now();
        let mut shares = self.measure(from);
        let done = came_true(STUCK, || {
            shares = self.measure(from);
            if drawn.elapsed() > Duration::from_millis(500) {
                drawn = Instant::now();
                self.screen.table(&self.stage, &shares, self.traffic.held(), false);
            }
            shares.samples() >= samples && from.elapsed() >= least
        });
        self.screen.table(&self.stage, &shares, self.traffic.held(), true);
        shares.check(weight)?;
        ensure!(done, "only {} samples in {STUCK:?}", shares.samples());
        self.traffic.check_held()
    }

    fn measure(&self, from: Instant) -> Shares {
        Shares::measure(&self.traffic, Window { from, to: Instant::now() }, self.condition)
    }

    /// Audits the ingress gateway while all connections to its pods are open: what is exchanged after the
    /// agent has let go of one, no hook sees.
    fn audit_requests(&mut self) -> Result<()> {
        self.traffic.pause_requests()?;
        self.books.extend(compare(&self.audit, &self.stage, INGRESS)?);
        self.traffic.resume_requests();
        Ok(())
    }

    fn end(self, began: Instant) -> Result<Stage> {
        let Self { stage, traffic, mut screen, audit, books, .. } = self;
        screen.heading("What it was");
        let seen = traffic.stop()?;
        for (what, journal) in [("requests", &seen.requests), ("connections", &seen.connections)] {
            let tally = journal.tally(|_| true);
            ensure!(tally.failures.is_empty(), "{what} failed: {:?}", tally.failures);
            screen.say(&format!("{} {what}, 0 failed: {:?}", tally.answered(), tally.versions));
        }
        for line in books.into_iter().chain(compare(&audit, &stage, TCP)?) {
            screen.say(&line);
        }
        audit.stop()?;
        let excerpt = kernel::excerpt(&stage.agent.pin_dir(), TCP, &route(NEW))
            .context("an excerpt of the kernel's counters")?;
        println!("\n{excerpt}\n");
        screen.say(&format!("All of it in {:.0} s.", began.elapsed().as_secs_f64()));
        Ok(stage)
    }
}

/// Compares the kernel's counters of `gateway` with what was on the wires; a line per route.
fn compare(audit: &Audit, stage: &Stage, gateway: &str) -> Result<Vec<String>> {
    let describe = |(route, counters): (String, Counters)| {
        let Counters { packets, bytes, reply_packets, reply_bytes } = counters;
        format!(
            "{gateway} {route}: {packets} packets, {bytes} bytes in, {reply_packets} packets, {reply_bytes} bytes \
             back: kernel and wire agree"
        )
    };
    Ok(audit.compare(stage, gateway)?.into_iter().map(describe).collect())
}
