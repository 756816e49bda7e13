//! What the child's process tree used over the session: `usage.jsonl`, one point a line.
//!
//! What must stay true: whoever samples never waits for the disk: points go to a thread that sleeps until one comes, and
//! are left out, and counted, when it does not keep up; below the minimum of free space none are written; a line is there
//! as a whole or skipped by its readers, who read no more than the time that is asked for, with bounded memory.

use super::error::{StoreError, failed};
use super::folder::Folder;
use super::regular;
use super::view::read_full;
use crate::model::{Micros, UsagePoint};
use nix::sys::statvfs::fstatvfs;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

/// Points that wait for a slow disk.
const WAITING: usize = 16;
/// Bytes read at once when a place is looked for: some tens of points.
const LOOK: usize = 4 << 10;
/// Bytes read at once when all points of a time are wanted.
const BLOCK: usize = 256 << 10;
/// The most points of one answer.
const MOST: u32 = 2000;
/// No rate is taken for more than this, whatever a file says: sums of so few stay numbers.
const RATE: f64 = 1e15;
/// How long after its point a time still counts as told by it.
const FRESH: Micros = Micros(2_000_000);

/// Keeps points, on a thread of its own.
#[derive(Debug)]
pub struct UsageWriter {
    points: SyncSender<UsagePoint>,
    /// Told when the thread has ended.
    ended: Receiver<()>,
    left_out: u64,
}

impl UsageWriter {
    /// Goes on with a session's file; a line that was not finished is cut off. Nothing is written while less than
    /// `minimum_free` bytes of the disk are free.
    pub fn start(folder: &Folder, minimum_free: u64) -> Result<Self, StoreError> {
        let mut keeper = Keeper::open(&folder.usage(), minimum_free)?;
        let (points, waiting) = sync_channel::<UsagePoint>(WAITING);
        // Holds at most the one word that the thread has ended.
        let (ending, ended) = channel();
        let keep = move || {
            while let Ok(point) = waiting.recv() {
                keeper.keep(point);
            }
            // Whoever waited may have given up.
            let _ = ending.send(());
        };
        std::thread::Builder::new().name("usage".into()).spawn(keep).map_err(failed("write", &folder.usage()))?;
        Ok(Self { points, ended, left_out: 0 })
    }

    /// Has this point written; returns at once.
    pub fn keep(&mut self, point: UsagePoint) {
        match self.points.try_send(point) {
            Ok(()) if self.left_out > 0 => {
                tracing::warn!(left_out = self.left_out, "the disk takes again what the child uses");
                self.left_out = 0;
            }
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if self.left_out == 0 {
                    tracing::warn!("the disk is slow: what the child uses is not recorded");
                }
                self.left_out += 1;
            }
        }
    }

    /// Waits, so long at most, until all points are in the file.
    pub fn finish(self, most: Duration) {
        drop(self.points);
        if self.ended.recv_timeout(most).is_err() {
            tracing::warn!("the disk is slow: the last of what the child used was not recorded");
        }
    }
}

/// The file's writing end.
struct Keeper {
    path: PathBuf,
    file: File,
    /// Where the next line begins.
    end: u64,
    minimum_free: u64,
    /// Whether the last point was not kept: it is said once.
    failing: bool,
}

impl Keeper {
    fn open(path: &Path, minimum_free: u64) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = regular::open_with(&mut options, path).map_err(failed("open", path))?;
        let length = file.metadata().map_err(failed("read", path))?.len();
        let end = whole_lines(&file, length);
        file.set_len(end).map_err(failed("cut", path))?;
        Ok(Self { path: path.to_owned(), file, end, minimum_free, failing: false })
    }

    fn keep(&mut self, point: UsagePoint) {
        let written = self.write(point);
        if let Err(error) = &written
            && !self.failing
        {
            tracing::warn!(%error, file = %self.path.display(), "what the child uses is not recorded");
        }
        self.failing = written.is_err();
    }

    fn write(&mut self, point: UsagePoint) -> io::Result<()> {
        if let Ok(disk) = fstatvfs(&self.file)
            && disk.blocks_available().saturating_mul(disk.fragment_size()) < self.minimum_free
        {
            return Err(io::Error::other("the disk has too little free"));
        }
        let mut line = serde_json::to_vec(&rounded(point))?;
        line.push(b'\n');
        // What a failed write left behind is cut off: the next line may be shorter.
        if let Err(error) = self.file.write_all_at(&line, self.end) {
            self.file.set_len(self.end)?;
            return Err(error);
        }
        self.end += line.len() as u64;
        Ok(())
    }
}

