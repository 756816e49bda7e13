//! The one table of what a key can do: dispatch, the key bar, help, the palette and the README's key table all come
//! from it, so they cannot disagree.

mod details;
mod sampled;
mod steer;

use std::fmt::Write as _;

/// Where a key is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Context {
    /// The agenda.
    Agenda,
    /// The commands.
    Commands,
    /// The exceptions.
    Exceptions,
    /// Any of these three lists.
    List,
    /// The output.
    Output,
    /// The output, while lines of it are selected.
    Selection,
    /// The log.
    Log,
    /// Where the child's time goes.
    Hot,
    /// The plot of what the process tree uses.
    Usage,
    /// The prompt.
    Prompt,
    /// All of one command, item or exception.
    Detail,
    /// What was found out about a child: details of their own kind.
    Why,
    /// Any pane of a recording. In the prompt only keys that write nothing.
    Replay,
    /// Any pane. In the prompt only keys that write nothing.
    Anywhere,
}

impl Context {
    /// The heading in help and in the README.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Agenda => "Agenda",
            Self::Commands => "Commands",
            Self::Exceptions => "Exceptions",
            Self::List => "Lists",
            Self::Output => "Output",
            Self::Selection => "Selection",
            Self::Log => "Log",
            Self::Hot => "Hot",
            Self::Usage => "Usage",
            Self::Prompt => "Prompt",
            Self::Detail => "Details",
            Self::Why => "Why",
            Self::Replay => "Replay",
            Self::Anywhere => "Anywhere",
        }
    }
}

/// What can be done; the table says what each does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Detach,
    Stop,
    Help,
    Palette,
    About,
    NextPane,
    PreviousPane,
    Agenda,
    Commands,
    Output,
    Exceptions,
    Log,
    Prompt,
    Hot,
    Usage,
    Longer,
    Shorter,
    Earlier,
    Later,
    Newest,
    Flame,
    Threads,
    OnlyActive,
    Forget,
    Unfold,
    Out,
    In,
    Whole,
    SaveStacks,
    Mark,
    Record,
    Names,
    Zoom,
    Hold,
    WayOut,
    Mouse,
    Suspend,
    Redraw,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Left,
    Right,
    Open,
    Search,
    SearchNext,
    SearchPrevious,
    Follow,
    Copy,
    ShowOutput,
    Retry,
    Block,
    Kill,
    Complete,
    Wrap,
    Times,
    Stream,
    SearchForward,
    SearchBackward,
    NextMatch,
    PreviousMatch,
    Filter,
    ItemOutput,
    NextError,
    PreviousError,
    NextException,
    PreviousException,
    NextItem,
    PreviousItem,
    Select,
    SelectUp,
    SelectDown,
    CopySelection,
    Save,
    LetGo,
    Submit,
    SubmitAnyway,
    Newline,
    CompleteWord,
    HistoryUp,
    HistoryDown,
    LeavePrompt,
    InterruptOrClear,
    Close,
    Play,
    StepBack,
    StepOn,
    Slower,
    Faster,
    ItemBefore,
    ItemAfter,
    ExceptionBefore,
    ExceptionAfter,
    GoTo,
    GoToRow,
    TimeStart,
    TimeEnd,
    Shorten,
    Why,
    AskAgain,
    Older,
    Newer,
    Pause,
    Break,
    StepCommand,
    StepItem,
    TryNow,
    OnFailure,
    Breakpoint,
    NoBreakpoints,
    Edit,
    Timeouts,
    Restart,
    Side,
    NextFinding,
    PreviousFinding,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Info {
    /// What it does.
    pub(super) action: Action,
    /// Its name in the palette and in help.
    pub(super) name: &'static str,
    /// One sentence.
    pub(super) doc: &'static str,
    /// Where its keys work.
    pub(super) contexts: &'static [Context],
    /// Its keys, as [`keymap`](super::keymap) reads them; the first is the one shown in the key bar.
    pub(super) keys: &'static [&'static str],
    /// The word in the key bar; empty for none.
    pub(super) bar: &'static str,
    /// Whether it asks the engine to change something.
    pub(super) writes: bool,
}

const fn info(
    action: Action,
    name: &'static str,
    contexts: &'static [Context],
    keys: &'static [&'static str],
    bar: &'static str,
    doc: &'static str,
) -> Info {
    Info { action, name, doc, contexts, keys, bar, writes: false }
}

const fn write(
    action: Action,
    name: &'static str,
    contexts: &'static [Context],
    keys: &'static [&'static str],
    bar: &'static str,
    doc: &'static str,
) -> Info {
    Info { writes: true, ..info(action, name, contexts, keys, bar, doc) }
}

