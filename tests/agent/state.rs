//! Whoever is killed while he writes the state leaves the old one or the new one.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use weir::state::StateFolder;

use gateway_tests::command::Folder;

const FOLDER: &str = "WEIR_TEST_STATE_FOLDER";
const KILLS: u32 = 100;
/// Large enough that a write takes a while: most kills hit one.
const ENTRIES: u32 = 5_000;

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
    // Where all tests are run, also those that are ignored, nobody started it.
    let Some(folder) = env::var_os(FOLDER) else { return };
    let mut folder = StateFolder::open(folder.as_ref()).unwrap();
    folder.take().unwrap();
    let last = folder.load::<State>().unwrap().map_or(0, |state| state[&0]);
    for version in last + 1.. {
        folder.store(&state(version)).unwrap();
        println!("stored {version}");
    }
}

#[test]
fn a_hundred_kills_during_a_write_leave_the_old_state_or_the_new_one() {
    let dir = Folder::new("state");
    let draft = dir.path().join("state.new");
    let (mut hits, mut rounds) = (0, 0);
    while hits < KILLS {
        rounds += 1;
        assert!(rounds < KILLS * 10, "only {hits} of {rounds} kills hit a write");
        let _ = fs::remove_file(&draft);
        let last = write_and_kill(dir.path(), &draft, rounds);
        hits += u32::from(draft.exists());
        let mut folder = StateFolder::open(dir.path()).unwrap();
        folder.take().expect("the lock of a dead process is free");
        let found = folder.load::<State>().unwrap().unwrap();
        let version = found[&0];
        assert!(found == state(version), "round {rounds}: a mixture of states");
        // The rename may have been done and not been told.
        assert!(version == last || version == last + 1, "round {rounds}: {version} after {last}");
        // By name: a process that another test starts at this moment has a copy of the descriptor until it executes.
        folder.release();
    }
}

/// Starts a process that writes, kills it once a draft is there, and returns the last version that it stored.
fn write_and_kill(dir: &Path, draft: &Path, round: u32) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "state::a_process_that_stores_until_it_is_killed"])
        .env(FOLDER, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let stored = |line: &String| line.strip_prefix("stored ").map(|version| version.parse::<u64>().unwrap());
    let first = lines.find_map(|line| stored(&line)).unwrap();
    let begun = Instant::now();
    while !draft.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the process no longer writes");
        std::hint::spin_loop();
    }
    // From its creation on to well past the rename.
    let until = Instant::now() + Duration::from_micros(u64::from(round % 20) * 100);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    lines.filter_map(|line| stored(&line)).last().unwrap_or(first)
}

#[test]
fn a_stopped_writer_keeps_others_out() {
    let dir = Folder::new("held");
    let mut first = StateFolder::open(dir.path()).unwrap();
    first.take().unwrap();
    let mut second = StateFolder::open(dir.path()).unwrap();
    let asked = Instant::now();
    let error = second.take().unwrap_err().to_string();
    assert!(asked.elapsed() < Duration::from_secs(1), "it is tried, not waited for");
    assert!(error.contains("--state-dir") && error.contains(&std::process::id().to_string()), "{error}");
}
