//! The window on a real terminal.

use super::fake::Fake;
use crate::tui::{Options, run};
use std::sync::Arc;

/// Not a test: opens a window on the fake session. `cargo test --lib tui::tests::real::show -- --ignored --nocapture`
#[test]
#[ignore = "needs a terminal"]
fn show() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = Options { history: None, ..Options::default() };
    let ended = runtime.block_on(run(Arc::new(Fake::new()), options));
    println!("ended: {ended:?}");
}
