//! Test harness: namespaces, pods, clients and the agent under test.
