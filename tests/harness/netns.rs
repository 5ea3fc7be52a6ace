//! A network namespace, and running things in it.
//!
//! Threads and commands enter it by `setns`; `ip netns exec` would remount /sys and hide bpffs and the
//! control groups.

use std::{
    fs::File,
    io::Write,
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    process::{Signal, set_parent_process_death_signal},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

/// A network namespace. Clones are the same namespace.
#[derive(Clone, Debug)]
pub struct Netns {
    name: Arc<str>,
    file: Arc<File>,
}

impl Netns {
    /// Makes the namespace `name`, with the loopback device up.
    pub(crate) fn create(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let netns = Self::existing(name)?;
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// The namespace `name`, which somebody else has made.
    ///
    /// # Errors
    /// Where there is none.
    pub fn existing(name: &str) -> Result<Self> {
        let path = format!("/run/netns/{name}");
        let file = File::open(&path).with_context(|| format!("opening {path}"))?;
        Ok(Self { name: name.into(), file: Arc::new(file) })
    }

    /// Its name, as `ip netns` lists it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread inside the namespace and waits for it. Sockets made there stay there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                work()
            });
            match inside.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Starts a thread inside the namespace.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let netns = self.clone();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                netns.enter();
                work()
            })
            .expect("a thread can be started")
    }

    /// Starts a thread inside the namespace that runs `work` on a Tokio runtime of its own.
    pub fn spawn_async<T, F>(
        &self,
        name: &str,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> thread::JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        self.spawn(name, || runtime().block_on(work()))
    }

    /// Runs `work` to its end on a Tokio runtime inside the namespace.
    pub fn run_async<T: Send, F: Future<Output = T>>(&self, work: impl FnOnce() -> F + Send) -> T {
        self.run(|| runtime().block_on(work()))
    }

    /// A command that will run inside the namespace, and die with the thread that starts it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let file = Arc::clone(&self.file);
        // SAFETY: two system calls, both async-signal-safe; nothing is allocated between fork and exec.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(())
            });
        }
        command
    }

    /// Runs a command line (split at blanks) inside the namespace; its standard output.
    ///
    /// # Errors
    /// Where it cannot be started or exits with another status than 0, with what it wrote.
    pub fn exec(&self, line: &str) -> Result<String> {
        let mut words = line.split_whitespace();
        let program = words.next().context("an empty command line")?;
        run(self.command(program).args(words)).with_context(|| format!("in {}", self.name))
    }

    /// Feeds lines to `ip -batch` inside the namespace.
    pub fn ip(&self, lines: &str) -> Result<()> {
        self.batch("ip", &["-batch", "-"], lines)
    }

    /// Loads nftables rules inside the namespace.
    pub fn nft(&self, rules: &str) -> Result<()> {
        self.batch("nft", &["-f", "-"], rules)
    }

    /// Sets sysctls inside the namespace: `("net.ipv4.ip_forward", "1")`.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.run(|| {
            for (key, value) in settings {
                let path = format!("/proc/sys/{}", key.replace('.', "/"));
                std::fs::write(&path, value).with_context(|| format!("writing {value} to {path}"))?;
            }
            Ok(())
        })
    }

    fn batch(&self, program: &str, args: &[&str], input: &str) -> Result<()> {
        let mut command = self.command(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {program}"))?;
        let mut stdin = child.stdin.take().expect("standard input is piped");
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} in {}: {}\n{input}", self.name, complaint.trim());
        Ok(())
    }

    fn enter(&self) {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("root may enter a namespace that it holds open");
    }
}

/// Runs `command` to its end; its standard output.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let said = String::from_utf8_lossy(&output.stdout);
        bail!("{command:?}: {}: {}{}", output.status, complaint.trim(), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built")
}
