//! The table that is printed, and the statistics in it.

/// Prints the head, and has those rows measured that the command line names; all, if it names none.
pub(crate) fn measure(rows: &[(&str, fn())]) {
    println!("| what | ours | against | ratio | target |");
    println!("|---|---|---|---|---|");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    for (name, measure) in rows {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            measure();
        }
    }
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
