//! L4 with real XDP: clients, a node whose kernel runs the data plane, pods, in namespaces of their own.

mod attach;
mod bulk;
mod counters;
mod held;
mod node;
mod plan;
mod refuse;
mod shares;
