//! What is wrong with a document of people's, and where: one type for bundles and for the plugin configuration. A flaw knows its place in
//! the document as names and numbers, so that whoever shows it can point there without reading a message.

mod flaw;
mod salvage;
mod tracked;

pub(crate) use flaw::Spot;
pub use flaw::{Flaw, Part, Place, Step};
pub(crate) use salvage::{Salvaged, salvage};
pub(crate) use tracked::{Words, read};
