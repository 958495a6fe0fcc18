//! The process as a whole: who may steer it, and what keeps it alive.

use super::at::At;
use super::{address, notes::Notes};

/// `root` is a whole configuration, or a part without these.
pub(super) fn check(root: &At<'_>, notes: &mut Notes) {
    if let Some(admin) = root.get("admin.address").filter(|address| !address::is_local(address)) {
        let told = address::told(&admin);
        let what = format!("who reaches {told} can read this configuration, change it and end Envoy");
        notes.warning(admin.place, what, "let `admin` listen on 127.0.0.1 or a pipe");
    }
}
