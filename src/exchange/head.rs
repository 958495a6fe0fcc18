//! The headers of a message, as the host hands them out: names in lower case, values as bytes, every value of every name.

use crate::call::Head;
use crate::mask::Framing;
use crate::media::ContentType;

/// A header map with all its values, in order.
#[derive(Debug, Clone, Default)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// Takes what the host handed out.
    #[must_use]
    pub fn new(all: Vec<(String, Vec<u8>)>) -> Self {
        Self(all)
    }

    /// A map too large for the host comes back empty (over 1 MiB or 1024 entries), so an empty one must be refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.0.iter().filter(move |(header, _)| header == name).map(|(_, value)| value.as_slice())
    }

    /// Every value of `name`, for who does not keep the name.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.0.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// The one value of `name`, if there is exactly one and it is UTF-8.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(header, _)| header == name);
        let (_, first) = values.next()?;
        if values.next().is_some() { None } else { std::str::from_utf8(first).ok() }
    }

    /// How many bytes they have.
    pub(crate) fn size(&self) -> usize {
        self.0.iter().fold(0, |sum, (name, value)| sum.saturating_add(name.len()).saturating_add(value.len()))
    }

    /// Whether `name` is there at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Whether the message says that its body is JSON in UTF-8, or what its API calls so. A missing or doubled content type says
    /// nothing.
    #[must_use]
    pub fn is_json_call(&self, own: Option<&ContentType>) -> bool {
        self.content_type()
            .is_some_and(|read| read.is_json() && (read.is_utf8_alone() || own.is_some_and(|own| own.is_same(&read))))
    }

    /// What the body of an answer can be looked into as, and how to name it to the caller: in a word of ours, for what the upstream
    /// says may be anybody's. `own`: what its API calls JSON.
    #[must_use]
    pub fn media_type<'a>(&self, own: Option<&'a (String, ContentType)>) -> Option<(MediaType, &'a str)> {
        let read = self.content_type()?;
        if let Some((text, _)) = own.filter(|(_, own)| own.is_same(&read)) {
            return Some((MediaType::Json, text));
        }
        if !read.is_utf8_alone() {
            return None;
        }
        let lines = MediaType::Records(Framing::Lines);
        Some(match read.essence() {
            "application/problem+json" => (MediaType::Json, "application/problem+json"),
            _ if read.is_json() => (MediaType::Json, "application/json"),
            "text/plain" => (MediaType::Text, "text/plain; charset=utf-8"),
            "application/x-ndjson" => (lines, "application/x-ndjson"),
            "application/ndjson" => (lines, "application/ndjson"),
            "application/jsonl" => (lines, "application/jsonl"),
            "application/x-jsonlines" => (lines, "application/x-jsonlines"),
            "text/event-stream" => (MediaType::Records(Framing::Events), "text/event-stream"),
            _ => return None,
        })
    }

    fn content_type(&self) -> Option<ContentType> {
        match self.values("content-type").as_slice() {
            [one] => ContentType::read(one),
            _ => None,
        }
    }

    /// Whether the body stands as it is, without compression.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.all("content-encoding")
            .all(|coding| coding.trim_ascii().is_empty() || coding.eq_ignore_ascii_case(b"identity"))
    }

    /// Whether the stated length is above `limit`. A length that cannot be read is above any.
    #[must_use]
    pub fn states_more_than(&self, limit: usize) -> bool {
        self.has("content-length")
            && self
                .one("content-length")
                .and_then(|length| length.parse::<usize>().ok())
                .is_none_or(|length| length > limit)
    }
}

/// A media type that can be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json` and `application/*+json`.
    Json,
    /// `text/plain`.
    Text,
    /// A stream of records: `application/x-ndjson` (also `ndjson`, `jsonl`, `x-jsonlines`), `text/event-stream`.
    Records(Framing),
}

/// The head of a request on a route: its headers and the named segments of its path.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestHead {
    pub(crate) headers: Headers,
    pub(crate) segments: Vec<(String, String)>,
}

