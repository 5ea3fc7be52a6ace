//! Taking Weir off a host: works with no agent running, and twice.

use std::{
    fs, io,
    net::IpAddr,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use gateway_common::abi::frontend::{Frontend, FrontendKey4, FrontendKey6};
use serde::Serialize;

use super::{
    attach,
    error::Error,
    host,
    load::Pins,
    netlink::Netlink,
    sys::{
        self,
        link::{self, AttachType},
        table::Table,
    },
};

/// What was removed; all empty where nothing of Weir's was left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Links detached, by the names of their pins.
    pub links: Vec<String>,
    /// Maps unpinned.
    pub maps: usize,
    /// Rings unpinned.
    pub rings: usize,
    /// Addresses whose local route was removed.
    pub local_routes: Vec<IpAddr>,
    /// The agent's cgroup, where it was empty and is removed.
    pub cgroup: Option<PathBuf>,
}

/// Detaches and unpins everything below `pin_dir`, of any version, and removes the local routes of this network
/// namespace and the agent's cgroup.
///
/// # Errors
/// The first thing that could not be removed; calling again goes on from there.
pub fn uninstall(pin_dir: &Path) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    for folder in version_folders(pin_dir)? {
        remove_version(&Pins::in_folder(folder), &mut removed)?;
    }
    remove_folder(pin_dir)?;
    let mut netlink = Netlink::open().map_err(Error::routing("open a netlink socket"))?;
    let routes = netlink.local_routes().map_err(Error::routing("list local routes"))?;
    netlink.remove_local_routes(&routes).map_err(Error::routing("remove local routes"))?;
    removed.local_routes = routes.into_iter().collect();
    Ok(removed)
}

/// `<pin-dir>/v<number>`.
fn version_folders(pin_dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_version = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok())
    };
    Ok(list(pin_dir)?.into_iter().filter(is_version).collect())
}

fn remove_version(pins: &Pins, removed: &mut Removed) -> Result<(), Error> {
    clear_frontends(pins);
    let cgroup = cgroup_of(pins);
    for path in attach::pinned(pins)? {
        attach::remove_link(&path)?;
        removed.links.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    removed.rings += remove_files(&pins.rings)?;
    remove_folder(&pins.rings)?;
    remove_folder(&pins.links)?;
    removed.maps += remove_files(&pins.maps)?;
    remove_folder(&pins.maps)?;
    // An agent that still runs keeps its cgroup.
    removed.cgroup = removed.cgroup.take().or(cgroup.filter(|path| fs::remove_dir(path).is_ok()));
    removed.links.sort();
    Ok(())
}

/// From here on every packet is the kernel's, also where a program is still attached elsewhere.
fn clear_frontends(pins: &Pins) {
    fn clear<K: aya::Pod>(path: &Path) -> io::Result<()> {
        let Some(table) = Table::<K, Frontend>::new(sys::open_pin(path)?)? else { return Ok(()) };
        table.entries(u32::MAX)?.iter().try_for_each(|(key, _)| table.remove(key).map(drop))
    }
    // Maps that are missing or of another layout are unpinned all the same.
    drop(clear::<FrontendKey4>(&pins.maps.join("FRONTENDS4")));
    drop(clear::<FrontendKey6>(&pins.maps.join("FRONTENDS6")));
}

/// The cgroup that the cgroup programs hang on.
fn cgroup_of(pins: &Pins) -> Option<PathBuf> {
    let link = sys::open_pin(&pins.links.join(attach::CGROUP_IN)).ok()?;
    let id = link::describe(link.as_fd()).ok()?.target_id(AttachType::CgroupIngress);
    host::find_cgroup(&host::mounted_cgroup2()?, id, 8)
}

/// Removes the files of a folder; how many there were.
fn remove_files(folder: &Path) -> Result<usize, Error> {
    let files: Vec<_> = list(folder)?.into_iter().filter(|path| !path.is_dir()).collect();
    for path in &files {
        fs::remove_file(path).map_err(Error::pin("remove", path))?;
    }
    Ok(files.len())
}

fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // The pin folder may hold what is not ours, or be the mount itself.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::ResourceBusy) =>
        {
            Ok(())
        }
        result => result.map_err(Error::pin("remove", path)),
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => {
            let entries = entries.map_err(Error::pin("list", folder))?;
            Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        }
    }
}
