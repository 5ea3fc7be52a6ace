//! The controller, wired together: the cluster, metrics and health, signals.

use anyhow::Context as _;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use super::{logging, signals::Signals};
use crate::{
    admin::{
        listen::{self, Taking},
        server::{self, Connection, Reply, Service, error, with_body},
    },
    config::ControllerConfig,
    control::controller::{self, metrics::Metrics},
};

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Runs a controller until it is told to stop.
///
/// # Errors
/// Where it cannot start, with what to do about it.
pub fn run(config: ControllerConfig) -> anyhow::Result<()> {
    logging::start(config.log_format, &config.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(live(config))
}

async fn live(config: ControllerConfig) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let client = kube::Client::try_default().await.context(
        "no way to the API server: run in a pod with a service account, or set KUBECONFIG to a file that works",
    )?;
    let metrics = Metrics::default();
    let listener = listen::listen_tcp("--metrics", config.metrics, Taking::Fresh)?;
    let _server = server::serve(listener, Health(metrics.clone()))?;
    tracing::info!(identity = config.options.identity, metrics = %config.metrics, "standing by");
    controller::run(client, &config.options, &metrics, signals.next()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Metrics and health of a controller.
#[derive(Clone)]
struct Health(Metrics);

impl Service for Health {
    type Connection = Self;

    fn connect(&self) -> Self {
        self.clone()
    }
}

impl Connection for Health {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => with_body(StatusCode::OK, OPEN_METRICS, self.0.text()),
            (&Method::GET, "/healthz") => with_body(StatusCode::OK, TEXT, "ok\n"),
            (&Method::GET, "/readyz") if self.0.is_ready() => with_body(StatusCode::OK, TEXT, "ready\n"),
            (&Method::GET, "/readyz") => with_body(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                "not ready: the API server has not told all yet\n",
            ),
            (&Method::GET, path) => error(
                StatusCode::NOT_FOUND,
                format!("there is no {path}; there are /metrics, /healthz, /readyz"),
            ),
            (method, _) => {
                error(StatusCode::METHOD_NOT_ALLOWED, format!("{method}: only GET is answered here"))
            }
        }
    }
}
