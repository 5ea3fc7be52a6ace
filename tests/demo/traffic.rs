//! The load: requests to the shared port, connections to the TCP gateway, and connections held open.

use std::time::Instant;

use anyhow::{Result, ensure};
use gateway_tests::client::{ConnectLoad, Dialect, Held, HttpLoad, Journal, Record, http::Asker};

use crate::stage::{OLD, Stage};

/// Class of the requests that no condition captures.
pub const CHROME: &str = "chrome";
/// Class of the requests of Firefox users.
pub const FIREFOX: &str = "firefox";

const ASKERS: [Asker; 2] = [
    Asker { class: CHROME, host: "foo.bar.com", user_agent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0" },
    Asker {
        class: FIREFOX,
        host: "foo.bar.com",
        user_agent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0",
    },
];
/// Connections per kind of user, kept alive all along.
const USERS: usize = 4;
/// Requests a second on each of them.
const REQUESTS: u32 = 40;
/// New connections to the TCP gateway a second.
const CONNECTIONS: u32 = 200;
/// Connections to the TCP gateway that are held, per batch; a third of them is silent.
const HELD: usize = 30;

/// Everything that runs all along.
#[derive(Debug)]
pub struct Traffic {
    requests: HttpLoad,
    connections: ConnectLoad,
    held: Vec<Held>,
}

/// What has been seen, once nothing runs any more.
#[derive(Debug)]
pub struct Seen {
    pub requests: Journal,
    pub connections: Journal,
}

impl Traffic {
    /// Starts it.
    pub fn start(stage: &Stage) -> Result<Self> {
        let client = &stage.lab.client().netns;
        Ok(Self {
            requests: HttpLoad::start(client, stage.http(), &ASKERS, USERS, REQUESTS),
            connections: ConnectLoad::start(client, stage.tcp(), Dialect::Http, CONNECTIONS),
            held: vec![hold(stage)?],
        })
    }

    /// Holds another batch of connections open.
    pub fn hold_more(&mut self, stage: &Stage) -> Result<()> {
        self.held.push(hold(stage)?);
        Ok(())
    }

    /// Has every held connection, the silent ones too, be answered once more.
    pub fn check_held(&self) -> Result<()> {
        self.held.iter().try_for_each(Held::speak)
    }

    /// Closes the held connections to the old version, as their clients would in the end.
    pub fn leave_old(&self) -> Result<()> {
        self.held.iter().try_for_each(|held| held.close(OLD))
    }

    /// Number of held connections that are open, and of those that broke.
    pub fn held(&self) -> (usize, usize) {
        let open = self.held.iter().flat_map(Held::connections).filter(|c| !c.closed && c.broken.is_none());
        (open.count(), self.held.iter().map(|held| held.broken().len()).sum())
    }

    /// Sends no requests for a while; connections stay open.
    pub fn pause_requests(&self) -> Result<()> {
        self.requests.pause().map_err(anyhow::Error::msg)
    }

    /// Goes on.
    pub fn resume_requests(&self) {
        self.requests.resume();
    }

    /// Requests so far.
    pub fn requests(&self) -> &Journal {
        self.requests.journal()
    }

    /// Connections so far.
    pub fn connections(&self) -> &Journal {
        self.connections.journal()
    }

    /// Sends no more, waits for what is due, and lets go of what is held.
    ///
    /// # Errors
    /// Where a kept-alive connection had to be opened again.
    pub fn stop(self) -> Result<Seen> {
        self.check_held()?;
        drop(self.held);
        let connections = self.connections.stop();
        let opened = self.requests.opened();
        let requests = self.requests.stop();
        let users = (USERS * ASKERS.len()) as u64;
        ensure!(
            opened == users,
            "{users} connections to port 80 were to be kept alive, {opened} were opened"
        );
        Ok(Seen { requests, connections })
    }
}

fn hold(stage: &Stage) -> Result<Held> {
    Held::open_in(Dialect::Http, &stage.lab.client().netns, stage.tcp(), HELD, HELD / 3)
}

/// A stretch of time in which the weights stayed as they were.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// When the change before was acknowledged.
    pub from: Instant,
    /// Just before the next one was asked for.
    pub to: Instant,
}

impl Window {
    /// Whether `record` is wholly inside.
    pub fn has(&self, record: &Record) -> bool {
        record.began >= self.from && record.ended <= self.to
    }
}
