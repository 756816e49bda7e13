//! A child that writes as fast as it can, in big blocks.

use crate::side::{self, Script};
use crate::table::{median, row};

/// Bytes of one write.
pub(crate) const BLOCK: u64 = 256 << 10;
/// Bytes of one run.
const BYTES: u64 = 2 << 30;
/// Bytes of one run where a terminal is in between, which takes a tenth or less in the same time.
const FEW: u64 = 128 << 20;
/// Rounds of each side.
const ROUNDS: usize = 7;

/// Writes lines of 128 bytes in big blocks.
pub(crate) fn code(bytes: u64) -> String {
    format!(
        r"
block = (b'x' * 127 + b'\n') * ({BLOCK} // 128)
begin()
for _ in range({bytes} // {BLOCK}):
    left = memoryview(block)
    while left:
        left = left[os.write(1, left):]
end()
"
    )
}

fn rate(bytes: u64, seconds: f64) -> String {
    format!("{seconds:.2} s ({:.0} MB/s)", bytes as f64 / seconds / 1e6)
}

/// Measures and prints it.
pub(crate) fn measure() {
    let code = code(BYTES);
    let script = Script { code: &code, bytes: BYTES };
    let (mut ours, mut cat) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        cat.push(side::shell(&script, r#""$PYTHON" "$SCRIPT" | cat > "$OUT""#));
        ours.push(side::ours(&script));
    }
    let (ours, cat) = (median(ours), median(cat));
    let what = format!("a child that writes {} GiB in blocks of 256 KiB", BYTES >> 30);
    row(
        &what,
        &rate(BYTES, ours),
        &format!("`cat > file` {}", rate(BYTES, cat)),
        &format!("{:.2} ×", ours / cat),
        "≤ 1.2 ×",
    );
    others();
}

/// What people use instead, for scale; nothing is stored there.
fn others() {
    let code = code(FEW);
    let script = Script { code: &code, bytes: FEW };
    let tmux = r#"tmux -L bench -f /dev/null new-session -d -x 200 -y 50 "\"$PYTHON\" \"$SCRIPT\"; tmux -L bench wait-for -S done" && tmux -L bench wait-for done"#;
    let what = format!("the same, {} MiB, in a window", FEW >> 20);
    for (program, line) in [("tmux", tmux)] {
        if side::installed(program) {
            let took = median((0..3).map(|_| side::shell(&script, line)).collect());
            row(&what, "–", &format!("{program} {}", rate(FEW, took)), "–", "–");
        }
    }
}
