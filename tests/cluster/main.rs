//! Weir on a real cluster, as its users see it, with the roles and capabilities that deploy/ ships and a real
//! kube-proxy beside it. `cargo xtask cluster test` starts a cluster and runs this; `WEIR_CLUSTER` names it.
#![allow(clippy::unwrap_used, reason = "what surprises a test is to end it, in helpers as well")]

mod broken;
mod foreign;
mod outages;
mod paths;
mod policies;
mod restarts;
mod rights;
mod scene;
mod versions;
