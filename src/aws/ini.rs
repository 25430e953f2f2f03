//! The grammar of `~/.aws/config` and `~/.aws/credentials`.
//!
//! Users write these files for the AWS CLI, so all of its rules apply, including the surprising ones.
//!
//! Source: `configparser.py` in Python (`RawConfigParser._read`), `configloader.py` in botocore, and
//! `shlex.py` in Python.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The sections of a file, in order. Of two sections with the same name, the last one counts.
#[derive(Default)]
pub(super) struct IniFile {
    pub(super) sections: Vec<Section>,
    /// The position of each section, by name.
    index: BTreeMap<String, usize>,
}

/// A section and its keys.
#[derive(Default)]
pub(super) struct Section {
    /// The text between the brackets.
    pub(super) name: String,
    /// The keys, in lower case, and their values.
    pub(super) keys: BTreeMap<String, String>,
    /// The keys of the `[DEFAULT]` section, which every section inherits.
    defaults: Arc<BTreeMap<String, String>>,
    /// Keys of the section that appear twice, or the section itself.
    pub(super) repeated: Vec<Repeated>,
}

/// A key or a section that appears twice. The last one counts here, while the AWS CLI rejects the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    /// The line of the second one, from 1.
    pub(super) line: usize,
    /// The key. `None` for the section itself.
    pub(super) key: Option<String>,
}

/// The error for a file that can't be parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IniError {
    /// From 1.
    pub(super) line: usize,
    /// The reason, without the text of the line, which may contain a secret.
    pub(super) why: &'static str,
}

/// The section whose keys every other section inherits.
const DEFAULTS: &str = "DEFAULT";

impl IniFile {
    /// Parses the text of a file. A byte-order mark is skipped. Fails at the first line that is not a section, a key, a
    /// comment or a continuation.
    pub(super) fn parse(text: &str) -> Result<Self, IniError> {
        let mut parser = Parser::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
        for (index, line) in text.split('\n').enumerate() {
            parser.parse_line(index + 1, line)?;
        }
        Ok(parser.finish())
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.index.get(name).map(|index| &self.sections[*index])
    }
}

impl Section {
    /// Returns the value of a key, without surrounding white space. `None` if it is absent, blank, or a nested block.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let value = self.raw(key)?;
        let is_block = value.starts_with('\n') && value.lines().all(|s| s.trim().is_empty() || s.contains('='));
        Some(value.trim_matches(is_space)).filter(|value| !value.is_empty() && !is_block)
    }

    /// Whether the section has the key, even with a blank value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    /// Returns the value of `name` in the nested block of `key`, the indented lines below `key =`.
    pub(super) fn nested(&self, key: &str, name: &str) -> Option<&str> {
        let block = self.raw(key).filter(|value| value.starts_with('\n'))?;
        let mut pairs = block.split(is_line_end).rev().filter_map(|line| line.split_once('='));
        let value = pairs.find(|(key, _)| key.trim_matches(is_space) == name)?.1.trim_matches(is_space);
        Some(value).filter(|value| !value.is_empty())
    }

    fn raw(&self, key: &str) -> Option<&str> {
        self.keys.get(key).or_else(|| self.defaults.get(key)).map(String::as_str)
    }
}

/// The state of the parser between two lines.
#[derive(Default)]
struct Parser {
    file: IniFile,
    /// The position of the current section.
    current: Option<usize>,
    /// The current key, whose value a line with a larger indent continues.
    key: Option<String>,
    /// The indent of the current key, in characters.
    indent: usize,
}

impl Parser {
    fn parse_line(&mut self, number: usize, line: &str) -> Result<(), IniError> {
        let text = line.trim_matches(is_space);
        if text.starts_with(['#', ';']) {
            return Ok(());
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        // An empty line belongs to the value if a continuation follows. Otherwise `finish` removes it.
        if text.is_empty() || (self.key.is_some() && indent > self.indent) {
            self.append_line(text);
            return Ok(());
        }
        self.indent = indent;
        // The name ends at the last closing bracket of the line.
        let name = text.strip_prefix('[').and_then(|rest| Some(&rest[..rest.rfind(']')?]));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.start_section(number, name);
            return Ok(());
        }
        let fail = |why| Err(IniError { line: number, why });
        if text.starts_with('[') {
            return fail("a section needs a closing bracket");
        }
        let Some(current) = self.current else { return fail("the first line must be a section, such as [default]") };
        match text.find(['=', ':']) {
            None => fail("a line must be a section, a comment, or 'key = value'"),
            Some(0) => fail("there is no key before the '='"),
            Some(at) => {
                self.set_value(number, current, &text[..at], &text[at + 1..]);
                Ok(())
            }
        }
    }

    /// Starts the section `name`. An earlier section with the same name is dropped, so that its keys are not mixed with
    /// the new ones.
    fn start_section(&mut self, line: usize, name: &str) {
        self.key = None;
        let IniFile { sections, index } = &mut self.file;
        let empty = Section { name: name.to_owned(), ..Section::default() };
        let existing = index.get(name).copied();
        match existing {
            Some(_) if name == DEFAULTS => {}
            Some(at) => sections[at] = Section { repeated: vec![Repeated { line, key: None }], ..empty },
            None => {
                index.insert(name.to_owned(), sections.len());
                sections.push(empty);
            }
        }
        self.current = existing.or(Some(sections.len() - 1));
    }

