//! The way back: held until it is whole, masked whole or withheld.

use super::downward;
use super::head::MediaType;
use super::permit::Edits;
use super::reason::ResponseReason;
use super::{Exchange, Head, Headers, Host, Problem, Refused, Sent, Stage, Step, refused};
use crate::mask::{Unmaskable, mask_json_within, mask_text_within};
use crate::time::Time;

impl Exchange {
    /// Whether the response's headers are of any use. Those of our own replies are not: reading them costs more than writing them.
    #[must_use]
    pub const fn wants_response_headers(&self) -> bool {
        !matches!(self.stage, Stage::Over | Stage::Broken)
    }

    /// The response's headers. `end`: it has no body.
    pub fn response_headers(&mut self, headers: &Headers, end: bool, now: Time, host: &dyn Host) -> Step {
        if matches!(self.stage, Stage::Upstream(_) | Stage::Passing | Stage::New | Stage::Body(_) | Stage::Asking(_)) {
            self.learn_who_answers(headers, now, host);
        }
        if let Some(step) = self.answered_by(now, host) {
            return step;
        }
        let sent = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Upstream(sent) => sent,
            // What Envoy itself answers before anything went upstream (a limit, a time-out), and our own replies.
            other => {
                self.stage = other;
                if matches!(self.stage, Stage::Passing | Stage::New | Stage::Body(_) | Stage::Asking(_)) {
                    self.story.status = self.story.answer_status;
                }
                return Step::Continue;
            }
        };
        match self.inspect(sent, headers, end) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn inspect(&mut self, sent: Sent, headers: &Headers, end: bool) -> Result<Step, Refused> {
        let unmaskable = |reason: ResponseReason| refused(Problem::Unmaskable, reason);
        let status = self.story.answer_status.ok_or_else(|| unmaskable(ResponseReason::HeadersUnreadable))?;
        if headers.iter().any(|(_, value)| sent.permit.as_whom().is_told_by(value)) {
            return Err(unmaskable(ResponseReason::LeaksCredential));
        }
        // The caller's credential is not what the upstream saw, so its refusal is none of the caller's.
        if status == 401 || status == 407 {
            let is_upstreams = self.story.answered;
            let reason = if is_upstreams {
                ResponseReason::UpstreamRefusedCredential
            } else {
                ResponseReason::RefusedBehindGuard
            };
            return Err(refused(Problem::UpstreamRefused, reason));
        }
        if !headers.is_plain() {
            return Err(unmaskable(ResponseReason::Encoded));
        }
        // A part of a body can be JSON and still cut a number or a name in two.
        if status == 206 || headers.has("content-range") {
            return Err(unmaskable(ResponseReason::Partial));
        }
        let success = (200..300).contains(&status);
        let guard = self.guard.clone();
        let dialect = guard.config.dialects.get(sent.dialect).ok_or_else(|| unmaskable(ResponseReason::Undecidable))?;
        let stated = headers.media_type(dialect.dialect.media_type.as_ref());
        let stream = match stated {
            Some((MediaType::Records(framing), _)) if sent.streams && success && !end => Some(framing),
            _ => None,
        };
        if stream.is_none() && headers.states_more_than(guard.config.limits.response_bytes) {
            return Err(unmaskable(ResponseReason::TooLarge));
        }
        let media = match stated {
            Some((MediaType::Records(_), _)) if stream.is_some() => None,
            Some((MediaType::Json, _)) => Some(MediaType::Json),
            // An error may be plain text (Envoy's own are); a result may not.
            Some((MediaType::Text, _)) if !success => Some(MediaType::Text),
            _ if end && !success => None,
            _ => return Err(unmaskable(ResponseReason::MediaType)),
        };
        let decision = self.story.decision.as_ref().ok_or_else(|| unmaskable(ResponseReason::Undecidable))?;
        let bundle = self.story.bundle.as_ref().ok_or_else(|| unmaskable(ResponseReason::Undecidable))?;
        let masks = guard.masks(bundle, &decision.masks).ok_or_else(|| unmaskable(ResponseReason::UnknownMask))?;
        let kept = downward::of_answer(headers, stated.map(|(_, name)| name), &masks, &guard);
        self.story.headers_dropped = kept.dropped;
        if let Some(framing) = stream {
            return self.begin_stream(sent, framing, kept.head);
        }
        if end {
            if success {
                return Err(unmaskable(ResponseReason::Empty));
            }
            self.story.status = Some(status);
            return Ok(Step::Release(Edits { headers: kept.head, body: None }));
        }
        self.stage = Stage::Answer(sent, media, kept.head);
        Ok(Step::Hold)
    }

