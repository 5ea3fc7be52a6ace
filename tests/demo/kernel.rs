//! The kernel's counters, read the way a user would: by bpftool, with names.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Counters of a route: both ways, packets and IP bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub packets: u64,
    pub bytes: u64,
    pub reply_packets: u64,
    pub reply_bytes: u64,
}

/// `ROUTE_STATS` by gateway and route, summed over the CPUs.
pub fn route_counters(pins: &Path) -> Result<BTreeMap<(String, String), Counters>> {
    let mut counters = BTreeMap::new();
    let stats = dump(&map(pins, "ROUTE_STATS")?)?;
    for (index, gateway, route) in routes(pins)? {
        let entry = stats.iter().find(|entry| entry["key"].as_u64() == Some(index));
        let cpus = entry.and_then(|entry| entry["values"].as_array()).context("an index without counters")?;
        let sum = |field: &str| cpus.iter().filter_map(|cpu| cpu["value"][field].as_u64()).sum();
        let sums = Counters {
            packets: sum("packets"),
            bytes: sum("bytes"),
            reply_packets: sum("reply_packets"),
            reply_bytes: sum("reply_bytes"),
        };
        counters.insert((gateway, route), sums);
    }
    Ok(counters)
}

/// What bpftool prints of the counters of `gateway`'s route `route`, as it prints it.
pub fn excerpt(pins: &Path, gateway: &str, route: &str) -> Result<String> {
    let path = map(pins, "ROUTE_STATS")?;
    let routes = routes(pins)?;
    let found = routes.iter().find(|(_, of, name)| of == gateway && name == route);
    let (index, ..) = found.with_context(|| format!("{gateway} {route} is not in ROUTE_NAMES"))?;
    let text = bpftool(&["map", "dump", "pinned", &path.display().to_string()])?;
    let entry = entry_of(&text, *index).context("bpftool printed no such key")?;
    Ok(format!("$ bpftool map dump pinned {}\n[…]\n{entry}\n[…]", path.display()))
}

/// The lines of entry `key` in what `bpftool map dump` prints: elements of a list, indented by four blanks.
fn entry_of(text: &str, key: u64) -> Option<String> {
    let lines: Vec<_> = text.lines().collect();
    let begin = lines.iter().position(|line| line.trim() == format!("\"key\": {key},"))?;
    let length = lines[begin..].iter().position(|line| line.starts_with("    }"))?;
    Some(lines[begin..begin + length].join("\n"))
}

/// Index, gateway and route of every entry of `ROUTE_NAMES` that is a route.
fn routes(pins: &Path) -> Result<Vec<(u64, String, String)>> {
    let entries = dump(&map(pins, "ROUTE_NAMES")?)?;
    let named = entries.iter().filter_map(|entry| {
        let (gateway, route) = (text(&entry["value"]["gateway"]), text(&entry["value"]["route"]));
        Some((entry["key"].as_u64()?, gateway, route))
    });
    Ok(named.filter(|(_, _, route)| !route.is_empty()).collect())
}

/// The pin of the map `name`, whatever the version of the layout.
fn map(pins: &Path, name: &str) -> Result<PathBuf> {
    let versions = std::fs::read_dir(pins).with_context(|| format!("reading {}", pins.display()))?;
    let mut paths = versions.flatten().map(|version| version.path().join(name));
    paths.find(|path| path.exists()).with_context(|| format!("no pinned map {name} under {}", pins.display()))
}

fn dump(path: &Path) -> Result<Vec<Value>> {
    let text = bpftool(&["-j", "map", "dump", "pinned", &path.display().to_string()])?;
    let entries: Vec<Value> = serde_json::from_str(&text).context("bpftool printed no JSON")?;
    let formatted = entries.into_iter().map(|mut entry| entry["formatted"].take());
    let formatted: Vec<_> = formatted.collect();
    ensure!(formatted.iter().all(Value::is_object), "{} has no types (BTF)", path.display());
    Ok(formatted)
}

fn bpftool(arguments: &[&str]) -> Result<String> {
    let output = Command::new("bpftool").args(arguments).output().context("starting bpftool")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "bpftool {}: {}", arguments.join(" "), complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A zero-padded text as bpftool prints an array of bytes: numbers.
fn text(value: &Value) -> String {
    let bytes = value.as_array().into_iter().flatten();
    let bytes = bytes.filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).take_while(|byte| *byte != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As bpftool 7 prints an array per CPU with types.
    const DUMP: &str = r#"[{
        "key": 0,
        "values": [{
                "cpu": 0,
                "value": {
                    "packets": 0
                }
            }
        ]
    },{
        "key": 1,
        "values": [{
                "cpu": 0,
                "value": {
                    "packets": 7
                }
            }
        ]
    }
]"#;

    #[test]
    fn an_entry_is_cut_out_whole() {
        let last = entry_of(DUMP, 1).unwrap();
        assert!(last.contains("\"packets\": 7") && !last.contains("\"key\": 0"), "{last}");
        assert_eq!(entry_of(DUMP, 0).unwrap().lines().count(), last.lines().count());
        assert_eq!(entry_of(DUMP, 2), None);
    }

    #[test]
    fn a_padded_text_ends_at_its_first_zero() {
        assert_eq!(text(&serde_json::json!([40, 49, 41, 0, 0])), "(1)");
    }
}