use Context::{
    Agenda, Anywhere, Commands, Detail, Exceptions, Hot, List, Log, Output, Prompt, Replay, Selection, Usage, Why,
};

const SCROLLED: &[Context] = &[List, Output, Log, Hot, Detail];

/// The table. Its order is the order of the key bar and of help.
pub(super) const TABLE: &[Info] = &[
    info(Action::Play, "play or pause", &[Replay], &["space"], "play", "Let the recorded time go on, or stop it"),
    info(Action::StepBack, "step back", &[Replay], &[","], "", "One event back"),
    info(Action::StepOn, "step", &[Replay], &["."], "step", "One event on"),
    info(Action::Slower, "slower", &[Replay], &["<"], "", "Play more slowly, down to ¼×"),
    info(Action::Faster, "faster", &[Replay], &[">"], "faster", "Play faster, up to 1000×"),
    info(Action::ItemBefore, "previous item", &[Replay], &["{"], "", "Back to where an item was begun"),
    info(Action::ItemAfter, "next item", &[Replay], &["}"], "item", "On to where an item was begun"),
    info(Action::ExceptionBefore, "previous exception", &[Replay], &["("], "", "Back to where something was raised"),
    info(Action::ExceptionAfter, "next exception", &[Replay], &[")"], "exception", "On to where something was raised"),
    info(
        Action::GoTo,
        "go to a time",
        &[Replay],
        &["@"],
        "go to",
        "Go to a time (14:05:09, +10m, -5s, 50%), an event (#1234) or an item's beginning (its name)",
    ),
    info(
        Action::GoToRow,
        "go to the row's time",
        &[Replay],
        &["J"],
        "",
        "Go to where the selected item was begun, command was queued or exception was raised last",
    ),
    info(Action::TimeStart, "start", &[Replay], &["^"], "", "To the start of the recording"),
    info(Action::TimeEnd, "end", &[Replay], &["$"], "", "To the end of the recording"),
    info(
        Action::Shorten,
        "shorten idle time",
        &[Replay],
        &["x"],
        "",
        "Leave out time in which nothing happened while playing, or play all of it",
    ),
    steer::ASK_AGAIN,
    steer::OLDER,
    steer::NEWER,
    steer::WHY,
    steer::WAY_OUT,
    write(
        Action::Retry,
        "retry",
        &[Agenda],
        &["r"],
        "retry",
        "Put the item back to pending, its attempts counted anew",
    ),
    write(
        Action::Block,
        "block or unblock",
        &[Agenda],
        &["b"],
        "block",
        "Keep the item from being run, or let it be run",
    ),
    write(Action::Kill, "kill", &[Agenda], &["K"], "kill", "End the item; a running one is interrupted (asks first)"),
    write(
        Action::Complete,
        "mark complete",
        &[Agenda],
        &["c"],
        "",
        "Mark the item complete though it did not run (asks first)",
    ),
    steer::EDIT,
    steer::BREAKPOINT,
    steer::NO_BREAKPOINTS,
    info(Action::Open, "open", &[List], &["enter"], "open", "Show all of the selected row"),
    info(
        Action::ShowOutput,
        "show output",
        &[Agenda, Commands, Exceptions, Detail],
        &["o"],
        "output",
        "Go to where its output begins",
    ),
    info(
        Action::ItemOutput,
        "only its output",
        &[Agenda],
        &["&"],
        "",
        "Show only what the item's last attempt printed: a filter of the output",
    ),
    info(
        Action::CopySelection,
        "copy the selection",
        &[Selection],
        &["y", "enter"],
        "copy",
        "Copy the selected lines, those out of sight too: by OSC 52 over SSH, else to the local clipboard",
    ),
    info(
        Action::SearchForward,
        "search output",
        &[Output],
        &["/"],
        "search",
        "Search the output as you type, towards what is newer: a regex, in which a capital makes case matter",
    ),
    info(Action::SearchBackward, "search backwards", &[Output], &["\\"], "", "The same, towards what is older"),
    info(Action::NextMatch, "next match", &[Output], &["n"], "", "The next match that way"),
    info(Action::PreviousMatch, "previous match", &[Output], &["N"], "", "The next match the other way"),
    info(
        Action::Filter,
        "filter output",
        &[Output],
        &["&"],
        "filter",
        "Show only lines that match, as you type; `!` inverts; `item:NAME since:10m context:2` may stand before it",
    ),
    info(
        Action::LetGo,
        "let go",
        &[Output],
        &["esc"],
        "",
        "Stop what is being written, else drop the selection, the search, the filter: the first there is",
    ),
    info(Action::Select, "select", &[Output], &["v"], "select", "Select lines: move to select more; again to drop it"),
    info(Action::SelectUp, "select up", &[Output], &["shift-up"], "", "Select the line above, too"),
    info(Action::SelectDown, "select down", &[Output], &["shift-down"], "", "Select the line below, too"),
    info(
        Action::Save,
        "save output",
        &[Output],
        &["ctrl-s"],
        "save",
        "Write the selection, or all that the filter shows, to a file",
    ),
    info(Action::NextError, "error below", &[Output], &["e"], "error", "The next line that looks like an error"),
    info(Action::PreviousError, "error above", &[Output], &["E"], "", "The one before"),
    info(
        Action::NextException,
        "exception below",
        &[Output],
        &["p"],
        "exc",
        "Where the next command that raised an exception began to print",
    ),
    info(Action::PreviousException, "exception above", &[Output], &["P"], "", "Where the one before began to"),
    info(Action::NextItem, "item below", &[Output], &["]"], "", "Where the next item's output begins"),
    info(Action::PreviousItem, "item above", &[Output], &["["], "", "Where this or the previous item's begins"),
    info(Action::Stream, "stream", &[Output], &["s"], "stream", "Show both streams, stdout only or stderr only"),
    info(
        Action::Follow,
        "follow",
        &[List, Output, Log],
        &["f"],
        "follow",
        "Follow what is new, or freeze what is seen; scrolling back freezes it too",
    ),
    info(Action::Wrap, "wrap", &[Output, Detail], &["W"], "wrap", "Wrap long lines, or cut them and scroll sideways"),
    info(Action::Times, "time stamps", &[Output], &["t"], "times", "Show when each line was read"),
    info(Action::Search, "search", &[List], &["/"], "search", "Find a row that contains a text"),
    info(Action::SearchNext, "next match", &[List], &["n"], "", "The next row that contains it"),
    info(Action::SearchPrevious, "previous match", &[List], &["N"], "", "The previous row that contains it"),
    info(
        Action::Copy,
        "copy",
        &[List, Output, Detail],
        &["y"],
        "copy",
        "Copy the row, the lines seen or the details to the clipboard",
    ),
    sampled::MARK,
    sampled::RECORD,
    sampled::FLAME,
    sampled::THREADS,
    sampled::ONLY_ACTIVE,
    sampled::FORGET,
    sampled::SAVE_STACKS,
    sampled::UNFOLD,
    sampled::OUT,
    sampled::IN,
    sampled::WHOLE,
    sampled::LONGER,
    sampled::SHORTER,
    sampled::EARLIER,
    sampled::LATER,
    sampled::NEWEST,
    write(
        Action::Submit,
        "run",
        &[Prompt],
        &["enter"],
        "run",
        "Run it in the child if it is complete Python, else begin a new line",
    ),
    info(Action::Newline, "new line", &[Prompt], &["alt-enter", "ctrl-j"], "new line", "Begin a new line"),
    write(
        Action::SubmitAnyway,
        "run as it is",
        &[Prompt],
        &["f5", "ctrl-s"],
        "run as it is",
        "Run it in the child without asking whether it is complete",
    ),
    steer::SIDE,
    info(
        Action::CompleteWord,
        "complete",
        &[Prompt],
        &["tab"],
        "complete",
        "Complete the word before the cursor; again for the next match",
    ),
    info(
        Action::HistoryUp,
        "earlier",
        &[Prompt],
        &["up", "ctrl-up"],
        "",
        "The line above, or from the first line an earlier entry",
    ),
    info(
        Action::HistoryDown,
        "later",
        &[Prompt],
        &["down", "ctrl-down"],
        "",
        "The line below, or from the last line a later entry",
    ),
    info(
        Action::LeavePrompt,
        "leave",
        &[Prompt],
        &["esc", "backtab"],
        "leave",
        "Go back to the pane before; what is written stays",
    ),
    info(
        Action::InterruptOrClear,
        "clear or interrupt",
        &[Prompt],
        &["ctrl-c"],
        "",
        "Clear the prompt; when it is empty, show the ways to end the running command",
    ),
    details::NEXT_FINDING,
    details::PREVIOUS_FINDING,
    info(Action::Close, "close", &[Detail], &["esc", "q", "enter"], "close", "Back to the list"),
    info(Action::Prompt, "prompt", &[Anywhere], &["i", "6"], "inject", "Type a command to inject into the child"),
    write(
        Action::Hold,
        "hold or release",
        &[Anywhere],
        &["space", "h"],
        "hold",
        "Make the agenda wait, or let it go on; the running item ends first",
    ),
    steer::PAUSE,
    steer::BREAK,
    steer::STEP_COMMAND,
    steer::STEP_ITEM,
    steer::TRY_NOW,
    steer::ON_FAILURE,
    steer::TIMEOUTS,
    steer::RESTART,
    info(Action::Zoom, "zoom", &[Anywhere], &["z"], "zoom", "Give the focused pane all the room, or give it back"),
    info(Action::Help, "help", &[Anywhere], &["?", "f1"], "help", "All keys; type to search"),
    info(Action::Palette, "palette", &[Anywhere], &[":", "ctrl-p"], "", "What can be done here, by name"),
    info(
        Action::About,
        "info",
        &[Anywhere],
        &["A"],
        "",
        "What runs this job: backend, executable, versions, settings, and where each came from",
    ),
    info(
        Action::Detach,
        "detach",
        &[Anywhere],
        &["d", "q"],
        "detach",
        "Leave this window; the engine and the child go on",
    ),
    write(
        Action::Stop,
        "stop",
        &[Anywhere],
        &["S"],
        "stop",
        "End the session: after the running item, or now (asks which)",
    ),
    info(Action::NextPane, "next pane", &[Anywhere], &["tab"], "", "Focus the next pane"),
    info(Action::PreviousPane, "previous pane", &[Anywhere], &["backtab"], "", "Focus the previous pane"),
    info(Action::Agenda, "agenda", &[Anywhere], &["1"], "", "Focus the agenda"),
    info(Action::Commands, "commands", &[Anywhere], &["2"], "", "Focus the commands"),
    info(Action::Output, "output", &[Anywhere], &["3"], "", "Focus the output"),
    info(Action::Exceptions, "exceptions", &[Anywhere], &["4"], "", "Focus the exceptions"),
    info(Action::Log, "log", &[Anywhere], &["5"], "", "Focus the log"),
    sampled::HOT,
    sampled::USAGE,
    sampled::NAMES,
    info(Action::Up, "up", SCROLLED, &["up", "k"], "", "One row up"),
    info(Action::Down, "down", SCROLLED, &["down", "j"], "", "One row down"),
    info(Action::PageUp, "page up", SCROLLED, &["pgup", "ctrl-b"], "", "One page up"),
    info(Action::PageDown, "page down", SCROLLED, &["pgdn", "ctrl-f"], "", "One page down"),
    info(Action::Home, "first", SCROLLED, &["home", "g"], "", "To the beginning"),
    info(Action::End, "last", SCROLLED, &["end", "G"], "", "To the end; output follows again"),
    info(Action::Left, "left", &[Output, Detail], &["left"], "", "Scroll lines that are not wrapped to the left"),
    info(Action::Right, "right", &[Output, Detail], &["right"], "", "Scroll lines that are not wrapped to the right"),
    info(
        Action::Mouse,
        "mouse",
        &[Anywhere],
        &["%"],
        "",
        "Give the mouse to the terminal, to select text, or take it back",
    ),
    info(
        Action::Suspend,
        "suspend",
        &[Anywhere],
        &["ctrl-z"],
        "",
        "Suspend this window to the shell; `fg` brings it back",
    ),
    info(Action::Redraw, "redraw", &[Anywhere], &["ctrl-l"], "", "Draw everything again"),
];

