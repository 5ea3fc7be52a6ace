//! The page: its fenced blocks, and the comments in them that say what must come of an example.

use std::{fs, path::PathBuf};

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// What stands behind the opening fence: `condition`, `yaml workloads`.
    pub info: String,
    /// The page's line of its first line.
    pub line: usize,
    /// What is inside.
    pub text: String,
}

/// Texts, and what is said of all of them.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// The page's line and the text, one or more.
    pub texts: Vec<(usize, String)>,
    /// Word and rest of each comment: `yes`, `GET http://foo.bar.com/`.
    pub claims: Vec<(String, String)>,
}

/// The page as it is.
pub fn read() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/language.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All blocks whose info is `info`.
pub fn blocks(info: &str) -> Vec<Block> {
    let blocks: Vec<Block> = all_blocks().into_iter().filter(|block| block.info == info).collect();
    assert!(!blocks.is_empty(), "the page has no block `{info}`");
    blocks
}

/// All blocks, in the order of the page.
pub fn all_blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in read().lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Block { info: info.to_owned(), line: index + 2, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// The examples of all blocks whose info is `info`: lines, and the comments that follow them.
pub fn examples(info: &str) -> Vec<Example> {
    blocks(info).iter().flat_map(examples_of).collect()
}

fn examples_of(block: &Block) -> Vec<Example> {
    let mut examples = vec![Example::default()];
    for (index, line) in block.text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let last = examples.last_mut().expect("there is one from the beginning");
        match claim(line) {
            Some(claim) => last.claims.push(claim),
            None if last.claims.is_empty() => last.texts.push((block.line + index, line.to_owned())),
            None => {
                let texts = vec![(block.line + index, line.to_owned())];
                examples.push(Example { texts, claims: Vec::new() });
            }
        }
    }
    let claims_nothing =
        examples.iter().find(|example| example.claims.is_empty() || example.texts.is_empty());
    assert!(claims_nothing.is_none(), "an example claims nothing: {claims_nothing:?}");
    examples
}

/// `# word: rest`; without a colon the word is empty.
pub fn claim(line: &str) -> Option<(String, String)> {
    let text = line.strip_prefix("# ")?;
    let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    let (word, rest) = match text.split_once(':') {
        Some((word, rest)) if is_word(&word) => (word, rest),
        Some(_) | None => ("", text),
    };
    Some((word.to_owned(), rest.trim().to_owned()))
}

impl Example {
    /// What is said with this word.
    pub fn said<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        self.claims.iter().filter(move |(own, _)| own == word).map(|(_, rest)| rest.as_str())
    }

    /// Asserts that nothing else is said: what nobody checks must not look as if it were.
    pub fn assert_words(&self, known: &[&str]) {
        for (word, rest) in &self.claims {
            assert!(known.contains(&word.as_str()), "nobody checks `{word}: {rest}`: {:?}", self.texts);
        }
    }
}

/// The cells of the table rows after a heading, up to the next one.
pub fn table_after(heading: &str) -> Vec<Vec<String>> {
    let text = read();
    let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("the page has no `{heading}`"));
    let section = rest.split("\n## ").next().and_then(|rest| rest.split("\n### ").next()).unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("|---"));
    rows.map(|row| {
        row.trim_matches('|').replace(r"\|", "\u{1}").split('|').map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}
