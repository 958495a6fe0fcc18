//! Chains of audit records, as they come line by line: several at once, and whatever was done to them.

use rerank_guard::audit::{Broken, verify};
use rerank_guard::json;
use rerank_guard::time::{Span, Time};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Which file, in the order they were named.
    pub(crate) file: usize,
    /// Counted from 1.
    pub(crate) line: u64,
}

/// Something wrong with the records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// None for what only shows at the end.
    pub(crate) at: Option<Spot>,
    pub(crate) kind: Kind,
    pub(crate) chain: Option<String>,
    pub(crate) seq: Option<u64>,
    pub(crate) what: String,
}

/// What kind of wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No line of an access log and no record.
    Unreadable,
    /// The record is not what was sealed.
    Edited,
    /// Records are missing.
    Gap,
    /// A record is there twice.
    Repeated,
    /// A record stands behind one that came after it.
    Moved,
    /// Two records claim the same place, or one follows another record than the one before it.
    Forked,
    /// A call went upstream and its record was never finished.
    Draft,
    /// The module trapped before it could say anything.
    Trap,
    /// Envoy answered without the module.
    Unrecorded,
    /// A record ended before the one before it.
    Clock,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Edited => "edited",
            Self::Gap => "gap",
            Self::Repeated => "repeated",
            Self::Moved => "moved",
            Self::Forked => "forked",
            Self::Draft => "draft",
            Self::Trap => "trap",
            Self::Unrecorded => "unrecorded",
            Self::Clock => "clock",
        }
    }
}

/// One chain as far as it was seen.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub(crate) records: u64,
    /// The earliest beginning and the latest end of a call.
    pub(crate) first: Option<Time>,
    pub(crate) last: Option<Time>,
    /// The hash of the record with the highest number.
    pub(crate) tip: Option<String>,
    /// The number that comes next.
    next: u64,
    /// The end of the call before.
    ended: Option<Time>,
    seen: HashMap<u64, Seen>,
    /// Numbers that were skipped, by the first of each range: the last of it, and where it was skipped.
    skipped: BTreeMap<u64, (u64, Spot)>,
}

#[derive(Debug)]
struct Seen {
    hash: String,
    at: Spot,
}

/// A line of Envoy's access log.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    record: Option<Vec<&'l RawValue>>,
    envoy: Option<Envoy>,
}

#[derive(Deserialize)]
struct Envoy {
    code: Option<u64>,
    details: Option<String>,
    /// When the line was written, if the format says so (`%ACCESS_LOG_TYPE%`).
    log: Option<String>,
}

impl Envoy {
    /// Whether the line was written before the end of its stream: Envoy can be told to log a stream when it begins, and while it
    /// lasts. Without a word on when, a stream of which nothing has come of yet has neither a status nor details.
    fn is_early(&self) -> bool {
        match self.log.as_deref() {
            None | Some("" | "-" | "NotSet") => {
                self.code.unwrap_or(0) == 0 && matches!(self.details.as_deref(), None | Some("" | "-"))
            }
            Some(when) => !matches!(when, "DownstreamEnd" | "TcpConnectionEnd"),
        }
    }
}

/// What of a record is about its chain.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: Option<String>,
    chain: String,
    seq: u64,
    prev: Option<String>,
    hash: String,
    decision_id: Option<String>,
    time: Option<Time>,
    result: Option<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    duration_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Draft {
    #[serde(rename = "type")]
    kind: String,
    decision_id: Option<String>,
}

/// All chains.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    pub(crate) chains: BTreeMap<String, Chain>,
    pub(crate) records: u64,
    /// Decisions whose call went upstream and whose record has not come yet, with the last line that said so.
    drafts: HashMap<String, Spot>,
}

impl Chains {
    /// A chain goes on behind the record with this hash, which was verified before.
    pub(crate) fn resume(&mut self, chain: &str, hash: &str) {
        let resumed = Chain { tip: Some(hash.to_owned()), ..Chain::default() };
        self.chains.insert(chain.to_owned(), resumed);
    }

