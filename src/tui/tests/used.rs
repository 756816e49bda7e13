//! What the session that is not there uses.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the numbers are small and made here"
)]

use super::fake::at;
use crate::model::proto::{NameInfo, Response};
use crate::model::{ItemIndex, Micros, UsageHistory, UsagePoint};

/// What its tree used at a second: items that compute for five seconds and then write.
fn point(second: i32) -> UsagePoint {
    let within = second.rem_euclid(5);
    UsagePoint {
        wall: at(f64::from(second)),
        cpu: if within == 4 { 22.5 } else { 98.4 + f64::from(within) * 40.0 },
        memory: 1_288_490_188 + u64::from(within.unsigned_abs()) * 300_000_000,
        read: if within == 0 { 88_000_000.0 } else { 0.0 },
        written: if within == 4 { 3_400_000.0 } else { 0.0 },
        processes: 1 + within.unsigned_abs() / 4,
        threads: 3,
    }
}

/// The newest.
pub(super) fn newest() -> UsagePoint {
    UsagePoint { cpu: 98.4, memory: 1_288_490_188, processes: 1, threads: 3, ..point(63) }
}

/// Since a minute before noon, but for ten seconds in which no command ran.
pub(super) fn history(from: Micros, to: Micros, most: u32) -> UsageHistory {
    let seconds = (-60..=63).filter(|second| !(-30..-20).contains(second));
    let points = seconds.map(|second| if second == 63 { newest() } else { point(second) });
    let mut points: Vec<UsagePoint> = points.filter(|point| (from..=to).contains(&point.wall)).collect();
    points.drain(..points.len().saturating_sub(most as usize));
    let begun = (0..13u32).map(|place| (at(f64::from(place) * 5.0 - 60.0), ItemIndex(place)));
    UsageHistory { points, items: begun.filter(|(wall, _)| (from..=to).contains(wall)).collect() }
}

/// What its namespace holds.
pub(super) fn names() -> Response {
    let name = |name: &str, kind: &str, length, size, shape: Option<&str>| NameInfo {
        name: name.into(),
        kind: kind.into(),
        size,
        length,
        shape: shape.map(Into::into),
    };
    let names = vec![
        name("frame", "int", None, Some(28), None),
        name("image", "numpy.ndarray", None, Some(37_748_736), Some("(2048, 3072, 3)")),
        name("names\u{1b}[2J", "list", Some(3), Some(88), None),
        name("scene", "tracer.Scene", None, None, None),
        name("tracer", "module", None, None, None),
    ];
    Response::Names { names, more: 7 }
}
