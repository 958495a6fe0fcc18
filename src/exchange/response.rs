//! The way back: held until it is whole, masked whole or withheld.

use super::head::MediaType;
use super::permit::Edits;
use super::{Exchange, Headers, Problem, Refused, Sent, Stage, Step};
use crate::mask::{Unmaskable, mask_json_within, mask_text_within};
use crate::time::Time;

impl Exchange {
    /// Whether the response's headers are of any use. Those of our own replies are not: reading them costs more than writing them.
    #[must_use]
    pub const fn wants_response_headers(&self) -> bool {
        !matches!(self.stage, Stage::Over | Stage::Broken)
    }

    /// The response's headers. `end`: it has no body.
    pub fn response_headers(&mut self, headers: &Headers, end: bool, now: Time) -> Step {
        let sent = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Upstream(sent) => sent,
            // What Envoy itself answers before anything went upstream (a limit, a time-out), and our own replies.
            other => {
                self.stage = other;
                if matches!(self.stage, Stage::Passing | Stage::New | Stage::Body(_) | Stage::Asking(_)) {
                    self.story.status = headers.one(":status").and_then(|status| status.parse().ok());
                }
                return Step::Continue;
            }
        };
        match self.inspect(sent, headers, end, now) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn inspect(&mut self, sent: Sent, headers: &Headers, end: bool, now: Time) -> Result<Step, Refused> {
        let unmaskable = |reason: &'static str| (Problem::Unmaskable, reason);
        self.story.upstream = self.story.sent.map(|sent| now.since(sent));
        let status: u16 = headers
            .one(":status")
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| unmaskable("response-headers-unreadable"))?;
        self.story.upstream_status = Some(status);
        let secret = sent.permit.secret().as_bytes();
        if headers.iter().any(|(_, value)| contains(value, secret)) {
            return Err(unmaskable("response-leaks-credential"));
        }
        // The caller's credential is not what the upstream saw, so its refusal is none of the caller's.
        if status == 401 || status == 407 {
            return Err((Problem::UpstreamRefused, "upstream-refused-credential"));
        }
        if !headers.is_plain() {
            return Err(unmaskable("response-encoded"));
        }
        // A part of a body can be JSON and still cut a number or a name in two.
        if status == 206 || headers.has("content-range") {
            return Err(unmaskable("response-partial"));
        }
        let success = (200..300).contains(&status);
        let stream = match headers.media_type() {
            Some(MediaType::Records(framing)) if sent.streams && success && !end => Some(framing),
            _ => None,
        };
        if stream.is_none() && headers.states_more_than(self.guard.config.limits.response_bytes) {
            return Err(unmaskable("response-too-large"));
        }
        let media = match headers.media_type() {
            Some(MediaType::Records(_)) if stream.is_some() => None,
            Some(MediaType::Json) => Some(MediaType::Json),
            // An error may be plain text (Envoy's own are); a result may not.
            Some(MediaType::Text) if !success => Some(MediaType::Text),
            _ if end && !success => None,
            _ => return Err(unmaskable("response-media-type")),
        };
        let mut dropped: Vec<String> = Vec::new();
        for (name, value) in headers.iter() {
            let kept = name.starts_with(':') || (self.guard.keeps(name) && value.is_ascii());
            if !kept && !dropped.iter().any(|other| other == name) {
                dropped.push(name.to_owned());
            }
        }
        self.story.headers_dropped = dropped.len();
        if let Some(framing) = stream {
            return self.begin_stream(sent, framing, dropped);
        }
        if end {
            if success {
                return Err(unmaskable("response-empty"));
            }
            self.story.status = Some(status);
            return Ok(Step::Release(Edits { remove: dropped, ..Edits::default() }));
        }
        self.stage = Stage::Answer(sent, media, dropped);
        Ok(Step::Hold)
    }

    /// More of the response's body: `size` bytes are buffered by now. `end`: that is all of it. Trailers count as an end.
    pub fn response_body(&mut self, size: usize, end: bool) -> Step {
        match self.stage {
            Stage::Answer(..) if size > self.guard.config.limits.response_bytes => {
                self.refuse(Problem::Unmaskable, "response-too-large")
            }
            Stage::Answer(..) if end => Step::Read,
            Stage::Answer(..) => self.await_more(size),
            Stage::Streaming(ref mut streaming) => {
                streaming.ended = end;
                match streaming.is_held() {
                    true if size > self.guard.config.limits.response_bytes => {
                        self.refuse(Problem::Unmaskable, "response-too-large")
                    }
                    true if !end => self.await_more(size),
                    _ => Step::Read,
                }
            }
            Stage::Upstream(_) | Stage::Broken => Step::Hold,
            Stage::Passing | Stage::Over | Stage::New | Stage::Body(_) | Stage::Asking(_) => Step::Continue,
        }
    }

    /// `size` bytes of an answer are there that cannot leave before it is whole.
    fn await_more(&mut self, size: usize) -> Step {
        match self.hold(size) {
            Ok(()) => Step::Hold,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    /// The response's trailers, which come behind its body.
    pub fn response_trailers(&mut self) -> Step {
        match self.stage {
            Stage::Streaming(ref streaming) if !streaming.is_held() => self.end_stream_at_trailers(),
            _ => self.response_body(0, true),
        }
    }

    /// The whole body of the response; of a stream, what came of it.
    pub fn response_whole(&mut self, body: &[u8]) -> Step {
        if matches!(self.stage, Stage::Streaming(_)) {
            return self.stream_part(body);
        }
        let Stage::Answer(sent, media, dropped) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Step::Hold;
        };
        match self.release(&sent, media, dropped, body) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn release(
        &mut self,
        sent: &Sent,
        media: Option<MediaType>,
        dropped: Vec<String>,
        body: &[u8],
    ) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let unmaskable = |reason: &'static str| (Problem::Unmaskable, reason);
        if body.len() > guard.config.limits.response_bytes {
            return Err(unmaskable("response-too-large"));
        }
        let success = self.story.upstream_status.is_some_and(|status| (200..300).contains(&status));
        let empty_error = body.is_empty() && !success;
        let mut edits = Edits { remove: dropped, ..Edits::default() };
        if !empty_error {
            let decision = self.story.decision.as_ref().ok_or_else(|| unmaskable("undecidable"))?;
            let bundle = self.story.bundle.as_ref().ok_or_else(|| unmaskable("undecidable"))?;
            let masks = guard.masks(bundle, &decision.masks).ok_or_else(|| unmaskable("unknown-mask"))?;
            let secrets = [sent.permit.secret().as_bytes()];
            // What stands in the place of a finding may be longer than it.
            let most = guard.config.limits.response_bytes;
            let masked = match media {
                Some(MediaType::Json) => {
                    let dialect = guard.config.dialects.get(sent.dialect).ok_or_else(|| unmaskable("undecidable"))?;
                    mask_json_within(body, &masks, &dialect.kept, &secrets, most)
                }
                Some(MediaType::Text) => mask_text_within(body, &masks, &secrets, most),
                Some(MediaType::Records(_)) | None => return Err(unmaskable("response-media-type")),
            };
            let masked = masked.map_err(|why| {
                let reason = unmaskable(why.reason());
                if let Unmaskable::Denied(found) = why {
                    self.story.found = found;
                }
                reason
            })?;
            let (new, found) = masked.into_parts();
            self.story.found = found;
            if let Some(new) = new {
                edits.set.push(("content-length".to_owned(), new.len().to_string()));
                edits.body = Some(new);
            }
            self.story.response_digest = guard.content_digest(edits.body.as_deref().unwrap_or(body));
        }
        self.story.status = self.story.upstream_status;
        self.held = None;
        Ok(Step::Release(edits))
    }
}

/// Whether `part`, which is never empty, stands in `whole`.
fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len().max(1)).any(|window| window == part)
}