    /// Takes the next line.
    pub(crate) fn line(&mut self, text: &[u8], at: Spot) -> Vec<Found> {
        let unreadable =
            |what: String| vec![Found { at: Some(at), kind: Kind::Unreadable, chain: None, seq: None, what }];
        let Ok(text) = std::str::from_utf8(text) else { return unreadable("the line is not UTF-8".to_owned()) };
        let text = text.trim();
        if text.is_empty() {
            return Vec::new();
        }
        // Two members of a name are read differently by different readers.
        if let Err(malformed) = json::check(text.as_bytes()) {
            return unreadable(format!("the line is no JSON: {malformed}"));
        }
        match serde_json::from_str::<Line<'_>>(text) {
            Ok(Line { record: None, envoy: None }) => self.record(text, at, false),
            Ok(Line { record, envoy }) => {
                let is_early = envoy.as_ref().is_some_and(Envoy::is_early);
                let records = record.unwrap_or_default();
                if records.is_empty() {
                    return if is_early { Vec::new() } else { vec![without_record(envoy, at)] };
                }
                records.into_iter().flat_map(|record| self.record(record.get(), at, is_early)).collect()
            }
            Err(_) => unreadable("the line is neither a line of an access log nor a record".to_owned()),
        }
    }

    /// What only shows when everything was seen.
    pub(crate) fn end(&self) -> Vec<Found> {
        let draft = |(id, at): (&String, &Spot)| Found {
            at: Some(*at),
            kind: Kind::Draft,
            chain: None,
            seq: None,
            what: unfinished(Some(id)),
        };
        let mut found: Vec<Found> = self.drafts.iter().map(draft).collect();
        found.sort_by_key(|found| found.at.map(|at| (at.file, at.line)));
        for (name, chain) in &self.chains {
            for (from, (to, at)) in &chain.skipped {
                let which =
                    if from == to { format!("record {from} is") } else { format!("records {from} to {to} are") };
                found.push(Found {
                    at: Some(*at),
                    kind: Kind::Gap,
                    chain: Some(name.clone()),
                    seq: Some(*from),
                    what: format!("{which} missing before this one"),
                });
            }
        }
        found
    }

    /// `is_early`: its line was written before the end of the stream.
    fn record(&mut self, text: &str, at: Spot, is_early: bool) -> Vec<Found> {
        let Ok(head) = serde_json::from_str::<Head>(text) else {
            let (kind, what) = match serde_json::from_str::<Draft>(text) {
                Ok(Draft { kind, decision_id: Some(id) }) if kind == "sent" => {
                    // Its record may still come; it can stand in more than one line until then.
                    self.drafts.insert(id, at);
                    return Vec::new();
                }
                Ok(Draft { kind, decision_id: None }) if kind == "sent" => (Kind::Draft, unfinished(None)),
                _ => (Kind::Unreadable, "no sealed record".to_owned()),
            };
            return vec![Found { at: Some(at), kind, chain: None, seq: None, what }];
        };
        if let Some(id) = &head.decision_id {
            self.drafts.remove(id);
        }
        self.records = self.records.saturating_add(1);
        let mut found: Vec<Found> = Vec::new();
        let mut tell = |kind, what| {
            found.push(Found { at: Some(at), kind, chain: Some(head.chain.clone()), seq: Some(head.seq), what });
        };
        // Against the hash it names itself: whether that is the one before is a matter of the chain.
        match verify(text, head.prev.as_deref()) {
            Ok(_) => {}
            Err(Broken::Edited) => tell(Kind::Edited, "the record is not what was sealed".to_owned()),
            Err(Broken::Unlinked) if head.seq == 0 => {
                tell(Kind::Forked, "the first record of a chain follows another one".to_owned());
            }
            Err(Broken::Unlinked) => tell(Kind::Forked, "the record follows none, and is not the first".to_owned()),
            Err(Broken::Unreadable) => {
                tell(Kind::Unreadable, "no sealed record: `hash` is not its last member".to_owned());
            }
        }
        if head.kind.as_deref() == Some("sent") {
            tell(Kind::Draft, unfinished(None));
        }
        self.chains.entry(head.chain.clone()).or_default().link(&head, at, &mut tell);
        if is_early {
            // Logs of the upstream's side may print a record a second time.
            found.retain(|one| one.kind != Kind::Repeated);
        }
        found
    }
}

fn unfinished(decision: Option<&str>) -> String {
    let which = decision.map(|id| format!(" (decision {})", id.escape_debug())).unwrap_or_default();
    format!("a call went upstream and its record was never finished{which}: the module trapped")
}

