//! What a load saw: one record per connection or request.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The pod.
    pub pod: String,
    /// Its version.
    pub version: String,
}

/// One connection or request.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it was begun: before the SYN, before the first byte of the request.
    pub began: Instant,
    /// When it was over.
    pub ended: Instant,
    /// Which kind of client it was; see the load that made it.
    pub class: &'static str,
    /// Who answered, or what went wrong.
    pub outcome: Result<Answer, String>,
}

/// Records, in the order of their ends. Clones are the same journal.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Vec<Record>>>);

impl Journal {
    pub(crate) fn add(&self, record: Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Looks at every record so far.
    pub fn each(&self, look: impl FnMut(&Record)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(look);
    }

    /// Number of records so far.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is none so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts the records that `wanted` accepts.
    pub fn tally(&self, mut wanted: impl FnMut(&Record) -> bool) -> Tally {
        let mut tally = Tally::default();
        self.each(|record| {
            if wanted(record) {
                tally.add(&record.outcome);
            }
        });
        tally
    }
}

/// Answers counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By version.
    pub versions: BTreeMap<String, u64>,
    /// By pod.
    pub pods: BTreeMap<String, u64>,
    /// What went wrong, once per failure.
    pub failures: Vec<String>,
}

impl Tally {
    /// Adds one outcome.
    pub fn add(&mut self, outcome: &Result<Answer, String>) {
        match outcome {
            Ok(answer) => {
                *self.versions.entry(answer.version.clone()).or_default() += 1;
                *self.pods.entry(answer.pod.clone()).or_default() += 1;
            }
            Err(failure) => self.failures.push(failure.clone()),
        }
    }

    /// Number of answers of `version`.
    pub fn version(&self, version: &str) -> u64 {
        self.versions.get(version).copied().unwrap_or(0)
    }

    /// Number of answers.
    pub fn answered(&self) -> u64 {
        self.versions.values().sum()
    }
}
