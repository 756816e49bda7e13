//! JSON into the tree. `serde_json` keeps no places, so this finds the tokens; it leaves their meaning to `serde_json`.

use super::source::{At, quoted};
use super::tree::{Entry, Node, Tree, Walk};
use std::collections::HashSet;

/// Deeper nesting is refused, as in TOML: it is no job, and would cost the stack.
const DEPTH: usize = 80;

/// The document as a tree; `None` when its syntax is wrong, which the walk has been told.
pub(crate) fn read(walk: &mut Walk<'_>) -> Option<Node> {
    let text = walk.source.text();
    let mut reader = Reader { text, at: 0, repeated: Vec::new() };
    let read = reader.document();
    for (at, key) in reader.repeated {
        walk.add(At::byte(at), format!("the key {} is there twice", quoted(&key)));
    }
    read.map_err(|(at, message)| walk.add(At::byte(at), message)).ok()
}

type Wrong = (usize, String);

struct Reader<'t> {
    text: &'t str,
    at: usize,
    repeated: Vec<(usize, String)>,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Node, Wrong> {
        let node = self.node(0)?;
        self.skip_blanks();
        if self.at < self.text.len() { self.wrong("expected the end of the file") } else { Ok(node) }
    }

    fn node(&mut self, depth: usize) -> Result<Node, Wrong> {
        self.skip_blanks();
        let at = At::byte(self.at);
        if depth > DEPTH {
            return self.wrong("is nested too deeply");
        }
        let tree = match self.peek() {
            Some(b'{') => self.table(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Tree::Text(self.text()?),
            _ => self.scalar()?,
        };
        Ok(Node { at, tree })
    }

    fn table(&mut self, depth: usize) -> Result<Tree, Wrong> {
        let (mut entries, mut seen) = (Vec::new(), HashSet::new());
        self.at += 1;
        if self.ends_with(b'}') {
            return Ok(Tree::Table(entries));
        }
        loop {
            self.skip_blanks();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return self.wrong("expected a key in double quotes");
            }
            let key = self.text()?;
            self.take(b':', "expected \":\" after the key")?;
            let value = self.node(depth + 1)?;
            if seen.insert(key.clone()) {
                entries.push(Entry { at: At::byte(start), key, value });
            } else {
                self.repeated.push((start, key));
            }
            if self.ends_with(b'}') {
                return Ok(Tree::Table(entries));
            }
            self.take(b',', "expected \",\" or \"}\"")?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree, Wrong> {
        let mut nodes = Vec::new();
        self.at += 1;
        if self.ends_with(b']') {
            return Ok(Tree::List(nodes));
        }
        loop {
            nodes.push(self.node(depth + 1)?);
            if self.ends_with(b']') {
                return Ok(Tree::List(nodes));
            }
            self.take(b',', "expected \",\" or \"]\"")?;
        }
    }

    fn text(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(b'\n') | None => return self.wrong("this string has no end"),
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        let token = &self.text[start..=end];
        serde_json::from_str(token).map_err(|error| {
            (start + error.column().saturating_sub(1), "a wrong escape or a control character in this string".into())
        })
    }

    fn scalar(&mut self) -> Result<Tree, Wrong> {
        let rest: &'t str = &self.text[self.at..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(rest.len());
        let token = &rest[..length];
        let tree = match token {
            "null" => Tree::Null,
            "true" => Tree::Bool(true),
            "false" => Tree::Bool(false),
            "" => return self.wrong("expected a value"),
            _ => match serde_json::from_str::<serde_json::Number>(token) {
                Err(_) => return self.wrong(format!("{} is no JSON value", quoted(token))),
                Ok(number) => match number.as_i64() {
                    Some(whole) => Tree::Integer(whole),
                    // serde_json makes a float of an integer that is too long; a rounded frame number helps nobody.
                    None if token == "-0" || token.contains(['.', 'e', 'E']) => {
                        Tree::Float(number.as_f64().unwrap_or_default())
                    }
                    None => return self.wrong("this integer does not fit into 64 bits"),
                },
            },
        };
        self.at += length;
        Ok(tree)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn ends_with(&mut self, close: u8) -> bool {
        self.skip_blanks();
        let ends = self.peek() == Some(close);
        self.at += usize::from(ends);
        ends
    }

    fn take(&mut self, byte: u8, or: &str) -> Result<(), Wrong> {
        if self.ends_with(byte) { Ok(()) } else { self.wrong(or) }
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Wrong> {
        Err((self.at, message.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::{Format, Sink, Source};
    use super::*;
    use proptest::prelude::*;

    fn read_all(text: &str) -> Result<serde_json::Value, String> {
        let source = Source::file("j.json", text, Format::Json);
        let mut walk = Walk { source: &source, sink: Sink::default() };
        let node = read(&mut walk);
        let value = node.as_ref().map(|node| node.value(&mut walk));
        walk.sink.finish(|| value).map_err(|errors| errors.to_string())
    }

    #[test]
    fn errors_have_places() {
        let said = |text: &str| read_all(text).unwrap_err();
        assert_eq!(said("{\"a\": 1,\n \"a\": 2}"), "j.json:2:2: the key \"a\" is there twice");
        assert_eq!(said("{\"a\" 1}"), "j.json:1:6: expected \":\" after the key");
        assert_eq!(said("[1,\n  tru]"), "j.json:2:3: \"tru\" is no JSON value");
        assert_eq!(said("[1"), "j.json:1:3: expected \",\" or \"]\"");
        assert!(said(&"[".repeat(5000)).contains("nested too deeply"));
        assert!(said("\"a\\q\"").contains("wrong escape"));
        assert!(said("99999999999999999999").contains("64 bits"));
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_reads(text in r#"[\[\]{}",:0-9.eE\-a\\u \n]{0,24}"#) {
            match (serde_json::from_str::<serde_json::Value>(&text), read_all(&text)) {
                (Ok(theirs), Ok(ours)) => prop_assert_eq!(theirs, ours),
                (Err(_), Err(_)) => {}
                // Ours is stricter: no repeated keys, no integer beyond 64 bits.
                (Ok(_), Err(ours)) => prop_assert!(ours.contains("twice") || ours.contains("64 bits"), "{}", ours),
                (Err(theirs), Ok(_)) => prop_assert!(false, "{} but {}", text, theirs),
            }
        }

        #[test]
        fn no_text_breaks_it(text in ".*") {
            let _ = read_all(&text);
        }
    }
}
