//! The table that is printed, and the statistics in it.

/// Prints the head.
pub(crate) fn head() {
    println!("| what | ours | against | ratio | target |");
    println!("|---|---|---|---|---|");
}

/// Prints a row.
pub(crate) fn row(what: &str, ours: &str, against: &str, ratio: &str, target: &str) {
    println!("| {what} | {ours} | {against} | {ratio} | {target} |");
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
