//! One test for each known attack on tokens, named after it. Every verdict is taken by the host's signature check and by the
//! library's, and must be the same.

use super::testing::*;
use super::*;
use Refusal::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// A signer, and settings that trust its key as `ed`.
fn trusted() -> (Signer, Value) {
    let signer = Signer::new();
    let settings = inline(&[signer.jwk("ed")]);
    (signer, settings)
}

fn refused(settings: &Value, token: impl AsRef<[u8]>) -> Refusal {
    match verdict(settings, &token) {
        Ok(_) => panic!("accepted: {}", String::from_utf8_lossy(token.as_ref())),
        Err(refusal) => refusal,
    }
}

#[test]
fn good_tokens_of_every_algorithm_name_their_caller() {
    let (tokens, keys) = by_every_algorithm(&good());
    let settings = inline(keys["keys"].as_array().unwrap());
    for (algorithm, token) in tokens {
        let caller = verdict(&settings, token).unwrap();
        assert_eq!(caller.issuer(), ISSUER);
        assert_eq!(caller.subject(), "ann");
        assert_eq!(caller.groups(), ["grp-bi"]);
        assert_eq!(caller.algorithm(), Some(algorithm));
        assert_eq!(caller.key_id(), Some(algorithm.name()));
        assert_eq!(caller.token_id(), Some("t-1"));
        assert_eq!(caller.expires(), Some(Time::from_secs(NOW_SECS + 600)));
        assert_eq!(caller.proof(), Proof::Bearer);
        assert_eq!(Value::Object(caller.claims().clone()), good());
    }
}

#[test]
fn a_signature_by_another_key_or_over_another_text_is_refused_whatever_the_algorithm() {
    let (tokens, keys) = by_every_algorithm(&good());
    let (others, other_keys) = by_every_algorithm(&with("sub", "eve".into()));
    let settings = inline(keys["keys"].as_array().unwrap());
    for ((algorithm, token), (_, other)) in tokens.iter().zip(&others) {
        let (_, signature) = token.rsplit_once('.').unwrap();
        let (signed, _) = other.rsplit_once('.').unwrap();
        assert_eq!(refused(&settings, format!("{signed}.{signature}")), BadSignature, "{algorithm}");
    }
    // RSA has one fixed key in these tests; the curves' keys are new each time.
    let settings = inline(other_keys["keys"].as_array().unwrap());
    for (algorithm, token) in &tokens {
        if matches!(algorithm, Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA) {
            assert_eq!(refused(&settings, token), BadSignature, "{algorithm}");
        }
    }
}

#[test]
fn format_confusion_anything_but_three_parts_is_refused() {
    let (signer, settings) = trusted();
    let token = signer.token(&good());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let json = json!({"protected": header, "payload": payload, "signature": signature}).to_string();
    let jwe = format!("{token}.{signature}.{signature}");
    for text in [
        "",
        ".",
        "..",
        "....",
        "x",
        signed,
        &format!("{signed}."),
        &format!("{header}..{signature}"),
        &format!(".{payload}.{signature}"),
        &format!("{token}."),
        &format!(".{token}"),
        &format!("{token}.{signature}"),
        &jwe,
    ] {
        assert_eq!(refused(&settings, text), NotThreeParts, "{text}");
    }
    assert!(verdict(&settings, json).is_err());
}

