//! What happens to bundles between calls, and has to be remembered as calls are: links of the same chain. A module has no record
//! of its own to write, so events wait here and go out with the next call's record, before it.

use super::bundles::Role;
use super::reason::BundleEvent;
use crate::policy::Policy;
use crate::policy::signed::Refused;
use crate::time::Time;
use serde::Serialize;
use std::collections::VecDeque;

/// A bundle was loaded or refused.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    time: Time,
    role: &'static str,
    event: &'static str,
    /// Why it was refused, in one word.
    reason: Option<&'static str>,
    /// The same in a sentence.
    detail: Option<String>,
    /// The bundle that was loaded.
    loaded: Option<Named>,
    /// The bundle that was in force until then.
    before: Option<Named>,
}

#[derive(Debug, Clone, Serialize)]
struct Named {
    id: String,
    serial: u64,
    sha256: String,
}

/// Details are cut to this many bytes: they may quote a bundle.
const MOST_OF_A_DETAIL: usize = 512;

impl Event {
    pub(super) fn loaded(role: Role, time: Time, policy: &Policy, before: Option<&Policy>) -> Self {
        let loaded = Some(Named::of(policy));
        let before = before.map(Named::of);
        Self {
            time,
            role: role.as_str(),
            event: BundleEvent::Loaded.as_str(),
            reason: None,
            detail: None,
            loaded,
            before,
        }
    }

    pub(super) fn refused(role: Role, time: Time, refused: &Refused, before: Option<&Policy>) -> Self {
        let detail = refused.to_string();
        let end = (0..=MOST_OF_A_DETAIL.min(detail.len())).rev().find(|end| detail.is_char_boundary(*end)).unwrap_or(0);
        Self {
            time,
            role: role.as_str(),
            event: BundleEvent::Refused.as_str(),
            reason: Some(refused.reason().as_str()),
            detail: detail.get(..end).map(str::to_owned),
            loaded: None,
            before: before.map(Named::of),
        }
    }
}

impl Named {
    fn of(policy: &Policy) -> Self {
        Self { id: policy.id().to_owned(), serial: policy.serial(), sha256: policy.digest().to_owned() }
    }
}

/// Events that have not been recorded yet.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Event>,
    /// How many had no room. They are counted in the next record of an event.
    lost: u64,
}

/// More events than this do not wait: no call came in all that time.
const MOST: usize = 64;

#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'a str,
    gateway: &'a str,
    #[serde(flatten)]
    event: &'a Event,
    /// How many events before this one are not in the chain, because too many had to wait.
    lost_before: u64,
}

impl Queue {
    pub(super) fn push(&mut self, event: Event) {
        if self.waiting.len() >= MOST {
            self.waiting.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.waiting.push_back(event);
    }

    /// The members of the records of all that wait, oldest first.
    pub(super) fn drain(&mut self, gateway: &str) -> Vec<String> {
        let mut lost = std::mem::take(&mut self.lost);
        let events = std::mem::take(&mut self.waiting);
        let line = |event: &Event| {
            let line = Line { v: 1, kind: "bundle", gateway, event, lost_before: std::mem::take(&mut lost) };
            // Strings and numbers only: this cannot fail. Were it to, the record is a link without members, which shows.
            let text = serde_json::to_string(&line).unwrap_or_default();
            text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or("\"v\":1").to_owned()
        };
        events.iter().map(line).collect()
    }
}
