//! Which folder may know what.

use super::{
    Complaint,
    source::{Source, mentions},
};

/// Words that must not occur below a path, and why.
struct Absence {
    below: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        below: &["gateway-user/src/proxy/", "gateway-user/src/proxy.rs"],
        words: &["kube", "k8s_openapi", "aya", "crate::control", "crate::dataplane", "crate::admin"],
        why: "nothing under proxy/ knows Kubernetes, aya or the agent around it",
    },
    Absence {
        below: &["gateway-user/src/control/", "gateway-user/src/control.rs"],
        words: &["aya", "hyper"],
        why: "nothing under control/ knows aya or hyper",
    },
    Absence {
        below: &["gateway-model/src/"],
        words: &[
            "std::time::Instant",
            "std::time::SystemTime",
            "Instant::now",
            "SystemTime",
            "std::fs",
            "std::io",
            "std::env",
            "std::process",
            "std::thread",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "tokio",
            "rand",
            "getrandom",
            "async fn",
            "hyper",
            "kube",
            "aya",
            "println",
            "eprintln",
        ],
        why: "gateway-model does no I/O and reads no clock: pass it in",
    },
    Absence {
        below: &["gateway-common/src/"],
        words: &["std", "alloc", "unwrap"],
        why: "gateway-common is no_std without alloc, and cannot panic in the kernel",
    },
];

/// The maps that the kernel programs declare: statics below gateway-ebpf/src/maps.
pub fn map_names(sources: &[Source]) -> Vec<String> {
    let maps = sources.iter().filter(|source| source.path.starts_with("gateway-ebpf/src/maps"));
    let names = maps.flat_map(Source::code).filter_map(|(_, code)| {
        let (_, rest) = code.split_once("static ")?;
        let (name, _) = rest.split_once(':')?;
        Some(name.trim().to_owned())
    });
    names.collect()
}

/// What `source` knows and must not.
pub fn check(source: &Source, maps: &[String]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !source.is_rust() {
        return complaints;
    }
    for absence in ABSENCES {
        if !absence.below.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        for (line, code) in source.code() {
            for word in absence.words.iter().filter(|word| mentions(code, word)) {
                complaints.push(Complaint::new(line, format!("`{word}`: {}", absence.why)));
            }
        }
    }
    let is_user = source.path.starts_with("gateway-user/src/");
    if is_user && !source.path.starts_with("gateway-user/src/dataplane") {
        for (line, code) in source.code() {
            for map in maps.iter().filter(|map| mentions(code, map)) {
                complaints.push(Complaint::new(line, format!("`{map}`: only dataplane/ names a map")));
            }
        }
    }
    if source.path == "gateway-model/src/lib.rs" && !source.text.contains("#![forbid(unsafe_code)]") {
        complaints.push(Complaint::new(0, "gateway-model forbids unsafe code: #![forbid(unsafe_code)]"));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> usize {
        let source = Source { path: path.into(), text: text.into() };
        check(&source, &["ROUTE_STATS".to_owned()]).len()
    }

    #[test]
    fn the_proxy_may_not_know_the_kernel() {
        assert_eq!(complaints("gateway-user/src/proxy/serve.rs", "use aya::Ebpf;\n"), 1);
        assert_eq!(complaints("gateway-user/src/proxy.rs", "use crate::dataplane::Mark;\n"), 1);
        assert_eq!(complaints("gateway-user/src/dataplane/load.rs", "use aya::Ebpf;\n"), 0);
    }

    #[test]
    fn the_model_may_not_read_a_clock() {
        assert_eq!(complaints("gateway-model/src/ring.rs", "let now = Instant::now();\n"), 1);
        assert_eq!(complaints("gateway-model/src/ring.rs", "use std::net::SocketAddr;\n"), 0);
    }

    #[test]
    fn only_the_data_plane_names_a_map() {
        assert_eq!(complaints("gateway-user/src/admin/top.rs", "open(\"ROUTE_STATS\")\n"), 1);
        assert_eq!(complaints("gateway-user/src/dataplane/stats.rs", "open(\"ROUTE_STATS\")\n"), 0);
    }

    #[test]
    fn map_names_are_read_from_their_declarations() {
        let text = "#[btf_map]\npub static ROUTE_STATS: PerCpuArray<RouteStats> = PerCpuArray::new();\n";
        let source = Source { path: "gateway-ebpf/src/maps.rs".into(), text: text.into() };
        assert_eq!(map_names(&[source]), ["ROUTE_STATS"]);
    }
}
