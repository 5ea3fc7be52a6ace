//! The one way a packet can leave the packet path.

/// What a hook does with a packet.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Give it to the kernel (rewritten or not).
    Pass,
    /// Drop it.
    Drop,
    /// Send it, turned into an answer, back where it came from.
    SendBack,
}

/// Declares [`Verdict`] with its numbers, labels and actions in one table, so that none can be forgotten.
macro_rules! verdicts {
    ($($(#[$doc:meta])+ $name:ident = $number:literal, $label:literal, $action:ident;)+) => {
        /// Every way a packet can leave. Numbers are never reused: they index `VERDICT_STATS`, and the labels
        /// are metric labels.
        #[must_use]
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Verdict {
            $($(#[$doc])+ $name = $number,)+
        }

        impl Verdict {
            /// All verdicts, by rising number.
            pub const ALL: &'static [Verdict] = &[$(Verdict::$name),+];

            /// The verdict that has this number; [`Verdict::NotOurs`] for a number that none has.
            #[inline(always)]
            pub const fn from_number(number: u8) -> Self {
                match number {
                    $($number => Verdict::$name,)+
                    _ => Verdict::NotOurs,
                }
            }

            /// The metric label, `snake_case`.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Verdict::$name => $label,)+
                }
            }

            /// What the hook does with the packet.
            pub const fn action(self) -> Action {
                match self {
                    $(Verdict::$name => Action::$action,)+
                }
            }
        }
    };
}

verdicts! {
    /// No frontend of ours: passed untouched.
    NotOurs = 0, "not_ours", Pass;
    /// Neither IPv4 nor IPv6, or more than two VLAN tags: passed untouched.
    NotIp = 1, "not_ip", Pass;
    /// Headers end before their own lengths say so, or lengths contradict each other: passed, the kernel judges.
    Truncated = 2, "truncated", Pass;
    /// A fragment: ports unknown or payload incomplete; passed untouched.
    Fragment = 3, "fragment", Pass;
    /// IPv6 extension headers that were not followed to their end (too many, or a routing header that is not
    /// done): passed untouched.
    ExtensionHeaders = 4, "extension_headers", Pass;
    /// IP, but neither TCP nor UDP: passed untouched.
    OtherProtocol = 5, "other_protocol", Pass;
    /// A SYN-ACK to a frontend's address and port: the answer to a connection of the node's own; passed.
    SynAck = 6, "syn_ack", Pass;
    /// The slot says KERNEL.
    Kernel = 7, "kernel", Pass;
    /// The slot says AGENT: to the L7 listeners.
    Agent = 8, "agent", Pass;
    /// To a pod of this node: destination rewritten, the kernel routes.
    Local = 9, "local", Pass;
    /// The slot says REFUSE: answered with a RST or an ICMP error.
    Refused = 10, "refused", SendBack;
    /// The slot says DROP.
    Dropped = 11, "dropped", Drop;
    /// The backend of this flow is gone: answered with a RST or an ICMP error.
    BackendDead = 12, "backend_dead", SendBack;
    /// TCP, not a SYN, for a real backend, and no state of such a connection: answered with a RST.
    NoState = 13, "no_state", SendBack;
    /// Would have been refused, but this CPU's allowance of refusals for this second is used up.
    RefusalLimited = 14, "refusal_limited", Drop;
    /// Would have been refused, but is a RST itself, or cannot be answered.
    RefusedSilently = 15, "refused_silently", Drop;
    /// The client uses the same port for other frontends, and no candidate slot leads to a pod that is free.
    NoCandidate = 16, "no_candidate", Drop;
    /// FLOWS is full: a connection that would have to be remembered is refused.
    FlowsFull = 17, "flows_full", SendBack;
    /// REPLIES is full: a connection whose replies could not be turned back is refused.
    RepliesFull = 18, "replies_full", SendBack;
    /// The frontend's ring is missing, or the slot names a reserved number.
    RingMissing = 19, "ring_missing", Drop;
    /// No heartbeat of the agent for too long: a new connection is passed to the kernel.
    Stale = 20, "stale", Pass;
    /// The headers cannot be rewritten (the hook's helper said no).
    RewriteFailed = 21, "rewrite_failed", Drop;
    /// Egress: a pod's reply, its source rewritten to the frontend.
    Reply = 22, "reply", Pass;
    /// Egress: a reply of the agent's L7 listeners.
    AgentReply = 23, "agent_reply", Pass;
    /// Egress: nothing of ours, passed untouched.
    EgressNotOurs = 24, "egress_not_ours", Pass;
    /// A socket of this node connects (or sends) to a frontend: to an endpoint instead.
    Connected = 25, "connected", Pass;
    /// The same, left as it is: the agent or the kernel answers there.
    ConnectedToFrontend = 26, "connected_to_frontend", Pass;
    /// The same, refused: nobody serves the frontend.
    ConnectRefused = 27, "connect_refused", Drop;
    /// To a pod elsewhere: destination rewritten, the kernel routes; the source follows at egress.
    Nat = 28, "nat", Pass;
    /// A pod's answer to a port of the node's: destination rewritten to the client, the kernel routes.
    NatReply = 29, "nat_reply", Pass;
    /// Egress: on its way to a pod, its source rewritten to the node's.
    Masqueraded = 30, "masqueraded", Pass;
    /// All ports that were tried for a flow of mode `nat` are in use.
    NoNatPort = 31, "no_nat_port", Drop;
    /// The client comes from where this frontend lets nobody in.
    SourceDenied = 32, "source_denied", Drop;
    /// The answer to a connection that begins at a frontend's address and port: passed.
    OutgoingReply = 33, "outgoing_reply", Pass;
    /// Somebody on the link asks for an address that this node answers for: answered.
    Announced = 34, "announced", SendBack;
    /// The same for an address that another node answers for.
    AnnouncedElsewhere = 35, "announced_elsewhere", Drop;
}

/// Entries of `VERDICT_STATS`: room for verdicts to come without a new layout.
pub const CAPACITY: usize = 64;

const _: () = assert!(Verdict::ALL.len() <= CAPACITY);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_rise() {
        for (index, verdict) in Verdict::ALL.iter().enumerate() {
            assert_eq!(*verdict as usize, index);
            assert_eq!(Verdict::from_number(index as u8), *verdict);
        }
    }

    #[test]
    fn labels_are_unique_snake_case() {
        for (index, verdict) in Verdict::ALL.iter().enumerate() {
            let label = verdict.label();
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{label}");
            assert!(!Verdict::ALL[..index].iter().any(|other| other.label() == label), "{label} twice");
        }
    }
}
