//! The clusters that the plugin's own document names: whether they are there, and whether what they bring can be believed.

use super::address;
use super::at::At;
use super::notes::Notes;
use super::{retries, words};
use regex::Regex;
use rerank_guard::config::{Config, Purpose};

/// The clusters of an Envoy configuration.
#[derive(Debug, Default)]
pub(crate) struct Clusters<'v> {
    all: Vec<At<'v>>,
    /// Whether there are no others: a whole configuration that gets none from elsewhere.
    is_whole: bool,
}

impl<'v> Clusters<'v> {
    pub(super) fn of(root: &At<'v>) -> Self {
        let of_xds = root.items("resources").into_iter().filter(|resource| resource.message("Cluster").is_some());
        let all = root.items("static_resources.clusters").into_iter().chain(of_xds).collect();
        let from_elsewhere = ["cds_config", "cds_resources_locator", "ads_config"]
            .iter()
            .any(|name| root.get("dynamic_resources").is_some_and(|dynamic| dynamic.get(name).is_some()));
        Self { all, is_whole: root.get("static_resources").is_some() && !from_elsewhere }
    }

    pub(super) fn get(&self, name: &str) -> Option<&At<'v>> {
        self.all.iter().find(|cluster| cluster.text("name") == Some(name))
    }

    /// Whether calls to the one come where calls to the other do: it is the same cluster, or one with the same endpoint.
    pub(super) fn meet(&self, one: &str, other: &str) -> bool {
        let endpoints = |name| self.get(name).map(endpoints).unwrap_or_default();
        let own = endpoints(one);
        one == other || endpoints(other).iter().any(|endpoint| own.contains(endpoint))
    }

    /// Where calls to the cluster `name` end: itself, or those that it passes them on to.
    pub(super) fn leaves<'n>(&'n self, name: &'n str) -> Vec<&'n str> {
        let (mut leaves, mut left, mut seen) = (Vec::new(), vec![name], Vec::new());
        while let Some(name) = left.pop() {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            match self.get(name).map(members).filter(|members| !members.is_empty()) {
                Some(members) => left.extend(members),
                None => leaves.push(name),
            }
        }
        leaves
    }
}

/// Holds every cluster that `config` names against what it is for.
pub(super) fn check(config: &Config, clusters: &Clusters<'_>, notes: &mut Notes) {
    for (at, cluster) in clusters.all.iter().enumerate() {
        let is_same =
            |earlier: &&At<'_>| cluster.text("name").is_some() && earlier.text("name") == cluster.text("name");
        if clusters.all.iter().take(at).find(is_same).is_some() {
            let what = "another cluster has this name too, and Envoy takes one of them or does not start";
            notes.error(cluster.place("name"), what, "give each cluster a name of its own");
        }
        words::secrets(cluster, config, notes);
        probes(cluster, config, notes);
    }
    let mut seen = Vec::new();
    let mut unseen = Vec::new();
    for wanted in config.clusters() {
        match clusters.get(wanted.name) {
            Some(cluster) => {
                if !seen.contains(&(wanted.name, wanted.purpose)) {
                    one(cluster, wanted.purpose, config, notes);
                    seen.push((wanted.name, wanted.purpose));
                }
            }
            None if clusters.is_whole => {
                let what = format!("there is no cluster `{}` in this Envoy configuration", wanted.name);
                notes.error_inside(&wanted.field, what, "add it to `clusters`, or name one that is there");
            }
            None => unseen.push(wanted),
        }
    }
    if let Some(first) = unseen.first() {
        let mut names: Vec<String> = unseen.iter().map(|wanted| format!("`{}`", wanted.name)).collect();
        names.sort();
        names.dedup();
        let what = format!("not here, and so not checked: the clusters {}", names.join(", "));
        notes.warning_inside(&first.field, what, "check the whole configuration");
    }
}

fn one(cluster: &At<'_>, purpose: Purpose, config: &Config, notes: &mut Notes) {
    if purpose == Purpose::Upstream {
        chooses(cluster, notes);
        options(cluster, config, notes);
    }
    if !is_local(cluster) {
        protection(cluster, purpose, notes);
    }
}

/// Whether all its endpoints are on this machine.
fn is_local(cluster: &At<'_>) -> bool {
    let hosts = hosts(cluster);
    !hosts.is_empty() && hosts.iter().all(|host| host.get("address").is_some_and(|address| address::is_local(&address)))
}

/// Where its endpoints are, each as one text.
fn endpoints(cluster: &At<'_>) -> Vec<String> {
    let addresses = hosts(cluster).into_iter().filter_map(|host| host.get("address"));
    let told = |address: At<'_>| match address.get("pipe.path").and_then(|path| path.value.as_str().map(str::to_owned))
    {
        Some(path) => Some(path),
        None => {
            let port = address.number("socket_address.port_value").flatten()?;
            Some(format!("{}:{port}", address.text("socket_address.address")?.to_ascii_lowercase()))
        }
    };
    addresses.filter_map(told).collect()
}

