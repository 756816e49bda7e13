//! What is journalled comes back, whatever is torn, cut in pieces or check-pointed on the way.

use super::*;
use crate::model::*;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

pub(super) fn new_folder(dir: &Path) -> Folder {
    Folder::create(dir, &SessionFile::new(Job::default(), None)).unwrap()
}

/// Something like what a session does with five items; the fold has to stand what makes no sense, too.
fn step() -> impl Strategy<Value = EventKind> {
    let id = (0u64..12).prop_map(CommandId);
    let item = (0u32..6).prop_map(ItemIndex);
    let status = proptest::sample::select(ItemStatus::ALL.as_slice());
    let marks = (0u64..99, 0u64..99).prop_map(|(stdout, stderr)| Marks { stdout, stderr });
    let exception = "[A-C]Error".prop_map(|kind| Box::new(Exception { kind, ..Exception::default() }));
    prop_oneof![
        (id.clone(), proptest::option::of(item.clone())).prop_map(|(id, item)| EventKind::CommandQueued {
            id,
            phase: Phase::Item,
            item,
            source: "print(1)\n".into(),
            value: false,
            by: None
        }),
        (id.clone(), marks.clone()).prop_map(|(id, from)| EventKind::CommandSent { id, from }),
        id.clone().prop_map(|id| EventKind::CommandStarted { id }),
        (id, marks, exception).prop_map(|(id, to, exception)| EventKind::CommandEnded {
            id,
            outcome: CommandOutcome::Raised { exception, exit: None },
            took: Micros(5),
            to
        }),
        (item.clone(), 0u32..4).prop_map(|(item, attempt)| EventKind::ItemStarted { item, attempt }),
        (item.clone(), 0.0..1.0f64).prop_map(|(item, fraction)| EventKind::ItemProgress { item, fraction }),
        (proptest::option::of(item.clone()), 0.0..1.0f64).prop_map(|(item, fraction)| EventKind::Found {
            item,
            findings: vec![found(Found::Progress { fraction }), found(Found::Error { severity: Severity::Warn })],
            left_out: 0,
        }),
        (item.clone(), status.clone(), any::<u32>()).prop_map(|(item, status, took)| EventKind::ItemEnded {
            item,
            status,
            reason: None,
            took: Micros(took.into()),
            again: (status == ItemStatus::Retrying).then_some(Micros(7)),
            result: ResultPackage::default()
        }),
        (item, status).prop_map(|(item, status)| EventKind::ItemChanged { item, status, by: None }),
        "\\PC{0,9}".prop_map(|text| EventKind::Note { text }),
        (0u64..9).prop_map(|bytes| EventKind::OutputLost { stream: Stream::Stderr, bytes, reason: "full".into() }),
    ]
}

fn found(what: Found) -> Finding {
    Finding { pattern: "p".into(), stream: Stream::Stdout, at: 0, text: "x".into(), what }
}

fn started() -> EventKind {
    EventKind::EngineStarted {
        pid: 1,
        version: "0".into(),
        name: "test".into(),
        backend: "python".into(),
        items: 5,
        held: false,
        resumed: false,
    }
}

fn session() -> impl Strategy<Value = Vec<EventKind>> {
    proptest::collection::vec(step(), 0..60).prop_map(|mut steps| {
        // Commands are numbered as they are queued, else the fold leaves them out.
        let mut last = 0;
        for step in &mut steps {
            if let EventKind::CommandQueued { id, .. } = step {
                last += 1;
                *id = CommandId(last);
            }
        }
        steps.insert(0, started());
        steps
    })
}

fn fold(recorded: &[Recorded]) -> State {
    let mut state = State::default();
    for recorded in recorded {
        state.apply(&recorded.event, recorded.at);
    }
    state
}

