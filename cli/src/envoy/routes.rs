//! Envoy's routes: where calls of the plugin's routes can go, and what else may happen to them on the way.

use super::at::At;
use super::clusters::Clusters;
use super::manager::{seconds, waits};
use super::notes::Notes;
use super::paths::{Meeting, Paths};
use super::retries;
use super::words;
use rerank_guard::config::{Addressed, Config, Way};
use rerank_guard::diagnostic::Place;
use std::collections::BTreeSet;

/// Holds the routes of the filter's own connection manager against what the plugin's routes may reach.
pub(super) fn check(manager: &At<'_>, config: &Config, clusters: &Clusters<'_>, notes: &mut Notes) {
    for name in ["rds", "scoped_routes"] {
        if let Some(elsewhere) = manager.get(name) {
            let what = "routes that come from elsewhere are not checked here";
            notes.warning(
                elsewhere.place,
                what,
                "check them where they are written: everything that is told here of routes",
            );
        }
    }
    let Some(table) = manager.get("route_config") else { return };
    unseen(&table, notes);
    let judge = Judge { config, clusters };
    let ways = config.ways();
    let mut reached = vec![false; ways.len()];
    judge.common(&table, notes);
    let hosts = table.items("virtual_hosts");
    let sees_all = table.get("vhds").is_none() && hosts.iter().all(|host| host.get("matcher").is_none());
    certificates(&hosts, sees_all, config, notes);
    for host in &hosts {
        // Other services may share the listener.
        if !ways.iter().any(|way| addressed(manager, &table, way).iter().any(|one| one.place == host.place)) {
            continue;
        }
        unseen(host, notes);
        judge.common(host, notes);
        for route in host.items("routes") {
            slashes(&route, notes);
        }
        for ((number, way), reached) in ways.iter().enumerate().zip(&mut reached) {
            if !addressed(manager, &table, way).iter().any(|one| one.place == host.place) {
                continue;
            }
            let paths = Paths::of(way.path);
            for route in host.items("routes") {
                let Some(wanted) = route.get("match") else { continue };
                let meeting = paths.meet(&wanted);
                if meeting == Meeting::Never {
                    continue;
                }
                *reached = true;
                judge.route(&route, number, way, meeting, notes);
                if meeting == Meeting::All {
                    break;
                }
            }
        }
    }
    for (number, way) in ways.iter().enumerate().filter(|(number, _)| sees_all && reached.get(*number) == Some(&false))
    {
        let what = format!("no route of Envoy's takes calls to `{}`", way.path);
        notes.warning_inside(
            &Place::of(["routes"]).item(number).name("path"),
            what,
            "write one into `virtual_hosts`, to one of its `clusters`",
        );
    }
}

/// The virtual hosts that calls to a route can come to: by what they may be addressed to, and by the host that they go upstream with, for
/// Envoy chooses anew by that.
fn addressed<'v>(manager: &At<'_>, table: &At<'v>, way: &Way<'_>) -> Vec<At<'v>> {
    let all = table.items("virtual_hosts");
    if way.addressed.is_empty() || table.get("vhost_header").is_some() {
        return all;
    }
    let domains: Vec<Vec<&str>> = all
        .iter()
        .map(|one| one.items("domains").iter().filter_map(|domain| domain.value.as_str()).collect())
        .collect();
    let best = |authority: String| {
        let rank = |number: usize| domains.get(number)?.iter().filter_map(|domain| rank(domain, &authority)).max();
        let best = (0..all.len()).max_by_key(|number| rank(*number)).filter(|number| rank(*number).is_some());
        best.and_then(|number| all.get(number)).cloned()
    };
    // With the first two the port is gone when Envoy looks; with the third if it is the listener's own, which may be any of them.
    let ignores = table.is_on("ignore_port_in_host_matching");
    let strips = ignores || manager.is_on("strip_any_host_port");
    let may_strip = manager.is_on("strip_matching_host_port");
    let mut authorities: Vec<String> = Vec::new();
    for Addressed { host, ports } in &way.addressed {
        let ports = ports.clone().unwrap_or_else(|| any_port(domains.iter().flatten().copied()));
        let ports = ports.into_iter().filter(|_| !strips);
        let bare = (strips || may_strip).then_some(None);
        authorities.extend(ports.chain(bare).map(|port| match port {
            Some(port) => format!("{host}:{port}"),
            None => (*host).to_owned(),
        }));
    }
    authorities.extend(way.host.map(|host| if ignores { without_port(host) } else { host }.to_owned()));
    authorities.into_iter().filter_map(best).collect()
}

