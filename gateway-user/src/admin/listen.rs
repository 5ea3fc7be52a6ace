//! Listeners of the admin API, of metrics, and of the hand-over to a successor.

use std::{
    fs, io,
    net::SocketAddr,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::{MetadataExt as _, PermissionsExt as _},
            net::{self as unix, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::address::AdminAddress;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Someone else listens there.
    #[error("{flag} {address}: in use by another process; give another address, or stop that process")]
    InUse {
        /// The flag that gave it.
        flag: &'static str,
        /// The address.
        address: String,
    },
    /// Something that is no socket has this name.
    #[error("{flag} unix:{}: there is a file of this name that is no socket; give another path or remove it", path.display())]
    NoSocket {
        /// The flag that gave it.
        flag: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{flag} {address}: cannot be listened on: {source}")]
    Io {
        /// The flag that gave it.
        flag: &'static str,
        /// The address.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// A listener, not yet in a runtime.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket; the path is removed on drop where it still is this socket.
    Unix(unix::UnixListener, Option<SocketFile>),
    /// TCP.
    Tcp(std::net::TcpListener),
}

/// Whether an agent listens already that we take over from: then its addresses are shared until it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// Nobody may be there.
    Fresh,
    /// From a predecessor.
    Over,
}

/// The file of a unix socket.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor has its own socket under this name: that one stays.
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens for the admin API.
pub fn listen_admin(address: &AdminAddress, taking: Taking) -> Result<Listener, ListenError> {
    match address {
        AdminAddress::Unix(path) => listen_unix(path, taking),
        AdminAddress::Tcp(address) => listen_tcp("--admin", *address, taking),
    }
}

/// Listens on TCP, for `flag`.
pub fn listen_tcp(flag: &'static str, address: SocketAddr, taking: Taking) -> Result<Listener, ListenError> {
    let fail = |source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            return ListenError::InUse { flag, address: address.to_string() };
        }
        ListenError::Io { flag, address: address.to_string(), source }
    };
    let open = |shared: bool| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(128)?;
        Ok(socket)
    };
    if taking == Taking::Fresh {
        // Agents share their port with successors (SO_REUSEPORT), so any two agents could: a look whether
        // someone is there comes first.
        drop(open(false).map_err(fail)?);
    }
    Ok(Listener::Tcp(open(true).map_err(fail)?.into()))
}

/// Listens under a name that only this network namespace sees and that is free as soon as its holder is gone.
pub fn listen_abstract(name: &str) -> io::Result<Listener> {
    let listener = unix::UnixListener::bind_addr(&unix::SocketAddr::from_abstract_name(name)?)?;
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix(listener, None))
}

/// Binds under another name and renames: whoever connects meets the old socket or the new one.
fn listen_unix(path: &Path, taking: Taking) -> Result<Listener, ListenError> {
    let flag = "--admin";
    let address = || format!("unix:{}", path.display());
    let fail = |source| ListenError::Io { flag, address: address(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    if let Ok(found) = fs::symlink_metadata(path) {
        use std::os::unix::fs::FileTypeExt as _;
        if !found.file_type().is_socket() {
            return Err(ListenError::NoSocket { flag, path: path.to_owned() });
        }
        if taking == Taking::Fresh && UnixStream::connect(path).is_ok() {
            return Err(ListenError::InUse { flag, address: address() });
        }
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    let _ = fs::remove_file(&draft);
    let open = || {
        let listener = unix::UnixListener::bind(&draft)?;
        // Nobody connects before this: the name is not known yet.
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let inode = inode(&draft)?;
        fs::rename(&draft, path)?;
        Ok((listener, SocketFile { path: path.to_owned(), inode }))
    };
    let (listener, file) = open().map_err(fail)?;
    Ok(Listener::Unix(listener, Some(file)))
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|of| (of.dev(), of.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix_address(dir: &tempfile::TempDir) -> (PathBuf, AdminAddress) {
        let path = dir.path().join("run/admin.sock");
        (path.clone(), AdminAddress::Unix(path))
    }

    #[test]
    fn the_unix_socket_is_for_its_owner_only_and_goes_with_the_listener() {
        let dir = tempfile::tempdir().unwrap();
        let (path, address) = unix_address(&dir);
        let listener = listen_admin(&address, Taking::Fresh).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (path, address) = unix_address(&dir);
        fs::create_dir(path.parent().unwrap()).unwrap();
        drop(unix::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the file of a socket outlives it");
        let _listener = listen_admin(&address, Taking::Fresh).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_live_socket_is_left_alone_unless_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let (path, address) = unix_address(&dir);
        let old = listen_admin(&address, Taking::Fresh).unwrap();
        assert!(matches!(listen_admin(&address, Taking::Fresh), Err(ListenError::InUse { .. })));
        let _new = listen_admin(&address, Taking::Over).unwrap();
        drop(old);
        UnixStream::connect(&path).expect("the old listener took the new one's file with it");
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        fs::write(&path, "data").unwrap();
        let error = listen_admin(&AdminAddress::Unix(path.clone()), Taking::Over).unwrap_err();
        assert!(matches!(error, ListenError::NoSocket { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"data");
    }

    #[test]
    fn a_tcp_port_in_use_is_noticed_though_ports_are_shared_with_successors() {
        let Listener::Tcp(first) =
            listen_tcp("--metrics", "127.0.0.1:0".parse().unwrap(), Taking::Fresh).unwrap()
        else {
            panic!("a TCP address gave another listener")
        };
        let address = first.local_addr().unwrap();
        let error = listen_tcp("--metrics", address, Taking::Fresh).unwrap_err();
        assert!(error.to_string().contains("--metrics") && error.to_string().contains("in use"), "{error}");
        listen_tcp("--metrics", address, Taking::Over).unwrap();
    }
}
