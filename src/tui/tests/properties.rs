//! Whatever comes, in whatever order and size: no panic, and the size of the answer never matters.

use super::fake::{Fake, at};
use crate::api::{Link, SessionView as _};
use crate::model::proto::{Page, Request, Response, Window};
use crate::model::state::Hold;
use crate::model::{Breakpoint, HoldReason, ItemIndex, LadderView, Pause, Rung};
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Msg};
use crate::tui::save::SaveError;
use crate::tui::theme::Theme;
use crate::tui::update::update;
use crate::tui::view::view;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use futures_util::FutureExt as _;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;

#[derive(Debug, Clone)]
enum Step {
    Input(Event),
    /// Take an answer from those awaited.
    Answer(usize),
    /// An answer of the wrong kind, or an error.
    Wrong(usize, bool),
    /// What was to be copied or written is, or cannot be.
    Taken(usize, bool),
    Pulse,
    More,
    /// Something that steering or a diagnosis changes.
    Steered(Steered),
    Lost,
    Over,
}

#[derive(Debug, Clone, Copy)]
enum Steered {
    TimedOut,
    OnLadder(Rung),
    Idle,
    Failed(u32),
    Broken,
    Paused(bool),
}

fn steered() -> impl Strategy<Value = Steered> {
    prop_oneof![
        Just(Steered::TimedOut),
        proptest::sample::select(Rung::ALL.to_vec()).prop_map(Steered::OnLadder),
        Just(Steered::Idle),
        (0u32..50).prop_map(Steered::Failed),
        Just(Steered::Broken),
        any::<bool>().prop_map(Steered::Paused),
    ]
}

fn change(session: &Fake, steered: Steered) {
    let hold = |why| Some(Hold { why, commands: true, ..Hold::default() });
    match steered {
        Steered::TimedOut => session.time_out(),
        Steered::OnLadder(rung) => session.change(|summary| {
            summary.ladder = Some(LadderView { rung, to: Rung::Kill, since: at(59.0), until: at(69.0) });
        }),
        Steered::Idle => session.change(|summary| {
            summary.running = None;
            summary.ladder = None;
            summary.rungs.clear();
        }),
        Steered::Failed(item) => session.change(|summary| summary.held = hold(HoldReason::Failure(ItemIndex(item)))),
        Steered::Broken => session.change(|summary| {
            let breakpoint = Breakpoint::Command("\u{1b}[2J".into());
            summary.stops.breakpoints = vec![breakpoint.clone(), Breakpoint::Item("frame 0001".into())];
            summary.held = hold(HoldReason::Breakpoint(breakpoint));
        }),
        Steered::Paused(paused) => session.change(|summary| {
            summary.paused = paused.then(|| Pause { by: None, since: at(60.0) });
        }),
    }
}

fn key() -> impl Strategy<Value = Event> {
    let code = prop_oneof![
        any::<char>().prop_map(KeyCode::Char),
        proptest::sample::select(
            " dqSKIrbcoyfwtszhi?:/nN%012345678gGjk&\\!vePEpx[]WRTZBXFDeLam.>#-+=Mm".chars().collect::<Vec<_>>()
        )
        .prop_map(KeyCode::Char),
        proptest::sample::select(vec![
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::Backspace,
            KeyCode::Delete,
            KeyCode::F(1),
            KeyCode::F(2),
            KeyCode::F(5),
            KeyCode::F(6),
        ]),
    ];
    let modifiers = proptest::sample::select(vec![
        KeyModifiers::NONE,
        KeyModifiers::NONE,
        KeyModifiers::CONTROL,
        KeyModifiers::ALT,
    ]);
    (code, modifiers).prop_map(|(code, modifiers)| Event::Key(KeyEvent::new(code, modifiers)))
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = proptest::sample::select(vec![
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollDown,
    ]);
    let mouse = (0u16..220, 0u16..90, kinds)
        .prop_map(|(column, row, kind)| Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    prop_oneof![
        12 => key().prop_map(Step::Input),
        2 => mouse.prop_map(Step::Input),
        1 => (0u16..200, 0u16..80).prop_map(|(width, height)| Step::Input(Event::Resize(width, height))),
        1 => "\\PC{0,20}\n?".prop_map(|text| Step::Input(Event::Paste(text))),
        8 => any::<usize>().prop_map(Step::Answer),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, error)| Step::Wrong(at, error)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(at, well)| Step::Taken(at, well)),
        2 => Just(Step::Pulse),
        1 => Just(Step::More),
        2 => steered().prop_map(Step::Steered),
        1 => Just(Step::Lost),
        1 => Just(Step::Over),
    ]
}

