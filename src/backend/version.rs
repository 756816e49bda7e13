//! Versions of applications: read out of names, compared, asked for.

use super::environment::{self, Environment};
use super::recipe::Changes;
use regex::Regex;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

/// How long an application may take to say its version; a big one on a slow file server takes some.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of what it says is looked at.
const SAID: u64 = 4096;

static WITHIN_A_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\d+(?:\.\d+)*(?:v\d+)?").ok());
static SAID_OF_ITSELF: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\d+(?:\.\d+)+(?:v\d+)?").ok());

/// The first version in a name.
pub(super) fn within(name: &str) -> Option<String> {
    WITHIN_A_NAME.as_ref()?.find(name).map(|found| found.as_str().to_owned())
}

/// Whether a version is the one wanted or a more exact one: 4.2.1 is a 4.2, and 4.20 is none.
pub(super) fn begins_with(version: &str, wanted: &str) -> bool {
    let rest = version.strip_prefix(wanted);
    rest.is_some_and(|rest| {
        !(wanted.ends_with(|c: char| c.is_ascii_digit()) && rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// By which versions are compared: runs of digits by their number, all else as it is.
pub(super) fn natural(text: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let (word, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        parts.push((number.parse().unwrap_or(0), word.to_owned()));
        rest = after;
    }
    parts
}

/// Runs an executable with arguments that make it say its version, and reads that; `None` too if it takes too long.
pub(super) fn ask(program: &Path, arguments: &[String], engine: &Environment) -> Option<String> {
    if arguments.is_empty() {
        return None;
    }
    let env = environment::clean(engine, &Changes::default());
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(env).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let (stdout, stderr) = (child.stdout.take()?, child.stderr.take()?);
    let (told, hears) = mpsc::channel();
    let listener = std::thread::Builder::new().name("version".into()).spawn(move || {
        let mut said = Vec::new();
        // What cannot be read says nothing.
        let _ = stdout.take(SAID).read_to_end(&mut said);
        let _ = stderr.take(SAID).read_to_end(&mut said);
        // Nobody listens any more when it took too long.
        let _ = told.send(said);
    });
    let said = listener.ok().and_then(|_| hears.recv_timeout(PATIENCE).ok());
    // It may have ended already, and is to end now in any case.
    let _ = child.kill();
    let _ = child.wait();
    let said = String::from_utf8_lossy(&said?).into_owned();
    SAID_OF_ITSELF.as_ref()?.find(&said).map(|found| found.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(natural("4.10.0") > natural("4.9"));
        assert!(natural("14.0v10") > natural("14.0v5"));
        assert!(natural("2025") > natural("2024.1"));
    }

    #[test]
    fn the_beginning_of_a_version_is_enough() {
        for (version, wanted) in
            [("4.2.1", "4.2"), ("4.2.1", "4"), ("2024", "2024"), ("14.0v5", "14.0"), ("4.2.1", "4.")]
        {
            assert!(begins_with(version, wanted), "{version} {wanted}");
        }
        for (version, wanted) in [("4.20", "4.2"), ("3.11", "3.1"), ("4.2", "4.2.1"), ("2024", "202")] {
            assert!(!begins_with(version, wanted), "{version} {wanted}");
        }
    }

    #[test]
    fn versions_are_found_in_names() {
        let found = ["-4.2.1-linux-x64", "2024", "hfs20.5.278", "Nuke14.0v5", "stable"].map(within);
        let found: Vec<_> = found.iter().map(|found| found.as_deref().unwrap_or_default()).collect();
        assert_eq!(found, ["4.2.1", "2024", "20.5.278", "14.0v5", ""]);
    }

    #[test]
    fn who_says_no_version_has_none() {
        let engine = Environment::new();
        assert_eq!(ask(Path::new("/bin/sh"), &["-c".into(), "echo no 7".into()], &engine), None);
        assert_eq!(ask(Path::new("/bin/sh"), &["-c".into(), "echo it is 7.1 >&2".into()], &engine), Some("7.1".into()));
        assert_eq!(ask(Path::new("/bin/sh"), &[], &engine), None);
    }
}