/// Where any port may stand beside a host: none, and one of each kind that these domains tell apart.
fn any_port<'d>(domains: impl Iterator<Item = &'d str>) -> Vec<Option<u16>> {
    let mut ports = BTreeSet::from([49_152]);
    for domain in domains {
        let digits = domain.trim_matches('*').rsplit(':').next().unwrap_or_default();
        // `a:80*` and `*80` leave the rest of the port open.
        let open = [digits.to_owned(), format!("{digits}0"), format!("1{digits}")];
        ports.extend(open.iter().filter_map(|text| text.parse::<u16>().ok()));
    }
    [None].into_iter().chain(ports.into_iter().map(Some)).collect()
}

/// How well a virtual host's domain fits what a request is addressed to, its port included: Envoy takes the best. None if it does not.
fn rank(domain: &str, authority: &str) -> Option<(u8, usize)> {
    let (domain, authority) = (domain.to_ascii_lowercase(), authority.to_ascii_lowercase());
    if domain == "*" {
        Some((0, 0))
    } else if let Some(end) = domain.strip_prefix('*') {
        (authority.len() > end.len() && authority.ends_with(end)).then_some((2, end.len()))
    } else if let Some(begin) = domain.strip_suffix('*') {
        (authority.len() > begin.len() && authority.starts_with(begin)).then_some((1, begin.len()))
    } else {
        (domain == authority).then_some((3, 0))
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether the choice of a route can change with what the filter changes: headers come off and are set, `Host` among them.
pub(super) fn is_choosy(manager: &At<'_>) -> bool {
    let Some(table) = manager.get("route_config") else { return true };
    let hosts = table.items("virtual_hosts");
    let conditions =
        ["headers", "cookies", "runtime_fraction", "grpc", "dynamic_metadata", "filter_state", "query_parameters"];
    let is_conditional = |route: &At<'_>| {
        route.get("match").is_none_or(|wanted| conditions.iter().any(|name| wanted.get(name).is_some()))
    };
    let is_plain = |host: &At<'_>| !host.items("routes").iter().any(is_conditional) && host.get("matcher").is_none();
    hosts.len() != 1 || table.get("vhds").is_some() || !hosts.iter().all(is_plain)
}

/// What chooses routes and cannot be followed.
fn unseen(at: &At<'_>, notes: &mut Notes) {
    for name in ["vhds", "matcher", "route_specifiers"] {
        if let Some(chosen) = at.get(name).filter(|chosen| !chosen.inner().is_empty()) {
            let what = format!("what `{name}` chooses is not checked here");
            notes.warning(chosen.place, what, "write `routes`, which can be checked");
        }
    }
}

/// The filter refuses such paths, so that no two readers of them can differ.
fn slashes(route: &At<'_>, notes: &mut Notes) {
    for name in ["path", "prefix", "path_separated_prefix"] {
        let Some(at) = route.get("match").and_then(|wanted| wanted.get(name)) else { continue };
        let path = at.value.as_str().unwrap_or_default();
        if path.contains("//") || (name == "path" && path.len() > 1 && path.ends_with('/')) {
            let what = "no call comes here: the filter refuses doubled slashes, and one at the end";
            notes.warning(at.place, what, "write the path without");
        }
    }
}

/// What routes are held against.
struct Judge<'a> {
    config: &'a Config,
    clusters: &'a Clusters<'a>,
}

