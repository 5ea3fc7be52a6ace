//! Kubernetes: what is watched, and what that means in the model's terms. Nothing here knows the kernel or the proxy.

pub mod agent;
pub mod controller;
mod pauses;
pub mod resource;
pub mod translate;
