//! What is typed: Python for every child, and what can be done with the loop itself.

use super::lane::{Begin, Lane};
use super::outside::Came;
use super::prompt::{Typed, Verb};
use super::rounds::{Dev, INTERRUPTED, Next, TERMINATED, busy, tell_saved, twice};
use crate::cli::exit::{Failure, OK, USAGE};
use crate::cli::out::Tone;
use crate::cli::{names, target, why};
use crate::model::proto::{Completeness, Request, Response};
use futures_util::future::{join_all, select_all};
use std::io;
use std::path::PathBuf;

impl Dev {
    /// Waits for whatever comes, with the prompt standing there.
    pub(super) async fn wait(&mut self) -> Result<Next, Failure> {
        self.show_prompt()?;
        let came = {
            let Self { lanes, outside, .. } = self;
            let gone = select_all(lanes.iter_mut().map(|lane| Box::pin(lane.gone())));
            tokio::select! {
                came = outside.next() => Ok(came),
                (reason, place, _) = gone => Err((reason, place)),
            }
        };
        match came {
            Err((reason, place)) => self.lost(place, &reason).await,
            Ok(Came::Line(line)) => {
                if !self.echoes {
                    self.show.line(&line)?;
                }
                self.typed(&line).await
            }
            Ok(Came::End) => {
                self.show.line("")?;
                Ok(Next::Quit(OK))
            }
            Ok(Came::Terminate) => Ok(Next::Quit(TERMINATED)),
            Ok(Came::Interrupt) => {
                self.show.line("")?;
                if self.prompt.goes_on() {
                    self.prompt.drop_pending();
                } else if twice(&mut self.interrupted) {
                    return Ok(Next::Quit(INTERRUPTED));
                } else {
                    self.show.line("Ctrl-C once more, or Ctrl-D, ends it")?;
                }
                Ok(Next::Prompt)
            }
            Ok(Came::Saved(files)) => {
                self.show.line("")?;
                tell_saved(&self.show, &files, "")?;
                self.saved(files).await
            }
        }
    }

    fn show_prompt(&self) -> io::Result<()> {
        let name = self.subject.as_ref().map_or(self.asked.what.as_str(), |subject| subject.job.name.as_str());
        let end = if self.prompt.goes_on() { "... " } else { "> " };
        self.show.prompt(&format!("{name}{end}"))
    }

    /// A child has ended by itself.
    async fn lost(&mut self, place: usize, reason: &str) -> Result<Next, Failure> {
        self.show.line("")?;
        if let Some(lane) = self.lanes.get_mut(place) {
            lane.end().await;
            let whose = if lane.name.is_empty() { String::new() } else { format!("{}: ", lane.name) };
            self.show.toned(&format!("{whose}the child is gone: {reason}"), Tone::Bad)?;
        }
        self.show.line(":restart starts another one, and so does a file that is saved")?;
        Ok(Next::Prompt)
    }

    async fn typed(&mut self, line: &str) -> Result<Next, Failure> {
        match self.prompt.take(line) {
            Typed::Empty => Ok(Next::Prompt),
            Typed::NoVerb(text) => {
                self.show.line(&format!("{text} is nothing that can be done here; :help tells what is"))?;
                Ok(Next::Prompt)
            }
            Typed::Verb(verb) => self.verb(verb).await,
            Typed::Python(source) => self.python(source).await,
        }
    }

    async fn verb(&mut self, verb: Verb) -> Result<Next, Failure> {
        match verb {
            Verb::Quit => return Ok(Next::Quit(OK)),
            Verb::Restart => return Ok(Next::Begin(Begin::Restart)),
            Verb::Reload if self.lanes.iter().any(Lane::is_ready) => return Ok(Next::Reload),
            Verb::Again => return self.again().await,
            Verb::Reload => self.show.line("there is no child to load them into; :restart starts one")?,
            Verb::Forget => self.prompt.forget(),
            Verb::Help => self.show.help()?,
            Verb::Steps => self.steps()?,
            Verb::Names => self.each(Request::Names).await?,
            Verb::Why => self.each(Request::Why).await?,
        }
        Ok(Next::Prompt)
    }

