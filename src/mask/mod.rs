//! What may leave? Finds personal data in a body and masks it.
//!
//! [`Masks`] says which kinds to find and what stands in their place; [`mask_json`] and [`mask_text`] are the only makers of
//! [`Masked`], so a body that leaves has been looked at whole. Detection is a scan for candidates by byte class, a validator for
//! each kind, context from the key path and the words around, and one rule for overlaps; there is no regular expression in it.
//! What cannot be read whole (not UTF-8, not JSON, truncated) is [`Unmaskable`], never passed on.

mod bytes;
mod detect;
mod document;
#[cfg(test)]
mod eval;
mod finding;
mod found;
mod kept;
mod kind;
mod masks;
mod replacement;
mod rule;
mod secret;
mod text;
mod unmaskable;
mod view;

pub use document::{mask_json, mask_json_and_tell};
pub use finding::Finding;
pub use found::{Found, Masked};
pub use kept::Kept;
pub use kind::Kind;
pub use masks::{Masks, Refused};
pub use rule::Rule;
pub use text::{mask_text, mask_text_and_tell};
pub use unmaskable::Unmaskable;
