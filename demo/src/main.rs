//! What the demo needs.
fn main() {}
