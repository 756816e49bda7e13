//! The command line: one file a subcommand.
//!
//! What must stay true: exit codes and what `--json` prints are promises to scripts; nothing of a child's reaches a
//! terminal unless it was made safe or `--raw` was given; a reader of our output that goes away is no error.

mod agenda;
mod attach;
mod backends;
mod child_file;
mod demo;
mod dev;
mod engine;
mod exec;
mod exit;
mod export;
mod follow;
mod guardian;
mod headless;
mod host;
mod hot;
mod info;
mod inherited;
mod interrupt;
mod lines;
mod log;
mod ls;
mod names;
mod out;
mod pause;
mod prune;
mod qube_worker;
mod record;
mod replay;
mod restart;
mod run;
mod stop;
mod target;
mod timeout;
mod why;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use std::time::Duration;

/// Supervise a Python interpreter inside an application: run it as a child, feed it work, see why it is stuck.
#[derive(Debug, Parser)]
#[command(name = "childminder", version, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 all complete (detached too), 1 an item failed or an injected command raised,
2 wrong usage or job file, 3 no such session, 4 refused, 69 the child could not be started,
70 the child was lost, 124 a time-out of this program's own, 130 and 143 cancelled.

CHILDMINDER_DATA_DIR says where sessions are kept, instead of the user's data folder;
CHILDMINDER_LOG what an engine writes into its engine.log (info unless set);
CHILDMINDER_MINIMUM_FREE how much of the disk is left free (2G);
CHILDMINDER_KEEP_DAYS how long a session is kept after its last change (30), and
CHILDMINDER_KEEP_SIZE how much room all of them may take (20G): when an engine
starts, what is over is removed, oldest first; none turns either off.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    // By far the largest.
    Run(Box<run::Args>),
    Dev(dev::Args),
    Attach(attach::Args),
    Ls(ls::Args),
    Why(why::Args),
    Interrupt(interrupt::Args),
    Pause(pause::Pause),
    Continue(pause::Continue),
    Restart(restart::Args),
    Timeout(timeout::Args),
    Exec(exec::Args),
    Names(names::Args),
    Backends(backends::Args),
    Info(info::Args),
    Hot(hot::Args),
    Agenda(agenda::Args),
    Record(record::Args),
    Log(log::Args),
    Replay(replay::Args),
    Export(export::Args),
    Prune(prune::Args),
    QubeWorker(qube_worker::Args),
    Stop(stop::Args),
    #[command(name = "__engine", hide = true)]
    Engine(engine::Args),
    #[command(name = "__guardian", hide = true)]
    Guardian(guardian::Args),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads any more is no error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    let done = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Run(args) => run::run(*args),
        Command::Dev(args) => dev::run(args),
        Command::Attach(args) => attach::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Log(args) => log::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Prune(args) => prune::run(&args),
        Command::QubeWorker(args) => qube_worker::run(args),
        Command::Engine(args) => engine::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Interrupt(args) => interrupt::run(&args),
        Command::Pause(args) => pause::pause(&args),
        Command::Continue(args) => pause::go_on(&args),
        Command::Restart(args) => restart::run(&args),
        Command::Timeout(args) => timeout::run(&args),
        Command::Exec(args) => exec::run(args),
        Command::Names(args) => names::run(&args),
        Command::Backends(args) => backends::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Hot(args) => hot::run(&args),
        Command::Agenda(args) => agenda::run(args),
        Command::Stop(args) => stop::run(&args),
        Command::Guardian(args) => Ok(guardian::run(&args)),
    };
    ExitCode::from(done.unwrap_or_else(|failure| {
        out::complain(&failure.message);
        failure.code
    }))
}

/// A length of time: `5`, `5s`, `1.5m`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(format!("{unit} is no unit of time; ms, s, m, h and d are")),
    };
    let number: f64 =
        number.parse().map_err(|_| "a length of time is a number with or without a unit, as 90 or 1.5m")?;
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
}

/// A value for a key: `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key is missing before the =".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lengths_of_time_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(duration("30d"), Ok(Duration::from_hours(720)));
        for wrong in ["", "m", "5 days", "-1", "nan", "inf"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
