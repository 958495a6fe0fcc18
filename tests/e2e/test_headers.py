"""What of a head crosses: request headers to the upstream, content types both ways, response headers back. Lists of what may, in forms
that are known; what the upstream saw is told by the upstream itself."""

import base64
import json
import random
import string

import people
import pytest
from gateway import (
    COHERE, CREDENTIALS, HR, MODELS, ROUTES, SECRETS, approved, body, expect_problem, expect_refused, expect_served, good_results, plugin, results,
)
from wire import Answer, Http2, answer_json

# Every name that an upstream may see of a call, beside that of its credential.
LISTED = {"host", "content-type", "content-length", "transfer-encoding", "accept", "accept-encoding", "user-agent", "traceparent",
          "idempotency-key", "x-client-name", "x-forwarded-proto"}

# Credentials, identities, forwarding, control of proxies and frameworks, conditions, and twins of ours.
UNLISTED = """
x-auth-request-access-token x-auth-request-user x-auth-request-email x-ms-token-aad-refresh-token x-ms-token-aad-access-token
x-ms-client-principal x-vault-token x-vault-namespace x-cohere-api-key x-openai-api-key anthropic-api-key x-goog-api-key
x-goog-iap-jwt-assertion x-goog-authenticated-user-email x-amzn-oidc-data x-amzn-oidc-accesstoken x-amz-security-token x-api-key api-key
apikey api_key x-api_key x_api_key api-token x-api-token private-token job-token x-gitlab-token x-github-token x-csrf-token x-xsrf-token
x-session-id x-sessionid sessionid session jsessionid cookie cookie2 set-cookie proxy-authorization authentication x-authorization
x-authorization-token authorization_ authorization-info x-access-token x-id-token x-refresh-token x-user-token x-jwt x-jwt-assertion
x-jwt-payload x-saml-assertion x-openwebui-user-email x-openwebui-user-name x-openwebui-user-id x-user x-user-id x-user-email x-email
x-remote-user remote-user remote_user x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-preferred-username
x-forwarded-access-token x-forwarded-client-cert x-ssl-client-cert ssl-client-cert x-client-cert x-client-verify x-webauth-user
x-grafana-id x-tenant x-tenant-id x-scope-orgid x-dataset x-model x-role x-roles x-admin x-debug x-test baggage tracestate b3 x-b3-traceid
x-b3-sampled x-datadog-trace-id uber-trace-id x-cloud-trace-context x-amzn-trace-id sentry-trace newrelic grpc-trace-bin x-request-id
request-id x-correlation-id correlation-id x-http-method-override x-http-method x-method-override x-original-method x-original-url
x-original-uri x-original-host x-rewrite-url x-forwarded-uri x-forwarded-host x-forwarded-for x-forwarded-port x-forwarded-prefix
x-forwarded-path x-forwarded-scheme x-forwarded-server x-forwarded x-forwarded-by forwarded forwarded-for via x-real-ip client-ip
true-client-ip x-client-ip x-cluster-client-ip cf-connecting-ip cf-ray fastly-client-ip x-host x-proxy-url x-envoy-retry-on
x-envoy-max-retries x-envoy-upstream-rq-timeout-ms x-envoy-upstream-alt-stat-name x-envoy-external-address x-envoy-original-path
x-envoy-decorator-operation x-envoy-force-trace x-envoy-internal x-envoy-peer-metadata x-istio-attributes l5d-ctx-trace x-rerank-guard-subject
x-rerank-guard-decision content_type content_length content-encoding_ content-md5 content-digest repr-digest digest want-digest
content-language content-location content-disposition content-range range if-range if-match if-none-match if-modified-since
if-unmodified-since accept-language accept-charset accept-datetime a-im prefer pragma cache-control warning origin referer dnt
sec-fetch-site sec-websocket-key access-control-request-method expect-ct max-forwards alt-used priority http2-settings proxy-connection
keep-alive from date server link x-pinecone-api-version openai-organization openai-project x-stainless-lang x-fern-language
x-fern-sdk-name ocp-apim-subscription-key x-functions-key x-signature signature signature-input x-hub-signature x-otp x-pin x-password
x-secret x-credentials
""".split()

