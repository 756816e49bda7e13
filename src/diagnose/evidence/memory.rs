//! How much memory the child may use, and what became of it.
//!
//! What must stay true: a limit may be set anywhere above the child's own control group, so all of them are looked at,
//! of version 2 and of version 1; and what is not told stays unknown.

use super::files::{self, SMALL};
use crate::model::diagnosis::MemoryEvidence;
use std::path::{Path, PathBuf};

/// Control groups are not nested deeper than anybody would look.
const DEPTH: usize = 16;

/// Version 1 says "no limit" by a number near the greatest.
const NO_LIMIT: u64 = 1 << 60;

/// A mount table is not longer.
const MOUNTS_MAX: u64 = 1 << 20;

/// The child's control group, and how many of its processes had been killed for want of memory by the time it was
/// taken. To be taken when a child is started: later the process may be gone, and then nobody can say where it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryMark {
    group: Option<Group>,
    killed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// Where the hierarchy begins.
    mount: PathBuf,
    folder: PathBuf,
    files: Files,
}

/// What the files of a version are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Files {
    limit: &'static str,
    used: &'static str,
    events: &'static str,
}

const VERSION_2: Files = Files { limit: "memory.max", used: "memory.current", events: "memory.events" };
const VERSION_1: Files =
    Files { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", events: "memory.oom_control" };

impl MemoryMark {
    /// Of the process with this pid, now.
    pub fn of(pid: u32) -> Self {
        let group = Group::of(pid);
        let killed = group.as_ref().and_then(Group::killed).unwrap_or(0);
        Self { group, killed }
    }

    /// What is so now.
    pub fn evidence(&self) -> MemoryEvidence {
        let machine = files::text("/proc/meminfo", SMALL).unwrap_or_default();
        let kilobytes = |name| files::number(&machine, name).unwrap_or(0).saturating_mul(1024);
        let (limit, used) = self.group.as_ref().map_or((None, None), Group::tightest);
        let killed = self.group.as_ref().and_then(Group::killed).unwrap_or(0);
        let own = self.group.as_ref().and_then(|group| group.text("memory.pressure"));
        let pressure = own.or_else(|| files::text("/proc/pressure/memory", SMALL));
        MemoryEvidence {
            total: kilobytes("MemTotal"),
            available: kilobytes("MemAvailable"),
            limit,
            used,
            killed,
            killed_since_start: killed.saturating_sub(self.killed),
            pressure: pressure.as_deref().and_then(full_pressure),
        }
    }
}

impl Group {
    fn of(pid: u32) -> Option<Self> {
        let groups = files::text(&format!("/proc/{pid}/cgroup"), SMALL)?;
        let mounts = files::text("/proc/self/mountinfo", MOUNTS_MAX)?;
        // A machine may have both; memory is counted by one.
        [VERSION_2, VERSION_1].into_iter().find_map(|version| {
            let group = Self::find(&groups, &mounts, version)?;
            group.folder.join(version.used).exists().then_some(group)
        })
    }

    fn find(groups: &str, mounts: &str, files: Files) -> Option<Self> {
        let path = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let wanted = match files {
                VERSION_2 => number == "0" && controllers.is_empty(),
                _ => controllers.split(',').any(|controller| controller == "memory"),
            };
            wanted.then_some(path)
        })?;
        let (root, mount) = mounts.lines().find_map(|line| hierarchy(line, files == VERSION_2))?;
        // Inside of a container the hierarchy begins at the container's own group.
        let below = Path::new(path).strip_prefix(root).ok().or_else(|| Path::new(path).strip_prefix("/").ok())?;
        let mount = PathBuf::from(mount);
        let folder = mount.join(below);
        let folder = if folder.is_dir() { folder } else { mount.clone() };
        Some(Self { mount, folder, files })
    }

    fn text(&self, name: &str) -> Option<String> {
        files::text(self.folder.join(name).to_str()?, SMALL)
    }

    fn killed(&self) -> Option<u64> {
        files::number(&self.text(self.files.events)?, "oom_kill ")
    }

    /// The limit that will be met first, and what is used of it; what the group itself uses where there is no limit.
    fn tightest(&self) -> (Option<u64>, Option<u64>) {
        let number = |folder: &Path, name| files::text(folder.join(name).to_str()?, SMALL)?.trim().parse::<u64>().ok();
        let above = self.folder.ancestors().take(DEPTH).take_while(|folder| folder.starts_with(&self.mount));
        let limited = above.filter_map(|folder| {
            let limit = number(folder, self.files.limit).filter(|limit| *limit < NO_LIMIT)?;
            Some((limit, number(folder, self.files.used)?))
        });
        match limited.min_by_key(|(limit, used)| limit.saturating_sub(*used)) {
            Some((limit, used)) => (Some(limit), Some(used)),
            None => (None, number(&self.folder, self.files.used)),
        }
    }
}

/// Root and mount point, if a line of the mount table is the one of control groups that count memory.
fn hierarchy(line: &str, second: bool) -> Option<(&str, &str)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, mount) = (place.next()?, place.next()?);
    let mut kind = kind.split(' ');
    let (kind, options) = (kind.next()?, kind.next_back()?);
    let memory = || options.split(',').any(|option| option == "memory");
    (if second { kind == "cgroup2" } else { kind == "cgroup" && memory() }).then_some((root, mount))
}

fn full_pressure(text: &str) -> Option<f64> {
    let full = text.lines().find_map(|line| line.strip_prefix("full "))?;
    full.split(' ').find_map(|part| part.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_groups_are_found_in_the_mount_table() {
        let first = "31 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let second = "32 25 0:29 /docker/x /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(hierarchy(first, false), Some(("/", "/sys/fs/cgroup/memory")));
        assert_eq!(hierarchy(first, true), None);
        assert_eq!(hierarchy(second, true), Some(("/docker/x", "/sys/fs/cgroup")));
        assert_eq!(hierarchy(second, false), None);
        assert_eq!(hierarchy("rubbish", true), None);
    }

    #[test]
    fn only_the_full_pressure_of_ten_seconds_counts() {
        let text = "some avg10=9.00 avg60=1.00 avg300=0.00 total=0\nfull avg10=3.25 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(full_pressure(text), Some(3.25));
        assert_eq!(full_pressure(""), None);
    }

    #[test]
    fn this_machine_tells_something() {
        let evidence = MemoryMark::of(std::process::id()).evidence();
        assert!(evidence.total > 0 && evidence.available > 0);
        assert_eq!(evidence.killed_since_start, 0);
    }
}
