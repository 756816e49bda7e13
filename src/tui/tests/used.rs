//! What the session that is not there uses.

use super::fake::at;
use crate::model::about::{About, BackendAbout, LaunchAbout, PatternAbout, ValueAbout};
use crate::model::child::Application;
use crate::model::hot::Mark;
use crate::model::job::Timeouts;
use crate::model::proto::{NameInfo, Response};
use crate::model::{Frame, Generation, Hello, HotTree, ItemIndex, Micros, UsageHistory, UsagePoint};

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

/// What runs it.
pub(super) fn about() -> Response {
    let value =
        |key: &str, value: serde_json::Value, from: &str| ValueAbout { key: key.into(), value, from: from.into() };
    let child = Hello {
        pid: 4243,
        python: "3.11.2".into(),
        implementation: "CPython".into(),
        application: Application { name: "blender".into(), version: "3.4.1".into() },
        features: vec!["stacks".into(), "pump:block".into()],
        ..Hello::default()
    };
    let argv =
        ["/opt/blender-3.4/blender", "--background", "--python", "/run/child_bootstrapper.py", "--", "--port", "39101"];
    let backend = BackendAbout {
        asked_for: "blender".into(),
        name: "blender".into(),
        description: "Blender without a window, or with it by the setting \"window\"".into(),
        application: "blender".into(),
        passing: "argv".into(),
        pump: "block".into(),
        prompt: "bpy> ".into(),
        rungs: ["interrupt", "async", "cancel", "terminate", "kill"].map(str::to_owned).to_vec(),
        cancel: Some("import childminder; childminder.host_sigint()".into()),
        ..BackendAbout::default()
    };
    Response::About(Box::new(About {
        session: "20261123-205958-film-a1b2".into(),
        folder: Some("/data/sessions/20261123-205958-film-a1b2".into()),
        host: "farm12".into(),
        user: "ann".into(),
        version: "0.1.0".into(),
        job: "film\x1b[2J".into(),
        backend,
        class: None,
        launch: Some(LaunchAbout {
            generation: Generation(1),
            argv: argv.map(str::to_owned).to_vec(),
            cwd: "/shots".into(),
        }),
        hello: Some(Box::new(child)),
        settings: vec![
            value("executable", "/opt/blender-3.4/blender".into(), "--set executable"),
            value("factory_startup", true.into(), "the recipe's default"),
        ],
        parameters: vec![value("scene", "/shots/a.blend".into(), "film.toml:12")],
        patterns: vec![PatternAbout {
            name: "saved".into(),
            finds: "output".into(),
            regexes: vec![r"Saved: '(.*)'$".into()],
            from: "the recipe".into(),
        }],
        timeouts: Timeouts::default(),
        timeouts_changed: true,
    }))
}

/// What its namespace holds.
pub(super) fn names() -> Response {
    let name = |name: &str, kind: &str, length, size, shape: Option<&str>| NameInfo {
        name: name.into(),
        kind: kind.into(),
        size,
        length,
        module: kind == "module",
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

/// Where its time goes.
pub(super) fn hot() -> HotTree {
    let frame = |function: &str, file: &str, line| Frame {
        function: function.into(),
        file: format!("/opt/demo/{file}"),
        line,
        ..Frame::default()
    };
    let render = [frame("<module>", "<command 14>", 1), frame("render", "tracer.py", 214)];
    let with = |inner: &[Frame]| [&render[..], inner].concat();
    let mut tree =
        HotTree { samples: 200, span: Micros(10_000_000), paused: Micros(42_000), rate: 20.0, ..HotTree::default() };
    let mut add =
        |times: u32, thread: &str, frames: &[Frame], mark| (0..times).for_each(|_| tree.add(thread, frames, mark));
    add(90, "MainThread", &with(&[frame("trace", "tracer.py", 98), frame("hit", "shapes.py", 31)]), Mark::Gil);
    add(40, "MainThread", &with(&[frame("trace", "tracer.py", 101)]), Mark::Gil);
    add(50, "MainThread", &with(&[frame("denoise\u{202e}", "filters.py", 12)]), Mark::Native);
    add(18, "MainThread", &with(&[]), Mark::Gil);
    add(2, "MainThread", &with(&[frame("save", "image.py", 5)]), Mark::Idle);
    add(200, "loader", &[frame("run", "threading.py", 870), frame("get", "queue.py", 171)], Mark::Idle);
    tree
}
