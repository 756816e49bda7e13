//! System calls by their names, and which of their arguments says what is waited for.
//!
//! What must stay true: only calls in which a thread can be for long are named; all others stay a number, and a number
//! claims nothing about its arguments.

/// What a call's arguments say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// The first is a descriptor.
    Fd,
    /// The first points to an array of `pollfd`, the second says how many.
    Poll,
    /// The first is one more than the highest descriptor, the next three point to sets of them.
    Select,
    /// The first is a descriptor that stands for a set of them.
    Epoll,
    /// The first is the pid of a child, or -1 for any.
    Pid,
    /// As [`Self::Pid`], if the first is `P_PID` and the second the pid; or the second is a pidfd.
    Id,
    /// The first points to a path.
    Path,
    /// The second points to a path.
    PathAt,
    /// Nothing of use here.
    Other,
}

use Takes::{Epoll, Fd, Id, Other, Path, PathAt, Pid, Poll, Select};

/// A call's name, its number on x86-64 and on aarch64 if it has one there, and what its arguments say.
type Row = (&'static str, Option<u16>, Option<u16>, Takes);

const TABLE: &[Row] = &[
    ("read", Some(0), Some(63), Fd),
    ("write", Some(1), Some(64), Fd),
    ("open", Some(2), None, Path),
    ("close", Some(3), Some(57), Fd),
    ("stat", Some(4), None, Path),
    ("fstat", Some(5), Some(80), Fd),
    ("lstat", Some(6), None, Path),
    ("poll", Some(7), None, Poll),
    ("lseek", Some(8), Some(62), Fd),
    ("mmap", Some(9), Some(222), Other),
    ("munmap", Some(11), Some(215), Other),
    ("ioctl", Some(16), Some(29), Fd),
    ("pread64", Some(17), Some(67), Fd),
    ("pwrite64", Some(18), Some(68), Fd),
    ("readv", Some(19), Some(65), Fd),
    ("writev", Some(20), Some(66), Fd),
    ("access", Some(21), None, Path),
    ("select", Some(23), None, Select),
    ("sched_yield", Some(24), Some(124), Other),
    ("msync", Some(26), Some(227), Other),
    ("madvise", Some(28), Some(233), Other),
    ("pause", Some(34), None, Other),
    ("nanosleep", Some(35), Some(101), Other),
    ("sendfile", Some(40), Some(71), Fd),
    ("connect", Some(42), Some(203), Fd),
    ("accept", Some(43), Some(202), Fd),
    ("sendto", Some(44), Some(206), Fd),
    ("recvfrom", Some(45), Some(207), Fd),
    ("sendmsg", Some(46), Some(211), Fd),
    ("recvmsg", Some(47), Some(212), Fd),
    ("clone", Some(56), Some(220), Other),
    ("vfork", Some(58), None, Other),
    ("execve", Some(59), Some(221), Path),
    ("wait4", Some(61), Some(260), Pid),
    ("semop", Some(65), Some(193), Other),
    ("msgrcv", Some(70), Some(188), Other),
    ("fcntl", Some(72), Some(25), Fd),
    ("flock", Some(73), Some(32), Fd),
    ("fsync", Some(74), Some(82), Fd),
    ("fdatasync", Some(75), Some(83), Fd),
    ("ftruncate", Some(77), Some(46), Fd),
    ("getdents", Some(78), None, Fd),
    ("rename", Some(82), None, Path),
    ("mkdir", Some(83), None, Path),
    ("unlink", Some(87), None, Path),
    ("readlink", Some(89), None, Path),
    ("rt_sigtimedwait", Some(128), Some(137), Other),
    ("rt_sigsuspend", Some(130), Some(133), Other),
    ("statfs", Some(137), Some(43), Path),
    ("sync", Some(162), Some(81), Other),
    ("futex", Some(202), Some(98), Other),
    ("io_getevents", Some(208), Some(4), Other),
    ("getdents64", Some(217), Some(61), Fd),
    (RESTARTED, Some(219), Some(128), Other),
    ("semtimedop", Some(220), Some(192), Other),
    ("clock_nanosleep", Some(230), Some(115), Other),
    ("epoll_wait", Some(232), None, Epoll),
    ("mq_timedreceive", Some(243), Some(183), Fd),
    ("waitid", Some(247), Some(95), Id),
    ("openat", Some(257), Some(56), PathAt),
    ("mkdirat", Some(258), Some(34), PathAt),
    ("newfstatat", Some(262), Some(79), PathAt),
    ("unlinkat", Some(263), Some(35), PathAt),
    ("readlinkat", Some(267), Some(78), PathAt),
    ("faccessat", Some(269), Some(48), PathAt),
    ("pselect6", Some(270), Some(72), Select),
    ("ppoll", Some(271), Some(73), Poll),
    ("sync_file_range", Some(277), Some(84), Fd),
    ("epoll_pwait", Some(281), Some(22), Epoll),
    ("fallocate", Some(285), Some(47), Fd),
    ("accept4", Some(288), Some(242), Fd),
    ("preadv", Some(295), Some(69), Fd),
    ("pwritev", Some(296), Some(70), Fd),
    ("recvmmsg", Some(299), Some(243), Fd),
    ("syncfs", Some(306), Some(267), Fd),
    ("sendmmsg", Some(307), Some(269), Fd),
    ("copy_file_range", Some(326), Some(285), Fd),
    ("preadv2", Some(327), Some(286), Fd),
    ("statx", Some(332), Some(291), PathAt),
    ("io_uring_enter", Some(426), Some(426), Fd),
    ("faccessat2", Some(439), Some(439), PathAt),
    ("epoll_pwait2", Some(441), Some(441), Epoll),
    ("futex_waitv", Some(449), Some(449), Other),
];

/// A call that goes on after the process was stopped and continued; the kernel forgets which it was.
const RESTARTED: &str = "restart_syscall";

/// A call with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    /// `None` when its number stands for none of the table.
    pub(super) name: Option<&'static str>,
    pub(super) number: u64,
    pub(super) takes: Takes,
    pub(super) arguments: [u64; 6],
}