/// The line of an action.
pub(super) fn find(action: Action) -> Option<&'static Info> {
    TABLE.iter().find(|info| info.action == action)
}

/// The key table of the README, in Markdown.
pub fn key_table_markdown() -> String {
    let mut table = String::from("| where | keys | what |\n|---|---|---|\n");
    for context in
        [Anywhere, List, Agenda, Commands, Exceptions, Output, Selection, Log, Hot, Usage, Detail, Why, Prompt, Replay]
    {
        for info in TABLE.iter().filter(|info| info.contexts.first() == Some(&context)) {
            let mut places = String::new();
            for (at, place) in info.contexts.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                let _ = write!(places, "{comma}{}", place.title());
            }
            let keys: Vec<String> = info.keys.iter().map(|key| format!("`{}`", super::keymap::shown(key))).collect();
            let _ = writeln!(table, "| {places} | {} | {} |", keys.join(" "), info.doc);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_action_stands_once_and_says_what_it_does() {
        let mut seen = HashSet::new();
        for info in TABLE {
            assert!(seen.insert(info.action), "{:?} stands twice", info.action);
            assert!(!info.doc.is_empty() && !info.keys.is_empty() && !info.contexts.is_empty(), "{:?}", info.action);
        }
    }

    #[test]
    fn the_markdown_table_has_every_action() {
        let table = key_table_markdown();
        for info in TABLE {
            assert!(table.contains(info.doc), "{} is missing", info.name);
        }
    }
}
