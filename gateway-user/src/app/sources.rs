//! What the files declare: the last good content of each.
//!
//! An item with an error keeps its last good form, whatever else its file says is taken over. Where an error
//! cannot be pinned to an item (the text does not parse), every item that the file no longer shows is kept.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
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
    /// Whether other gateways are declared than were taken last.
    are_gateways_new: bool,
    /// Identities of workloads that came, went or changed since they were taken last.
    changed_workloads: HashSet<String>,
}

type Files<T> = BTreeMap<PathBuf, FileContent<T>>;

/// One file's last good content, and what is wrong with its present one.
#[derive(Debug)]
struct FileContent<T> {
    text: Result<Arc<str>, ReadError>,
    items: Vec<T>,
    findings: Vec<Finding>,
    /// Whether no item can be read from it as it is.
    is_broken: bool,
}

impl Sources {
    /// Nothing declared yet; `namespace` is for what names none.
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            gateways: Files::new(),
            workloads: Files::new(),
            are_gateways_new: false,
            changed_workloads: HashSet::new(),
        }
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
        let key = |gateway: &Gateway| Some(gateway.key.clone());
        update(&mut self.gateways, texts, parse, key, |_, _| self.are_gateways_new = true);
    }

    /// Takes over what the files of workloads say now.
    pub(super) fn set_workloads(&mut self, texts: &Texts) {
        let parse = |file: &str, text: &str| {
            let parsed = workload::parse(file, text, &self.namespace);
            (parsed.workloads, parsed.findings)
        };
        let changed = &mut self.changed_workloads;
        update(&mut self.workloads, texts, parse, |_| None, |old, new| changed.extend(differing(old, new)));
    }

    /// All gateways, by file and place.
    pub(super) fn gateways(&self) -> impl Iterator<Item = &Gateway> {
        self.gateways.values().flat_map(|file| &file.items)
    }

    /// All workloads, by file and place; of those with one identity, in several files, the first counts.
    pub(super) fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.values().flat_map(|file| &file.items)
    }

    /// All gateways, where they are others than were taken last.
    pub(super) fn take_gateways(&mut self) -> Option<Vec<Gateway>> {
        std::mem::take(&mut self.are_gateways_new).then(|| self.gateways().cloned().collect())
    }

    /// Workloads that are not as they were taken last, by identity; nothing for those that are gone.
    pub(super) fn take_workloads(&mut self) -> HashMap<String, Option<Workload>> {
        let changed = std::mem::take(&mut self.changed_workloads);
        let mut changed: HashMap<_, _> = changed.into_iter().map(|identity| (identity, None)).collect();
        if !changed.is_empty() {
            for workload in self.workloads() {
                if let Some(place @ None) = changed.get_mut(&workload.identity()) {
                    *place = Some(workload.clone());
                }
            }
        }
        changed
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

/// Reads the files that changed; tells `note` what each of them held and holds now.
fn update<T: Identified>(
    files: &mut Files<T>,
    texts: &Texts,
    parse: impl Fn(&str, &str) -> (Vec<T>, Vec<Finding>),
    key: impl Fn(&T) -> Option<GatewayKey>,
    mut note: impl FnMut(&[T], &[T]),
) {
    files.retain(|path, file| {
        let is_there = texts.contains_key(path);
        if !is_there {
            note(&file.items, &[]);
        }
        is_there
    });
    for (path, text) in texts {
        if files.get(path).is_some_and(|file| file.text == *text) {
            continue;
        }
        let last = files.remove(path).map(|file| file.items).unwrap_or_default();
        let name = path.display().to_string();
        let (items, findings, is_broken) = match text {
            Ok(text) => {
                let (items, findings) = parse(&name, text);
                let unpinned =
                    || findings.iter().filter(|finding| finding.is_error() && finding.gateway.is_none());
                let is_broken = unpinned().any(|finding| items.is_empty() || finding.code == "syntax");
                (keep_last_good(&last, items, &findings, &key), findings, is_broken)
            }
            Err(error) => (last.clone(), vec![unreadable(path, error)], true),
        };
        note(&last, &items);
        let content = FileContent { text: text.clone(), items, findings, is_broken };
        files.insert(path.clone(), content);
    }
}

/// What tells one item of a file from another.
trait Identified: Clone + PartialEq {
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
    last: &[T],
    mut items: Vec<T>,
    findings: &[Finding],
    key: impl Fn(&T) -> Option<GatewayKey>,
) -> Vec<T> {
    let errors = || findings.iter().filter(|finding| finding.is_error());
    let shown: BTreeSet<_> = items.iter().map(Identified::identity).collect();
    let kept = last.iter().filter(|item| {
        let key = key(item);
        let is_wrong = errors().any(|error| error.gateway.is_none() || error.gateway == key);
        is_wrong && !shown.contains(&item.identity())
    });
    items.extend(kept.cloned());
    items
}

/// Identities of items that are in one of two lists only, or not the same in both.
fn differing<T: Identified>(old: &[T], new: &[T]) -> Vec<String> {
    let mut pairs: HashMap<String, [Option<&T>; 2]> = HashMap::new();
    for (place, items) in [old, new].into_iter().enumerate() {
        for item in items {
            pairs.entry(item.identity()).or_default()[place].get_or_insert(item);
        }
    }
    pairs.into_iter().filter(|(_, [old, new])| old != new).map(|(identity, _)| identity).collect()
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
        sources.gateways().map(|gateway| (gateway.key.name.clone(), port(gateway))).collect()
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
        assert_eq!(sources.workloads().count(), 2);
        sources.set_workloads(&list("- {name: a, redy: true}\n"));
        assert_eq!(sources.workloads().count(), 2);
        sources.set_workloads(&list("- {name: a}\n"));
        assert_eq!(sources.workloads().count(), 1);
    }

    #[test]
    fn only_workloads_that_changed_are_taken() {
        let files = |files: &[(&str, &str)]| -> Texts {
            files.iter().map(|(path, text)| (PathBuf::from(path), Ok((*text).into()))).collect()
        };
        let taken = |sources: &mut Sources| -> BTreeMap<String, Option<bool>> {
            let taken = sources.take_workloads().into_iter();
            taken.map(|(identity, workload)| (identity, workload.map(|workload| workload.ready))).collect()
        };
        let of = |name: &str| format!("default/pod/{name}");
        let mut sources = Sources::new("default");
        let second = ("/2.yaml", "- {name: a, ready: false}\n- {name: c}\n");
        sources.set_workloads(&files(&[("/1.yaml", "- {name: a}\n- {name: b}\n"), second]));
        let all = [(of("a"), Some(true)), (of("b"), Some(true)), (of("c"), Some(true))];
        assert_eq!(taken(&mut sources), BTreeMap::from(all), "of the two a, the first");
        assert_eq!(taken(&mut sources), BTreeMap::new());
        sources.set_workloads(&files(&[("/1.yaml", "- {name: b}\n- {name: a}\n"), second]));
        assert_eq!(taken(&mut sources), BTreeMap::new(), "their order says nothing");
        sources.set_workloads(&files(&[second]));
        assert_eq!(taken(&mut sources), BTreeMap::from([(of("a"), Some(false)), (of("b"), None)]));
    }

    #[test]
    fn gateways_are_taken_once_for_each_change_of_their_files() {
        let mut sources = loaded(&(gateway("a", 1001) + &gateway("b", 1002)));
        assert_eq!(sources.take_gateways().map(|gateways| gateways.len()), Some(2));
        sources.set_artifacts(&texts(&(gateway("a", 1001) + &gateway("b", 1002))));
        assert_eq!(sources.take_gateways(), None);
        sources.set_artifacts(&texts(&(gateway("b", 1002) + &gateway("a", 1001))));
        assert!(sources.take_gateways().is_some(), "their order matters");
        sources.set_artifacts(&Texts::new());
        assert_eq!(sources.take_gateways(), Some(Vec::new()));
    }
}
