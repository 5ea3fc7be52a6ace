//! Used wrongly, it says what was expected and exits with 2; failing, it says what to do and exits with 1. None
//! of this needs rights or leaves anything behind.

use std::fs;

use gateway_tests::command::{Folder, Ran, assert_says, run};

/// What it wrote to standard error, after it exited with `code`.
fn refused(code: i32, arguments: &[&str]) -> String {
    let Ran { code: exited, out, err } = run(arguments);
    assert_eq!(exited, Some(code), "weir {}: {err}", arguments.join(" "));
    assert_eq!(out, "");
    err
}

#[test]
fn usage_errors_name_the_flag_and_exit_with_2() {
    let cases: [(&[&str], &[&str]); 12] = [
        (&[], &["Usage"]),
        (&["rum"], &["unrecognized subcommand", "run"]),
        (&["run"], &["--config", "--interface"]),
        (
            &["run", "--config", "a", "--interface", "e", "--address", "10.0.0"],
            &["--address", "10.0.0", "expected an IP address"],
        ),
        (&["run", "--config", "a", "--interface", "e", "--address", "0.0.0.0"], &["--address", "wildcard"]),
        (&["run", "--config", "a", "--interface", "a/b"], &["--interface", "network device"]),
        (&["run", "--config", "a", "--interface", "e", "--admin", "localhost:1"], &["--admin", "unix:PATH"]),
        (
            &["run", "--config", "a", "--interface", "e", "--admin", "0.0.0.0:9190"],
            &["--admin", "--admin-token-file", "loopback"],
        ),
        (&["weight", "foo", "(1.0.3)=5"], &["(1.0.3)=5", "percent sign"]),
        (&["weight", "foo", "(1.0.3)=5%", "(1.0.3)=6%"], &["(1.0.3)", "two weights"]),
        (&["condition", "foo", "(1)", "User-Agent ~ x"], &["column 12", "expected"]),
        (&["get", "other/foo", "-n", "default"], &["other/foo", "default"]),
    ];
    for (arguments, words) in cases {
        assert_says(&refused(2, arguments), words);
    }
}

#[test]
fn commands_without_an_agent_say_how_to_reach_one_and_exit_with_1() {
    for command in [&["get"][..], &["describe", "foo"], &["status"], &["top", "--once"], &["dump"]] {
        let error = refused(1, &[command, &["--admin", "unix:/nonexistent/weir.sock"]].concat());
        assert_says(&error, &["unix:/nonexistent/weir.sock", "weir run", "--admin"]);
    }
}

#[test]
fn a_start_with_files_that_are_wrong_names_file_line_and_column_and_exits_with_1() {
    let dir = Folder::new("usage");
    let cases = [
        ("name: foo\nport: [\n", "syntax"),
        ("name: foo\nkind: gateways\nselektor: label(app)(foo)\n", "unknown-field"),
        ("name: foo\nkind: services\nselector: label(a)(b)\n", "kind"),
        ("name: foo\nselector: label(app(foo)\n", "selector"),
        (
            "name: foo\nroutes:\n  \"[10.0.0.1:80]\": {weight: 60%}\n  \"[10.0.0.2:80]\": {weight: 50%}\n",
            "weights",
        ),
        ("name: foo\nroutes:\n  \"[10.0.0.1:80]\": {condition: \"Path ~ x\"}\n", "condition"),
    ];
    for (text, word) in cases {
        let file = dir.path().join("gateways.yaml");
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let error = refused(1, &["run", "--config", file, "--interface", "lo", "--pin-dir", "/nonexistent"]);
        assert_says(&error, &[file, word, "; "]);
        let place = error.split(&format!("{file}:")).nth(1).unwrap_or_default();
        let numbers: Vec<_> = place.split(':').take(2).map(str::parse::<u32>).collect();
        assert!(numbers.iter().all(Result::is_ok), "no line and column in: {error}");
    }
}

#[test]
fn a_start_with_a_file_or_a_device_that_does_not_exist_says_so() {
    let error = refused(1, &["run", "--config", "/nonexistent.yaml", "--interface", "lo"]);
    assert_says(&error, &["/nonexistent.yaml", "no such file"]);
    let dir = Folder::new("device");
    let file = dir.path().join("gateways.yaml");
    fs::write(&file, "").unwrap();
    let error = refused(1, &["run", "--config", file.to_str().unwrap(), "--interface", "weir-none"]);
    assert_says(&error, &["--interface weir-none", "lo"]);
}

#[test]
fn the_effective_configuration_can_be_printed() {
    let printed =
        run(&["run", "--config", "/a", "--interface", "eth0", "--drain-timeout", "5s", "--print-config"]);
    assert_eq!(printed.code, Some(0));
    assert_says(
        &printed.out,
        &[
            "interfaces:\n- eth0",
            "state_dir: /var/lib/weir",
            "drain_timeout: 5s",
            "admin: unix:/run/weir/admin.sock",
        ],
    );
}
