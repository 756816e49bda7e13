//! Starting the child.
//!
//! What must stay true: every child is spawned from one thread that lives as long as its [`Spawner`], since the kernel
//! kills the child when the *thread* that spawned it ends. A child that nobody takes delivery of is killed.

use super::ENGINE;
use super::own::Role;
use super::proc::ProcessId;
use super::process::{Leader, Process};
use super::sys::{self, Fate};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread;
use tokio::sync::{mpsc, oneshot};

/// How long a killed child that nobody took may take to be reaped, in milliseconds.
const REAP_MS: u16 = 100;

/// What to start.
#[derive(Clone)]
pub struct SpawnSpec {
    /// The executable. A name without a slash is looked up in the `PATH` of `env`; a relative path begins at `cwd`.
    pub program: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// Its complete environment; nothing of ours is added but the [`ENGINE`] that it belongs to.
    pub env: Vec<(OsString, OsString)>,
    /// The folder to start it in.
    pub cwd: PathBuf,
    /// Its standard input.
    pub stdin: Stdin,
    /// Whether its standard error goes into its standard output, in the order of writing.
    pub merge_stderr: bool,
    /// A helper is not the session's child, and gets this file beside the standard ones, under the number that it has
    /// here.
    pub helper: Option<Arc<OwnedFd>>,
}

/// What a child's standard input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// Our own.
    Inherit,
    /// A pipe of ours.
    Pipe,
}

/// Without the environment's values: one of them may be the session's secret.
impl fmt::Debug for SpawnSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&OsString> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("SpawnSpec")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &names)
            .field("cwd", &self.cwd)
            .field("stdin", &self.stdin)
            .field("merge_stderr", &self.merge_stderr)
            .field("helper", &self.helper)
            .finish()
    }
}

/// A child that runs.
#[derive(Debug)]
pub struct Spawned {
    /// The process.
    pub process: Process,
    /// Where its standard input can be written, if it is a pipe.
    pub stdin: Option<OwnedFd>,
    /// Where its standard output can be read.
    pub stdout: OwnedFd,
    /// Where its standard error can be read.
    pub stderr: OwnedFd,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No such program.
    #[error("cannot start {}: there is no such program; check the executable's path, or install it", program.display())]
    NotFound {
        /// Which.
        program: PathBuf,
    },
    /// The program is there, but what it needs to begin is not.
    #[error(
        "cannot start {}: the file is there, but the interpreter named in its first line (or its loader) is not",
        program.display()
    )]
    NoInterpreter {
        /// Which.
        program: PathBuf,
    },
    /// It is a folder, lacks the permission, or its file system forbids execution.
    #[error(
        "cannot start {}: not executable ({source}); it must be a file with execute permission (chmod +x) in folders \
         that this user may search",
        program.display()
    )]
    NotExecutable {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder to start in is not one, or may not be entered.
    #[error(
        "cannot start {} in the folder {}: {source}; make the folder, or choose another",
        program.display(),
        cwd.display()
    )]
    Folder {
        /// Which program.
        program: PathBuf,
        /// Which folder.
        cwd: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// More arguments and environment than the system hands over.
    #[error(
        "cannot start {}: its arguments and environment are too long ({total} bytes together, the longest one \
         {longest}; the system takes about 2 MiB together and 128 KiB each); pass long things in a file",
        program.display()
    )]
    TooLong {
        /// Which.
        program: PathBuf,
        /// All of them, in bytes.
        total: usize,
        /// The longest one, in bytes.
        longest: usize,
    },
    /// A NUL in the program, an argument, a variable or the folder.
    #[error("cannot start {}: {what} contains a NUL character, which no program can be given", program.display())]
    Nul {
        /// Which program.
        program: PathBuf,
        /// Which of them.
        what: String,
    },
    /// The kernel lacks what we need.
    #[error("cannot start {}: this needs Linux 5.11 or newer ({source})", program.display())]
    OldKernel {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Out of processes, memory or file descriptors, or anything else.
    #[error("cannot start {}: {source}{}", program.display(), advice(source))]
    Other {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN) => "; the limit of processes is reached (see ulimit -u)",
        Some(Errno::ENOMEM) => "; not enough memory is free",
        Some(Errno::EMFILE | Errno::ENFILE) => "; too many files are open (see ulimit -n)",
        _ => "",
    }
}

/// The thread from which children are started. When this is dropped, the kernel kills them.
#[derive(Debug)]
pub struct Spawner {
    orders: mpsc::Sender<Order>,
}

