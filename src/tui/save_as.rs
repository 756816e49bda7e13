//! A text that goes into a file whose name is typed: what it is, and the row in which the name stands.

use super::save::{Save, SaveError};
use std::path::PathBuf;

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Saving {
    /// Where the child's time went, as flame graph tools read it.
    Stacks(String),
}

impl Saving {
    /// What stands before the file's name.
    pub(super) fn question(&self) -> &'static str {
        match self {
            Self::Stacks(_) => " write folded stacks to: ",
        }
    }

    /// Writes it; the file's whole path.
    pub(super) async fn write(&self, path: String, replace: bool) -> Result<PathBuf, SaveError> {
        match self {
            Self::Stacks(text) => {
                let file = Save::default();
                let path = file.clone().create(path, replace).await?;
                file.append(text.clone().into_bytes()).await.map(|()| path)
            }
        }
    }
}

/// The row in which the file's name is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SaveAs {
    /// What was typed.
    pub(super) text: String,
    /// What is written.
    pub(super) saving: Saving,
}
