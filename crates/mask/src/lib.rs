//! What may leave? Finds personal data in a body and masks it.
//!
//! [`Masks`] says which kinds to find, which places to mask, and what stands there instead; [`mask_json`], [`mask_text`] and, for
//! requests, [`mask_parts`] are the only makers of [`Masked`], so a body that leaves has been looked at whole. Detection is a scan
//! for candidates by byte class, a validator for each kind, context from the key path and the words around, and one rule for
//! overlaps; there is no regular expression in it. Of a stream, [`Records`] lets whole records go. What cannot be read whole (not
//! UTF-8, not JSON, truncated) is [`Unmaskable`], never passed on.
//!
//! Its rooms build on each other in one direction: `detect` finds, `rule` is what people write, `masks` what is made of it, `text`
//! masks one string, `document` and `plain` a body of them, `stream` one record after the other.
//!
//! ```
//! use rerank_guard_mask::{Kept, Kind, Masks, Rule, mask_json};
//!
//! let pii = Rule::detecting(&[Kind::Email], "[{kind}]");
//! let masks = Masks::compile(&[("pii", &pii)]).unwrap();
//! let kept = Kept::compile(&["/results/*/index"]).unwrap();
//! let answer = br#"{"results": [{"index": 0, "text": "mail ann@example.org"}]}"#;
//!
//! let masked = mask_json(answer, &masks, &kept, &[]).unwrap();
//! assert_eq!(masked.body().unwrap(), br#"{"results": [{"index": 0, "text": "mail [email]"}]}"#);
//! assert_eq!(masked.found()[0].pointers, ["/results/0/text"]);
//! assert!(mask_json(&answer[..20], &masks, &kept, &[]).is_err(), "whole, or not at all");
//! ```

mod bytes;
mod detect;
mod document;
#[cfg(test)]
mod eval;
mod fields;
mod finding;
mod flaws;
mod found;
mod kept;
mod kind;
mod masking;
mod masks;
mod pattern;
mod plain;
mod replacement;
mod rule;
mod secret;
mod stream;
mod text;
mod unmaskable;
mod view;
mod words;

pub use document::{kinds_in, mask_json, mask_json_and_tell, mask_json_within, mask_parts, mask_parts_within};
pub use finding::Finding;
pub use flaws::MaskFlaw;
pub use found::{Found, Masked};
pub use kept::Kept;
pub use kind::{Kind, What};
pub use masking::With;
pub use masks::{Masks, Refused};
pub use pattern::{Check, NoPattern, Pattern};
pub use plain::{mask_text, mask_text_and_tell, mask_text_within};
pub use rule::{Deny, Rule};
pub use stream::{Framing, Records};
pub use unmaskable::Unmaskable;
pub use words::NoWord;
