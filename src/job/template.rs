//! Commands with `{key}` in them.
//!
//! The rule: only `{known key}` is a placeholder, and `{{known key}}` is a way to write the braces themselves. All other
//! braces are Python's own. A value goes in as a Python literal, and only where Python expects an expression. So no value
//! can become code, whatever it is: a placeholder in a string or a comment is refused, and so is one that touches a name,
//! a number or a quote, since `f{key}` or `''{key}` would make something else of the literal.

use super::literal;
use super::python::{Kind, Readings, is_word};
use crate::model::job::ItemSpec;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// The keys that an item brings, and that no parameter may be named like.
pub const ITEM_KEYS: [&str; 6] = ["frame", "start", "end", "step", "name", "frames"];

/// Why a template cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Byte offset of the placeholder in the template.
    pub offset: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// What placeholders stand for.
#[derive(Debug, Clone, Default)]
pub struct Values<'v> {
    layers: Vec<&'v BTreeMap<String, Value>>,
    item: Option<&'v ItemSpec>,
}

impl<'v> Values<'v> {
    /// Values by their keys; the first map that has a key wins.
    pub fn of(layers: impl IntoIterator<Item = &'v BTreeMap<String, Value>>) -> Self {
        Self { layers: layers.into_iter().collect(), item: None }
    }

    /// The same, and what an item brings.
    #[must_use]
    pub fn with_item(self, item: &'v ItemSpec) -> Self {
        Self { item: Some(item), ..self }
    }

    /// The value of a key, if it is known.
    pub fn get(&self, key: &str) -> Option<Cow<'v, Value>> {
        if let Some(item) = self.item {
            if let Some(key) = key.strip_prefix("item.") {
                return item.data.get(key).map(Cow::Borrowed);
            }
            if let Some(value) = of_item(item, key) {
                return Some(Cow::Owned(value));
            }
        }
        self.layers.iter().find_map(|layer| layer.get(key)).map(Cow::Borrowed)
    }
}

fn of_item(item: &ItemSpec, key: &str) -> Option<Value> {
    if key == "name" {
        return Some(Value::from(item.name.as_str()));
    }
    let run = item.frames?;
    Some(match key {
        "frame" | "start" => Value::from(run.first),
        "end" => Value::from(run.last()),
        "step" => Value::from(run.step),
        "frames" => (0..i64::from(run.count)).map(|place| run.first + run.step * place).collect(),
        _ => return None,
    })
}

/// The command that a template makes.
pub fn expand(template: &str, values: &Values<'_>) -> Result<String, TemplateError> {
    let plan = plan(template, &|key| values.get(key).is_some());
    match plan.errors.first() {
        Some(error) => Err(error.clone()),
        None => Ok(fill(&plan, values).0),
    }
}

/// The skeleton with the values in it, and where they are.
fn fill(plan: &Plan<'_>, values: &Values<'_>) -> (String, Vec<Range<usize>>) {
    let mut text = String::with_capacity(plan.skeleton.len());
    let mut inserted = Vec::with_capacity(plan.sites.len());
    let mut done = 0;
    for site in &plan.sites {
        text.push_str(&plan.skeleton[done..site.at]);
        done = site.at + 1;
        let value = values.get(site.key).unwrap_or_default();
        let literal = literal::of(&value);
        // `-5**2` is not the square of -5, and `5.real` is no attribute of 5.
        let naked = literal.starts_with('-') || (value.is_number() && plan.skeleton[done..].starts_with('.'));
        let start = text.len();
        if naked {
            text.extend(["(", &literal, ")"]);
        } else {
            text.push_str(&literal);
        }
        inserted.push(start..text.len());
    }
    text.push_str(&plan.skeleton[done..]);
    (text, inserted)
}

/// A placeholder that was found.
#[derive(Debug)]
pub(crate) struct Site<'t> {
    /// What is to go in.
    pub(crate) key: &'t str,
    /// Byte offset in the template.
    pub(crate) offset: usize,
    /// Byte offset in the skeleton.
    at: usize,
}