    fn set_value(&mut self, line: usize, current: usize, key: &str, value: &str) {
        let key = key.trim_end_matches(is_space).to_lowercase();
        let section = &mut self.file.sections[current];
        if section.keys.insert(key.clone(), value.trim_matches(is_space).to_owned()).is_some() {
            section.repeated.push(Repeated { line, key: Some(key.clone()) });
        }
        self.key = Some(key);
    }

    fn append_line(&mut self, text: &str) {
        let sections = &mut self.file.sections;
        let value = self.current.zip(self.key.as_ref()).and_then(|(at, key)| sections[at].keys.get_mut(key));
        if let Some(value) = value {
            value.push('\n');
            value.push_str(text);
        }
    }

    fn finish(mut self) -> IniFile {
        let IniFile { sections, index } = &mut self.file;
        for value in sections.iter_mut().flat_map(|section| section.keys.values_mut()) {
            value.truncate(value.trim_end_matches(is_space).len());
        }
        if let Some(at) = index.remove(DEFAULTS) {
            let defaults = Arc::new(std::mem::take(&mut sections[at].keys));
            sections.iter_mut().for_each(|section| section.defaults = Arc::clone(&defaults));
        }
        self.file
    }
}

/// Splits a section's name into words, as a POSIX shell splits a command line. `None` if a quote is not closed.
pub(super) fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if quote.is_none() && matches!(c, ' ' | '\t' | '\r' | '\n') {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '\\') => word.push(chars.next()?),
            (Some('"'), '\\') => match chars.next()? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            (_, c) => word.push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Whether Python's `str.strip` removes the character.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Whether Python's `str.splitlines` splits at the character.
fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, section: &str, key: &str) -> Option<String> {
        let file = IniFile::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        file.section(section)?.get(key).map(str::to_owned)
    }

    #[test]
    fn keys_are_read_as_python_reads_them() {
        for (text, expected) in [
            ("[s]\nk = v", Some("v")),
            ("[s]\nk:v", Some("v")),
            ("[s]\nk : a = b", Some("a = b")),
            ("[s]\nK = v", Some("v")),
            ("\u{feff}[s]\r\nk = v\r\n", Some("v")),
            ("[s]\rk = v\r", Some("v")),
            ("  [s]\n  k = v\n  l = w", Some("v")),
            ("[s] # comment\nk = v", Some("v")),
            ("[s]\nk = v # no comment", Some("v # no comment")),
            ("[s]\nk = v\n  # a comment\n  ; another", Some("v")),
            ("[s]\nk = v\n  w", Some("v\nw")),
            ("[s]\nk = v\n\n  w", Some("v\n\nw")),
            ("[s]\n  k = v\n  l = w", Some("v")),
            ("[s]\nk =\n  a = b\n", None),
            ("[s]\nk =\n  arn:aws", Some("arn:aws")),
            ("[s]\nk =\n[t]", None),
            ("[DEFAULT]\nk = v\n[s]\nl = w", Some("v")),
            ("[DEFAULT]\nk = v\n[s]\nk = w", Some("w")),
            ("[s]\nk = v\n[t]\n[s]\nk = w", Some("w")),
            ("[s]\nk = v\n[t]\n[s]\nl = w", None),
            ("[s]\nk = v\nk = w", Some("w")),
        ] {
            assert_eq!(value(text, "s", "k").as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_keys_of_a_nested_block_are_separate() {
        let file = IniFile::parse("[services s]\nsts =\n  endpoint_url = http://a\n  x=y\nsso =\n").unwrap();
        let section = file.section("services s").unwrap();
        assert_eq!(section.nested("sts", "endpoint_url"), Some("http://a"));
        assert_eq!((section.nested("sts", "y"), section.nested("sso", "x")), (None, None));
    }

    #[test]
    fn errors_have_the_line_number() {
        for (text, line) in
            [("k = v", 1), ("[s]\n[t\n", 2), ("[s]\nk\n", 2), ("[s]\n\n= v", 3), ("[]", 1), ("# x\n\nk = v", 3)]
        {
            assert_eq!(IniFile::parse(text).err().map(|error| error.line), Some(line), "{text:?}");
        }
    }

    #[test]
    fn names_are_split_as_a_shell_splits_words() {
        for (text, expected) in [
            ("profile a", vec!["profile", "a"]),
            ("profile  'My Prod'", vec!["profile", "My Prod"]),
            ("profile \"a\\\"b\\n\"", vec!["profile", "a\"b\\n"]),
            ("profile a\\ b", vec!["profile", "a b"]),
            ("profile ''", vec!["profile", ""]),
            ("profile #a", vec!["profile", "#a"]),
            ("profile a'b'c", vec!["profile", "abc"]),
        ] {
            assert_eq!(split_words(text).unwrap(), expected, "{text}");
        }
        assert!(["profile 'a", "profile \"a", "profile a\\"].iter().all(|text| split_words(text).is_none()));
    }
}
