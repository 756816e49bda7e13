//! The README is true: what it shows is run, and compared with what it says.
//!
//! - A fenced block of `toml job FILE`, `json job FILE`, `toml recipe FILE`, `toml patterns FILE` or
//!   `toml wrong FILE` is read (the last must fail when run), and the shell examples find it as FILE; a block of
//!   `python back_end FILE` they find, too.
//! - In a block of `console …` every line that begins with `$ ` is run by `sh`, and what it prints must be what stands
//!   below it, less what differs from run to run. A line with `…` alone stands for any lines. Further words name programs
//!   without which the block is left out; the blocks of `console tour` go on from where the tour's keys have led.
//! - The tour's table is typed into a real terminal: keys and text in the first column, what the screen must then show in
//!   the second.

#![cfg(feature = "tui")]
#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/hosts.rs"]
mod hosts;
#[path = "common/window.rs"]
mod window;

use childminder::backend::{Recipe, schema};
use childminder::model::ItemStatus;
use childminder::model::job::{Job, Retry, Timeouts};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use window::Window;

// ---- the page ---------------------------------------------------------------------------------------------------------

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("a README")
}

/// A fenced block: the words after the fence, and its lines.
struct Block {
    words: Vec<String>,
    lines: Vec<String>,
}

impl Block {
    fn is(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(at, word)| self.words.get(at).is_some_and(|known| known == word))
    }

    fn is_file(&self) -> bool {
        self.is(&["toml"]) || self.is(&["json"]) || self.is(&["python", "back_end"])
    }

    fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for line in readme().lines() {
        match line.strip_prefix("```") {
            Some(words) if !open => {
                blocks.push(Block { words: words.split_whitespace().map(str::to_owned).collect(), lines: Vec::new() });
                open = true;
            }
            Some(_) => open = false,
            None if open => blocks.last_mut().expect("one is open").lines.push(line.to_owned()),
            None => {}
        }
    }
    assert!(!open, "a block has no end");
    blocks
}

/// What stands between a pair of markers.
fn between(page: &str, marker: &str) -> String {
    let (_, rest) = page.split_once(&format!("<!-- {marker} -->\n")).expect("a beginning");
    rest.split_once(&format!("<!-- /{marker} -->")).expect("an end").0.to_owned()
}

/// A table of the program's own stands between its markers; `UPDATE` in the environment writes it there.
fn must_stand_in(marker: &str, table: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _writes = ONE_AT_A_TIME.lock().expect("nobody has failed");
    let page = readme();
    let shown = between(&page, marker);
    if shown != table && std::env::var_os("UPDATE").is_some() {
        let page = page.replace(&format!("<!-- {marker} -->\n{shown}"), &format!("<!-- {marker} -->\n{table}"));
        std::fs::write(root().join("README.md"), page).expect("written");
        return;
    }
    assert_eq!(shown, table, "UPDATE=1 cargo test --test docs writes the new one");
}

/// The rows of the table that begins with this row, cell by cell.
fn table(heading: &str) -> Vec<Vec<String>> {
    let page = readme();
    let rows = page.lines().skip_while(|line| *line != heading).skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "there is no table {heading}");
    rows
}

/// The pieces of code in a text.
fn code(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

// ---- running what it says -----------------------------------------------------------------------------------------------

/// A user's folder with the page's files in it, and no sessions yet.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(home.path().join("run")).expect("a folder");
        for block in blocks().iter().filter(|block| block.is_file()) {
            std::fs::write(home.path().join(&block.words[2]), block.text()).expect("written");
        }
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let program = Path::new(env!("CARGO_BIN_EXE_childminder")).parent().expect("a folder").to_owned();
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(program).chain(std::env::split_paths(&rest))).expect("a PATH");
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        vec![
            ("PATH", path.to_string_lossy().into_owned()),
            ("CHILDMINDER_DATA_DIR", text(self.path().join("data"))),
            ("XDG_RUNTIME_DIR", text(self.path().join("run"))),
            ("XDG_CONFIG_HOME", text(self.path().join("config"))),
            ("XDG_CACHE_HOME", text(self.path().join("cache"))),
            ("XDG_STATE_HOME", text(self.path().join("state"))),
            ("TMPDIR", text(self.path().to_owned())),
            // The disk of a test machine may be nearly full.
            ("CHILDMINDER_MINIMUM_FREE", "0".to_owned()),
        ]
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.path()).stdin(Stdio::null()).envs(self.environment());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_childminder"), args).output().expect("it runs")
    }

    fn window(&self, line: &str) -> Window {
        Window::open(line, self.path(), &self.environment())
    }

    /// The newest session, as `ls --json` has it.
    fn session(&self) -> Value {
        let listed: Value = serde_json::from_slice(&self.run(&["ls", "--json"]).stdout).expect("JSON");
        listed[0].clone()
    }

    fn until_over(&self) {
        window::until("the session is over", || self.session()["running"] == false);
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Only a test that failed leaves an engine behind.
        let _ = self.command(env!("CARGO_BIN_EXE_childminder"), &["stop", "--now"]).output();
    }
}

