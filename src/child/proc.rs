//! What the kernel tells of processes under `/proc`.
//!
//! What must stay true: a process may end between any two reads, so everything here is optional; and a process names
//! itself as it likes, so `stat` is read from its last parenthesis on.

use nix::unistd::{SysconfVar, sysconf};
use std::fs::{self, File};
use std::io::Read;

/// A process that no later one can be mistaken for: pids are used again, but not with the same start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it began, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_time: u64,
}

impl ProcessId {
    /// This process's own.
    pub fn own() -> Option<Self> {
        Self::now(std::process::id())
    }

    /// Of whoever has this pid now.
    pub fn now(pid: u32) -> Option<Self> {
        Some(Stat::read(pid)?.id)
    }

    /// As it stands in an environment.
    pub(super) fn text(self) -> String {
        format!("{}-{}", self.pid, self.start_time)
    }
}

/// The longest environment that is looked through, in bytes; the kernel's own limit is a quarter of the stack's.
const ENVIRON_MAX: u64 = 8 << 20;

/// The line of `/proc/PID/stat`, as far as it is of use here. Times are in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) id: ProcessId,
    /// The kernel's letter.
    pub(crate) state: u8,
    pub(crate) parent: u32,
    pub(crate) session: u32,
    /// Page faults of its own for which a disk had to be read.
    pub(crate) major_faults: u64,
    /// CPU time of its own, user's and system's.
    pub(crate) own_time: u64,
    /// CPU time of the children that it has waited for.
    pub(crate) reaped_time: u64,
    pub(crate) threads: u32,
    /// Resident memory in pages.
    pub(crate) resident: u64,
}

impl Stat {
    /// Of this pid, if there is such a process now.
    pub(crate) fn read(pid: u32) -> Option<Self> {
        Self::parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    pub(crate) fn parse(pid: u32, line: &[u8]) -> Option<Self> {
        let name_end = memchr::memrchr(b')', line)?;
        let rest = std::str::from_utf8(line.get(name_end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The manual counts fields from 1, and the third is the first after the name.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |position: usize| field(position)?.parse::<u64>().ok();
        let small = |position: usize| field(position)?.parse::<u32>().ok();
        Some(Self {
            id: ProcessId { pid, start_time: number(22)? },
            state: *field(3)?.as_bytes().first()?,
            parent: small(4)?,
            session: small(6)?,
            major_faults: number(12)?,
            own_time: number(14)?.saturating_add(number(15)?),
            reaped_time: number(16)?.saturating_add(number(17)?),
            threads: small(20)?,
            resident: number(24)?,
        })
    }

    /// Whether all of it has ended. A process whose main thread alone has ended looks like a zombie, but still has
    /// other threads.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }

    pub(crate) fn is_zombie(&self) -> bool {
        self.state == b'Z' && self.is_dead()
    }
}

/// By this many ticks the kernel counts a second of CPU time.
pub(crate) fn ticks_per_second() -> f64 {
    f64::from(system(SysconfVar::CLK_TCK).unwrap_or(100))
}

/// A page of memory in bytes.
pub(crate) fn page_size() -> u64 {
    u64::from(system(SysconfVar::PAGE_SIZE).unwrap_or(4096))
}

fn system(variable: SysconfVar) -> Option<u32> {
    sysconf(variable).ok().flatten().and_then(|value| u32::try_from(value).ok())
}

/// Every process that can be seen.
pub(super) fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| Stat::read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Bytes that a process, and the children that it has waited for, had storage read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Storage {
    pub(super) read: u64,
    pub(super) written: u64,
}

impl Storage {
    /// Of this pid; `None` too when it may not be read.
    pub(super) fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/io")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Some(Self { read: number("read_bytes:")?, written: number("write_bytes:")? })
    }
}

/// The children of all threads of a process, ended ones that nobody has waited for included.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).ok();
    threads
        .flatten()
        .filter_map(of_thread)
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// The value of a variable in the environment that the process was started with; `None` too when it may not be read.
pub(super) fn variable(pid: u32, name: &str) -> Option<Vec<u8>> {
    let mut environ = Vec::new();
    File::open(format!("/proc/{pid}/environ")).ok()?.take(ENVIRON_MAX).read_to_end(&mut environ).ok()?;
    value_of(&environ, name).map(<[u8]>::to_vec)
}

fn value_of<'a>(environ: &'a [u8], name: &str) -> Option<&'a [u8]> {
    environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields() {
        let line = b"42 (x) R 1 1 1) S 7 8 9 0 -1 0 0 0 0 0 3 4 5 6 20 0 2 0 1234 99 11 0 0";
        let stat = Stat::parse(42, line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.session), (b'S', 7, 9));
        assert_eq!((stat.own_time, stat.reaped_time), (7, 11));
        assert_eq!((stat.threads, stat.id.start_time, stat.resident), (2, 1234, 11));
    }

    #[test]
    fn a_cut_line_is_no_process() {
        assert_eq!(Stat::parse(42, b"42 (x) R 1 1"), None);
        assert_eq!(Stat::parse(42, b""), None);
    }

    #[test]
    fn a_main_thread_that_left_early_is_not_the_process_end() {
        let line = |threads| format!("1 (x) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 5 0 0");
        assert!(!Stat::parse(1, line(3).as_bytes()).unwrap().is_dead());
        assert!(Stat::parse(1, line(1).as_bytes()).unwrap().is_dead());
    }

    #[test]
    fn a_variable_is_matched_as_a_whole() {
        let environ = b"A=1\0CHILDMINDER_SESSION=s-12\0XCHILDMINDER_SESSION=s-1\0";
        assert_eq!(value_of(environ, "CHILDMINDER_SESSION"), Some(&b"s-12"[..]));
        assert_eq!(value_of(environ, "CHILDMINDER"), None);
    }

    #[test]
    fn storage_is_what_disks_gave_and_took() {
        let text =
            "rchar: 9\nwchar: 8\nsyscr: 7\nsyscw: 6\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 5\n";
        assert_eq!(Storage::parse(text), Some(Storage { read: 4096, written: 8192 }));
        assert_eq!(Storage::parse("rchar: 9\n"), None);
    }

    #[test]
    fn this_process_is_there() {
        let stat = Stat::read(std::process::id()).unwrap();
        assert!(!stat.is_dead());
        assert!(stat.threads >= 1 && stat.resident > 0);
    }
}