fn write_all(folder: &Folder, events: Vec<EventKind>) -> Vec<Recorded> {
    let mut events = events;
    Journal::create(&folder.journal()).unwrap().append(&mut events).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_split_and_any_checkpoints_give_the_same_state(
        mut events in session(),
        cuts in proptest::collection::vec((0usize..61, any::<bool>()), 0..5),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let folder = new_folder(dir.path());
        let mut all = Vec::new();
        let mut cuts = cuts;
        cuts.sort_unstable();
        cuts.push((usize::MAX, false));
        for (cut, checkpoint) in cuts {
            let Recovered { end, last, .. } = recover(&folder).unwrap();
            let mut recovered = recover(&folder).unwrap();
            prop_assert_eq!(&recovered.state, &fold(&all));
            let mut checkpointer = recovered.checkpointer(&folder).unwrap();
            let mut journal = Journal::continue_at(&folder.journal(), end, last).unwrap();
            let now = cut.saturating_sub(all.len()).min(events.len());
            for recorded in journal.append(&mut events.drain(..now).collect()).unwrap() {
                recovered.state.apply(&recorded.event, recorded.at);
                checkpointer.note(&recorded);
                all.push(recorded);
            }
            if checkpoint && !all.is_empty() {
                checkpointer.finish(&recovered.state, journal.end());
                prop_assert!(checkpoint::read_end(&folder).is_some());
            }
        }
        let recovered = recover(&folder).unwrap();
        prop_assert_eq!(recovered.notes, Vec::<String>::new());
        prop_assert_eq!(recovered.state, fold(&all));
    }
}

#[test]
fn a_journal_torn_at_any_byte_gives_the_events_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let notes = ["one", "two \n \u{202e}\0", "three"].map(|text| EventKind::Note { text: text.into() });
    let recorded = write_all(&folder, [started()].into_iter().chain(notes).collect());
    let whole = fs::read(folder.journal()).unwrap();
    for length in 0..=whole.len() {
        fs::write(folder.journal(), &whole[..length]).unwrap();
        let recovered = recover(&folder).unwrap();
        let lines = memchr::memchr_iter(b'\n', &whole[..length]).count();
        assert_eq!(recovered.state, fold(&recorded[..lines]), "cut at {length}");
        assert_eq!(recovered.last, Seq(lines as u64));
        assert_eq!(recovered.notes.len(), usize::from(recovered.end < length as u64), "{:?}", recovered.notes);
        let mut journal = Journal::continue_at(&folder.journal(), recovered.end, recovered.last).unwrap();
        let next = journal.append(&mut vec![EventKind::Note { text: "next".into() }]).unwrap();
        assert_eq!(next[0].event.seq, Seq(lines as u64 + 1));
        assert_eq!(JournalReader::open(&folder.journal()).unwrap().at(next[0].at).unwrap(), *next[0].event);
        assert!(recover(&folder).unwrap().notes.is_empty());
    }
}

#[test]
fn a_damaged_checkpoint_is_never_believed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let queue = |id| EventKind::CommandQueued {
        id: CommandId(id),
        phase: Phase::Item,
        item: Some(ItemIndex(1)),
        source: "x".into(),
        value: true,
        by: None,
    };
    let mut events = vec![started(), EventKind::ItemStarted { item: ItemIndex(1), attempt: 1 }, queue(1), queue(2)];
    let mut journal = Journal::create(&folder.journal()).unwrap();
    let recovered = recover(&folder).unwrap();
    let mut checkpointer = recovered.checkpointer(&folder).unwrap();
    let recorded = journal.append(&mut events).unwrap();
    for recorded in &recorded {
        checkpointer.note(recorded);
    }
    let state = fold(&recorded);
    checkpointer.finish(&state, journal.end());
    for name in ["state.ckpt", "items.ckpt", "commands.ckpt"] {
        let path = folder.path().join(name);
        let sound = fs::read(&path).unwrap();
        assert!(!sound.is_empty(), "{name}");
        for place in (0..sound.len()).step_by(7) {
            let mut bad = sound.clone();
            bad[place] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let recovered = recover(&folder).unwrap();
            assert_eq!(recovered.state, state, "{name} byte {place}");
            assert_eq!(recovered.notes.len(), 1, "{name} byte {place}");
            fs::write(&path, &sound[..place]).unwrap();
            assert_eq!(recover(&folder).unwrap().state, state, "{name} cut at {place}");
        }
        fs::write(&path, &sound).unwrap();
    }
    assert!(recover(&folder).unwrap().notes.is_empty());
    // A checkpoint of another journal does not fit this one.
    let text = fs::read_to_string(folder.journal()).unwrap();
    let other = text.replacen("\"wall\":", "\"wall\":1", 99);
    fs::write(folder.journal(), &other[..other.len()]).unwrap();
    let recovered = recover(&folder).unwrap();
    assert_eq!((recovered.last, recovered.notes.len()), (Seq(4), 1));
}

