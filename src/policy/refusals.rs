//! What is no policy, and what is said about it; and the example of the design, decided by hand.

use super::*;
use serde_json::{Value, json};

/// The bundle of the design document, with the names declared that it left out and the risk that its threshold needs.
fn example() -> Value {
    json!({
        "schema": "rerank-guard/v1",
        "bundle": {"id": "search", "serial": 412, "not_after": "2027-01-01T00:00:00Z"},
        "groups": {"analysts": ["grp-search-analysts", "grp-bi"], "contractors": ["grp-contractors"]},
        "datasets": {"hr": {"match": ["hr-*", "people"], "labels": ["regulated"]}},
        "credentials": {"cohere-prod": {}, "spare": {}},
        "masks": {"pii": {"detect": ["email", "phone", "iban", "credit_card"], "replace": "[{kind}]"}},
        "approvals": {"hr-desk": {"groups": ["grp-hr-leads"], "min": 2, "ttl": "10m"}},
        "rules": [
            {"id": "no-contractors", "deny": {"groups": ["contractors"], "datasets": ["hr"]}},
            {"id": "hr-is-regulated", "guard": {"datasets": ["hr"]}, "risk": 60,
             "require": {"approval": "hr-desk", "when_risk_at_least": 50, "masks": ["pii"]},
             "limits": {"documents": 50, "top_n": 10, "return_documents": false}},
            {"id": "analysts",
             "allow": {"groups": ["analysts"], "models": ["rerank-v3.*"], "datasets": ["hr", "web-*"], "operations": ["rerank"]},
             "limits": {"documents": 200, "query_bytes": 4096}, "use": "cohere-prod", "expires": "2027-01-31",
             "owner": "search-platform"},
            {"id": "stricter-soon", "mode": "shadow", "deny": {"models": ["rerank-v3.5"]}}
        ],
        "tests": [
            {"name": "analyst reranks hr",
             "request": {"sub": "ann", "groups": ["grp-bi"], "model": "rerank-v3.5", "dataset": "hr-reviews", "documents": 20, "top_n": 5},
             "expect": {"decision": "approval", "rules": ["analysts", "hr-is-regulated"], "masks": ["pii"], "credential": "cohere-prod"}}
        ]
    })
}

fn load(document: &Value) -> Result<Policy, Vec<Flaw>> {
    Policy::load(document.to_string().as_bytes())
}

/// The example with the value at a JSON pointer replaced; a name after the last `/` may be new.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = example();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) if name == "-" => items.push(value),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        _ => panic!("{pointer}"),
    }
    document
}

fn request(document: Value) -> Request {
    serde_json::from_value(document).unwrap()
}

/// An upstream or a store may take the two for one; who allows `web-*` and denies `web-secret*` means both.
#[test]
fn no_deny_or_guard_is_escaped_by_the_case_or_look_of_a_name_and_no_allow_is_met_by_it() {
    let mut document =
        with("/rules/-", json!({"id": "no-secrets", "deny": {"datasets": ["web-Secret*", "web-*-über"]}}));
    let rules = document["rules"].as_array_mut().unwrap();
    rules.push(json!({"id": "masked", "guard": {"models": ["rerank-v3.x"]}, "require": {"masks": ["pii"]}}));
    document["tests"] = json!([]);
    let policy = load(&document).unwrap();
    let base = json!({"sub": "ann", "groups": ["grp-bi"], "model": "rerank-v3.5", "dataset": "web-docs", "documents": 8, "top_n": 5});
    for (dataset, model, rules) in [
        ("web-docs", "rerank-v3.5", vec!["analysts"]),
        ("web-secret-1", "rerank-v3.5", vec!["no-secrets"]),
        ("web-SECRET", "rerank-v3.5", vec!["no-secrets"]),
        ("web-\u{455}ecret", "rerank-v3.5", vec!["no-secrets"]),
        ("web-s\u{200b}ecret", "rerank-v3.5", vec!["no-secrets"]),
        ("web-ｓecret", "rerank-v3.5", vec!["no-secrets"]),
        ("web-a-ÜBER", "rerank-v3.5", vec!["no-secrets"]),
        ("web-a-u\u{308}ber", "rerank-v3.5", vec!["no-secrets"]),
        ("Web-docs", "rerank-v3.5", vec![]),
        ("web-docs", "Rerank-v3.5", vec![]),
        ("web-docs", "rerank-v3.X", vec!["analysts", "masked"]),
    ] {
        let mut asked = base.clone();
        (asked["dataset"], asked["model"]) = (json!(dataset), json!(model));
        let asked = request(asked);
        let decision = policy.decide(&asked.question());
        let met: Vec<&str> = decision.rules.iter().map(|rule| &**rule).collect();
        assert_eq!(met, rules, "{dataset} {model}");
    }
}

