"""A configuration that cannot serve safely does not start, and says which field is wrong. The sandbox around the module is as
small as it can be."""

import copy
import json

import people
import pytest
import stack
from gateway import BUNDLE, ENVIRONMENT, NO_SECRETS, Gateway, expect_refused, expect_served, plugin


def changed(path, value):
    """The good plugin configuration with one member, named `a.b.0.c`, set, or taken out where the value is `GONE`."""
    configuration = plugin()
    *way, last = path.split(".")
    at = configuration
    for step in way:
        at = at[int(step) if isinstance(at, list) else step]
    last = int(last) if isinstance(at, list) else last
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return configuration


GONE = object()
ISSUER = "callers.issuers.0"
RULE = "bundle.inline.rules.0"
# The demo's key, which is published with its private half.
DEMOS = {name: value for name, value in json.loads((stack.ROOT / "demo" / "approver-key.json").read_text()).items() if name != "d"}

BAD = {
    # what: (the configuration, a word the log must name)
    "not JSON": ("{gateway", "configuration"),
    "empty": ("", "configuration"),
    "two documents": (json.dumps(plugin()) * 2, "configuration"),
    "a duplicate member": (json.dumps(plugin())[:-1] + ', "gateway": "other"}', "two members of the same name"),
    "an unknown member": (changed("fail_open", True), "fail_open"),
    "an unknown member of an issuer": (changed(f"{ISSUER}.verify", False), "verify"),
    "an unknown member of a route": (changed("routes.0.bypass", True), "bypass"),
    "an unknown member of the keys": (changed(f"{ISSUER}.keys.jwks.insecure", True), "insecure"),
    "an unknown member of the approver": (changed("approver.optional", True), "optional"),
    "an unknown member of a credential": (changed("credentials.cohere.value", "x"), "value"),
    "an unknown member of the limits": (changed("limits.off", True), "off"),
    "an unknown member of the bundle": (changed("bundle.inline.default", "allow"), "default"),
    "an unknown member of a rule": (changed(f"{RULE}.unless", {}), "unless"),
    "no gateway": (changed("gateway", GONE), "gateway"),
    "an empty gateway": (changed("gateway", ""), "gateway"),
    "no issuer": (changed("callers.issuers", []), "issuers"),
    "no audience": (changed(f"{ISSUER}.audiences", []), "audiences"),
    "the algorithm none": (changed(f"{ISSUER}.algorithms", ["none"]), "none"),
    "a symmetric algorithm": (changed(f"{ISSUER}.algorithms", ["HS256"]), "HS256"),
    "a skew of a day": (changed(f"{ISSUER}.clock_skew", "24h"), "clock_skew"),
    "an inline key that cannot be used": (changed(f"{ISSUER}.keys", {"inline": {"keys": [{"kty": "oct", "k": "AAAA", "kid": "x"}]}}), "keys"),
    "no route": (changed("routes", []), "routes"),
    "an unknown dialect": (changed("routes.0.dialect", "telepathy"), "telepathy"),
    "two routes for one path": (changed("routes.0.path", "/cohere/{dataset}/v2/rerank"), "path"),
    "a route without a credential": (changed("routes.0.credentials", []), "credentials"),
    "a route with an unknown credential": (changed("routes.0.credentials", ["other"]), "other"),
    "a segment that is not in the path": (changed("routes.0.dataset", {"segment": "index"}), "index"),
    "a listed stream that is a call": (changed("pass.0", {"method": "POST", "path": "/cohere/x/v2/rerank"}), "pass"),
    "a listed CONNECT": (changed("pass.0", {"method": "CONNECT", "path": "/x"}), "pass"),
    "no approver where the bundle asks": (changed("approver", GONE), "approver"),
    "an approver that may take an hour": (changed("approver.timeout", "1h"), "approver.timeout"),
    "an approver with a private key": (changed("approver.key", {**people.APPROVAL.jwk, "d": "AAAA"}), "private key"),
    "an approver with a key that everybody can sign with": (changed("approver.key", DEMOS), "everybody can sign"),
    "an approver with a symmetric key": (changed("approver.key", {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "alg": "HS256"}), "key"),
    "a credential without its secret": (changed("credentials.cohere.env", "NOT_SET"), "NOT_SET"),
    "a credential in the host header": (changed("credentials.cohere.header", "host"), "cohere"),
    "a bundle's credential that is missing": (changed("credentials.cohere", GONE), "cohere"),
    "a bundle of another schema": (changed("bundle.inline.schema", "rerank-guard/v2"), "schema"),
    "a bundle without rules": (changed("bundle.inline.rules", GONE), "rules"),
    "a rule that denies and allows": (changed(f"{RULE}.allow", {"groups": ["analysts"]}), "rules[0]"),
    "a rule for an unknown group": (changed(f"{RULE}.deny.groups", ["strangers"]), "strangers"),
    "a rule with an unknown mask": (changed("bundle.inline.rules.1.require.masks", ["gone"]), "gone"),
    "a rule with an unknown approval": (changed("bundle.inline.rules.2.require.approval", "gone"), "gone"),
    "two rules of one id": (changed("bundle.inline.rules.1.id", "no-contractors-in-hr"), "no-contractors-in-hr"),
    "a mask of an unknown kind": (changed("bundle.inline.masks.pii.detect", ["aura"]), "aura"),
    "an approval by nobody": (changed("bundle.inline.approvals.hr-desk.min", 0), "hr-desk"),
    "limits beyond all sense": (changed("limits.request_bytes", 1 << 40), "1099511627776"),
}


