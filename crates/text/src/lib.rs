//! What a text is read as, by people and by programs, whatever it is written as.
//!
//! Whoever compares names, looks for words or shows a text to somebody reads it here: [`visible`] knows what nobody sees, [`fold`] which
//! letters are taken for each other, [`escapes`] what is written otherwise than it is read. One table each, so that no two rooms
//! disagree about what stands there: what passes one of them for another name would pass a rule.
//!
//! ```
//! use rerank_guard_text::{escapes, fold, visible};
//!
//! // The `а` is Cyrillic, and between the letters stands a joiner that shows nothing.
//! let name = "Gr\u{430}nt\u{200d}s";
//! assert_eq!(fold::compared(name), "grants");
//! assert!(fold::is_mixed(name));
//! assert_eq!(visible::visible("gr\u{202e}ants"), "gr\\u{202e}ants");
//! assert_eq!(escapes::resolved("%67r&#97;nts").as_deref(), Some("grants"));
//! ```

pub mod escapes;
pub mod fold;
pub mod visible;
