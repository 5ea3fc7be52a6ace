//! The cluster's link: a bridge in the control namespace, with a wire to each node, to the client and to this machine.
//!
//! Wires are as in life: whole checksums, one frame at a time, no VLAN tag beside the frame. The bridge's end of a
//! node's wire runs an XDP program that passes everything, since a veth device takes what its peer's XDP sends at once
//! only if it runs a program itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::plan::{Host, Node, POOL4, POOL6, Plan};
use crate::exec::{command, feed, read};

/// `r0 = 2; exit`, `XDP_PASS`, in the assembler of any little-endian machine.
const PASS: &str = r#"
    .section xdp,"ax",@progbits
    .globl pass
    .type pass,@function
pass:
    .quad 0x00000002000000b7, 0x0000000000000095
    .size pass, .-pass
    .section license,"a",@progbits
    .asciz "GPL"
"#;
/// Where an ELF file says for which machine it is, and BPF's number.
const ELF_MACHINE: usize = 18;
const EM_BPF: [u8; 2] = 247_u16.to_le_bytes();

/// Makes the control namespace with the bridge, this machine's way to it, and the client.
pub fn make(plan: &Plan) -> Result<()> {
    let control = plan.namespace("control");
    add_namespace(&control, "1")?;
    let (v4, v6) = (plan.v4(Host::CONTROL), plan.v6(Host::CONTROL));
    let mut lines = format!(
        "link add br0 address {} type bridge\naddr add {v4}/24 dev br0\naddr add {v6}/64 dev br0 nodad\nlink set br0 up\n",
        plan.mac(Host::CONTROL)
    );
    for node in plan.nodes() {
        lines += &pod_routes(plan, node);
    }
    batch(&control, &lines)?;
    attach_host(plan, &control)?;
    attach_client(plan)
}

/// Makes a node's namespace and its wire; the same addresses every time.
pub fn make_node(plan: &Plan, node: Node, pass: &Path) -> Result<()> {
    let (namespace, control) = (plan.namespace(node), plan.namespace("control"));
    add_namespace(&namespace, "1")?;
    attach(plan, &node.to_string(), &namespace, node.host())?;
    let others: String =
        plan.nodes().filter(|other| *other != node).map(|other| pod_routes(plan, other)).collect();
    let (v4, v6) = (plan.v4(Host::CONTROL), plan.v6(Host::CONTROL));
    batch(&namespace, &format!("route add default via {v4}\nroute add default via {v6}\n{others}"))?;
    // iproute2 leaves folders in the bpffs that it finds.
    let attach = "mount -t bpf bpf /sys/fs/bpf && exec ip link set dev \"$0\" xdpdrv obj \"$1\" sec xdp";
    let mut link = inside(&control, "unshare");
    link.args(["--mount", "sh", "-c", attach, &node.to_string()]).arg(pass);
    read(&mut link).context("attaching XDP to the far end of a node's wire").map(drop)
}

/// Removes a node's namespace, and its wire with it.
pub fn remove_node(plan: &Plan, node: Node) -> Result<()> {
    remove_namespace(&plan.namespace(node))?;
    // The wire goes when the kernel gets to it; the next one of that name must not have to wait.
    let control = plan.namespace("control");
    if exists(&control) {
        read(inside(&control, "ip").args(["link", "del", "dev", &node.to_string()])).ok();
    }
    Ok(())
}

/// Removes all of it, ending what still runs inside.
pub fn remove(plan: &Plan) -> Result<()> {
    let places = ["client".to_owned(), "control".to_owned()];
    for place in plan.nodes().map(|node| node.to_string()).chain(places) {
        remove_namespace(&plan.namespace(place))?;
    }
    detach_host(plan)
}

/// Whether this machine has a way to the range of addresses already: somebody else's.
pub fn is_taken(plan: &Plan) -> Result<bool> {
    let address = plan.v4(Host::CONTROL).to_string();
    let routes = read(command("ip").args(["-4", "route", "show", "to", "match", &address]))?;
    Ok(routes.lines().any(|route| !route.starts_with("default")))
}

/// Removes this machine's device on the link, known by its alias. It goes with the control namespace, but not at once.
fn detach_host(plan: &Plan) -> Result<()> {
    for device in fs::read_dir("/sys/class/net").context("reading /sys/class/net")?.flatten() {
        let alias = fs::read_to_string(device.path().join("ifalias")).unwrap_or_default();
        if alias.trim_end() == plan.cgroup() {
            // The kernel may be removing it at this moment.
            read(command("ip").args(["link", "del", "dev"]).arg(device.file_name())).ok();
        }
    }
    Ok(())
}

/// Writes the program for the far ends of wires as an object file.
pub fn assemble(dir: &Path) -> Result<PathBuf> {
    let object = dir.join("pass.o");
    feed(command("as").arg("-o").arg(&object).arg("-"), PASS)?;
    let mut bytes = fs::read(&object)?;
    bytes[ELF_MACHINE..ELF_MACHINE + 2].copy_from_slice(&EM_BPF);
    fs::write(&object, bytes)?;
    Ok(object)
}