#[test]
fn lines_that_are_no_events_are_told_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let recorded = write_all(&folder, vec![started(), EventKind::Note { text: "a".into() }]);
    let text = fs::read_to_string(folder.journal()).unwrap();
    let (first, second) = text.split_at(usize::try_from(recorded[1].at).unwrap());
    let unknown = second.replace("\"note\"", "\"not_yet_invented\"");
    let later = second.replace("\"seq\":2", "\"seq\":9");
    let greedy = second.replace("\"seq\":2", &format!("\"seq\":{}", u64::MAX));
    fs::write(folder.journal(), format!("{first}{unknown}\0\u{fffd}\n\n{first}{greedy}{later}")).unwrap();
    let recovered = recover(&folder).unwrap();
    assert_eq!(recovered.state.name, "test");
    assert_eq!(recovered.last, Seq(9));
    assert_eq!(recovered.notes.len(), 6, "{:#?}", recovered.notes);
    assert!(recovered.notes[0].contains("not_yet_invented"), "{:?}", recovered.notes);
    fs::remove_file(folder.journal()).unwrap();
    assert_eq!(recover(&folder).unwrap().notes.len(), 1);
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_made_up_for_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let mut journal = Journal::create(&folder.journal()).unwrap();
    let mut checkpointer = recover(&folder).unwrap().checkpointer(&folder).unwrap();
    let mut state = State::default();
    let mut take = |checkpointer: &mut Checkpointer, state: &mut State, kind| {
        let recorded = journal.append(&mut vec![kind]).unwrap();
        state.apply(&recorded[0].event, recorded[0].at);
        checkpointer.note(&recorded[0]);
        journal.end()
    };
    take(&mut checkpointer, &mut state, started());
    // Nothing can be renamed over a folder.
    fs::create_dir(folder.path().join("state.ckpt")).unwrap();
    let end = take(&mut checkpointer, &mut state, EventKind::ItemStarted { item: ItemIndex(3), attempt: 1 });
    checkpointer.write(&state, end);
    checkpointer.wait();
    fs::remove_dir(folder.path().join("state.ckpt")).unwrap();
    let end = take(&mut checkpointer, &mut state, EventKind::ItemStarted { item: ItemIndex(4), attempt: 1 });
    checkpointer.finish(&state, end);
    let recovered = recover(&folder).unwrap();
    assert_eq!((recovered.notes, recovered.state), (vec![], state));
    assert!(checkpoint::read_end(&folder).is_some());
}

#[test]
fn the_events_after_any_one_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let text = |number: usize| "x".repeat(if number.is_multiple_of(700) { 200_000 } else { number % 50 });
    let recorded = write_all(&folder, (0..3000).map(|number| EventKind::Note { text: text(number) }).collect());
    let reader = JournalReader::open(&folder.journal()).unwrap();
    for after in (0..3000).step_by(13).chain([1, 699, 700, 701, 2999]) {
        assert_eq!(reader.after(Seq(after as u64)).unwrap(), recorded[after].at, "after {after}");
    }
    assert_eq!(reader.after(Seq(3000)).unwrap(), reader.length().unwrap());
    assert_eq!(reader.after(Seq(u64::MAX)).unwrap(), reader.length().unwrap());
}
