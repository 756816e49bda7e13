//! What the helper says an item has yielded, in Qube's shape, made into ours.

use crate::model::ResultPackage;
use serde_json::{Map, Value};

/// The most entries of a list.
const ENTRIES: usize = 1000;
/// The most characters of a text.
const TEXT: usize = 4096;
/// The most bytes of a value that has no meaning here, as JSON.
const VALUE: usize = 64 << 10;

/// Qube's result package: `outputPaths` joined by commas, `progress` as a text, `errors` and `highlights` as lists; all
/// else are named values.
pub fn result_package(package: &Map<String, Value>) -> ResultPackage {
    let mut result = ResultPackage::default();
    for (key, value) in package.iter().take(ENTRIES) {
        match key.as_str() {
            "outputPaths" => result.output_paths = texts(value, Some(',')),
            "errors" => result.errors = texts(value, None),
            "highlights" => result.highlights = texts(value, None),
            "progress" => result.progress = fraction(value),
            _ => drop(result.values.insert(cut(key), bounded(value))),
        }
    }
    result
}

/// A text under a key; numbers are texts too, as Qube's own work names may be.
pub fn named(package: &Map<String, Value>, key: &str) -> Option<String> {
    match package.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn texts(value: &Value, separator: Option<char>) -> Vec<String> {
    let mut texts = Vec::new();
    let values = match value {
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    };
    for text in values.into_iter().filter_map(Value::as_str) {
        let parts: Vec<&str> = separator.map_or_else(|| vec![text], |separator| text.split(separator).collect());
        texts.extend(parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).map(cut));
    }
    texts.truncate(ENTRIES);
    texts
}

fn fraction(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then(|| number.clamp(0.0, 1.0))
}

fn bounded(value: &Value) -> Value {
    let length = value.to_string().len();
    if length <= VALUE { value.clone() } else { Value::from(format!("({length} bytes, too long to be kept)")) }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: &Value) -> ResultPackage {
        result_package(value.as_object().expect("an object"))
    }

    #[test]
    fn qubes_keys_become_ours() {
        let result = of(&json!({
            "outputPaths": "/a.png,/b.png", "progress": "0.30", "errors": ["no light"], "highlights": "Saved", "fps": 24,
        }));
        assert_eq!(result.output_paths, ["/a.png", "/b.png"]);
        assert_eq!((result.progress, result.errors.as_slice()), (Some(0.3), ["no light".to_owned()].as_slice()));
        assert_eq!(result.highlights, ["Saved"]);
        assert_eq!(result.values["fps"], 24);
    }

    #[test]
    fn what_is_odd_or_too_long_is_no_trouble() {
        let result = of(&json!({
            "outputPaths": ["/a.png", 7, ""], "progress": "soon", "errors": vec!["x"; 5000], "big": "y".repeat(100_000),
        }));
        assert_eq!((result.output_paths.len(), result.progress, result.errors.len()), (1, None, ENTRIES));
        assert_eq!(result.values["big"], "(100002 bytes, too long to be kept)");
    }
}
