//! The request path. Nothing under here knows Kubernetes, aya, or where its table comes from.

pub mod mark;
