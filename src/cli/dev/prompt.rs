//! What is typed at the prompt: commands of the loop, and Python that may take several lines.

/// The most lines that are remembered to be run again.
const HISTORY: usize = 1000;

/// What can be done at the prompt, and in what words.
pub(super) const HELP: [(&str, &str); 9] = [
    (":restart", "another child: init and setup run again"),
    (":reload", "load the modules that have changed anew, in the child that runs"),
    (":again", "run what was typed here once more, from the beginning"),
    (":steps", "show the last start-up once more"),
    (":names", "what is in the child's namespace"),
    (":why", "what the child is doing"),
    (":forget", "forget what was typed here"),
    (":help", "this"),
    (":quit", "end, as Ctrl-D does"),
];

/// A command of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Restart,
    Reload,
    Again,
    Steps,
    Names,
    Why,
    Forget,
    Help,
    Quit,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    /// Nothing.
    Empty,
    /// A command of the loop.
    Verb(Verb),
    /// What looks like one.
    NoVerb(String),
    /// Python.
    Python(String),
}

/// The prompt's memory.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// Lines of a piece that is not complete.
    pending: Vec<String>,
    /// Pieces that were run.
    history: Vec<String>,
}

impl Prompt {
    /// Takes a line; Python is all of the piece so far.
    pub(super) fn take(&mut self, line: &str) -> Typed {
        if self.pending.is_empty() {
            let trimmed = line.trim();
            if trimmed.is_empty() {
                return Typed::Empty;
            }
            if trimmed.starts_with(':') {
                return verb(trimmed).map_or_else(|| Typed::NoVerb(trimmed.to_owned()), Typed::Verb);
            }
        }
        self.pending.push(line.to_owned());
        // The empty line that ends a block must have an end, or Python does not see it.
        let end = if line.trim().is_empty() { "\n" } else { "" };
        Typed::Python(self.pending.join("\n") + end)
    }

    /// Whether a piece goes on.
    pub(super) fn goes_on(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Drops the piece.
    pub(super) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// The piece is complete, and run.
    pub(super) fn done(&mut self, source: &str) {
        self.pending.clear();
        if self.history.len() < HISTORY {
            self.history.push(source.to_owned());
        }
    }

    /// What was run, from the beginning.
    pub(super) fn history(&self) -> &[String] {
        &self.history
    }

    /// Nothing was run.
    pub(super) fn forget(&mut self) {
        self.history.clear();
    }
}

/// The verb of a whole word, or of the beginning of exactly one.
fn verb(text: &str) -> Option<Verb> {
    const VERBS: [(&str, Verb); 9] = [
        (":restart", Verb::Restart),
        (":reload", Verb::Reload),
        (":again", Verb::Again),
        (":steps", Verb::Steps),
        (":names", Verb::Names),
        (":why", Verb::Why),
        (":forget", Verb::Forget),
        (":help", Verb::Help),
        (":quit", Verb::Quit),
    ];
    let mut meant = VERBS.iter().filter(|(word, _)| text.len() > 1 && word.starts_with(text));
    match (meant.next(), meant.next()) {
        (Some((_, verb)), None) => Some(*verb),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_may_be_short_and_must_be_plain() {
        let mut prompt = Prompt::default();
        assert_eq!(prompt.take(":q"), Typed::Verb(Verb::Quit));
        assert_eq!(prompt.take(" :rel "), Typed::Verb(Verb::Reload));
        for wrong in [":", ":re", ":x", ":quit now"] {
            assert_eq!(prompt.take(wrong), Typed::NoVerb(wrong.to_owned()));
        }
        assert!(HELP.iter().all(|(word, _)| verb(word).is_some()));
    }

    #[test]
    fn a_piece_grows_until_it_is_run() {
        let mut prompt = Prompt::default();
        assert_eq!(prompt.take("  "), Typed::Empty);
        assert_eq!(prompt.take("if 1:"), Typed::Python("if 1:".into()));
        assert!(prompt.goes_on());
        assert_eq!(prompt.take("  :q"), Typed::Python("if 1:\n  :q".into()));
        assert_eq!(prompt.take(""), Typed::Python("if 1:\n  :q\n\n".into()));
        prompt.done("x");
        assert_eq!((prompt.goes_on(), prompt.history()), (false, ["x".to_owned()].as_slice()));
        prompt.take("if 1:");
        prompt.drop_pending();
        prompt.forget();
        assert_eq!((prompt.goes_on(), prompt.history().len()), (false, 0));
    }
}