/// What holds its addresses.
fn hosts<'v>(cluster: &At<'v>) -> Vec<At<'v>> {
    cluster
        .items("load_assignment.endpoints")
        .iter()
        .flat_map(|locality| locality.items("lb_endpoints"))
        .flat_map(|one| {
            let endpoint = one.get("endpoint");
            let more = endpoint.iter().flat_map(|endpoint| endpoint.items("additional_addresses")).collect::<Vec<_>>();
            endpoint.into_iter().chain(more).collect::<Vec<_>>()
        })
        .collect()
}

/// What health checks send, to whoever answers at an endpoint.
fn probes(cluster: &At<'_>, config: &Config, notes: &mut Notes) {
    for check in cluster.items("health_checks") {
        for header in check.items("http_health_check.request_headers_to_add") {
            let name = header.text("header.key").unwrap_or_default().to_ascii_lowercase();
            let value = header.text("header.value").unwrap_or_default();
            if words::is_credential(&name, config) && !value.is_empty() && !value.contains('%') {
                let what = format!("the secret in `{name}` stands in the configuration, which Envoy shows");
                notes.error(header.place, what, "let health checks ask for a path that needs none");
            }
        }
    }
}

/// The clusters that a cluster of clusters passes calls on to.
fn members<'v>(cluster: &At<'v>) -> Vec<&'v str> {
    let Some(typed) = cluster.get("cluster_type.typed_config") else { return Vec::new() };
    let kind = typed.type_name().unwrap_or_default();
    if !kind.contains(".aggregate.") && !kind.contains(".composite.") {
        return Vec::new();
    }
    let listed = typed.content().map(|content| content.items("clusters")).unwrap_or_default();
    listed.iter().filter_map(|one| one.value.as_str().or_else(|| one.text("name"))).collect()
}

/// Clusters where somebody else than the configuration says where a call goes.
fn chooses(cluster: &At<'_>, notes: &mut Notes) {
    let kind = cluster.get("cluster_type");
    let name = kind
        .as_ref()
        .and_then(|kind| kind.get("typed_config").and_then(|typed| typed.type_name()).or_else(|| kind.text("name")));
    if let (Some(kind), Some(name)) = (&kind, name)
        && name.contains("dynamic_forward_proxy")
    {
        let what = "whoever names a host sends the credential there: this cluster goes where `Host` says";
        notes.error(kind.place.clone(), what, "write a cluster whose endpoints stand in the configuration");
    } else if let (Some(kind), Some(name)) = (&kind, name)
        && !["aggregate", "composite", "dns", "static", "eds"].iter().any(|known| name.contains(known))
    {
        let what = "where calls to this cluster go cannot be seen here";
        notes.warning(kind.place.clone(), what, "write a cluster whose endpoints stand in the configuration");
    }
    if cluster.is_enum("type", "ORIGINAL_DST", 4) {
        let what = "the credential goes to the address that the caller chose";
        notes.error(cluster.place("type"), what, "write a cluster whose endpoints stand in the configuration");
    }
}

/// What a cluster may do with every call that goes to it.
fn options(cluster: &At<'_>, config: &Config, notes: &mut Notes) {
    for at in cluster.get("typed_extension_protocol_options").map(|options| options.inner()).unwrap_or_default() {
        let Some(options) = at.message("HttpProtocolOptions") else { continue };
        for filter in options.items("http_filters") {
            let kind = filter.get("typed_config").and_then(|typed| typed.type_name()).unwrap_or_default();
            if !kind.ends_with(".UpstreamCodec") {
                let name = filter.text("name").unwrap_or("without a name");
                let what = format!("the filter `{name}` can change the call that was decided, and sees its credential");
                notes.warning(filter.place, what, "put it before the guard");
            }
        }
    }
    for at in cluster.all() {
        retries::check(&at, config, notes);
        for policy in at.items("request_mirror_policies") {
            let what = "a copy of every call goes to another cluster, with the credential";
            notes.error(policy.place, what, "take `request_mirror_policies` away");
        }
        if at.is_on("allow_metadata") {
            let what = "metadata frames pass without the filter, both ways";
            notes.error(at.place("allow_metadata"), what, "take `allow_metadata` away");
        }
        if at.is_on("refresh_cluster_on_retry") {
            let what = "a call that is tried again may go to another cluster";
            notes.error(at.place("refresh_cluster_on_retry"), what, "take `refresh_cluster_on_retry` away");
        }
    }
}