    fn steps(&self) -> io::Result<()> {
        for lane in &self.lanes {
            if !self.is_one() {
                self.show.toned(&lane.name, Tone::Busy)?;
            }
            lane.last.iter().try_for_each(|outcome| self.show.steps(outcome))?;
        }
        Ok(())
    }

    /// Asks every child, and shows what each says.
    async fn each(&self, request: Request) -> Result<(), Failure> {
        for lane in &self.lanes {
            if !self.is_one() {
                self.show.toned(&lane.name, Tone::Busy)?;
            }
            let Some(asker) = lane.asker() else {
                self.show.line("there is no child; :restart starts one")?;
                continue;
            };
            match asker.ask(request.clone()).await {
                Ok(Response::Names { names, more }) => self.show.with(|out| names::show(out, &names, more))?,
                Ok(Response::Diagnosis(diagnosis)) => self.show.with(|out| why::sections(out, &diagnosis))?,
                Ok(_) => return Err(target::odd()),
                Err(failure) => self.show.toned(&failure.message, Tone::Bad)?,
            }
        }
        Ok(())
    }

    async fn python(&mut self, source: String) -> Result<Next, Failure> {
        if !self.lanes.iter().any(Lane::is_ready) {
            self.prompt.drop_pending();
            self.show.line("there is no child; :restart starts one")?;
            return Ok(Next::Prompt);
        }
        if self.goes_on(&source).await {
            return Ok(Next::Prompt);
        }
        self.prompt.done(&source);
        let mut saved = Vec::new();
        match self.execute(&source, &mut saved).await? {
            Some(quit) => Ok(Next::Quit(quit)),
            None if saved.is_empty() => Ok(Next::Prompt),
            None => self.saved(saved).await,
        }
    }

    /// Whether one of the interpreters says that more must follow.
    async fn goes_on(&self, source: &str) -> bool {
        let asked = self.lanes.iter().filter_map(Lane::asker).map(|asker| async move {
            let checked = asker.ask(Request::Check { source: source.to_owned() }).await;
            matches!(checked, Ok(Response::Checked { state: Completeness::Incomplete, .. }))
        });
        join_all(asked).await.contains(&true)
    }

    /// Runs what was typed before once more.
    pub(super) async fn again(&mut self) -> Result<Next, Failure> {
        let mut saved = Vec::new();
        for source in self.prompt.history().to_vec() {
            self.show
                .toned(&source.lines().map(|line| format!(">> {line}")).collect::<Vec<_>>().join("\n"), Tone::Quiet)?;
            if let Some(quit) = self.execute(&source, &mut saved).await? {
                return Ok(Next::Quit(quit));
            }
        }
        if saved.is_empty() { Ok(Next::Prompt) } else { self.saved(saved).await }
    }

    /// Runs a piece of Python in every child, and shows what it came to. What is saved meanwhile has to wait; the exit
    /// code, if this is to end.
    async fn execute(&mut self, source: &str, saved: &mut Vec<PathBuf>) -> Result<Option<u8>, Failure> {
        let (lanes, show, is_one) = (&self.lanes, &self.show, self.is_one());
        let work = join_all(lanes.iter().map(|lane| lane.run(source)));
        let done = busy(work, &mut self.outside, &mut self.interrupted, show, lanes, saved).await?;
        let done = match done {
            Ok(done) => done,
            Err(quit) => return Ok(Some(quit)),
        };
        let mut answers = Vec::new();
        for (lane, done) in lanes.iter().zip(done) {
            match done {
                None => {}
                Some(Ok(answer)) if is_one => show.answer(&answer)?,
                Some(Ok(answer)) => answers.push((lane.name.as_str(), answer)),
                Some(Err(failure)) if failure.code == USAGE => return Err(failure),
                Some(Err(failure)) => show.toned(&failure.message, Tone::Bad)?,
            }
        }
        show.answers(&answers)?;
        Ok(None)
    }
}