fn without_record(envoy: Option<Envoy>, at: Spot) -> Found {
    let (code, details) = envoy.map_or((None, None), |envoy| (envoy.code, envoy.details));
    let details = details.unwrap_or_default();
    let told =
        format!("{} {}", code.map_or_else(|| "no status".to_owned(), |code| code.to_string()), details.escape_debug());
    let (kind, what) = if details.contains("wasm_fail_stream") {
        (Kind::Trap, format!("a call without record: the module trapped ({})", told.trim()))
    } else {
        (Kind::Unrecorded, format!("a call without record: Envoy ended it itself ({})", told.trim()))
    };
    Found { at: Some(at), kind, chain: None, seq: None, what }
}

impl Chain {
    fn link(&mut self, head: &Head, at: Spot, tell: &mut dyn FnMut(Kind, String)) {
        if let Some(seen) = self.seen.get(&head.seq) {
            let place = place(seen.at, at);
            if seen.hash == head.hash {
                tell(Kind::Repeated, format!("the record is there twice, first {place}"));
            } else {
                tell(Kind::Forked, format!("another record has the same number {place}"));
            }
            return;
        }
        self.records = self.records.saturating_add(1);
        let is_resumed = self.seen.is_empty() && self.tip.is_some();
        let is_moved = head.seq < self.next && !is_resumed;
        if is_moved {
            tell(Kind::Moved, format!("the record stands behind number {}", self.next.saturating_sub(1)));
            self.fill(head.seq);
        } else if head.seq > self.next && !is_resumed {
            self.skipped.insert(self.next, (head.seq.saturating_sub(1), at));
        }
        let before = match head.seq.checked_sub(1) {
            _ if is_resumed => self.tip.as_ref(),
            None => None,
            Some(before) => self.seen.get(&before).map(|seen| &seen.hash),
        };
        if before.is_some() && before != head.prev.as_ref() {
            tell(
                Kind::Forked,
                "the record follows another one than the one before it: that one was changed".to_owned(),
            );
        }
        self.seen.insert(head.seq, Seen { hash: head.hash.clone(), at });
        if !is_moved {
            self.next = head.seq.saturating_add(1);
            self.tip = Some(head.hash.clone());
        }
        self.tick(head, is_moved, tell);
    }

    /// Records are sealed when their call ends, so that the ends are in order where the beginnings are not.
    fn tick(&mut self, head: &Head, is_moved: bool, tell: &mut dyn FnMut(Kind, String)) {
        let Some(began) = head.time else { return };
        let took = head.result.as_ref().and_then(|result| result.duration_ms).unwrap_or(0);
        let ended = began.plus(Span(took));
        self.first = Some(self.first.map_or(began, |first| first.min(began)));
        self.last = Some(self.last.map_or(ended, |last| last.max(ended)));
        if is_moved {
            return;
        }
        if let Some(before) = self.ended.filter(|before| ended < *before) {
            tell(Kind::Clock, format!("the clock went back from {before} to {ended}"));
        }
        self.ended = Some(ended);
    }

    /// A skipped number came after all.
    fn fill(&mut self, seq: u64) {
        let Some((&from, &(to, at))) = self.skipped.range(..=seq).next_back().filter(|(_, (to, _))| *to >= seq) else {
            return;
        };
        self.skipped.remove(&from);
        if let Some(before) = seq.checked_sub(1).filter(|before| *before >= from) {
            self.skipped.insert(from, (before, at));
        }
        if let Some(after) = seq.checked_add(1).filter(|after| *after <= to) {
            self.skipped.insert(after, (to, at));
        }
    }
}