struct Order {
    spec: SpawnSpec,
    answer: oneshot::Sender<Result<Newborn, SpawnError>>,
}

impl Spawner {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        sys::keep_exit_codes()?;
        // One at a time: whoever asks while another waits for an answer waits too.
        let (orders, mut inbox) = mpsc::channel::<Order>(1);
        thread::Builder::new().name("spawner".into()).spawn(move || {
            while let Some(Order { spec, answer }) = inbox.blocking_recv() {
                // Where nobody waits any more, the newborn is dropped, and so killed.
                let _ = answer.send(start(&spec));
            }
        })?;
        Ok(Self { orders })
    }

    /// Starts a program in a session and process group of its own. Given up, it leaves no child behind.
    ///
    /// Must be called within a runtime that does I/O. Takes as long as the program's file system does.
    pub async fn spawn(&self, spec: SpawnSpec) -> Result<Spawned, SpawnError> {
        let program = spec.program.clone();
        let gone = |()| io::Error::other("the thread that starts processes has ended");
        let (answer, answered) = oneshot::channel();
        let asked = self.orders.send(Order { spec, answer }).await.map_err(|_| ()).map_err(gone);
        if let Err(source) = asked {
            return Err(SpawnError::Other { program, source });
        }
        match answered.await {
            Ok(newborn) => newborn?.deliver().map_err(|source| SpawnError::Other { program, source }),
            Err(_) => Err(SpawnError::Other { program, source: gone(()) }),
        }
    }
}

