//! A session folder as a long night leaves it: 10 GB of output, a million commands, each an item of its own, and an
//! engine that died while the last one ran. Made by the store's own writers, once for all rows that want it.
//!
//! `CHILDMINDER_BENCH_COMMANDS=20000` makes a small one. Its events follow each other in microseconds, as nothing was
//! really run between them; their numbers, sizes and places are those of a real session.

use childminder::model::job::{Agenda, FrameRun, Phases};
use childminder::model::{
    CommandId, CommandOutcome, EventKind, Generation, Hello, ItemIndex, ItemStatus, Job, Marks, Micros, Phase,
    ResultPackage, SessionPhase, State,
};
use childminder::store::{Checkpointer, Folder, Journal, Output, SessionFile, clock, recover};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Commands, unless set otherwise.
const COMMANDS: u32 = 1_000_000;
/// Items that are left to run.
const LEFT: u32 = 100_000;
/// Bytes that a command prints, more or less.
const PRINTED: usize = 10_000;
/// In so many reads, with records of their own in the index.
const READS: usize = 3;
/// One command of so many has something to say on stderr.
const STDERR_EVERY: u32 = 8;
/// What an item runs: a little work, and a few lines.
const COMMAND: &str = "import time; time.sleep(0.001); [print('frame', {frame}, 'tile', tile) for tile in range(20)]";

/// A folder, and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// The folder of all data, for `CHILDMINDER_DATA_DIR`.
    pub(crate) data: PathBuf,
    /// The session.
    pub(crate) folder: Folder,
    /// How many commands, and items, it has run.
    pub(crate) commands: u32,
    /// Bytes of output.
    pub(crate) output: u64,
}

static MADE: Mutex<Option<(tempfile::TempDir, Made)>> = Mutex::new(None);

/// The folder, made if it is not there yet.
pub(crate) fn made() -> Made {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.get_or_insert_with(|| {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let made = make(dir.path());
        (dir, made)
    })
    .1
    .clone()
}

/// Removes it; statics are not dropped.
pub(crate) fn remove() {
    drop(MADE.lock().unwrap_or_else(PoisonError::into_inner).take());
}

fn make(data: &Path) -> Made {
    let wanted = std::env::var("CHILDMINDER_BENCH_COMMANDS").ok().and_then(|count| count.parse().ok());
    let commands: u32 = wanted.unwrap_or(COMMANDS).max(1);
    let begun = Instant::now();
    let dir = data.join("sessions");
    std::fs::create_dir(&dir).expect("a folder");
    let recipe = childminder::backend::find("python").unwrap_or_else(|error| panic!("{error}"));
    let session = SessionFile::new(job(commands + LEFT), Some(recipe.text.clone()));
    let folder = Folder::create(&dir, &session).expect("a session folder");
    let output = Writer::begin(&folder, commands + LEFT).run(commands);
    println!(
        "<!-- a folder of {commands} commands and {} MB of output was made in {:.0} s -->",
        output / 1_000_000,
        begun.elapsed().as_secs_f64()
    );
    Made { data: data.to_owned(), folder, commands, output }
}

fn job(items: u32) -> Job {
    let run = FrameRun { first: 1, count: items, step: 1 };
    Job {
        name: "long night".into(),
        phases: Phases { commands: vec![COMMAND.into()], ..Phases::default() },
        agenda: Agenda::Frames { runs: vec![run], chunk: 1 },
        ..Job::default()
    }
}

/// What an engine has in its hands.
struct Writer {
    journal: Journal,
    checkpointer: Checkpointer,
    state: State,
    output: Output,
    text: Text,
}

impl Writer {
    fn begin(folder: &Folder, items: u32) -> Self {
        let journal = Journal::create(&folder.journal()).expect("a journal");
        let recovered = recover(folder).expect("a new session");
        let checkpointer = recovered.checkpointer(folder).expect("checkpoints");
        let output = Output::open(folder, Marks::default(), 0).expect("output");
        let mut writer = Self { journal, checkpointer, state: recovered.state, output, text: Text::new() };
        let generation = Generation(1);
        writer.record(vec![
            EventKind::EngineStarted {
                pid: 1,
                version: env!("CARGO_PKG_VERSION").into(),
                name: "long night".into(),
                backend: "python".into(),
                items,
                held: false,
                resumed: false,
            },
            EventKind::ChildStarting { generation, argv: vec!["python3".into()], cwd: "/".into() },
            EventKind::ChildSpawned { pid: 2, start_time: 0 },
            EventKind::ChildConnected { hello: Box::new(Hello::default()) },
            EventKind::Phase { to: SessionPhase::Agenda },
        ]);
        writer
    }