# Those that are tried at a start too, because there Envoy has nothing else to go on with.
AT_THE_START = ["not JSON", "an unknown member", "a credential without its secret"]


@pytest.mark.parametrize("what", AT_THE_START)
def test_envoy_does_not_start_with(what):
    configuration, named = BAD[what]
    clusters = [stack.cluster(name, 1) for name in ("idp", "approver")]
    guard = stack.wasm_filter(configuration, stack.module(), "e2e-configuration", ENVIRONMENT)
    with pytest.raises(stack.Exited) as ended:
        stack.Envoy(stack.envoy_config(filters=[guard], routes=[], clusters=clusters, access_log=None), env=ENVIRONMENT)
    assert ended.value.code > 0, "Envoy ended by a signal, or as if all were well"
    expect_named(ended.value.output, named)


@pytest.mark.parametrize("what", BAD)
def test_an_update_is_refused_and_the_old_configuration_goes_on_with(changeable, what):
    configuration, named = BAD[what]
    expect_update_refused(changeable, configuration, named)


def expect_update_refused(changeable, configuration, named):
    accepted, said = changeable.push(configuration)
    assert not accepted, "the update was taken"
    expect_named(said, named)
    record = expect_served(changeable.call())
    assert record["gateway"] == changeable.name
    assert changeable.call(token=None).status == 401, "the guard is gone"
    return said


def expect_named(output, named):
    """The filter says in Envoy's log what is wrong."""
    said = [line.split("rerank-guard: ", 1)[1] for line in output.splitlines() if "rerank-guard: " in line]
    assert any(named in line for line in said), said or output[-2000:]
    assert people.leaks(output) == []


@pytest.mark.parametrize("variable", NO_SECRETS)
def test_a_secret_that_is_none_is_refused_and_not_printed(changeable, variable):
    said = expect_update_refused(changeable, changed("credentials.cohere.env", variable), variable)
    assert not NO_SECRETS[variable] or NO_SECRETS[variable] not in said


def test_a_secret_that_envoy_does_not_hand_over_is_refused(changeable):
    expect_update_refused(changeable, changed("credentials.cohere.env", "WITHHELD"), "WITHHELD")


def test_a_good_update_takes_over_after_bad_ones_without_a_restart(changeable):
    """A worker whose update failed must take the next one (Envoy issue 43751)."""
    for what in ("an unknown member", "no route", "an unknown member"):
        # Envoy remembers the answer to a document it has tried, and does not ask the module for its reasons again.
        assert not changeable.push(BAD[what][0])[0]
        expect_served(changeable.call())
    stricter = plugin()
    stricter["bundle"]["inline"]["rules"].append({"id": "closed", "deny": {"datasets": ["web-*"]}})
    changeable.change(stricter)
    reply = changeable.call()
    expect_refused(changeable, reply, 403, "forbidden")
    assert "closed" in reply.record["decision"]["rules"] and reply.record["gateway"] == changeable.name
    changeable.change()
    expect_served(changeable.call())


# ---- the sandbox ---------------------------------------------------------------------------------------------------------

def imports_and_exports(wasm):
    """The names of a module's imported and exported functions."""
    def number(at):
        value = shift = 0
        while True:
            byte = wasm[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value, at

    def text(at):
        length, at = number(at)
        return wasm[at:at + length].decode(), at + length

    imported, exported, at = set(), set(), 8
    while at < len(wasm):
        section, (size, begin) = wasm[at], number(at + 1)
        if section in (2, 7):
            count, here = number(begin)
            for _ in range(count):
                name, here = text(here)
                if section == 2:
                    name, here = text(here)
                kind = wasm[here]
                assert kind == 0 or section == 7, "only functions are imported"
                _, here = number(here + 1)
                if kind == 0:
                    (imported if section == 2 else exported).add(name)
        at = begin + size
    return imported, exported


def test_the_sandbox_lets_the_module_do_what_it_imports_and_hear_what_guards():
    imported, exported = imports_and_exports(stack.module().read_bytes())
    assert set(stack.EVENTS) <= exported, "an event that the module does not export"
    assert set(stack.HOST_CALLS) <= imported, f"allowed and not used: {set(stack.HOST_CALLS) - imported}"


@pytest.mark.parametrize("missing", ["proxy_on_configure", "proxy_on_context_create"])
def test_without_an_event_it_needs_to_start_nothing_is_served(services, missing):
    """A sandbox that is too small must not open the gate: a module that was never configured refuses everything."""
    events = [event for event in stack.EVENTS if event != missing]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "EVENTS", events)
        try:
            gateway = Gateway(services, ready=False)
        except stack.Exited:
            return
    with gateway:
        for path, method in [("/cohere/web-docs/v2/rerank", "POST"), ("/healthz", "GET"), ("/", "GET")]:
            reply = gateway.call(path, method=method, logged=False)
            assert reply.status in (0, 403, 404, 500, 503), f"served without {missing}"
        assert gateway.sent() == 0


def test_bundles_and_configurations_of_these_tests_are_not_shared():
    """A test that edits its configuration must not change another's."""
    one = plugin()
    one["bundle"]["inline"]["rules"].clear()
    assert plugin()["bundle"]["inline"] == copy.deepcopy(BUNDLE)
