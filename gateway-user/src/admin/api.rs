//! The admin API: `GET /v1/{status,gateways,gateways/NS/NAME,stats,dump}`, `PUT /v1/gateways/NS/NAME/{weights,
//! condition}`, and, for a successor, `POST /v1/{yield,drain}` on one connection.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::{
    auth::Writers,
    question::{Agent, AgentGone, GatewayName, Question, Refusal},
    server::{Connection, Reply, Service, error, json},
    views::GatewayView,
};

/// Largest body of a request, in bytes.
const LARGEST_BODY: usize = 1 << 20;

/// The API on one listener.
#[derive(Clone, Debug)]
pub struct Api {
    /// Who answers.
    pub agent: Agent,
    /// Who may write.
    pub writers: Writers,
}

/// The API on one connection.
#[derive(Debug)]
pub struct ApiConnection {
    api: Api,
    /// Whether the agent yields because of a request on this connection: the connection is the successor's life
    /// line.
    yielding: AtomicBool,
}

impl Service for Api {
    type Connection = ApiConnection;

    fn connect(&self) -> ApiConnection {
        ApiConnection { api: self.clone(), yielding: AtomicBool::new(false) }
    }
}

impl Drop for ApiConnection {
    fn drop(&mut self) {
        if self.yielding.load(Ordering::Relaxed) {
            self.api.agent.resume();
        }
    }
}

impl Connection for ApiConnection {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let allowed = match *request.method() {
            Method::GET => self.api.writers.check_read(request.headers()),
            _ => self.api.writers.check_write(request.headers()),
        };
        if let Err(denied) = allowed {
            return error(denied.status(), denied);
        }
        let path = request.uri().path().to_owned();
        let parts: Vec<_> = path
            .trim_matches('/')
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8_lossy())
            .collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        match self.route(&parts, request).await {
            Ok(reply) => reply,
            Err(Failure::Gone(gone)) => error(StatusCode::SERVICE_UNAVAILABLE, gone),
            Err(Failure::Refused(refusal)) => error(status_of(&refusal), refusal),
            Err(Failure::Body(what)) => error(StatusCode::BAD_REQUEST, what),
        }
    }
}

impl ApiConnection {
    async fn route(&self, parts: &[&str], request: Request<Incoming>) -> Result<Reply, Failure> {
        let agent = &self.api.agent;
        let method = request.method().clone();
        match (method, parts) {
            (Method::GET, ["v1", "status"]) => ok(&agent.ask(Question::Status).await?),
            (Method::GET, ["v1", "gateways"]) => ok(&agent.ask(Question::Gateways).await?),
            (Method::GET, ["v1", "gateways", namespace, name]) => {
                let all = agent.ask(Question::Gateways).await?;
                let found =
                    all.iter().find(|gateway| (&*gateway.namespace, &*gateway.name) == (*namespace, *name));
                found.map_or_else(
                    || Err(unknown(namespace, name, all.iter().map(GatewayView::key)).into()),
                    ok,
                )
            }
            (Method::GET, ["v1", "stats"]) => ok(&agent.ask(Question::Stats).await??),
            (Method::GET, ["v1", "dump"]) => ok(&agent.ask(Question::Dump).await??),
            (Method::PUT, ["v1", "gateways", namespace, name, "weights"]) => {
                let (gateway, change) = (named(namespace, name), body(request).await?);
                ok(&agent.ask(|answer| Question::SetWeights(gateway, change, answer)).await??)
            }
            (Method::PUT, ["v1", "gateways", namespace, name, "condition"]) => {
                let (gateway, change) = (named(namespace, name), body(request).await?);
                ok(&agent.ask(|answer| Question::SetCondition(gateway, change, answer)).await??)
            }
            (Method::POST, ["v1", "yield"]) => {
                // Before it is asked: a connection that breaks in the meantime must end the yielding.
                self.yielding.store(true, Ordering::Relaxed);
                agent.ask(Question::Yield).await??;
                ok(&serde_json::json!({}))
            }
            (Method::POST, ["v1", "drain"]) => {
                if !self.yielding.load(Ordering::Relaxed) {
                    let what = "the agent drains for the one that it yielded to, on the same connection";
                    return Ok(error(StatusCode::CONFLICT, what));
                }
                agent.ask(Question::Drain).await??;
                self.yielding.store(false, Ordering::Relaxed);
                ok(&serde_json::json!({}))
            }
            (method, _) => {
                Ok(error(StatusCode::NOT_FOUND, format!("there is no {method} {}", request.uri().path())))
            }
        }
    }
}

/// Why a request has no good answer.
enum Failure {
    Gone(AgentGone),
    Refused(Refusal),
    Body(String),
}

impl From<AgentGone> for Failure {
    fn from(gone: AgentGone) -> Self {
        Self::Gone(gone)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The refusal of a gateway that does not exist, naming those that do.
pub fn unknown(namespace: &str, name: &str, existing: impl Iterator<Item = String>) -> Refusal {
    let existing: Vec<_> = existing.collect();
    let existing = if existing.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there are: {}", existing.join(", "))
    };
    Refusal::NotFound(format!("no gateway {namespace}/{name}; {existing}"))
}

#[expect(clippy::unnecessary_wraps, reason = "every arm of the routing is a Result")]
fn ok<T: serde::Serialize>(value: &T) -> Result<Reply, Failure> {
    Ok(json(StatusCode::OK, value))
}

fn named(namespace: &str, name: &str) -> GatewayName {
    GatewayName { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::NotFound(_) => StatusCode::NOT_FOUND,
        Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
        Refusal::Yielding => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Failure> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(Failure::Body("expected a body of type application/json".to_owned()));
    }
    let body = Limited::new(request.into_body(), LARGEST_BODY).collect().await;
    let body = body.map_err(|error| Failure::Body(format!("the body cannot be read: {error}")))?.to_bytes();
    serde_json::from_slice(&body)
        .map_err(|error| Failure::Body(format!("the body is not what is expected: {error}")))
}