    /// Runs so many items, the last of them not to its end; how many bytes were printed.
    fn run(mut self, commands: u32) -> u64 {
        for number in 0..commands {
            self.item(number, number + 1 == commands);
        }
        let Marks { stdout, stderr } = self.marks();
        stdout + stderr
    }

    fn item(&mut self, number: u32, last: bool) {
        let (item, id) = (ItemIndex(number), CommandId(u64::from(number) + 1));
        let mut events = vec![
            EventKind::ItemStarted { item, attempt: 1 },
            EventKind::CommandQueued {
                id,
                phase: Phase::Item,
                item: Some(item),
                source: COMMAND.replace("{frame}", &(number + 1).to_string()),
                value: false,
                by: None,
            },
            EventKind::CommandSent { id, from: self.marks() },
            EventKind::CommandStarted { id },
        ];
        self.print(number, id);
        if !last {
            let took = Micros(30_000 + u64::from(number) * 7919 % 20_000);
            let outcome = CommandOutcome::Finished { value: None, cut: None };
            events.push(EventKind::CommandEnded { id, outcome, took, to: self.marks() });
            events.push(EventKind::ItemEnded {
                item,
                status: ItemStatus::Complete,
                reason: None,
                took: Micros(took.0 + 50),
                again: None,
                result: ResultPackage {
                    output_paths: vec![format!("/out/long_night.{:07}.exr", number + 1)],
                    ..ResultPackage::default()
                },
            });
        }
        self.record(events);
    }

    fn print(&mut self, number: u32, command: CommandId) {
        let (wall, mono) = (clock::wall(), clock::mono());
        let printed = self.text.of(number).as_bytes();
        let stdout = &mut self.output.stdout;
        for (part, bytes) in (0..).zip(printed.chunks(PRINTED.div_ceil(READS))) {
            let later = Micros(mono.0 + part * 15_000);
            stdout.append(stdout.position(), bytes, Some(command), wall, later);
        }
        if number.is_multiple_of(STDERR_EVERY) {
            let stderr = &mut self.output.stderr;
            let text = format!("\x1b[33mwarning:\x1b[0m frame {} reads past the end of its cache\n", number + 1);
            stderr.append(stderr.position(), text.as_bytes(), Some(command), wall, mono);
        }
    }

    fn marks(&self) -> Marks {
        Marks { stdout: self.output.stdout.position(), stderr: self.output.stderr.position() }
    }

    fn record(&mut self, mut events: Vec<EventKind>) {
        for recorded in self.journal.append(&mut events).expect("journalled") {
            self.state.apply(&recorded.event, recorded.at);
            self.checkpointer.note(&recorded);
        }
        if self.checkpointer.due() {
            self.checkpointer.write(&self.state, self.journal.end());
        }
    }
}

/// What a renderer prints, again and again from another place on.
struct Text {
    pool: String,
    /// Where its lines begin.
    lines: Vec<usize>,
    printed: String,
}

impl Text {
    fn new() -> Self {
        let (mut pool, mut lines) = (String::new(), Vec::new());
        for line in 0..20_000u32 {
            lines.push(pool.len());
            let mixed = line.wrapping_mul(2_654_435_761);
            let (memory, seconds, sample) = (mixed % 4096, mixed >> 8 & 0x3f, mixed >> 4 & 0x7f);
            let written = match mixed >> 27 {
                0 => writeln!(
                    pool,
                    "\x1b[1;33mWARN\x1b[0m texture grass_{memory}.png is larger than 8192 px; it is scaled"
                ),
                1 => writeln!(pool, "\x1b[32m✓\x1b[0m tile {sample} saved in {seconds}.{memory:04} s"),
                _ => writeln!(
                    pool,
                    "Mem:{memory}.{seconds:02}M (Peak {memory}.90M) | Time:00:{seconds:02} | Scene, ViewLayer | Sample {sample}/128"
                ),
            };
            written.expect("into memory");
        }
        Self { pool, lines, printed: String::new() }
    }

    /// What the command of this number prints.
    fn of(&mut self, number: u32) -> &str {
        let first = number as usize * 7919 % (self.lines.len() / 2);
        let from = self.lines[first];
        let last = self.lines[first..].partition_point(|line| *line < from + PRINTED);
        let to = self.lines[(first + last).min(self.lines.len() - 1)];
        self.printed.clear();
        writeln!(self.printed, "Fra:{} long night", number + 1).expect("into memory");
        self.printed.push_str(&self.pool[from..to]);
        &self.printed
    }
}
