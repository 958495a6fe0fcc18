//! Masks a stream record by record: lines of JSON, or server-sent events.
//!
//! Only whole records leave, each masked as a body of its own; what has come of the next one is held. Where a chunk ends means
//! nothing. What cannot be masked ends the stream, and nothing of that record leaves.

use super::document::{mask_fields_in, mask_record};
use super::found::{Found, Tally};
use super::masking::With;
use super::secret;
use super::text::Masker;
use super::unmaskable::Unmaskable;
use super::view::Form;
use std::borrow::Cow;

/// How records are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A JSON value a line, as in `application/x-ndjson` and `application/jsonl`. Empty lines are none.
    Lines,
    /// Server-sent events (WHATWG HTML, section 9.2), each with JSON or `[DONE]` as its data.
    Events,
}

/// A stream that is being masked.
#[derive(Debug)]
pub struct Records {
    framing: Framing,
    /// The largest record, in bytes.
    most: usize,
    /// What has come of the record that is not whole yet.
    held: Vec<u8>,
    /// How much of `held` was looked at for its end.
    looked_at: usize,
    /// Where the last line of `held` begins.
    line: usize,
    /// Whether the last byte was a carriage return that ended a line: a line feed behind it belongs to it.
    after_return: bool,
    number: u32,
    /// How many of those that were given had something in them.
    masked: u32,
    tally: Tally,
}

impl Records {
    /// A stream from which nothing has come. Records above `most` bytes end it.
    #[must_use]
    pub fn new(framing: Framing, most: usize) -> Self {
        Self {
            framing,
            most,
            held: Vec::new(),
            looked_at: 0,
            line: 0,
            after_return: false,
            number: 0,
            masked: 0,
            tally: Tally::default(),
        }
    }

    /// Takes what came, and gives what may leave of it and of what was held.
    ///
    /// # Errors
    /// A record that cannot be masked or is too large, more findings so far than may leave, or more bytes. The stream is over then:
    /// what was given before is all that may leave of it.
    pub fn push(&mut self, chunk: &[u8], with: With<'_>) -> Result<Vec<u8>, Unmaskable> {
        let mut out = Vec::new();
        let mut masked = self.masked;
        let mut rest = chunk;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return)
                && let Some(behind) = rest.strip_prefix(b"\n")
            {
                rest = behind;
                if self.held.is_empty() {
                    out.push(b'\n');
                } else {
                    // It ended a line of the record that is held.
                    self.held.push(b'\n');
                    self.looked_at = self.held.len();
                    self.line = self.held.len();
                }
                continue;
            }
            // No more is held than one record may have, however large the chunk.
            let room = self.most.saturating_add(1).saturating_sub(self.held.len()).max(1);
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.held.extend_from_slice(now);
            rest = later;
            let mut begin = 0;
            while let Some(end) = self.record_end() {
                let record = self.held.get(begin..end).unwrap_or_default();
                let is_record = mask_one(self.framing, record, self.number, with, &mut self.tally, &mut out)?;
                if out.len() > with.most {
                    return Err(Unmaskable::Grows { most: with.most });
                }
                masked = masked.saturating_add(is_record.into());
                self.number = self.number.saturating_add(1);
                begin = end;
            }
            self.held.drain(..begin);
            self.looked_at = self.looked_at.saturating_sub(begin);
            self.line = self.line.saturating_sub(begin);
            if self.held.len() > self.most {
                return Err(Unmaskable::TooLarge { most: self.most });
            }
        }
        with.masks.let_pass(&self.tally)?;
        self.masked = masked;
        Ok(out)
    }

    /// The stream has ended: gives what may still leave.
    ///
    /// # Errors
    /// What is held is no whole record, or cannot be masked.
    pub fn finish(&mut self, with: With<'_>) -> Result<Vec<u8>, Unmaskable> {
        let mut out = Vec::new();
        let held = std::mem::take(&mut self.held);
        match self.framing {
            // The last line may go without its end.
            Framing::Lines => {
                let is_record = mask_one(self.framing, &held, self.number, with, &mut self.tally, &mut out)?;
                if out.len() > with.most {
                    return Err(Unmaskable::Grows { most: with.most });
                }
                with.masks.let_pass(&self.tally)?;
                self.masked = self.masked.saturating_add(is_record.into());
            }
            // An event that was not ended is none, and readers leave it out. So does this, unless it would have said something.
            Framing::Events => {
                let has_data = lines(&held).any(|line| matches!(field(line.text), (b"data", _)));
                if has_data || std::str::from_utf8(&held).is_err() {
                    return Err(Unmaskable::CutOff);
                }
            }
        }
        Ok(out)
    }

    /// How many bytes are held of a record that is not whole.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many records were given so far, each masked. Empty lines are none, nor are events without data, such as comments.
    #[must_use]
    pub fn masked(&self) -> u32 {
        self.masked
    }

    /// What was found so far. The first step of a pointer is the record's number, from 0.
    #[must_use]
    pub fn found(&self) -> &[Found] {
        self.tally.found()
    }

    /// Where the first whole record in `held` ends that was not given before.
    fn record_end(&mut self) -> Option<usize> {
        loop {
            let unseen = self.held.get(self.looked_at..).unwrap_or_default();
            let is_end = |byte: &u8| match self.framing {
                Framing::Lines => *byte == b'\n',
                Framing::Events => matches!(byte, b'\n' | b'\r'),
            };
            let Some(position) = unseen.iter().position(is_end) else {
                self.looked_at = self.held.len();
                return None;
            };
            let at = self.looked_at + position;
            let mut end = at + 1;
            if self.framing == Framing::Events && self.held.get(at) == Some(&b'\r') {
                match self.held.get(end) {
                    Some(b'\n') => end += 1,
                    Some(_) => {}
                    None => self.after_return = true,
                }
            }
            let is_empty = self.line == at;
            (self.looked_at, self.line) = (end, end);
            if self.framing == Framing::Lines || is_empty {
                return Some(end);
            }
        }
    }
}