HARMLESS = {"accept": "application/json", "user-agent": "python-httpx/0.28.1", "x-client-name": "langchain:partner",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "idempotency-key": "9b2d6f2e-7f0f-4b86-9d5c-0f2c6f1f9a10"}


def names(seen):
    return {name.decode() for name, _ in seen.headers}


def expect_listed(seen, credential="authorization"):
    """What the upstream saw is listed, each once."""
    assert names(seen) <= LISTED | {credential}, names(seen) - LISTED
    assert len(seen.headers) == len(names(seen)), seen.headers
    assert seen.one("x-forwarded-proto") in (None, "http")


def send_h2(gateway, path, headers, content):
    """A call over HTTP/2; its answer, and its line is taken."""
    with Http2(gateway.port) as client:
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "gateway.example")]
        stream = client.headers([*pseudo, ("content-type", "application/json"), ("authorization", f"Bearer {people.token()}"), *headers])
        client.data(stream, content, end=True)
        response = client.response(stream)
    gateway.next_line()
    return response


UPSTREAMS = {"http1": ("cohere", COHERE, MODELS["cohere"]), "h2": ("h2", "/h2/web-docs/v2/rerank", MODELS["h2"])}


@pytest.mark.parametrize("how", ["http1", "h2"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_no_header_that_is_not_listed_reaches_the_upstream(gateway, upstream, how):
    name, path, model = UPSTREAMS[upstream]
    assert len(UNLISTED) > 150
    for start in range(0, len(UNLISTED), 60):
        some = [(name.title() if how == "http1" and number % 3 else name, f"v{number}") for number, name in enumerate(UNLISTED[start:start + 60])]
        # A name may come twice, and a client may ask for what is between it and us.
        some += [some[0], some[-1]] + ([("te", "trailers")] if how == "h2" else [("Connection", "keep-alive, x-named"), ("x-named", "1")])
        if how == "h2":
            some = [(name, value) for name, value in some if name not in ("keep-alive", "proxy-connection")]
            assert send_h2(gateway, path, some, json.dumps(body(model=model)).encode()).status == 200
        else:
            expect_served(gateway.call(path, body=body(model=model), headers=some))
        expect_listed(gateway.services.upstreams[name].seen[-1])
    assert len(gateway.services.upstreams[name].seen) == -(-len(UNLISTED) // 60)


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_random_names_stay_here(gateway, upstream):
    name, path, model = UPSTREAMS[upstream]
    chance = random.Random(11)
    letters = string.ascii_letters + string.digits + "-_.!~*'"
    made = ["".join(chance.choice(letters) for _ in range(chance.randint(1, 24))) for _ in range(300)]
    made = [name for name in made if name.lower() not in {*LISTED, "authorization", "upgrade", "connection", "te", "content-encoding"}]
    for start in range(0, len(made), 50):
        expect_served(gateway.call(path, body=body(model=model), headers=[(name, "1") for name in made[start:start + 50]]))
        expect_listed(gateway.services.upstreams[name].seen[-1])


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_what_is_listed_goes_upstream_as_it_came(gateway, upstream):
    name, path, model = UPSTREAMS[upstream]
    expect_served(gateway.call(path, body=body(model=model), headers=[(name.title(), value) for name, value in HARMLESS.items()]))
    seen = gateway.services.upstreams[name].seen[0]
    expect_listed(seen)
    assert {name: seen.one(name) for name in HARMLESS} == HARMLESS
    assert seen.one("authorization") == CREDENTIALS[name][1] and seen.one("content-type") == "application/json"


def test_nothing_more_goes_up_after_an_approval(gateway, cohere, approver):
    approver.answer = approved()
    expect_served(gateway.call(HR, headers=[*((name, "1") for name in UNLISTED[:70]), *HARMLESS.items()]))
    expect_listed(cohere.seen[0])
    assert cohere.seen[0].one("user-agent") == HARMLESS["user-agent"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_listed_stream_takes_no_more_headers_along(changeable, method):
    gateway = changeable.change(plugin(**{"pass": [{"method": method, "path": "/healthz"}]}))
    cohere = gateway.services.upstreams["cohere"]
    content = {"transfer": "none"} if method == "GET" else {"body": b"a=b"}
    kind = [("content-type", "application/x-www-form-urlencoded")] if method == "POST" else []
    for start in range(0, len(UNLISTED), 80):
        headers = [*((name, "1") for name in UNLISTED[start:start + 80]), *HARMLESS.items(), *kind]
        assert gateway.call("/healthz", method=method, headers=headers, **content).status == 200
        seen = cohere.seen[-1]
        assert names(seen) <= LISTED - {"accept-encoding", "x-client-name"} and len(seen.headers) == len(names(seen))
        assert seen.one("user-agent") == HARMLESS["user-agent"]
    if method == "POST":
        assert seen.one("content-type") == kind[0][1] and seen.body == b"a=b"
    changeable.change()


JWT = people.unsigned({"alg": "RS256", "typ": "JWT"}, {"sub": "ann", "groups": ["a", "b", "c"], "aud": "x"}, "c2lnbmF0dXJlLW9mLXNvbWVib2R5")
CREDENTIAL_VALUES = {
    "a token": JWT,
    "a token behind a word": f"client {JWT}",
    "a token with escapes": JWT.replace(".", "%2E"),
    "a token with escapes twice": JWT.replace(".", "%252E"),
    "a token without its signature": JWT.rsplit(".", 1)[0],
    "a token in base64": base64.b64encode((JWT + "." + "x" * 60).encode()).decode(),
    "a bearer token": "Bearer " + "aGVsbG8tdGhpcy1pcy1hLXRva2Vu.c29tZQ",
    "a vendor's key": "sk-ant-api03-" + "aB3dE6gH9" * 10 + "-AAAAAA",
    "a key of AWS": "AKIAIOSFODNN7EXAMPLE",
    "a key of GitHub": "ghp_" + "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA3bC6",
    "a password in a URL": "https://ann:pa55word@example.com/",
}


@pytest.mark.parametrize("name", ["user-agent", "accept", "idempotency-key", "x-client-name"])
@pytest.mark.parametrize("what", CREDENTIAL_VALUES)
def test_a_credential_in_a_listed_header_is_refused_by_name(gateway, name, what):
    problem = expect_refused(gateway, gateway.call(headers=[(name, CREDENTIAL_VALUES[what])]), 422, "malformed-call", "credential-in-header")
    assert f"`{name}`" in problem["detail"]


@pytest.mark.parametrize("name", ["user-agent", "accept"])
def test_a_credential_does_not_pass_in_a_listed_stream(gateway, cohere, name):
    reply = gateway.call("/healthz", method="GET", transfer="none", headers=[(name, people.token())])
    assert reply.status == 422 and cohere.seen == []


def test_the_callers_token_goes_nowhere_in_whatever_header(gateway, cohere):
    token = people.token()
    for name in [*HARMLESS, *UNLISTED[:20]]:
        reply = gateway.call(token=token, headers=[(name, token)])
        # What is listed is refused or, where its form is another, stays; what is not listed stays.
        assert reply.status in (200, 422), name
    for seen in cohere.seen:
        assert token not in repr(seen.headers) and token.split(".")[1] not in repr(seen.headers)


@pytest.mark.parametrize("kind", people.PERSONAL)
def test_personal_data_in_a_listed_header_stays_here(gateway, cohere, kind):
    value = people.PERSONAL[kind]
    said = f"phone {value}" if kind == "phone" else value
    headers = [("user-agent", f"Search/1.2 ({said})"), ("idempotency-key", value.replace(" ", "")), ("x-client-name", f"client of {said}"),
               ("accept", f"application/json;a=\"{said}\"")]
    expect_served(gateway.call(headers=headers))
    seen = cohere.seen[0]
    expect_listed(seen)
    assert value not in repr(seen.headers) and value.replace(" ", "") not in repr(seen.headers)
    assert seen.one("user-agent").startswith("Search/1.2 (")
    assert "x-client-name" not in names(seen) and "idempotency-key" not in names(seen)


ODD = {
    "a traceparent of another form": ("traceparent", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
    "a traceparent with more behind it": ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-ann"),
    "a traceparent of zeros": ("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
    "bytes that are no text": ("user-agent", b"caf\xa1"),
    "text beyond ASCII": ("user-agent", "café".encode()),
    "an overlong name": ("user-agent", "a b " * 300),
    "an idempotency key of words": ("idempotency-key", "my key"),
    "a tab": ("x-client-name", "a\tb"),
}


@pytest.mark.parametrize("what", ODD)
def test_a_value_of_another_form_than_its_name_stays_here(gateway, cohere, what):
    expect_served(gateway.call(headers=[ODD[what]]))
    assert ODD[what][0] not in names(cohere.seen[0])


@pytest.mark.parametrize("name", ["traceparent", "idempotency-key", "x-client-name"])
def test_a_doubled_header_stays_here(gateway, cohere, name):
    expect_served(gateway.call(headers=[(name, HARMLESS[name]), (name.upper(), HARMLESS[name])]))
    assert name not in names(cohere.seen[0])


def test_a_configuration_adds_headers_and_their_values_are_looked_at_too(changeable):
    gateway = changeable.change(plugin(request_headers=["x-team", "x-request-id"]))
    cohere = gateway.services.upstreams["cohere"]
    expect_served(gateway.call(headers=[("X-Team", "search"), ("x-request-id", "r-1"), ("x-teams", "no"), ("x_team", "no")]))
    assert names(cohere.seen[0]) <= LISTED | {"authorization", "x-team", "x-request-id"}
    assert cohere.seen[0].all("x-team") == ["search"] and cohere.seen[0].one("x-request-id") == "r-1"
    expect_served(gateway.call(headers=[("x-team", people.EMAIL)]))
    assert cohere.seen[1].one("x-team") is None
    expect_problem(gateway.call(headers=[("x-team", JWT)]), 422, "malformed-call", "credential-in-header")
    assert len(cohere.seen) == 2
    changeable.change()


@pytest.mark.parametrize("name", ["authorization", "x-vault-token", "x-cohere-api-key", "cookie", "x-forwarded-host", "x-original-url", "host", ":path",
                                  "content-type", "connection", "te", "upgrade", "x-envoy-retry-on", "api_key", "X-Team", "range", "via",
                                  "x-http-method-override", "x-dataset", "x-tenant"])
def test_a_configuration_cannot_add_what_must_not_go_up(changeable, name):
    accepted, said = changeable.push(plugin(request_headers=["x-team", name]))
    assert not accepted and f"request_headers[1]: `{name}`" in said


# ---- content types -------------------------------------------------------------------------------------------------------

GOOD_TYPES = ["application/json", "Application/JSON", "application/json;charset=utf-8", "application/json; charset=UTF-8", "application/json;\tcharset=utf-8",
              "application/json; charset=\"utf-8\"", "application/json; charset=\"u\\tf-8\"", "application/json;", "application/json ; charset=utf-8 ;"]
BAD_TYPES = {
    "a blank before =": "application/json; charset =utf-7",
    "a tab before =": "application/json; charset\t=utf-7",
    "a blank behind =": "application/json; charset= utf-7",
    "another charset": "application/json; charset=utf-7",
    "UTF-16": "application/json; charset=utf-16",
    "UTF-8 in blanks": "application/json; charset = utf-8",
    "a second parameter": "application/json; charset=utf-8; charset =utf-7",
    "a second parameter before": "application/json; a=b; charset=utf-7",
    "a second charset": "application/json; charset=utf-8; charset=utf-7",
    "UTF-8 twice": "application/json; charset=utf-8; charset=utf-8",
    "a harmless parameter": "application/json; version=1",
    "a semicolon in quotes": "application/json; profile=\"a; charset=utf-8\"",
    "a quote in quotes": "application/json; profile=\"a\\\"; charset=utf-7; b=\\\"\"",
    "an open quote": "application/json; charset=\"utf-8",
    "an open quote around a semicolon": "application/json; a=\"; charset=utf-7",
    "a quote and more": "application/json; charset=\"utf-8\"utf-7",
    "RFC 2231": "application/json; charset*=utf-8''utf-7",
    "RFC 2231 in parts": "application/json; charset*0=utf; charset*1=-7",
    "no value": "application/json; charset=",
    "no =": "application/json; charset",
    "no name": "application/json; =utf-7",
    "two types": "application/json, text/plain; charset=utf-7",
    "two types without a blank": "application/json,application/json",
    "a comma behind the charset": "application/json; charset=utf-8, application/json; charset=utf-7",
    "a blank in the type": "application /json",
    "no semicolon": "application/json charset=utf-7",
    "bytes that are no text": b"application/json; charset=utf\xad8",
    "a byte order mark": b"\xef\xbb\xbfapplication/json",
    "US-ASCII": "application/json; charset=us-ascii",
    "text/json": "text/json",
    "a comment": "application/json (comment)",
}


@pytest.mark.parametrize("kind", GOOD_TYPES)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_json_goes_up_under_our_own_content_type(gateway, upstream, kind):
    name, path, model = UPSTREAMS[upstream]
    expect_served(gateway.call(path, body=body(model=model), headers=[("content-type", kind)]))
    assert gateway.services.upstreams[name].seen[0].all("content-type") == ["application/json"]


@pytest.mark.parametrize("what", BAD_TYPES)
def test_a_content_type_that_could_be_read_otherwise_is_refused(gateway, what):
    problem = expect_refused(gateway, gateway.call(headers=[("content-type", BAD_TYPES[what])]), 415, "uninspectable", "request-media-type")
    assert "application/json" in problem["detail"] and "utf-8" in problem["detail"]


@pytest.mark.parametrize("kinds", [["application/json", "application/json"], ["application/json", "application/json; charset=utf-7"],
                                   ["application/json; charset=utf-8", "text/plain"]], ids=str)
def test_two_content_types_are_refused(gateway, kinds):
    expect_refused(gateway, gateway.call(headers=[("content-type", kind) for kind in kinds]), 415, "uninspectable")


@pytest.mark.parametrize("what", [what for what in BAD_TYPES if isinstance(BAD_TYPES[what], str)])
def test_a_content_type_that_could_be_read_otherwise_is_refused_over_http2(gateway, what):
    with Http2(gateway.port) as client:
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", COHERE), (":authority", "gateway.example")]
        stream = client.headers([*pseudo, ("content-type", BAD_TYPES[what]), ("authorization", f"Bearer {people.token()}")])
        client.data(stream, json.dumps(body()).encode(), end=True)
        assert client.response(stream).status == 415
    gateway.next_line()
    assert gateway.sent() == 0


@pytest.mark.parametrize("trailers", [[("content-type", "application/json; charset=utf-7")], [("authorization", "Bearer x"), ("x-api-key", "y")]], ids=str)
def test_trailers_of_a_request_do_not_go_up(gateway, cohere, trailers):
    with Http2(gateway.port) as client:
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", COHERE), (":authority", "gateway.example")]
        stream = client.headers([*pseudo, ("content-type", "application/json"), ("authorization", f"Bearer {people.token()}")])
        client.data(stream, json.dumps(body()).encode())
        client.trailers(stream, trailers)
        assert client.response(stream).status == 200
    gateway.next_line()
    assert cohere.seen[0].trailers == [] and cohere.seen[0].all("content-type") == ["application/json"]


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp037"])
def test_a_body_in_another_encoding_is_refused(gateway, coding):
    expect_refused(gateway, gateway.call(body=json.dumps(body()).encode(coding)), 422, "malformed-call")


ELASTIC = "application/vnd.elasticsearch+json; compatible-with=9"


def test_a_dialect_says_what_its_api_needs(changeable):
    dialect = {"name": "elastic", "media_type": ELASTIC,
               "request": {"query": "/query", "documents": {"at": "/input"}, "return_documents": {"always": False}, "headers": ["x-elastic-client-meta"]},
               "response": {"kept": ["/rerank/*/index", "/rerank/*/relevance_score"]}}
    route = {"path": "/tei/{dataset}/_inference", "dialect": "elastic", "dataset": {"segment": "dataset"}, "model": "BAAI/e", "credentials": ["tei"], "clusters": ["tei"]}
    gateway = changeable.change(plugin(dialects=[dialect], routes=[*ROUTES, route], response_headers=["x-elastic-product"]))
    server = gateway.services.upstreams["tei"]
    answer = json.dumps({"rerank": [{"index": 0, "relevance_score": 0.5, "text": people.EMAIL}]}).encode()
    server.answer = lambda _: Answer(200, [("content-type", ELASTIC.replace("; ", ";").replace("9", '"9"')), ("x-elastic-product", "Elasticsearch")], answer)
    content = {"query": "q", "input": ["one"]}
    for kind in (ELASTIC, "application/json", "application/vnd.elasticsearch+json;compatible-with=9; charset=utf-8"):
        reply = gateway.call("/tei/web-docs/_inference", body=content, headers=[("content-type", kind), ("accept", ELASTIC), ("x-elastic-client-meta", "es=9.5,py=3.12")])
        expect_served(reply)
        seen = server.seen[-1]
        assert (seen.all("content-type"), seen.one("accept"), seen.one("x-elastic-client-meta")) == ([ELASTIC], ELASTIC, "es=9.5,py=3.12")
        assert reply.all("content-type") == [ELASTIC] and reply.one("x-elastic-product") == "Elasticsearch" and b"[email]" in reply.body
    for kind in (ELASTIC.replace("9", "8"), ELASTIC + "; charset=utf-7", "application/vnd.elasticsearch+json; compatible-with =9"):
        expect_problem(gateway.call("/tei/web-docs/_inference", body=content, headers=[("content-type", kind)]), 415, "uninspectable")
    expect_problem(gateway.call(headers=[("content-type", ELASTIC)]), 415, "uninspectable")
    for change in ({"media_type": "text/plain"}, {"media_type": "application/json; charset ="}):
        assert not changeable.push(plugin(dialects=[{**dialect, **change}]))[0]
    changeable.change()


# ---- answers -------------------------------------------------------------------------------------------------------------

def answering(content_type, status=200, content=None, headers=()):
    data = json.dumps(results(0.5) if content is None else content).encode() if not isinstance(content, bytes) else content
    return lambda _: Answer(status, [("content-type", content_type), *headers], data)


ANSWER_TYPES = {
    "application/json; charset=utf-8": "application/json",
    "Application/JSON;charset=\"UTF-8\"": "application/json",
    "application/vnd.ann-lee+json": "application/json",
    "application/problem+json": "application/problem+json",
}


@pytest.mark.parametrize("kind", ANSWER_TYPES)
def test_an_answer_leaves_under_a_content_type_of_ours(gateway, cohere, kind):
    cohere.answer = answering(kind)
    reply = gateway.call()
    expect_served(reply)
    assert reply.all("content-type") == [ANSWER_TYPES[kind]]


@pytest.mark.parametrize("status", [200, 422])
@pytest.mark.parametrize("kind", [f"application/json; note={people.EMAIL}", f"application/json; note=\"{people.SSN}\"", f"text/plain; note=\"{people.EMAIL}\"",
                                  "application/json; charset =utf-7", "application/json; charset=utf-16", "application/json; charset=utf-8; charset=utf-7",
                                  "application/json, text/html", f"application/json {people.EMAIL}"])
def test_what_an_upstream_writes_into_its_content_type_does_not_leave(gateway, cohere, kind, status):
    cohere.answer = answering(kind, status)
    reply = gateway.call()
    expect_problem(reply, 502, "unmaskable-response", "response-media-type")
    assert people.leaks(repr(reply.headers)) == []


def test_an_empty_errors_content_type_does_not_leave(gateway, cohere):
    cohere.answer = answering(f"text/plain; note=\"{people.EMAIL}\"", 500, b"")
    reply = gateway.call()
    assert people.leaks(repr(reply.headers)) == [] and reply.status in (500, 502)


def test_a_text_error_leaves_as_utf8(gateway, cohere):
    cohere.answer = answering("text/plain", 422, f"no {people.EMAIL}".encode())
    reply = gateway.call()
    assert (reply.status, reply.body, reply.all("content-type")) == (422, b"no [email]", ["text/plain; charset=utf-8"])


KEPT_NAMES = ["x-request-id", "request-id", "x-ratelimit-remaining", "x-ratelimit-resource", "x-ratelimit-reset-tokens", "ratelimit-policy",
              "ratelimit-limit", "cache-control", "retry-after", "server", "date", "x-envoy-upstream-service-time"]


@pytest.mark.parametrize("kind", people.PERSONAL)
@pytest.mark.parametrize("status", [200, 429])
def test_no_kept_header_brings_personal_data(gateway, cohere, kind, status):
    value = people.PERSONAL[kind]
    for form in ("{}", "req {}", "req-{}", "max-age={}", "\"{}\";q=1", "limit={}"):
        said = form.format(value)
        cohere.answer = lambda _: answer_json(results(0.5), status, headers=[(name, said) for name in KEPT_NAMES])
        reply = gateway.call()
        assert reply.status == status
        assert people.leaks(repr(reply.headers)) == [], form
        for name in KEPT_NAMES[:9]:
            assert reply.one(name) is None, (name, said)


def test_no_name_of_a_kept_header_brings_personal_data(gateway, cohere):
    odd = ["x-ratelimit-ann.lee", f"x-ratelimit-{people.EMAIL.replace('@', '-at-')}", f"ratelimit-{people.SSN}", "x-ratelimit-ann", "ratelimit-limit-ann_lee",
           "x-ratelimit-", "x-ratelimit-limit_", "x-ratelimit-4111111111111111"]
    cohere.answer = lambda _: answer_json(results(0.5), headers=[(name, "1") for name in odd])
    reply = gateway.call()
    record = expect_served(reply)
    assert not [name for name, _ in reply.headers if b"ratelimit" in name]
    assert record["result"]["headers_dropped"] >= len(odd)


FORMS = {
    "x-request-id": ["9b2d6f2e-7f0f-4b86-9d5c-0f2c6f1f9a10", "req_01J8Z3", "r-1", "4bf92f3577b34da6a3ce929d0e0e4736"],
    "x-ratelimit-limit-requests": ["1000", "12.5"],
    "x-ratelimit-reset-tokens": ["6m0s", "17ms", "1h2m3.5s", "1780000000", "2026-11-28T08:00:00Z"],
    "ratelimit-policy": ["100;w=60", "\"default\";q=100;w=60"],
    "cache-control": ["no-store", "private, max-age=0", "public, s-maxage=60"],
    "retry-after": ["7", "Sun, 06 Nov 1994 08:49:37 GMT"],
}


@pytest.mark.parametrize("name", FORMS)
def test_a_kept_header_of_the_form_of_its_name_leaves(gateway, cohere, name):
    for value in FORMS[name]:
        cohere.answer = lambda _: answer_json(results(0.5), headers=[(name, value)])
        reply = gateway.call()
        expect_served(reply)
        assert reply.all(name) == [value]


def test_a_header_that_a_configuration_keeps_is_held_to_the_calls_masks(changeable):
    bundle = plugin()["bundle"]["inline"]
    bundle["masks"]["pii"] = {"detect": ["email"], "fields": ["x_customer"], "patterns": {"badge": {"regex": r"\bEMP-\d{6}\b"}}, "replace": "[{kind}]"}
    gateway = changeable.change(plugin(bundle={"inline": bundle}, response_headers=["x-note", "x-customer"]))
    cohere = gateway.services.upstreams["cohere"]
    for note, kept in [("all is well", True), ("badge EMP-123456", False), (people.EMAIL, False), (people.EMAIL.replace("@", "%40"), False),
                       (people.SSN, False), (JWT, False), ("caf\xa1".encode("latin-1"), False)]:
        cohere.answer = lambda _: answer_json(results(0.5), headers=[("x-note", note), ("x-customer", "Ann")])
        reply = gateway.call()
        expect_served(reply)
        assert (reply.one("x-note") == note) is kept and reply.one("x-customer") is None
    changeable.change()


@pytest.mark.parametrize("name", ["set-cookie", "content-encoding", "transfer-encoding", "x-auth-token", ":status", "X-Note", "x_note"])
def test_a_configuration_cannot_keep_what_must_not_leave(changeable, name):
    accepted, said = changeable.push(plugin(response_headers=[name]))
    assert not accepted and f"response_headers[0]: `{name}`" in said


@pytest.mark.parametrize("encode", [
    lambda secret: base64.b64encode(secret.encode()).decode(), lambda secret: base64.b64encode(f"u:{secret}".encode()).decode(),
    lambda secret: base64.urlsafe_b64encode(f"us:{secret}!".encode()).decode(), lambda secret: secret.encode().hex(), lambda secret: secret.replace("-", "%2d"),
    lambda secret: "".join(f"%{byte:02X}" for byte in secret.encode()),
], ids=["base64", "basic", "base64url", "hex", "escaped", "escaped whole"])
@pytest.mark.parametrize("name", ["x-request-id", "x-other"])
def test_our_credential_does_not_come_back_encoded_in_a_header(gateway, cohere, name, encode):
    value = encode(SECRETS["cohere"])
    cohere.answer = lambda _: answer_json(results(0.5), headers=[(name, value)])
    reply = gateway.call()
    expect_problem(reply, 502, "unmaskable-response", "response-leaks-credential")
    assert value not in repr(reply.headers)


def test_a_streams_head_is_held_to_the_same_list(changeable):
    gateway = changeable.change(plugin(routes=[{**route, "streams": True} for route in ROUTES]))
    cohere = gateway.services.upstreams["cohere"]
    for kind, leaves in [("application/x-ndjson; charset=utf-8", "application/x-ndjson"), ("Text/Event-Stream", "text/event-stream")]:
        content = b'{"a":1}\n' if "ndjson" in kind else b'data: {"a":1}\n\n'
        cohere.answer = lambda _: Answer(200, [("content-type", kind), ("x-request-id", people.EMAIL), ("x-ratelimit-limit", "5"), ("x-ann", "lee")], content, chunked=True)
        reply = gateway.call(headers=[(name, "1") for name in UNLISTED[:60]])
        expect_listed(cohere.seen[-1])
        assert reply.status == 200 and reply.all("content-type") == [leaves]
        assert reply.one("x-request-id") is reply.one("x-ann") is None and reply.one("x-ratelimit-limit") == "5"
    cohere.answer = lambda _: Answer(200, [("content-type", f"text/event-stream; note={people.SSN}")], b'data: {"a":1}\n\n', chunked=True)
    expect_problem(gateway.call(), 502, "unmaskable-response", "response-media-type")
    changeable.change()
