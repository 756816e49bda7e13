//! Paths of other machines as they are called on this one.
//!
//! What must stay true: a prefix ends where a component ends, so that `/show` says nothing of `/shows`; the longest prefix
//! wins, whatever the order; a path is mapped once, so that no map can send it in circles. A prefix with a drive letter or
//! backslashes is a Windows path: there either kind of slash separates, and letters of either case are the same.

use serde::{Deserialize, Serialize};

/// One prefix, and what it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRule {
    /// As other machines call it.
    pub from: String,
    /// As it is called here.
    pub to: String,
}

/// All of them; of two for one prefix the first counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathMap {
    rules: Vec<PathRule>,
}

impl PathRule {
    /// A rule; refused when it says nothing.
    pub fn new(from: &str, to: &str) -> Result<Self, String> {
        if from.is_empty() || to.is_empty() {
            return Err("a path map has a path on either side".to_owned());
        }
        if [from, to].iter().any(|path| path.contains(char::is_control)) {
            return Err("a path map cannot have control characters in it".to_owned());
        }
        Ok(Self { from: from.to_owned(), to: to.to_owned() })
    }
}

impl PathMap {
    /// Adds a rule that counts only for what no rule before says.
    pub fn add(&mut self, rule: PathRule) {
        self.rules.push(rule);
    }

    /// The rules, those that count first.
    pub fn rules(&self) -> &[PathRule] {
        &self.rules
    }

    /// What a path is called here; `None` when no prefix fits.
    pub fn map(&self, path: &str) -> Option<String> {
        let mut best: Option<(usize, String)> = None;
        for rule in &self.rules {
            if let Some((length, mapped)) = apply(rule, path)
                && best.as_ref().is_none_or(|(longest, _)| length > *longest)
            {
                best = Some((length, mapped));
            }
        }
        best.map(|(_, mapped)| mapped)
    }
}

/// How long the prefix is, and the mapped path.
fn apply(rule: &PathRule, path: &str) -> Option<(usize, String)> {
    let (from, path) = if is_windows(&rule.from) {
        (with_slashes(&rule.from), with_slashes(path))
    } else {
        (rule.from.clone(), path.to_owned())
    };
    let from = without_end(&from);
    let head = path.get(..from.len())?;
    let same = if is_windows(&rule.from) { head.to_lowercase() == from.to_lowercase() } else { head == from };
    let rest = &path[from.len()..];
    if !same || !(rest.is_empty() || rest.starts_with('/') || from.ends_with('/')) {
        return None;
    }
    let to = without_end(&rule.to);
    let between = if from.ends_with('/') && !to.ends_with('/') && !rest.is_empty() { "/" } else { "" };
    let rest = if to.ends_with('/') { rest.trim_start_matches('/') } else { rest };
    Some((from.len(), [to, between, rest].concat()))
}

/// Without the slashes at its end, but never without all of them.
fn without_end(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { &path[..1.min(path.len())] } else { trimmed }
}

fn is_windows(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.contains('\\') || (bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':'))
}

/// A Windows path with one `/` between components; a share keeps the two that it begins with. In a Python literal each
/// backslash may be written twice.
fn with_slashes(path: &str) -> String {
    let share = path.starts_with(r"\\") || path.starts_with("//");
    let mut text = String::with_capacity(path.len());
    for c in path.chars() {
        let c = if c == '\\' { '/' } else { c };
        if c != '/' || !text.ends_with('/') {
            text.push(c);
        }
    }
    if share { format!("/{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(rules: &[(&str, &str)]) -> PathMap {
        let mut map = PathMap::default();
        for (from, to) in rules {
            map.add(PathRule::new(from, to).expect("sound"));
        }
        map
    }

    fn mapped(rules: &[(&str, &str)], path: &str) -> String {
        map(rules).map(path).unwrap_or_else(|| "(none)".to_owned())
    }

    #[test]
    fn the_longest_prefix_wins_where_a_component_ends() {
        let rules = [("/show", "/mnt/show"), ("/show/a/", "/fast"), ("/", "/else")];
        assert_eq!(mapped(&rules, "/show/b.exr"), "/mnt/show/b.exr");
        assert_eq!(mapped(&rules, "/show/a/b.exr"), "/fast/b.exr");
        assert_eq!(mapped(&rules, "/show/ab"), "/mnt/show/ab");
        assert_eq!(mapped(&rules, "/shows/x"), "/else/shows/x");
        assert_eq!(mapped(&rules, "/show"), "/mnt/show");
        assert_eq!(mapped(&rules, "/"), "/else");
        assert_eq!(mapped(&rules, "show"), "(none)");
        assert_eq!(mapped(&[("/a", "/"), ("/a", "/b")], "/a/c"), "/c");
    }

    #[test]
    fn a_windows_prefix_knows_both_slashes_and_both_cases() {
        let rules = [(r"Z:\show", "/mnt/show"), (r"\\server\vol", "/mnt/vol"), ("y:", "/mnt/y")];
        for path in [r"Z:\show\a\b.exr", "z:/Show/a/b.exr", r"Z:\\show\\a\\b.exr"] {
            assert_eq!(mapped(&rules, path), "/mnt/show/a/b.exr", "{path}");
        }
        assert_eq!(mapped(&rules, r"Z:\shows\a"), "(none)");
        assert_eq!(mapped(&rules, r"\\SERVER\vol\x y"), "/mnt/vol/x y");
        assert_eq!(mapped(&rules, "//server/vol"), "/mnt/vol");
        assert_eq!(mapped(&rules, "/server/vol"), "(none)");
        assert_eq!(mapped(&rules, r"Y:\"), "/mnt/y/");
    }

    fn component() -> impl Strategy<Value = String> {
        "[a-c]{1,2}"
    }

    fn path() -> impl Strategy<Value = String> {
        prop::collection::vec(component(), 1..5).prop_map(|parts| format!("/{}", parts.join("/")))
    }

    proptest! {
        #[test]
        fn what_is_mapped_is_what_the_longest_rule_says(rules in prop::collection::vec((path(), path()), 0..6), at in path()) {
            let mut map = PathMap::default();
            for (from, to) in &rules {
                map.add(PathRule::new(from, &format!("/x{to}")).expect("sound"));
            }
            let fits = |from: &str| at == from || at.starts_with(&format!("{from}/"));
            let longest = rules.iter().filter(|(from, _)| fits(from)).map(|(from, _)| from.len()).max();
            let wanted = longest.and_then(|longest| rules.iter().find(|(from, _)| fits(from) && from.len() == longest));
            prop_assert_eq!(map.map(&at), wanted.map(|(from, to)| format!("/x{to}{}", &at[from.len()..])));
        }

        #[test]
        fn no_text_breaks_it(from in ".{1,12}", to in ".{1,12}", path in ".{0,20}") {
            if let Ok(rule) = PathRule::new(&from, &to) {
                let mut map = PathMap::default();
                map.add(rule);
                let _ = map.map(&path);
                let _ = map.map(&format!("{from}/{path}"));
            }
        }
    }
}
