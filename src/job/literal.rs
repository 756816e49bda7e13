//! JSON values as Python literals that mean the same in Python 2.7 and in every Python 3.
//!
//! The text is ASCII on one line whatever the value is, so that neither the encoding of a source file nor a newline in
//! a value can matter. A string of other characters has the `u` prefix, which both know.

use serde_json::Value;
use std::fmt::Write as _;

/// The literal.
pub(crate) fn of(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, into: &mut String) {
    match value {
        Value::Null => into.push_str("None"),
        Value::Bool(true) => into.push_str("True"),
        Value::Bool(false) => into.push_str("False"),
        Value::Number(number) => {
            let _ = write!(into, "{number}");
        }
        Value::String(text) => write_text(text, into),
        Value::Array(values) => {
            into.push('[');
            for (place, value) in values.iter().enumerate() {
                into.push_str(if place > 0 { ", " } else { "" });
                write(value, into);
            }
            into.push(']');
        }
        Value::Object(entries) => {
            into.push('{');
            for (place, (key, value)) in entries.iter().enumerate() {
                into.push_str(if place > 0 { ", " } else { "" });
                write_text(key, into);
                into.push_str(": ");
                write(value, into);
            }
            into.push('}');
        }
    }
}

fn write_text(text: &str, into: &mut String) {
    into.push_str(if text.is_ascii() { "'" } else { "u'" });
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '\\' => into.write_str("\\\\"),
            '\'' => into.write_str("\\'"),
            '\n' => into.write_str("\\n"),
            '\r' => into.write_str("\\r"),
            '\t' => into.write_str("\\t"),
            ' '..='~' => into.write_char(c),
            '\0'..='\u{7f}' => write!(into, "\\x{:02x}", u32::from(c)),
            '\u{80}'..='\u{ffff}' => write!(into, "\\u{:04x}", u32::from(c)),
            _ => write!(into, "\\U{:08x}", u32::from(c)),
        };
    }
    into.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;
    use serde_json::json;
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    #[test]
    fn values_are_written_as_python() {
        let value = json!({"a": [1, -2.5, true, null], "b": "it's\n\u{7f}\\", "c": "é😀", "d": {}, "e": 1e300});
        assert_eq!(
            of(&value),
            r"{'a': [1, -2.5, True, None], 'b': 'it\'s\n\x7f\\', 'c': u'\u00e9\U0001f600', 'd': {}, 'e': 1e+300}"
        );
    }

    /// What Python reads is what was written: `{a}` and its JSON, a line each, compared by the interpreter itself.
    const CHECK: &str = "
import ast, json, sys
def same(a, b):
    if isinstance(a, float) or isinstance(b, float):
        return float(a) == float(b)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return sorted(a) == sorted(b) and all(same(a[key], b[key]) for key in a)
    return a == b and isinstance(a, bool) == isinstance(b, bool)
lines = sys.stdin.read().split('\\n')
count = 0
for literal, text in zip(lines[::2], lines[1::2]):
    assert same(ast.literal_eval(literal), json.loads(text)), literal
    count += 1
print(count)
";

    fn agrees(python: &Path, values: &[Value]) {
        let lines: String =
            values.iter().flat_map(|value| [of(value), "\n".into(), ascii(value), "\n".into()]).collect();
        let mut child =
            Command::new(python).args(["-c", CHECK]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let said = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), values.len().to_string(), "{}", python.display());
    }

    /// JSON in ASCII, so that no interpreter's encoding has a say.
    fn ascii(value: &Value) -> String {
        let mut units = [0; 2];
        let escape = |c: char| match c {
            '\0'..='\u{7e}' => vec![c.to_string()],
            _ => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        };
        value.to_string().chars().flat_map(escape).collect()
    }

    #[test]
    fn real_interpreters_read_back_what_was_written() {
        let mut runner = TestRunner::default();
        let strategy = crate::job::template::tests::any_value();
        let values: Vec<Value> = (0..500).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
        agrees(Path::new("python3"), &values);
        let versions = Path::new(&std::env::var("HOME").unwrap_or_default()).join(".pyenv/versions");
        for version in versions.read_dir().into_iter().flatten().flatten() {
            agrees(&version.path().join("bin/python"), &values);
        }
    }
}
