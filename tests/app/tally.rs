//! What a load has seen, as it is printed.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

/// Failures that are told one by one.
const TOLD: usize = 20;

/// Who answered, in his own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub version: String,
    pub pod: String,
    /// Address of the client as the pod saw it, without its port.
    pub client: String,
}

/// Counts of all that was sent.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    sent: u64,
    ok: u64,
    failed: u64,
    by_version: BTreeMap<String, u64>,
    by_pod: BTreeMap<String, u64>,
    by_client: BTreeMap<String, u64>,
    failures: Vec<Value>,
}

impl Answer {
    /// Reads the line that `weir-app serve` says.
    ///
    /// # Errors
    /// Where it is another.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        let other = || format!("no answer of weir-app: {:?}", String::from_utf8_lossy(line));
        let said: Value = serde_json::from_slice(line).map_err(|_| other())?;
        let text = |name: &str| said[name].as_str().map(str::to_owned).ok_or_else(other);
        let client: std::net::SocketAddr = text("client")?.parse().map_err(|_| other())?;
        Ok(Self { version: text("version")?, pod: text("pod")?, client: client.ip().to_string() })
    }
}

impl Tally {
    /// Something is sent.
    pub fn sent(&mut self) {
        self.sent += 1;
    }

    /// How much was sent so far.
    pub fn asked(&self) -> u64 {
        self.sent
    }

    /// What came of it.
    pub fn outcome(&mut self, outcome: Result<Answer, String>) {
        match outcome {
            Ok(answer) => {
                self.ok += 1;
                *self.by_version.entry(answer.version).or_default() += 1;
                *self.by_pod.entry(answer.pod).or_default() += 1;
                *self.by_client.entry(answer.client).or_default() += 1;
            }
            Err(error) => {
                self.failed += 1;
                if self.failures.len() < TOLD {
                    self.failures.push(json!({ "at": now(), "error": error }));
                }
            }
        }
    }

    /// It, as JSON. What is `sent` and neither `ok` nor `failed` is under way.
    pub fn json(&self) -> Value {
        json!({
            "at": now(),
            "sent": self.sent,
            "ok": self.ok,
            "failed": self.failed,
            "by_version": self.by_version,
            "by_pod": self.by_pod,
            "by_client": self.by_client,
            "failures": self.failures,
        })
    }
}

/// Seconds since 1970, to the millisecond.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    since.as_millis() as f64 / 1000.0
}
