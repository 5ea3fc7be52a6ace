//! README.md's parts that are to be typed, run line by line as they are written.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::exec::{command, root, show};

/// The parts that are run, one after the other.
const PARTS: [&str; 2] = ["## Five minutes of exploring", "## Before anything is deployed"];

/// Ends at the first command that fails, says which, and leaves nothing up.
const PREAMBLE: &str = "set -e\n\
    trap 'echo \"README.md: $BASH_COMMAND: failed\" >&2' ERR\n\
    trap 'cargo xtask demo --stop' EXIT\n";

/// Runs the commands of these parts in one shell, as a reader would; the first that fails fails it. They take down
/// what they put up, and so does this when it fails midway.
pub fn run() -> Result<()> {
    let path = root().join("README.md");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let commands: String = PARTS.iter().map(|part| commands(&text, part)).collect();
    ensure!(commands.contains("demo --stop"), "README.md does not take its demo down with demo --stop");
    let script = format!("{PREAMBLE}{commands}");
    show(command(Path::new("bash")).args(["-c", &script]))
}

/// The lines of a part's `sh` blocks.
fn commands(text: &str, part: &str) -> String {
    let part = text.split_once(part).map_or("", |(_, part)| part);
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
        let text =
            "```sh\nno\n```\n## Part\nno\n```sh\none\ntwo\n```\n```\nno\n```\n## Next\n```sh\nno\n```\n";
        assert_eq!(commands(text, "## Part"), "one\ntwo\n");
    }
}
