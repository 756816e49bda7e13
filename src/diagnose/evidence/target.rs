//! What a file descriptor of some process is, and which of several is waited for.
//!
//! What must stay true: names are read, files are never opened nor looked up by their paths: one on a dead file server
//! would hang whoever asks.

use super::files;
use crate::model::diagnosis::FdTarget;
use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;

/// As much of a table of the kernel's is looked through.
const TABLE_MAX: u64 = 4 << 20;

/// As many descriptors of a process are looked at for the other end of a pipe.
const FDS_MAX: usize = 256;

/// File systems whose files lie on another machine, or are made by another process.
const REMOTE: [&str; 12] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "9p", "lustre", "gpfs", "glusterfs"];

/// The processes of one tree, as their descriptors see each other. Tables are read when first asked for.
pub(super) struct Descriptors {
    /// Pid, and how the process is called.
    tree: Vec<(u32, String)>,
    writers: OnceLock<HashMap<u64, Vec<PipeEnd>>>,
    sockets: OnceLock<HashMap<u64, FdTarget>>,
    mounts: OnceLock<Vec<(String, bool)>>,
}

struct PipeEnd {
    pid: u32,
    fd: u32,
    writes: bool,
}

impl Descriptors {
    pub(super) fn new(tree: Vec<(u32, String)>) -> Self {
        Self { tree, writers: OnceLock::new(), sockets: OnceLock::new(), mounts: OnceLock::new() }
    }

    /// What this descriptor is, if it can be told.
    pub(super) fn target(&self, pid: u32, fd: u32) -> Option<FdTarget> {
        let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
        let name = link.to_string_lossy().into_owned();
        if let Some(inode) = inode(&name, "socket:[") {
            let sockets = self.sockets.get_or_init(|| sockets(pid));
            return Some(sockets.get(&inode).cloned().unwrap_or(FdTarget::Other { name }));
        }
        if let Some(inode) = inode(&name, "pipe:[") {
            return Some(FdTarget::Pipe { other: self.other_end(inode, pid, fd) });
        }
        Some(self.named(pid, name))
    }

    /// What lies at this path.
    pub(super) fn named(&self, pid: u32, name: String) -> FdTarget {
        if !name.starts_with('/') {
            return FdTarget::Other { name };
        }
        match name.strip_prefix("/dev/") {
            Some(device) if device.starts_with("pts/") || device.starts_with("tty") || device == "console" => {
                FdTarget::Terminal { path: name }
            }
            Some(device) if !device.starts_with("shm/") => FdTarget::Other { name },
            _ => FdTarget::File { remote: self.is_remote(pid, &name), path: name },
        }
    }

    /// How the process of the tree is called that has the other end, if there is one.
    fn other_end(&self, inode: u64, pid: u32, fd: u32) -> Option<String> {
        let ends = self.writers.get_or_init(|| {
            let mut ends: HashMap<u64, Vec<PipeEnd>> = HashMap::new();
            for (pid, _) in &self.tree {
                for (inode, end) in pipe_ends(*pid) {
                    ends.entry(inode).or_default().push(end);
                }
            }
            ends
        });
        let ends = ends.get(&inode)?;
        let writes = ends.iter().find(|end| end.pid == pid && end.fd == fd)?.writes;
        let other = ends.iter().filter(|end| end.pid != pid && end.writes != writes).map(|end| end.pid).min()?;
        self.tree.iter().find(|(pid, _)| *pid == other).map(|(_, called)| called.clone())
    }

    fn is_remote(&self, pid: u32, path: &str) -> bool {
        let mounts = self.mounts.get_or_init(|| {
            let table = files::text(&format!("/proc/{pid}/mountinfo"), TABLE_MAX).unwrap_or_default();
            table.lines().filter_map(mount).collect()
        });
        let below = |mount: &str| {
            path.strip_prefix(mount).is_some_and(|rest| mount == "/" || rest.is_empty() || rest.starts_with('/'))
        };
        let nearest = mounts.iter().filter(|(mount, _)| below(mount)).max_by_key(|(mount, _)| mount.len());
        nearest.is_some_and(|(_, remote)| *remote)
    }
}

/// How much a descriptor says about why somebody waits for it: of several, the most telling one is shown.
pub(super) fn tells(target: &FdTarget) -> u8 {
    match target {
        FdTarget::Socket { state, .. } if state == "LISTEN" => 3,
        FdTarget::Socket { .. } => 6,
        FdTarget::Pipe { other: Some(_) } => 5,
        FdTarget::Terminal { .. } => 4,
        FdTarget::Pipe { other: None } | FdTarget::UnixSocket { .. } => 3,
        FdTarget::File { .. } => 2,
        FdTarget::Other { .. } => 1,
    }
}

fn inode(name: &str, kind: &str) -> Option<u64> {
    name.strip_prefix(kind)?.strip_suffix(']')?.parse().ok()
}

fn pipe_ends(pid: u32) -> Vec<(u64, PipeEnd)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let end = |entry: fs::DirEntry| {
        let fd: u32 = entry.file_name().to_str()?.parse().ok()?;
        let inode = inode(fs::read_link(entry.path()).ok()?.to_str()?, "pipe:[")?;
        let info = files::text(&format!("/proc/{pid}/fdinfo/{fd}"), files::SMALL)?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let writes = u32::from_str_radix(flags.trim(), 8).ok()? & 3 != 0;
        Some((inode, PipeEnd { pid, fd, writes }))
    };
    entries.flatten().take(FDS_MAX).filter_map(end).collect()
}