fn protection(cluster: &At<'_>, purpose: Purpose, notes: &mut Notes) {
    let matches = cluster.items("transport_socket_matches");
    let sockets: Vec<At<'_>> = matches
        .iter()
        .filter_map(|one| one.get("transport_socket"))
        .chain(cluster.get("transport_socket"))
        .filter_map(|socket| socket.get("typed_config"))
        .collect();
    let contexts: Vec<Option<At<'_>>> = sockets
        .iter()
        .map(|socket| {
            socket
                .all()
                .into_iter()
                .find_map(|at| at.message("UpstreamTlsContext").or_else(|| at.get("upstream_tls_context")))
        })
        .collect();
    let is_plain = cluster.get("transport_socket").is_none()
        || sockets.iter().zip(&contexts).any(|(socket, context)| context.is_none() && !holds(socket, "Alts"));
    if is_plain {
        let what = match purpose {
            Purpose::Keys => "keys come over plain HTTP: whoever stands between puts in his own, and makes any token",
            Purpose::Bundle => {
                "bundles come over plain HTTP: whoever stands between reads the policy and holds newer ones back"
            }
            Purpose::Approver => {
                "people are asked over plain HTTP: whoever stands between reads who asks for what, and why"
            }
            Purpose::Upstream => "credentials, documents and answers go over plain HTTP, to whoever listens",
        };
        let hint = "write a `transport_socket` with an UpstreamTlsContext: `sni`, and `validation_context` with `trusted_ca` and \
                    `match_typed_subject_alt_names`";
        notes.warning(cluster.place.clone(), what, hint);
    }
    for context in contexts.iter().flatten() {
        validation(cluster, context, notes);
    }
}

fn validation(cluster: &At<'_>, context: &At<'_>, notes: &mut Notes) {
    let all = context.all();
    let has = |name: &str| all.iter().any(|at| at.get(name).is_some_and(|at| !is_empty(&at)));
    // What comes from elsewhere cannot be seen here.
    let unseen = [
        "validation_context_sds_secret_config",
        "validation_context_certificate_provider",
        "validation_context_certificate_provider_instance",
        "custom_validator_config",
    ]
    .into_iter()
    .any(has);
    let pins = ["verify_certificate_spki", "verify_certificate_hash"].into_iter().any(has);
    let chains = ["trusted_ca", "system_root_certs", "ca_certificate_provider_instance"]
        .into_iter()
        .any(|name| all.iter().any(|at| at.get(name).is_some()));
    let place = context.place("common_tls_context.validation_context");
    if !chains && !pins && !unseen {
        let what = "the server may show any certificate: nothing verifies it";
        notes.warning(place.clone(), what, "write `validation_context` with `trusted_ca` or `system_root_certs: {}`");
    }
    let names = ["match_typed_subject_alt_names", "match_subject_alt_names"].into_iter().any(has)
        || context.is_on("auto_sni_san_validation")
        || cluster.all().iter().any(|at| at.is_on("auto_san_validation"));
    if chains && !names && !pins && !unseen {
        let what = "any certificate of these authorities will do, whatever name it is for";
        notes.warning(
            place,
            what,
            "write `match_typed_subject_alt_names`, or `auto_sni_san_validation: true` beside `sni`",
        );
    }
    for at in &all {
        for name in ["match_typed_subject_alt_names", "match_subject_alt_names"] {
            for names in at.items(name) {
                let matcher = names.get("matcher").unwrap_or(names);
                if fits_all(&matcher) {
                    let what = "certificates of others will do: their names fit this too";
                    notes.warning(
                        matcher.place,
                        what,
                        "write the server's own name: `{san_type: DNS, matcher: {exact: …}}`",
                    );
                }
            }
        }
        if at.is_enum("trust_chain_verification", "ACCEPT_UNTRUSTED", 1) {
            let what = "certificates are looked at and believed whatever comes of it";
            notes.warning(at.place("trust_chain_verification"), what, "take `trust_chain_verification` away");
        }
        if at.is_on("allow_expired_certificate") {
            let what = "certificates are believed after their time";
            notes.warning(at.place("allow_expired_certificate"), what, "take `allow_expired_certificate` away");
        }
        if let Some(log) = at.get("key_log") {
            let what = "the keys of TLS connections are written down: who reads the file reads every call";
            notes.warning(log.place, what, "take `key_log` away");
        }
    }
}

/// Whether a matcher of texts fits names that have nothing in common.
fn fits_all(matcher: &At<'_>) -> bool {
    const NAMES: [&str; 3] = ["a.example", "xn--0.test", "127.9.8.7"];
    if let Some(written) = matcher.text("safe_regex.regex") {
        return Regex::new(&format!("^(?:{written})$"))
            .is_ok_and(|regex| NAMES.iter().all(|name| regex.is_match(name)));
    }
    // A suffix of one label is a whole top level.
    ["prefix", "contains"].iter().any(|name| matcher.text(name).is_some_and(str::is_empty))
        || matcher.text("suffix").is_some_and(|end| !end.trim_start_matches('.').contains(['.', '/']))
}

fn is_empty(at: &At<'_>) -> bool {
    at.value.as_array().is_some_and(Vec::is_empty) || at.value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Whether a message of this type stands somewhere in a transport socket: others wrap it.
pub(super) fn holds(socket: &At<'_>, name: &str) -> bool {
    socket.all().iter().any(|at| at.message(name).is_some())
}