/// A template taken apart.
#[derive(Debug)]
pub(crate) struct Plan<'t> {
    /// The template with `0` for every placeholder and without the escapes of braces.
    skeleton: String,
    /// The placeholders, in order.
    pub(crate) sites: Vec<Site<'t>>,
    /// Placeholders that stand where none may.
    pub(crate) errors: Vec<TemplateError>,
}

/// Finds the placeholders of a template and judges their places.
pub(crate) fn plan<'t>(template: &'t str, known: &dyn Fn(&str) -> bool) -> Plan<'t> {
    let mut plan = Plan { skeleton: String::with_capacity(template.len()), sites: Vec::new(), errors: Vec::new() };
    let mut done = 0;
    while let Some(open) = template[done..].find('{').map(|at| done + at) {
        plan.skeleton.push_str(&template[done..open]);
        let doubled = template[open + 1..].starts_with('{');
        let start = open + 1 + usize::from(doubled);
        let key = key_at(&template[start..]).filter(|key| known(key));
        let rest = key.map(|key| &template[start + key.len()..]);
        match (key, rest) {
            (Some(key), Some(rest)) if doubled && rest.starts_with("}}") => {
                plan.skeleton.extend(["{", key, "}"]);
                done = start + key.len() + 2;
            }
            (Some(key), Some(_)) if !doubled => {
                plan.sites.push(Site { key, offset: open, at: plan.skeleton.len() });
                plan.skeleton.push('0');
                done = start + key.len() + 1;
            }
            _ => {
                plan.skeleton.push('{');
                done = open + 1;
            }
        }
    }
    plan.skeleton.push_str(&template[done..]);
    judge(&mut plan);
    plan
}

/// The key at the start of a text, if a brace closes right after it.
pub(super) fn key_at(text: &str) -> Option<&str> {
    let length = text.find(|c: char| !c.is_ascii_alphanumeric() && !"_.-".contains(c))?;
    (length > 0 && text[length..].starts_with('}')).then(|| &text[..length])
}

fn judge(plan: &mut Plan<'_>) {
    if plan.sites.is_empty() {
        return;
    }
    // Judged is the text that will run: the escapes of braces are already gone from it.
    let readings = Readings::of(&plan.skeleton);
    let bytes = plan.skeleton.as_bytes();
    for Site { key, offset, at } in &plan.sites {
        let touches = |byte: Option<&u8>| byte.is_some_and(|byte| is_word(*byte) || matches!(byte, b'\'' | b'"'));
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let message = match readings.at(*at) {
            Some(Kind::Text { formatted }) => in_string(key, formatted),
            Some(Kind::Comment) => {
                format!(
                    "{{{key}}} stands in a comment, where a value means nothing; write {{{{{key}}}}} to keep the text"
                )
            }
            None if touches(before) || before == Some(&b'.') || touches(bytes.get(at + 1)) => {
                format!("{{{key}}} touches what is beside it, which would change the value: put blanks around it")
            }
            None => continue,
        };
        plan.errors.push(TemplateError { offset: *offset, message });
    }
}

fn in_string(key: &str, formatted: bool) -> String {
    let string = if formatted { "an f-string" } else { "a string" };
    format!(
        "{{{key}}} stands in {string}, but a value goes in as a Python literal of its own: take it out, as in \
         '/out/%s.png' % {{{key}}} (with %04d for a padded frame); for Python's own braces write {{{{{key}}}}}"
    )
}

#[cfg(test)]
pub(in crate::job) mod tests {
    use super::super::python::{Region, regions};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn values(pairs: &[(&str, Value)]) -> BTreeMap<String, Value> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    fn expanded(template: &str) -> Result<String, TemplateError> {
        let values = values(&[("a", json!("x{b}'")), ("b", json!(-5)), ("n", json!(7)), ("é", json!(1))]);
        expand(template, &Values::of([&values]))
    }

