//! Content types, read as RFC 9110 writes them (sections 5.6.6 and 8.3.1) and no more leniently.
//!
//! What two readers could read differently is refused: a blank around `=`, an open quote, a doubled parameter, two types in one
//! value. A body is decided on and masked as UTF-8, so it must not reach anybody under a label that says otherwise. What goes on is
//! never the text that came but one of our own.

/// A content type: `type/subtype` and parameters, names in lower case, quotes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    essence: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Reads a whole field value. None: it is no content type, or one that readers could take for different ones.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MOST && text.is_ascii())?;
        let (essence, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let (kind, subtype) = trim(essence).split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let essence = format!("{kind}/{subtype}").to_ascii_lowercase();
        let mut parameters: Vec<(String, String)> = Vec::new();
        while let Some(more) = rest.strip_prefix(';') {
            let more = more.trim_start_matches(BLANKS);
            // An empty parameter is none.
            if more.is_empty() || more.starts_with(';') {
                rest = more;
                continue;
            }
            let (name, more) = more.split_once('=')?;
            let (value, more) = value(more)?;
            let name = Some(name).filter(|name| is_token(name))?.to_ascii_lowercase();
            if parameters.iter().any(|(other, _)| *other == name) {
                return None;
            }
            parameters.push((name, value));
            rest = more.trim_start_matches(BLANKS);
        }
        rest.is_empty().then_some(Self { essence, parameters })
    }

    /// `type/subtype`, in lower case.
    #[must_use]
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// Whether it is JSON by its name (RFC 8259; RFC 6839, section 3.1), whatever its parameters.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let suffixed = |name: &str| name.strip_suffix("+json").is_some_and(|name| !name.is_empty());
        self.essence.strip_prefix("application/").is_some_and(|name| name == "json" || suffixed(name))
    }

    /// Whether its parameters say UTF-8 and nothing else.
    #[must_use]
    pub fn is_utf8_alone(&self) -> bool {
        self.parameters.iter().all(|(name, value)| name == "charset" && is_utf8(value))
    }

    /// Whether both are one type with the same parameters, in whatever order. That of UTF-8 does not count.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let telling = |parameter: &&(String, String)| parameter.0 != "charset" || !is_utf8(&parameter.1);
        let all_in = |one: &Self, other: &Self| {
            one.parameters.iter().filter(telling).all(|parameter| other.parameters.contains(parameter))
        };
        self.essence == other.essence && all_in(self, other) && all_in(other, self)
    }
}

/// No content type in use is longer; a longer one is something else.
const MOST: usize = 256;

/// What may stand between parameters (OWS).
const BLANKS: [char; 2] = [' ', '\t'];

fn trim(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8"].iter().any(|name| charset.eq_ignore_ascii_case(name))
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A parameter's value, and what stands behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return is_token(value).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(letters.next().map(|(_, letter)| letter).filter(|letter| is_quotable(*letter))?),
            letter if is_quotable(letter) => value.push(letter),
            _ => return None,
        }
    }
    None
}

