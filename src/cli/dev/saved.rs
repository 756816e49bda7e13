//! What follows from it that files were saved.
//!
//! What must stay true: a file that is wrong changes nothing for what runs, and is tried again with the next that is saved.

use super::lane::{Begin, Lane};
use super::modules;
use super::rounds::{Dev, Next, busy};
use super::session::Answer;
use crate::cli::exit::Failure;
use crate::cli::out::{Tone, length};
use crate::model::CommandOutcome;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// What came of loading modules anew: their names, unless there were none.
type Loaded = Result<Option<(Vec<String>, Answer)>, Failure>;

impl Dev {
    /// What follows from it that these files were saved.
    pub(super) async fn saved(&mut self, files: Vec<PathBuf>) -> Result<Next, Failure> {
        let subject = match &self.subject {
            Some(subject) if !files.iter().any(|file| subject.own.contains(file)) => None,
            _ => match self.read() {
                Ok(subject) => Some(subject),
                Err(failure) => {
                    self.keep_running(&failure.message)?;
                    return Ok(Next::Prompt);
                }
            },
        };
        let python = files.iter().filter(|file| file.extension().is_some_and(|end| end == "py")).cloned().collect();
        let wrong = self.wrong(&python).await;
        if !wrong.is_empty() {
            self.stale.extend(python);
            self.keep_running(&wrong.join("\n"))?;
            return Ok(Next::Prompt);
        }
        if let Some(subject) = subject {
            return Ok(self.take(subject));
        }
        self.stale.extend(files);
        Ok(if self.args.reload && self.lanes.iter().any(Lane::is_ready) {
            Next::Reload
        } else {
            Next::Begin(Begin::Restart)
        })
    }

    fn keep_running(&self, message: &str) -> io::Result<()> {
        self.show.toned(message, Tone::Bad)?;
        let goes_on = self.lanes.iter().any(Lane::is_ready);
        self.show.line(if goes_on {
            "the child goes on as it is until that is right"
        } else {
            "waiting for it to be right"
        })
    }

    /// What is wrong with these files as Python. Of several interpreters each may have its own opinion, which is what is
    /// to be seen.
    async fn wrong(&self, files: &BTreeSet<PathBuf>) -> Vec<String> {
        match self.lanes.as_slice() {
            [lane] if !files.is_empty() => match lane.asker() {
                Some(asker) => modules::wrong(&asker, files).await.unwrap_or_default(),
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Loads what is stale anew, in the children that run.
    pub(super) async fn load_anew(&mut self) -> Result<Next, Failure> {
        let mut saved = Vec::new();
        let done = {
            let (lanes, files) = (&self.lanes, &self.stale);
            let work = join_all(lanes.iter().map(|lane| async move {
                match lane.asker() {
                    Some(asker) => modules::reload(&asker, &lane.modules, files).await,
                    None => Ok(None),
                }
            }));
            busy(work, &mut self.outside, &mut self.interrupted, &self.show, lanes, &mut saved).await?
        };
        match done {
            Err(quit) => return Ok(Next::Quit(quit)),
            Ok(done) => self.tell_loaded(done)?,
        }
        if let Some(subject) = self.subject.clone() {
            for lane in &mut self.lanes {
                // What could not be asked is watched as before.
                let _ = lane.refresh(&subject.roots).await;
            }
            self.watch(&subject);
        }
        if saved.is_empty() { Ok(Next::Prompt) } else { self.saved(saved).await }
    }

    fn tell_loaded(&mut self, done: Vec<Loaded>) -> Result<(), Failure> {
        let (mut failed, mut told) = (false, false);
        for (lane, loaded) in self.lanes.iter().zip(done) {
            let whose = if self.is_one() { String::new() } else { format!("{}: ", lane.name) };
            let Some((names, answer)) = loaded? else { continue };
            told = true;
            let took = length(answer.took);
            if matches!(answer.outcome, CommandOutcome::Finished { .. }) {
                let answer = Answer { outcome: CommandOutcome::Finished { value: None, cut: None }, ..answer };
                self.show.answer(&answer)?;
                self.show.toned(&format!("{whose}loaded anew in {took}: {}", names.join(", ")), Tone::Good)?;
            } else {
                failed = true;
                self.show.answer(&answer)?;
                self.show.toned(&format!("{whose}not all loaded anew: {}", names.join(", ")), Tone::Bad)?;
            }
        }
        if !told {
            self.show.line("none of the modules that were saved is loaded; :restart starts another child")?;
        }
        // What failed is tried again with whatever is saved next.
        if !failed {
            self.stale.clear();
        }
        Ok(())
    }
}