#[test]
fn the_example_loads_and_decides_as_it_was_thought_out() {
    let policy = load(&example()).unwrap();
    assert_eq!((policy.id(), policy.serial()), ("search", 412));
    assert_eq!(policy.not_after(), Time::parse("2027-01-01"));
    assert_eq!(policy.credentials().map(|name| &**name).collect::<Vec<_>>(), ["cohere-prod"]);
    assert_eq!(policy.approval("hr-desk").unwrap().min, 2);
    assert!(policy.mask("pii").is_some() && policy.mask("other").is_none());
    for outcome in policy.run_tests() {
        assert_eq!(outcome.differences, [], "{}", outcome.test.name);
    }
    let base =
        json!({"sub": "ann", "groups": ["grp-bi"], "model": "rerank-v3.5", "dataset": "hr-reviews", "documents": 8});
    for (change, effect, reason, rules) in [
        (json!({}), "approval", "approval-required", vec!["analysts", "hr-is-regulated"]),
        (json!({"dataset": "people"}), "approval", "approval-required", vec!["analysts", "hr-is-regulated"]),
        (json!({"dataset": "web-docs"}), "allow", "granted", vec!["analysts"]),
        (json!({"groups": ["grp-bi", "grp-contractors"]}), "deny", "denied-by-rule", vec!["no-contractors"]),
        (json!({"groups": []}), "deny", "no-rule", vec![]),
        (json!({"groups": ["analysts"]}), "deny", "no-rule", vec![]),
        (json!({"documents": 51, "top_n": 5}), "deny", "limit-exceeded", vec!["hr-is-regulated"]),
        (json!({"documents": 11}), "deny", "limit-exceeded", vec!["hr-is-regulated"]),
        (json!({"return_documents": true}), "deny", "limit-exceeded", vec!["hr-is-regulated"]),
        (json!({"dataset": "web-docs", "documents": 201}), "deny", "no-rule", vec![]),
        (json!({"operation": "embed"}), "deny", "no-rule", vec![]),
        (
            json!({"at": "2026-12-31T23:59:59.999Z"}),
            "approval",
            "approval-required",
            vec!["analysts", "hr-is-regulated"],
        ),
        (json!({"at": "2027-01-01T00:00:00Z"}), "deny", "bundle-expired", vec![]),
    ] {
        let mut asked = base.clone();
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let decision = policy.decide(&request(asked).question());
        let got: Vec<&str> = decision.rules.iter().map(|rule| &**rule).collect();
        assert_eq!((decision.effect.as_str(), decision.reason.as_str(), got), (effect, reason, rules), "{change}");
    }
}

#[test]
fn obligations_limits_and_shadow_come_with_the_decision() {
    let policy = load(&example()).unwrap();
    let asked = request(json!({"groups": ["grp-bi"], "model": "rerank-v3.5", "dataset": "hr-reviews", "documents": 8}));
    let decision = policy.decide(&asked.question());
    let limits = Limits {
        documents: Some(50),
        query_bytes: Some(4096),
        document_bytes: None,
        top_n: Some(10),
        return_documents: Some(false),
        parameters: None,
    };
    assert_eq!(decision.limits, limits);
    assert_eq!((decision.risk, decision.reasons), (60, vec![("hr-is-regulated".into(), 60)]));
    assert_eq!((decision.masks, decision.approvals), (vec!["pii".into()], vec!["hr-desk".into()]));
    assert_eq!(decision.credential.as_deref(), Some("cohere-prod"));
    assert_eq!(decision.shadow, Some(Shadow { effect: Effect::Deny, rules: vec!["stricter-soon".into()] }));
}

