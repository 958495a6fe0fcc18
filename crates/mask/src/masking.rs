//! What a body is masked with, record by record.

use super::kept::Kept;
use super::masks::Masks;

/// What a stream is masked with.
#[derive(Debug, Clone, Copy)]
pub struct With<'a> {
    /// The masks.
    pub masks: &'a Masks,
    /// Where numbers of a record are structure.
    pub kept: &'a Kept,
    /// What must not stand in it.
    pub secrets: &'a [&'a [u8]],
    /// The most bytes that may leave at once.
    pub most: usize,
}