#[test]
fn base64url_that_is_not_canonical_is_refused() {
    let (signer, settings) = trusted();
    let token = signer.token(&good());
    assert!(verdict(&settings, &token).is_ok());
    // 64 bytes are 86 digits, of which the last carries two bits only: the other four must be zero.
    let mut malleable = token.clone();
    let last = malleable.pop().unwrap();
    malleable.push(match last {
        'A' => 'B',
        'Q' => 'R',
        'g' => 'h',
        'w' => 'x',
        other => panic!("`{other}` carries more than two bits"),
    });
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (start, _) = signature.split_at(85);
    let standard = signature.replace('-', "+").replace('_', "/");
    for text in [
        malleable,
        format!("{token}="),
        format!("{token}=="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{signed} .{signature}"),
        format!("{signed}.{start} A"),
        format!("{signed}.{start}+"),
        format!("{signed}.{start}/"),
        format!("{signed}.{signature}é"),
        format!("{signed}.{signature}\0"),
    ] {
        assert_eq!(refused(&settings, &text), NotBase64Url, "{text}");
    }
    if standard != signature {
        assert_eq!(refused(&settings, format!("{signed}.{standard}")), NotBase64Url);
    }
    assert_eq!(refused(&settings, b"\xff.\xff.\xff"), NotBase64Url);
}

#[test]
fn oversized_tokens_and_headers_are_refused_before_they_are_read() {
    let (signer, settings) = trusted();
    let long = signer.token(&with("padding", "x".repeat(TOKEN_BYTES).into()));
    assert_eq!(refused(&settings, long), TooLong);
    assert_eq!(refused(&settings, "x".repeat(TOKEN_BYTES + 1)), TooLong);
    let header = signer.with_header(&json!({"alg": "EdDSA", "kid": "ed", "padding": "x".repeat(HEADER_BYTES)}));
    assert_eq!(refused(&settings, header), TooLong);
    let near = signer.with_header(&json!({"alg": "EdDSA", "kid": "ed", "padding": "x".repeat(6000)}));
    assert!(verdict(&settings, near).is_ok());
}

#[test]
fn hash_flooding_tokens_of_thousands_of_members_are_refused_signed_or_not() {
    let (signer, settings) = trusted();
    let flood: String = (0..1500).map(|n| format!(",\"{n:x}\":0")).collect();
    let plain = good().to_string();
    let payload = plain.strip_suffix('}').unwrap();
    let header = r#"{"alg":"EdDSA","kid":"ed""#;
    let claims = signer.raw(format!("{header}}}").as_bytes(), format!("{payload}{flood}}}").as_bytes());
    assert!(claims.len() < TOKEN_BYTES);
    assert_eq!(refused(&settings, &claims), TooManyMembers);
    assert_eq!(refused(&settings, format!("{claims}AAAA")), TooManyMembers);
    let (flood, _) = flood.split_at(flood.len() / 3);
    let (flood, _) = flood.rsplit_once(',').unwrap();
    assert_eq!(
        refused(&settings, signer.raw(format!("{header}{flood}}}").as_bytes(), plain.as_bytes())),
        TooManyMembers
    );
}

#[test]
fn stack_exhaustion_deeply_nested_tokens_are_refused() {
    let (signer, settings) = trusted();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
        let payload = |depth: usize| good().to_string().replacen('{', &format!("{{\"x\":{},", nested(depth)), 1);
        let header = |depth: usize| format!(r#"{{"alg":"EdDSA","kid":"ed","x":{}}}"#, nested(depth));
        assert!(verdict(&settings, signer.raw(header(10).as_bytes(), payload(10).as_bytes())).is_ok());
        for depth in [16, 100, 1000] {
            assert_eq!(refused(&settings, signer.raw(header(1).as_bytes(), payload(depth).as_bytes())), TooDeep);
            assert_eq!(refused(&settings, signer.raw(header(depth).as_bytes(), payload(1).as_bytes())), TooDeep);
        }
    }
}

#[test]
fn alg_none_in_any_spelling_is_refused() {
    let (signer, settings) = trusted();
    for alg in ["none", "None", "NONE", "nOnE", "noNE", ""] {
        let header = json!({"alg": alg, "kid": "ed"});
        assert_eq!(refused(&settings, signer.with_header(&header)), AlgorithmNotAllowed, "{alg}");
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(good().to_string().as_bytes()));
        assert_eq!(refused(&settings, format!("{signed}.")), NotThreeParts, "{alg}");
        assert_eq!(refused(&settings, format!("{signed}.AA")), AlgorithmNotAllowed, "{alg}");
    }
}

