//! A demo that outlives its command: `--keep` and `--stop`.
//!
//! A process of its own session tells the story and then stays, with the pods and a light load. The command
//! ends when it has settled.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use gateway_tests::{
    Name, came_true,
    client::{ConnectLoad, Dialect, HttpLoad, http::Asker},
    take_down,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    GOING_DOWN,
    stage::{INGRESS, NEW, OLD, Stage, TCP_PORT, route},
};

/// The story at the pace of a show, on a slow machine.
const STORY: Duration = Duration::from_mins(10);
const GOODBYE: Duration = Duration::from_secs(20);

/// Starts the process that stays, and waits until it has settled.
pub fn launch(check: bool) -> Result<()> {
    ensure!(!is_up(), "a demo is up already; take it down first: cargo xtask demo --stop");
    let mut command = Command::new(env::current_exe()?);
    command.arg("--stay").args(check.then_some("--check")).stdin(Stdio::null());
    let mut child = in_session_of_its_own(&mut command).spawn().context("starting the process that stays")?;
    forward_signals(child.id())?;
    let mut ended = None;
    let settled = came_true(STORY, || {
        ended = child.try_wait().ok().flatten();
        ended.is_some() || settled_file().exists()
    });
    if let Some(status) = ended {
        bail!("it ended with {status}");
    }
    ensure!(settled, "still not settled after {STORY:?}");
    print_commands();
    Ok(())
}

/// Keeps `stage` up, with both versions and a light load, until SIGTERM.
pub fn stay(mut stage: Stage) -> Result<()> {
    stage.start_servers(OLD)?;
    stage.deploy(&[OLD, NEW])?;
    stage.wait_for_route(OLD, 2)?;
    let client = &stage.lab.client().netns;
    let asker = Asker { class: "anyone", host: "foo.bar.com", user_agent: "Chrome" };
    let _requests = HttpLoad::start(client, stage.http(), &[asker], 2, 10);
    let _connections = ConnectLoad::start(client, stage.tcp(), Dialect::Http, 10);
    fs::write(pid_file(), std::process::id().to_string())?;
    // The terminal is the command's again.
    let log = fs::File::create(Name::kept().run_dir().join("demo.log"))?;
    rustix::stdio::dup2_stdout(&log)?;
    rustix::stdio::dup2_stderr(&log)?;
    fs::write(settled_file(), "")?;
    loop {
        std::thread::park();
    }
}

/// Takes down what [`launch`] left up.
pub fn stop() -> Result<()> {
    if !is_up() {
        println!("no demo is up");
        return Ok(());
    }
    let pid = fs::read_to_string(pid_file()).ok().and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?));
    if let Some(pid) = pid {
        // It may be gone already, and what it left is taken down below.
        let _ = kill_process(pid, Signal::TERM);
    }
    if !came_true(GOODBYE, || !is_up()) {
        take_down(&Name::kept())?;
    }
    ensure!(!is_up(), "something of it is left: see `ip netns` and {}", Name::kept().run_dir().display());
    println!("the demo is down, nothing is left of it");
    Ok(())
}

fn print_commands() {
    let dir = Name::kept().run_dir();
    let pins = Name::kept().pin_dir();
    let node = Name::kept().namespace("node");
    let client = Name::kept().namespace("client0");
    println!(
        "\n   It stays up, with both versions and a light load. Try:\n
export WEIR_ADMIN=unix:{dir}/admin.sock
{weir} get
{weir} weight {INGRESS} '{old}=90%' '{new}=10%'
{weir} condition {INGRESS} '{old}' 'Header X-Group has testers'
{weir} top --once
ip netns exec {client} curl -s -H 'Host: foo.bar.com' http://192.168.0.1/
ip netns exec {client} curl -s http://192.168.0.1:{TCP_PORT}/
bpftool map dump pinned {pins}/v1/VERDICT_STATS
ip -n {node} link show up0
cat {dir}/workloads.yaml
cargo xtask demo --stop\n",
        dir = dir.display(),
        pins = pins.display(),
        weir = gateway_tests::agent::weir().map_or("weir".into(), |path| path.display().to_string()),
        old = route(OLD),
        new = route(NEW),
    );
}

fn in_session_of_its_own(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: setsid is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            Ok(())
        })
    }
}

/// Has Ctrl-C on this command end the process that was to stay.
fn forward_signals(child: u32) -> Result<()> {
    let child = i32::try_from(child).ok().and_then(Pid::from_raw).context("a process id")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            GOING_DOWN.store(true, Ordering::Relaxed);
            eprintln!("\ndemo: taking everything down");
            let _ = kill_process(child, Signal::TERM);
            came_true(GOODBYE, || !is_up());
            std::process::exit(130);
        }
    });
    Ok(())
}

fn is_up() -> bool {
    Name::kept().run_dir().exists()
        || PathBuf::from("/run/netns").join(Name::kept().namespace("node")).exists()
}

fn pid_file() -> PathBuf {
    Name::kept().run_dir().join("demo.pid")
}

fn settled_file() -> PathBuf {
    Name::kept().run_dir().join("demo.settled")
}
