//! What this node acknowledges: its own `WeirNode`.