#[test]
fn near_misses_name_what_kept_an_allow_from_matching() {
    let policy = load(&example()).unwrap();
    let base = json!({"groups": ["grp-bi"], "model": "rerank-v3.5", "dataset": "web-docs", "documents": 8});
    for (change, misses) in [
        (json!({"groups": ["grp-x"]}), vec!["groups"]),
        (json!({"model": "jina"}), vec!["models"]),
        (json!({"dataset": "intranet"}), vec!["datasets"]),
        (json!({"operation": "embed"}), vec!["operations"]),
        (json!({"documents": 300, "query_bytes": 5000}), vec!["documents", "query_bytes"]),
        (json!({"groups": ["grp-x"], "model": "jina"}), vec![]),
    ] {
        let mut asked = base.clone();
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let decision = policy.decide(&request(asked).question());
        let got: Vec<&str> = decision.near_misses.iter().map(|miss| miss.what.as_str()).collect();
        assert_eq!(got, misses, "{change}");
    }
    let unending = load(&with("/bundle/not_after", json!("2030-01-01"))).unwrap();
    let mut late = base;
    late["at"] = json!("2027-01-31");
    let decision = unending.decide(&request(late).question());
    assert_eq!((decision.effect, decision.near_misses[0].what), (Effect::Deny, Miss::Expired));
}

