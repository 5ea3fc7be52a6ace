//! The programs in the kernel, their maps filled by hand, packets through `BPF_PROG_TEST_RUN`.

use std::{
    fs, mem,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use aya::{
    Ebpf, EbpfLoader, Pod, TestRun as _, TestRunOptions,
    maps::{Array, ArrayOfMaps, HashMap, LpmTrie, MapData, PerCpuArray, lpm_trie::Key},
    programs::{SchedClassifier, Xdp},
};
use gateway_common::{
    abi::{
        announce::UplinkMac,
        backend::{Backend, mode},
        flow::{Flow, FlowKey, Reply, ReplyKey},
        frontend::{Frontend, FrontendKey4, FrontendKey6, Source},
        settings::Settings,
        slot::Slot,
        stats::{RouteStats, TrafficStats, VerdictStats},
    },
    packet::ip,
    verdict::{Action, Verdict},
};
use weir::dataplane::object::OBJECT;

/// Flags of a ring: `BPF_F_MMAPABLE | BPF_F_INNER_MAP`, as in the object's template.
const RING_FLAGS: u32 = (1 << 10) | (1 << 12);

/// Which program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Xdp,
    Ingress,
    Egress,
    /// Out to a pod.
    PodOut,
}

impl Hook {
    /// The program's name.
    fn program(self) -> &'static str {
        match self {
            Self::Xdp => "weir_xdp",
            Self::Ingress => "weir_ingress",
            Self::Egress => "weir_egress",
            Self::PodOut => "weir_pod_out",
        }
    }

    /// What the hook returns for an action.
    fn action(self, action: Action) -> u32 {
        const TCX_NEXT: u32 = u32::MAX;
        const TCX_DROP: u32 = 2;
        const TCX_REDIRECT: u32 = 7;
        match (self, action) {
            (Self::Xdp, Action::Drop) => 1,
            (Self::Xdp, Action::Pass) => 2,
            (Self::Xdp, Action::SendBack) => 3,
            (_, Action::Pass) => TCX_NEXT,
            (_, Action::Drop) => TCX_DROP,
            (_, Action::SendBack) => TCX_REDIRECT,
        }
    }
}

/// The two builds of the packet path.
pub const PATHS: [Hook; 2] = [Hook::Xdp, Hook::Ingress];

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    pub bytes: Vec<u8>,
}

/// A freshly loaded object. Every test has its own, so nothing is left over from another one.
pub struct Kernel {
    object: Ebpf,
    rings: Vec<Array<MapData, Slot>>,
    settings: Settings,
    /// Packets per verdict up to now.
    counted: Vec<u64>,
    loaded: Vec<Hook>,
}

impl Kernel {
    /// Loads the programs and sets the clock to 1000 s.
    pub fn new() -> Self {
        Self::with_maps(&[])
    }