/// What the loop tells of an effect.
fn taken(effect: Effect, well: bool) -> Msg {
    match effect {
        Effect::Give(programs, clip) => Msg::Given(programs.first().filter(|_| well).map(|program| program.name), clip),
        Effect::Create { transfer, path, replace } => {
            let made = if well || replace { Ok(path.into()) } else { Err(SaveError::Exists(path.into())) };
            Msg::Created(transfer, made)
        }
        Effect::Write { saving, path, .. } => {
            let saved = if well { Ok(path.clone().into()) } else { Err(SaveError::Exists(path.clone().into())) };
            Msg::Saved(saving, path, saved)
        }
        _ => Msg::Written(if well { Ok(()) } else { Err(SaveError::Failed("the disk is full".into())) }),
    }
}

fn draw(model: &Model) {
    let mut terminal = Terminal::new(TestBackend::new(model.size.width, model.size.height)).unwrap();
    terminal.draw(|frame| view(model, frame)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_sequence_of_messages_is_taken_and_drawn(
        steps in proptest::collection::vec(step(), 0..120), width in 0u16..200, height in 0u16..80,
    ) {
        let session = Fake::new();
        let mut model = Model::new(Size { width, height }, Theme { colour: true }, TimeZone::UTC, false, at(63.0));
        model.programs = crate::tui::clipboard::programs(|name| (name == "TMUX").then(|| "x".into()));
        let (mut awaited, mut taking) = (Vec::new(), Vec::new());
        for step in steps {
            let msg = match step {
                Step::Input(event) => Msg::Input(event),
                Step::Taken(..) if taking.is_empty() => continue,
                Step::Taken(which, well) => taken(taking.swap_remove(which % taking.len()), well),
                Step::More => {
                    session.print("Error: one more");
                    Msg::Link(Box::new(session.pulses().borrow().clone()))
                }
                Step::Steered(steered) => {
                    change(&session, steered);
                    Msg::Link(Box::new(session.pulses().borrow().clone()))
                }
                Step::Pulse => Msg::Link(Box::new(session.pulses().borrow().clone())),
                Step::Lost => Msg::Link(Box::new(Link::Lost { reason: "gone".into(), since: at(60.0) })),
                Step::Over => Msg::Link(Box::new(Link::Over { last: None, reason: "gone".into(), since: at(60.0) })),
                Step::Answer(_) | Step::Wrong(..) if awaited.is_empty() => continue,
                Step::Answer(which) => {
                    let (purpose, request): (_, Request) = awaited.swap_remove(which % awaited.len());
                    let answer = session.ask(request).now_or_never().unwrap();
                    Msg::Answer(purpose, Box::new(answer.map_err(|error| error.to_string())))
                }
                Step::Wrong(which, error) => {
                    let (purpose, _) = awaited.swap_remove(which % awaited.len());
                    let wrong = Response::Agenda(Page { from: u32::MAX, total: 3, rows: Vec::new() });
                    Msg::Answer(purpose, Box::new(if error { Err("no".into()) } else { Ok(wrong) }))
                }
            };
            for effect in update(&mut model, msg) {
                match effect {
                    Effect::Ask(purpose, request) => awaited.push((purpose, request)),
                    Effect::Give(..) | Effect::Create { .. } | Effect::Append(_) | Effect::Write { .. } => taking.push(effect),
                    _ => {}
                }
            }
            prop_assert!(awaited.len() + taking.len() < 300);
            draw(&model);
        }
    }

    #[test]
    fn every_size_is_drawn(width in 0u16..200, height in 0u16..80, zoom: bool) {
        let session = Fake::new();
        let mut model = Model::new(Size { width, height }, Theme { colour: false }, TimeZone::UTC, false, at(63.0));
        model.zoom = zoom;
        let mut effects = update(&mut model, Msg::Link(Box::new(session.pulses().borrow().clone())));
        while let Some(effect) = effects.pop() {
            if let Effect::Ask(purpose, request) = effect {
                if let Request::Agenda(Window { limit, .. }) = &request {
                    prop_assert!(*limit <= crate::model::proto::PAGE_LIMIT);
                }
                let answer = session.ask(request).now_or_never().unwrap();
                effects.extend(update(&mut model, Msg::Answer(purpose, Box::new(answer.map_err(|error| error.to_string())))));
            }
        }
        draw(&model);
    }
}