impl Judge<'_> {
    /// What can stand at a route, at its virtual host and at the whole table alike.
    fn common(&self, at: &At<'_>, notes: &mut Notes) {
        for policy in at.items("request_mirror_policies") {
            let what = "a copy of every call goes to another cluster, with the credential";
            notes.error(policy.place, what, "take `request_mirror_policies` away");
        }
        if at.is_on("retry_policy.refresh_cluster_on_retry") {
            let place = at.place("retry_policy.refresh_cluster_on_retry");
            notes.error(
                place,
                "a call that is tried again may go to another cluster",
                "take `refresh_cluster_on_retry` away",
            );
        }
        retries::check(at, self.config, notes);
        if let Some(typed) = at.get("retry_policy_typed_config") {
            notes.warning(typed.place, "what this retries, and where, is not checked here", "write `retry_policy`");
        }
        for header in at.items("request_headers_to_add") {
            self.added(&header, notes);
        }
        for name in ["per_request_buffer_limit_bytes", "request_body_buffer_limit"] {
            let least = self.config.buffer_bytes() as u64;
            if let Some(limit) = at.number(name).map(Option::unwrap_or_default).filter(|limit| *limit < least) {
                let what = format!(
                    "Envoy's buffer of {limit} bytes is full before a body of `limits` ({least} bytes) is there"
                );
                notes.error(at.place(name), what, format!("write `{name}` of {least} or more"));
            }
        }
    }

    /// A header that Envoy adds behind the filter.
    fn added(&self, header: &At<'_>, notes: &mut Notes) {
        const DECIDED: [&str; 8] = [
            "authorization",
            "content-encoding",
            "content-length",
            "content-type",
            "expect",
            "host",
            "te",
            "transfer-encoding",
        ];
        let name = header.text("header.key").unwrap_or_default().to_ascii_lowercase();
        let is_credential = self.config.credentials.values().any(|credential| credential.header == name);
        let value = header.text("header.value").unwrap_or_default();
        if name.starts_with(':') || DECIDED.contains(&name.as_str()) || is_credential {
            let what = format!("`{name}` is written anew after the call was decided");
            notes.error(header.place.clone(), what, "take it out: the filter writes it");
        } else if name.starts_with("x-envoy-") {
            let what = format!(
                "`{name}` tells Envoy's router what to do with a call that was decided, such as to send it again"
            );
            notes.warning(header.place.clone(), what, "take it out, and write what is meant into the route");
        } else if words::repeats(value) {
            let what = format!("`{name}` repeats what a caller sent, past the list of headers that go upstream");
            notes.warning(header.place.clone(), what, "list the header in `request_headers`, or take this out");
        }
    }

    fn route(&self, route: &At<'_>, number: usize, way: &Way<'_>, meeting: Meeting, notes: &mut Notes) {
        unseen(route, notes);
        self.common(route, notes);
        for (name, what) in [
            ("redirect", "calls are redirected, to where the filter does not see them"),
            ("direct_response", "calls are answered here, after they were approved, and never get to an upstream"),
            ("filter_action", "calls are answered by another filter, and never get to an upstream that is named"),
            ("non_forwarding_action", "calls never get to an upstream"),
        ] {
            if let Some(action) = route.get(name) {
                notes.warning(
                    action.place,
                    format!("{what} (`routes[{number}]`)"),
                    "write a route to one of its `clusters`",
                );
            }
        }
        let Some(action) = route.get("route") else { return };
        self.common(&action, notes);
        self.targets(&action, number, way, meeting, notes);
        for name in ["internal_redirect_policy", "internal_redirect_action", "max_internal_redirects"] {
            if let Some(redirect) = action.get(name) {
                let what = "the upstream says where the call goes next, with its credential";
                notes.error(redirect.place, what, format!("take `{name}` away"));
            }
        }
        for name in ["host_rewrite_header", "host_rewrite_path_regex", "host_rewrite", "path_rewrite"] {
            let Some(rewrite) = action.get(name) else { continue };
            if name.starts_with("host_rewrite_") || rewrite.value.as_str().is_some_and(|text| text.contains('%')) {
                let what = "what a caller sent decides what the upstream is asked, after the call was decided";
                notes.error(
                    rewrite.place,
                    what,
                    "write `host` in the route of the plugin configuration, or `host_rewrite_literal`",
                );
            }
        }
        if action.is_on("append_x_forwarded_host") {
            let what = "the upstream is told the caller's `Host`";
            notes.warning(action.place("append_x_forwarded_host"), what, "take `append_x_forwarded_host` away");
        }
        if let Some(idle) = action.get("idle_timeout").filter(|idle| seconds(idle).is_none_or(|seconds| seconds <= 0.0))
        {
            notes.error(
                idle.place,
                "a call that is held may hang for ever",
                "write `idle_timeout: 60s`, or take it away",
            );
        }
        for path in ["idle_timeout", "max_stream_duration.max_stream_duration"] {
            waits(&action, path, self.config, notes);
        }
        for upgrade in action
            .items("upgrade_configs")
            .into_iter()
            .filter(|upgrade| upgrade.get("enabled").is_none() || upgrade.is_on("enabled"))
        {
            let kind = upgrade.text("upgrade_type").unwrap_or_default();
            let what = format!("no call is upgraded: the filter refuses `{kind}`");
            notes.warning(upgrade.place, what, "take it out of `upgrade_configs`");
        }
    }

    /// The clusters that a route sends to.
    fn targets(&self, action: &At<'_>, number: usize, way: &Way<'_>, meeting: Meeting, notes: &mut Notes) {
        for name in ["cluster_header", "cluster_specifier_plugin", "inline_cluster_specifier_plugin"] {
            if let Some(chosen) = action.get(name) {
                let what = "who can be seen nowhere chooses the cluster, and with it who gets the credential";
                notes.error(chosen.place, what, "write `cluster`");
            }
        }
        let mut clusters: Vec<At<'_>> = action.get("cluster").into_iter().collect();
        for weighted in action.items("weighted_clusters.clusters") {
            if let Some(chosen) = weighted.get("cluster_header") {
                let what = "who can be seen nowhere chooses the cluster, and with it who gets the credential";
                notes.error(chosen.place, what, "write `name`");
            }
            for header in weighted.items("request_headers_to_add") {
                self.added(&header, notes);
            }
            clusters.extend(weighted.get("name"));
        }
        for at in clusters {
            let name = at.value.as_str().unwrap_or_default();
            for name in self.clusters.leaves(name) {
                if way.clusters.iter().any(|allowed| allowed == name) {
                    continue;
                }
                let can = if meeting == Meeting::Unknown { "may be able to go" } else { "can go" };
                let what = format!(
                    "calls to `{}` {can} to `{name}`, which is none of the clusters of `routes[{number}]`",
                    way.path
                );
                let hint = format!("name it in `routes[{number}].clusters`, or let no such call come here");
                if meeting == Meeting::Unknown {
                    notes.warning(at.place.clone(), what, hint);
                } else {
                    notes.error(at.place.clone(), what, hint);
                }
            }
        }
    }
}

