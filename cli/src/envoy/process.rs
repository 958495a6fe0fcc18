//! The process as a whole: who may steer it, and what keeps it alive.

use super::at::At;
use super::{address, notes::Notes};
use rerank_guard::config::Config;

/// Actions of the overload manager that give memory back or take no more.
const RELIEF: [&str; 4] = [
    "envoy.overload_actions.reject_incoming_connections",
    "envoy.overload_actions.reset_high_memory_stream",
    "envoy.overload_actions.stop_accepting_connections",
    "envoy.overload_actions.stop_accepting_requests",
];

/// `root` is a whole configuration, or a part without these.
pub(super) fn check(root: &At<'_>, config: Option<&Config>, notes: &mut Notes) {
    if let Some(admin) = root.get("admin.address").filter(|address| !address::is_local(address)) {
        let told = address::told(&admin);
        let what = format!("who reaches {told} can read this configuration, change it and end Envoy");
        notes.warning(admin.place, what, "let `admin` listen on 127.0.0.1 or a pipe");
    }
    for (name, what) in [
        (
            "lds_config",
            "listeners that come from elsewhere are not checked here: they may lead to the upstreams without the guard",
        ),
        (
            "lds_resources_locator",
            "listeners that come from elsewhere are not checked here: they may lead to the upstreams without the guard",
        ),
        ("cds_config", "clusters that come from elsewhere are not checked here"),
        ("cds_resources_locator", "clusters that come from elsewhere are not checked here"),
    ] {
        if let Some(elsewhere) = root.get("dynamic_resources").and_then(|dynamic| dynamic.get(name)) {
            notes.warning(elsewhere.place, what, "check them where they are written");
        }
    }
    if root.get("static_resources").is_some() {
        memory(root, config, notes);
    }
}

/// The filter bounds what it holds; the memory of the process as a whole only Envoy can.
fn memory(root: &At<'_>, config: Option<&Config>, notes: &mut Notes) {
    let Some(manager) = root.get("overload_manager") else {
        let what = "nothing stops Envoy from taking calls when memory runs out";
        notes.warning(root.place("overload_manager"), what, "write `overload_manager`, as envoy/minimal.yaml has it");
        return;
    };
    let monitors = manager.items("resource_monitors");
    let named = |at: &At<'_>, name: &str| at.text("name").is_some_and(|have| have.ends_with(name));
    let of_memory: Vec<_> =
        monitors.iter().filter(|one| named(one, ".fixed_heap") || named(one, ".cgroup_memory")).collect();
    let is_relieved = manager.items("actions").iter().any(|action| {
        let triggers = action.items("triggers");
        let by_memory = |trigger: &At<'_>| of_memory.iter().any(|one| one.text("name") == trigger.text("name"));
        action.text("name").is_some_and(|name| RELIEF.contains(&name)) && triggers.iter().any(by_memory)
    });
    if !is_relieved {
        let what = "no action of the overload manager stops calls when memory runs out";
        let hint = "write `envoy.overload_actions.stop_accepting_requests` by `envoy.resource_monitors.fixed_heap`";
        notes.warning(manager.place.clone(), what, hint);
    }
    let Some(held) = config.map(|config| config.limits.held_bytes as u64) else { return };
    for monitor in of_memory {
        let content = monitor.get("typed_config").and_then(|typed| typed.content());
        let Some(heap) = content.and_then(|content| content.get("max_heap_size_bytes").map(|_| content)) else {
            continue;
        };
        if let Some(size) =
            heap.number("max_heap_size_bytes").map(Option::unwrap_or_default).filter(|size| *size <= held)
        {
            let what = format!(
                "a heap of {size} bytes is full before one worker holds what `limits.held_bytes` ({held} bytes) lets it"
            );
            let hint = "write more than `limits.held_bytes` for each worker, or lower that";
            notes.error(heap.place("max_heap_size_bytes"), what, hint);
        }
    }
}
