//! README.md's exploring part, run line by line as it is written.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::exec::{command, root, show};

/// The part that is run.
const PART: &str = "## Five minutes of exploring";

/// Ends at the first command that fails, says which, and leaves nothing up.
const PREAMBLE: &str = "set -e\n\
    trap 'echo \"README.md: $BASH_COMMAND: failed\" >&2' ERR\n\
    trap 'cargo xtask demo --stop' EXIT\n";

/// Runs the commands of that part in one shell, as a reader would; the first that fails fails it. The part takes
/// down what it puts up, and so does this when it fails midway.
pub fn run() -> Result<()> {
    let path = root().join("README.md");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let commands = commands(&text);
    ensure!(commands.contains("demo --stop"), "the part {PART:?} of README.md does not end with demo --stop");
    let script = format!("{PREAMBLE}{commands}");
    show(command(Path::new("bash")).args(["-c", &script]))
}

/// The lines of the part's `sh` blocks.
fn commands(text: &str) -> String {
    let part = text.split_once(PART).map_or("", |(_, part)| part);
    let part = part.split_once("\n## ").map_or(part, |(part, _)| part);
    let mut inside = false;
    let mut commands = String::new();
    for line in part.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => commands.extend([line, "\n"]),
            _ => {}
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shell_blocks_of_the_part_are_run() {
        let text = format!(
            "```sh\nno\n```\n{PART}\nno\n```sh\none\ntwo\n```\n```\nno\n```\n## Next\n```sh\nno\n```\n"
        );
        assert_eq!(commands(&text), "one\ntwo\n");
    }
}