/// Masks one record; whether it was one, and not just an empty line or an event without data.
fn mask_one(
    framing: Framing,
    record: &[u8],
    number: u32,
    with: With<'_>,
    tally: &mut Tally,
    out: &mut Vec<u8>,
) -> Result<bool, Unmaskable> {
    match framing {
        Framing::Lines if record.trim_ascii().is_empty() => {
            out.extend_from_slice(record);
            Ok(false)
        }
        Framing::Lines => {
            let masked = mask_record(record, &format!("/{number}"), with, tally)?;
            out.extend_from_slice(masked.as_deref().unwrap_or(record));
            Ok(true)
        }
        Framing::Events => mask_event(record, number, with, tally, out),
    }
}

/// Masks one event: its data as JSON, its name and id as text. Whether it has data. Of comments the colon stays alone; fields that
/// readers have to leave out are left out.
fn mask_event(
    event: &[u8],
    number: u32,
    with: With<'_>,
    tally: &mut Tally,
    out: &mut Vec<u8>,
) -> Result<bool, Unmaskable> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    // Readers take one byte order mark off the stream.
    let event = if number == 0 { event.strip_prefix(MARK).unwrap_or(event) } else { event };
    let text = std::str::from_utf8(event).map_err(|error| Unmaskable::NotUtf8 { at: error.valid_up_to() })?;
    if secret::stands_in(with.secrets, event) {
        return Err(Unmaskable::Secret);
    }
    let mut data: Option<Vec<u8>> = None;
    for line in lines(event) {
        if let (b"data", value) = field(line.text) {
            match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            }
        }
    }
    let masked = match data.as_deref().map(<[u8]>::trim_ascii) {
        None | Some(b"" | b"[DONE]") => None,
        Some(_) => {
            let data = data.as_deref().unwrap_or_default();
            mask_record(data, &format!("/{number}"), with, tally)?
        }
    };
    let mut is_first = true;
    let mut at = 0;
    // Whether the last line that was kept ends with a carriage return.
    let mut after_return = false;
    for line in lines(event) {
        let whole = text.get(at..at + line.text.len()).unwrap_or_default();
        at += line.text.len() + line.end.len();
        let (name, value) = field(line.text);
        match (name, &masked) {
            (b"data", Some(masked)) => {
                if std::mem::take(&mut is_first) {
                    for part in masked.split(|byte| *byte == b'\n') {
                        out.extend_from_slice(b"data: ");
                        out.extend_from_slice(part);
                        out.extend_from_slice(line.end);
                    }
                    after_return = line.end == b"\r";
                }
                continue;
            }
            (b"data", None) => out.extend_from_slice(line.text),
            // A comment keeps a connection alive, and nobody reads what it says.
            (b"", _) if line.text.is_empty() => {}
            (b"", _) => out.push(b':'),
            (b"retry", _) if is_milliseconds(value) => out.extend_from_slice(line.text),
            (b"event" | b"id", _) if !value.contains(&0) => {
                out.extend_from_slice(mask_line(whole, is_event_name(&line), number, with, tally)?.as_bytes());
            }
            _ => continue,
        }
        // Where lines between were left out, an empty line must not become a part of the end of the line before: the event would
        // go on into the next.
        let merges = after_return && line.text.is_empty() && line.end == b"\n";
        out.extend_from_slice(if merges { b"\r\n" } else { line.end });
        after_return = line.end == b"\r";
    }
    Ok(data.is_some())
}