#[test]
fn alg_in_another_case_or_form_is_refused() {
    let (signer, settings) = trusted();
    for alg in ["eddsa", "EDDSA", "EdDSA ", "Ed25519", "ES512", "ES256K", "HS256", "BLAKE2B", "ML-DSA-44"] {
        assert_eq!(
            refused(&settings, signer.with_header(&json!({"alg": alg, "kid": "ed"}))),
            AlgorithmNotAllowed,
            "{alg}"
        );
    }
    for alg in [json!(null), json!(7), json!(["EdDSA"]), json!({"alg": "EdDSA"})] {
        assert_eq!(refused(&settings, signer.with_header(&json!({"alg": alg, "kid": "ed"}))), HeaderMalformed);
    }
    assert_eq!(refused(&settings, signer.with_header(&json!({"kid": "ed"}))), HeaderMalformed);
}

#[test]
fn key_confusion_hmac_with_the_public_key_as_secret_is_refused() {
    use jwt_simple::prelude::{HS256Key, MACLike, RS256PublicKey};
    let jwk = rsa_jwk("rsa");
    let settings = inline(std::slice::from_ref(&jwk));
    let pem = RS256PublicKey::from_jwk(&jwk.to_string()).unwrap().to_pem().unwrap();
    let forger = HS256Key::from_bytes(pem.as_bytes()).with_key_id("rsa");
    assert_eq!(refused(&settings, forger.authenticate(minted(&good())).unwrap()), AlgorithmNotAllowed);
}

#[test]
fn algorithm_substitution_one_key_proves_one_algorithm_only() {
    let (tokens, keys) = by_every_algorithm(&good());
    let keys = keys["keys"].as_array().unwrap();
    for (algorithm, token) in &tokens {
        for key in keys {
            // Every other key, put in the place of the right one.
            let mut key = key.clone();
            let fits = key["alg"] == algorithm.name();
            key["kid"] = algorithm.name().into();
            let verdict = verdict(&inline(&[key]), token);
            assert_eq!(verdict.err(), if fits { None } else { Some(KeyMismatch) }, "{algorithm}");
        }
    }
}

#[test]
fn algorithms_the_issuer_may_not_use_are_refused_and_so_are_their_keys() {
    let (tokens, keys) = by_every_algorithm(&good());
    let keys = keys["keys"].as_array().unwrap();
    let mut settings = inline(&keys[..1]);
    settings["issuers"][0]["algorithms"] = json!(["RS256"]);
    for (algorithm, token) in tokens {
        let verdict = verdict(&settings, token).map(|_| ());
        assert_eq!(
            verdict,
            if algorithm == Algorithm::RS256 { Ok(()) } else { Err(AlgorithmNotAllowed) },
            "{algorithm}"
        );
    }
    settings["issuers"][0]["keys"] = json!({"inline": {"keys": keys}});
    assert!(Callers::new(&serde_json::from_value(settings).unwrap()).is_err());
}

#[test]
fn keys_and_addresses_of_keys_in_the_token_are_refused() {
    let (signer, settings) = trusted();
    let eve = Signer::new();
    let certificate = json!(["MIIB"]);
    for (member, value) in [
        ("jwk", eve.jwk("ed")),
        ("jku", json!("https://eve.example/jwks.json")),
        ("x5u", json!("https://eve.example/cert.pem")),
        ("x5c", certificate),
    ] {
        let header = json!({"alg": "EdDSA", "kid": "ed", member: value});
        assert_eq!(refused(&settings, eve.with_header(&header)), HeaderForbids(member));
        assert_eq!(refused(&settings, signer.with_header(&header)), HeaderForbids(member), "signed by the right key");
    }
}

#[test]
fn unknown_critical_extensions_are_refused_and_all_are_unknown() {
    let (signer, settings) = trusted();
    for crit in [json!(["exp"]), json!(["b64"]), json!(["x"]), json!([]), json!(null), json!("exp"), json!({})] {
        let header = json!({"alg": "EdDSA", "kid": "ed", "crit": crit, "x": 1});
        assert_eq!(refused(&settings, signer.with_header(&header)), HeaderForbids("crit"));
    }
    for b64 in [json!(false), json!(true), json!(null)] {
        assert_eq!(
            refused(&settings, signer.with_header(&json!({"alg": "EdDSA", "kid": "ed", "b64": b64}))),
            HeaderForbids("b64")
        );
    }
}