fn is_quotable(letter: char) -> bool {
    letter == '\t' || letter == ' ' || letter.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_in_utf8_is_read_however_it_is_written() {
        for text in [
            "application/json",
            "Application/JSON",
            " application/json\t",
            "application/json;charset=utf-8",
            "application/json; charset=UTF-8",
            "application/json;\tcharset=utf8",
            "application/json ; Charset=\"utf-8\"",
            "application/json; charset=\"u\\tf-8\"",
            "application/json;",
            "application/json; ; charset=utf-8 ;",
            "application/problem+json",
            "application/vnd.api+json; charset=utf-8",
        ] {
            let read = ContentType::read(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert!(read.is_json() && read.is_utf8_alone(), "{text}");
        }
    }

    #[test]
    fn what_readers_could_read_differently_is_no_content_type() {
        for text in [
            "",
            "application",
            "/json",
            "application/",
            "application /json",
            "application/ json",
            "application/json, text/plain",
            "application/json,application/json",
            "application/json text/plain",
            "application/json; charset =utf-7",
            "application/json; charset\t=utf-7",
            "application/json; charset= utf-7",
            "application/json; charset=",
            "application/json; charset",
            "application/json; =utf-8",
            "application/json; charset=\"utf-8",
            "application/json; charset=\"utf-8\\",
            "application/json; charset=\"utf-8\"utf-7",
            "application/json; charset=\"utf-8\" utf-7",
            "application/json; charset=utf-8 charset=utf-7",
            "application/json; charset=utf-8; charset=utf-8",
            "application/json; charset=utf-8; Charset=utf-7",
            "application/json; a=1; a=1",
            "application/json; charset=utf-8, text/plain",
            "application/json; charset=\"utf-8\", text/plain",
            "application/json charset=utf-7",
            "application/json; charset='utf-8",
            "application/json; char set=utf-7",
            "application/json; a=\"b\nc\"",
            "application/json\n; charset=utf-7",
            "application/json; charset=utf-8\0",
            "\u{feff}application/json",
            "application/json; charset=utf\u{2010}8",
        ] {
            // A quote that is part of a token is one more way to say something else than UTF-8.
            let fine = ContentType::read(text.as_bytes()).is_some_and(|read| read.is_json() && read.is_utf8_alone());
            assert!(!fine, "{text:?}");
        }
        assert_eq!(ContentType::read(b"application/json; charset=utf\xad8"), None);
        assert_eq!(ContentType::read(format!("application/json; a={}", "b".repeat(300)).as_bytes()), None);
    }

    #[test]
    fn a_parameter_other_than_utf8_is_told() {
        for text in [
            "application/json; charset=utf-7",
            "application/json; charset=utf-16",
            "application/json; charset=us-ascii",
            "application/json; charset*=utf-8''utf-7",
            "application/json; charset*0=utf; charset*1=-7",
            "application/json; version=1",
            "application/json; profile=\"a;charset=utf-8\"",
            "application/json; profile=\"a\\\"; charset=utf-7\"",
            "application/vnd.elasticsearch+json; compatible-with=9",
        ] {
            let read = ContentType::read(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert!(read.is_json() && !read.is_utf8_alone(), "{text}");
        }
        for text in ["text/json", "application/xjson", "application/+json", "application/jsonp", "x/json"] {
            assert!(!ContentType::read(text.as_bytes()).unwrap().is_json(), "{text}");
        }
    }

    #[test]
    fn types_are_compared_by_what_they_mean() {
        let read = |text: &str| ContentType::read(text.as_bytes()).unwrap();
        let own = read("application/vnd.elasticsearch+json; compatible-with=9");
        assert!(own.is_same(&read("application/vnd.elasticsearch+json;Compatible-With=\"9\";charset=UTF-8")));
        assert!(!own.is_same(&read("application/vnd.elasticsearch+json")));
        assert!(!own.is_same(&read("application/vnd.elasticsearch+json; compatible-with=8")));
        assert!(!own.is_same(&read("application/vnd.elasticsearch+json; compatible-with=9; a=b")));
        assert!(!own.is_same(&read("application/vnd.elasticsearch+json; compatible-with=9; charset=utf-7")));
    }

    proptest! {
        #[test]
        fn anything_can_be_read_and_what_is_read_says_one_thing(text in "application/json[ \t]{0,2}(;[ \ta-z=\"\\\\*;,8-]{0,12}){0,3}") {
            if let Some(read) = ContentType::read(text.as_bytes()) {
                let mut names: Vec<_> = read.parameters.iter().map(|(name, _)| name).collect();
                names.sort_unstable();
                names.dedup();
                prop_assert_eq!(names.len(), read.parameters.len());
                prop_assert!(names.iter().all(|name| is_token(name)));
                // Without quotes every `=` made a parameter, so none was overlooked.
                if !text.contains('"') {
                    prop_assert_eq!(text.matches('=').count(), read.parameters.len());
                }
            }
        }
    }
}
