//! What items have yielded.

use super::*;

/// Of one that has failed with everything that there can be, and of any other.
pub(super) fn result_of(view: &ItemView) -> ResultPackage {
    let values = BTreeMap::from([("samples".into(), serde_json::json!(64))]);
    if view.row.status != ItemStatus::Failed {
        let output_paths = vec!["/tmp/demo/frame.0012.png".into()];
        return ResultPackage { output_paths, values, ..ResultPackage::default() };
    }
    let (good, bad) = ("/tmp/demo/frame.0012.png", "/tmp/demo/frame.0012.exr");
    let cut = "is no whole image (exr): it ends before its last block of pixels";
    let file = |path: &str, bytes, format: &str, problem: Option<&str>| OutputFile {
        path: path.into(),
        bytes: Some(bytes),
        format: Some(format.into()),
        dimensions: Some((1920, 1080)),
        problem: problem.map(str::to_owned),
        ..OutputFile::default()
    };
    let found = |pattern: &str, place: u64, severity, text: &str| Finding {
        pattern: pattern.into(),
        stream: Stream::Stderr,
        at: place * 200,
        text: text.into(),
        what: Found::Error { severity },
    };
    ResultPackage {
        output_paths: vec![good.into(), bad.into()],
        progress: Some(0.3),
        errors: vec![
            "the sun is \u{1b}[31mbelow\u{202e} the horizon".into(),
            "out of memory".into(),
            format!("{bad} {cut}"),
        ],
        highlights: vec!["denoised with 64 samples".into()],
        values: values
            .into_iter()
            .chain([
                ("render_time".into(), serde_json::json!(182.4)),
                ("peak".into(), serde_json::json!(3_221_225_472u64)),
            ])
            .collect(),
        found: vec![
            found("texture", 7, Severity::Note, "texture grass.png is scaled"),
            found("texture-size", 43, Severity::Warn, "texture grass.png is 8193 px wide"),
            found("oom", 61, Severity::FailItem, "out of memory"),
        ],
        files: vec![file(good, 1_468_006, "png", None), file(bad, 812, "exr", Some(cut))],
    }
}

/// The commands of one that has failed, and what its values count.
pub(super) fn rest_of(view: &ItemView) -> (Vec<RanCommand>, BTreeMap<String, Measure>) {
    if view.row.status != ItemStatus::Failed {
        return Default::default();
    }
    let ran = |id, state, took| RanCommand { id: CommandId(id), state, took: Micros(took) };
    let ran = vec![ran(12, CommandState::Finished, 1_200), ran(13, CommandState::Raised, 2_881_000)];
    (ran, [("render_time".into(), Measure::Time), ("peak".into(), Measure::Memory)].into())
}
