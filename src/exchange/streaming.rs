//! The way back of a stream: each record is masked when it is whole and leaves at once.
//!
//! The headers are held until the first record may leave, so a stream that begins badly is refused like any other answer. What
//! cannot be masked later breaks the stream off, and nothing of that record leaves. Where a mask can refuse the answer for what is
//! found in it, the host holds the stream to its end, as any other answer: nothing could be called back.

use super::permit::Edits;
use super::reason::ResponseReason;
use super::{Exchange, Head, Problem, Refused, Sent, Stage, Step, refused};
use crate::audit::KeyedDigest;
use crate::mask::{Framing, Masks, Records, Unmaskable, With};
use std::rc::Rc;

#[derive(Debug)]
pub(super) struct Streaming {
    sent: Sent,
    /// The headers that go on, with the first record.
    head: Head,
    masks: Rc<Masks>,
    records: Records,
    /// Whether the part that is read next is the last.
    pub(super) ended: bool,
}

impl Streaming {
    /// Whether all of it has to be known before any leaves.
    pub(super) fn is_held(&self) -> bool {
        self.masks.can_deny()
    }
}

/// What left of a stream, for the record.
#[derive(Debug)]
pub(super) struct Streamed {
    /// How many records, each masked.
    pub(super) records: u32,
    /// Over all bytes; None without a key, or once it was asked.
    pub(super) digest: Option<KeyedDigest>,
}

impl Exchange {
    pub(super) fn begin_stream(&mut self, sent: Sent, framing: Framing, head: Head) -> Result<Step, Refused> {
        let unmaskable = |reason: ResponseReason| refused(Problem::Unmaskable, reason);
        let decision = self.story.decision.as_ref().ok_or_else(|| unmaskable(ResponseReason::Undecidable))?;
        let bundle = self.story.bundle.as_ref().ok_or_else(|| unmaskable(ResponseReason::Undecidable))?;
        let masks = self.guard.masks(bundle, &decision.masks).ok_or_else(|| unmaskable(ResponseReason::UnknownMask))?;
        let records = Records::new(framing, self.guard.config.limits.record_bytes);
        self.stage = Stage::Streaming(Box::new(Streaming { sent, head, masks, records, ended: false }));
        Ok(Step::Hold)
    }

    /// What came of a stream since the last time.
    pub(super) fn stream_part(&mut self, part: &[u8]) -> Step {
        self.stream_on(part, true)
    }

    /// As [`stream_part`](Self::stream_part); `may_go_on`: whether a part whose headers have gone can still go on.
    fn stream_on(&mut self, part: &[u8], may_go_on: bool) -> Step {
        let Stage::Streaming(mut streaming) = std::mem::replace(&mut self.stage, Stage::Broken) else {
            return Step::Hold;
        };
        match self.mask_part(&mut streaming, part) {
            Ok(Step::Part { body, .. }) if !may_go_on && !body.is_empty() => {
                self.refuse(Problem::Unmaskable, ResponseReason::CutOff)
            }
            Ok(step) => {
                if let Step::Release(Edits { body: Some(body), .. }) | Step::Part { body, goes_on: true } = &step {
                    self.leaves(body, streaming.records.masked());
                }
                self.stage = if streaming.ended { Stage::Over } else { Stage::Streaming(streaming) };
                step
            }
            Err((problem, reason)) => self.refuse(problem, reason),
        }
    }

    /// The stream ended with trailers: behind its last part nothing can be added any more.
    pub(super) fn end_stream_at_trailers(&mut self) -> Step {
        if let Stage::Streaming(streaming) = &mut self.stage {
            streaming.ended = true;
        }
        match self.stream_on(&[], false) {
            Step::Part { goes_on: true, .. } => Step::Continue,
            Step::Part { .. } => self.refuse(Problem::Unmaskable, ResponseReason::CutOff),
            step => step,
        }
    }

    /// Remembers what goes on to the caller, and how many records have by then.
    fn leaves(&mut self, body: &[u8], records: u32) {
        let guard = &self.guard;
        let begin = || Streamed { records: 0, digest: guard.stream_digest() };
        let streamed = self.story.streamed.get_or_insert_with(begin);
        streamed.records = records;
        if let Some(digest) = &mut streamed.digest {
            digest.update(body);
        }
    }

    fn mask_part(&mut self, streaming: &mut Streaming, part: &[u8]) -> Result<Step, Refused> {
        let guard = self.guard.clone();
        let unmaskable = |reason: ResponseReason| refused(Problem::Unmaskable, reason);
        let dialect =
            guard.config.dialects.get(streaming.sent.dialect).ok_or_else(|| unmaskable(ResponseReason::Undecidable))?;
        let secrets = [streaming.sent.permit.secret().as_bytes()];
        // What goes on with the headers has to fit into the host's buffer, in which as much as came stood already. What comes later
        // passes through it.
        let (least, came) = (guard.config.limits.most_at_once(), part.len());
        let most = if self.story.open { least.saturating_add(came) } else { least.max(came) };
        let with = With { masks: &streaming.masks, kept: &dialect.kept, secrets: &secrets, most };
        let masked = streaming.records.push(part, with).and_then(|mut masked| {
            if streaming.ended {
                masked.append(&mut streaming.records.finish(with)?);
            }
            Ok(masked)
        });
        self.story.found = streaming.records.found().to_vec();
        let masked = masked.map_err(|why: Unmaskable| unmaskable((&why).into()))?;
        if masked.len() > most {
            return Err(unmaskable(ResponseReason::TooLarge));
        }
        self.hold(streaming.records.held())?;
        if self.story.open {
            return Ok(Step::Part { body: masked, goes_on: true });
        }
        if masked.is_empty() {
            return match streaming.ended {
                true => Err(unmaskable(ResponseReason::Empty)),
                false => Ok(Step::Part { body: masked, goes_on: false }),
            };
        }
        self.story.open = true;
        self.story.status = self.story.answer_status;
        // Without a length: it would be that of another body.
        let headers = std::mem::take(&mut streaming.head);
        Ok(Step::Release(Edits { headers, body: Some(masked) }))
    }
}
