//! Whoever is killed while he writes the state leaves the old one or the new one.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use weir::state::StateFolder;

use crate::usage::Dir;

const FOLDER: &str = "WEIR_TEST_STATE_FOLDER";
const KILLS: u32 = 100;
/// Large enough that a write takes a while: most kills hit one.
const ENTRIES: u32 = 20_000;

type State = BTreeMap<u32, u64>;

/// All values are the version: a mixture of two would show.
fn state(version: u64) -> State {
    (0..ENTRIES).map(|entry| (entry, version)).collect()
}

/// Not a test by itself: the process that is killed. Stores version after version, and says each when it is
/// stored.
#[test]
#[ignore = "started by another test, which kills it"]
fn a_process_that_stores_until_it_is_killed() {
    let mut folder = StateFolder::open(env::var_os(FOLDER).unwrap().as_ref()).unwrap();
    folder.take().unwrap();
    let last = folder.load::<State>().unwrap().map_or(0, |state| state[&0]);
    for version in last + 1.. {
        folder.store(&state(version)).unwrap();
        println!("stored {version}");
    }
}

#[test]
fn a_hundred_kills_during_a_write_leave_the_old_state_or_the_new_one() {
    let dir = Dir::new("state");
    let mut during_a_write = 0;
    for round in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "state::a_process_that_stores_until_it_is_killed"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let stored =
            |line: &String| line.strip_prefix("stored ").map(|version| version.parse::<u64>().unwrap());
        let begun = Instant::now();
        let first = lines.find_map(|line| stored(&line)).unwrap();
        // Spread over the time that a write takes.
        let until = Instant::now() + begun.elapsed() * (round % 20) / 20;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.filter_map(|line| stored(&line)).last().unwrap_or(first);
        let mut folder = StateFolder::open(dir.path()).unwrap();
        folder.take().expect("the lock of a dead process is free");
        let found = folder.load::<State>().unwrap().unwrap();
        let version = found[&0];
        assert!(found == state(version), "round {round}: a mixture of states");
        // The rename may have been done and not been told.
        assert!(version == last || version == last + 1, "round {round}: {version} after {last}");
        during_a_write += u32::from(dir.path().join("state.new").exists());
    }
    assert!(during_a_write > KILLS / 10, "only {during_a_write} of {KILLS} kills hit a write");
}

#[test]
fn a_stopped_writer_keeps_others_out() {
    let dir = Dir::new("held");
    let mut first = StateFolder::open(dir.path()).unwrap();
    first.take().unwrap();
    let mut second = StateFolder::open(dir.path()).unwrap();
    let asked = Instant::now();
    let error = second.take().unwrap_err().to_string();
    assert!(asked.elapsed() < Duration::from_secs(1), "it is tried, not waited for");
    assert!(error.contains("--state-dir") && error.contains(&std::process::id().to_string()), "{error}");
}
