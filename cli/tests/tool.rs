//! The tool as operators run it: the real program, its exit codes and what it prints.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "all of it is tests")]

mod common;

use common::{EXAMPLE, Scratch, example, root, run, run_with};
use serde_json::{Value, json};

#[test]
fn check_says_ok_and_ends_well() {
    let ran = run(&["check", EXAMPLE]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, "policies/example.yaml: ok, bundle `search`, serial 1, 8 rules\n");
    let ran = run(&["check", EXAMPLE, "--strict", "--output", "json"]);
    assert_eq!((ran.code, &ran.json()["ok"]), (0, &json!(true)));
}

#[test]
fn check_shows_every_flaw_with_its_line_and_a_caret() {
    let broken = example()
        .replace("use: jina-prod", "use: jina-prd")
        .replace("deny: {groups: [contractors], datasets: [hr]}", "deny: {group: [contractors], datasets: [hr]}")
        .replace("approval: hr-desk, when", "approval: desk, when");
    let ran = run_with(&["check", "-"], &broken);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    for line in [
        "error: unknown name `group`",
        "42 |   deny: {group: [contractors], datasets: [hr]}",
        "   |          ^^^^^ rules[0].deny.group",
        "   = help: did you mean `groups`?",
        "error: `desk` is no approval of this bundle",
        "   |                       ^^^^ rules[2].require.approval",
        "error: `jina-prd` is no credential of this bundle",
        "   |        ^^^^^^^^ rules[4].use",
        "   = help: did you mean `jina-prod`?",
    ] {
        assert!(ran.err.lines().any(|have| have == line), "no line `{line}` in\n{}", ran.err);
    }
    let found = &run_with(&["check", "-", "--output", "json"], &broken).json()["files"][0]["findings"];
    let at: Vec<(u64, u64)> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["line"].as_u64().unwrap(), one["column"].as_u64().unwrap()))
        .collect();
    assert_eq!(at, [(42, 10), (55, 23), (69, 8)]);
}

#[test]
fn check_warns_of_what_is_probably_not_meant() {
    let loose = example()
        .replace("serial: 1, not_after: 2031-01-01T00:00:00Z", "serial: 1")
        .replace("  jina-prod: {}", "  jina-prod: {}\n  spare: {}");
    let ran = run_with(&["check", "-"], &loose);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for line in
        ["warning: the bundle never ends", "warning: `spare` is used by no rule", "   |   ^^^^^ credentials.spare"]
    {
        assert!(ran.err.lines().any(|have| have == line), "no line `{line}` in\n{}", ran.err);
    }
    assert_eq!(run_with(&["check", "-", "--strict"], &loose).code, 1);
    let told = run_with(&["check", "-", "--output", "json"], &loose).json();
    assert_eq!(told["files"][0]["warnings"].as_array().unwrap().len(), 2);
}

/// One line says what the file is, and what to do with it.
#[test]
fn check_says_what_a_file_is_that_was_given_as_something_else() {
    let plugin = "gateway: a\ncallers: {}\nroutes: []\n";
    let envoy = "static_resources: {}\n";
    let signed = "{\"payload\": \"e30=\", \"signatures\": []}";
    let bundle = example();
    let (as_bundle, as_config) = (&["check", "-"][..], &["check", "--config", "-"][..]);
    for (arguments, text, what, hint) in [
        (as_bundle, plugin, "this is a plugin configuration, not a bundle", "`--config`"),
        (as_bundle, envoy, "this is an Envoy configuration, not a bundle", "`--config`"),
        (as_bundle, signed, "this is a signed bundle, not the bundle itself", "`rerank-guard verify`"),
        (&["test", "-"], plugin, "this is a plugin configuration, not a bundle", "`--config`"),
        (as_config, bundle.as_str(), "this is a bundle, not a configuration", "without `--config`"),
        (as_config, signed, "this is a signed bundle, not a configuration", "`rerank-guard verify`"),
    ] {
        let ran = run_with(arguments, text);
        assert_eq!(ran.code, 1, "{arguments:?} {text}");
        assert!(ran.err.starts_with(&format!("error: {what}\n")) && ran.err.contains(hint), "{}", ran.err);
        assert_eq!(ran.err.matches("error:").count(), 1, "{}", ran.err);
    }
}

#[test]
fn check_refuses_what_yaml_readers_disagree_on() {
    for (text, what) in [
        (example().replace("serial: 1,", "serial: 1, serial: 2,"), "error: `serial` is there twice"),
        (example().replace("credentials:", "credentials: &all"), "error: an anchor"),
        (
            example().replace("serial: 1,", "serial: 01,"),
            "error: found the text `01`, expected a whole number from 0 on",
        ),
        (example().replace("tests:", "tests"), "error: "),
        (String::new(), "error: an empty document"),
        ("- 1".to_owned(), "error: found no object"),
    ] {
        let ran = run_with(&["check", "-"], &text);
        assert_eq!(ran.code, 1, "{what}");
        assert!(ran.err.contains(what), "no `{what}` in\n{}", ran.err);
    }
}

#[test]
fn what_cannot_be_read_ends_with_2() {
    for arguments in [
        &["check", "policies/none.yaml"][..],
        &["check"],
        &["check", "--config"],
        &["test", "policies/none.yaml"],
        &["explain", EXAMPLE, "--model", "m"],
        &["explain", EXAMPLE, "--documents", "many"],
        &["explain", EXAMPLE, "--request", "none.yaml"],
        &["compile", "policies/none.yaml"],
        &["compile", EXAMPLE, "--into", "/nowhere/at/all.json"],
        &["unknown"],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(!ran.err.is_empty(), "{arguments:?}");
    }
    assert_eq!(run(&["check", EXAMPLE, "policies/none.yaml"]).code, 2);
}