impl Head for RequestHead {
    fn header(&self, name: &str) -> Vec<&[u8]> {
        self.headers.values(name)
    }

    fn segment(&self, name: &str) -> Option<&str> {
        self.segments.iter().find(|(segment, _)| segment == name).map(|(_, part)| part.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &[u8])]) -> Headers {
        Headers::new(all.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect())
    }

    #[test]
    fn a_doubled_or_undecodable_header_has_no_one_value() {
        assert_eq!(headers(&[("a", b"x")]).one("a"), Some("x"));
        assert_eq!(headers(&[("a", b"x"), ("a", b"x")]).one("a"), None);
        assert_eq!(headers(&[("a", b"\xa1")]).one("a"), None);
        assert_eq!(headers(&[]).one("a"), None);
    }

    #[test]
    fn only_media_types_that_can_be_looked_into_are_named() {
        let (json, text) = (MediaType::Json, MediaType::Text);
        let (lines, events) = (MediaType::Records(Framing::Lines), MediaType::Records(Framing::Events));
        for (stated, named) in [
            ("application/json", Some((json, "application/json"))),
            ("Application/JSON; charset=UTF-8", Some((json, "application/json"))),
            ("application/problem+json", Some((json, "application/problem+json"))),
            ("application/vnd.ann.lee+json", Some((json, "application/json"))),
            ("text/plain;charset=utf-8", Some((text, "text/plain; charset=utf-8"))),
            ("text/event-stream", Some((events, "text/event-stream"))),
            ("application/x-ndjson; charset=utf-8", Some((lines, "application/x-ndjson"))),
            ("application/json; charset=utf-16", None),
            ("application/json; charset =utf-8", None),
            ("application/json; charset", None),
            ("application/json; note=ann.lee", None),
            ("text/html", None),
            ("application/octet-stream", None),
            ("text/event-stream; charset=latin1", None),
            ("multipart/form-data; boundary=x", None),
            ("", None),
        ] {
            assert_eq!(headers(&[("content-type", stated.as_bytes())]).media_type(None), named, "{stated}");
        }
        let two: [(&str, &[u8]); 2] = [("content-type", b"application/json"), ("content-type", b"application/json")];
        assert_eq!(headers(&two).media_type(None), None);
        assert!(!headers(&two).is_json_call(None));
    }

    #[test]
    fn what_an_api_calls_json_is_json_on_its_routes_only() {
        let text = "application/vnd.elasticsearch+json; compatible-with=9";
        let own = (text.to_owned(), ContentType::read(text.as_bytes()).unwrap());
        let came: [(&str, &[u8]); 1] = [("content-type", b"Application/vnd.elasticsearch+json;compatible-with=\"9\"")];
        assert_eq!(headers(&came).media_type(Some(&own)), Some((MediaType::Json, text)));
        assert!(headers(&came).is_json_call(Some(&own.1)));
        assert!(!headers(&came).is_json_call(None));
        assert_eq!(headers(&came).media_type(None), None);
    }

    #[test]
    fn any_compression_is_seen() {
        assert!(headers(&[]).is_plain());
        assert!(headers(&[("content-encoding", b"identity")]).is_plain());
        assert!(!headers(&[("content-encoding", b"gzip")]).is_plain());
        assert!(!headers(&[("content-encoding", b"identity"), ("content-encoding", b"br")]).is_plain());
        assert!(!headers(&[("content-encoding", b"identity, gzip")]).is_plain());
    }

    #[test]
    fn a_stated_length_is_believed_only_against_the_sender() {
        assert!(!headers(&[]).states_more_than(5));
        assert!(!headers(&[("content-length", b"5")]).states_more_than(5));
        for length in [b"6" as &[u8], b"-1", b"x", b"99999999999999999999"] {
            assert!(headers(&[("content-length", length)]).states_more_than(5));
        }
    }
}
