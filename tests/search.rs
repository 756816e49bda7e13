//! Searching and filtering the output over the session's socket.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

mod common;

use childminder::api::Client;
use childminder::model::proto::{LineAnchor, OutputAt, OutputPage, OutputQuery, RefusalKind, Request, Response};
use childminder::model::{
    Case, CommandId, CommandOutcome, EventKind, Exception, Filter, Grep, ItemIndex, Marks, Micros, Phase, SearchQuery,
    Searched, Stream, Wanted,
};
use childminder::store::Output;
use common::engine::{Engine, UNENDING, within};

/// What commands printed, of which item, and whether they raised; written into the engine's folder and its journal.
fn run(engine: &Engine, commands: &[(Option<u32>, &str, bool)]) {
    let mut output = Output::open(engine.recorded(), Marks::default(), 0).expect("output");
    let mut at = 0;
    for (number, (item, text, raises)) in commands.iter().enumerate() {
        let (id, item) = (CommandId(number as u64 + 1), item.map(ItemIndex));
        if let Some(item) = item {
            engine.record(EventKind::ItemStarted { item, attempt: 1 });
        }
        let phase = if item.is_some() { Phase::Item } else { Phase::Operator };
        engine.record(EventKind::CommandQueued { id, phase, item, source: String::new(), value: false, by: None });
        engine.record(EventKind::CommandSent { id, from: Marks { stdout: at, stderr: 0 } });
        let now = Micros((number as u64 + 1) * 1_000_000);
        output.stdout.append(at, text.as_bytes(), Some(id), now, now);
        at += text.len() as u64;
        let outcome = if *raises {
            CommandOutcome::Raised { exception: Box::new(Exception::default()), exit: None }
        } else {
            CommandOutcome::Finished { value: None, cut: None }
        };
        engine.record(EventKind::CommandEnded { id, outcome, took: Micros(1), to: Marks { stdout: at, stderr: 0 } });
    }
}

fn at(offset: u64) -> OutputAt {
    OutputAt::Line(LineAnchor { stream: Stream::Stdout, offset })
}

fn query(wanted: Wanted, from: OutputAt, forward: bool) -> SearchQuery {
    SearchQuery { stream: None, filter: Filter::default(), wanted, from, forward }
}

fn matching(pattern: &str) -> Wanted {
    Wanted::Match(Grep { pattern: pattern.into(), case: Case::Smart, invert: false })
}

async fn search(client: &Client, query: SearchQuery) -> Searched {
    match within(client.ask(Request::Search(Box::new(query)))).await {
        Ok(Response::Searched(searched)) => searched,
        other => panic!("not searched: {other:?}"),
    }
}

async fn found(client: &Client, wanted: Wanted, from: OutputAt, forward: bool) -> Option<u64> {
    let searched = search(client, query(wanted, from, forward)).await;
    assert!(searched.settled && searched.complete, "{searched:?}");
    searched.line.map(|line| line.offset)
}

async fn filtered(client: &Client, filter: Filter) -> OutputPage {
    let query =
        OutputQuery { stream: None, at: OutputAt::Start, before: 0, after: 99, command: None, filter, raw: false };
    match within(client.ask(Request::Output(Box::new(query)))).await {
        Ok(Response::Output(page)) => page,
        other => panic!("no page: {other:?}"),
    }
}

/// Lines of five bytes.
const COMMANDS: &[(Option<u32>, &str, bool)] = &[
    (None, "init\n", false),
    (Some(0), "a 01\na 02\n", false),
    (Some(1), "b 03\nb 04\n", true),
    (None, "", true),
    (None, "oper\n", false),
    (Some(2), "c 06\n", false),
    (None, "", true),
];

#[tokio::test]
async fn exceptions_and_items_are_found_where_their_output_begins() {
    let engine = Engine::with_frames(5);
    run(&engine, COMMANDS);
    let client = engine.client().await;
    // One that printed nothing stands where the next line is, or at the end.
    let places = [15, 25, 30];
    let mut from = OutputAt::Start;
    for place in places {
        assert_eq!(found(&client, Wanted::Exception, from, true).await, Some(place));
        from = at(place);
    }
    assert_eq!(found(&client, Wanted::Exception, from, true).await, None);
    assert_eq!(found(&client, Wanted::Exception, OutputAt::End, false).await, Some(25));
    assert_eq!(found(&client, Wanted::Exception, at(25), false).await, Some(15));
    assert_eq!(found(&client, Wanted::Exception, at(20), false).await, Some(15));
    assert_eq!(found(&client, Wanted::Exception, at(15), false).await, None);

    let mut from = OutputAt::Start;
    for place in [5, 15, 30] {
        assert_eq!(found(&client, Wanted::Item, from, true).await, Some(place));
        from = at(place);
    }
    assert_eq!(found(&client, Wanted::Item, from, true).await, None);
    assert_eq!(found(&client, Wanted::Item, at(20), true).await, Some(30));
    assert_eq!(found(&client, Wanted::Item, at(20), false).await, Some(5));
    assert_eq!(found(&client, Wanted::Item, at(30), false).await, Some(15));
    assert_eq!(found(&client, Wanted::Item, OutputAt::End, false).await, Some(30));
    assert_eq!(found(&client, Wanted::Item, at(5), false).await, None);
}

