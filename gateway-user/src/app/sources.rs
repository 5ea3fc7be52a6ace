//! What the files declare: the last good content of each.
//!
//! An item with an error keeps its last good form, whatever else its file says is taken over. Where an error
//! cannot be pinned to an item (the text does not parse), every item that the file no longer shows is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use gateway_model::{
    finding::{self, Finding, Place},
    gateway::{self, Gateway},
    key::GatewayKey,
    workload::{self, Workload},
};

use super::served;
use crate::watch::{ReadError, Texts};

/// Gateways and workloads as declared.
#[derive(Debug)]
pub(super) struct Sources {
    namespace: String,
    gateways: Files<Gateway>,
    workloads: Files<Workload>,
}

type Files<T> = BTreeMap<PathBuf, FileContent<T>>;

/// One file's last good content, and what is wrong with its present one.
#[derive(Debug)]
struct FileContent<T> {
    items: Vec<T>,
    findings: Vec<Finding>,
    /// Whether no item can be read from it as it is.
    is_broken: bool,
}

impl Sources {
    /// Nothing declared yet; `namespace` is for what names none.
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), gateways: Files::new(), workloads: Files::new() }
    }

    /// Takes over what the files of artifacts say now.
    pub(super) fn set_artifacts(&mut self, texts: &Texts) {
        let parse = |file: &str, text: &str| {
            let mut parsed = gateway::parse(file, text, &self.namespace);
            parsed.gateways.retain(|gateway| {
                let lacking = served::lacks(gateway);
                let is_served = lacking.is_empty();
                parsed.findings.extend(lacking);
                is_served
            });
            finding::sort(&mut parsed.findings);
            (parsed.gateways, parsed.findings)
        };
        update(&mut self.gateways, texts, parse, |gateway| Some(gateway.key.clone()));
    }

    /// Takes over what the files of workloads say now.
    pub(super) fn set_workloads(&mut self, texts: &Texts) {
        let parse = |file: &str, text: &str| {
            let parsed = workload::parse(file, text, &self.namespace);
            (parsed.workloads, parsed.findings)
        };
        update(&mut self.workloads, texts, parse, |_| None);
    }

    /// All gateways, by file and place.
    pub(super) fn gateways(&self) -> Vec<Gateway> {
        self.gateways.values().flat_map(|file| file.items.iter().cloned()).collect()
    }

    /// All workloads; of two with one identity, in two files, the first counts.
    pub(super) fn workloads(&self) -> Vec<Workload> {
        let mut seen = BTreeSet::new();
        let all = self.workloads.values().flat_map(|file| &file.items);
        all.filter(|workload| seen.insert(workload.identity())).cloned().collect()
    }

    /// Everything that is wrong.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let gateways = self.gateways.values().flat_map(|file| &file.findings);
        gateways.chain(self.workloads.values().flat_map(|file| &file.findings)).cloned().collect()
    }

    /// Errors that leave nothing to start with: of files that cannot be read or parsed at all, or, where no
    /// gateway is valid, all of them.
    pub(super) fn fatal(&self) -> Vec<Finding> {
        let gateways = self.gateways.values().map(|file| (file.is_broken, &file.findings));
        let files = gateways.chain(self.workloads.values().map(|file| (file.is_broken, &file.findings)));
        let none_valid = self.gateways.values().all(|file| file.items.is_empty());
        files
            .filter(|(is_broken, _)| *is_broken || none_valid)
            .flat_map(|(_, findings)| findings)
            .filter(|finding| finding.is_error())
            .cloned()
            .collect()
    }
}

fn update<T, K>(
    files: &mut Files<T>,
    texts: &Texts,
    parse: impl Fn(&str, &str) -> (Vec<T>, Vec<Finding>),
    key: K,
) where
    T: Identified,
    K: Fn(&T) -> Option<GatewayKey>,
{
    files.retain(|path, _| texts.contains_key(path));
    for (path, text) in texts {
        let last = files.remove(path).map(|file| file.items).unwrap_or_default();
        let name = path.display().to_string();
        let content = match text {
            Ok(text) => {
                let (items, findings) = parse(&name, text);
                let unpinned =
                    || findings.iter().filter(|finding| finding.is_error() && finding.gateway.is_none());
                let is_broken = unpinned().any(|finding| items.is_empty() || finding.code == "syntax");
                FileContent { items: keep_last_good(last, items, &findings, &key), findings, is_broken }
            }
            Err(error) => {
                FileContent { items: last, findings: vec![unreadable(path, error)], is_broken: true }
            }
        };
        files.insert(path.clone(), content);
    }
}

/// What tells one item of a file from another.
trait Identified {
    fn identity(&self) -> String;
}

impl Identified for Gateway {
    fn identity(&self) -> String {
        self.key.to_string()
    }
}

impl Identified for Workload {
    fn identity(&self) -> String {
        Self::identity(self)
    }
}