#[test]
fn test_runs_the_tests_and_covers_every_rule_of_the_example() {
    let ran = run(&["test", EXAMPLE, "--require-coverage"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.ends_with("policies/example.yaml: 12 tests, 0 failed, 8 of 8 rules covered\n"), "{}", ran.out);
}

#[test]
fn every_bundle_that_ships_is_tidy_and_covered_by_its_tests() {
    let bundles = ["policies/bank.yaml", EXAMPLE, "policies/one-team.yaml", "policies/tenants.yaml"];
    let there = std::fs::read_dir(root().join("policies")).unwrap();
    let there = there.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "yaml")).count();
    assert_eq!(there, bundles.len());
    for bundle in bundles {
        let (check, test) = (run(&["check", "--strict", bundle]), run(&["test", "--require-coverage", bundle]));
        assert_eq!((check.code, test.code), (0, 0), "{}{}", check.err, test.out);
    }
}

#[test]
fn test_tells_what_differs() {
    let wrong = example()
        .replace("credential: cohere-prod, risk: 0}", "credential: jina-prod, risk: 1}")
        .replace("masks: [pii]\n    approvals: [hr-desk]", "masks: []\n    approvals: []");
    let ran = run_with(&["test", "-"], &wrong);
    assert_eq!(ran.code, 1);
    for line in [
        "-: FAILED: an analyst reranks public documents",
        "    credential: expected jina-prod, got cohere-prod",
        "    risk: expected 1, got 0",
        "-: FAILED: regulated data needs two people",
        "    masks: expected [], got [pii]",
        "    approvals: expected [], got [hr-desk]",
        "-: 12 tests, 2 failed, 8 of 8 rules covered",
    ] {
        assert!(ran.out.lines().any(|have| have == line), "no line `{line}` in\n{}", ran.out);
    }
    let (bundle, _) = wrong.split_once("\ntests:").unwrap();
    let ran = run_with(&["test", "-"], bundle);
    assert_eq!(ran.code, 1, "a bundle without tests must not pass");
    let tests = example().replace("model: BAAI/bge-reranker-large, dataset: people", "model: none, dataset: people");
    let ran = run_with(&["test", "-", "--output", "json"], &tests).json();
    assert_eq!((&ran["ok"], &ran["files"][0]["uncovered"]), (&json!(false), &json!(["analysts-local"])));
}

#[test]
fn test_writes_junit_that_other_programs_read() {
    let wrong = example()
        .replace("name: an analyst reranks public documents", "name: 'a \"<&>\" name'")
        .replace("credential: cohere-prod, risk: 0}", "credential: jina-prod, risk: 0}");
    let report = Scratch::new("junit.xml", "");
    assert_eq!(run_with(&["test", "-", "--junit", report.path()], &wrong).code, 1);
    let text = std::fs::read_to_string(&report.0).unwrap();
    let told = roxmltree::Document::parse(&text).unwrap();
    let failures: Vec<_> = told
        .descendants()
        .filter(|node| node.has_tag_name("failure"))
        .map(|node| (node.parent().unwrap().attribute("name").unwrap(), node.attribute("message").unwrap()))
        .collect();
    assert_eq!(failures, [("a \"<&>\" name", "credential: expected jina-prod, got cohere-prod")]);
    let cases = told.descendants().filter(|node| node.has_tag_name("testcase")).count();
    let suite = told.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    assert_eq!(suite.attribute("tests"), Some(cases.to_string().as_str()));
    assert_eq!(run(&["test", "-", "--junit", report.path()]).code, 1, "a file that does not load is a failure");
    assert!(std::fs::read_to_string(&report.0).unwrap().contains("failures=\"1\""));
    assert_eq!(run(&["test", EXAMPLE, "--junit", "/nowhere/at/all.xml"]).code, 2);
}