/// A command inside a network namespace. (Not by `ip netns exec`, which would remount /sys.)
pub fn inside(namespace: &str, program: &str) -> Command {
    let mut nsenter = command("nsenter");
    nsenter.arg(format!("--net=/run/netns/{namespace}")).arg("--").arg(program);
    nsenter
}

/// Whether the namespace is there.
pub fn exists(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

fn add_namespace(name: &str, forwarding: &str) -> Result<()> {
    read(command("ip").args(["netns", "add", name]))?;
    batch(name, "link set lo up\n")?;
    let settings = [
        ("ipv4/ip_forward", forwarding),
        ("ipv6/conf/all/forwarding", forwarding),
        ("ipv6/conf/default/forwarding", forwarding),
        // Addresses are known to be unique: no waiting until they may be used.
        ("ipv6/conf/all/accept_dad", "0"),
        ("ipv6/conf/default/accept_dad", "0"),
        // Strict, as many distributions have it: an address rewritten at the wrong place shows.
        ("ipv4/conf/all/rp_filter", "1"),
        ("ipv4/conf/default/rp_filter", "1"),
        // Many are open at a time; what is reserved are the ports of `nat`, as an agent that finds none free advises.
        ("ipv4/ip_local_port_range", "1024 65535"),
        ("ipv4/ip_local_reserved_ports", "61000-65535"),
    ];
    let lines = settings.map(|(key, value)| format!("echo {value} > /proc/sys/net/{key}"));
    feed(inside(name, "sh").arg("-e"), lines.join("\n")).map(drop)
}

fn attach_host(plan: &Plan, control: &str) -> Result<()> {
    let device = plan.host_device();
    let (v4, v6) = (plan.v4(Host::MACHINE), plan.v6(Host::MACHINE));
    let mut ip = command("ip");
    ip.args(["link", "add", "dev", &device, "address", &plan.mac(Host::MACHINE), "type", "veth"]);
    read(ip.args(["peer", "name", "host", "netns", control]))?;
    let lines = format!(
        "link set {device} alias {}\naddr add {v4}/24 dev {device}\naddr add {v6}/64 dev {device} nodad\nlink set {device} up\n",
        plan.cgroup()
    );
    feed(command("ip").args(["-batch", "-"]), lines)?;
    make_wire(command("ethtool"), &device)?;
    plug(control, "host")
}

fn attach_client(plan: &Plan) -> Result<()> {
    let client = plan.namespace("client");
    add_namespace(&client, "0")?;
    attach(plan, "client", &client, Host::CLIENT)?;
    let pods: String = plan.nodes().map(|node| pod_routes(plan, node)).collect();
    let (v4, v6) = (plan.v4(Host::CONTROL), plan.v6(Host::CONTROL));
    let pools = format!("route add {POOL4} dev eth0\nroute add {POOL6} dev eth0\n");
    batch(&client, &format!("{pools}{pods}route add default via {v4}\nroute add default via {v6}\n"))?;
    Ok(())
}

/// A wire from the bridge's port `port` to `eth0` of `namespace`.
fn attach(plan: &Plan, port: &str, namespace: &str, host: Host) -> Result<()> {
    let control = plan.namespace("control");
    let mac = plan.mac(host);
    batch(
        &control,
        &format!("link add dev {port} type veth peer name eth0 address {mac} netns {namespace}\n"),
    )?;
    let (v4, v6) = (plan.v4(host), plan.v6(host));
    batch(
        namespace,
        &format!("addr add {v4}/24 dev eth0\naddr add {v6}/64 dev eth0 nodad\nlink set eth0 up\n"),
    )?;
    make_wire(inside(namespace, "ethtool"), "eth0")?;
    plug(&control, port)
}

/// Puts the far end of a wire into the bridge.
fn plug(control: &str, port: &str) -> Result<()> {
    make_wire(inside(control, "ethtool"), port)?;
    batch(control, &format!("link set {port} master br0 up\n"))
}

fn make_wire(mut ethtool: Command, device: &str) -> Result<()> {
    read(ethtool.args(["-K", device, "tx", "off", "txvlan", "off", "rxvlan", "off"])).map(drop)
}

/// The way to the pods of a node.
fn pod_routes(plan: &Plan, node: Node) -> String {
    let (v4, v6) = (plan.v4(node.host()), plan.v6(node.host()));
    format!("route add {} via {v4}\nroute add {} via {v6}\n", node.pods4(), node.pods6())
}

/// Runs lines of `ip -batch` inside a namespace.
fn batch(namespace: &str, lines: &str) -> Result<()> {
    feed(inside(namespace, "ip").args(["-batch", "-"]), lines)
        .map(drop)
        .with_context(|| format!("in {namespace}:\n{lines}"))
}

fn remove_namespace(name: &str) -> Result<()> {
    if !exists(name) {
        return Ok(());
    }
    // One that was cut off while it was made has no processes and no namespace behind the name.
    let pids = read(command("ip").args(["netns", "pids", name])).unwrap_or_default();
    for pid in pids.split_whitespace() {
        read(command("sh").args(["-c", "kill -9 \"$0\"", pid])).ok();
    }
    if let Err(error) = read(command("ip").args(["netns", "del", name]))
        && exists(name)
    {
        fs::remove_file(Path::new("/run/netns").join(name)).context(error)?;
    }
    Ok(())
}
