//! Whom a call may address, and where it may go.

use super::*;

/// A host whose Envoy has chosen this cluster.
struct At(Option<&'static str>);
impl Host for At {
    fn signatures(&self) -> &dyn NativeSignatures {
        &NoHost
    }

    fn source(&self) -> Option<Vec<u8>> {
        None
    }

    fn certificate(&self) -> Option<Certificate> {
        None
    }

    fn route(&self) -> Option<String> {
        None
    }

    fn cluster(&self) -> Option<String> {
        self.0.map(str::to_owned)
    }

    fn was_held_back(&self) -> bool {
        false
    }

    fn shared(&self) -> &dyn SharedMemory {
        &NoHost
    }

    fn peer(&self) -> Option<String> {
        None
    }

    fn details(&self) -> Option<String> {
        NoHost.details()
    }

    fn status(&self) -> Option<u16> {
        None
    }

    fn may_have_reached_upstream(&self) -> bool {
        true
    }
}

#[test]
fn a_call_or_a_listed_stream_to_another_authority_goes_nowhere() {
    let with = |authorities: Value, host: Value, origins: Value| {
        world_with(move |config| {
            config["routes"][0]["authorities"] = authorities;
            config["routes"][0]["host"] = host;
            config["pass"] =
                if origins == json!([]) { json!([]) } else { json!([{"method": "GET", "path": "/healthz"}]) };
            config["origins"] = origins;
        })
    };
    let to = |world: &World, method: &'static str, path: &str, authorities: &[&str]| {
        let mut all = vec![(":method", method), (":path", path), ("content-type", "application/json")];
        let bearer = format!("Bearer {}", world.token());
        all.push(("authorization", &bearer));
        all.extend(authorities.iter().map(|authority| (":authority", *authority)));
        let mut exchange = world.exchange();
        let step = exchange.request_headers(answer(&all), false, NOW, &NoHost);
        (step, record(&mut exchange))
    };
    let origins = json!(["https://gateway.test", "http://127.0.0.1:*"]);
    let ours = with(json!([]), Value::Null, origins.clone());
    let narrower = with(json!(["search.test:8443"]), Value::Null, origins);
    let whatever = with(json!([]), json!("api.test"), json!([]));
    for (world, good, recorded) in [
        (&ours, "GATEWAY.test:443", json!("gateway.test")),
        (&ours, "127.0.0.1:4000", json!("127.0.0.1:4000")),
        (&narrower, "search.test:8443", json!("search.test:8443")),
        (&whatever, "evil.test", Value::Null),
    ] {
        let (step, record) = to(world, "POST", "/web/v2/rerank", &[good]);
        assert_eq!(step, Step::Hold, "{good}");
        assert_eq!(record["call"]["authority"], recorded);
    }
    for (world, bad) in [(&ours, "evil.test"), (&ours, "gateway.test:8443"), (&narrower, "gateway.test")] {
        let (step, record) = to(world, "POST", "/web/v2/rerank", &[bad]);
        assert_eq!((status(&step), &record["result"]["reason"]), (421, &json!("wrong-authority")), "{bad}");
        assert_eq!(record["call"]["authority"], Value::Null, "what a caller chose is not recorded");
    }
    for world in [&ours, &whatever] {
        for bad in
            [&[][..], &[""], &["gateway.test", "gateway.test"], &["gateway.test, evil.test"], &["u@gateway.test"]]
        {
            let (step, record) = to(world, "POST", "/web/v2/rerank", bad);
            assert_eq!((status(&step), &record["result"]["reason"]), (421, &json!("authority-malformed")), "{bad:?}");
        }
    }
    assert_eq!(status(&to(&ours, "GET", "/healthz", &["evil.test"]).0), 421);
    assert!(matches!(to(&ours, "GET", "/healthz", &["gateway.test"]).0, Step::Release(_)));
}

#[test]
fn a_call_that_envoy_would_send_to_another_cluster_goes_nowhere() {
    let world = world_with(|config| config["routes"][0]["clusters"] = json!(["tei", "tei-2"]));
    for (cluster, expected, reason) in [
        (Some("tei"), None, "stream-ended"),
        (Some("tei-2"), None, "stream-ended"),
        (Some("cohere"), Some(403), "cluster-not-for-route"),
        (Some("TEI"), Some(403), "cluster-not-for-route"),
        (None, Some(503), "no-cluster"),
    ] {
        for path in ["/web/v2/rerank", "/hr-x/v2/rerank"] {
            let (mut exchange, step) = {
                let mut exchange = world.exchange();
                exchange.request_headers(world.headers(path, &[]), false, NOW, &At(cluster));
                assert_eq!(exchange.request_body(CALL.len(), true), Step::Read);
                let step = exchange.request_whole(CALL.as_bytes(), NOW, &At(cluster));
                (exchange, step)
            };
            match expected {
                Some(expected) => assert_eq!(status(&step), expected, "nobody is asked in vain: {cluster:?} {path}"),
                None => assert!(matches!(step, Step::Release(_) | Step::CallOut(_)), "{cluster:?} {path}"),
            }
            let record = record(&mut exchange);
            assert_eq!(record["result"]["reason"], reason, "{cluster:?}");
            assert_eq!(record["cluster"], json!(cluster));
        }
    }
}