#[test]
fn the_digest_is_of_the_bytes_as_they_came() {
    // sha256sum of the same bytes.
    assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn every_flaw_is_refused_at_its_place() {
    let rule = |more: Value| {
        let mut rule = json!({"id": "more"});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with("/rules/-", rule)
    };
    let allow = |more: Value| {
        let mut allow = json!({"groups": ["analysts"], "models": ["m"], "datasets": ["x-*"], "operations": ["rerank"]});
        allow.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule(json!({"allow": allow}))
    };
    for (document, place, what) in [
        (json!([]), "the document", "found no object"),
        (with("/schema", json!("rerank-guard/v2")), "schema", "an unknown schema"),
        (with("/bundle", json!(["search", 412, "2027-01-01"])), "bundle", "found a list"),
        (with("/rules/3", json!(["stricter-soon"])), "rules[3]", "found a list"),
        (with("/grops", json!({})), "grops", "unknown name `grops`"),
        (with("/bundle/serial", json!(-1)), "bundle.serial", "found the number -1, expected a whole number"),
        (with("/bundle/serial", json!("412")), "bundle.serial", "found the text `412`"),
        (with("/bundle/not_after", json!("soon")), "bundle.not_after", "`soon` is no date"),
        (with("/bundle/not_after", Value::Null), "bundle.not_after", "found nothing"),
        (with("/bundle/id", json!("a b")), "bundle.id", "`a b` cannot be a bundle's id"),
        (with("/groups/analysts", json!([])), "groups.analysts", "no groups"),
        (with("/groups/analysts", json!(["grp-*"])), "groups.analysts[0]", "`grp-*` has a `*`"),
        (with("/datasets/hr/match", json!([])), "datasets.hr.match", "matches nothing"),
        (with("/datasets/hr/match", json!(["hr-?"])), "datasets.hr.match[0]", "`?` in a pattern"),
        (with("/datasets/hr/lables", json!([])), "datasets.hr.lables", "unknown name `lables`"),
        (with("/credentials/cohere-prod", json!({"env": "KEY"})), "credentials.cohere-prod.env", "unknown name `env`"),
        (with("/masks/pii/detect", json!([])), "masks.pii.detect", "a mask that finds nothing"),
        (with("/masks/pii/fields", json!(["ssn", "a*"])), "masks.pii.fields[1]", "`a*` is no field rule"),
        (
            with("/masks/pii/patterns", json!({"a": {"regex": "[a-z]{3}"}})),
            "masks.pii.patterns.a.regex",
            "no pattern that can be",
        ),
        (
            with("/masks/pii/patterns", json!({"A": {"regex": "ABC"}})),
            "masks.pii.patterns",
            "`A` cannot be a pattern's name",
        ),
        (
            with("/masks/pii/patterns", json!({"a": {"regex": "ABC-\\d", "context": ["badge", "badge_no"]}})),
            "masks.pii.patterns.a.context[1]",
            "`badge_no` is no word",
        ),
        (
            with("/masks/pii/patterns", json!({"a": {"regex": "ABC-\\d", "context": "badge"}})),
            "masks.pii.patterns.a.context",
            "found the text `badge`",
        ),
        (with("/masks/pii/replace", json!("{nope}")), "masks.pii.replace", "braces that say nothing here"),
        (
            with("/masks/pii/replace", json!("a@example.org")),
            "masks.pii.replace",
            "a replacement that would itself be found",
        ),
        (
            with("/masks/pii/deny", json!({"kinds": ["emial"]})),
            "masks.pii.deny.kinds[0]",
            "`emial` is nothing that this mask finds",
        ),
        (
            rule(json!({"guard": {}, "require": {"request_masks": ["pij"]}})),
            "rules[4].require.request_masks[0]",
            "`pij` is no mask",
        ),
        (with("/masks/pii/detect/0", json!("e-mail")), "masks.pii.detect[0]", "unknown value `e-mail`"),
        (with("/approvals/hr-desk/min", json!(0)), "approvals.hr-desk.min", "an approval by nobody"),
        (with("/approvals/hr-desk/groups", json!([])), "approvals.hr-desk.groups", "no groups"),
        (
            with("/approvals/hr-desk/groups/0", json!("analysts")),
            "approvals.hr-desk.groups[0]",
            "`analysts` is an alias",
        ),
        (with("/approvals/hr-desk/ttl", json!("0s")), "approvals.hr-desk.ttl", "nobody can approve"),
        (rule(json!({})), "rules[4]", "a rule is exactly one of"),
        (rule(json!({"deny": {}, "guard": {}})), "rules[4]", "a rule is exactly one of"),
        (rule(json!({"deny": {}, "where": "always"})), "rules[4].where", "unknown name `where`"),
        (rule(json!({"deny": {}, "mode": "off"})), "rules[4].mode", "unknown value `off`"),
        (rule(json!({"deny": {"group": []}})), "rules[4].deny.group", "unknown name `group`"),
        (rule(json!({"deny": {"groups": []}})), "rules[4].deny.groups", "an empty list"),
        (rule(json!({"deny": {"groups": ["grp-bi"]}})), "rules[4].deny.groups[0]", "`grp-bi` is no group"),
        (
            rule(json!({"deny": {"datasets": ["hr-reviews"]}})),
            "rules[4].deny.datasets[0]",
            "`hr-reviews` is no dataset",
        ),
        (rule(json!({"deny": {"models": ["a b"]}})), "rules[4].deny.models[0]", "` ` in a pattern"),
        (rule(json!({"deny": {"labels": ["regulatd"]}})), "rules[4].deny.labels[0]", "`regulatd` is no label"),
        (rule(json!({"deny": {"labels": []}})), "rules[4].deny.labels", "an empty list"),
        (
            rule(json!({"deny": {"labels": ["regulated"], "datasets": ["hr"]}})),
            "rules[4].deny.labels",
            "`labels` and `datasets`",
        ),
        (
            rule(json!({"deny": {}, "when": {"hours": {"days": ["mo"]}}})),
            "rules[4].when.hours.days[0]",
            "`mo` is no day",
        ),
        (rule(json!({"deny": {"tenants": ["a**"]}})), "rules[4].deny.tenants[0]", "two `*` in a row"),
        (rule(json!({"deny": {"operations": ["rank"]}})), "rules[4].deny.operations[0]", "`rank` is no operation"),
        (rule(json!({"deny": {}, "limits": {"top_n": 1}})), "rules[4].limits", "`limits` cannot stand in a deny"),
        (rule(json!({"deny": {}, "expires": "2027-01-01"})), "rules[4].expires", "`expires` cannot stand in a deny"),
        (rule(json!({"guard": {}})), "rules[4]", "a guard that asks for nothing"),
        (rule(json!({"guard": {}, "risk": 1, "use": "spare"})), "rules[4].use", "`use` cannot stand in a guard"),
        (rule(json!({"guard": {}, "risk": 1, "limits": {}})), "rules[4].limits", "no limits"),
        (rule(json!({"guard": {}, "limits": {"documents": 0}})), "rules[4].limits.documents", "no call keeps to 0"),
        (
            rule(json!({"guard": {}, "limits": {"return_documents": true}})),
            "rules[4].limits.return_documents",
            "limits nothing",
        ),
        (rule(json!({"guard": {}, "require": {"masks": ["pij"]}})), "rules[4].require.masks[0]", "`pij` is no mask"),
        (
            rule(json!({"guard": {}, "require": {"approval": "desk"}})),
            "rules[4].require.approval",
            "`desk` is no approval",
        ),
        (
            rule(json!({"guard": {}, "require": {"masks": ["pii"], "when_risk_at_least": 5}})),
            "rules[4].require.when_risk_at_least",
            "nothing to do at that risk",
        ),
        (
            rule(json!({"guard": {}, "require": {"approval": "hr-desk", "when_risk_at_least": 61}})),
            "rules[4].require.when_risk_at_least",
            "no call reaches that risk",
        ),
        (
            rule(json!({"guard": {}, "require": {"deny_when_risk_at_least": 61}})),
            "rules[4].require.deny_when_risk_at_least",
            "no call reaches that risk",
        ),
        (
            rule(json!({"guard": {}, "risk": 1, "require": {"deny_when_risk_at_least": 0}})),
            "rules[4].require.deny_when_risk_at_least",
            "denies whatever it matches",
        ),
        (
            rule(json!({"guard": {}, "require": {"force": {"return_documents": true}}})),
            "rules[4].require.force.return_documents",
            "forces what nobody minds",
        ),
        (
            rule(json!({"guard": {}, "require": {"force": {"top_n": 0}}})),
            "rules[4].require.force.top_n",
            "no results at all",
        ),
        (
            rule(json!({"guard": {}, "require": {"force": {"topn": 1}}})),
            "rules[4].require.force.topn",
            "unknown name `topn`",
        ),
        (with("/rules/2/when", json!({"pii": ["email"]})), "rules[2].when.pii", "`pii` cannot stand in an allow"),
        (rule(json!({"deny": {}, "when": {"pii": ["emial"]}})), "rules[4].when.pii[0]", "unknown value `emial`"),
        (
            rule(json!({"deny": {}, "when": {"first_use": "tenant"}})),
            "rules[4].when.first_use",
            "unknown value `tenant`",
        ),
        (
            rule(json!({"allow": {"groups": ["analysts"]}})),
            "rules[4].allow",
            "an allow without `models`, `datasets`, `operations`",
        ),
        (allow(json!({"groups": ["everyone"]})), "rules[4].allow.groups[0]", "`everyone` is no group"),
        (with("/rules/2/use", json!("cohere-pro")), "rules[2].use", "`cohere-pro` is no credential"),
        (with("/rules/2/require", json!({"masks": ["pii"]})), "rules[2].require", "`require` cannot stand in an allow"),
        (with("/rules/2/risk", json!(5)), "rules[2].risk", "`risk` cannot stand in an allow"),
        (with("/rules/3/id", json!("analysts")), "rules[3].id", "the id `analysts` is used twice"),
        (with("/rules/3/id", json!("")), "rules[3].id", "`` cannot be a rule's id"),
        (with("/tests/0/expect/rules", json!(["analyst"])), "tests[0].expect.rules[0]", "`analyst` is no rule"),
        (with("/tests/0/expect/reason", json!("so")), "tests[0].expect.reason", "unknown value `so`"),
        (with("/tests/0/expect/decision", json!("ask")), "tests[0].expect.decision", "unknown value `ask`"),
        (with("/tests/0/request/documents", json!(1.5)), "tests[0].request.documents", "found the number 1.5"),
    ] {
        let flaws = load(&document).err().unwrap_or_else(|| panic!("loaded although {place}: {what}"));
        let [flaw] = &flaws[..] else { panic!("{place}: {what}: {flaws:#?}") };
        assert_eq!(flaw.place.to_string(), place, "{flaw}");
        assert!(flaw.what.starts_with(what), "{flaw}, expected {what}");
    }
}

#[test]
fn all_flaws_come_in_one_report() {
    let mut document = example();
    document["bundle"]["serial"] = json!("x");
    document["bundle"]["extra"] = json!(1);
    document["masks"]["pii"]["detect"] = json!(["mail"]);
    document["rules"][0]["deny"] = json!({"group": ["contractors"], "dataset": ["hr"]});
    document["rules"][1]["require"]["masks"] = json!(["pij"]);
    document["rules"][2]["use"] = json!("cohere-pro");
    document["more"] = json!({});
    let places: Vec<String> = load(&document).unwrap_err().iter().map(|flaw| flaw.place.to_string()).collect();
    // Without an identity nothing is compared with anything, but all that does not fit is told.
    let unfit = [
        "bundle.extra",
        "bundle.serial",
        "masks.pii.detect[0]",
        "more",
        "rules[0].deny.dataset",
        "rules[0].deny.group",
    ];
    assert_eq!(places, unfit);
    document["bundle"] = json!({"id": "search", "serial": 1});
    let places: Vec<String> = load(&document).unwrap_err().iter().map(|flaw| flaw.place.to_string()).collect();
    let names = ["rules[1].require.masks[0]", "rules[2].use"];
    assert_eq!(places, [&unfit[2..], &names[..]].concat());
    // What names a rule that could not be read is not wrong for that.
    document["tests"][0]["expect"]["rules"] = json!(["no-contractors"]);
    assert_eq!(load(&document).unwrap_err().len(), places.len());
}

#[test]
fn a_slip_is_told_what_was_meant() {
    for (document, hint) in [
        (with("/rules/2/use", json!("cohere-pro")), "did you mean `cohere-prod`?"),
        (with("/grops", json!({})), "did you mean `groups`?"),
        (with("/masks/pii/detect/0", json!("e-mail")), "did you mean `email`?"),
        (with("/rules/0/deny/groups", json!(["contractor"])), "did you mean `contractors`?"),
        (
            with("/rules/0/deny/datasets", json!(["payroll"])),
            "declare it under `datasets`, or write a pattern with `*`",
        ),
    ] {
        let flaws = load(&document).unwrap_err();
        assert_eq!(flaws[0].hint.as_deref(), Some(hint), "{flaws:?}");
    }
}

#[test]
fn models_are_names_of_the_bundle_once_it_declares_some() {
    let mut document = with("/models", json!({"v3": {"match": ["rerank-v3.*"]}}));
    document["rules"][3]["deny"]["models"] = json!(["v4"]);
    assert_eq!(load(&document).unwrap_err()[0].place.to_string(), "rules[3].deny.models[0]");
    document["rules"][3]["deny"]["models"] = json!(["v3", "rerank-*"]);
    assert!(load(&document).is_ok());
}

#[test]
fn a_tie_between_credentials_is_refused() {
    let second = |datasets: Value, models: Value, more: Value| {
        let mut rule = json!({"id": "second", "use": "spare", "allow": {
            "groups": ["contractors"], "datasets": datasets, "models": models, "operations": ["rerank"]}});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        load(&with("/rules/-", rule)).err().map(|flaws| flaws.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let none = json!({});
    let tied = second(json!(["web-*"]), json!(["rerank-v3.*"]), none.clone()).unwrap();
    assert_eq!(
        tied,
        ["rules[4].use: ties with `analysts` (rules[2]), which uses another credential, on dataset `web-*` and model \
             `rerank-v3.*` (make one of them more exact, or give one a higher `precedence`)"]
    );
    for (datasets, models, more, ties) in [
        (json!(["hr"]), json!(["rerank-v3.*"]), none.clone(), true),
        // `-web` and `web-` are equally long, and `web-web` is both.
        (json!(["*-web"]), json!(["rerank-v3.*"]), none.clone(), true),
        (json!(["*-web"]), json!(["*rerank-v3."]), none.clone(), true),
        (json!(["web-*"]), json!(["rerank-v3.*"]), json!({"use": "cohere-prod"}), false),
        (json!(["web-*"]), json!(["rerank-v3.*"]), json!({"precedence": 1}), false),
        (json!(["web-*"]), json!(["rerank-v3.*"]), json!({"mode": "shadow"}), false),
        (json!(["web-*"]), json!(["rerank-v3.5*"]), none.clone(), false),
        (json!(["web-d*"]), json!(["rerank-v3.*"]), none.clone(), false),
        (json!(["wiki*"]), json!(["rerank-v3.*"]), none.clone(), false),
    ] {
        assert_eq!(
            second(datasets.clone(), models.clone(), more.clone()).is_some(),
            ties,
            "{datasets} {models} {more}"
        );
    }
}

#[test]
fn a_call_without_a_tenant_meets_denies_that_name_some_and_no_such_allow() {
    let mut document = example();
    document["rules"] = json!([
        {"id": "one", "allow": {"groups": ["analysts"], "models": ["*"], "datasets": ["*"], "operations": ["rerank"], "tenants": ["t*"]}},
        {"id": "any", "allow": {"groups": ["contractors"], "models": ["*"], "datasets": ["*"], "operations": ["rerank"]}},
        {"id": "not-t2", "deny": {"tenants": ["t2"]}}
    ]);
    document["tests"] = json!([]);
    let policy = load(&document).unwrap();
    for (group, tenant, reason) in [
        ("grp-bi", Some("t1"), Reason::Granted),
        ("grp-bi", Some("t2"), Reason::DeniedByRule),
        ("grp-bi", Some("u1"), Reason::NoRule),
        ("grp-contractors", Some("u1"), Reason::Granted),
        ("grp-contractors", None, Reason::DeniedByRule),
    ] {
        let mut asked = json!({"groups": [group], "model": "m", "dataset": "d"});
        if let Some(tenant) = tenant {
            asked["tenant"] = json!(tenant);
        }
        assert_eq!(policy.decide(&request(asked).question()).reason, reason, "{group} {tenant:?}");
    }
    document["rules"].as_array_mut().unwrap().pop();
    let policy = load(&document).unwrap();
    let asked = request(json!({"groups": ["grp-bi"], "model": "m", "dataset": "d"}));
    assert_eq!(policy.decide(&asked.question()).reason, Reason::NoRule);
}

#[test]
fn repeated_names_are_refused() {
    let text = example().to_string().replacen('{', "{\"rules\":[],", 1);
    assert_eq!(Policy::load(text.as_bytes()).unwrap_err().len(), 1);
    assert!(Policy::load(b"\xff").is_err() && Policy::load(b"").is_err());
}

mod whatever_comes {
    use super::*;
    use proptest::prelude::*;

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z*. é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{0,5}", inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn is_judged_without_a_panic(value in anything(), which in any::<proptest::sample::Index>()) {
            // Put anything in the place of any one value of the example.
            let mut pointers = vec![String::new()];
            let mut at = 0;
            let document = example();
            while at < pointers.len() {
                let here = pointers[at].clone();
                match document.pointer(&here).unwrap() {
                    Value::Array(items) => pointers.extend((0..items.len()).map(|number| format!("{here}/{number}"))),
                    Value::Object(members) => pointers.extend(members.keys().map(|name| format!("{here}/{name}"))),
                    _ => {}
                }
                at += 1;
            }
            let mut changed = document;
            *changed.pointer_mut(which.get::<String>(&pointers)).unwrap() = value;
            if let Err(flaws) = load(&changed) {
                prop_assert!(!flaws.is_empty());
            }
        }
    }
}
