//! What is typed into `&`: predicates and a pattern in one line, so that it can be read, changed and kept as it was typed.
//!
//! ```text
//! item:NAME since:10m context:2 !PATTERN
//! ```
//!
//! The words stand first, in any order, none of them is needed; a name with blanks stands in quotes. `!` wants the lines
//! that do not match; `\!` is a `!`, as `item\:` is a text and no word.

use crate::job::duration;
use crate::model::proto::OutputQuery;
use crate::model::search::CONTEXT_LIMIT;
use crate::model::{Case, Filter, Grep, ItemIndex, Micros, Pattern};
use crate::tui::text;

/// A filter in force, and how it was typed.
#[derive(Debug, Clone, Default)]
pub(in crate::tui) struct Sieve {
    text: String,
    filter: Filter,
    pattern: Option<Pattern>,
}

impl Sieve {
    /// As it was typed; nothing where no filter is in force.
    pub(in crate::tui) fn text(&self) -> &str {
        &self.text
    }

    /// As the session is asked for it.
    pub(in crate::tui) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether it leaves anything out.
    pub(in crate::tui) fn is_on(&self) -> bool {
        !self.filter.is_empty()
    }

    /// What is wanted in each line, where lines are wanted in which something stands.
    pub(in crate::tui) fn pattern(&self) -> Option<&Pattern> {
        let inverse = self.filter.grep.as_ref().is_some_and(|grep| grep.invert);
        self.pattern.as_ref().filter(|_| !inverse)
    }

    /// Whether the question was asked with this filter.
    pub(in crate::tui) fn is_of(&self, query: &OutputQuery) -> bool {
        self.filter == query.filter
    }
}

/// What was typed, read; an item is still a name.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Wish {
    text: String,
    item: Option<String>,
    since: Option<Micros>,
    context: u32,
    grep: Option<(Grep, Pattern)>,
}

impl Wish {
    /// Reads it; else what is wrong with it, for people. `now` is the engine's wall time.
    pub(in crate::tui) fn read(typed: &str, now: Micros) -> Result<Self, String> {
        let mut wish = Self { text: typed.into(), item: None, since: None, context: 0, grep: None };
        let mut rest = typed;
        while let Some((word, value, after)) = word(rest.trim_start()) {
            match word {
                // What is not typed yet is no name.
                Word::Item => wish.item = Some(value).filter(|name| !name.is_empty()).map(Into::into),
                Word::Since => wish.since = Some(since(value, now)?),
                Word::Context => wish.context = context(value)?,
            }
            rest = after.strip_prefix(' ').unwrap_or(after);
        }
        let (invert, pattern) = rest.strip_prefix('!').map_or((false, rest), |pattern| (true, pattern));
        if !pattern.is_empty() {
            let grep = Grep { pattern: pattern.into(), case: Case::Smart, invert };
            let compiled = compile(&grep)?;
            wish.grep = Some((grep, compiled));
        }
        Ok(wish)
    }

    /// Only what an item printed.
    pub(in crate::tui) fn of_item(name: &str) -> Self {
        let quoted = if name.contains(' ') { format!("item:\"{name}\"") } else { format!("item:{name}") };
        Self { text: quoted, item: Some(name.into()), since: None, context: 0, grep: None }
    }

    /// The item whose place has to be known first.
    pub(in crate::tui) fn item(&self) -> Option<&str> {
        self.item.as_deref()
    }

    /// The filter, with the place of its item.
    pub(in crate::tui) fn sieve(self, item: Option<ItemIndex>) -> Sieve {
        let (grep, pattern) = self.grep.unzip();
        let filter = Filter { item, since: self.since, grep, context: self.context };
        if filter.is_empty() { Sieve::default() } else { Sieve { text: self.text, filter, pattern } }
    }
}

/// Compiles a pattern; else what is wrong, in one line.
pub(in crate::tui) fn compile(grep: &Grep) -> Result<Pattern, String> {
    Pattern::new(grep).map_err(|bad| text::one_line(&bad.to_string()).into_owned())
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Item,
    Since,
    Context,
}

/// The word at the beginning of a text, its value, and what follows.
fn word(text: &str) -> Option<(Word, &str, &str)> {
    let words = [("item:", Word::Item), ("since:", Word::Since), ("context:", Word::Context)];
    let (word, rest) = words.into_iter().find_map(|(name, word)| Some((word, text.strip_prefix(name)?)))?;
    let (value, after) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
    };
    Some((word, value, after))
}

fn since(value: &str, now: Micros) -> Result<Micros, String> {
    let length =
        duration::parse(value).map_err(|_| format!("since:{value} is no length of time: since:10m, since:2h"))?;
    Ok(Micros(now.since(Micros::from(length)).0))
}

fn context(value: &str) -> Result<u32, String> {
    let lines = value.parse().ok().filter(|lines| *lines <= CONTEXT_LIMIT);
    lines.ok_or_else(|| format!("context:{value} is no number of lines up to {CONTEXT_LIMIT}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Micros = Micros(10_000_000_000);

    fn filter(typed: &str) -> Filter {
        Wish::read(typed, NOW).unwrap().sieve(None).filter
    }

    fn pattern(typed: &str) -> (String, bool) {
        let grep = filter(typed).grep.unwrap();
        (grep.pattern, grep.invert)
    }

    #[test]
    fn words_stand_before_the_pattern() {
        let wish = Wish::read("item:\"frame 0001\" since:10m  context:2 err|warn", NOW).unwrap();
        assert_eq!(wish.item(), Some("frame 0001"));
        let sieve = wish.sieve(Some(ItemIndex(3)));
        assert_eq!(sieve.filter.item, Some(ItemIndex(3)));
        assert_eq!(sieve.filter.since, Some(Micros(NOW.0 - 600_000_000)));
        assert_eq!(sieve.filter.context, 2);
        assert_eq!(sieve.filter.grep.unwrap().pattern, "err|warn");
        assert_eq!(pattern("item:x since:1s a item:y"), ("a item:y".into(), false));
    }

    #[test]
    fn an_exclamation_mark_inverts_and_an_escaped_one_is_itself() {
        assert_eq!(pattern("!tile"), ("tile".into(), true));
        let (escaped, invert) = pattern("\\!tile");
        assert!(!invert);
        let compiled = compile(&Grep { pattern: escaped, case: Case::Smart, invert }).unwrap();
        assert!(compiled.wants(b"a !tile") && !compiled.wants(b"a tile"));
        assert_eq!(pattern("item\\:x"), ("item\\:x".into(), false));
        assert_eq!(pattern("  two blanks"), ("  two blanks".into(), false));
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        assert_eq!(Wish::read("a(", NOW).unwrap_err(), "unclosed group, at character 2 of the pattern");
        assert!(Wish::read("since:soon", NOW).unwrap_err().contains("since:soon is no length of time"));
        assert!(Wish::read("context:101 a", NOW).unwrap_err().contains("up to 100"));
    }

    #[test]
    fn what_leaves_nothing_out_is_no_filter() {
        for typed in ["", "!", "context:3", "item:", "item: !"] {
            let sieve = Wish::read(typed, NOW).unwrap().sieve(None);
            assert_eq!((sieve.is_on(), sieve.text()), (false, ""), "{typed}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(typed in "(item:|since:|context:|\"|!|[0-9]|\\PC){0,12}") {
            if let Ok(wish) = Wish::read(&typed, NOW) {
                let _ = wish.sieve(None);
            }
        }
    }
}
