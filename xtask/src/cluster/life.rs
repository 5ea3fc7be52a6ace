//! Starting a cluster and taking it down.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    cgroup, control,
    daemon::Daemon,
    description, dns, identity, images, network, node, objects,
    plan::{self, Node, Plan},
    status,
};
use crate::{
    exec::{step, wait_for},
    setup,
};

const READY_SECONDS: u64 = 120;

/// Starts the cluster and waits until its nodes are ready. One that is up as wished is left alone.
///
/// # Errors
/// Where it is up with another number of nodes. With the end of the log of what failed; what was started stays, for a look at it, until the next `up` or `down`.
pub fn up(name: &str, nodes: u8, tars: &[PathBuf]) -> Result<()> {
    setup::kubernetes::ensure()?;
    let (pause, dns) = (images::pause()?, dns::image()?);
    let _lock = lock()?;
    if let Some((plan, description)) = description::read(name)?
        && description["ready"] == true
        && status::all_runs(&plan)
    {
        let has = plan.nodes;
        ensure!(has == nodes, "cluster {name} is up with {has} nodes, not {nodes}: take it `down` first");
        eprintln!("weir: cluster {name} is up already");
        return tars.iter().try_for_each(|tar| images::load(&plan, tar));
    }
    remove(name)?;
    let plan = with_free_range(name, nodes)?;
    let began = Instant::now();
    make_folder(&plan)?;
    step("making the network and certificates", || make_ground(&plan))?;
    step(&format!("starting the control plane and {nodes} nodes"), || start(&plan, &pause, &dns))?;
    for tar in tars {
        step(&format!("loading {}", tar.display()), || images::load(&plan, tar))?;
    }
    description::write(&plan, true, |node| node::holder(&plan, node))?;
    eprintln!("weir: cluster {name} is up, in {:.0} s", began.elapsed().as_secs_f64());
    eprintln!("weir: export KUBECONFIG={}", plan.dir()?.join("kubeconfig/admin").display());
    Ok(())
}

/// Ends everything of the cluster and removes it.
pub fn down(name: &str) -> Result<()> {
    let _lock = lock()?;
    remove(name)
}

/// Of commands that start or remove clusters, one at a time; until the result is dropped, or this process ends.
fn lock() -> Result<File> {
    let base = plan::base()?;
    fs::create_dir_all(&base).with_context(|| format!("making {}", base.display()))?;
    let lock = File::open(&base)?;
    lock.lock().with_context(|| format!("locking {}", base.display()))?;
    Ok(lock)
}

/// Removes what there is of the cluster `name`, also where nothing is written about it any more: what it may have
/// made follows from its name.
fn remove(name: &str) -> Result<()> {
    let plan = Plan::new(name, 0, plan::MOST_NODES)?;
    let group = cgroup::of_cluster(&plan)?;
    if group.is_dir() {
        step(&format!("ending what runs of cluster {name}"), || cgroup::remove_cluster(&group))?;
    }
    network::remove(&plan)?;
    let dir = plan.dir()?;
    if dir.is_dir() {
        fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    Ok(())
}

/// The cluster with the first range of addresses that nobody uses.
fn with_free_range(name: &str, nodes: u8) -> Result<Plan> {
    for index in 0..=u8::MAX {
        let plan = Plan::new(name, index, nodes)?;
        if !network::is_taken(&plan)? {
            return Ok(plan);
        }
    }
    bail!("every range of 172.30.0.0/16 is in use on this machine")
}

fn make_folder(plan: &Plan) -> Result<()> {
    let dir = plan.dir()?;
    fs::create_dir_all(dir.join("logs")).with_context(|| format!("making {}", dir.display()))?;
    description::write(plan, false, |_| None)
}

/// What everything stands on.
fn make_ground(plan: &Plan) -> Result<()> {
    let group = cgroup::of_cluster(plan)?;
    cgroup::make(&group)?;
    cgroup::delegate(&group)?;
    thread::scope(|scope| {
        let identities = scope.spawn(|| identity::make(plan));
        network::assemble(&plan.dir()?)?;
        network::make(plan)?;
        identities.join().expect("making identities does not panic")
    })
}

/// Boots the nodes while the control plane starts, then brings both together.
fn start(plan: &Plan, pause: &Path, dns: &Path) -> Result<()> {
    let (mut etcd, mut api) = control::start_api(plan)?;
    let mut daemons = thread::scope(|scope| {
        let boots: Vec<_> = plan.nodes().map(|node| scope.spawn(move || boot(plan, node, pause))).collect();
        control::wait_ready(plan, &mut [&mut etcd, &mut api])?;
        let mut daemons = control::start_controllers(plan)?;
        // Before their kubelets come, which would make objects without addresses for pods.
        objects::create(plan)?;
        for (node, boot) in plan.nodes().zip(boots) {
            daemons.push(boot.join().expect("booting does not panic")?);
            daemons.extend(node::join(plan, node)?);
        }
        images::load_into(plan, dns::NODE, dns)?;
        anyhow::Ok(daemons)
    })?;
    wait_ready(plan, &mut daemons)
}

/// Waits until nodes and DNS are ready, or something has ended that must not.
fn wait_ready(plan: &Plan, daemons: &mut [Daemon]) -> Result<()> {
    for (what, mut kubectl) in [("nodes", objects::nodes_ready(plan)?), ("DNS", dns::ready(plan)?)] {
        let mut waiting = kubectl.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let status = wait_for(&format!("{what} to be ready"), READY_SECONDS, || {
            for daemon in daemons.iter_mut() {
                let lives = daemon.check();
                daemon.explain(lives)?;
            }
            Ok(waiting.try_wait()?)
        });
        waiting.kill().ok();
        let status = status.with_context(|| objects::why_not_ready(plan))?;
        ensure!(status.success(), "{what} did not become ready; {}", objects::why_not_ready(plan));
    }
    Ok(())
}

/// A node with everything that can be there before the API is.
fn boot(plan: &Plan, node: Node, pause: &Path) -> Result<Daemon> {
    let containerd = node::boot(plan, node)?;
    images::load_into(plan, node, pause)?;
    Ok(containerd)
}
