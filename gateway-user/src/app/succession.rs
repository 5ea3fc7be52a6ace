//! Taking over from an agent that runs on the same pins, and being taken over from.
//!
//! An agent is known by a unix socket in the abstract name space, named after its pin folder: it can be bound
//! once, and is free as soon as its holder is gone. Over it a successor asks the agent to *yield* (stop writing,
//! give the state lock back, serve on) and, once it is ready itself, to *drain*. If the connection breaks in
//! between, the agent resumes.

use std::{
    fs, io,
    os::{linux::net::SocketAddrExt as _, unix::fs::MetadataExt as _, unix::net as unix},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use crate::admin::{
    listen::{self, Listener},
    views::{ErrorView, StatusView},
};

/// How long a predecessor may take to yield or to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long its name may stay taken after it began to drain.
const RELEASE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// An agent that runs on the same pins.
#[derive(Debug)]
pub(super) struct Predecessor {
    sender: SendRequest<Full<Bytes>>,
    pid: Option<i32>,
}

/// Who has the name.
#[derive(Debug)]
pub(super) enum Claim {
    /// We, now: whoever comes next reaches us by this listener.
    Ours(Listener),
    /// An agent that runs.
    Theirs(Predecessor),
}

/// The name of the agent on `pin_dir`, which must exist.
pub(super) fn name_of(pin_dir: &Path) -> io::Result<String> {
    let folder = fs::metadata(pin_dir)?;
    Ok(format!("weir-agent-{:x}-{:x}", folder.dev(), folder.ino()))
}

/// Whether an agent of this network namespace runs on `pin_dir`.
pub(super) fn is_running(pin_dir: &Path) -> bool {
    let name = name_of(pin_dir).and_then(unix::SocketAddr::from_abstract_name);
    name.and_then(|name| unix::UnixStream::connect_addr(&name)).is_ok()
}

/// Takes the name, or connects to who has it.
pub(super) async fn claim(name: &str) -> anyhow::Result<Claim> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listen::listen_abstract(name) {
            Ok(listener) => return Ok(Claim::Ours(listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).context("the agent's name cannot be taken"),
        }
        match connect(name).await {
            Ok(predecessor) => return Ok(Claim::Theirs(predecessor)),
            // It is just going away.
            Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
            Err(error) => return Err(error.context("another agent has these pins and does not answer")),
        }
    }
}

/// Takes the name from an agent that drains.
pub(super) async fn take_name(name: &str) -> anyhow::Result<Listener> {
    let deadline = Instant::now() + RELEASE;
    loop {
        match listen::listen_abstract(name) {
            Ok(listener) => return Ok(listener),
            Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
            Err(error) => return Err(error).context("the agent that drains does not give its name up"),
        }
    }
}

impl Predecessor {
    /// Its process id.
    pub(super) fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// Where it keeps its state.
    pub(super) async fn state_dir(&mut self) -> anyhow::Result<PathBuf> {
        let body = self.ask(Method::GET, "/v1/status").await.context("the agent that runs on these pins")?;
        let status: StatusView = serde_json::from_slice(&body)
            .context("the agent that runs on these pins speaks of itself otherwise")?;
        Ok(status.paths.get("state").map(PathBuf::from).unwrap_or_default())
    }

    /// Asks it to stop writing. On return the kernel's maps and the state folder are ours, for as long as this
    /// value lives: dropping it gives them back.
    pub(super) async fn yield_to_us(&mut self) -> anyhow::Result<()> {
        self.ask(Method::POST, "/v1/yield")
            .await
            .context("the agent that runs on these pins does not make room")?;
        Ok(())
    }

    /// Tells it that we serve: it finishes what is in flight, and exits.
    pub(super) async fn drain(mut self) -> anyhow::Result<()> {
        self.ask(Method::POST, "/v1/drain")
            .await
            .context("the agent that runs on these pins does not leave")?;
        Ok(())
    }

