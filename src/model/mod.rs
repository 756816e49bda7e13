//! Plain data that everybody shares: the job, the commands, the events, and the fold that makes them a [`State`].
//!
//! What must stay true: nothing here does I/O, knows a clock, a runtime or a screen, and `model` imports no other
//! room of this crate. State changes only by [`State::apply`], so that the live view, a late attach, crash recovery and
//! replay cannot disagree: they are the same fold over the same events.

pub mod about;
pub mod added;
pub mod back_end;
pub mod child;
pub mod command;
pub mod control;
pub mod diagnosis;
pub mod event;
pub mod exception;
pub mod hot;
pub mod ids;
pub mod item;
pub mod job;
pub mod output_pattern;
pub mod path_map;
pub mod pattern;
pub mod proto;
pub mod rows;
pub mod search;
pub(crate) mod sgr;
pub mod size;
pub mod state;
pub mod usage;

pub use back_end::{BackEnd, Override};
pub use child::{ChildState, Exit, Hello, SignalName};
pub use command::{CommandOutcome, CommandRow, CommandState, Marks, Origin, Phase};
pub use control::{
    Breakpoint, Change, HoldReason, LadderView, Limit, LimitChange, Pause, Policies, Policy, Rung, RungOutcome,
    RungView, Scene, Step, Stops,
};
pub use diagnosis::{Diagnosis, DiagnosisHead, Doing, Verdict};
pub use event::{Event, EventKind, RefusedPeer, SessionPhase, StartStep, StopMode, Stream, Wait, WaitFor};
pub use exception::{Exception, Frame};
pub use hot::HotTree;
pub use ids::{CommandId, Generation, ItemIndex, Micros, Seq};
pub use item::{ItemRow, ItemStatus, ResultPackage};
pub use job::{Driven, ItemSpec, Job};
pub use output_pattern::{
    Finding, Finds, Found, Measure, OutputChecks, OutputFile, OutputPattern, PatternOrigin, ProgressReads, Severity,
};
pub use path_map::{PathMap, PathRule};
pub use pattern::{BadPattern, Pattern};
pub use search::{Case, Filter, Grep, SearchQuery, Searched, Wanted};
pub use state::State;
pub use usage::{UsageHistory, UsagePoint};
