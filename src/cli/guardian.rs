//! `__guardian`: what outlives a killed engine long enough to end its child. Started by the engine, never by people.

/// The guardian of an engine.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The session's marker in the environment of its processes.
    marker: String,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> u8 {
    u8::try_from(crate::child::guardian_main(&args.marker)).unwrap_or(super::exit::FAILED)
}