    #[test]
    fn only_known_keys_are_placeholders() {
        assert_eq!(expanded("f({a}, {n})").unwrap(), "f('x{b}\\'', 7)");
        assert_eq!(expanded("{c} {'a': {n}} { a } {a,n} {} {a!r}").unwrap(), "{c} {'a': 7} { a } {a,n} {} {a!r}");
        assert_eq!(expanded("{{a}} f'{{n}}' {{{a}}} {{n}: 1}").unwrap(), "{a} f'{n}' {{a}} {7: 1}");
        assert_eq!(expanded("{b}**2 + {n}.real - {n}").unwrap(), "(-5)**2 + (7).real - 7");
        assert_eq!(expanded("'/%04d' % {n} # ok").unwrap(), "'/%04d' % 7 # ok");
    }

    #[test]
    fn an_item_brings_its_keys() {
        let run = crate::model::job::FrameRun { first: 10, count: 3, step: -2 };
        let data = values(&[("k-1", json!([1]))]);
        let item = ItemSpec { name: "x".into(), data, frames: Some(run), ..ItemSpec::default() };
        let parameters = BTreeMap::new();
        let values = Values::of([&parameters]).with_item(&item);
        let text = expand("{frame}, {start}, {end}, {step}, {name}, {frames}, {item.k-1}, {item.z}", &values).unwrap();
        assert_eq!(text, "10, 10, 6, (-2), 'x', [10, 8, 6], [1], {item.z}");
    }

    #[test]
    fn strings_comments_and_neighbours_are_refused() {
        for (template, offset, word) in [
            ("x = '/out/{n}.png'", 10, "'/out/%s.png' % {n}"),
            ("x = f\"{n}\"", 6, "f-string"),
            ("x = f'{d[\"{n}\"]}'", 10, "string"),
            ("# é {n}", 5, "comment"),
            ("x = '''\n{n}'''", 8, "string"),
            ("f{a}", 1, "blanks"),
            ("x = ''{a}", 6, "blanks"),
            ("x = {a}''", 4, "blanks"),
            ("{a}{a}", 0, "blanks"),
            ("1.{n}", 2, "blanks"),
            ("{n}e5", 0, "blanks"),
        ] {
            let error = expanded(template).unwrap_err();
            assert_eq!(error.offset, offset, "{template}");
            assert!(error.message.contains(word), "{template}: {error}");
        }
    }

    pub(in crate::job) fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".{0,12}", r#"['"\\{}#nrf\n\r\x00 ]{0,8}"#];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// In the text that runs, the tokens around the values are the template's, and a value's are its literal's.
        #[test]
        fn no_value_becomes_code(
            template in r#"([fr'"{}#:\\\n(= .]|\{a\}|\{\{a\}\}){0,14}"#,
            value in any_value(),
        ) {
            let values = values(&[("a", value)]);
            let plan = plan(&template, &|key| key == "a");
            prop_assume!(plan.errors.is_empty());
            let (text, inserted) = fill(&plan, &Values::of([&values]));
            for fields in [false, true] {
                let (own, around): (Vec<_>, Vec<_>) = regions(&text, fields)
                    .into_iter()
                    .partition(|region| inserted.iter().any(|range| inside(region, range)));
                let around: Vec<_> = around.into_iter().map(|region| in_skeleton(&region, &inserted)).collect();
                prop_assert_eq!(around, regions(&plan.skeleton, fields));
                let literals: Vec<_> = inserted.iter().flat_map(|range| {
                    regions(&text[range.clone()], fields).into_iter().map(|region| moved(&region, range.start, 0))
                }).collect();
                prop_assert_eq!(own, literals);
            }
        }
    }

    fn inside(region: &Region, range: &Range<usize>) -> bool {
        region.range.start >= range.start && region.range.end <= range.end
    }

    fn moved(region: &Region, by: usize, back: usize) -> Region {
        Region { range: region.range.start + by - back..region.range.end + by - back, kind: region.kind }
    }

    /// Where a region would be if every value were one byte.
    fn in_skeleton(region: &Region, inserted: &[Range<usize>]) -> Region {
        let before = inserted.iter().filter(|range| range.end <= region.range.start);
        let (count, length) = before.fold((0, 0), |(count, length), range| (count + 1, length + range.len()));
        moved(region, count, length)
    }
}