    async fn ask(&mut self, method: Method, path: &str) -> anyhow::Result<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .body(Full::default())?;
        let asked = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
        };
        let (status, body) = timeout(PATIENCE, asked).await.context("it does not answer")??;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<ErrorView>(&body) {
            Ok(view) => bail!(view.error),
            Err(_) => bail!("it answered {status}"),
        }
    }
}

async fn connect(name: &str) -> anyhow::Result<Predecessor> {
    let stream = unix::UnixStream::connect_addr(&unix::SocketAddr::from_abstract_name(name)?)?;
    stream.set_nonblocking(true)?;
    let stream = UnixStream::from_std(stream)?;
    let peer = stream.peer_cred()?;
    let own = rustix::process::geteuid().as_raw();
    if peer.uid() != own && peer.uid() != 0 {
        bail!("process {:?} of user {} has the agent's name", peer.pid(), peer.uid());
    }
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(Predecessor { sender, pid: peer.pid() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{Agent, Question, Writers, api::Api, server};

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn unique_name(tag: &str) -> String {
        format!("weir-test-{tag}-{}", std::process::id())
    }

    async fn ours(name: &str) -> Listener {
        match claim(name).await.unwrap() {
            Claim::Ours(listener) => listener,
            Claim::Theirs(_) => panic!("{name} is taken"),
        }
    }

    async fn theirs(name: &str) -> Predecessor {
        match claim(name).await.unwrap() {
            Claim::Ours(_) => panic!("{name} is free"),
            Claim::Theirs(predecessor) => predecessor,
        }
    }

    #[test]
    fn an_agent_whose_successor_dies_before_it_is_ready_resumes() {
        block_on(async {
            let name = unique_name("resume");
            let (agent, mut questions) = Agent::new();
            let _server =
                server::serve(ours(&name).await, Api { agent, writers: Writers::Everyone }).unwrap();
            let mut successor = theirs(&name).await;
            let (asked, ()) = tokio::join!(successor.yield_to_us(), async {
                match questions.recv().await {
                    Some(Question::Yield(answer)) => answer.send(Ok(())).unwrap(),
                    other => panic!("{other:?} instead of a yield"),
                }
            });
            asked.unwrap();
            drop(successor);
            let next = timeout(PATIENCE, questions.recv()).await.unwrap();
            assert!(matches!(next, Some(Question::Resume)), "{next:?} instead of a resume");
        });
    }

    #[test]
    fn an_agent_told_to_drain_does_not_resume() {
        block_on(async {
            let name = unique_name("drain");
            let (agent, mut questions) = Agent::new();
            let server = server::serve(ours(&name).await, Api { agent, writers: Writers::Everyone }).unwrap();
            let mut successor = theirs(&name).await;
            let handed_over = async {
                successor.yield_to_us().await?;
                successor.drain().await?;
                take_name(&name).await
            };
            let answered = async {
                let Some(Question::Yield(answer)) = questions.recv().await else { panic!("no yield") };
                answer.send(Ok(())).unwrap();
                let Some(Question::Drain(answer)) = questions.recv().await else { panic!("no drain") };
                drop(server);
                answer.send(Ok(())).unwrap();
                // The connection ends with the last sender of questions: none is a resume.
                assert!(questions.recv().await.is_none(), "something was asked after the drain");
            };
            let (taken, ()) = tokio::join!(handed_over, answered);
            taken.unwrap();
        });
    }

    #[test]
    fn draining_without_a_yield_is_refused() {
        block_on(async {
            let name = unique_name("refused");
            let (agent, _questions) = Agent::new();
            let _server =
                server::serve(ours(&name).await, Api { agent, writers: Writers::Everyone }).unwrap();
            let error = theirs(&name).await.drain().await.unwrap_err();
            assert!(format!("{error:#}").contains("the one that it yielded to"), "{error:#}");
        });
    }
}