impl Call {
    /// From `/proc/PID/task/TID/syscall`; `None` when the thread is in none.
    pub(super) fn parse(line: &str, wait_channel: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument = hex(words.next()?)?;
        }
        let row = by_number(number);
        let row = match row {
            Some((RESTARTED, ..)) => restarted(wait_channel).or(row),
            _ => row,
        };
        let (name, takes) = row.map_or((None, Takes::Other), |row| (Some(row.0), row.3));
        Some(Self { name, number, takes, arguments })
    }

    /// As it is shown.
    pub(super) fn shown(&self) -> String {
        self.name.map_or_else(|| self.number.to_string(), str::to_owned)
    }

    /// The first argument as a descriptor.
    pub(super) fn fd(&self) -> Option<u32> {
        u32::try_from(self.arguments[0]).ok()
    }
}

/// The stack pointer in such a line.
pub(in crate::diagnose) fn stack_pointer(line: &str) -> Option<u64> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let &[.., pointer, _] = words.as_slice() else { return None };
    hex(pointer)
}

fn hex(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

fn by_number(number: u64) -> Option<&'static Row> {
    TABLE.iter().find(|row| {
        let own = if cfg!(target_arch = "x86_64") {
            row.1
        } else if cfg!(target_arch = "aarch64") {
            row.2
        } else {
            None
        };
        own.is_some_and(|own| u64::from(own) == number)
    })
}

/// What a restarted call was, by where in the kernel it waits. Its arguments are still in their registers.
fn restarted(wait_channel: &str) -> Option<&'static Row> {
    let name = match wait_channel {
        channel if channel.contains("nanosleep") => "clock_nanosleep",
        channel if channel.contains("futex") => "futex",
        channel if channel.contains("poll") => "poll",
        _ => return None,
    };
    TABLE.iter().find(|row| row.0 == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_line_of_the_kernel_is_read() {
        let call =
            Call::parse("0 0x3 0x7f9c 0x20000 0x7f9d 0xffffffff 0x0 0x7fffe8b17578 0x7f9c0ceed2ad\n", "").unwrap();
        assert_eq!((call.shown().as_str(), call.fd(), call.takes), ("read", Some(3), Takes::Fd));
        assert_eq!(Call::parse("running\n", ""), None);
        assert_eq!(Call::parse("-1 0x7ffe 0x55aa", ""), None);
        let unknown = Call::parse("9999 0x3 0x0 0x0 0x0 0x0 0x0 0x0 0x0", "").unwrap();
        assert_eq!((unknown.shown().as_str(), unknown.takes), ("9999", Takes::Other));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_restarted_call_is_known_by_where_it_waits() {
        let line = "219 0x1 0x0 0x0 0x0 0x0 0x0 0x0 0x0";
        assert_eq!(Call::parse(line, "hrtimer_nanosleep").unwrap().name, Some("clock_nanosleep"));
        assert_eq!(Call::parse(line, "poll_schedule_timeout.constprop.0").unwrap().takes, Takes::Poll);
        assert_eq!(Call::parse(line, "0").unwrap().name, Some("restart_syscall"));
    }

    #[test]
    fn the_stack_pointer_is_last_but_one() {
        assert_eq!(stack_pointer("-1 0x7ffe 0x55aa\n"), Some(0x7ffe));
        assert_eq!(stack_pointer("0 0x3 0x1 0x2 0x3 0x4 0x5 0xabc 0xdef"), Some(0xabc));
        assert_eq!(stack_pointer("running"), None);
    }

    #[test]
    fn no_number_stands_for_two_calls() {
        for pick in [|row: &Row| row.1, |row: &Row| row.2] {
            let mut numbers: Vec<u16> = TABLE.iter().filter_map(pick).collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count);
        }
    }
}