    /// The same with other sizes of maps.
    pub fn with_maps(sizes: &[(&'static str, u32)]) -> Self {
        let mut loader = EbpfLoader::new();
        for name in ["EMBRYO", "OLD", "UDP_FLOWS", "REPLY_EMBRYO", "UDP_REPLIES", "NAT_EMBRYO", "UDP_NAT"] {
            for family in [4, 6] {
                let name: &'static str = format!("{name}{family}").leak();
                loader.map_max_entries(name, 4096);
            }
        }
        for (name, size) in sizes {
            loader.map_max_entries(name, *size);
        }
        let object = loader.load(OBJECT).expect("loading BPF programs needs root and kernel 5.15 or later");
        let mut kernel = Self {
            object,
            rings: Vec::new(),
            settings: Settings::default(),
            counted: vec![0; Verdict::ALL.len()],
            loaded: Vec::new(),
        };
        kernel.settings(Settings { now: 1000, refusals: 1000, hash_seed: 7, ..Settings::default() });
        kernel
    }

    pub fn settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.array::<Settings>("SETTINGS").set(0, settings, 0).unwrap();
    }

    pub fn current_settings(&self) -> Settings {
        self.settings
    }

    /// Lets time pass for "last seen".
    pub fn later(&mut self, seconds: u32) {
        self.settings(Settings { now: self.settings.now + seconds, ..self.settings });
    }

    pub fn now(&self) -> u32 {
        self.settings.now
    }

    fn array<V: Pod>(&mut self, name: &str) -> Array<&mut MapData, V> {
        self.object.map_mut(name).unwrap().try_into().unwrap()
    }

    /// Makes a ring; returns its index.
    pub fn ring(&mut self, slots: &[Slot]) -> u32 {
        let mut ring = Array::create(slots.len() as u32, RING_FLAGS).unwrap();
        for (index, slot) in slots.iter().enumerate() {
            ring.set(index as u32, *slot, 0).unwrap();
        }
        let index = self.rings.len() as u32;
        let mut rings: ArrayOfMaps<_, Array<MapData, Slot>> =
            self.object.map_mut("RINGS").unwrap().try_into().unwrap();
        rings.set(index, &ring, 0).unwrap();
        self.rings.push(ring);
        index
    }

    /// Writes one slot, as an agent does that changes a weight.
    pub fn slot(&mut self, ring: u32, index: u32, slot: Slot) {
        self.rings[ring as usize].set(index, slot, 0).unwrap();
    }

    /// Lists a frontend on a ring of `slots` slots.
    pub fn frontend(&mut self, address: SocketAddr, protocol: u8, ring: u32, flags: u32) {
        let slots = self.rings[ring as usize].len();
        let value = Frontend { ring, ring_mask: slots - 1, gateway: 3, flags };
        let port = address.port().to_be_bytes();
        match address.ip() {
            IpAddr::V4(ip) => {
                let key = FrontendKey4 { addr: ip.octets(), port, protocol, pad: 0 };
                let mut map: HashMap<_, FrontendKey4, Frontend> =
                    self.object.map_mut("FRONTENDS4").unwrap().try_into().unwrap();
                map.insert(key, value, 0).unwrap();
            }
            IpAddr::V6(ip) => {
                let key = FrontendKey6 { addr: ip.octets(), port, protocol, pad: 0 };
                let mut map: HashMap<_, FrontendKey6, Frontend> =
                    self.object.map_mut("FRONTENDS6").unwrap().try_into().unwrap();
                map.insert(key, value, 0).unwrap();
            }
        }
    }

    /// Lets clients from a prefix of that many bits in to a frontend.
    pub fn source(&mut self, frontend: SocketAddr, protocol: u8, client: IpAddr, bits: u32) {
        let port = frontend.port().to_be_bytes();
        match (frontend.ip(), client) {
            (IpAddr::V4(f), IpAddr::V4(c)) => {
                let source = Source { frontend: f.octets(), port, protocol, pad: 0, client: c.octets() };
                let mut map: LpmTrie<_, Source<[u8; 4]>, u32> =
                    self.object.map_mut("SOURCES4").unwrap().try_into().unwrap();
                map.insert(&Key::new(64 + bits, source), 1, 0).unwrap();
            }
            (IpAddr::V6(f), IpAddr::V6(c)) => {
                let source = Source { frontend: f.octets(), port, protocol, pad: 0, client: c.octets() };
                let mut map: LpmTrie<_, Source<[u8; 16]>, u32> =
                    self.object.map_mut("SOURCES6").unwrap().try_into().unwrap();
                map.insert(&Key::new(160 + bits, source), 1, 0).unwrap();
            }
            _ => panic!("one family per packet"),
        }
    }

    /// Makes `id` the endpoint at `address`, of the route with the same number.
    pub fn backend(&mut self, id: u32, address: SocketAddr, generation: u32) {
        self.write_backend(id, address, generation, mode::LOCAL);
    }

    /// The endpoint is gone.
    pub fn kill(&mut self, id: u32, address: SocketAddr, generation: u32) {
        self.write_backend(id, address, generation, mode::UNUSABLE);
    }

    /// Makes `id` the endpoint at `address` on another node, to which this one is `source`.
    pub fn backend_elsewhere(&mut self, id: u32, address: SocketAddr, source: IpAddr) {
        let backend = Backend { mode: mode::NAT, source: address_bytes(source).0, ..entry(id, address) };
        self.array("BACKENDS").set(id, backend, 0).unwrap();
    }

    /// Makes `id` the pod at `address` behind the device with this index, to which this node is `source`.
    pub fn backend_behind(&mut self, id: u32, address: SocketAddr, source: IpAddr, device: u32) {
        let source = address_bytes(source).0;
        let backend = Backend { mode: mode::LOCAL, source, device, ..entry(id, address) };
        self.array("BACKENDS").set(id, backend, 0).unwrap();
    }

    /// Gives the uplink with this index a MAC address.
    pub fn uplink_mac(&mut self, index: u32, mac: [u8; 6]) {
        self.macs().insert(index, UplinkMac { mac, pad: [0; 2] }, 0).unwrap();
    }

    /// The device with this index is no uplink any more.
    pub fn forget_uplink(&mut self, index: u32) {
        self.macs().remove(&index).unwrap();
    }

    fn macs(&mut self) -> HashMap<&mut MapData, u32, UplinkMac> {
        self.object.map_mut("UPLINK_MACS").unwrap().try_into().unwrap()
    }

    /// Says who answers for an address, one of `announce::answers`.
    pub fn announced(&mut self, address: IpAddr, who: u32) {
        match address {
            IpAddr::V4(ip) => {
                let mut map: HashMap<_, [u8; 4], u32> =
                    self.object.map_mut("ANNOUNCED4").unwrap().try_into().unwrap();
                map.insert(ip.octets(), who, 0).unwrap();
            }
            IpAddr::V6(ip) => {
                let mut map: HashMap<_, [u8; 16], u32> =
                    self.object.map_mut("ANNOUNCED6").unwrap().try_into().unwrap();
                map.insert(ip.octets(), who, 0).unwrap();
            }
        }
    }

    /// Says that a pod is behind the device with this index.
    pub fn pod_device(&mut self, index: u32) {
        let mut map: HashMap<_, u32, u32> = self.object.map_mut("POD_DEVICES").unwrap().try_into().unwrap();
        map.insert(index, 1, 0).unwrap();
    }

    fn write_backend(&mut self, id: u32, address: SocketAddr, generation: u32, mode: u8) {
        let backend = Backend { generation, mode, ..entry(id, address) };
        self.array("BACKENDS").set(id, backend, 0).unwrap();
    }

    /// Runs one packet; fails unless exactly one verdict was counted.
    pub fn run(&mut self, hook: Hook, frame: &[u8]) -> Outcome {
        self.run_with(hook, frame, None)
    }

    /// The same for a packet that came in by the device with this index (tcx only).
    pub fn run_forwarded(&mut self, hook: Hook, frame: &[u8], device: u32) -> Outcome {
        // Offset of `ingress_ifindex` in `struct __sk_buff` (linux/bpf.h).
        let mut context = vec![0u8; 192];
        context[36..40].copy_from_slice(&device.to_ne_bytes());
        self.run_with(hook, frame, Some(&context))
    }

    /// The same for a buffer that stands for several segments (tcx only).
    pub fn run_gso(&mut self, hook: Hook, frame: &[u8], segments: u32, size: u32) -> Outcome {
        // Offsets of `gso_segs` and `gso_size` in `struct __sk_buff` (linux/bpf.h).
        let mut context = vec![0u8; 192];
        context[164..168].copy_from_slice(&segments.to_ne_bytes());
        context[176..180].copy_from_slice(&size.to_ne_bytes());
        self.run_with(hook, frame, Some(&context))
    }

    fn run_with(&mut self, hook: Hook, frame: &[u8], context: Option<&[u8]>) -> Outcome {
        self.load(hook);
        let mut out = vec![0; frame.len() + 256];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: context,
            ..TestRunOptions::default()
        };
        let result = match hook {
            Hook::Xdp => {
                <&Xdp>::try_from(self.object.program(hook.program()).unwrap()).unwrap().test_run(options)
            }
            Hook::Ingress | Hook::Egress | Hook::PodOut => self.classifier(hook.program()).test_run(options),
        }
        .unwrap_or_else(|error| panic!("{hook:?}, {} bytes: {error}", frame.len()));
        out.truncate(result.data_size_out as usize);
        let counts = self.verdicts();
        let before = mem::replace(&mut self.counted, counts.clone());
        let counted: Vec<Verdict> =
            Verdict::ALL.iter().copied().filter(|v| counts[*v as usize] != before[*v as usize]).collect();
        let total: u64 = counts.iter().sum::<u64>() - before.iter().sum::<u64>();
        assert_eq!((counted.len(), total), (1, 1), "one verdict per packet: {counted:?}");
        assert_eq!(result.return_value, hook.action(counted[0].action()), "{hook:?}: {:?}", counted[0]);
        Outcome { verdict: counted[0], bytes: out }
    }

