//! A second agent on the same pins takes over; one that fails on the way changes nothing.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use gateway_tests::wait_until;

use crate::shop::{SOON, Shop};

/// An agent may take this long to be ready or to have resumed, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command that starts another agent like the shop's, with one argument changed.
fn command_with(shop: &Shop, flag: &str, value: &str) -> Command {
    let command = shop.agent.run_command().unwrap();
    let mut arguments: Vec<_> =
        command.get_args().map(|argument| argument.to_str().unwrap().to_owned()).collect();
    let at = arguments.iter().position(|argument| argument == flag).expect("the harness gives this flag");
    value.clone_into(&mut arguments[at + 1]);
    let mut changed = shop.lab.node.command(command.get_program());
    changed.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    changed
}

fn wait_for_exit(child: &mut Child) -> std::process::ExitStatus {
    wait_until(PATIENCE, "it exits", || child.try_wait().unwrap().is_some());
    child.wait().unwrap()
}

fn pid_of(shop: &Shop) -> u64 {
    shop.agent.json(&["status"]).unwrap()["pid"].as_u64().unwrap()
}

fn is_in_charge(shop: &Shop) -> bool {
    shop.agent.json(&["status"]).is_ok_and(|status| status["phase"] == "serving" && status["ready"] == true)
}

fn assert_in_charge(shop: &Shop) {
    wait_until(PATIENCE, "the agent serves", || is_in_charge(shop));
    for weights in [["(1.0.3)=30%", "(2.0.1)=70%"], ["(1.0.3)=60%", "(2.0.1)=40%"]] {
        shop.agent.cli(&["weight", "foo-tcp", weights[0], weights[1]]).unwrap();
    }
    let dump = shop.agent.json(&["dump"]).unwrap();
    assert_eq!(dump["differences"].as_array().map(Vec::len), Some(0), "{dump}");
}

#[test]
fn a_successor_takes_everything_over_and_operators_notice_nothing() {
    let mut shop = Shop::open("succeed", &["1.0.3", "2.0.1"]);
    shop.agent.cli(&["weight", "foo-tcp", "(1.0.3)=95%", "(2.0.1)=5%"]).unwrap();
    let old = pid_of(&shop);
    let cli = |shop: &Shop, arguments: &[&str]| shop.agent.cli_command(arguments).unwrap();
    let (mut reads, mut writes) =
        (cli(&shop, &["get"]), cli(&shop, &["weight", "foo-tcp", "(1.0.3)=95%", "(2.0.1)=5%"]));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                for command in [&mut reads, &mut writes] {
                    gateway_tests::netns::run(command).unwrap();
                    asked += 1;
                }
            }
            asked
        });
        shop.agent.replace().unwrap();
        done.store(true, Ordering::Relaxed);
        assert!(asking.join().unwrap() >= 2, "nothing was asked in the meantime");
    });
    assert_ne!(pid_of(&shop), old);
    assert_eq!(shop.weight("(1.0.3)"), ("95%".to_owned(), "cli".to_owned()));
    assert_in_charge(&shop);
    // And once more: the successor can be succeeded.
    shop.agent.replace().unwrap();
    assert_in_charge(&shop);
}

#[test]
fn a_successor_that_fails_on_the_way_leaves_the_old_agent_in_charge() {
    let shop = Shop::open("fails", &["1.0.3", "2.0.1"]);
    let old = pid_of(&shop);
    let _taken = shop.lab.node.run(|| TcpListener::bind("127.0.0.1:9292").unwrap());
    let output = command_with(&shop, "--metrics", "127.0.0.1:9292").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("--metrics 127.0.0.1:9292"), "{error}");
    assert_in_charge(&shop);
    assert_eq!(pid_of(&shop), old);
    let log = shop.agent.log();
    assert!(log.contains("went away before it was ready"), "{log}");
}

#[test]
fn a_successor_that_would_lose_what_was_said_at_run_time_is_refused() {
    let shop = Shop::open("folder", &["1.0.3"]);
    let other = shop.lab.dir().join("other");
    let output = command_with(&shop, "--state-dir", other.to_str().unwrap()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(shop.agent.state_dir().to_str().unwrap()), "{error}");
    assert!(!shop.agent.log().contains("takes over"), "{}", shop.agent.log());
}

#[test]
fn a_successor_with_a_broken_file_never_bothers_the_old_agent() {
    let shop = Shop::open("nofile", &["1.0.3"]);
    let output = command_with(&shop, "--config", "/nonexistent.yaml").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!shop.agent.log().contains("takes over"), "{}", shop.agent.log());
}

#[test]
fn a_successor_killed_at_any_moment_leaves_one_agent_in_charge_or_l4_to_the_next() {
    let mut shop = Shop::open("killed", &["1.0.3", "2.0.1"]);
    for round in 0..10_u64 {
        let mut successor = shop.agent.run_command().unwrap().stdin(Stdio::null()).spawn().unwrap();
        // A moment, not a condition: what is waited for is that nothing in particular has happened.
        let moment = Duration::from_millis(130 * round);
        wait_until(moment + SOON, "the moment has come", {
            let begun = std::time::Instant::now();
            move || begun.elapsed() >= moment
        });
        successor.kill().unwrap();
        wait_for_exit(&mut successor);
        let old = shop.agent.pid().unwrap();
        // Whatever was on its way to the old agent when the successor died is still taken in.
        wait_until(PATIENCE, "the old agent serves or has left", || !is_running(old) || is_in_charge(&shop));
        if !is_running(old) {
            // It had been told to drain: the successor was in charge when it died.
            shop.agent.kill().unwrap();
            shop.agent.start().unwrap();
        }
        assert_in_charge(&shop);
    }
}

/// A zombie does not run.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
}