/// What may leave of a line that programs read besides data: it is masked as any text is, field rules and all. An event's name that is
/// one by its form is not asked for fields: it has no value.
fn mask_line<'l>(
    line: &'l str,
    is_name: bool,
    number: u32,
    with: With<'_>,
    tally: &mut Tally,
) -> Result<Cow<'l, str>, Unmaskable> {
    let mut line = Cow::Borrowed(line);
    let mut kinds = Vec::new();
    if let Some(fields) = with.masks.text_fields().filter(|_| !is_name) {
        let read = mask_fields_in(&line, fields, with.masks, with.secrets, false, with.most)?;
        read.tally.kinds_into(&mut kinds);
        line = read.text.map_or(line, Cow::Owned);
    }
    let mut masker = Masker::new(with.masks, with.secrets, with.most);
    if masker.mask(&line, Form::Plain, super::detect::Context::NONE).map_err(|why| why.at(0))? {
        line = Cow::Owned(masker.take());
    }
    kinds.extend_from_slice(masker.found());
    tally.add(&kinds, || Some(format!("/{number}")));
    Ok(line)
}

/// Whether a line gives an event's name, such as `response.output_text.delta`, and nothing that could be somebody's.
fn is_event_name(line: &Line<'_>) -> bool {
    const LONGEST: usize = 64;
    let (name, value) = field(line.text);
    name == b"event"
        && value.len() <= LONGEST
        && value.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.'))
}

/// Whether a reader takes this for a time to wait, and one that somebody would.
fn is_milliseconds(value: &[u8]) -> bool {
    (1..=9).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

struct Line<'a> {
    text: &'a [u8],
    /// A carriage return, a line feed, or both.
    end: &'a [u8],
}

fn lines(mut event: &[u8]) -> impl Iterator<Item = Line<'_>> {
    std::iter::from_fn(move || {
        if event.is_empty() {
            return None;
        }
        let at = event.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(event.len());
        let (text, rest) = event.split_at(at);
        let length = if rest.starts_with(b"\r\n") { 2 } else { rest.len().min(1) };
        let (end, behind) = rest.split_at(length);
        event = behind;
        Some(Line { text, end })
    })
}