#[test]
fn compressed_and_encrypted_tokens_are_refused() {
    let (signer, settings) = trusted();
    for (member, value) in [("zip", "DEF"), ("enc", "A256GCM"), ("epk", "x")] {
        assert_eq!(
            refused(&settings, signer.with_header(&json!({"alg": "EdDSA", "kid": "ed", member: value}))),
            HeaderForbids(member)
        );
    }
    // Five parts, and a work factor that would keep the processor busy for minutes.
    let header = encode(br#"{"alg":"PBES2-HS256+A128KW","enc":"A128CBC-HS256","p2c":2147483647,"p2s":"AAAA"}"#);
    assert_eq!(refused(&settings, format!("{header}.AAAA.AAAA.AAAA.AAAA")), NotThreeParts);
    assert_eq!(refused(&settings, format!("{header}.e30.AAAA")), HeaderForbids("enc"));
}

#[test]
fn repeated_members_of_header_and_payload_are_refused_also_behind_escapes() {
    let (signer, settings) = trusted();
    let payload = good().to_string();
    for header in [
        r#"{"alg":"EdDSA","alg":"none","kid":"ed"}"#,
        r#"{"alg":"EdDSA","al\u0067":"none","kid":"ed"}"#,
        r#"{"alg":"EdDSA","kid":"ed","x":1,"x":2}"#,
        r#"{"alg":"EdDSA","kid":"ed","x":{"y":1,"\u0079":2}}"#,
    ] {
        assert_eq!(refused(&settings, signer.raw(header.as_bytes(), payload.as_bytes())), HeaderMalformed, "{header}");
    }
    let header = br#"{"alg":"EdDSA","kid":"ed"}"#;
    for more in [r#""sub":"root""#, r#""s\u0075b":"root""#, r#""groups":["admins"]"#, r#""a":{"b":1,"b":2}"#] {
        let repeated = payload.replacen('{', &format!("{{{more},"), 1);
        assert_eq!(refused(&settings, signer.raw(header, repeated.as_bytes())), PayloadMalformed, "{more}");
    }
}

#[test]
fn headers_and_payloads_that_are_no_strict_json_objects_are_refused() {
    let (signer, settings) = trusted();
    let (header, payload) = (r#"{"alg":"EdDSA","kid":"ed"}"#, good().to_string());
    let spoilt = |text: &str| -> Vec<Vec<u8>> {
        vec![
            b"[\"EdDSA\"]".to_vec(),
            b"\"EdDSA\"".to_vec(),
            b"null".to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            format!("{text}{text}").into_bytes(),
            format!("{text}x").into_bytes(),
            text.replacen('{', "{\"x\":\"\\ud800\",", 1).into_bytes(),
            [text.as_bytes(), b"\xff"].concat(),
            text.replacen('{', "{\"x\":01,", 1).into_bytes(),
            text.replacen('{', "{\"x\":1e999,", 1).into_bytes(),
            text.replacen('{', "{'x':1,", 1).into_bytes(),
        ]
    };
    for header in spoilt(header) {
        assert_eq!(refused(&settings, signer.raw(&header, payload.as_bytes())), HeaderMalformed);
    }
    for payload in spoilt(&payload) {
        assert_eq!(refused(&settings, signer.raw(header.as_bytes(), &payload)), PayloadMalformed);
    }
}

#[test]
fn kid_injection_a_kid_is_an_opaque_name_and_nothing_else() {
    let (signer, settings) = trusted();
    for kid in ["", "ED", "ed ", "ed\u{0}", "../../../dev/null", "ed' OR '1'='1", "https://eve.example/k", "0"] {
        let refusal = refused(&settings, signer.with_header(&json!({"alg": "EdDSA", "kid": kid})));
        assert_eq!(refusal, UnknownKey { source: None }, "{kid}");
    }
    for kid in [json!(null), json!(0), json!(["ed"]), json!({"kid": "ed"})] {
        assert_eq!(refused(&settings, signer.with_header(&json!({"alg": "EdDSA", "kid": kid}))), HeaderMalformed);
    }
}

#[test]
fn a_token_without_kid_is_proved_only_by_the_only_fitting_key() {
    let (signer, other) = (Signer::new(), Signer::new());
    let token = signer.with_header(&json!({"alg": "EdDSA"}));
    assert!(verdict(&inline(&[signer.jwk("ed"), rsa_jwk("rsa")]), &token).is_ok());
    assert_eq!(refused(&inline(&[signer.jwk("ed"), other.jwk("ed2")]), &token), KeyIdMissing);
    assert_eq!(refused(&inline(&[rsa_jwk("rsa")]), &token), KeyIdMissing);
}

#[test]
fn cross_issuer_substitution_the_key_of_one_issuer_proves_no_token_of_another() {
    let (ours, theirs) = (Signer::new(), Signer::new());
    let mut settings = inline(&[ours.jwk("ed")]);
    let mut other = inline(&[theirs.jwk("theirs")])["issuers"][0].clone();
    other["issuer"] = "https://other.example".into();
    settings["issuers"].as_array_mut().unwrap().push(other.clone());
    let token = theirs.raw(br#"{"alg":"EdDSA","kid":"theirs"}"#, good().to_string().as_bytes());
    assert_eq!(refused(&settings, token), UnknownKey { source: None });
    // The same kid at both: the issuer decides whose key that is.
    other["keys"] = json!({"inline": {"keys": [theirs.jwk("ed")]}});
    settings["issuers"][1] = other;
    assert_eq!(refused(&settings, theirs.token(&good())), BadSignature);
    let caller = verdict(&settings, theirs.token(&with("iss", "https://other.example".into()))).unwrap();
    assert_eq!(caller.issuer(), "https://other.example");
}

#[test]
fn issuers_are_compared_exactly() {
    let (signer, settings) = trusted();
    for iss in [
        "https://idp.example/",
        "https://IDP.example",
        "http://idp.example",
        "https://idp.example:443",
        " https://idp.example",
        "https://idp.example.eve.example",
        "",
    ] {
        assert_eq!(refused(&settings, signer.token(&with("iss", iss.into()))), UnknownIssuer, "{iss}");
    }
    assert_eq!(refused(&settings, signer.token(&with("iss", json!(null)))), IssuerMissing);
    for iss in [json!([ISSUER]), json!(7), json!({"iss": ISSUER})] {
        assert_eq!(refused(&settings, signer.token(&with("iss", iss))), ClaimMalformed("iss"));
    }
}

#[test]
fn tokens_for_another_audience_are_refused() {
    let (signer, settings) = trusted();
    for aud in [json!("rerank-guard-eu"), json!(["x", "rerank-guard"]), json!(["rerank-guard"])] {
        assert!(verdict(&settings, signer.token(&with("aud", aud))).is_ok());
    }
    for aud in [json!("rerank-guard2"), json!("rerank"), json!(""), json!([]), json!(["x", "y"]), json!("Rerank-Guard")]
    {
        assert_eq!(refused(&settings, signer.token(&with("aud", aud))), WrongAudience);
    }
    for aud in
        [json!(1), json!(["rerank-guard", 1]), json!([["rerank-guard"]]), json!({"rerank-guard": 1}), json!(true)]
    {
        assert_eq!(refused(&settings, signer.token(&with("aud", aud))), ClaimMalformed("aud"));
    }
    assert_eq!(refused(&settings, signer.token(&with("aud", json!(null)))), AudienceMissing);
}

#[test]
fn cross_jwt_confusion_tokens_of_other_types_are_refused() {
    let (signer, settings) = trusted();
    let header = |typ: Value| json!({"alg": "EdDSA", "kid": "ed", "typ": typ});
    for typ in ["JWT", "jwt", "application/jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"] {
        assert!(verdict(&settings, signer.with_header(&header(typ.into()))).is_ok(), "{typ}");
    }
    assert!(verdict(&settings, signer.with_header(&json!({"alg": "EdDSA", "kid": "ed"}))).is_ok(), "no typ");
    for typ in [
        "logout+jwt",
        "dpop+jwt",
        "JOSE",
        "rerank-approval+jwt",
        "",
        "at+jwt ",
        "x/at+jwt",
        "application/application/jwt",
    ] {
        assert_eq!(refused(&settings, signer.with_header(&header(typ.into()))), WrongType, "{typ}");
    }
    for typ in [json!(null), json!(["JWT"]), json!(1)] {
        assert_eq!(refused(&settings, signer.with_header(&header(typ))), HeaderMalformed);
    }
    let mut strict = settings;
    strict["issuers"][0]["types"] = json!(["at+jwt"]);
    assert_eq!(refused(&strict, signer.with_header(&json!({"alg": "EdDSA", "kid": "ed"}))), WrongType);
    assert_eq!(refused(&strict, signer.with_header(&header("JWT".into()))), WrongType);
}

#[test]
fn with_the_access_token_profile_nothing_else_is_an_access_token() {
    let (signer, mut settings) = trusted();
    settings["issuers"][0]["profile"] = json!("rfc9068");
    let access = json!({"alg": "EdDSA", "kid": "ed", "typ": "at+jwt"});
    let token =
        |header: &Value, claims: &Value| signer.raw(header.to_string().as_bytes(), claims.to_string().as_bytes());
    let good = with("client_id", "search-ui".into());
    assert!(verdict(&settings, token(&access, &good)).is_ok());
    assert!(
        verdict(&settings, token(&json!({"alg": "EdDSA", "kid": "ed", "typ": "application/at+jwt"}), &good)).is_ok()
    );
    for typ in [json!({"alg": "EdDSA", "kid": "ed", "typ": "JWT"}), json!({"alg": "EdDSA", "kid": "ed"})] {
        assert_eq!(refused(&settings, token(&typ, &good)), WrongType, "an ID token");
    }
    for name in ["client_id", "jti", "iat"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(refused(&settings, token(&access, &claims)), ClaimMissing(name));
    }
    for name in ["client_id", "jti"] {
        let mut claims = good.clone();
        claims[name] = "".into();
        assert_eq!(refused(&settings, token(&access, &claims)), ClaimMissing(name));
        claims[name] = json!(7);
        assert_eq!(refused(&settings, token(&access, &claims)), ClaimMalformed(name));
    }
}

#[test]
fn expired_tokens_are_refused_and_expiry_is_required() {
    let (signer, settings) = trusted();
    assert_eq!(refused(&settings, signer.token(&with("exp", json!(null)))), ExpiryMissing);
    // The skew is 30 s; RFC 7519: refused on or after.
    for (exp, verdict_is) in [
        (json!(NOW_SECS - 29), Ok(())),
        (json!(NOW_SECS as f64 - 29.5), Ok(())),
        (json!(NOW_SECS - 30), Err(Expired)),
        (json!(NOW_SECS - 31), Err(Expired)),
        (json!(0), Err(Expired)),
        (json!(0.5), Err(Expired)),
    ] {
        let claims = with("exp", exp.clone());
        let mut claims = claims;
        claims["iat"] = json!(NOW_SECS - 600);
        if exp.as_f64().unwrap() < 1.0 {
            claims.as_object_mut().unwrap().remove("iat");
        }
        assert_eq!(verdict(&settings, signer.token(&claims)).map(|_| ()), verdict_is, "{exp}");
    }
}

#[test]
fn numeric_dates_of_any_other_form_are_refused() {
    let (signer, settings) = trusted();
    for name in ["exp", "nbf", "iat"] {
        for text in [
            r#""1800000600""#,
            "true",
            "[]",
            "{}",
            "-1",
            "-0.5",
            "-0.0",
            "9007199254740992",
            "18446744073709551615",
            "18446744073709551616",
            "1e30",
            "\"\"",
            "null",
        ] {
            let claims = with(name, json!("@")).to_string().replace("\"@\"", text);
            let token = signer.raw(br#"{"alg":"EdDSA","kid":"ed"}"#, claims.as_bytes());
            assert_eq!(refused(&settings, token), ClaimMalformed(name), "{name}: {text}");
        }
    }
}

#[test]
fn tokens_from_the_future_are_refused() {
    let (signer, settings) = trusted();
    for (name, refusal) in [("nbf", NotYetValid), ("iat", IssuedInFuture)] {
        assert!(verdict(&settings, signer.token(&with(name, json!(NOW_SECS + 30)))).is_ok(), "within the skew");
        for date in [json!(NOW_SECS + 31), json!(NOW_SECS + 500), json!(9_007_199_254_740_991_u64)] {
            assert_eq!(refused(&settings, signer.token(&with(name, date))), refusal);
        }
    }
}

#[test]
fn tokens_that_live_too_long_are_refused() {
    let (signer, settings) = trusted();
    let day = 86_400;
    let token = |iat: Option<u64>, exp: u64| {
        let mut claims = with("exp", json!(exp));
        match iat {
            Some(iat) => claims["iat"] = json!(iat),
            None => drop(claims.as_object_mut().unwrap().remove("iat")),
        }
        signer.token(&claims)
    };
    assert!(verdict(&settings, token(Some(NOW_SECS - 60), NOW_SECS - 60 + day)).is_ok());
    assert!(verdict(&settings, token(None, NOW_SECS + day)).is_ok());
    assert_eq!(refused(&settings, token(Some(NOW_SECS - 60), NOW_SECS - 59 + day)), LifetimeTooLong);
    assert_eq!(refused(&settings, token(None, NOW_SECS + day + 31)), LifetimeTooLong);
    assert_eq!(refused(&settings, token(None, 9_007_199_254_740_991)), LifetimeTooLong);
    assert_eq!(refused(&settings, token(Some(NOW_SECS + 20), NOW_SECS + 10)), LifetimeTooLong, "before it was issued");
}

#[test]
fn tokens_of_nobody_are_refused() {
    let (signer, settings) = trusted();
    for sub in [json!(null), json!("")] {
        assert_eq!(refused(&settings, signer.token(&with("sub", sub))), SubjectMissing);
    }
    for sub in [json!(7), json!(["ann"]), json!({}), json!("ann\r\nx-admin: 1"), json!("ann\u{0}"), json!("\u{85}")] {
        assert_eq!(refused(&settings, signer.token(&with("sub", sub))), ClaimMalformed("sub"));
    }
    for name in ["jti", "nonce"] {
        assert_eq!(refused(&settings, signer.token(&with(name, json!(7)))), ClaimMalformed(name));
    }
}

#[test]
fn bound_tokens_are_never_taken_as_bearer_tokens() {
    let (signer, settings) = trusted();
    let hash = encode(&[7; 32]);
    for (cnf, refusal) in [
        (json!({"jkt": hash}), SentAsBearer),
        (json!({"x5t#S256": hash}), CertificateMissing),
        (json!({"jkt": hash, "x5t#S256": hash}), Bound),
        (json!({"kid": "ed"}), Bound),
        (json!({}), Bound),
        (json!([]), Bound),
        (json!(""), Bound),
    ] {
        assert_eq!(refused(&settings, signer.token(&with("cnf", cnf))), refusal);
    }
    let null = good().to_string().replacen('{', r#"{"cnf":null,"#, 1);
    assert_eq!(refused(&settings, signer.raw(br#"{"alg":"EdDSA","kid":"ed"}"#, null.as_bytes())), Bound);
}

#[test]
fn psychic_signatures_zero_out_of_range_and_der_are_refused_by_both_curves() {
    let (tokens, keys) = by_every_algorithm(&good());
    let settings = inline(keys["keys"].as_array().unwrap());
    for (algorithm, token) in tokens {
        let size = match algorithm {
            Algorithm::ES256 => 32,
            Algorithm::ES384 => 48,
            _ => continue,
        };
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = token::decode(signature).unwrap();
        let (r, s) = signature.split_at(size);
        let (zero, full) = (vec![0; size], vec![0xff; size]);
        let one = [&zero[1..], &[1]].concat();
        for forged in [
            [&zero[..], &zero].concat(),
            [&zero[..], s].concat(),
            [r, &zero].concat(),
            [&one[..], &one].concat(),
            [&full[..], &full].concat(),
            [r, &full].concat(),
            [&full, s].concat(),
            r.to_vec(),
            [&signature[..], &[0]].concat(),
            [&[0], &signature[..]].concat(),
            signature[..2 * size - 1].to_vec(),
            [&[0x30, 0x44, 0x02, 0x20][..], r, &[0x02, 0x20], s].concat(),
        ] {
            assert_eq!(refused(&settings, format!("{signed}.{}", encode(&forged))), BadSignature, "{algorithm}");
        }
    }
}

#[test]
fn rsa_signatures_of_another_length_padding_or_scheme_are_refused() {
    let (tokens, keys) = by_every_algorithm(&good());
    let settings = inline(keys["keys"].as_array().unwrap());
    let signature_of = |wanted: Algorithm| {
        let (_, token) = tokens.iter().find(|(algorithm, _)| *algorithm == wanted).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        (signed.to_owned(), token::decode(signature).unwrap())
    };
    let (signed, good) = signature_of(Algorithm::RS256);
    let (_, pss) = signature_of(Algorithm::PS256);
    for forged in [
        vec![0; 256],
        vec![0xff; 256],
        [&[0; 255][..], &[1]].concat(),
        good[1..].to_vec(),
        [&[0], &good[..]].concat(),
        [&good[..], &[0]].concat(),
        pss,
        vec![1],
    ] {
        assert_eq!(refused(&settings, format!("{signed}.{}", encode(&forged))), BadSignature);
    }
}

#[test]
fn a_host_that_has_proved_itself_is_never_overruled() {
    struct Doubts;
    impl NativeSignatures for Doubts {
        fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
            let known = Host.verify(hash, spki, signature, text);
            if text.len() > 200 { Some(false) } else { known }
        }
    }
    let settings = inline(&[rsa_jwk("rsa")]);
    assert_eq!(callers(&settings).identify(rs256(&good()).as_bytes(), NOW, &Doubts), Err(BadSignature));
}

#[test]
fn a_host_that_says_yes_to_everything_proves_nothing() {
    struct Always;
    impl NativeSignatures for Always {
        fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
            Some(true)
        }
    }
    let settings = inline(&[rsa_jwk("rsa")]);
    let token = rs256(&good());
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", encode(&[1; 256]));
    assert_eq!(callers(&settings).identify(forged.as_bytes(), NOW, &Always), Err(BadSignature));
    assert!(callers(&settings).identify(token.as_bytes(), NOW, &Always).is_ok());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_verify(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(callers(&fetched()).identify(&bytes, NOW, &NoNativeSignatures).is_err());
    }

    #[test]
    fn arbitrary_headers_and_payloads_never_verify_without_the_key(
        header in "\\{(\"(alg|kid|typ|x)\":(\"(EdDSA|ed|JWT)\"|1|null),?){0,4}\\}",
        payload in "\\PC{0,60}",
        signature in prop::collection::vec(any::<u8>(), 64),
    ) {
        let (_, settings) = trusted();
        let token = format!("{}.{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()), encode(&signature));
        prop_assert!(verdict(&settings, token).is_err());
        let token = format!("{}.{}.{}", encode(br#"{"alg":"EdDSA","kid":"ed"}"#), encode(good().to_string().as_bytes()), encode(&signature));
        prop_assert_eq!(verdict(&settings, token), Err(BadSignature));
    }
}

static MINTED: LazyLock<(Vec<(Algorithm, String)>, Value)> = LazyLock::new(|| by_every_algorithm(&good()));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_good_token_with_one_byte_changed_added_or_removed_never_verifies(
        place in any::<prop::sample::Index>(),
        byte in prop_oneof![prop::sample::select(&b"ABCwxyz0189-_.="[..]), any::<u8>()],
        which in 0..3_usize,
        how in 0..3,
    ) {
        let (tokens, keys) = &*MINTED;
        let settings = inline(keys["keys"].as_array().unwrap());
        let (_, token) = &tokens[[0, 6, 8][which]];
        let mut bytes = token.clone().into_bytes();
        let place = place.index(bytes.len());
        match how {
            0 => bytes[place] = byte,
            1 => bytes.insert(place, byte),
            _ => drop(bytes.remove(place)),
        }
        prop_assume!(bytes != token.as_bytes());
        prop_assert!(verdict(&settings, bytes).is_err());
    }
}
