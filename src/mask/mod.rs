//! What may leave? Finds personal data in a body and masks it.

mod rule;

pub use rule::{Kind, Rule};
