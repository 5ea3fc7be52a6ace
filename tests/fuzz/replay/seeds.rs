//! Seeds and dictionaries, as libFuzzer reads them.

use std::{fs, path::PathBuf};

/// Names of the folders of seeds, sorted.
pub(crate) fn folders() -> Vec<String> {
    names(&path("../fuzz-seeds"))
}

/// The seeds of a target with their names, sorted by those.
pub(crate) fn of(target: &str) -> Vec<(String, String)> {
    let folder = path("../fuzz-seeds").join(target);
    let read = |name: String| {
        let text = fs::read_to_string(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, text)
    };
    names(&folder).into_iter().map(read).collect()
}

/// The texts of a target's dictionary.
pub(crate) fn dictionary(target: &str) -> Vec<String> {
    let path = path("dictionaries").join(format!("{target}.dict"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let quoted = text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(unescape).collect()
}

fn path(below: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(below)
}

fn names(folder: &PathBuf) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("names are UTF-8");
    let mut names: Vec<_> = entries.map(|entry| name(entry.expect("a folder that can be read"))).collect();
    names.sort();
    names
}

/// Undoes `\\`, `\"` and `\xNN`.
fn unescape(quoted: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = quoted.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, rest.clone().next()) {
            (b'\\', Some(b'x')) => {
                let digits: String = rest.by_ref().take(3).skip(1).map(char::from).collect();
                u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
            }
            (b'\\', Some(_)) => rest.next().expect("looked at"),
            (byte, _) => byte,
        });
    }
    String::from_utf8(bytes).expect("dictionaries hold UTF-8")
}
