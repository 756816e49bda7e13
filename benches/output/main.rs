//! What output without limit costs: each row against the barest thing that does the same, or against DESIGN's target.
//!
//! Machines are noisy, so nothing here is a time limit: rounds of ours and of the other are interleaved, and the medians'
//! ratio is printed. Run with `cargo bench --bench output`; `-- flood` measures that row alone.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench prints, and stops when it cannot measure"
)]

mod attach;
mod flood;
mod folder;
mod memory;
mod paint;
mod print;
mod search;
mod session;
mod side;
mod stopped;
#[path = "../common/supervised.rs"]
mod supervised;
#[path = "../common/table.rs"]
mod table;
mod window;

/// One file a row; each prints its own.
const ROWS: &[(&str, fn())] = &[
    ("flood", flood::measure),
    ("print", print::measure),
    ("stopped", stopped::measure),
    ("memory", memory::measure),
    ("attach", attach::measure),
    ("replay", attach::measure_replay),
    ("paint", paint::measure),
    ("search", search::measure),
];

fn main() {
    // Given by `cargo test --benches`, which only wants to know that it runs.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    table::measure(ROWS);
    folder::remove();
}
