//! An item's commands in an editor, or from a file: one command a block, with a line of `# ---` between two.

use super::super::exit::{FAILED, Failure, USAGE};
use super::super::target;
use crate::api::Client;
use crate::model::proto::{FRAME_LIMIT, ItemDetail, Request, Response};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Stands between two commands.
const SEPARATOR: &str = "# ---";

/// Where the new commands come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    /// An editor, which gets the present ones.
    Editor,
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// The job.
    Job,
}

/// Changes an item's commands; what the engine says. `None`: nothing was changed.
pub(super) async fn edit(client: &Client, name: String, from: From) -> Result<Option<Response>, Failure> {
    let commands = match from {
        From::Job => None,
        From::Stdin => Some(split(&text_of(std::io::stdin().lock())?, SEPARATOR)),
        From::File(path) => {
            let why = |error: std::io::Error| Failure::new(USAGE, format!("cannot read {}: {error}", path.display()));
            let file = crate::store::regular::open(&path).map_err(why)?;
            Some(split(&text_of(file)?, SEPARATOR))
        }
        From::Editor => {
            let answer = client.ask(Request::Item { name: name.clone() }).await?;
            let Response::Item(item) = answer else { return Err(target::odd()) };
            let commands = in_editor(&item)?;
            if commands == item.commands {
                return Ok(None);
            }
            Some(commands)
        }
    };
    if commands.as_ref().is_some_and(Vec::is_empty) {
        let message = format!("an item needs a command; --reset gives {name} those of the job again");
        return Err(Failure::new(USAGE, message));
    }
    Ok(Some(client.ask(Request::Edit { name, commands }).await?))
}

fn text_of(from: impl Read) -> Result<String, Failure> {
    let mut text = Vec::new();
    from.take(FRAME_LIMIT as u64 + 1).read_to_end(&mut text)?;
    if text.len() > FRAME_LIMIT {
        return Err(Failure::new(USAGE, format!("the commands have more than {} MiB", FRAME_LIMIT >> 20)));
    }
    String::from_utf8(text).map_err(|error| Failure::new(USAGE, format!("the commands are not UTF-8: {error}")))
}

/// The commands as somebody has changed them.
fn in_editor(item: &ItemDetail) -> Result<Vec<String>, Failure> {
    let separator = separator(&item.commands);
    let draft = Draft::write(&join(&item.commands, &separator))?;
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var_os(name).filter(|it| !it.is_empty()));
    let editor = editor.unwrap_or_else(|| OsString::from("vi"));
    // It may be a command line, as `code --wait`.
    let mut command = Command::new("sh");
    command.arg("-c").arg("eval \"$1 \\\"\\$2\\\"\"").arg("sh").arg(&editor).arg(draft.path());
    let shown = editor.to_string_lossy();
    let ended = command.status().map_err(|error| Failure::new(FAILED, format!("cannot start {shown}: {error}")))?;
    if !ended.success() {
        return Err(Failure::new(FAILED, format!("{shown} ended with {ended}; nothing was changed")));
    }
    Ok(split(&draft.read()?, &separator))
}

/// A file that only we can read, removed when this is dropped.
struct Draft(PathBuf);

impl Draft {
    fn write(text: &str) -> Result<Self, Failure> {
        let random = getrandom::u64().map_err(|error| Failure::new(FAILED, error.to_string()))?;
        let path = std::env::temp_dir().join(format!("childminder-{random:016x}.py"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let draft = Self(path);
        file.write_all(text.as_bytes())?;
        Ok(draft)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn read(&self) -> Result<String, Failure> {
        text_of(File::open(&self.0)?)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is in a folder for such files; nobody can do more about it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A separator that stands in none of the commands.
fn separator(commands: &[String]) -> String {
    let mut separator = SEPARATOR.to_owned();
    while commands.iter().flat_map(|command| command.lines()).any(|line| line.trim_end() == separator) {
        separator.push('-');
    }
    separator
}

fn join(commands: &[String], separator: &str) -> String {
    commands.join(&format!("\n{separator}\n")) + "\n"
}

/// The commands of a text; blocks of nothing are left out.
fn split(text: &str, separator: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line.trim_end() == separator {
            blocks.push(String::new());
        } else if let Some(block) = blocks.last_mut() {
            block.push_str(line);
        }
    }
    let ended = |block: String| block.strip_suffix('\n').map(str::to_owned).unwrap_or(block);
    blocks.into_iter().map(ended).filter(|block| !block.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_lie_between_lines_of_the_separator() {
        let text = "# ---\nimport os\n\nfor n in range(3):\n    print(n)\n# --- \nx = '# ---'\n# ---\n\n";
        assert_eq!(split(text, SEPARATOR), ["import os\n\nfor n in range(3):\n    print(n)", "x = '# ---'"]);
        assert_eq!(split("", SEPARATOR), [""; 0]);
    }

    proptest! {
        #[test]
        fn what_was_joined_is_split_again(commands in proptest::collection::vec("[a# \n-]{0,12}[a-]", 1..6)) {
            let separator = separator(&commands);
            prop_assert_eq!(split(&join(&commands, &separator), &separator), commands);
        }
    }
}
