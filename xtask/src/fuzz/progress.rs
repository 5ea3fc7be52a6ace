//! What libFuzzer says, line by line.

use std::fmt;

/// How far one process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Inputs that were run.
    pub runs: u64,
    /// Inputs per second.
    pub rate: u64,
    /// Edges of the program that some input reached.
    pub reached: u64,
    /// Inputs that are kept, each for something that it reached.
    pub kept: u64,
}

impl Progress {
    /// Reads `#123 NEW cov: 39 ft: 102 corp: 44/31Kb lim: 4096 exec/s: 2534 rss: 27Mb …`; `None` for any other line.
    pub fn read(line: &str) -> Option<Self> {
        let words: Vec<_> = line.strip_prefix('#')?.split_whitespace().collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1)?.split('/').next()?.parse().ok()
        };
        let runs = words.first()?.parse().ok()?;
        let kept = after("corp:").unwrap_or_default();
        Some(Self { runs, rate: after("exec/s:")?, reached: after("cov:").unwrap_or_default(), kept })
    }

    /// That of several processes on one corpus.
    pub fn sum(all: &[Self]) -> Self {
        all.iter().fold(Self::default(), |sum, one| Self {
            runs: sum.runs + one.runs,
            rate: sum.rate + one.rate,
            reached: sum.reached.max(one.reached),
            kept: sum.kept.max(one.kept),
        })
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, rate, reached, kept } = self;
        write!(f, "{runs} runs, {rate}/s, {reached} edges reached by {kept} inputs")
    }
}

/// What went wrong, out of the lines that a process ended with: the message of a panic, else libFuzzer's own
/// words.
pub fn complaint(lines: &[String]) -> String {
    let is_over =
        |line: &&String| !["note: ", "stack backtrace", "=="].iter().any(|end| line.starts_with(end));
    if let Some(at) =
        lines.iter().position(|line| line.contains("' panicked at ") || line.contains(") panicked at "))
    {
        let message: Vec<_> = lines[at + 1..].iter().take_while(is_over).map(String::as_str).collect();
        return message.join("\n");
    }
    let error = lines.iter().find_map(|line| line.split_once("ERROR: libFuzzer: "));
    error.map_or_else(|| lines.join("\n"), |(_, words)| words.to_owned())
}

/// Where the input was written that the process ended with.
pub fn written_to(lines: &[String]) -> Option<&str> {
    lines.iter().find_map(|line| Some(line.split_once("Test unit written to ")?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read() {
        let line = "#5068128\tNEW    cov: 39 ft: 102 corp: 44/31Kb lim: 4096 exec/s: 2534 rss: 27Mb L: 3239/3300 MS: 1 -";
        let progress = Progress { runs: 5_068_128, rate: 2534, reached: 39, kept: 44 };
        assert_eq!(Progress::read(line), Some(progress));
        assert_eq!(Progress::read("INFO: Seed: 1"), None);
        assert_eq!(Progress::read("#x"), None);
    }

    #[test]
    fn the_message_of_a_panic_is_the_complaint() {
        let lines = "INFO: Seed: 1\n\nthread '<unnamed>' (7) panicked at src/main.rs:4:75:\none\ntwo\nnote: run with\n\
            ==7== ERROR: libFuzzer: deadly signal\nartifact_prefix='./'; Test unit written to ./crash-1";
        let lines: Vec<_> = lines.lines().map(str::to_owned).collect();
        assert_eq!(complaint(&lines), "one\ntwo");
        assert_eq!(written_to(&lines), Some("./crash-1"));
        assert_eq!(
            complaint(&["==7== ERROR: libFuzzer: timeout after 11 seconds".to_owned()]),
            "timeout after 11 seconds"
        );
    }
}