#[tokio::test]
async fn what_matches_is_found_counted_and_shown_among_an_items_lines() {
    let engine = Engine::with_frames(5);
    run(&engine, COMMANDS);
    let client = engine.client().await;
    let searched = search(&client, query(matching("[0-9]$"), at(15), true)).await;
    let line = Some(LineAnchor { stream: Stream::Stdout, offset: 20 });
    assert_eq!(searched, Searched { line, settled: true, count: 5, position: Some(4), complete: true });
    let item = Filter { item: Some(ItemIndex(1)), ..Filter::default() };
    let among = SearchQuery { filter: item.clone(), ..query(matching("0[1-4]"), OutputAt::Start, true) };
    let searched = search(&client, among).await;
    assert_eq!((searched.line.map(|line| line.offset), searched.count), (Some(15), 2));
    let texts = |page: OutputPage| page.lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
    assert_eq!(texts(filtered(&client, item).await), ["b 03", "b 04"]);
    let since = Filter { since: Some(Micros(5_000_000)), ..Filter::default() };
    assert_eq!(texts(filtered(&client, since).await), ["oper", "c 06"]);
    let not_begun = Filter { item: Some(ItemIndex(4)), ..Filter::default() };
    let page = filtered(&client, not_begun).await;
    assert!(page.lines.is_empty() && page.at_start && page.at_end);
}

#[tokio::test]
async fn a_pattern_that_is_none_is_refused_with_its_place() {
    let engine = Engine::with_frames(1);
    run(&engine, COMMANDS);
    let client = engine.client().await;
    for (pattern, why) in [("a(", "at character 2"), ("(a{1000}){1000}", "MiB"), (&*"a".repeat(1 << 20), "4096 bytes")]
    {
        let Wanted::Match(grep) = matching(pattern) else { panic!("it is one") };
        let filter = Filter { grep: Some(grep), ..Filter::default() };
        let page = OutputQuery { filter, ..query(Wanted::Item, OutputAt::Start, true).lines() };
        let search = query(matching(pattern), OutputAt::Start, true);
        for request in [Request::Output(Box::new(page)), Request::Search(Box::new(search))] {
            let error = within(client.ask(request)).await.expect_err("it is refused");
            assert_eq!(error.refusal(), Some(RefusalKind::Invalid), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    let filter = Filter { item: Some(ItemIndex(1)), ..Filter::default() };
    let none = SearchQuery { filter, ..query(matching("a"), OutputAt::Start, true) };
    let error = within(client.ask(Request::Search(Box::new(none)))).await.expect_err("there is one item");
    assert_eq!(error.refusal(), Some(RefusalKind::NotFound));
}

#[tokio::test]
async fn a_newer_search_or_going_away_ends_the_one_before() {
    let engine = Engine::with_frames(1);
    run(&engine, COMMANDS);
    let client = engine.client().await;
    let unending = || Request::Search(Box::new(query(matching(UNENDING), OutputAt::Start, true)));
    let before = client.ask(unending());
    let after = client.ask(Request::Search(Box::new(query(matching("a 0"), OutputAt::Start, true))));
    let (before, after) = within(async { tokio::join!(before, after) }).await;
    let Ok(Response::Searched(before)) = before else { panic!("no answer: {before:?}") };
    assert_eq!(before, Searched::default());
    let Ok(Response::Searched(after)) = after else { panic!("no answer: {after:?}") };
    assert_eq!(after.count, 2);
    assert_eq!(engine.unending(), [1, 1]);

    let gone = engine.client().await;
    tokio::select! {
        answer = gone.ask(unending()) => panic!("nothing ends it: {answer:?}"),
        () = engine.until(|engine| engine.unending() == [2, 1]) => {}
    }
    drop(gone);
    // Searches of others are not held up for longer than it takes to see that.
    assert_eq!(found(&client, matching("a 02"), OutputAt::Start, true).await, Some(10));
    assert_eq!(engine.unending(), [2, 2]);
}
