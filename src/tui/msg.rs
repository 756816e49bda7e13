//! What comes to the model and what it asks for.

use super::Ended;
use super::clipboard::Program;
use super::panes::output::transfer::Transfer;
use super::panes::usage;
use super::save::SaveError;
use super::save_as::Saving;
use crate::api::Link;
use crate::api::replay::Steer;
use crate::model::proto::{List, OutputQuery, Request, Response, Window};
use crate::model::{CommandId, ItemIndex, Micros, SearchQuery};
use crossterm::event::Event;
use std::path::PathBuf;

/// What happened.
#[derive(Debug, Clone)]
pub(super) enum Msg {
    /// A key, a click, a paste, a new size.
    Input(Event),
    /// The link changed; with it the newest summary.
    Link(Box<Link>),
    /// An answer came, or why there is none.
    Answer(Purpose, Box<Result<Response, String>>),
    /// What was typed in earlier windows on this application, oldest first.
    History(Vec<String>),
    /// The clock moved: wall time.
    Tick(Micros),
    /// Which program has taken a text for the clipboard; none: none of them could.
    Given(Option<&'static str>, Clip),
    /// The file for these lines is made, or why it is not; its whole path.
    Created(Box<Transfer>, Result<PathBuf, SaveError>),
    /// What came last is written, or why it is not.
    Written(Result<(), SaveError>),
    /// A text is in the file of this path, as it was typed, or why it is not.
    Saved(Saving, String, Result<PathBuf, SaveError>),
}

/// A text for the clipboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clip {
    /// Made safe.
    pub(super) text: String,
    /// Whether it is less than what was chosen.
    pub(super) cut: bool,
}

/// What an answer is for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Purpose {
    /// The agenda's window.
    Agenda(Window),
    /// The commands' window.
    Commands(Window),
    /// The exceptions' window.
    Exceptions(Window),
    /// The output's window.
    Output(OutputQuery),
    /// The engine's log.
    Traces,
    /// All of a command.
    Command(CommandId),
    /// The output of a command that is looked at.
    CommandOutput(CommandId),
    /// The last exception of a group.
    Exception(u32),
    /// All of an item.
    Item(String),
    /// A search in a list.
    Find(Search),
    /// A search in the output.
    Seek(Box<SearchQuery>),
    /// The place of an item that a filter names.
    FilterItem(String),
    /// Lines for the clipboard or a file.
    Transfer(OutputQuery),
    /// Whether this text is complete.
    Check(String),
    /// The end of an injected command, by its number in the transcript.
    Exec(u64),
    /// Completions of this beginning of a line.
    Complete(String),
    /// An item to whose beginning a recording is to go.
    GoTo,
    /// A diagnosis that is made now.
    Why,
    /// What runs the session.
    About,
    /// A saved diagnosis, by its place.
    Diagnosis(u32),
    /// The last diagnoses, to know the place of the one that was just made.
    Diagnoses,
    /// An item whose commands are to be edited.
    Edit(String),
    /// Whether an item's commands are changed.
    Edited(String),
    /// Whether time-outs are changed.
    Timeouts,
    /// The plot of what the process tree used.
    Usage(usage::Question),
    /// What it used in the minute before the window was opened.
    UsageBefore,
    /// The name of an item that the plot marks.
    UsageItem(ItemIndex),
    /// The names in the child.
    Names,
    /// Where the child's time goes.
    Hot,
    /// A command that is to be written into a file.
    Record(CommandId),
    /// A verb; what to say when the engine has nothing to say.
    Verb(String),
}

/// A search in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    /// In which.
    pub(super) list: List,
    /// For what.
    pub(super) text: String,
    /// Towards higher rows.
    pub(super) forward: bool,
    /// Whether it began again at the other end.
    pub(super) wrapped: bool,
}

/// What the loop is to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// Ask the session.
    Ask(Purpose, Request),
    /// Put into the clipboard by OSC 52.
    Osc52(String),
    /// Give to the first of these programs that takes it.
    Give(Vec<Program>, Clip),
    /// Make the file that these lines go to.
    Create {
        /// The lines.
        transfer: Box<Transfer>,
        /// The file's path, as it was typed.
        path: String,
        /// Whether one that is there is written over.
        replace: bool,
    },
    /// Write on.
    Append(Vec<u8>),
    /// Let go of the file.
    Close,
    /// Write a text into a file.
    Write {
        /// What.
        saving: Saving,
        /// The file's path, as it was typed.
        path: String,
        /// Whether one that is there is written over.
        replace: bool,
    },
    /// Move through a recording.
    Steer(Steer),
    /// Take the mouse, or give it back to the terminal.
    Mouse(bool),
    /// Read what was typed before on this application.
    LoadHistory(String),
    /// Keep what was typed, for this application.
    Remember {
        /// The backend's name.
        application: String,
        /// What.
        source: String,
    },
    /// Stop until the shell says to go on.
    Suspend,
    /// Draw everything again.
    Redraw,
    /// End the window.
    Leave(Ended),
}
