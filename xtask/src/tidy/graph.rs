//! The crate graph: gateway-ebpf → gateway-common ← gateway-model ← gateway-user ← tests, and nothing else.

use super::{Complaint, source::Source};

/// Which of our crates each manifest may name as a dependency.
const ALLOWED: &[(&str, &[&str])] = &[
    ("gateway-common/Cargo.toml", &[]),
    ("gateway-ebpf/Cargo.toml", &["gateway-common"]),
    ("gateway-model/Cargo.toml", &["gateway-common"]),
    ("gateway-user/Cargo.toml", &["gateway-common", "gateway-model"]),
    ("tests/Cargo.toml", &["gateway-common", "gateway-model", "gateway-user"]),
    ("tests/fuzz/Cargo.toml", &["gateway-model"]),
    ("xtask/Cargo.toml", &[]),
];

/// Dependencies of a manifest that the graph does not have.
pub fn check(source: &Source) -> Vec<Complaint> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(path, _)| *path == source.path) else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let name = line.split([' ', '.', '=']).next().unwrap_or_default();
        let ours = name.starts_with("gateway-") || name == "xtask";
        if ours && !allowed.contains(&name) {
            let what = format!("`{name}`: the crate graph of docs/ARCHITECTURE.md has no such edge");
            complaints.push(Complaint::new(index + 1, what));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_the_graph_lacks_is_refused() {
        let text = "[dependencies]\nanyhow.workspace = true\ngateway-user.workspace = true\n";
        let source = Source { path: "gateway-model/Cargo.toml".into(), text: text.into() };
        assert_eq!(check(&source)[0].line, 3);
        let source = Source { path: "tests/Cargo.toml".into(), text: text.into() };
        assert_eq!(check(&source), []);
    }
}