/// A child on its way from the spawning thread to whoever asked for it; killed if it does not arrive.
struct Newborn {
    leader: Option<Leader>,
    stdin: Option<ChildStdin>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Newborn {
    fn deliver(mut self) -> io::Result<Spawned> {
        let missing = || io::Error::other("it was started without a pipe for its output");
        let stdin = self.stdin.take().map(OwnedFd::from);
        let stdout = self.stdout.take().ok_or_else(missing)?;
        let stderr = self.stderr.take().ok_or_else(missing)?;
        let leader = self.leader.take().ok_or_else(missing)?;
        match Process::new(leader) {
            Ok(process) => Ok(Spawned { process, stdin, stdout, stderr }),
            Err((leader, error)) => {
                self.leader = Some(leader);
                Err(error)
            }
        }
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        let Some(leader) = &self.leader else { return };
        // It may have ended already; and one that lingers is reaped later, like an adopted one.
        let _ = leader.signal_group(Signal::SIGKILL);
        let mut ended = [PollFd::new(leader.pidfd().as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ended, PollTimeout::from(REAP_MS));
    }
}

fn start(spec: &SpawnSpec) -> Result<Newborn, SpawnError> {
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .envs(ProcessId::own().map(|own| (ENGINE, own.text())))
        .current_dir(&spec.cwd)
        .stdin(match spec.stdin {
            Stdin::Null => Stdio::null(),
            Stdin::Inherit => Stdio::inherit(),
            Stdin::Pipe => Stdio::piped(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let merged =
        if spec.merge_stderr { Some(merge(&mut command).map_err(|error| explain(spec, error))?) } else { None };
    let keep = spec.helper.as_ref().map(AsRawFd::as_raw_fd);
    sys::isolate(&mut command, Fate::DiesWithUs, keep);
    let role = if keep.is_some() { Role::Helper } else { Role::Child };
    let (leader, child) = Leader::spawn(&mut command, role).map_err(|error| explain(spec, error))?;
    let (stdout, stderr) = match merged {
        Some((stdout, stderr)) => (Some(stdout), Some(stderr)),
        None => (child.stdout.map(OwnedFd::from), child.stderr.map(OwnedFd::from)),
    };
    Ok(Newborn { leader: Some(leader), stdin: child.stdin, stdout, stderr })
}

/// Has both streams go into one pipe; its end, and that of another which has ended already.
fn merge(command: &mut Command) -> io::Result<(OwnedFd, OwnedFd)> {
    let (both, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let (nothing, _) = io::pipe()?;
    Ok((both.into(), nothing.into()))
}

fn explain(spec: &SpawnSpec, source: io::Error) -> SpawnError {
    let program = spec.program.clone();
    if let Some(what) = with_nul(spec) {
        return SpawnError::Nul { program, what };
    }
    let errno = source.raw_os_error().map(Errno::from_raw);
    if matches!(errno, Some(Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG))
        && let Err(source) = can_enter(&spec.cwd)
    {
        return SpawnError::Folder { program, cwd: spec.cwd.clone(), source };
    }
    match errno {
        Some(Errno::ENOENT | Errno::ENOTDIR) if names_a_file(spec) => SpawnError::NoInterpreter { program },
        Some(Errno::ENOENT | Errno::ENOTDIR) => SpawnError::NotFound { program },
        Some(Errno::EACCES | Errno::EISDIR | Errno::EPERM) => SpawnError::NotExecutable { program, source },
        Some(Errno::E2BIG) => {
            let lengths = || strings(spec).map(|(_, bytes)| bytes.len() + 1);
            SpawnError::TooLong { program, total: lengths().sum(), longest: lengths().max().unwrap_or(0) }
        }
        Some(Errno::ENOSYS) => SpawnError::OldKernel { program, source },
        _ => SpawnError::Other { program, source },
    }
}

fn can_enter(folder: &Path) -> io::Result<()> {
    if !std::fs::metadata(folder)?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    nix::unistd::access(folder, nix::unistd::AccessFlags::X_OK)?;
    Ok(())
}

fn names_a_file(spec: &SpawnSpec) -> bool {
    // Only a path can be looked at; a bare name was searched for, and found nowhere.
    spec.program.as_os_str().as_bytes().contains(&b'/') && spec.cwd.join(&spec.program).is_file()
}

/// Everything that the kernel copies into the new program, with what to call it.
fn strings(spec: &SpawnSpec) -> impl Iterator<Item = (String, Vec<u8>)> {
    let bytes = |text: &OsStr| text.as_bytes().to_vec();
    let program = std::iter::once(("the program's path".to_owned(), bytes(spec.program.as_os_str())));
    let args = spec.args.iter().enumerate().map(move |(at, arg)| (format!("argument {}", at + 1), bytes(arg)));
    let env = spec.env.iter().map(move |(name, value)| {
        let both = [bytes(name), b"=".to_vec(), bytes(value)].concat();
        (format!("the variable {}", name.to_string_lossy().replace('\0', "?")), both)
    });
    program.chain(args).chain(env)
}

fn with_nul(spec: &SpawnSpec) -> Option<String> {
    if spec.cwd.as_os_str().as_bytes().contains(&0) {
        return Some("the folder to start in".into());
    }
    strings(spec).find(|(_, bytes)| bytes.contains(&0)).map(|(what, _)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(program: &str) -> SpawnSpec {
        SpawnSpec {
            program: program.into(),
            args: Vec::new(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            cwd: "/".into(),
            stdin: Stdin::Null,
            merge_stderr: false,
            helper: None,
        }
    }

    fn refused(spec: &SpawnSpec) -> SpawnError {
        start(spec).err().expect("must not start")
    }

    #[test]
    fn each_refusal_says_which_program_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(matches!(refused(&spec("/nowhere/python")), SpawnError::NotFound { .. }));
        assert!(matches!(refused(&spec("no-such-program-at-all")), SpawnError::NotFound { .. }));

        std::fs::write(at("plain"), "#!/bin/sh\n").unwrap();
        let plain = spec(at("plain").to_str().unwrap());
        assert!(matches!(refused(&plain), SpawnError::NotExecutable { .. }));
        assert!(refused(&plain).to_string().contains("chmod +x"));
        assert!(matches!(refused(&spec("/usr")), SpawnError::NotExecutable { .. }));

        let script = |name: &str, text: &str| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(at(name), text).unwrap();
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o755)).unwrap();
            spec(at(name).to_str().unwrap())
        };
        assert!(matches!(refused(&script("orphan", "#!/nowhere/python\n")), SpawnError::NoInterpreter { .. }));

        let missing = SpawnSpec { cwd: at("missing"), ..spec("/bin/true") };
        assert!(refused(&missing).to_string().contains("missing: No such file or directory"));
        let long = SpawnSpec { args: vec!["x".repeat(200_000).into()], ..spec("/bin/true") };
        assert!(matches!(refused(&long), SpawnError::TooLong { longest: 200_001, .. }));
        let nul = SpawnSpec { args: vec!["fine".into(), "a\0b".into()], ..spec("/bin/true") };
        assert!(refused(&nul).to_string().contains("argument 2 contains a NUL"));
    }

    #[test]
    fn what_is_printed_of_a_spec_keeps_the_secret() {
        let secret = SpawnSpec { env: vec![("KEY".into(), "hunter2".into())], ..spec("/bin/true") };
        let shown = format!("{secret:?}");
        assert!(shown.contains("KEY") && !shown.contains("hunter2"));
    }
}
