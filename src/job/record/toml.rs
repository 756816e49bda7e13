//! Adding to a list in a TOML document, by `toml_edit`, which keeps all the rest as it was written.

use super::{RecordError, Slot};
use toml_edit::{Array, DocumentMut, Item, RawString, Table, TableLike, Value};

/// How a list is laid out that has no layout yet.
const INDENT: &str = "\n    ";

pub(super) fn add(text: &str, slot: Slot, templates: &[String]) -> Result<String, RecordError> {
    let cannot = |why: String| RecordError::File(format!("the job file cannot be added to: {why}"));
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| cannot(error.to_string()))?;
    let phases = document.entry("phases").or_insert_with(|| Item::Table(Table::new()));
    let phases = phases.as_table_like_mut().ok_or_else(|| cannot("its phases are no table".to_owned()))?;
    let array = list(phases, slot).ok_or_else(|| cannot(format!("its phases.{} is no list", slot.word())))?;
    for template in templates {
        push(array, template);
    }
    Ok(document.to_string())
}

fn list(phases: &mut dyn TableLike, slot: Slot) -> Option<&mut Array> {
    phases.entry(slot.word()).or_insert_with(|| Item::Value(Value::Array(Array::new()))).as_array_mut()
}

/// Adds a value on a line of its own, if the others have one. A comment behind the last one stays there.
fn push(array: &mut Array, template: &str) {
    let mut value = Value::from(template);
    let had_comma = array.trailing_comma();
    let mut tail = text(Some(array.trailing()));
    let last = array.len().checked_sub(1).and_then(|last| array.get_mut(last));
    let lead = match last {
        None => INDENT.to_owned(),
        Some(last) => {
            let prefix = text(last.decor().prefix());
            if !had_comma {
                tail.insert_str(0, &text(last.decor().suffix()));
                last.decor_mut().set_suffix("");
            }
            match prefix.rfind('\n') {
                Some(newline) => prefix[newline..].to_owned(),
                None if tail.contains('\n') => INDENT.to_owned(),
                None => " ".to_owned(),
            }
        }
    };
    let first = array.is_empty();
    let own_line = lead.starts_with('\n');
    value.decor_mut().set_prefix(format!("{}{lead}", tail.trim_end()));
    array.push_formatted(value);
    // What closes the list stands where it stood.
    let close = tail.rfind('\n').map_or(if own_line { "\n" } else { "" }, |newline| &tail[newline..]);
    array.set_trailing(close);
    array.set_trailing_comma(had_comma || (first && own_line));
}

fn text(raw: Option<&RawString>) -> String {
    raw.and_then(RawString::as_str).unwrap_or_default().to_owned()
}