/// The name and the value of a line.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b':') {
        None => (line, b""),
        Some(at) => {
            let value = line.get(at + 1..).unwrap_or_default();
            (line.get(..at).unwrap_or_default(), value.strip_prefix(b" ").unwrap_or(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Deny, Kept, Kind, Masks, Rule, mask_json};
    use proptest::prelude::*;

    fn masks() -> Masks {
        let rule =
            Rule { fields: vec!["ssn".to_owned()], ..Rule::detecting(&[Kind::Email, Kind::CreditCard], "[{kind}]") };
        Masks::compile(&[("m", &rule)]).unwrap()
    }

    const MOST: usize = 200;

    /// What leaves of a stream that comes in these chunks, and whether it was whole.
    fn run(framing: Framing, chunks: &[&[u8]], masks: &Masks) -> (Vec<u8>, Option<Unmaskable>) {
        let kept = Kept::compile(&["/index"]).unwrap();
        let with = With { masks, kept: &kept, secrets: &[b"s3cret"], most: usize::MAX };
        let mut records = Records::new(framing, MOST);
        let mut out = Vec::new();
        for chunk in chunks {
            match records.push(chunk, with) {
                Ok(more) => out.extend(more),
                Err(why) => return (out, Some(why)),
            }
        }
        match records.finish(with) {
            Ok(more) => out.extend(more),
            Err(why) => return (out, Some(why)),
        }
        (out, None)
    }

    /// The same whole, cut at every byte, and byte by byte.
    fn cut_everywhere(framing: Framing, stream: &[u8], wanted: &[u8], whole: bool) {
        let masks = masks();
        let text = String::from_utf8_lossy(stream);
        let check = |(out, why): (Vec<u8>, Option<Unmaskable>), how: &str| {
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(wanted), "{text:?} {how}");
            assert_eq!(why.is_none(), whole, "{text:?} {how}: {why:?}");
        };
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            check(run(framing, &[one, other], &masks), &format!("cut at {at}"));
        }
        check(run(framing, &stream.chunks(1).collect::<Vec<_>>(), &masks), "byte by byte");
    }

    #[test]
    fn lines_are_masked_however_they_are_cut() {
        for (stream, wanted) in [
            ("{\"a\":\"a@b.de\"}\n{\"index\":4155550}\n", "{\"a\":\"[email]\"}\n{\"index\":4155550}\n"),
            ("{\"a\":1}\r\n\r\n \n[\"x@y.de\"]", "{\"a\":1}\r\n\r\n \n[\"[email]\"]"),
            ("", ""),
            ("\n\n", "\n\n"),
            ("\"\u{e9} a\\u0040b.de\"\n", "\"\u{e9} [email]\"\n"),
            ("{\"ssn\":[1,2]}\n4111111111111111\n", "{\"ssn\":\"[field]\"}\n\"[credit_card]\"\n"),
        ] {
            cut_everywhere(Framing::Lines, stream.as_bytes(), wanted.as_bytes(), true);
        }
    }

    #[test]
    fn of_a_line_that_cannot_be_masked_nothing_leaves() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MOST));
        for bad in
            ["{\"a\":", "{} {}", "oops", "{\"a\":\"\u{1}\"}", "\"s3cret\"", "\"s3c\\u0072et\"", "\"\\ud800\"", &long]
        {
            for end in ["", "\n"] {
                let stream = format!("{{\"a\":\"a@b.de\"}}\n{bad}{end}");
                // Whatever came before in the same chunk may be held back with it.
                let (out, why) = run(Framing::Lines, &[stream.as_bytes()], &masks());
                assert!(why.is_some() && !out.windows(2).any(|two| two == b"s3"), "{bad}");
                let chunks: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
                let (out, why) = run(Framing::Lines, &chunks, &masks());
                assert_eq!((out, why.is_some()), (b"{\"a\":\"[email]\"}\n".to_vec(), true), "{bad}");
            }
        }
        assert!(matches!(run(Framing::Lines, &[b"{}\n\"\xff\"\n"], &masks()).1, Some(Unmaskable::NotUtf8 { .. })));
    }

    #[test]
    fn events_are_masked_however_they_are_cut() {
        for (stream, wanted) in [
            ("data: {\"a\":\"a@b.de\"}\n\n", "data: {\"a\":\"[email]\"}\n\n"),
            ("data:{\"a\":1}\r\n\r\ndata: [DONE]\r\n\r\n", "data:{\"a\":1}\r\n\r\ndata: [DONE]\r\n\r\n"),
            ("data: [1]\r\rdata: [\"a@b.de\"]\r\r", "data: [1]\r\rdata: [\"[email]\"]\r\r"),
            (
                ": hello a@b.de\nevent: x\nid: 4111111111111111\nretry: 10\nretry: 1234567890\nretry: x\ndata: {\ndata: \"ssn\":\ndata:  7}\n\n",
                ":\nevent: x\nid: [credit_card]\nretry: 10\ndata: {\ndata: \"ssn\":\ndata:  \"[field]\"}\n\n",
            ),
            ("\n\n: ping\n\ndata\n\ndata:\n\n", "\n\n:\n\ndata\n\ndata:\n\n"),
            // Field rules reach whatever a reader is told besides data.
            (
                "id: ssn=536-22\nevent: {\"ssn\":\"Ann\"}\n: ssn: Ann\n\n",
                "id: ssn=[field]\nevent: {\"ssn\":\"[field]\"}\n:\n\n",
            ),
            ("event: ssn\nid: a\u{0}ssn=1\nid: 7\nssn: Ann\ndata: 1\n\n", "event: ssn\nid: 7\ndata: 1\n\n"),
            ("\u{feff}data: {\"ssn\":1}\n\n", "data: {\"ssn\":\"[field]\"}\n\n"),
            // Readers leave out what has another name, and so does the gateway.
            ("Data: a@b.de\nx\n data: 1\ndata: 1\n\n", "data: 1\n\n"),
            ("data: 1\n\n: bye", "data: 1\n\n"),
            ("data: \"\u{e9}\"\n\nid\n", "data: \"\u{e9}\"\n\n"),
        ] {
            cut_everywhere(Framing::Events, stream.as_bytes(), wanted.as_bytes(), true);
        }
    }

    #[test]
    fn of_an_event_that_cannot_be_masked_nothing_leaves() {
        let long = format!("data: \"{}\"", "x".repeat(MOST));
        for bad in [
            "data: oops",
            "data: {\ndata: ",
            "data: [1]\ndata: [2]",
            "data: \"s3cret\"",
            ": s3cret",
            "id: s3cret",
            "id: the ssn is Ann",
            "event: ssn Ann",
            "id: ssn: [Ann",
            "id: s%73n=Ann",
            "data: [DONE] a@b.de",
            &long,
        ] {
            let stream = format!("data: [\"a@b.de\"]\n\n{bad}\n\n");
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            let (out, why) = run(Framing::Events, &chunks, &masks());
            assert_eq!((out, why.is_some()), (b"data: [\"[email]\"]\n\n".to_vec(), true), "{bad}");
        }
        for cut_off in ["data: 1", "data: 1\n", "data: \"a@b.de", "id: 1\ndata: {\"ssn\":"] {
            assert_eq!(run(Framing::Events, &[cut_off.as_bytes()], &masks()), (Vec::new(), Some(Unmaskable::CutOff)));
        }
        assert!(run(Framing::Events, &[b"data: \"\xff\"\n\n"], &masks()).1.is_some());
        assert!(run(Framing::Events, &[b": \xff"], &masks()).1.is_some());
    }

    #[test]
    fn findings_add_up_over_records_and_can_refuse_the_stream() {
        let deny = Some(Deny { above: 2, kinds: None });
        let few = Masks::compile(&[("m", &Rule { deny, ..Rule::detecting(&[Kind::Email], "x") })]).unwrap();
        let kept = Kept::default();
        let with = With { masks: &few, kept: &kept, secrets: &[], most: usize::MAX };
        let mut records = Records::new(Framing::Lines, MOST);
        for _ in 0..2 {
            records.push(b"{\"a\":\"a@b.de\"}\n", with).unwrap();
        }
        assert_eq!(records.found()[0].pointers, ["/0/a", "/1/a"]);
        assert!(matches!(records.push(b"[\"a@b.de\"]\n", with), Err(Unmaskable::Denied(_))));
    }

    #[test]
    fn an_event_ends_where_it_did_when_lines_of_it_are_left_out() {
        for (stream, wanted) in [
            ("data: \"a@b.de\"\rfoo: 1\r\n\ndata: 2\n\n", "data: \"[email]\"\r\r\ndata: 2\n\n"),
            ("data: 1\rfoo\n\ndata: 2\n\n", "data: 1\r\r\ndata: 2\n\n"),
            ("data: [\rdata: \"a@b.de\"]\n\n", "data: [\rdata: \"[email]\"]\r\r\n"),
            ("data: 1\rfoo\r\rdata: 2\r\r", "data: 1\r\rdata: 2\r\r"),
        ] {
            let (left, why) = run(Framing::Events, &[stream.as_bytes()], &masks());
            assert_eq!((String::from_utf8(left).unwrap().as_str(), why), (wanted, None), "{stream:?}");
        }
    }

    #[test]
    fn records_are_counted_as_they_leave() {
        let masks = masks();
        let kept = Kept::default();
        let with = With { masks: &masks, kept: &kept, secrets: &[], most: usize::MAX };
        let mut lines = Records::new(Framing::Lines, MOST);
        lines.push(b"1\n\n \n[\"a@b.de\"]\n{\"a\":", with).unwrap();
        assert_eq!(lines.masked(), 2, "empty lines are none, and what is held has not left");
        assert!(lines.push(b"1}\nx\n", with).is_err());
        assert_eq!(lines.masked(), 2, "nothing of a chunk with a bad record leaves");
        let mut lines = Records::new(Framing::Lines, MOST);
        lines.push(b"1\n2", with).unwrap();
        lines.finish(with).unwrap();
        assert_eq!(lines.masked(), 2, "the last line may go without its end");
        let mut events = Records::new(Framing::Events, MOST);
        events.push(b": hello\n\nevent: x\nid: 1\n\ndata: 1\ndata:\n\n\n\ndata: [DONE]\n\n: end", with).unwrap();
        events.finish(with).unwrap();
        assert_eq!(events.masked(), 2);
    }

    /// Every line by itself.
    fn naive(stream: &str, masks: &Masks) -> Option<String> {
        let line = |line: &str| {
            if line.trim_ascii().is_empty() {
                return Some(line.to_owned());
            }
            let masked = mask_json(line.as_bytes(), masks, &Kept::compile(&["/index"]).unwrap(), &[]).ok()?;
            Some(masked.body().map_or(line.to_owned(), |body| String::from_utf8(body.to_vec()).unwrap()))
        };
        let all: Option<Vec<_>> = stream.split('\n').map(line).collect();
        Some(all?.join("\n"))
    }

    proptest! {
        #[test]
        fn lines_leave_as_each_would_by_itself(
            stream in "(\\{\"(ssn|a)\":(\"a@b\\.de\"|1|4111111111111111)\\}|\\[\"\u{e9}\"\\]| |\r|\n|\n|x\n){0,8}",
            cuts in proptest::collection::vec(0usize..150, 0..6),
        ) {
            let masks = masks();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.sort_unstable();
            let (mut chunks, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([stream.len()]) {
                chunks.push(stream.as_bytes().get(from..cut).unwrap());
                from = cut;
            }
            let (out, why) = run(Framing::Lines, &chunks, &masks);
            match naive(&stream, &masks) {
                Some(wanted) => prop_assert_eq!((String::from_utf8(out).unwrap(), why), (wanted, None)),
                None => prop_assert!(why.is_some()),
            }
        }

        #[test]
        fn cuts_of_events_mean_nothing(
            stream in "(data: ?|: |id: |\"a@b\\.de\"|\\[1\\]|\\{|\\}|\r|\n|\r\n|\n\n|[a-z]){0,14}", cut in 0usize..80,
        ) {
            let masks = masks();
            let (one, other) = stream.as_bytes().split_at(cut.min(stream.len()));
            let (whole, why) = run(Framing::Events, &[stream.as_bytes()], &masks);
            let (pieces, other_why) = run(Framing::Events, &[one, other], &masks);
            prop_assert_eq!(why.is_none(), other_why.is_none());
            if why.is_none() {
                prop_assert_eq!(&whole, &pieces);
            }
            prop_assert!(!String::from_utf8_lossy(&pieces).contains("a@b.de"));
        }
    }
}
