//! `weir-app load`: asks at a steady rate and counts who answers. A failure is counted, never repeated in silence.

use std::{
    cell::RefCell,
    hash::{BuildHasher as _, RandomState},
    io::{Write as _, stdout},
    pin::pin,
    rc::Rc,
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::{
    sync::watch,
    task::{JoinSet, LocalSet},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    ask::{Asker, Target, Url},
    tally::Tally,
};

/// An answer that takes longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `weir-app load`.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Ask over HTTP: `http://HOST:PORT/PATH`
    #[arg(long, required_unless_present_any = ["tcp", "udp"], conflicts_with_all = ["tcp", "udp"])]
    pub url: Option<String>,
    /// Ask over TCP: HOST:PORT; a line and its echo
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "udp")]
    pub tcp: Option<String>,
    /// Ask over UDP: HOST:PORT; a datagram and its answer
    #[arg(long, value_name = "HOST:PORT")]
    pub udp: Option<String>,
    /// Host field of requests; the URL's host where none is given
    #[arg(long, requires = "url")]
    pub host_header: Option<String>,
    /// A further field of requests, as in 'User-Agent: Firefox'; may be repeated
    #[arg(long, requires = "url", value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// How often, over all connections: N or N/s
    #[arg(long, default_value = "100/s", value_parser = parse_rate)]
    pub rate: f64,
    /// How many ask at the same time
    #[arg(long, default_value_t = 4)]
    pub connections: u32,
    /// A connection for each, instead of keeping them
    #[arg(long)]
    pub fresh: bool,
    /// How long, in seconds; until it is told to end where nothing is said
    #[arg(long = "for", value_name = "SECONDS")]
    pub time: Option<f64>,
    /// How many times, all in all; whatever the time where nothing is said
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
}

/// Asks until `end`, or until the time is over; prints the counts each second and at the end.
///
/// # Errors
/// Where the target makes no sense. Failures of what is sent are counted.
pub async fn load(args: &Args, end: impl Future<Output = ()>) -> Result<()> {
    let tally = Rc::default();
    let mut asking = pin!(ask(args, Rc::clone(&tally), end));
    let mut second = interval(Duration::from_secs(1));
    second.tick().await;
    let done = loop {
        tokio::select! {
            done = &mut asking => break done,
            _ = second.tick() => print(&tally),
        }
    };
    print(&tally);
    done
}

/// Asks until `end`, or until the time is over, and waits for the answers that are due.
///
/// # Errors
/// Where the target makes no sense.
pub async fn ask(args: &Args, tally: Rc<RefCell<Tally>>, end: impl Future<Output = ()>) -> Result<()> {
    ensure!(args.rate > 0.0 && args.connections > 0, "a rate and a number of connections above 0");
    let asker = Asker::new(target(args)?, args.fresh, &args.header)?;
    let (stop, stopped) = watch::channel(false);
    let tasks = LocalSet::new();
    let mut askers = JoinSet::new();
    for number in 0..args.connections {
        let rhythm = Rhythm::new(args, number);
        let one = keep_asking(asker.clone(), rhythm, args.count, Rc::clone(&tally), stopped.clone());
        askers.spawn_local_on(one, &tasks);
    }
    let over = async {
        match args.time {
            Some(time) => sleep(Duration::from_secs_f64(time)).await,
            None => std::future::pending().await,
        }
    };
    let all = async {
        let mut over = pin!(async {
            tokio::select! {
                () = over => {}
                () = end => {}
            }
        });
        loop {
            tokio::select! {
                () = &mut over => break,
                // One after the other, where there is a count.
                done = askers.join_next() => if done.is_none() { break },
            }
        }
        let _ = stop.send(true);
        while askers.join_next().await.is_some() {}
    };
    tasks.run_until(all).await;
    Ok(())
}

/// When one of several askers asks: in turn with the others, and each time up to half a beat late. Loads that kept time
/// exactly could fall into step: two that take turns at a proxy would each be given one version of two.
#[derive(Clone, Copy, Debug)]
struct Rhythm {
    first: Duration,
    every: Duration,
}

impl Rhythm {
    fn new(args: &Args, number: u32) -> Self {
        let between = Duration::from_secs_f64(1.0 / args.rate);
        Self { first: between * number, every: between * args.connections }
    }

    /// How late it is this time.
    fn late(self) -> Duration {
        let random = RandomState::new().hash_one(self.first);
        (self.every / 2).mul_f64(f64::from(random as u32) / f64::from(u32::MAX))
    }
}

async fn keep_asking(
    mut asker: Asker,
    rhythm: Rhythm,
    count: Option<u64>,
    tally: Rc<RefCell<Tally>>,
    mut stopped: watch::Receiver<bool>,
) {
    sleep(rhythm.first).await;
    let mut beat = interval(rhythm.every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = beat.tick() => {}
        }
        sleep(rhythm.late()).await;
        if count.is_some_and(|count| tally.borrow().asked() >= count) {
            return;
        }
        tally.borrow_mut().sent();
        let answered = timeout(PATIENCE, asker.ask()).await;
        let outcome = answered.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")));
        if outcome.is_err() {
            asker.forget();
        }
        tally.borrow_mut().outcome(outcome);
    }
}

fn target(args: &Args) -> Result<Target> {
    if let Some(url) = &args.url {
        return Ok(Target::Http(Url::parse(url, args.host_header.as_deref())?));
    }
    let (target, address): (fn(String) -> Target, _) =
        if args.tcp.is_some() { (Target::Tcp, &args.tcp) } else { (Target::Udp, &args.udp) };
    let address = address.clone().unwrap_or_default();
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    ensure!(port.is_some(), "`{address}`: expected HOST:PORT, as in foo-tcp.default:9000 or [::1]:9000");
    Ok(target(address))
}

fn print(tally: &RefCell<Tally>) {
    let mut out = stdout().lock();
    // Whoever has stopped reading does not care.
    let _ = writeln!(out, "{}", tally.borrow().json());
    let _ = out.flush();
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().map_err(|_| "expected a number of requests a second, as in 100/s".to_owned())
}
