//! What the demo shows: a heading per step, what is typed, and tables that live as long as the step lasts.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _, stdout},
};

use crate::{
    paths::Seen,
    stage::{NEW, OLD, Route},
};

/// Where things are shown.
#[derive(Debug)]
pub struct Screen {
    /// Whether a table may be drawn over.
    pub live: bool,
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
    pub fn command(&mut self, line: &str) {
        self.drawn = 0;
        println!("   {}", bold(self.live, &format!("$ {line}")));
    }

    /// Says something, line by line.
    pub fn say(&mut self, text: &str) {
        self.drawn = 0;
        for line in text.lines() {
            println!("   {line}");
        }
    }

    /// Draws the tables; over the last ones where there is a terminal. `last` is the end of the step, which is shown
    /// everywhere.
    pub fn tables(&mut self, routes: &[Route], seen: &[Seen], last: bool) {
        if !self.live && !last {
            return;
        }
        let text = render(routes, seen);
        let mut out = stdout().lock();
        if self.drawn > 0 {
            let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn);
        }
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
        self.drawn = if last { 0 } else { text.lines().count() };
    }
}

fn render(routes: &[Route], seen: &[Seen]) -> String {
    let mut text = format!("   {:<10} {:>8} {:>10}  {}\n", "route", "weight", "endpoints", "state");
    for route in routes {
        let endpoints = format!("{}/{}", route.endpoints, route.total);
        let _ = writeln!(text, "   {:<10} {:>8} {endpoints:>10}  {}", route.name, route.weight, route.state);
    }
    let width = seen.iter().map(|seen| seen.name.len()).max().unwrap_or(0).max(8);
    let _ = writeln!(
        text,
        "   {:<width$} {:>8} {OLD:>8} {NEW:>8} {:>8} {:>7}",
        "way in", "answers", "share", "failed"
    );
    for Seen { name, tally, .. } in seen {
        let (old, new) = (tally.of(OLD), tally.of(NEW));
        let share = new as f64 / tally.ok.max(1) as f64 * 100.0;
        let _ = writeln!(
            text,
            "   {name:<width$} {:>8} {old:>8} {new:>8} {share:>7.2}% {:>7}",
            tally.ok, tally.failed
        );
    }
    text
}

fn bold(live: bool, text: &str) -> String {
    if live { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}