fn keep_last_good<T: Identified>(
    last: Vec<T>,
    mut items: Vec<T>,
    findings: &[Finding],
    key: impl Fn(&T) -> Option<GatewayKey>,
) -> Vec<T> {
    let errors = || findings.iter().filter(|finding| finding.is_error());
    let shown: BTreeSet<_> = items.iter().map(Identified::identity).collect();
    let kept = last.into_iter().filter(|item| {
        let key = key(item);
        let is_wrong = errors().any(|error| error.gateway.is_none() || error.gateway == key);
        is_wrong && !shown.contains(&item.identity())
    });
    items.extend(kept);
    items
}

fn unreadable(path: &Path, error: &ReadError) -> Finding {
    let place = Place { file: path.display().to_string(), line: 1, column: 1, length: 1 };
    let advice = "make it a text file that the agent may read; until then what it held last stays in force";
    Finding::error("unreadable-file", error.to_string(), advice).at(&place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(content: &str) -> Texts {
        Texts::from([(PathBuf::from("/a.yaml"), Ok(content.into()))])
    }

    fn gateway(name: &str, port: u16) -> String {
        format!("---\nname: {name}\nport: {port}/tcp\nselector: label(app)(foo) && label(version)((.*))\n")
    }

    fn ports(sources: &Sources) -> Vec<(String, u16)> {
        let port = |gateway: &Gateway| gateway.port.map_or(0, |port| port.number);
        sources.gateways().iter().map(|gateway| (gateway.key.name.clone(), port(gateway))).collect()
    }

    fn loaded(content: &str) -> Sources {
        let mut sources = Sources::new("default");
        sources.set_artifacts(&texts(content));
        assert_eq!(sources.findings(), []);
        sources
    }

    #[test]
    fn a_file_that_no_longer_parses_keeps_what_it_said() {
        let mut sources = loaded(&(gateway("a", 1001) + &gateway("b", 1002)));
        sources.set_artifacts(&texts("name: [\n"));
        assert_eq!(ports(&sources), [("a".to_owned(), 1001), ("b".to_owned(), 1002)]);
        let place = sources.findings()[0].place.clone().expect("a syntax error has a place");
        assert_eq!(place.file, "/a.yaml");
    }

    #[test]
    fn a_gateway_with_an_error_keeps_its_last_good_form_and_the_others_change() {
        let mut sources = loaded(&(gateway("a", 1001) + &gateway("b", 1002) + &gateway("c", 1003)));
        sources.set_artifacts(&texts(&(gateway("a", 1001) + "wieght: 5%\n" + &gateway("b", 2002))));
        let mut ports = ports(&sources);
        ports.sort();
        assert_eq!(ports, [("a".to_owned(), 1001), ("b".to_owned(), 2002)], "c was removed, a is wrong");
    }

    #[test]
    fn a_file_that_is_gone_keeps_nothing_but_one_that_cannot_be_read_does() {
        let mut sources = loaded(&gateway("a", 1001));
        sources.set_artifacts(&Texts::from([(PathBuf::from("/a.yaml"), Err(ReadError::Missing))]));
        assert_eq!(ports(&sources).len(), 1, "a named file that is missing");
        assert_eq!(sources.findings()[0].code, "unreadable-file");
        sources.set_artifacts(&Texts::new());
        assert_eq!(ports(&sources).len(), 0, "a file that left its folder");
    }

    #[test]
    fn a_start_fails_on_text_that_is_no_yaml_and_where_nothing_is_valid() {
        let mut sources = Sources::new("default");
        sources.set_artifacts(&texts(&(gateway("a", 1001) + "wieght: 5%\n" + &gateway("b", 1002))));
        assert_eq!(sources.fatal(), [], "one of two is valid");
        let mut sources = Sources::new("default");
        sources.set_artifacts(&texts(&(gateway("a", 1001) + "---\nname: [\n")));
        assert_eq!(sources.fatal().len(), 1, "what follows is not known");
    }

    #[test]
    fn a_start_fails_where_the_only_gateway_is_wrong() {
        let mut sources = Sources::new("default");
        sources.set_artifacts(&texts(&(gateway("a", 1001) + "wieght: 5%\n")));
        assert_eq!(sources.fatal().len(), 1);
        let mut sources = Sources::new("default");
        sources.set_artifacts(&texts("name: [\n"));
        assert_eq!(sources.fatal().len(), 1);
        let mut sources = Sources::new("default");
        sources.set_artifacts(&texts(""));
        assert_eq!(sources.fatal(), [], "an empty file declares nothing, which is no mistake");
    }

    #[test]
    fn a_broken_list_of_workloads_keeps_the_last_one() {
        let list = |text: &str| Texts::from([(PathBuf::from("/w.yaml"), Ok(text.into()))]);
        let mut sources = Sources::new("default");
        sources.set_workloads(&list("- {name: a}\n- {name: b}\n"));
        assert_eq!(sources.workloads().len(), 2);
        sources.set_workloads(&list("- {name: a, redy: true}\n"));
        assert_eq!(sources.workloads().len(), 2);
        sources.set_workloads(&list("- {name: a}\n"));
        assert_eq!(sources.workloads().len(), 1);
    }
}