/// Digits that mean nothing only make a file long.
fn rounded(point: UsagePoint) -> UsagePoint {
    UsagePoint {
        cpu: (point.cpu * 10.0).round() / 10.0,
        read: point.read.round(),
        written: point.written.round(),
        ..point
    }
}

/// How many bytes there are up to the last end of a line. A file without one in its last block is nobody's.
fn whole_lines(file: &File, length: u64) -> u64 {
    let from = length.saturating_sub(BLOCK as u64);
    let mut block = vec![0; BLOCK];
    let got = read_full(file, &mut block, from);
    memchr::memrchr(b'\n', &block[..got]).map_or(0, |last| from + last as u64 + 1)
}

/// Reads a session's points, running or ended. Writes nothing.
#[derive(Debug, Clone)]
pub struct UsageReader {
    path: PathBuf,
}

impl UsageReader {
    /// For the session in this folder.
    pub fn open(folder: &Folder) -> Self {
        Self { path: folder.usage() }
    }

    /// The points from this wall time on, up to that one; at most `most` of them: of more each stands for a stretch of
    /// time. Points at which the clock had been set back are left out.
    pub fn history(&self, from: Micros, to: Micros, most: u32) -> Result<Vec<UsagePoint>, StoreError> {
        self.read(from, to, most, BLOCK)
    }

    fn read(&self, from: Micros, to: Micros, most: u32, block: usize) -> Result<Vec<UsagePoint>, StoreError> {
        let Some(file) = self.file()? else { return Ok(Vec::new()) };
        let length = file.metadata().map_err(failed("read", &self.path))?.len();
        let last = last_point(&file, length).map_or(from, |last| last.wall);
        let mut thinned = Thinned::new(to.min(last), most.clamp(1, MOST) as usize);
        let mut wall = from;
        scan(&file, first_at(&file, from, length), length, block, |_, point| {
            if point.wall > to {
                return ControlFlow::Break(());
            }
            if point.wall >= wall {
                wall = point.wall;
                thinned.add(point);
            }
            ControlFlow::Continue(())
        });
        Ok(thinned.finish())
    }

    /// What was used at a wall time; `None` when nothing was sampled then.
    pub fn at(&self, wall: Micros) -> Option<UsagePoint> {
        let points = self.read(Micros(wall.0.saturating_sub(FRESH.0)), wall, MOST, LOOK);
        points.ok()?.pop()
    }

    /// When something was sampled for the last time.
    pub fn last(&self) -> Option<Micros> {
        let file = self.file().ok()??;
        Some(last_point(&file, file.metadata().ok()?.len())?.wall)
    }

    /// The file, if the session has one.
    fn file(&self) -> Result<Option<File>, StoreError> {
        match regular::open(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &self.path)(error)),
        }
    }
}

/// Gives the points of whole lines, with where their lines begin, from the line that begins at this byte on.
fn scan(
    file: &File,
    from: u64,
    length: u64,
    block: usize,
    mut each: impl FnMut(u64, UsagePoint) -> ControlFlow<()>,
) -> bool {
    let mut bytes = vec![0; block];
    let mut at = from;
    while at < length {
        let most = usize::try_from(length - at).map_or(block, |left| left.min(block));
        let got = read_full(file, &mut bytes[..most], at);
        let whole = memchr::memrchr(b'\n', &bytes[..got]).map_or(0, |last| last + 1);
        let mut line = at;
        for text in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            if let Some(point) = parse(text)
                && each(line, point).is_break()
            {
                return true;
            }
            line += text.len() as u64;
        }
        // A line that is longer than a block is none of ours.
        let passed = if whole > 0 { whole } else { got };
        if passed == 0 || (whole == 0 && got < block) {
            break;
        }
        at += passed as u64;
    }
    false
}

fn parse(line: &[u8]) -> Option<UsagePoint> {
    let point: UsagePoint = serde_json::from_slice(line).ok()?;
    let rate = |rate: f64| rate.clamp(0.0, RATE);
    let sound = UsagePoint { cpu: rate(point.cpu), read: rate(point.read), written: rate(point.written), ..point };
    (point.wall > Micros(0)).then_some(sound)
}

/// Where the line of the first point that is not before this time begins, or one a few lines before it.
fn first_at(file: &File, wall: Micros, length: u64) -> u64 {
    let (mut low, mut high) = (0, length);
    while high - low > LOOK as u64 {
        let middle = low + (high - low) / 2;
        let mut found = None;
        // The line that the middle is part of is no whole one, so it gives no point.
        scan(file, line_after(file, middle), high, LOOK, |line, point| {
            found = Some((line, point.wall));
            ControlFlow::Break(())
        });
        match found {
            Some((line, at)) if at < wall => low = line,
            _ => high = middle,
        }
    }
    low
}

