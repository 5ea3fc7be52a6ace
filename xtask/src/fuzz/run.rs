//! Running the fuzzer on one target, and telling what it found.

use std::{
    collections::VecDeque,
    fmt, fs,
    io::{self, BufRead, BufReader, IsTerminal},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    fuzzer::Fuzzer,
    progress::{Progress, complaint, written_to},
};

/// Lines of a process that are remembered.
const REMEMBERED: usize = 400;
/// Characters of an input that are shown.
const SHOWN: usize = 4_000;

/// A promise that an input breaks.
pub struct Found {
    target: String,
    complaint: String,
    input: PathBuf,
}

/// Runs `jobs` processes on one corpus for `seconds`, or until one finds something.
pub fn run(fuzzer: &Fuzzer, target: &str, seconds: u32, jobs: u32) -> Result<Option<Found>> {
    let (sender, receiver) = mpsc::channel();
    let mut processes = Vec::new();
    for index in 0..jobs as usize {
        let mut search = fuzzer.search(target, seconds)?;
        let mut child = search.stderr(Stdio::piped()).spawn().context("starting the fuzzer")?;
        let stderr = child.stderr.take().context("the fuzzer has no standard error")?;
        let sender = sender.clone();
        thread::spawn(move || forward(index, stderr, &sender));
        processes.push(Process { child, progress: Progress::default(), lines: VecDeque::new() });
    }
    drop(sender);
    let mut screen = Screen::new(target, seconds);
    loop {
        match receiver.recv_timeout(Duration::from_secs(1)) {
            Ok((index, Some(line))) => processes[index].take(line),
            Ok((index, None)) => {
                if !processes[index].child.wait()?.success() {
                    return found(fuzzer, target, index, processes);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        screen.show(&processes);
    }
    screen.finish(&processes);
    Ok(None)
}

/// Sends each line with the index of its process, and nothing at its end.
fn forward(index: usize, stderr: ChildStderr, sender: &Sender<(usize, Option<String>)>) {
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if sender.send((index, Some(line))).is_err() {
            return;
        }
    }
    // Nobody listens any more once another process has found something.
    let _ = sender.send((index, None));
}

/// Stops the others and tells what the process `index` ended with.
fn found(fuzzer: &Fuzzer, target: &str, index: usize, mut processes: Vec<Process>) -> Result<Option<Found>> {
    let lines: Vec<_> = processes.swap_remove(index).lines.into();
    for process in &mut processes {
        // It may have ended by itself just now.
        let _ = process.child.kill();
        process.child.wait()?;
    }
    let Some(input) = written_to(&lines) else { bail!("the fuzzer ended early:\n{}", lines.join("\n")) };
    eprintln!("weir: {target}: something is found; making it short …");
    let shorter = fuzzer.shorten(target, Path::new(input))?;
    let input = shorter.unwrap_or_else(|| PathBuf::from(input));
    Ok(Some(Found { target: target.to_owned(), complaint: complaint(&lines), input }))
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, complaint, input } = self;
        let bytes = fs::read(input).unwrap_or_default();
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text.escape_debug().take(SHOWN).collect::<String>(),
            Err(_) => bytes.escape_ascii().to_string().chars().take(SHOWN).collect(),
        };
        let input = input.display();
        writeln!(f, "weir: {target} breaks a promise: {complaint}")?;
        writeln!(f, "  the input, shortened, {} bytes: \"{text}\"", bytes.len())?;
        writeln!(f, "  saved as {input}")?;
        write!(f, "  again: cargo xtask fuzz {target} --input {input}")
    }
}

/// One process of the fuzzer.
struct Process {
    child: Child,
    progress: Progress,
    lines: VecDeque<String>,
}

impl Process {
    fn take(&mut self, line: String) {
        if let Some(progress) = Progress::read(&line) {
            self.progress = progress;
        } else {
            self.lines.push_back(line);
            if self.lines.len() > REMEMBERED {
                self.lines.pop_front();
            }
        }
    }
}

/// One line that is kept up to date in a terminal, and a line now and then elsewhere.
struct Screen<'a> {
    target: &'a str,
    seconds: u32,
    began: Instant,
    shown: Instant,
    every: Duration,
    is_terminal: bool,
}

impl<'a> Screen<'a> {
    fn new(target: &'a str, seconds: u32) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let every = Duration::from_secs(if is_terminal { 1 } else { 20 });
        let now = Instant::now();
        Self { target, seconds, began: now, shown: now, every, is_terminal }
    }

    fn show(&mut self, processes: &[Process]) {
        if self.shown.elapsed() < self.every {
            return;
        }
        self.shown = Instant::now();
        let (target, seconds, progress) = (self.target, self.seconds, sum(processes));
        let line = format!("weir: {target}: {} of {seconds} s: {progress}", self.began.elapsed().as_secs());
        if self.is_terminal { eprint!("\r{line}\x1b[K") } else { eprintln!("{line}") }
    }

    fn finish(&self, processes: &[Process]) {
        let begin = if self.is_terminal { "\r" } else { "" };
        let end = if self.is_terminal { "\x1b[K" } else { "" };
        let (target, progress) = (self.target, sum(processes));
        let took = self.began.elapsed().as_secs();
        eprintln!("{begin}weir: {target}: no promise broken in {took} s: {progress}{end}");
    }
}

fn sum(processes: &[Process]) -> Progress {
    Progress::sum(&processes.iter().map(|process| process.progress).collect::<Vec<_>>())
}
