//! Per-connection state: FLOWS, EMBRYO, OLD (only where a slot asks) and REPLIES (mode `local`).