/// A shell in which the lines of a block are run one after another.
struct Shell<'h> {
    home: &'h Home,
    folder: PathBuf,
    status: i32,
}

impl<'h> Shell<'h> {
    fn new(home: &'h Home) -> Self {
        Self { home, folder: home.path().to_owned(), status: 0 }
    }

    fn block(&mut self, block: &Block) {
        let mut lines = block.lines.iter().peekable();
        while let Some(line) = lines.next() {
            let mut line =
                line.strip_prefix("$ ").unwrap_or_else(|| panic!("{line:?} comes before any command")).to_owned();
            while line.ends_with('\\') {
                line = format!("{line}\n{}", lines.next().expect("a line that goes on"));
            }
            let mut expected = Vec::new();
            while let Some(said) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected.push(normal(said));
            }
            self.line(&line, &expected);
        }
    }

    fn line(&mut self, line: &str, expected: &[String]) {
        let windows = [
            ("childminder attach", "● live"),
            ("childminder run --resume", "● live"),
            ("childminder replay", "◼ REPLAY"),
        ];
        if let Some((_, shown)) = windows.iter().find(|(command, _)| line.starts_with(command)) {
            let mut window = self.home.window(line);
            window.until_shown(shown);
            window.press("d");
            assert_eq!(window.ended(), 0, "{line}");
            return;
        }
        if line.contains("jq") && hosts::on_path("jq").is_none() {
            hosts::not_run("jq");
            if line.starts_with("kill -9") {
                kill_engine(self.home);
            }
            return;
        }
        let said = self.run(line);
        let said: Vec<String> = said.lines().map(normal).collect();
        assert!(is_like(expected, &said), "$ {line}\nthe README has {expected:#?}\nit said {said:#?}");
        if line.starts_with("kill -9") {
            self.home.until_over();
        }
    }

    fn run(&mut self, line: &str) -> String {
        let place = self.home.path().join(".folder");
        let (folder, status) = (self.folder.display(), self.status);
        let script =
            format!("exec 2>&1\ncd '{folder}'\n(exit {status})\n{line}\ns=$?\npwd > '{}'\nexit $s", place.display());
        let output = self.home.command("sh", &["-c", &script]).output().expect("a shell");
        self.status = output.status.code().expect("an exit code");
        self.folder = PathBuf::from(std::fs::read_to_string(place).expect("a folder").trim_end());
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

fn kill_engine(home: &Home) {
    let session = PathBuf::from(home.session()["folder"].as_str().expect("a folder")).join("session.json");
    let session: Value = serde_json::from_slice(&std::fs::read(session).expect("a file")).expect("JSON");
    let pid = session["engine"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("killed");
    home.until_over();
}

/// A line without what differs from run to run: ids, times of day, lengths of time, counts of frames, shares of a
/// processor, blanks.
fn normal(line: &str) -> String {
    let rules = [
        (r"\d{8}-\d{6}-([a-z-]+)-[0-9a-f]{4}", "ID-$1"),
        (r"\d\d:\d\d:\d\d(\.\d{3})?", "CLOCK"),
        (r"\b\d+[mh] \d+[sm]\b|\b\d+(\.\d+)? ?(ms|s)\b", "TIME"),
        (r"\b\d+/24\b", "N/24"),
        (r"<command \d+>", "<command N>"),
        (r"\d+ threads? uses? \d+ % of a core[^,]*", "BUSY"),
        (r"\s+", " "),
    ];
    let line = rules.iter().fold(line.to_owned(), |line, (from, to)| {
        Regex::new(from).expect("a pattern").replace_all(&line, *to).into_owned()
    });
    line.trim_end().to_owned()
}

/// Whether lines are what was expected, `…` standing for any number of lines.
fn is_like(expected: &[String], said: &[String]) -> bool {
    match expected.split_first() {
        None => said.is_empty(),
        Some((any, rest)) if any == "…" => (0..=said.len()).any(|skip| is_like(rest, &said[skip..])),
        Some((line, rest)) => said.split_first().is_some_and(|(first, said)| first == line && is_like(rest, said)),
    }
}

// ---- the tests --------------------------------------------------------------------------------------------------------

#[test]
fn the_key_table_is_the_programs_own() {
    must_stand_in("keys", &childminder::tui::key_table_markdown());
}

#[test]
fn the_recipes_keys_are_the_readers_own() {
    must_stand_in("recipe", &schema::markdown());
    let every =
        blocks().into_iter().find(|block| block.words.last().is_some_and(|name| name == "every-key-recipe.toml"));
    let every: toml::Table = every.expect("an example").text().parse().expect("TOML");
    for key in schema::KEYS {
        let within = |value: &toml::Value| match value {
            toml::Value::Array(values) => values.iter().any(|value| value.get(key.key).is_some()),
            value => value.get(key.key).is_some(),
        };
        let is_there = match key.table.split_once('.') {
            _ if key.table.is_empty() => every.contains_key(key.key),
            None => within(&every[key.table]),
            Some((table, _)) => every[table].as_table().expect("a table").values().any(within),
        };
        assert!(is_there, "the example has no {} of {}", key.key, key.table);
    }
}

#[test]
fn jobs_and_recipes_are_read_by_the_real_readers() {
    let home = Home::new();
    let mut read = BTreeSet::new();
    for block in blocks().iter().filter(|block| block.is_file()) {
        let path = home.path().join(&block.words[2]);
        match block.words[1].as_str() {
            "job" => drop(childminder::job::read(&path, &[]).unwrap_or_else(|errors| panic!("{errors}"))),
            "recipe" => drop(Recipe::parse(&block.words[2], &block.text()).unwrap_or_else(|errors| panic!("{errors}"))),
            "patterns" => {
                drop(childminder::job::patterns::read_file(&path).unwrap_or_else(|errors| panic!("{errors}")));
            }
            "wrong" => assert!(childminder::job::read(&path, &[]).is_err(), "{} is right", block.words[2]),
            // Jobs name it, and it is run by the shell examples.
            "back_end" => assert!(path.is_file()),
            other => panic!("there are no {other} files"),
        }
        read.insert(block.words[1].clone());
    }
    assert_eq!(read.len(), 5, "{read:?}");
}

#[test]
fn the_defaults_shown_are_the_defaults() {
    let home = Home::new();
    let job =
        childminder::job::read(&home.path().join("every-key.toml"), &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let plain = Job::default();
    assert_eq!((&job.timeouts, &job.retry), (&Timeouts::default(), &Retry::default()));
    assert_eq!((job.hold, job.restarts, job.outputs_required), (plain.hold, plain.restarts, plain.outputs_required));
    assert_eq!(job.stops.on_failure, plain.stops.on_failure);
}

#[test]
fn commands_and_flags_exist() {
    let home = Home::new();
    for row in table("| command | what it does |") {
        let line = code(&row[0]).remove(0);
        let command = line.split(' ').nth(1).expect("a command").to_owned();
        let help = home.run(&[&command, "--help"]);
        let help = String::from_utf8(help.stdout).expect("UTF-8");
        assert!(help.contains(&format!("Usage: childminder {command}")), "{line}: {help}");
        for flag in code(&row[1]) {
            let word = flag.split(' ').next().expect("a word");
            assert!(help.contains(word), "childminder {command} has no {flag}");
        }
    }
    let page = readme();
    let spans = page.lines().filter(|line| !line.starts_with("| `childminder ")).flat_map(code);
    for line in spans.filter(|code| code.starts_with("childminder ") && !code.contains("COMMAND")) {
        let mut words: Vec<&str> = line.split(' ').skip(1).collect();
        words.push("--help");
        assert_eq!(home.run(&words).status.code(), Some(0), "{line}");
    }
}

#[test]
fn shell_examples_say_what_is_shown() {
    let mut run = 0;
    for block in blocks().iter().filter(|block| block.is(&["console"]) && !block.is(&["console", "tour"])) {
        let missing = block.words[1..].iter().find(|program| hosts::on_path(program).is_none());
        if let Some(program) = missing {
            hosts::not_run(program);
            continue;
        }
        Shell::new(&Home::new()).block(block);
        run += 1;
    }
    assert!(run >= 3, "only {run} examples were found");
}

/// The demo's job with smaller pictures. The page's reader holds it in time; here it is held from the start, so that it
/// stays when all is drawn.
const DEMO: &str =
    "childminder run demo/job.toml --hold --set width=24 --set height=16 --set samples=1 --set dawdle=0.1";

#[test]
fn the_tour_can_be_taken() {
    let home = Home::new();
    childminder::job::demo::unpack(&home.path().join("demo")).expect("unpacked");
    let mut window = home.window(DEMO);
    window.until_shown("space releases");
    window.press("Space");
    window.until_shown("✓23");
    let (mut rows, mut status) = (0, None);
    for row in table("| press | and see |") {
        for key in code(&row[0]) {
            window.press(&key);
        }
        rows += 1;
        if code(&row[0]) == ["d"] {
            status = Some(window.ended());
        }
        for seen in code(&row[1]) {
            window.until_shown(&seen);
        }
    }
    assert_eq!((rows, status), (11, Some(0)));
    let mut shell = Shell::new(&home);
    for block in blocks().iter().filter(|block| block.is(&["console", "tour"])) {
        shell.block(block);
    }
    home.until_over();
}

#[test]
fn exit_codes_are_the_ones_listed() {
    let home = Home::new();
    let item =
        |command| home.run(&["run", "--headless", "--backend", "python", "--frames", "1-2", "--command", command]);
    let mut seen = BTreeSet::new();
    let mut see = |output: &Output| {
        let code = output.status.code().expect("an exit code");
        assert!(seen.insert(code), "{code} was seen before: {}", String::from_utf8_lossy(&output.stderr));
    };
    see(&item("pass"));
    see(&item("1/0"));
    see(&item("print('{frame}')"));
    see(&home.run(&["exec", "1"]));
    see(&home.run(&["run", "--headless", "--hold", "--set", "executable=./no-such-python"]));
    see(&item("import os; os._exit(0)"));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let args = ["run", "--headless", "--hold", "--frames", "1", "--command", "pass"];
        let mut session = home.command(env!("CARGO_BIN_EXE_childminder"), &args);
        let mut session = session.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(session.stdout.take().expect("a pipe"));
        let begun = lines.by_ref().lines().any(|line| line.is_ok_and(|line| line.contains("phase agenda")));
        assert!(begun, "the agenda was not reached");
        if signal == Signal::SIGINT {
            see(&home.run(&["agenda", "retry", "nonsense"]));
            see(&home.run(&["exec", "--timeout", "10ms", "import time; time.sleep(0.2)"]));
        }
        kill(Pid::from_raw(i32::try_from(session.id()).expect("a pid")), signal).expect("sent");
        std::io::copy(&mut lines, &mut std::io::sink()).expect("read");
        see(&session.wait_with_output().expect("it ends"));
    }
    let listed = table("| exit code | meaning |");
    let listed: BTreeSet<i32> = listed.iter().map(|row| row[0].parse().expect("a code")).collect();
    assert_eq!(seen, listed);
    let help = String::from_utf8(home.run(&["--help"]).stdout).expect("UTF-8");
    let told = help.split_once("Exit codes:").and_then(|(_, rest)| rest.split_once("\n\n")).expect("told").0.to_owned();
    for code in &listed {
        assert!(told.split(|c: char| !c.is_ascii_digit()).any(|word| word == code.to_string()), "{code}: {told}");
    }
}

#[test]
fn statuses_are_the_ones_listed() {
    let listed: Vec<String> = table("| status | meaning |").iter().map(|row| code(&row[0]).remove(0)).collect();
    assert_eq!(listed, ItemStatus::ALL.map(ItemStatus::word));
}

#[test]
fn json_has_the_keys_listed() {
    let home = Home::new();
    let rows = table("| command | prints |");
    let keys = |command: &str| -> Vec<String> {
        let row = rows.iter().find(|row| code(&row[0])[0].starts_with(command)).expect("a row");
        let optional =
            ["damaged", "outcome", "finished", "raised", "lost", "skipped", "exception", "reason", "code", "at"];
        code(&row[1]).into_iter().filter(|key| !optional.contains(&key.as_str())).collect()
    };
    let has = |value: &Value, key: &str| value.get(key).is_some();
    let run = home.run(&["run", "--headless", "--json", "first.toml"]);
    let events = String::from_utf8(run.stdout).expect("UTF-8");
    assert!(events.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|event| has(&event, "event"))));
    let listed = home.session();
    for key in keys("ls") {
        assert!(has(&listed, &key), "ls: {key}: {listed}");
    }
    assert!(
        has(&listed["ended"], "code") && has(&listed["ended"], "reason") && has(&listed["ended"], "at"),
        "{listed}"
    );
    let agenda: Value = serde_json::from_slice(&home.run(&["agenda", "--json"]).stdout).expect("JSON");
    for key in keys("agenda") {
        assert!(has(&agenda, &key) || has(&agenda["items"][0], &key), "agenda: {key}: {agenda}");
    }
    let folder = PathBuf::from(listed["folder"].as_str().expect("a folder"));
    for row in table("| file | what |") {
        for file in code(&row[0]).iter().filter(|file| !file.starts_with('*')) {
            assert!(folder.join(file).is_file(), "there is no {file}");
        }
    }
}

#[test]
fn nothing_of_the_machine_it_was_written_on_is_left() {
    let picture = std::fs::read_to_string(root().join("assets/screen.svg")).expect("the picture");
    let page = readme();
    assert!(page.contains("assets/screen.svg"));
    for text in [page, picture] {
        for path in ["/root", "/work", "/home/"] {
            assert!(!text.contains(path), "{path}");
        }
    }
}