/// Other ways to the upstreams, on which nobody asks the filter: to their clusters, or to others with the same endpoints.
pub(super) fn unguarded(
    root: &At<'_>,
    guarded: &[&At<'_>],
    config: &Config,
    clusters: &Clusters<'_>,
    notes: &mut Notes,
) {
    let ways = config.ways();
    let upstreams: Vec<&str> =
        ways.iter().flat_map(|way| way.clusters).flat_map(|name| clusters.leaves(name)).collect();
    let mut left = vec![root.clone()];
    while let Some(at) = left.pop() {
        let Some(way) = ["HttpConnectionManager", "TcpProxy"].iter().find_map(|name| at.message(name)) else {
            left.extend(at.inner());
            continue;
        };
        if guarded.iter().any(|manager| manager.place == way.place) {
            continue;
        }
        for inner in way.all() {
            let weighted = inner.items("weighted_clusters.clusters");
            let named = weighted.iter().filter_map(|one| one.get("name")).chain(inner.get("cluster"));
            for cluster in named {
                let name = cluster.value.as_str().unwrap_or_default();
                let leads_to =
                    |upstream: &&&str| clusters.leaves(name).iter().any(|leaf| clusters.meet(leaf, upstream));
                if let Some(upstream) = upstreams.iter().find(leads_to) {
                    let what = format!("another way to `{upstream}`: nobody asks the filter here");
                    notes.warning(cluster.place, what, "put the filter into this chain too, or take the route out");
                }
            }
        }
    }
}

/// A client certificate counts on the routes that the configuration names, because Envoy's match has verified it there.
fn certificates(hosts: &[At<'_>], sees_all: bool, config: &Config, notes: &mut Notes) {
    let ways = config.ways();
    for (number, name) in config.callers.verified_routes.iter().enumerate() {
        let mut is_there = false;
        for host in hosts {
            let routes = host.items("routes");
            for (at, route) in routes.iter().enumerate().filter(|(_, route)| route.text("name") == Some(name)) {
                is_there = true;
                if !(route.is_on("match.tls_context.presented") && route.is_on("match.tls_context.validated")) {
                    let what = "certificates count on this route, and nothing says that anybody verified them";
                    notes.error(route.place("match"), what, "write `tls_context: {presented: true, validated: true}`");
                }
                let meets = |route: &At<'_>, way: &Way<'_>| {
                    route.get("match").map_or(Meeting::Never, |wanted| Paths::of(way.path).meet(&wanted))
                };
                let is_taken = |way: &&Way<'_>| routes.iter().take(at).any(|route| meets(route, way) == Meeting::All);
                let mut own = ways.iter().filter(|way| meets(route, way) != Meeting::Never).peekable();
                if own.peek().is_some() && own.all(|way| is_taken(&way)) {
                    let what = "no call comes to this route, on which certificates count: one before it takes them all";
                    notes.warning(route.place.clone(), what, "put it before the routes for everybody else");
                }
            }
        }
        if sees_all && !is_there {
            let what = format!("no route is called `{name}`: certificates count nowhere");
            notes.warning_inside(
                &Place::of(["callers", "verified_routes"]).item(number),
                what,
                "write it as the `name` of the route whose `match` has `tls_context`",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_fit_hosts_as_envoy_fits_them() {
        for (domain, host, fit) in [
            ("*", "a.example", Some((0, 0))),
            ("a.example", "A.example", Some((3, 0))),
            ("a.example:8443", "a.example", None),
            ("a.example:8443", "a.example:8443", Some((3, 0))),
            ("a.example", "a.example:8443", None),
            ("*:8443", "a.example:8443", Some((2, 5))),
            ("a.example:*", "a.example:8443", Some((1, 10))),
            ("*.example", "a.example", Some((2, 8))),
            ("*-a.example", "b-a.example", Some((2, 10))),
            ("*.example", ".example", None),
            ("a.*", "a.example", Some((1, 2))),
            ("b.example", "a.example", None),
            ("[::1]:80", "[::1]", None),
        ] {
            assert_eq!(rank(domain, host), fit, "{domain} {host}");
        }
    }

    /// Each judges calls by the cluster that the one virtual host sends them to.
    #[test]
    fn calls_come_to_the_virtual_hosts_that_envoy_would_choose() {
        use serde_json::{Value, json};
        let hosts = |domains: &[&str]| -> Value {
            let host = |domain: &&str| json!({"name": domain, "domains": [domain]});
            domains.iter().map(host).collect()
        };
        let https = || Some(vec![None, Some(443)]);
        for (settings, domains, host, ports, upstream, reached) in [
            (json!({}), &["a.example", "a.example:8443"][..], "a.example", https(), None, &["a.example"][..]),
            (json!({}), &["a.example", "a.example:443"], "a.example", https(), None, &["a.example", "a.example:443"]),
            (json!({}), &["a.example", "*"], "a.example", Some(vec![Some(8443)]), None, &["*"]),
            (json!({}), &["a.example", "a.example:*"], "a.example", Some(vec![Some(8443)]), None, &["a.example:*"]),
            (json!({}), &["localhost", "localhost:1*"], "localhost", None, None, &["localhost", "localhost:1*"]),
            (json!({}), &["localhost", "*00", "*"], "localhost", None, None, &["*", "*00", "localhost"]),
            (
                json!({"strip_any_host_port": true}),
                &["a.example", "*"],
                "a.example",
                Some(vec![Some(8443)]),
                None,
                &["a.example"],
            ),
            (
                json!({"strip_matching_host_port": true}),
                &["a.example", "*"],
                "a.example",
                Some(vec![Some(8443)]),
                None,
                &["*", "a.example"],
            ),
            (json!({}), &["a.example", "up", "up:80"], "a.example", https(), Some("up:80"), &["a.example", "up:80"]),
            (json!({}), &["b.example"], "a.example", https(), None, &[]),
        ] {
            let table = json!({"virtual_hosts": hosts(domains)});
            let addressed = vec![Addressed { host, ports }];
            let way = Way { path: "/", clusters: &[], addressed, host: upstream };
            let mut names: Vec<_> = super::addressed(&At::root(&settings), &At::root(&table), &way)
                .iter()
                .map(|host| host.text("name").unwrap().to_owned())
                .collect();
            names.sort();
            names.dedup();
            assert_eq!(names, reached, "{settings} {domains:?}");
        }
    }
}