    /// Time per packet when it runs so many times in a row; the packet is not restored in between.
    pub fn time(&mut self, hook: Hook, frame: &[u8], repeat: u32) -> Duration {
        self.load(hook);
        let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::default() };
        let result = match hook {
            Hook::Xdp => {
                <&Xdp>::try_from(self.object.program(hook.program()).unwrap()).unwrap().test_run(options)
            }
            Hook::Ingress | Hook::Egress | Hook::PodOut => self.classifier(hook.program()).test_run(options),
        };
        self.counted = self.verdicts();
        result.unwrap().duration
    }

    /// Loads the hook's program when it is first needed: the verifier takes most of this suite's time.
    fn load(&mut self, hook: Hook) {
        if self.loaded.contains(&hook) {
            return;
        }
        self.loaded.push(hook);
        let program = self.object.program_mut(hook.program()).unwrap();
        match hook {
            Hook::Xdp => <&mut Xdp>::try_from(program).unwrap().load().unwrap(),
            Hook::Ingress | Hook::Egress | Hook::PodOut => {
                <&mut SchedClassifier>::try_from(program).unwrap().load().unwrap();
            }
        }
    }

    fn classifier(&self, name: &str) -> &SchedClassifier {
        self.object.program(name).unwrap().try_into().unwrap()
    }

    /// Runs one packet and compares; a packet that fails is left as a pcap.
    pub fn expect(&mut self, hook: Hook, frame: &[u8], verdict: Verdict, bytes: &[u8]) {
        let outcome = self.run(hook, frame);
        if outcome.verdict != verdict || outcome.bytes != bytes {
            let pcap = write_pcap(&[frame, &outcome.bytes, bytes]);
            panic!(
                "{hook:?}: {:?} instead of {verdict:?}; in, out and expected: {}\n in       {}\n out      {}\n expected {}",
                outcome.verdict,
                pcap.display(),
                hex(frame),
                hex(&outcome.bytes),
                hex(bytes)
            );
        }
    }

    /// Packets per verdict, over all CPUs.
    fn verdicts(&self) -> Vec<u64> {
        let map: PerCpuArray<_, VerdictStats> = self.object.map("VERDICT_STATS").unwrap().try_into().unwrap();
        (0..Verdict::ALL.len() as u32)
            .map(|n| map.get(&n, 0).unwrap().iter().map(|s| s.packets).sum())
            .collect()
    }

    /// Counters of a route, over all CPUs.
    pub fn route_stats(&self, route: u32) -> RouteStats {
        let map: PerCpuArray<_, RouteStats> = self.object.map("ROUTE_STATS").unwrap().try_into().unwrap();
        map.get(&route, 0).unwrap().iter().fold(RouteStats::default(), |sum, one| RouteStats {
            packets: sum.packets + one.packets,
            bytes: sum.bytes + one.bytes,
            new_flows: sum.new_flows + one.new_flows,
            reply_packets: sum.reply_packets + one.reply_packets,
            reply_bytes: sum.reply_bytes + one.reply_bytes,
        })
    }

    /// Counters of a backend or a gateway, over all CPUs.
    pub fn traffic(&self, map: &str, index: u32) -> TrafficStats {
        let map: PerCpuArray<_, TrafficStats> = self.object.map(map).unwrap().try_into().unwrap();
        map.get(&index, 0).unwrap().iter().fold(TrafficStats::default(), |sum, one| TrafficStats {
            packets: sum.packets + one.packets,
            bytes: sum.bytes + one.bytes,
            reply_packets: sum.reply_packets + one.reply_packets,
            reply_bytes: sum.reply_bytes + one.reply_bytes,
        })
    }

    /// The entry of a flow in FLOWS, EMBRYO, OLD or `UDP_FLOWS`.
    pub fn flow(&self, map: &str, client: SocketAddr, frontend: SocketAddr) -> Option<Flow> {
        let (client_port, frontend_port) = (client.port().to_be_bytes(), frontend.port().to_be_bytes());
        match (client.ip(), frontend.ip()) {
            (IpAddr::V4(c), IpAddr::V4(f)) => {
                let key = FlowKey { client: c.octets(), frontend: f.octets(), client_port, frontend_port };
                self.get(&format!("{map}4"), &key)
            }
            (IpAddr::V6(c), IpAddr::V6(f)) => {
                let key = FlowKey { client: c.octets(), frontend: f.octets(), client_port, frontend_port };
                self.get(&format!("{map}6"), &key)
            }
            _ => panic!("one family per packet"),
        }
    }

    /// State and time of an entry of REPLIES, `REPLY_EMBRYO` or `UDP_REPLIES`: (backend, seen, state).
    pub fn reply(&self, map: &str, client: SocketAddr, pod: SocketAddr) -> Option<(u32, u32, u32)> {
        let (client_port, pod_port) = (client.port().to_be_bytes(), pod.port().to_be_bytes());
        match (client.ip(), pod.ip()) {
            (IpAddr::V4(c), IpAddr::V4(p)) => {
                let key = ReplyKey { client: c.octets(), pod: p.octets(), client_port, pod_port };
                let reply: Option<Reply<[u8; 4]>> = self.get(&format!("{map}4"), &key);
                reply.map(|reply| (reply.backend, reply.seen, reply.state))
            }
            (IpAddr::V6(c), IpAddr::V6(p)) => {
                let key = ReplyKey { client: c.octets(), pod: p.octets(), client_port, pod_port };
                let reply: Option<Reply<[u8; 16]>> = self.get(&format!("{map}6"), &key);
                reply.map(|reply| (reply.backend, reply.seen, reply.state))
            }
            _ => panic!("one family per packet"),
        }
    }

    fn get<K: Pod, V: Pod>(&self, name: &str, key: &K) -> Option<V> {
        let map: HashMap<_, K, V> = self.object.map(name).unwrap().try_into().unwrap();
        map.get(key, 0).ok()
    }

    /// Entries of a flow map.
    pub fn entries<K: Pod, V: Pod>(&self, name: &str) -> usize {
        let map: HashMap<&MapData, K, V> = self.object.map(name).unwrap().try_into().unwrap();
        map.keys().flatten().count()
    }
}

/// An endpoint's entry, of the route with the same number.
fn entry(id: u32, address: SocketAddr) -> Backend {
    let (addr, family) = address_bytes(address.ip());
    let port = address.port().to_be_bytes();
    Backend { addr, port, family, generation: 1, route: id, gateway: 3, ..Backend::default() }
}

/// An address as `Backend` has it, and its family.
fn address_bytes(address: IpAddr) -> ([u8; 16], u8) {
    match address {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            (bytes, 4)
        }
        IpAddr::V6(ip) => (ip.octets(), 6),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Writes frames into a pcap file and returns its path.
fn write_pcap(frames: &[&[u8]]) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut bytes = Vec::new();
    // Magic, version 2.4, time zone, accuracy, snap length, Ethernet.
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        for word in [0, 0, frame.len() as u32, frame.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(*frame);
    }
    let name = format!("packet-{}-{}.pcap", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// The protocol's number, by its name in test output.
pub const TCP: u8 = ip::TCP;
/// The protocol's number, by its name in test output.
pub const UDP: u8 = ip::UDP;