#[test]
fn explain_tells_the_decision_and_why() {
    let ran = run(&[
        "explain",
        EXAMPLE,
        "--sub",
        "ann",
        "--group",
        "grp-bi",
        "--group",
        "grp-x",
        "--model",
        "rerank-v3.5",
        "--dataset",
        "hr-reviews",
        "--documents",
        "20",
        "--top-n",
        "5",
        "--at",
        "2027-01-01",
    ]);
    assert_eq!(ran.code, 1, "an approval is no allow");
    assert_eq!(
        ran.out,
        "decision    approval\nreason      approval-required\nrules       analysts-cohere, hr-is-regulated, mask-all\n\
         approval    hr-desk: 2 of grp-hr-leads, within 10 minutes\nrisk        60 (hr-is-regulated 60)\nmasks       pii\n\
         credential  cohere-prod\nlimits      documents 50, query_bytes 4096, document_bytes 65536, top_n 10\n\
         bundle      search, serial 1\n"
    );
    let call = "{sub: cem, groups: [grp-contractors], model: rerank-v3.5, dataset: web-docs, at: 2027-01-01}";
    let path = std::env::temp_dir().join(format!("rerank-guard-call-{}.yaml", std::process::id()));
    std::fs::write(&path, call).unwrap();
    let denied = run(&["explain", EXAMPLE, "--request", path.to_str().unwrap(), "--output", "json"]);
    let allowed = run(&["explain", EXAMPLE, "--request", path.to_str().unwrap(), "--model", "BAAI/bge-reranker-v2-m3"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(denied.code, 1);
    assert_eq!(
        (&denied.json()["decision"], &denied.json()["near_misses"]),
        (
            &json!("deny"),
            &json!([
                {"rule": "analysts-cohere", "what": "groups",
                    "why": "it is for analysts (grp-search-analysts, grp-bi), the caller is in grp-contractors"},
                {"rule": "everybody-local", "what": "models", "why": "it is for bge-m3, asked for is rerank-v3.5"},
            ])
        )
    );
    assert_eq!(allowed.code, 0, "{}", allowed.out);
}

#[test]
fn explain_takes_the_call_out_of_an_access_log_also_behind_the_record_of_a_bundle() {
    let call = |id: &str, dataset: &str| {
        json!({"type": "call", "decision_id": id, "time": "2027-01-01T00:00:00.000Z",
            "actor": {"iss": "https://idp.example", "sub": "ann", "groups": ["grp-bi"]},
            "call": {"operation": "rerank", "model": "rerank-v3.5", "dataset": dataset, "documents": 20, "top_n": 5}})
    };
    let lines = [
        json!({"record": [{"type": "bundle", "event": "loaded"}, call("one", "hr-reviews")], "envoy": {}}),
        json!({"record": [call("two", "web-docs")], "envoy": {}}),
        json!({"record": [], "envoy": {}}),
    ];
    let log = Scratch::new("explained.log", &lines.map(|line| line.to_string() + "\n").concat());
    let last = run(&["explain", EXAMPLE, "--record", log.path()]);
    assert_eq!(last.code, 0, "{}{}", last.out, last.err);
    let first = run(&["explain", EXAMPLE, "--record", log.path(), "--decision-id", "one"]);
    assert!(first.out.starts_with("decision    approval\n"), "{}{}", first.out, first.err);
    assert_eq!(run(&["explain", EXAMPLE, "--record", log.path(), "--decision-id", "three"]).code, 2);
}

#[test]
fn compile_writes_what_the_module_loads() {
    let ran = run(&["compile", EXAMPLE]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let policy = rerank_guard::policy::Policy::load(ran.out.as_bytes()).unwrap();
    assert_eq!((policy.id(), policy.run_tests().count()), ("search", 0));
    let kept = run(&["compile", EXAMPLE, "--with-tests"]);
    assert_eq!(rerank_guard::policy::Policy::load(kept.out.as_bytes()).unwrap().run_tests().count(), 12);
    // Compiling what is compiled changes nothing, or its digest would.
    let path = std::env::temp_dir().join(format!("rerank-guard-bundle-{}.json", std::process::id()));
    std::fs::write(&path, &ran.out).unwrap();
    let again = run(&["compile", path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(again.out, ran.out);
    assert_eq!(run_with(&["compile", "-"], "schema: x").code, 1);
}

/// A key pair in PEM, private and public, always the same for the same seed.
fn keys(seed: u8) -> (String, String) {
    let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([seed; 32]));
    (pair.sk.to_pem(), pair.pk.to_pem())
}

#[test]
fn what_is_signed_is_verified_and_nothing_else() {
    let (private, public) = keys(1);
    let (private, public) = (Scratch::new("private.pem", &private), Scratch::new("public.pem", &public));
    let other = Scratch::new("other.pem", &keys(2).1);
    let signed = run(&["sign", EXAMPLE, "--key", private.path()]);
    assert_eq!((signed.code, signed.err.as_str()), (0, ""));
    let envelope = Scratch::new("envelope.json", &signed.out);
    let bundle = Scratch::new("signed.json", "");
    let ran = run(&["verify", envelope.path(), "--key", other.path(), "--key", public.path(), "--into", bundle.path()]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(std::fs::read_to_string(&bundle.0).unwrap(), run(&["compile", EXAMPLE]).out);
    let ran = run(&["verify", envelope.path(), "--key", other.path()]);
    assert_eq!((ran.code, ran.out.contains("no trusted key signed the bundle")), (1, true), "{}", ran.out);
    // A bundle of another serial in the same envelope.
    let mut changed: Value = serde_json::from_str(&signed.out).unwrap();
    let next = Scratch::new("next.yaml", &example().replace("serial: 1,", "serial: 2,"));
    let next: Value = run(&["sign", next.path(), "--key", private.path()]).json();
    changed["payload"] = next["payload"].clone();
    let forged = Scratch::new("forged.json", &changed.to_string());
    let ran = run(&["verify", forged.path(), "--key", public.path(), "--output", "json"]);
    assert_eq!((ran.code, &ran.json()["refused"]), (1, &json!("forged")));
    // RFC 8037, appendix A.2: the 32 bytes in base64url.
    let jwk = run(&["jwk", public.path(), "--name", "release-1"]).json();
    assert_eq!((&jwk["kty"], &jwk["crv"], &jwk["kid"]), (&json!("OKP"), &json!("Ed25519"), &json!("release-1")));
    // The key's 32 bytes are the last ones of its PEM form.
    let pem: String = keys(1).1.lines().filter(|line| !line.starts_with('-')).collect();
    let x = jwk["x"].as_str().unwrap().replace('-', "+").replace('_', "/");
    assert!(pem.trim_end_matches('=').ends_with(x.get(1..).unwrap()), "{pem} {x}");
}

#[test]
fn a_key_of_the_other_kind_is_told_with_the_command_that_makes_the_right_one() {
    let (private, public) = keys(1);
    let (private, public) = (Scratch::new("half.pem", &private), Scratch::new("other-half.pem", &public));
    let rsa = Scratch::new("rsa.pem", "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n");
    let none = Scratch::new("none.pem", "ssh-ed25519 AAAA\n");
    let envelope = Scratch::new("any.json", "{}");
    let pubout = format!("`openssl pkey -in {} -pubout -out public.pem`", private.path());
    for (arguments, told) in [
        (&["jwk", private.path()][..], pubout.as_str()),
        (&["verify", envelope.path(), "--key", private.path()], pubout.as_str()),
        (&["jwk", rsa.path()], "is no Ed25519 key: make one with `openssl genpkey -algorithm ed25519"),
        (&["jwk", none.path()], "has no line `-----BEGIN …-----`"),
        (&["sign", EXAMPLE, "--key", public.path()], "is a public key, which signs nothing"),
        (&["sign", EXAMPLE, "--key", none.path()], "has no line `-----BEGIN …-----`"),
    ] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
        assert!(!ran.err.contains("MC4CAQ"), "nothing of a key is printed: {}", ran.err);
    }
}

#[test]
fn sign_tells_what_it_wrote_into_a_file() {
    let private = Scratch::new("signer.pem", &keys(1).0);
    let into = Scratch::new("written.json", "");
    let ran = run(&["sign", EXAMPLE, "--key", private.path(), "--into", into.path()]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let said = format!("{}: bundle `search`, serial 1, sha256:", into.path());
    assert!(ran.err.starts_with(&said) && ran.err.contains(", signed by "), "{}", ran.err);
    let told = run(&["sign", EXAMPLE, "--key", private.path(), "--into", into.path(), "--output", "json"]).json();
    let public = Scratch::new("verifier.pem", &keys(1).1);
    let verified = run(&["verify", into.path(), "--key", public.path(), "--output", "json"]).json();
    assert_eq!((&told["ok"], &told["sha256"]), (&json!(true), &verified["sha256"]));
    assert_eq!(told["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn a_configuration_is_refused_in_words_for_people_with_the_place() {
    let good = gateway(&jwks(1), "jwks");
    for (right, wrong, told) in [
        ("\"gateway\":\"", "\"gateway\":5,\"x\":\"", "error: found the number 5, expected a text"),
        ("\"routes\":[", "\"routes\":5,\"x\":[", "error: found the number 5, expected a list"),
        (
            "\"gateway\":\"",
            "\"getaway\":\"\",\"gateway\":\"",
            "error: unknown field `getaway`: did you mean `gateway`?",
        ),
    ] {
        let wrong = good.replacen(right, wrong, 1);
        assert_ne!(wrong, good, "{right}");
        let file = Scratch::new("words.json", &wrong);
        let ran = run(&["check", "--config", file.path()]);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains(told), "no `{told}` in\n{}", ran.err);
        for serde in ["invalid type", "invalid value", "struct ", "u64", " map", "sequence", " at line "] {
            assert!(!ran.err.contains(serde), "`{serde}` in\n{}", ran.err);
        }
    }
}

#[test]
fn diff_tells_what_is_widened_and_narrowed() {
    let same = run(&["diff", EXAMPLE, EXAMPLE, "--at", "2027-01-01"]);
    // 4 groups and 5 models and 4 datasets, each with an unknown one; no tenants. No rule differs, so each is tried once.
    assert_eq!((same.code, same.out.as_str()), (0, "80 calls tried: 0 widened, 0 narrowed, 0 otherwise changed\n"));
    let changed = example()
        .replace("groups: [contractors], datasets: [hr]}\n", "groups: [contractors], datasets: [\"hr-*\"]}\n")
        .replace("groups: [analysts, contractors], models: [bge-m3]", "groups: [analysts], models: [bge-m3]")
        .replace("documents: 50, top_n: 10", "documents: 60")
        .replace("use: jina-prod", "use: cohere-prod");
    let changed = Scratch::new("changed.yaml", &changed);
    let ran = run(&["diff", EXAMPLE, changed.path(), "--at", "2027-01-01"]);
    assert_eq!(ran.code, 1);
    for line in [
        "widened  grp-bi on people with rerank-v3.5: documents 50 -> 60, top_n 10 -> any",
        "narrowed grp-contractors on web-docs with BAAI/bge-reranker-v2-m3: allow -> deny",
        "changed  grp-bi on web-docs with jina-reranker-v2-base-multilingual: credential jina-prod -> cohere-prod",
    ] {
        assert!(ran.out.lines().any(|have| have == line), "no line `{line}` in\n{}", ran.out);
    }
    // Also contractors beside each other group, and five calls that the rules that differ are about. Two groups get larger calls on
    // two datasets with two models, told of a small call and of one as large as the new limit; analysts who are contractors as
    // well get to one dataset with two models.
    assert!(ran.out.ends_with("700 calls tried: 20 widened, 2 narrowed, 4 otherwise changed\n"), "{}", ran.out);
    let back = run(&["diff", changed.path(), EXAMPLE, "--at", "2027-01-01", "--output", "json"]).json();
    assert_eq!((&back["widened"], &back["narrowed"]), (&json!(2), &json!(20)));
    assert_eq!(run(&["diff", EXAMPLE, "policies/none.yaml"]).code, 2);
    assert_eq!(run(&["diff", EXAMPLE, EXAMPLE, "--at", "soon"]).code, 2);
}

/// Lines of an access log with the records of two workers, and each one's tip.
fn access_log() -> (Vec<String>, Vec<String>) {
    use rerank_guard::audit::Chain;
    let (mut one, mut two) = (Chain::new("eu1/rerank", 1), Chain::new("eu1/rerank", 2));
    let mut tips = vec![String::new(), String::new()];
    let lines = (0..6).map(|n| {
        let (chain, which) = if n % 3 == 0 { (&mut two, 1) } else { (&mut one, 0) };
        let time = format!("2027-01-01T00:00:0{n}.000Z");
        let record =
            chain.seal(&format!("\"v\":1,\"time\":\"{time}\",\"type\":\"call\",\"result\":{{\"duration_ms\":5}}"));
        let sealed: Value = serde_json::from_str(&record).unwrap();
        tips[which] = sealed["hash"].as_str().unwrap().to_owned();
        format!("{{\"record\":[{record}],\"envoy\":{{\"code\":200,\"flags\":\"-\",\"details\":\"via_upstream\"}}}}\n")
    });
    (lines.collect(), tips)
}

#[test]
fn audit_verify_tells_the_tips_of_whole_chains_and_what_was_done_to_others() {
    let (lines, tips) = access_log();
    let log = Scratch::new("access.log", &lines.concat());
    let ran = run(&["audit", "verify", log.path()]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert_eq!(
        ran.out,
        format!(
            "eu1/rerank/0000000000000001: 4 records, 2027-01-01T00:00:01.000Z to 2027-01-01T00:00:05.005Z, tip {}\n\
             eu1/rerank/0000000000000002: 2 records, 2027-01-01T00:00:00.000Z to 2027-01-01T00:00:03.005Z, tip {}\n\
             6 lines, 6 records, 2 chains, 0 findings\n",
            tips[0], tips[1]
        )
    );
    let told = run_with(&["audit", "verify", "-", "--output", "json"], &lines.concat()).json();
    assert_eq!((&told["ok"], &told["chains"][0]["tip"]), (&json!(true), &json!(tips[0])));
    // The same records in two files, and the later file alone behind what the earlier run printed.
    let (early, late) = (Scratch::new("1.log", &lines[..3].concat()), Scratch::new("2.log", &lines[3..].concat()));
    assert_eq!(run(&["audit", "verify", early.path(), late.path()]).code, 0);
    assert_eq!(run(&["audit", "verify", late.path()]).code, 1);
    let told = run(&["audit", "verify", early.path(), "--output", "json"]).json();
    let tip = |at: usize| {
        format!("{}={}", told["chains"][at]["chain"].as_str().unwrap(), told["chains"][at]["tip"].as_str().unwrap())
    };
    let ran = run(&["audit", "verify", late.path(), "--after", &tip(0), "--after", &tip(1)]);
    assert_eq!(ran.code, 0, "{}", ran.out);

    let trap = "{\"record\":[],\"envoy\":{\"code\":503,\"details\":\"wasm_fail_stream\"}}\n";
    let mut changed = lines.clone();
    changed[1] = changed[1].replace("\"duration_ms\":5", "\"duration_ms\":4");
    changed.remove(4);
    changed.push(trap.to_owned());
    let ran = run_with(&["audit", "verify", "-"], &changed.concat());
    assert_eq!(ran.code, 1);
    for line in [
        "-:2: edited: the record is not what was sealed (eu1/rerank/0000000000000001 number 0)",
        "-:5: gap: record 2 is missing before this one (eu1/rerank/0000000000000001 number 2)",
        "-:6: trap: a call without record: the module trapped (503 wasm_fail_stream)",
        "6 lines, 5 records, 2 chains, 3 findings",
    ] {
        assert!(ran.out.lines().any(|have| have == line), "no line `{line}` in\n{}", ran.out);
    }
    for nothing in ["", "\n\n"] {
        let ran = run_with(&["audit", "verify", "-"], nothing);
        assert_eq!((ran.code, ran.out.starts_with("no record: ")), (1, true), "{}", ran.out);
        let told = run_with(&["audit", "verify", "-", "--output", "json"], nothing).json();
        assert_eq!((&told["ok"], &told["records"]), (&json!(false), &json!(0)));
    }
    assert_eq!(run(&["audit", "verify", "none.log"]).code, 2);
    assert_eq!(run(&["audit", "verify", log.path(), "--after", "chain"]).code, 2);
    let help = run(&["audit", "verify", "--help"]).out;
    assert!(help.contains("does not show"), "{help}");
}

/// A configuration with an issuer of inline keys, and one whose keys are fetched.
fn gateway(keys: &Value, fetched: &str) -> String {
    json!({
        "gateway": "eu1/rerank",
        "bundle": {"embedded": true},
        "callers": {"issuers": [
            {"issuer": "https://idp.example", "audiences": ["rerank-guard"], "algorithms": ["EdDSA"], "keys": {"inline": keys}},
            {"issuer": "https://far.example", "audiences": ["rerank-guard"], "algorithms": ["EdDSA"], "keys":
                {fetched: {"cluster": "idp", "authority": "far.example", "path": "/keys"}}},
        ]},
        "origins": ["https://rerank.example"],
        "routes": [{"path": "/rerank", "dialect": "tei", "model": "m", "dataset": {"fixed": "d"}, "clusters": ["tei"],
                    "credentials": ["c"]}],
        "credentials": {"c": {"env": "KEY"}},
    })
    .to_string()
}

/// A token by the key of this seed, at 2027-01-01T00:00:00Z, for ten minutes.
fn token(seed: u8, issuer: &str, change: impl Fn(&mut Value)) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([seed; 32]));
    let at = 1_798_761_600_u64;
    let mut claims = json!({"iss": issuer, "aud": "rerank-guard", "sub": "ann", "groups": ["grp-bi", "grp-x"], "iat": at,
        "exp": at + 600, "email": "ann@example.org"});
    change(&mut claims);
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(json!({"alg": "EdDSA", "typ": "JWT", "kid": "k"}).to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(*pair.sk.sign(&signed, None)))
}

fn jwks(seed: u8) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([seed; 32]));
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": URL_SAFE_NO_PAD.encode(*pair.pk)}]})
}

#[test]
fn token_tells_the_caller_or_the_one_reason_and_never_the_token() {
    let config = Scratch::new("gateway.json", &gateway(&jwks(1), "jwks"));
    let shown = |token: &str, more: &[&str]| {
        let arguments = [&["token", "--config", config.path(), "--at", "2027-01-01T00:01:00Z"], more].concat();
        let ran = run_with(&arguments, token);
        for part in token.trim().split('.').filter(|part| part.len() > 8) {
            assert!(!ran.out.contains(part) && !ran.err.contains(part), "{}{}", ran.out, ran.err);
        }
        ran
    };
    let good = token(1, "https://idp.example", |_| {});
    let ran = shown(&format!("Bearer {good}\n"), &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(
        ran.out,
        "issuer    https://idp.example\nsubject   ann\ngroups    grp-bi, grp-x\nproof     bearer\nkey id    k\n\
         algorithm EdDSA\nexpires   2027-01-01T00:10:00.000Z\nclaims    aud, email, exp, groups, iat, iss, sub\n"
    );
    let file = Scratch::new("token", &good);
    assert_eq!(
        shown("", &["--token-file", file.path(), "--output", "json"]).json()["groups"],
        json!(["grp-bi", "grp-x"])
    );
    for (token, reason, claim) in [
        (token(2, "https://idp.example", |_| {}), "bad-signature", json!(null)),
        (token(1, "https://idp.example", |claims| claims["aud"] = json!("other")), "wrong-audience", json!("aud")),
        (token(1, "https://idp.example", |claims| claims["exp"] = json!(1_798_761_601)), "expired", json!("exp")),
        (token(1, "https://idp.example", |claims| claims["groups"] = json!(1)), "groups-malformed", json!("groups")),
        (token(1, "https://other.example", |_| {}), "unknown-issuer", json!("iss")),
        (token(1, "https://idp.example", |claims| claims["sub"] = json!("")), "subject-missing", json!("sub")),
        (good.replace('.', ""), "not-three-parts", json!(null)),
    ] {
        let ran = shown(&token, &["--output", "json"]);
        assert_eq!(
            (ran.code, &ran.json()["refused"], &ran.json()["claim"]),
            (1, &json!(reason), &claim),
            "{}",
            ran.out
        );
    }
    assert_eq!(shown("", &[]).code, 2);
    assert_eq!(shown(&good, &["--at", "soon"]).code, 2);
    let ran = run_with(&["token", "--config", EXAMPLE], &good);
    assert_eq!((ran.code, ran.err.contains("this is a bundle, not a configuration")), (2, true), "{}", ran.err);
}

#[test]
fn token_takes_the_keys_that_gateways_fetch_from_files() {
    let far = token(3, "https://far.example", |_| {});
    let (right, wrong) =
        (Scratch::new("right.jwks", &jwks(3).to_string()), Scratch::new("wrong.jwks", &jwks(1).to_string()));
    for fetched in ["jwks", "discovery"] {
        let config = gateway(&jwks(1), fetched).replace(
            r#","path":"/keys""#,
            if fetched == "discovery" {
                r#","keys_at":{"cluster":"cdn","authority":"keys.example"}"#
            } else {
                r#","path":"/keys""#
            },
        );
        let config = Scratch::new(&format!("{fetched}.json"), &config);
        let shown = |more: &[&str]| {
            run_with(&[&["token", "--config", config.path(), "--at", "2027-01-01T00:01:00Z"], more].concat(), &far)
        };
        let ran = shown(&[]);
        assert_eq!(ran.code, 2);
        assert!(ran.err.contains("the gateway fetches the keys of `https://far.example`"), "{}", ran.err);
        assert_eq!(shown(&["--jwks", right.path()]).code, 0, "{fetched}: {}", shown(&["--jwks", right.path()]).err);
        assert_eq!(shown(&["--jwks", &format!("https://far.example={}", right.path())]).code, 0);
        let ran = shown(&["--jwks", wrong.path()]);
        assert_eq!((ran.code, ran.out.starts_with("refused   bad-signature\n")), (1, true), "{}", ran.out);
        assert_eq!(shown(&["--jwks", config.path()]).code, 2, "no key set");
        assert_eq!(shown(&["--jwks", "none.json"]).code, 2);
    }
}

#[test]
fn token_takes_the_configuration_out_of_envoys() {
    let ran = run_with(&["token", "--config", "envoy/minimal.yaml"], &token(1, "https://other.example", |_| {}));
    assert_eq!((ran.code, ran.out.starts_with("refused   unknown-issuer\n")), (1, true), "{}{}", ran.out, ran.err);
}

#[test]
fn mask_masks_json_lines_and_text() {
    let body = "{\"results\": [{\"index\": 510510510, \"text\": \"write to ann@example.org\"}]}\n";
    let ran = run_with(&["mask", "--report", "--keep", "/results/*/index"], body);
    assert_eq!((ran.code, ran.out), (0, body.replace("ann@example.org", "[email]")));
    assert_eq!(
        serde_json::from_str::<Value>(&ran.err).unwrap(),
        json!({"ok": true, "masked": [{"file": "-", "line": null, "found":
            [{"kind": "email", "count": 1, "pointers": ["/results/0/text"], "truncated": false}],
            "findings": [{"kind": "email", "pointer": "/results/0/text", "start": 9, "end": 24, "proof": "check",
                "validator": "local part and domain"}]}]})
    );
    let card = "{\"results\": [{\"index\": 5105105105105100}]}\n";
    let ran = run_with(&["mask", "--keep", "/results/*/index"], card);
    assert!(!ran.out.contains("5105105105105100"), "no place keeps a card");
    let file = Scratch::new("text", "ann@example.org, 4111 1111 1111 1111\r\n");
    let ran = run(&["mask", "--text", "--detect", "email", "--replace", "<{kind}>", file.path(), file.path()]);
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (0, "<email>, 4111 1111 1111 1111\r\n".repeat(2).as_str(), "")
    );

    let lines = "{\"a\":\"ann@example.org\"}\n\nnot ann@example.org\n{\"a\":1}";
    let ran = run_with(&["mask", "--lines", "--report"], lines);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (1, "{\"a\":\"[email]\"}\n\n{\"a\":1}"),
        "what cannot be masked does not leave"
    );
    assert!(ran.err.starts_with("error: `-`, line 3, column 1, is withheld: "), "{}", ran.err);
    assert!(!ran.err.contains("ann@"), "{}", ran.err);
    let told = run_with(&["mask", "--lines", "--output", "json"], lines).json();
    assert_eq!((&told["ok"], &told["masked"][0]["body"]), (&json!(false), &json!("{\"a\":\"[email]\"}")));
    assert_eq!((&told["masked"][1]["line"], &told["masked"][1]["withheld"]), (&json!(3), &json!("not-json")));
    let ran = run_with(&["mask"], "{\"a\":\n\"ann@example.org\"");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.starts_with("error: `-`, line 2, column 18, is withheld: "), "{}", ran.err);

    assert_eq!(run(&["mask", "none.json"]).code, 2);
    assert_eq!(run(&["mask", "--replace", "{nid}"]).code, 2);
    assert_eq!(run(&["mask", "--keep", "results"]).code, 2);
    let ran = run(&["mask", "--detect", "email,iq"]);
    assert_eq!((ran.code, ran.err.contains("no such kind; there are private_key, jwt")), (2, true), "{}", ran.err);
}

/// Offsets count code points of the decoded string: an emoji is one, however it is written, and so is an escape.
#[test]
fn mask_tells_where_each_finding_stands() {
    let findings = |arguments: &[&str], body: &str| {
        let told = run_with(&[&["mask", "--report", "--output", "json"], arguments].concat(), body).json();
        let all = told["masked"][0]["findings"].as_array().unwrap().clone();
        let brief = |one: &Value| {
            json!([one["kind"], one["pointer"], one["start"], one["end"], one["proof"], one["in"], one["inside"]])
        };
        Value::Array(all.iter().map(brief).collect())
    };
    let body = "{\"a\":\"\u{1f600}\\ud83d\\ude00\\n ann\\u0040example.org, SSN 219-45-6789\",\"bob@example.org\":1,\
         \"n\":[4111111111111111],\"j\":\"{\\\"iban\\\": \\\"x DE89370400440532013000\\\"}\"}";
    assert_eq!(
        findings(&[], body),
        json!([
            ["email", "/a", 4, 19, "check", null, null],
            ["us_ssn", "/a", 25, 36, "check", null, null],
            ["email", "/[email]", 0, 15, "check", "name", null],
            ["credit_card", "/n/0", 0, 16, "check", null, null],
            ["iban", "/j", 2, 24, "check", null, ["/iban"]],
        ])
    );
    assert_eq!(
        findings(&["--text"], "\u{e9}\u{1f600} ann@example.org\ntel \u{ff11}12-5550-1234"),
        json!([["email", null, 3, 18, "check", null, null], ["phone", null, 23, 36, "context", null, null]])
    );
    // Only once the address is gone does the word stand close enough to the number.
    let told = findings(&[], "{\"a\":\"tel a.very.long.address.of.ann@example.org 123-4567\"}");
    assert_eq!(told[0], json!(["email", "/a", 4, 42, "check", null, null]));
}

/// What is asked for in every way, of every form, from standard input and from files.
#[test]
fn mask_masks_fields_and_tells_them_like_other_findings() {
    let body =
        "{\"ssn\":\"\\u00e9\\ud83d\\ude00x\",\"a\":[{\"ssn\":12.5},{\"ssn\":{\"b\":1}}],\"mail\":\"ann@example.org\"}";
    let masked =
        "{\"ssn\":\"[field]\",\"a\":[{\"ssn\":\"[field]\"},{\"ssn\":\"[field]\"}],\"mail\":\"ann@example.org\"}";
    let brief = |told: &Value| {
        let all = told["masked"].as_array().unwrap().iter().flat_map(|one| one["findings"].as_array().unwrap().clone());
        Value::Array(
            all.map(|one| json!([one["kind"], one["pointer"], one["start"], one["end"], one["proof"]])).collect(),
        )
    };
    let fields = json!([
        ["field", "/ssn", 0, 3, "rule"],
        ["field", "/a/0/ssn", 0, 4, "rule"],
        ["field", "/a/1/ssn", null, null, "rule"],
    ]);
    let ran = run_with(&["mask", "--fields", "ssn", "--report"], body);
    assert_eq!((ran.code, ran.out.as_str()), (0, masked), "{}", ran.err);
    assert_eq!(brief(&serde_json::from_str(&ran.err).unwrap()), fields);
    let file = Scratch::new("lines", &format!("{body}\n{body}"));
    let ran = run(&["mask", "--lines", "--fields", "ssn,/mail", "--detect", "email", "--report", file.path()]);
    assert_eq!(ran.out, format!("{masked}\n{masked}").replace("ann@example.org", "[field]"));
    let told: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(told["masked"][1]["line"], 2);
    assert_eq!(brief(&told)[7], json!(["field", "/mail", 0, 15, "rule"]), "a rule goes before what is found");
    let json = run_with(&["mask", "--fields", "ssn", "--report", "--output", "json"], body).json();
    assert_eq!((brief(&json), &json["masked"][0]["body"]), (fields, &json!(masked)));

    let ran = run_with(&["mask", "--fields", "a*"], body);
    assert_eq!((ran.code, ran.err.starts_with("error: --fields: `a*` is no field rule: ")), (2, true), "{}", ran.err);
    assert_eq!(run_with(&["mask", "--fields", "ssn", "--text"], body).code, 2, "text has no fields");
}

#[test]
fn mask_masks_as_a_bundle_says() {
    let bundle = "schema: rerank-guard/v1\nbundle: {id: b, serial: 1, not_after: 2030-01-01T00:00:00Z}\nmasks:\n  \
         badges: {patterns: {badge: {regex: '\\bEMP-\\d{6}\\b', context: [badge]}, part: {regex: 'PRT-\\d{3}'}}}\n  \
         few: {detect: [email], deny: {above: 1}}\n  joined: {fields: [name], replace: '{pseudonym:k}'}\nrules: []\n";
    let bundle = Scratch::new("bundle.yaml", bundle);
    let masks =
        |mask: &str, body: &str| run_with(&["mask", "--report", "--bundle", bundle.path(), "--mask", mask], body);
    let ran = masks("badges", "{\"badge\":\"EMP-123456\",\"x\":\"EMP-123456 PRT-007\",\"y\":\"badge EMP-000001\"}");
    let wanted = "{\"badge\":\"[custom_badge]\",\"x\":\"EMP-123456 [custom_part]\",\"y\":\"badge [custom_badge]\"}";
    assert_eq!((ran.code, ran.out.as_str()), (0, wanted), "{}", ran.err);
    let told: Value = serde_json::from_str(&ran.err).unwrap();
    let brief = |one: &Value| json!([one["kind"], one["pointer"], one["start"], one["end"], one["proof"]]);
    let told: Vec<_> = told["masked"][0]["findings"].as_array().unwrap().iter().map(brief).collect();
    assert_eq!(
        told,
        [
            json!(["custom_badge", "/badge", 0, 10, "context"]),
            json!(["custom_part", "/x", 11, 18, "form"]),
            json!(["custom_badge", "/y", 6, 16, "context"]),
        ]
    );
    assert_eq!(masks("few", "[\"ann@example.org\"]").out, "[\"[email]\"]");
    let ran = masks("few", "[\"ann@example.org\",\"bob@example.org\"]");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "more than may leave");
    let ran = masks("few,fewer", "1");
    let there = "has no mask `fewer`; there are `badges`, `few`, `joined`\n";
    assert_eq!((ran.code, ran.err.ends_with(there)), (2, true), "{}", ran.err);
    let ran = masks("joined", "1");
    assert_eq!((ran.code, ran.err.ends_with("name it with `--pseudonym-key`\n")), (2, true), "{}", ran.err);
    let ran = run_with(
        &["mask", "--bundle", bundle.path(), "--pseudonym-key", "k=PSEUDONYMS"],
        "[{\"name\":\"Ann\"},{\"name\":\"Ann\"},{\"name\":\"Bob\"}]",
    );
    let names: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((names[0] == names[1], names[0] == names[2]), (true, false), "{}", ran.out);
    let ran = run_with(&["mask", "--bundle", bundle.path(), "--pseudonym-key", "k=NONE_SUCH"], "1");
    assert_eq!((ran.code, ran.err.contains("there is no environment variable `NONE_SUCH`")), (2, true), "{}", ran.err);
    assert_eq!(run(&["mask", "--bundle", bundle.path(), "--detect", "email"]).code, 2);
}

