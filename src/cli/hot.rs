//! `hot`: where the child's time goes.

use super::exit::{Failure, OK};
use super::out::{Out, complain, length};
use super::target;
use crate::api::Client;
use crate::model::hot::{HotNode, HotTree};
use crate::model::proto::{Request, Response};
use crate::store::{Folder, Purpose};
use std::time::Duration;

/// Between two questions: whoever samples stops when nobody asks for some seconds.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Calls that took less of the time than this, in percent, are left out of what is printed for people.
const LEAST: f64 = 1.0;
/// How deep calls are indented.
const DEEPEST: usize = 60;

/// See where the child's time goes, by looking at its stacks some twenty times a second from outside.
///
/// The child is stopped for a moment each time, less than one percent of the time in all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder hot
  childminder hot shots --for 30s
  childminder hot --for 1m --folded > stacks.txt

What is printed is a tree of calls, outermost first: percent of the samples of its thread in which it was on the stack, and
in which it was innermost. With --folded it is one line for each place at which a stack ended, as flame graph tools read
them; with --json all of it.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
    /// For how long (5, 5s, 2m).
    #[arg(long = "for", value_name = "LENGTH", default_value = "5s", value_parser = super::duration)]
    length: Duration,
    /// Print folded stacks.
    #[arg(long, conflicts_with = "json")]
    folded: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let folder = target::folder(args.session.as_deref(), Purpose::Write)?;
    let tree = target::block_on(sample(&folder, args.length))?;
    let mut out = Out::stdout();
    if args.json {
        out.json(&tree)?;
    } else if args.folded {
        tree.folded().lines().try_for_each(|line| out.line(line))?;
    } else {
        for line in lines(&tree) {
            out.line(&line)?;
        }
    }
    out.flush()?;
    if let Some(why) = &tree.ended {
        complain(&format!("the sampling ended early: {why}"));
    }
    Ok(OK)
}

async fn sample(folder: &Folder, length: Duration) -> Result<HotTree, Failure> {
    let client = target::connect(folder, "hot", false).await?;
    let until = tokio::time::Instant::now() + length;
    ask(&client, true).await?;
    loop {
        let now = tokio::time::Instant::now();
        tokio::time::sleep_until(until.min(now + ASK_EVERY)).await;
        let tree = ask(&client, false).await?;
        if tree.ended.is_some() || tokio::time::Instant::now() >= until {
            return Ok(tree);
        }
    }
}

async fn ask(client: &Client, reset: bool) -> Result<HotTree, Failure> {
    match client.ask(Request::Hot { reset }).await? {
        Response::Hot(tree) => Ok(*tree),
        _ => Err(target::odd()),
    }
}

/// The tree for people: a thread's calls below its name.
fn lines(tree: &HotTree) -> Vec<String> {
    let doubtful = if tree.doubtful > 0 { format!(", {} of them doubtful", tree.doubtful) } else { String::new() };
    let share = 100.0 * tree.paused.seconds() / tree.span.seconds().max(1e-6);
    let mut lines = vec![format!(
        "{} samples in {}{doubtful}; the child was stopped {share:.2} % of that time",
        tree.samples,
        length(tree.span)
    )];
    for branch in tree.branches() {
        lines.push(format!("thread {}", branch.function));
        below(tree, branch, branch.total.all(), 1, &mut lines);
    }
    lines
}

fn below(tree: &HotTree, node: &HotNode, all: u64, depth: usize, lines: &mut Vec<String>) {
    let mut calls: Vec<&HotNode> = node.children.iter().filter_map(|child| tree.nodes.get(*child as usize)).collect();
    calls.sort_by_key(|call| std::cmp::Reverse(call.total.all()));
    for call in calls.into_iter().filter(|call| percent(call.total.all(), all) >= LEAST) {
        let place = match call.file.rsplit('/').next() {
            Some(file) if !file.is_empty() => format!(" {file}:{}", call.line),
            _ => String::new(),
        };
        let (total, own) = (percent(call.total.all(), all), percent(call.own.all(), all));
        lines.push(format!("{total:5.1} %  {own:5.1} %  {}{}{place}", "  ".repeat(depth.min(DEEPEST)), call.function));
        if depth < crate::model::hot::DEPTH_MAX {
            below(tree, call, all, depth + 1, lines);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples of a thousand years fit into f64 exactly")]
fn percent(part: u64, all: u64) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Frame;
    use crate::model::hot::Mark;

    #[test]
    fn the_busiest_calls_come_first_and_the_rare_are_left_out() {
        let frame = |function: &str, line| Frame {
            function: function.into(),
            file: "/x/a.py".into(),
            line,
            ..Frame::default()
        };
        let mut tree = HotTree { samples: 1001, ..HotTree::default() };
        tree.add("MainThread", &[frame("rare", 9)], Mark::Gil);
        for nth in 0..1000 {
            let inner = if nth % 4 == 0 { frame("read", 3) } else { frame("trace", 2) };
            tree.add("MainThread", &[frame("main", 1), inner], Mark::Native);
        }
        let lines = lines(&tree);
        let shown: Vec<&str> = lines[1..].iter().map(String::as_str).collect();
        assert_eq!(
            shown,
            [
                "thread MainThread",
                " 99.9 %    0.0 %    main a.py:1",
                " 74.9 %   74.9 %      trace a.py:2",
                " 25.0 %   25.0 %      read a.py:3",
            ]
        );
    }
}
