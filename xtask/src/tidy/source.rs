//! A file, and its lines as rules see them.

use std::path::Path;

/// A text file of the workspace.
#[derive(Debug)]
pub struct Source {
    /// Path below the root, with slashes.
    pub path: String,
    /// Content.
    pub text: String,
}

impl Source {
    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    /// Lines of code with their numbers from 1: comments are cut off, and what follows `#[cfg(test)]` before a
    /// module is left out (tests stand at the end of a file).
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.tests_begin();
        let numbered = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        numbered.take_while(move |(number, _)| *number < end).map(|(number, line)| {
            let code = line.split_once("//").map_or(line, |(code, _)| code);
            (number, code)
        })
    }

    /// Number of the line at which the tests begin: the first of a `tests.rs` and of what is below a `src/…/tests/`,
    /// one past the end where there are none.
    pub fn tests_begin(&self) -> usize {
        let below_source = self.path.split_once("/src/").map_or("", |(_, path)| path);
        if self.path.ends_with("/tests.rs") || below_source.contains("/tests/") {
            return 1;
        }
        let lines: Vec<_> = self.text.lines().collect();
        let begins = |pair: &[&str]| {
            pair[0].trim() == "#[cfg(test)]"
                && pair[1].trim_start().starts_with("mod ")
                && pair[1].ends_with('{')
        };
        lines.windows(2).position(begins).map_or(lines.len() + 1, |index| index + 1)
    }
}

/// Whether `code` has `word` as a whole identifier or path of identifiers.
pub fn mentions(code: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_only_whole() {
        assert!(mentions("use aya::maps;", "aya"));
        assert!(mentions("std::time::Instant::now()", "std::time::Instant"));
        assert!(!mentions("use aya_log;", "aya"));
        assert!(!mentions("let malayan = 1;", "aya"));
    }

    #[test]
    fn a_folder_of_tests_beside_the_code_is_none() {
        let begins = |path: &str| Source { path: path.into(), text: "fn a() {}\n".into() }.tests_begin();
        assert_eq!(begins("gateway-model/src/ring/tests/edits.rs"), 1);
        assert_eq!(begins("tests/netns/main.rs"), 2, "a suite keeps its own rules");
    }

    #[test]
    fn tests_and_comments_are_not_code() {
        let text = "fn a() {} // aya\n#[cfg(test)]\nmod tests {\n    use aya;\n}\n";
        let source = Source { path: "a.rs".into(), text: text.into() };
        assert_eq!(source.code().collect::<Vec<_>>(), [(1, "fn a() {} ")]);
    }
}
