//! What texts may not say: paths of one machine, and commands that do not exist.

use super::{Complaint, source::Source};

/// What is wrong with the words of `source`; `commands` are those that `cargo xtask` has.
pub fn check(source: &Source, commands: &[String]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    // Put together here, so that this file does not break its own rule.
    let places = ["work", "root", "home"].map(|name| format!("/{name}/"));
    for (index, line) in source.text.lines().enumerate() {
        for place in places.iter().filter(|place| names_path(line, place)) {
            let what = format!("`{place}`: a path of one machine; derive it, or leave it out");
            complaints.push(Complaint::new(index + 1, what));
        }
        for (at, _) in line.match_indices("cargo xtask ") {
            let rest = &line[at + "cargo xtask ".len()..];
            let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '-')).unwrap_or(rest.len());
            let name = &rest[..end];
            if !name.is_empty() && !commands.iter().any(|command| command == name) {
                complaints.push(Complaint::new(index + 1, format!("there is no `cargo xtask {name}`")));
            }
        }
    }
    complaints
}

/// Whether `line` has `place` as the beginning of a path.
fn names_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || "/._-}".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> usize {
        let source = Source { path: "README.md".into(), text: text.into() };
        check(&source, &["demo".to_owned(), "test".to_owned()]).len()
    }

    #[test]
    fn paths_of_one_machine_are_refused() {
        let place = format!("/{}/x", "work");
        assert_eq!(complaints(&format!("cd {place}\n")), 1);
        assert_eq!(complaints("cd target/work/x\n"), 0);
    }

    #[test]
    fn documents_name_only_commands_that_exist() {
        assert_eq!(complaints("`cargo xtask demo --keep`\n"), 0);
        assert_eq!(complaints(&format!("run cargo {} deploy\n", "xtask")), 1);
    }
}
