//! Shape of files: length, names of modules, sleeping tests.

use super::{
    Complaint,
    source::{Source, mentions},
};

/// Folders below tests/ that are no suites: what waits there keeps a rhythm.
const PROGRAMS: &[&str] = &["tests/harness/", "tests/app/", "tests/convergence/"];
/// Lines of a file, tests left out.
const LONGEST: usize = 500;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "types", "manager"];

/// What is wrong with the shape of `source`.
pub fn check(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !source.is_rust() {
        return complaints;
    }
    let length = source.tests_begin() - 1;
    if length > LONGEST {
        let what = format!("{length} lines without tests; more than {LONGEST} are too many: split it");
        complaints.push(Complaint::new(0, what));
    }
    let mut names = source.path.trim_end_matches(".rs").rsplit('/');
    let file = names.next().unwrap_or_default();
    if file == "mod" {
        complaints.push(Complaint::new(0, "`foo.rs` beside `foo/`, not `foo/mod.rs`"));
    }
    if let Some(name) = std::iter::once(file).chain(names).find(|name| EMPTY_NAMES.contains(name)) {
        complaints
            .push(Complaint::new(0, format!("`{name}` says nothing: name the module by what it knows")));
    }
    let is_suite =
        source.path.starts_with("tests/") && !PROGRAMS.iter().any(|folder| source.path.starts_with(folder));
    if is_suite {
        for (line, code) in source.code().filter(|(_, code)| mentions(code, "sleep")) {
            let what = format!("`{}`: wait for a condition with a deadline, do not sleep", code.trim());
            complaints.push(Complaint::new(line, what));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> usize {
        check(&Source { path: path.into(), text: text.into() }).len()
    }

    #[test]
    fn long_files_are_refused_but_their_tests_are_free() {
        let code = "\n".repeat(500);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(complaints("a/b.rs", &format!("{code}{tests}")), 0);
        assert_eq!(complaints("a/b.rs", &format!("\n{code}{tests}")), 1);
    }

    #[test]
    fn module_names_say_something() {
        assert_eq!(complaints("gateway-user/src/proxy/mod.rs", ""), 1);
        assert_eq!(complaints("gateway-user/src/proxy/utils.rs", ""), 1);
        assert_eq!(complaints("gateway-user/src/helpers/route.rs", ""), 1);
        assert_eq!(complaints("gateway-common/src/lib.rs", ""), 0);
    }

    #[test]
    fn suites_do_not_sleep() {
        assert_eq!(complaints("tests/netns/main.rs", "std::thread::sleep(second);\n"), 1);
        assert_eq!(complaints("tests/harness/wait.rs", "std::thread::sleep(second);\n"), 0);
        assert_eq!(complaints("tests/app/load.rs", "sleep(pause).await;\n"), 0);
    }
}