    /// More of the response's body: `size` bytes are buffered by now. `end`: that is all of it. Trailers count as an end.
    pub fn response_body(&mut self, size: usize, end: bool) -> Step {
        match self.stage {
            Stage::Answer(..) if size > self.guard.config.limits.response_bytes => {
                self.refuse(Problem::Unmaskable, ResponseReason::TooLarge)
            }
            Stage::Answer(..) if end => Step::Read,
            Stage::Answer(..) => self.await_more(size),
            Stage::Streaming(ref mut streaming) => {
                streaming.ended = end;
                match streaming.is_held() {
                    true if size > self.guard.config.limits.response_bytes => {
                        self.refuse(Problem::Unmaskable, ResponseReason::TooLarge)
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
        let Stage::Answer(sent, media, head) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Step::Hold;
        };
        match self.release(&sent, media, head, body) {
            Ok(step) => step,
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    fn release(&mut self, sent: &Sent, media: Option<MediaType>, head: Head, body: &[u8]) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let unmaskable = |reason: ResponseReason| refused(Problem::Unmaskable, reason);
        if body.len() > guard.config.limits.response_bytes {
            return Err(unmaskable(ResponseReason::TooLarge));
        }
        let success = self.story.answer_status.is_some_and(|status| (200..300).contains(&status));
        let empty_error = body.is_empty() && !success;
        let mut edits = Edits { headers: head, body: None };
        if !empty_error {
            let decision = self.story.decision.as_ref().ok_or_else(|| unmaskable(ResponseReason::Undecidable))?;
            let bundle = self.story.bundle.as_ref().ok_or_else(|| unmaskable(ResponseReason::Undecidable))?;
            let masks = guard.masks(bundle, &decision.masks).ok_or_else(|| unmaskable(ResponseReason::UnknownMask))?;
            let secrets = [sent.permit.secret().as_bytes()];
            // What stands in the place of a finding may be longer than it.
            let most = guard.config.limits.response_bytes;
            let masked = match media {
                Some(MediaType::Json) => {
                    let dialect = guard
                        .config
                        .dialects
                        .get(sent.dialect)
                        .ok_or_else(|| unmaskable(ResponseReason::Undecidable))?;
                    mask_json_within(body, &masks, &dialect.kept, &secrets, most)
                }
                Some(MediaType::Text) => mask_text_within(body, &masks, &secrets, most),
                Some(MediaType::Records(_)) | None => return Err(unmaskable(ResponseReason::MediaType)),
            };
            let masked = masked.map_err(|why| {
                let reason = unmaskable((&why).into());
                if let Unmaskable::Denied(found) = why {
                    self.story.found = found;
                }
                reason
            })?;
            let (new, found) = masked.into_parts();
            self.story.found = found;
            edits.body = new;
            self.story.response_digest = guard.content_digest(edits.body.as_deref().unwrap_or(body));
        }
        let length = edits.body.as_ref().map_or(body.len(), Vec::len);
        edits.headers.push(("content-length".to_owned(), length.to_string()));
        self.story.status = self.story.answer_status;
        self.held = None;
        Ok(Step::Release(edits))
    }
}
