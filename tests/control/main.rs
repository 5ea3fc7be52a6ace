//! The controller against a real API server: etcd and kube-apiserver on loopback, no nodes. What makes pods and runs
//! them is left out: pods are written as the kubelet would.
//!
//! Controllers, and what of agents is asked here, run with the roles that deploy/ ships. `cargo xtask test` says where Kubernetes is, by `WEIR_KUBE`.

#![allow(clippy::unwrap_used, reason = "what surprises a test is to end it, in helpers as well")]

mod announce;
mod leaders;
mod routes;
mod server;
mod services;
mod shop;
