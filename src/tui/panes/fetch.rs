//! One question at a time, and none whose answer would be the same.

/// What was asked for and answered.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Fetch<Q> {
    asked: Option<Q>,
    answered: Option<Q>,
    stale: bool,
    loaded: bool,
}

impl<Q> Default for Fetch<Q> {
    fn default() -> Self {
        Self { asked: None, answered: None, stale: true, loaded: false }
    }
}

impl<Q: Clone + PartialEq> Fetch<Q> {
    /// The engine may know more by now.
    pub(in crate::tui) fn stir(&mut self) {
        self.stale = true;
    }

    /// Whether an answer has come.
    pub(in crate::tui) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether an answer is awaited.
    pub(in crate::tui) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether the engine may know more than was answered.
    pub(in crate::tui) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether asking this would tell anything new.
    pub(in crate::tui) fn is_news(&self, question: &Q) -> bool {
        self.stale || self.answered.as_ref() != Some(question)
    }

    /// It is asked.
    pub(in crate::tui) fn ask(&mut self, question: Q) -> Q {
        self.stale = false;
        self.asked.insert(question).clone()
    }

    /// Its answer came; an answer that nobody awaits any more is told apart.
    pub(in crate::tui) fn answered(&mut self, question: &Q, good: bool) -> bool {
        if self.asked.as_ref() != Some(question) {
            return false;
        }
        self.answered = self.asked.take();
        self.loaded |= good;
        true
    }

    /// What is awaited would not fit any more.
    pub(in crate::tui) fn drop_question(&mut self) {
        self.asked = None;
        self.stale = true;
    }
}
