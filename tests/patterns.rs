//! What patterns find in a real child's output, and what becomes of it.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/session.rs"]
mod session;

use childminder::model::proto::Request;
use childminder::model::{
    CommandState, EventKind, Finding, Found, ItemIndex, ItemStatus, ResultPackage, Severity, Stream,
};
use childminder::patterns::Trial;
use session::{Ended, Session, job, quoted};

/// What a renderer may say, and pieces of it written as they come.
const PATTERNS: &str = r#"
[patterns.samples]
finds = "progress"
regex = 'Sample (\d+)/(\d+)$'
reads = "k_of_n"
[patterns.frame]
finds = "progress"
regex = '^Fra:(\d+)'
reads = "frame"
[patterns.percent]
finds = "progress"
regex = '(\d+)%'
reads = "percent"
[patterns.saved]
finds = "output"
regex = "Saved: '(.*)'$"
[patterns.took]
finds = "time"
regex = '^Time: ([\d:.]+)'
[patterns.peak]
finds = "memory"
regex = 'Peak ([\d.]+M)'
[patterns.version]
finds = "value"
regex = '^Version (.*)'
[patterns.slow]
finds = "highlight"
regex = '^Slow: '
[patterns.careful]
finds = "error"
regex = '^Careful: (.*)'
severity = "warn"
stream = "stderr"
[patterns.error]
finds = "error"
regex = 'Error: .*'
[patterns.over]
finds = "error"
regex = 'No licence'
severity = "fail_session"
"#;

const WRITE: &str = "import os, sys\ndef write(*pieces):\n    for piece in pieces:\n        os.write(1, piece.encode())\n\
                     def complain(text):\n    os.write(2, text.encode())";

/// A job whose items run these commands, each with a name.
fn items(items: &[(&str, &[&str])]) -> String {
    let quote = |text: &str| serde_json::to_string(text).expect("a string");
    let one = |(name, commands): &(&str, &[&str])| {
        let commands: Vec<_> = commands.iter().map(|command| quote(command)).collect();
        format!("{{ name = {}, commands = [{}] }}", quote(name), commands.join(", "))
    };
    let all: Vec<_> = items.iter().map(one).collect();
    format!("[phases]\nsetup = [{}]\n{PATTERNS}\n[agenda]\nitems = [{}]\n", quote(WRITE), all.join(", "))
}

fn result(ended: &Ended, item: u32) -> ResultPackage {
    let result = ended.events().into_iter().rev().find_map(|event| match event.kind {
        EventKind::ItemEnded { item: ended, result, .. } if ended == ItemIndex(item) => Some(result),
        _ => None,
    });
    result.unwrap_or_else(|| panic!("item {item} has no end\n{}", ended.tail()))
}

fn found(ended: &Ended) -> Vec<(Option<ItemIndex>, Vec<Finding>, u64)> {
    let found = ended.events().into_iter().filter_map(|event| match event.kind {
        EventKind::Found { item, findings, left_out } => Some((item, findings, left_out)),
        _ => None,
    });
    found.collect()
}

fn statuses(ended: &Ended) -> Vec<ItemStatus> {
    ended.state().items.iter().map(|row| row.status).collect()
}

