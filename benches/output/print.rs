//! A child that prints line by line.

use crate::side::{self, Script};
use crate::table::{median, row};

/// Lines of one run.
const LINES: u64 = 2_000_000;
/// Rounds of each side.
const ROUNDS: usize = 7;

/// Measures and prints it.
pub(crate) fn measure() {
    // As our bootstrapper has it: each line is written when it ends.
    let code = format!(
        r"
if type(sys.stdout.buffer).__name__ == 'BufferedWriter':
    sys.stdout.reconfigure(line_buffering=True)
begin()
for number in range({LINES}):
    print('frame 0001: sample %09d of {LINES:09}, going on' % number)
end()
"
    );
    let line = format!("frame 0001: sample {:09} of {LINES:09}, going on\n", 0);
    let script = Script { code: &code, bytes: LINES * line.len() as u64 };
    let (mut ours, mut file) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        file.push(side::shell(&script, r#""$PYTHON" "$SCRIPT" > "$OUT""#));
        ours.push(side::ours(&script));
    }
    let (ours, file) = (median(ours), median(file));
    let each = |seconds: f64| format!("{seconds:.2} s ({:.2} µs a line)", seconds * 1e6 / LINES as f64);
    let what = format!("a child that prints {} million lines, one `print` each", LINES / 1_000_000);
    row(
        &what,
        &each(ours),
        &format!("into a file, same buffering {}", each(file)),
        &format!("{:.2} ×", ours / file),
        "≤ 1.1 ×",
    );
}