/// The beginning of the first line after this byte, as far as it is near.
fn line_after(file: &File, at: u64) -> u64 {
    let mut bytes = [0; LOOK];
    let got = read_full(file, &mut bytes, at);
    at + memchr::memchr(b'\n', &bytes[..got]).map_or(got, |end| end + 1) as u64
}

/// The last point of the file, looked for in its last block.
fn last_point(file: &File, length: u64) -> Option<UsagePoint> {
    let from = length.saturating_sub(LOOK as u64);
    let mut last = None;
    scan(file, if from > 0 { line_after(file, from) } else { 0 }, length, LOOK, |_, point| {
        last = Some(point);
        ControlFlow::Continue(())
    });
    last
}

/// Points as they are, as long as they are few; after that the same in stretches of equal length.
struct Thinned {
    /// About when the last point will come.
    to: Micros,
    most: usize,
    points: Vec<UsagePoint>,
    stretches: Option<Stretches>,
}

impl Thinned {
    fn new(to: Micros, most: usize) -> Self {
        Self { to, most, points: Vec::new(), stretches: None }
    }

    fn add(&mut self, point: UsagePoint) {
        if let Some(stretches) = &mut self.stretches {
            stretches.add(point);
        } else if self.points.len() < self.most {
            self.points.push(point);
        } else {
            let from = self.points.first().map_or(point.wall, |first| first.wall);
            let mut stretches = Stretches::new(from, self.to.max(point.wall), self.most);
            self.points.drain(..).chain([point]).for_each(|point| stretches.add(point));
            self.stretches = Some(stretches);
        }
    }

    fn finish(self) -> Vec<UsagePoint> {
        match self.stretches {
            Some(stretches) => stretches.finish(),
            None => self.points,
        }
    }
}

/// Stretches of equal length: of rates the means, of memory and counts the most.
struct Stretches {
    from: Micros,
    length: u64,
    most: usize,
    done: Vec<UsagePoint>,
    /// The stretch that is being filled: its place, the sums of its rates, how many points it has.
    place: u64,
    open: UsagePoint,
    points: u32,
}

impl Stretches {
    fn new(from: Micros, to: Micros, most: usize) -> Self {
        let length = to.since(from).0 / most as u64 + 1;
        Self { from, length, most, done: Vec::new(), place: 0, open: UsagePoint::default(), points: 0 }
    }

    fn add(&mut self, point: UsagePoint) {
        // What comes after the last stretch, since the file grew meanwhile, belongs to it.
        let place = (point.wall.since(self.from).0 / self.length).min(self.most as u64 - 1);
        if place != self.place {
            self.close();
            self.place = place;
        }
        let open = &mut self.open;
        *open = UsagePoint {
            wall: point.wall,
            cpu: open.cpu + point.cpu,
            memory: open.memory.max(point.memory),
            read: open.read + point.read,
            written: open.written + point.written,
            processes: open.processes.max(point.processes),
            threads: open.threads.max(point.threads),
        };
        self.points += 1;
    }

    fn close(&mut self) {
        let (sums, points) = (std::mem::take(&mut self.open), f64::from(std::mem::take(&mut self.points)));
        if points > 0.0 {
            let means = (sums.cpu / points, sums.read / points, sums.written / points);
            self.done.push(rounded(UsagePoint { cpu: means.0, read: means.1, written: means.2, ..sums }));
        }
    }

    fn finish(mut self) -> Vec<UsagePoint> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Job;
    use crate::store::SessionFile;
    use proptest::prelude::*;
    use std::io::Write;

    const SECOND: u64 = 1_000_000;