#[test]
fn mask_is_done_in_time_that_grows_with_the_file_alone() {
    // A file of many lines and one of one long line: both are read whole, and nothing of them is told twice.
    let text = "call +49 30 901820 or write to ann@example.org\n".repeat(20_000);
    let ran = run_with(&["mask", "--text", "--report"], &text);
    assert_eq!((ran.code, ran.out.len()), (0, "call [phone] or write to [email]\n".len() * 20_000));
    let told: Value = serde_json::from_str(&ran.err).unwrap();
    let findings = told["masked"][0]["findings"].as_array().unwrap();
    assert_eq!((findings.len(), &findings[39_999]["end"]), (40_000, &json!(text.len() - 1)));
}

#[test]
fn why_tells_what_a_word_means_wherever_it_stands() {
    let ran = run(&["why", "no-rule"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            0,
            "no-rule\nchapter  May they?\nanswer   403 `forbidden`\nmeans    no allow matched\n\
             to do    Look at the record's near misses; `rerank-guard explain` tells what each lacked.\n"
        )
    );
    let told = run(&["why", "no-cluster", "--output", "json"]).json();
    let chapters: Vec<&Value> = told.as_array().unwrap().iter().map(|one| &one["chapter"]).collect();
    assert_eq!(chapters, [&json!("What do they ask for?"), &json!("How it ended")]);
    assert_eq!((&told[0]["answers"][0]["status"], &told[1]["answers"]), (&json!(503), &json!([])));
    for (word, told) in [("no-rul", "is no reason"), ("forbidden", "ask for its reason"), ("\u{1b}[2J", "is no reason")]
    {
        let ran = run(&["why", word]);
        assert_eq!((ran.code, ran.err.contains(told), ran.err.contains('\u{1b}')), (2, true, false), "{}", ran.err);
    }
}
