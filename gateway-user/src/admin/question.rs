//! Questions to the agent and its answers.

use tokio::sync::{mpsc, oneshot};

use super::views::{DumpView, GatewayView, SetCondition, SetWeights, StatsView, StatusView};

/// The way back of an answer.
pub type Answer<T> = oneshot::Sender<T>;

/// What can be asked of the agent. Answers to changes come once the kernel and the proxy have them.
#[derive(Debug)]
pub enum Question {
    /// All gateways, by key.
    Gateways(Answer<Vec<GatewayView>>),
    /// The agent itself.
    Status(Answer<StatusView>),
    /// Counters, read now.
    Stats(Answer<Result<StatsView, Refusal>>),
    /// Kernel against desired.
    Dump(Answer<Result<DumpView, Refusal>>),
    /// Weights of a gateway's routes.
    SetWeights(GatewayName, SetWeights, Answer<Result<GatewayView, Refusal>>),
    /// Condition of a route.
    SetCondition(GatewayName, SetCondition, Answer<Result<GatewayView, Refusal>>),
    /// A successor asks that this agent stop writing; answered once it has.
    Yield(Answer<Result<(), Refusal>>),
    /// The successor went away before it was ready.
    Resume,
    /// The successor is ready: finish what is in flight and exit.
    Drain(Answer<Result<(), Refusal>>),
}

/// Namespace and name of a gateway, as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Why the agent does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such gateway or route; the text says which exist.
    #[error("{0}")]
    NotFound(String),
    /// The change makes no sense; the text says why and what was expected.
    #[error("{0}")]
    Invalid(String),
    /// Not now: a successor is taking over. Asking again soon reaches it.
    #[error("another agent is taking over from this one; try again in a moment")]
    Yielding,
    /// The kernel or the disk refused; nothing was changed.
    #[error("{0}")]
    Failed(String),
}

/// The agent stopped before it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent is stopping")]
pub struct AgentGone;

/// The agent, to be asked.
#[derive(Clone, Debug)]
pub struct Agent(mpsc::Sender<Question>);

impl Agent {
    /// An agent to ask, and the end at which it takes the questions.
    pub fn new() -> (Self, mpsc::Receiver<Question>) {
        let (sender, receiver) = mpsc::channel(64);
        (Self(sender), receiver)
    }

    /// Asks, and waits for the answer.
    pub async fn ask<T>(&self, question: impl FnOnce(Answer<T>) -> Question) -> Result<T, AgentGone> {
        let (sender, receiver) = oneshot::channel();
        self.0.send(question(sender)).await.map_err(|_| AgentGone)?;
        receiver.await.map_err(|_| AgentGone)
    }

    /// Tells it that a successor went away; there is no answer.
    pub fn resume(&self) {
        let questions = self.0.clone();
        tokio::spawn(async move { questions.send(Question::Resume).await });
    }
}