fn place(seen: Spot, at: Spot) -> String {
    if seen.file == at.file {
        format!("in line {}", seen.line)
    } else {
        format!("in line {} of an earlier file", seen.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rerank_guard::audit::Chain as Sealer;

    fn records(random: u64, count: u64) -> Vec<String> {
        let mut chain = Sealer::new("eu1", random);
        (0..count)
            .map(|n| {
                let members = format!(
                    "\"v\":1,\"type\":\"call\",\"time\":\"2027-01-01T00:00:{n:02}Z\",\"result\":{{\"duration_ms\":{}}}",
                    n % 3
                );
                chain.seal(&members)
            })
            .collect()
    }

    fn walk<S: AsRef<str>>(lines: &[S]) -> Vec<(Option<u64>, Kind, Option<u64>)> {
        let mut chains = Chains::default();
        let mut found = Vec::new();
        for (number, line) in (1..).zip(lines) {
            found.extend(chains.line(line.as_ref().as_bytes(), Spot { file: 0, line: number }));
        }
        found.extend(chains.end());
        found.into_iter().map(|one| (one.at.map(|at| at.line), one.kind, one.seq)).collect()
    }

    fn logged(record: &str) -> String {
        format!("{{\"record\":[{record}],\"envoy\":{{\"code\":200,\"flags\":\"-\",\"details\":\"via_upstream\"}}}}")
    }

    #[test]
    fn whole_chains_pass_however_they_are_mixed() {
        let (one, two) = (records(1, 5), records(2, 3));
        let mixed: Vec<String> = [&one[0], &two[0], &two[1], &one[1], &one[2], &two[2], &one[3], &one[4]]
            .map(|record| logged(record))
            .to_vec();
        assert_eq!(walk(&mixed), []);
        assert_eq!(walk(&one), [], "bare records");
        let mut chains = Chains::default();
        for (number, line) in (1..).zip(&mixed) {
            assert!(chains.line(line.as_bytes(), Spot { file: 0, line: number }).is_empty());
        }
        let chain = &chains.chains["eu1/0000000000000001"];
        let stated: serde_json::Value = serde_json::from_str(&one[4]).unwrap();
        assert_eq!((chain.records, chain.tip.as_deref()), (5, stated["hash"].as_str()));
        assert_eq!(chain.first, Time::parse("2027-01-01"));
        assert_eq!(chain.last, Time::parse("2027-01-01T00:00:04.001Z"));
    }

    #[test]
    fn everything_that_is_done_to_a_chain_shows_once() {
        let r = records(1, 6);
        let with = |order: &[usize]| order.iter().map(|at| r[*at].clone()).collect::<Vec<_>>();
        let edited = |at: usize, order: &[usize]| {
            let mut lines = with(order);
            lines[at] = lines[at].replace("\"v\":1", "\"v\":2");
            lines
        };
        for (lines, found) in [
            (edited(2, &[0, 1, 2, 3, 4, 5]), vec![(Some(3), Kind::Edited, Some(2))]),
            (edited(0, &[0, 1]), vec![(Some(1), Kind::Edited, Some(0))]),
            (with(&[0, 1, 4, 5]), vec![(Some(3), Kind::Gap, Some(2))]),
            (with(&[2, 3]), vec![(Some(1), Kind::Gap, Some(0))]),
            (with(&[0, 1, 1, 2]), vec![(Some(3), Kind::Repeated, Some(1))]),
            (with(&[0, 1, 2, 0]), vec![(Some(4), Kind::Repeated, Some(0))]),
            (with(&[0, 2, 1, 3]), vec![(Some(3), Kind::Moved, Some(1))]),
            (
                with(&[0, 4, 2, 5]),
                vec![(Some(3), Kind::Moved, Some(2)), (Some(2), Kind::Gap, Some(1)), (Some(2), Kind::Gap, Some(3))],
            ),
        ] {
            assert_eq!(walk(&lines), found, "{lines:#?}");
        }
    }

    #[test]
    fn a_chain_that_was_sealed_anew_does_not_fit_the_rest() {
        let (r, mut forger) = (records(1, 4), Sealer::new("eu1", 1));
        let forged: Vec<String> = (0..4).map(|n| forger.seal(&format!("\"v\":1,\"n\":{n}"))).collect();
        let lines = [&r[0], &r[1], &forged[2], &r[3]];
        assert_eq!(walk(&lines), [(Some(3), Kind::Forked, Some(2)), (Some(4), Kind::Forked, Some(3))]);
        assert_eq!(walk(&[&r[0], &r[1], &forged[1], &r[2]]), [(Some(3), Kind::Forked, Some(1))]);
        let mut chains = Chains::default();
        chains.resume("eu1/0000000000000001", "sha256:other");
        assert_eq!(chains.line(r[2].as_bytes(), Spot { file: 0, line: 1 })[0].kind, Kind::Forked);
        let before: serde_json::Value = serde_json::from_str(&r[1]).unwrap();
        let mut chains = Chains::default();
        chains.resume("eu1/0000000000000001", before["hash"].as_str().unwrap());
        for (line, record) in (1..).zip(&r[2..]) {
            assert_eq!(chains.line(record.as_bytes(), Spot { file: 0, line }), []);
        }
        assert_eq!(chains.end(), []);
    }

    #[test]
    fn lines_without_a_sealed_record_show() {
        let r = records(1, 1);
        for (line, kind) in [
            ("{\"record\":[],\"envoy\":{\"code\":503,\"details\":\"wasm_fail_stream\"}}".to_owned(), Kind::Trap),
            ("{\"record\":[],\"envoy\":{\"code\":400,\"details\":\"http1.codec_error\"}}".to_owned(), Kind::Unrecorded),
            ("{\"envoy\":{\"code\":503}}".to_owned(), Kind::Unrecorded),
            (logged("{\"v\":1,\"type\":\"sent\",\"decision_id\":\"ab\"}"), Kind::Draft),
            ("{\"v\":1}".to_owned(), Kind::Unreadable),
            ("not json".to_owned(), Kind::Unreadable),
            (logged(&r[0]).replace("{\"v\":1", "{\"v\":0,\"v\":1"), Kind::Unreadable),
            (format!("{}}}", logged(&r[0])), Kind::Unreadable),
            ("[]".to_owned(), Kind::Unreadable),
        ] {
            assert_eq!(walk(&[&line]).iter().map(|found| found.1).collect::<Vec<_>>(), [kind], "{line}");
        }
        assert_eq!(walk(&["", " "]), []);
        let sent = Sealer::new("eu1", 3).seal("\"v\":1,\"type\":\"sent\",\"decision_id\":\"ab\"");
        assert_eq!(walk(&[logged(&sent)]), [(Some(1), Kind::Draft, Some(0))]);
    }

    #[test]
    fn what_envoy_logs_during_a_call_is_no_finding_once_the_call_has_its_record() {
        let call = Sealer::new("eu1", 1).seal("\"v\":1,\"type\":\"call\",\"decision_id\":\"ab\"");
        let draft = "{\"v\":1,\"type\":\"sent\",\"decision_id\":\"ab\"}";
        let line = |record: &str, code: u64, details: &str, log: &str| {
            format!(
                "{{\"record\":[{record}],\"envoy\":{{\"code\":{code},\"details\":\"{details}\",\"log\":\"{log}\"}}}}"
            )
        };
        let (start, periodic, end) = ("DownstreamStart", "DownstreamPeriodic", "DownstreamEnd");
        // A format that does not say when leaves `log` out, or empty.
        for (start, periodic, end) in [(start, periodic, end), ("", "", "")] {
            let good = [
                line("", 0, "", start),
                line("", 0, "-", periodic),
                line(draft, 0, "", periodic),
                line(draft, 0, "", periodic),
                line(draft, 200, "via_upstream", periodic),
                line(&call, 200, "via_upstream", end),
            ];
            assert_eq!(walk(&good), []);
            assert_eq!(walk(&good[..5]), [(Some(5), Kind::Draft, None)], "once, where it was last seen");
        }
        let trapped = [line("", 0, "", start), line(draft, 0, "", periodic), line(draft, 503, "wasm_fail_stream", end)];
        assert_eq!(walk(&trapped), [(Some(3), Kind::Draft, None)]);
        for unrecorded in [line("", 0, "downstream_remote_disconnect", ""), line("", 0, "", end), line("", 200, "", "")]
        {
            assert_eq!(walk(&[&unrecorded]), [(Some(1), Kind::Unrecorded, None)], "{unrecorded}");
        }
        let printed_by_the_upstreams_log = line(&call, 200, "", "UpstreamEnd");
        let last = line(&call, 200, "via_upstream", end);
        assert_eq!(walk(&[&last, &printed_by_the_upstreams_log]), []);
        assert_eq!(walk(&[&last, &last]), [(Some(2), Kind::Repeated, Some(0))]);
        let another = draft.replace("ab", "cd");
        assert_eq!(walk(&[&line(&another, 0, "", ""), &last]), [(Some(1), Kind::Draft, None)]);
    }

    #[test]
    fn a_clock_set_back_shows_and_a_slow_call_does_not() {
        let mut chain = Sealer::new("eu1", 1);
        let mut seal = |time: &str, took: u64| {
            chain.seal(&format!("\"v\":1,\"time\":\"{time}\",\"result\":{{\"duration_ms\":{took}}}"))
        };
        let quick = seal("2027-01-01T00:00:05Z", 10);
        let slow = seal("2027-01-01T00:00:00Z", 6000);
        let back = seal("2027-01-01T00:00:01Z", 10);
        assert_eq!(walk(&[quick, slow, back]), [(Some(3), Kind::Clock, Some(2))]);
    }
}