#[test]
fn what_an_item_says_makes_its_result() {
    let ended = Session::start(job(&items(&[
        (
            "says all",
            &[
                "write('Sam', 'ple 1/', '32', '\\n', 'Version 4.2\\nVersion 5\\r\\n', '\\x1b[1mSaved: \\'/o/\\x1b[0m1.png\\'\\n')",
                "complain('Careful: \\u00e9\\n'); write('Careful: not there\\n', 'Peak 1.5M\\nTime: 01:02.5\\nSlow: why\\n')",
                "write('Sample 8/32\\nSaved: \\'/o/2.png\\'\\nSaved: \\'/o/2.png\\'')",
            ],
        ),
        ("rewrites", &["write('\\r10%\\r20%', '\\r30', '%\\r')"]),
        ("says nothing", &["write('nothing\\n')"]),
    ])))
    .wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let all = result(&ended, 0);
    assert_eq!(all.output_paths, ["/o/1.png", "/o/2.png"]);
    assert_eq!(all.progress, Some(0.25));
    let values = [("peak", 1_572_864.into()), ("took", 62.5.into()), ("version", 5.into())];
    assert_eq!(all.values, values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    assert_eq!(all.highlights, ["Slow: why"]);
    assert!(all.errors.is_empty(), "{all:?}");
    let [careful] = &all.found[..] else { panic!("{all:?}") };
    assert_eq!((careful.text.as_str(), careful.stream, careful.at), ("é", Stream::Stderr, 0));
    assert_eq!(careful.what, Found::Error { severity: Severity::Warn });
    assert_eq!(result(&ended, 1).progress, Some(0.3));
    assert_eq!(result(&ended, 2), ResultPackage::default());
    assert_eq!(ended.state().item(ItemIndex(0)).expect("an item").progress, Some(0.25));
    ended.assert_nobody_left();
}

#[test]
fn trying_patterns_on_what_was_recorded_finds_what_was_found() {
    let text = items(&[
        ("one", &["write('Sample 1/2\\nError: a\\nSaved: \\'x\\'\\nPeak 3M')", "write('never\\n')"]),
        ("two", &["write('Sample 2/2\\nSlow: b\\n'); complain('Careful: c')"]),
    ]);
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let (state, job) = (ended.state(), ended.folder.read_session().expect("a session").job);
    let mut trial = Trial::new(job.patterns.clone(), &state, &job).expect("sound");
    for stream in [Stream::Stdout, Stream::Stderr] {
        let bytes = ended.output(stream);
        for (part, command) in trial.parts(stream, bytes.len() as u64) {
            trial.begin(stream, command, None);
            let range = usize::try_from(part.start).expect("small")..usize::try_from(part.end).expect("small");
            trial.read(stream, part.start, &bytes[range]);
        }
    }
    let tried = trial.finish();
    for item in 0..2 {
        let live = result(&ended, item);
        assert_eq!(tried.items[&ItemIndex(item)].result, live, "item {item}");
        assert!(live.progress.is_some());
    }
    let counts: Vec<_> = tried.patterns.iter().map(|tried| (tried.pattern.name.as_str(), tried.matches)).collect();
    assert!(counts.contains(&("samples", 2)) && counts.contains(&("careful", 1)), "{counts:?}");
}

#[test]
fn an_error_fails_its_item_once_its_command_has_ended_and_no_other_item() {
    let ended = Session::start(job(&items(&[
        ("fails", &["write('Error: one'); write(' more')", "write('not run\\n')"]),
        // Neither the end of the last one's line nor the beginning of this one's makes an error of it.
        ("is well", &["write(' two\\nErr')", "write('or: three\\n')"]),
        ("fails too", &["complain('Error: four\\n'); raise ValueError('five')"]),
        ("is well too", &["write('fine\\n')"]),
    ])))
    .wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let [complete, failed] = [ItemStatus::Complete, ItemStatus::Failed];
    assert_eq!(statuses(&ended), [failed, complete, failed, complete], "{}", ended.tail());
    assert_eq!(result(&ended, 0).errors, ["Error: one more"]);
    assert_eq!(result(&ended, 1), ResultPackage::default());
    assert_eq!(result(&ended, 2).errors, ["Error: four", "ValueError: five"]);
    let skipped: Vec<_> = ended.state().commands.iter().filter(|row| row.state == CommandState::Skipped).collect();
    assert!(skipped.len() == 1 && skipped[0].item == Some(ItemIndex(0)), "{skipped:?}");
    // What a command says is recorded before anything is made of its end.
    let events = ended.events();
    let place = |wanted: &dyn Fn(&EventKind) -> bool| events.iter().position(|event| wanted(&event.kind)).expect("it");
    let told = place(&|kind| matches!(kind, EventKind::Found { item: Some(ItemIndex(0)), .. }));
    let over = place(&|kind| matches!(kind, EventKind::ItemEnded { item: ItemIndex(0), .. }));
    assert!(told < over);
}

#[test]
fn a_retry_begins_without_the_errors_before_it() {
    let once = "import builtins\nif not hasattr(builtins, 'tried'):\n    builtins.tried = 1; write('Error: once\\n')";
    let text = format!("[retry]\ntimes = 1\ndelay = 0\n{}", items(&[("twice", &[once])]));
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    assert_eq!(statuses(&ended), [ItemStatus::Complete]);
    assert!(result(&ended, 0).found.is_empty());
}

#[test]
fn an_error_of_the_session_ends_it_after_the_command_that_runs() {
    let mut text = items(&[
        ("first", &["write('No licence left\\n'); done = 1", "write('not run\\n')"]),
        ("second", &["write('not run either\\n')"]),
    ]);
    text = text.replace("[phases]\n", "[phases]\nteardown = [\"write('torn down %d' % done)\"]\n");
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    assert_eq!(statuses(&ended), [ItemStatus::Failed, ItemStatus::Pending]);
    assert_eq!(ended.output(Stream::Stdout), b"No licence left\ntorn down 1");
    let reason = ended.state().ended.expect("an end").reason;
    assert_eq!(reason, "the output says (over): No licence left");
    ended.assert_nobody_left();
}

#[test]
fn where_there_is_no_item_an_error_fails_the_session() {
    let text = items(&[("never", &["write('not run\\n')"])]);
    let setup =
        text.replace("[phases]\nsetup = [", "[phases]\nsetup = [\"import os; os.write(1, b'Error: no scene')\", ");
    let ended = Session::start(job(&setup)).wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    assert_eq!(statuses(&ended), [ItemStatus::Pending]);
    assert_eq!(ended.state().ended.expect("an end").reason, "the output says (error): Error: no scene");
    let ran = ended.state().commands.iter().filter(|row| row.state == CommandState::Finished).count();
    assert_eq!(ran, 1, "{}", ended.tail());

    let teardown = text.replace("[phases]\n", "[phases]\nteardown = [\"write('Error: not saved\\\\n')\"]\n");
    let ended = Session::start(job(&teardown)).wait();
    assert_eq!((ended.code, statuses(&ended)), (1, vec![ItemStatus::Complete]), "{}", ended.tail());
}

#[test]
fn what_an_operators_command_prints_is_recorded_and_fails_nothing() {
    let session = Session::start(job(&format!("hold = true\n{}", items(&[("well", &["write('fine\\n')"])]))));
    session.until_agenda();
    session.exec("write('Error: mine\\nNo licence\\n')");
    session.ask(Request::Release).expect("released");
    session.until("its end", |state| state.count(ItemStatus::Complete) == 1);
    let ended = session.stop();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let found: Vec<_> = found(&ended)
        .into_iter()
        .flat_map(|(item, findings, _)| findings.into_iter().map(move |finding| (item, finding.text)))
        .collect();
    assert_eq!(found, [(None, "Error: mine".to_owned()), (None, "No licence".to_owned())]);
}

#[test]
fn of_a_flood_of_matches_the_first_are_kept_and_all_are_counted() {
    let ended = Session::start(job(&items(&[(
        "floods",
        &["for n in range(100000):\n    print('Careful: %d' % n, file=sys.stderr); print('Slow: %d' % n); print('%d%%' % (n // 1000))"],
    )])))
    .wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let found = found(&ended);
    let kept =
        |name: &str| found.iter().flat_map(|(_, all, _)| all).filter(|finding| finding.pattern == name).count() as u64;
    let left_out: u64 = found.iter().map(|(.., left_out)| left_out).sum();
    assert_eq!((kept("careful"), kept("slow"), left_out), (50, 50, 2 * 100_000 - 100));
    // Ten events a second, and one for each end.
    let took = ended.state().item(ItemIndex(0)).expect("an item").took.seconds();
    let most = 12.0 * took + 10.0;
    assert!(u32::try_from(found.len()).is_ok_and(|events| f64::from(events) < most), "{} in {took} s", found.len());
    assert_eq!(result(&ended, 0).progress, Some(0.99));
    assert_eq!(ended.state().lost_output, 0);
}

#[test]
fn what_a_child_said_before_it_was_killed_is_its_items() {
    let ended = Session::start(job(&items(&[(
        "dies",
        &["write('Saved: \\'/o/1.png\\'\\nSlow: half'); os.kill(os.getpid(), 9)"],
    )])))
    .wait();
    assert_eq!(ended.code, 70, "{}", ended.tail());
    let result = result(&ended, 0);
    assert_eq!((result.output_paths, result.highlights), (vec!["/o/1.png".to_owned()], vec!["Slow: half".to_owned()]));
    assert_eq!(statuses(&ended), [ItemStatus::Failed]);
}

#[test]
fn frames_and_samples_tell_how_far_a_chunk_is() {
    let text = format!(
        "[phases]\nsetup = [{}]\ncommands = [{}]\n{PATTERNS}\n[agenda]\nframes = '1-8'\nchunk = 4\n",
        serde_json::to_string(WRITE).expect("a string"),
        serde_json::to_string(
            "for f in {frames}[:3]:\n    write('Fra:%d sync\\n' % f, 'Fra:%d Sample 1/2\\n' % f, 'Fra:%d done\\n' % f)"
        )
        .expect("a string"),
    );
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    // Two frames are done, and half of the third.
    assert_eq!([0, 1].map(|item| result(&ended, item).progress), [Some(0.625), Some(0.625)]);
}

#[test]
fn a_command_that_is_repeated_in_stdout_is_not_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("echoes.toml");
    let recipe = "name = 'echoes'\nexecutables = ['python3']\narguments = ['{bootstrapper}', '--port', '{port}']\necho = true\n\
                  [patterns.error]\nfinds = 'error'\nregex = 'Error: .*'\n[patterns.off]\nfinds = 'error'\nregex = 'fine'\n";
    std::fs::write(&path, recipe).expect("written");
    let commands = |text: &str| {
        format!(
            "backend = {}\n[patterns]\noff = false\n[agenda]\nitems = [{{ name = 'a', commands = [{}] }}]",
            quoted(&path),
            serde_json::to_string(text).expect("a string")
        )
    };
    let well = "if 0:\n    print('Error: no')\n\nprint('fine')\n# Error: neither";
    let ended = Session::start(job(&commands(well))).wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let stdout = String::from_utf8(ended.output(Stream::Stdout)).expect("UTF-8");
    assert!(stdout.contains("# Error: neither\nfine"), "it does echo: {stdout}");
    let ended = Session::start(job(&commands("print('Error: yes')"))).wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    assert_eq!(result(&ended, 0).errors, ["Error: yes"]);
}

#[test]
fn a_session_that_is_gone_on_with_keeps_what_was_found_and_finds_more() {
    let text = items(&[
        ("dies", &["write('Error: first\\n'); os.kill(os.getpid(), 9)"]),
        ("goes on", &["write('Slow: second\\n')"]),
    ]);
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 70, "{}", ended.tail());
    let ended = Session::resume(&ended).wait();
    assert_eq!(statuses(&ended), [ItemStatus::Failed, ItemStatus::Complete], "{}", ended.tail());
    assert!(result(&ended, 0).errors.contains(&"Error: first".to_owned()));
    assert_eq!(result(&ended, 1).highlights, ["Slow: second"]);
}
