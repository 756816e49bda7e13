//! The clipboard: that of the machine the person sits at.
//!
//! Over SSH that is the terminal's, which OSC 52 reaches. Else a program for the desktop's is tried, then tmux, and OSC 52
//! at last, which no terminal answers: what it was asked for is all that can be said.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Bytes that terminals take by OSC 52; many refuse more than 75 KB in base64.
pub(super) const OSC_52: usize = 50_000;
/// The longest that a program may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A program that puts its standard input into a clipboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program {
    /// Its name.
    pub(super) name: &'static str,
    arguments: &'static [&'static str],
}

const PROGRAMS: &[(&str, Program)] = &[
    ("WAYLAND_DISPLAY", Program { name: "wl-copy", arguments: &[] }),
    ("DISPLAY", Program { name: "xclip", arguments: &["-selection", "clipboard"] }),
    ("DISPLAY", Program { name: "xsel", arguments: &["--clipboard", "--input"] }),
    ("TMUX", Program { name: "tmux", arguments: &["load-buffer", "-w", "-"] }),
];

/// The programs to try before OSC 52, in this environment.
pub(super) fn programs(variable: impl Fn(&str) -> Option<OsString>) -> Vec<Program> {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if set("SSH_CONNECTION") || set("SSH_TTY") {
        return Vec::new();
    }
    PROGRAMS.iter().filter(|(name, _)| set(name)).map(|(_, program)| *program).collect()
}

/// Gives a text to the first of these programs that takes it; its name, or none.
pub(super) async fn give(programs: Vec<Program>, text: &str) -> Option<&'static str> {
    for program in programs {
        match tokio::time::timeout(PATIENCE, run(program, text)).await {
            Ok(Ok(())) => return Some(program.name),
            Ok(Err(error)) => tracing::debug!(program = program.name, %error, "not copied"),
            Err(_) => tracing::warn!(program = program.name, "not copied: it did not end"),
        }
    }
    None
}

async fn run(program: Program, text: &str) -> io::Result<()> {
    let mut child = Command::new(program.name)
        .args(program.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).await?;
    }
    let status = child.wait().await?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: &[&str]) -> Vec<&'static str> {
        let programs = programs(|name| set.contains(&name).then(|| "x".into()));
        programs.iter().map(|program| program.name).collect()
    }

    #[test]
    fn over_ssh_the_terminal_is_asked_first() {
        assert!(names(&["SSH_CONNECTION", "DISPLAY", "TMUX"]).is_empty());
        assert!(names(&["SSH_TTY", "WAYLAND_DISPLAY"]).is_empty());
    }

    #[test]
    fn else_the_desktop_and_then_tmux() {
        assert_eq!(names(&["TMUX", "DISPLAY", "WAYLAND_DISPLAY"]), ["wl-copy", "xclip", "xsel", "tmux"]);
        assert_eq!(names(&["TMUX"]), ["tmux"]);
        assert!(names(&[]).is_empty());
    }

    #[tokio::test]
    async fn a_program_that_is_missing_or_fails_is_passed_over() {
        let missing = Program { name: "childminder-no-such-program", arguments: &[] };
        let fails = Program { name: "false", arguments: &[] };
        let takes = Program { name: "cat", arguments: &[] };
        assert_eq!(give(vec![missing, fails, takes], "text").await, Some("cat"));
        assert_eq!(give(vec![missing], "text").await, None);
    }
}