    fn session() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(dir.path(), &SessionFile::new(Job::default(), None)).expect("a session");
        (dir, folder)
    }

    fn point(second: u64, cpu: f64) -> UsagePoint {
        let wall = Micros(1_000 * SECOND + second * SECOND);
        UsagePoint { wall, cpu, memory: second << 20, written: 10.0, processes: 1, threads: 2, ..UsagePoint::default() }
    }

    fn write(folder: &Folder, points: impl IntoIterator<Item = UsagePoint>) {
        let mut keeper = Keeper::open(&folder.usage(), 0).expect("opened");
        points.into_iter().for_each(|point| keeper.keep(point));
    }

    fn all(folder: &Folder) -> Vec<UsagePoint> {
        UsageReader::open(folder).history(Micros(0), Micros(u64::MAX), MOST).expect("read")
    }

    #[test]
    fn points_come_back_and_a_torn_one_is_skipped_and_cut_off() {
        let (_dir, folder) = session();
        assert_eq!(all(&folder), []);
        let mut writer = UsageWriter::start(&folder, 0).expect("started");
        let points = [point(1, 12.3), point(2, 100.0)];
        for point in points {
            writer.keep(point);
        }
        writer.finish(Duration::from_secs(30));
        assert_eq!(all(&folder), points);
        let text = std::fs::read_to_string(folder.usage()).expect("a file");
        let first =
            r#"{"wall":1001000000,"cpu":12.3,"memory":1048576,"read":0.0,"written":10.0,"processes":1,"threads":2}"#;
        assert_eq!(text.lines().next(), Some(first));
        let mut file = OpenOptions::new().append(true).open(folder.usage()).expect("opened");
        file.write_all(br#"{"wall":1003000000,"cpu":1"#).expect("written");
        assert_eq!(all(&folder), points);
        write(&folder, [point(4, 1.0)]);
        assert_eq!(all(&folder).len(), 3);
    }

    #[test]
    fn what_is_no_point_and_what_goes_back_in_time_is_left_out() {
        let (_dir, folder) = session();
        let (two, five) = (point(2, 2.0), point(5, 5.0));
        let line = |point: UsagePoint| serde_json::to_string(&point).expect("json");
        let long = "x".repeat(3 * LOOK);
        let odd = [
            line(two),
            "{}".into(),
            long,
            "[1]".into(),
            line(five),
            line(point(3, 3.0)),
            r#"{"wall":1006000000,"cpu":1e999}"#.into(),
        ];
        std::fs::write(folder.usage(), odd.join("\n") + "\n").expect("written");
        assert_eq!(all(&folder), [two, five]);
        std::fs::write(folder.usage(), r#"{"wall":1006000000,"cpu":-1e300,"read":1e300}"#.to_owned() + "\n")
            .expect("written");
        assert_eq!(all(&folder).first().map(|point| (point.cpu, point.read)), Some((0.0, RATE)));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let (_dir, folder) = session();
        nix::unistd::mkfifo(&folder.usage(), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        assert!(UsageReader::open(&folder).history(Micros(0), Micros(1), 1).is_err());
        assert!(UsageWriter::start(&folder, 0).is_err());
    }

    #[test]
    fn below_the_minimum_nothing_is_written() {
        let (_dir, folder) = session();
        let mut keeper = Keeper::open(&folder.usage(), u64::MAX).expect("opened");
        keeper.keep(point(1, 1.0));
        assert!(keeper.failing);
        assert_eq!(all(&folder), []);
    }

    #[test]
    fn many_points_become_means_and_maxima() {
        let (_dir, folder) = session();
        write(&folder, (0..1000).map(|second| point(second, if second % 2 == 0 { 100.0 } else { 0.0 })));
        let ten = UsageReader::open(&folder).history(Micros(0), Micros(u64::MAX), 10).expect("read");
        assert_eq!(ten.len(), 10);
        assert!(ten.iter().all(|point| (point.cpu - 50.0).abs() < 1.0 && point.written > 9.9), "{ten:?}");
        assert_eq!(ten.last().map(|point| (point.wall, point.memory)), Some((point(999, 0.0).wall, 999 << 20)));
        let then = point(500, 0.0).wall;
        assert_eq!(UsageReader::open(&folder).at(Micros(then.0 + SECOND / 2)).map(|point| point.wall), Some(then));
        assert_eq!(UsageReader::open(&folder).at(point(2000, 0.0).wall), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_time_gives_its_points_wherever_they_stand(
            gaps in proptest::collection::vec(1u64..5, 0..400),
            from in 0u64..1000,
            length in 0u64..1000,
            most in 1u32..300,
        ) {
            let (_dir, folder) = session();
            let seconds: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            write(&folder, seconds.iter().map(|second| point(*second, 1.0)));
            let (from, to) = (point(from, 0.0).wall, point(from + length, 0.0).wall);
            let got = UsageReader::open(&folder).history(from, to, most).expect("read");
            let walls = seconds.iter().map(|second| point(*second, 0.0).wall);
            let wanted: Vec<Micros> = walls.filter(|wall| (from..=to).contains(wall)).collect();
            prop_assert!(got.len() <= most as usize);
            prop_assert!(got.is_sorted_by_key(|point| point.wall));
            prop_assert!(got.iter().all(|point| (from..=to).contains(&point.wall)));
            if wanted.len() <= most as usize {
                prop_assert_eq!(got.iter().map(|point| point.wall).collect::<Vec<_>>(), wanted);
            } else {
                prop_assert_eq!(got.last().map(|point| point.wall), wanted.last().copied());
                prop_assert!(!got.is_empty());
            }
        }
    }
}