fn mount(line: &str) -> Option<(String, bool)> {
    let (place, kind) = line.split_once(" - ")?;
    let path = place.split(' ').nth(4)?.replace("\\040", " ");
    let kind = kind.split(' ').next()?;
    Some((path, REMOTE.contains(&kind) || kind == "fuse" || kind.starts_with("fuse.")))
}

fn sockets(pid: u32) -> HashMap<u64, FdTarget> {
    let mut found = HashMap::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let table = files::text(&format!("/proc/{pid}/net/{protocol}"), TABLE_MAX).unwrap_or_default();
        found.extend(table.lines().skip(1).filter_map(|line| internet(protocol, line)));
    }
    let table = files::text(&format!("/proc/{pid}/net/unix"), TABLE_MAX).unwrap_or_default();
    found.extend(table.lines().skip(1).filter_map(unix));
    found
}

fn internet(protocol: &str, line: &str) -> Option<(u64, FdTarget)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, peer) = (address(words.get(1)?)?, address(words.get(2)?)?);
    let tcp = protocol.starts_with("tcp");
    let state = if tcp { tcp_state(words.get(3)?) } else { "" };
    let peer = if peer.port() == 0 { String::new() } else { peer.to_string() };
    let target = FdTarget::Socket { protocol: protocol.into(), local: local.to_string(), peer, state: state.into() };
    Some((words.get(9)?.parse().ok()?, target))
}

fn unix(line: &str) -> Option<(u64, FdTarget)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let path = words.get(7).copied().unwrap_or_default().to_owned();
    Some((words.get(6)?.parse().ok()?, FdTarget::UnixSocket { path }))
}

/// `0100007F:1F90`: the address in the machine's byte order, word by word; the port as a number.
fn address(word: &str) -> Option<SocketAddr> {
    let (host, port) = word.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = host.as_bytes().chunks(8).map(|chunk| u32::from_str_radix(std::str::from_utf8(chunk).ok()?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let host = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => {
            let six = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
            six.to_ipv4_mapped().map_or(IpAddr::V6(six), IpAddr::V4)
        }
        _ => return None,
    };
    Some(SocketAddr::new(host, port))
}

fn tcp_state(word: &str) -> &'static str {
    match word {
        "01" => "ESTABLISHED",
        "02" => "SYN_SENT",
        "03" => "SYN_RECV",
        "04" => "FIN_WAIT1",
        "05" => "FIN_WAIT2",
        "06" => "TIME_WAIT",
        "07" => "CLOSE",
        "08" => "CLOSE_WAIT",
        "09" => "LAST_ACK",
        "0A" => "LISTEN",
        "0B" => "CLOSING",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn a_line_of_the_socket_table_is_read() {
        let line =
            "   0: 0100007F:1F90 0200000A:0050 02 00000000:00000000 00:00000000 00000000     0        0 7788 1 0 20";
        let (inode, target) = internet("tcp", line).unwrap();
        let FdTarget::Socket { local, peer, state, .. } = target else { panic!("{target:?}") };
        assert_eq!(
            (inode, local.as_str(), peer.as_str(), state.as_str()),
            (7788, "127.0.0.1:8080", "10.0.0.2:80", "SYN_SENT")
        );
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_mapped_address_is_shown_as_what_it_is() {
        assert_eq!(address("0000000000000000FFFF00000100007F:0016").unwrap().to_string(), "127.0.0.1:22");
        assert_eq!(address("00000000000000000000000001000000:0016").unwrap().to_string(), "[::1]:22");
        assert_eq!(address("XYZ:0016"), None);
    }

    #[test]
    fn unix_sockets_have_a_path_or_none() {
        let named = "0000000000000000: 00000002 00000000 00010000 0001 01 321 /run/x.sock";
        assert_eq!(unix(named), Some((321, FdTarget::UnixSocket { path: "/run/x.sock".into() })));
        let unnamed = "0000000000000000: 00000003 00000000 00000000 0001 03 322";
        assert_eq!(unix(unnamed), Some((322, FdTarget::UnixSocket { path: String::new() })));
    }

    #[test]
    fn remote_file_systems_are_known_by_the_nearest_mount() {
        let descriptors = Descriptors::new(Vec::new());
        let table = [
            "1 0 0:1 / / rw - ext4 d rw",
            "2 1 0:2 / /mnt/a\\040b rw - nfs4 s:/x rw",
            "3 1 0:3 / /m rw - fuse.sshfs s rw",
        ];
        descriptors.mounts.set(table.iter().filter_map(|line| mount(line)).collect()).unwrap();
        assert!(descriptors.is_remote(1, "/mnt/a b/frame.exr"));
        assert!(descriptors.is_remote(1, "/m/x"));
        assert!(!descriptors.is_remote(1, "/mnt/a bc"));
        assert!(!descriptors.is_remote(1, "/home/x"));
    }

    #[test]
    fn devices_are_told_from_files() {
        let descriptors = Descriptors::new(Vec::new());
        let named = |name: &str| descriptors.named(std::process::id(), name.into());
        assert!(matches!(named("/dev/pts/3"), FdTarget::Terminal { .. }));
        assert!(matches!(named("/dev/null"), FdTarget::Other { .. }));
        assert!(matches!(named("/dev/shm/x"), FdTarget::File { .. }));
        assert!(matches!(named("anon_inode:[eventpoll]"), FdTarget::Other { .. }));
    }
}
