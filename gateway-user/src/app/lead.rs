//! The controller as a process: its log, its probes and metrics, and its end.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use prometheus_client::{
    encoding::text,
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::logging;
use crate::{
    admin::{
        listen::{self, Taking},
        server::{self, Connection, Reply, Service, error, with_body},
    },
    cli::args::ControllerArgs,
    control::controller::{self, Config, Health},
};

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Runs a controller until it is told to stop.
///
/// # Errors
/// Where no API server is named, or an address cannot be listened on.
pub fn lead(args: ControllerArgs) -> anyhow::Result<()> {
    logging::start(args.log_format, &args.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(args))
}

async fn run(args: ControllerArgs) -> anyhow::Result<()> {
    let client = kube::Client::try_default()
        .await
        .context("no API server: run this in a pod with a service account, or set KUBECONFIG")?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let identity = args.identity.unwrap_or_else(|| format!("{host}-{}", std::process::id()));
    let config = Config {
        namespace: args.namespace,
        lease: args.lease,
        identity,
        route_ttl: args.route_ttl.as_secs(),
    };
    let health = Arc::new(Health::default());
    let listener = listen::listen_tcp("--metrics", args.metrics, Taking::Fresh)?;
    let _server = server::serve(listener, Probes(health.clone()))?;
    let (stop, stopped) = watch::channel(false);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop");
        stop.send_replace(true);
    });
    tracing::info!(identity = config.identity, metrics = %args.metrics, "watching");
    controller::run(client, config, health, stopped).await;
    Ok(())
}

/// Health and metrics of a controller.
struct Probes(Arc<Health>);

impl Service for Probes {
    type Connection = Self;

    fn connect(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Connection for Probes {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => with_body(StatusCode::OK, TEXT, "ok\n"),
            (&Method::GET, "/readyz") if self.0.is_ready.load(Ordering::Relaxed) => {
                with_body(StatusCode::OK, TEXT, "ready\n")
            }
            (&Method::GET, "/readyz") => {
                with_body(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not everything is known yet\n")
            }
            (&Method::GET, "/metrics") => with_body(StatusCode::OK, OPEN_METRICS, self.metrics()),
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

impl Probes {
    fn metrics(&self) -> String {
        let mut registry = Registry::with_prefix("weir_controller");
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let leads = i64::from(self.0.is_leading.load(Ordering::Relaxed));
        registry.register("leading", "Whether this controller leads", ConstGauge::new(leads));
        let gateways = get(&self.0.gateways).cast_signed();
        registry.register("gateways", "Gateways known", ConstGauge::new(gateways));
        registry.register("pods", "Pods known", ConstGauge::new(get(&self.0.pods).cast_signed()));
        registry.register("writes", "Objects written", ConstCounter::new(get(&self.0.writes)));
        registry.register("write_failures", "Writes that failed", ConstCounter::new(get(&self.0.failures)));
        let mut shown = String::new();
        text::encode(&mut shown, &registry).expect("writing to a String does not fail");
        shown
    }
}
