//! The words for why a credential proves no caller.

use crate::reason::reasons;

reasons! {
    /// Why a credential proves no caller, in one word: [`Refusal`](super::Refusal) says besides which claim or key it is about.
    pub enum Reason {
        NoToken "no-token" [Unauthenticated]
            "there is no token" => "Have the caller send one.",
        NotAToken "no-bearer-token" [Unauthenticated]
            "the header for tokens holds something else" => "Have the caller send `Authorization: Bearer <token>`.",
        SeveralTokens "doubled-authorization" [Unauthenticated]
            "there is more than one token" => "Have the caller send one, in one header.",
        TooLong "token-too-long" [Unauthenticated]
            "the token has more than 16 KiB" => "Have the issuer put less into it, such as groups that this gateway does not use.",
        NotThreeParts "not-three-parts" [Unauthenticated]
            "the token is no signed JWT in its compact form" => "Have the caller send an access token that is a JWT, not an opaque or encrypted one.",
        NotBase64Url "not-base64url" [Unauthenticated]
            "a part of the token is not canonical base64url" => "Look at the caller: the token was changed on its way.",
        HeaderMalformed "header-malformed" [Unauthenticated]
            "the token's header is no strict JSON object" => "Look at the issuer.",
        HeaderForbids "header-forbidden" [Unauthenticated]
            "the token's header changes how it must be read or which key to trust (`crit`, `jwk`, `jku`, …)" =>
            "Look at the issuer; where it is not its doing, this is an attack.",
        PayloadMalformed "payload-malformed" [Unauthenticated]
            "the token's payload is no strict JSON object" => "Look at the issuer.",
        TooManyMembers "too-many-members" [Unauthenticated]
            "the token's header or payload has too many members" => "Have the issuer put less into it.",
        TooDeep "nested-too-deep" [Unauthenticated]
            "the token's header or payload is nested too deep" => "Have the issuer put less into it.",
        AlgorithmNotAllowed "algorithm-not-allowed" [Unauthenticated]
            "`alg` is not one that the issuer may use" => "Write it under `algorithms` of the issuer if it does use it.",
        WrongType "wrong-type" [Unauthenticated]
            "`typ` is not one that the issuer may use: a token made for another purpose" =>
            "Have the caller send an access token; or write the type under `types` of the issuer.",
        IssuerMissing "issuer-missing" [Unauthenticated]
            "the claim `iss` is missing" => "Look at the issuer.",
        UnknownIssuer "unknown-issuer" [Unauthenticated]
            "`iss` is not exactly an issuer of the configuration" => "Compare them letter by letter, a slash at the end included.",
        AudienceMissing "audience-missing" [Unauthenticated]
            "the claim `aud` is missing" => "Have the caller ask for a token for this gateway.",
        WrongAudience "wrong-audience" [Unauthenticated]
            "`aud` names another audience" => "Have the caller ask for a token for one of the issuer's `audiences`.",
        ExpiryMissing "expiry-missing" [Unauthenticated]
            "the claim `exp` is missing" => "Look at the issuer: tokens without an end are not taken.",
        Expired "expired" [Unauthenticated]
            "the token has ended, before the call or while people were asked" => "Have the caller get a new one in time.",
        NotYetValid "not-yet-valid" [Unauthenticated]
            "the token is not valid yet (`nbf`)" => "Look at the clocks of issuer and gateway; `clock_skew` is 60s at most.",
        IssuedInFuture "issued-in-future" [Unauthenticated]
            "the token was issued in the future (`iat`)" => "Look at the clocks of issuer and gateway; `clock_skew` is 60s at most.",
        LifetimeTooLong "lifetime-too-long" [Unauthenticated]
            "the token is valid for longer than `max_lifetime`" => "Have the issuer give shorter ones; or raise `max_lifetime`.",
        SubjectMissing "subject-missing" [Unauthenticated]
            "the claim `sub` is missing or empty" => "Look at the issuer.",
        ClaimMissing "claim-missing" [Unauthenticated]
            "a claim that the profile requires is missing" => "Look at the issuer; `rerank-guard token` tells which.",
        ClaimMalformed "claim-malformed" [Unauthenticated]
            "a claim has not the form it must have" => "Look at the issuer; `rerank-guard token` tells which.",
        Bound "bound-token" [Unauthenticated]
            "the token is bound (`cnf`) in a way that cannot be checked here" =>
            "Have the issuer bind by certificate or DPoP; for DPoP write `origins`.",
        CertificateMissing "certificate-missing" [Unauthenticated]
            "the token is bound to a client certificate and its sender shows none" => "Have the caller use its certificate, and the listener ask for it.",
        SentAsBearer "dpop-sent-as-bearer" [Unauthenticated]
            "the token is bound to a key and was sent without a proof" => "Have the caller send it as `DPoP`, with a proof.",
        WrongHolder "wrong-holder" [Unauthenticated]
            "the token is bound to another key than its sender's" => "Look at the caller; where it is not its doing, the token was stolen.",
        GroupsMissing "groups-missing" [Unauthenticated]
            "the configured groups claim is missing" => "Have the issuer add it; or change `groups` of the issuer.",
        GroupsElsewhere "groups-elsewhere" [Unauthenticated]
            "the token says its groups must be asked for elsewhere" =>
            "Have the issuer send only the groups that are assigned to this application.",
        GroupsMalformed "groups-malformed" [Unauthenticated]
            "the groups claim has not the configured form" => "Compare it with `groups` of the issuer.",
        GroupsClash "groups-clash" [Unauthenticated]
            "a group has the name that the configuration gives to another one" => "Rename one of them under `groups.map`.",
        UnprovedPeer "unproved-peer" [Unauthenticated]
            "nothing says that TLS has verified the client certificate" =>
            "Name an Envoy route with `tls_context: {validated: true}` and list it under `callers.verified_routes`.",
        UnknownPeer "unknown-peer" [Unauthenticated]
            "the client certificate names no caller of the configuration" => "Add it under `callers.peers`.",
        PeerMalformed "peer-malformed" [Unauthenticated]
            "the client certificate's SPIFFE ID is malformed" => "Look at who issues the certificates.",
        NotBound "not-bound" [Unauthenticated]
            "the token was sent as `DPoP`, but is bound to no key" => "Have the issuer bind it, or the caller send it as `Bearer`.",
        ProofMissing "dpop-missing" [Unauthenticated]
            "the token was sent as `DPoP` without a proof of possession" => "Have the caller send the proof in the header `dpop`.",
        SeveralProofs "dpop-doubled" [Unauthenticated]
            "there is more than one proof of possession" => "Have the caller send one.",
        ProofRefused "dpop-refused" [Unauthenticated]
            "the proof of possession is no good" =>
            "Look at the caller: its clock, the method and the address (one of `origins`) that its proofs are for.",
        ProofReplayed "dpop-replayed" [Unauthenticated]
            "the proof of possession was shown before" => "Have the caller make a proof for each request; where it does, this is an attack.",
        TooManyProofs "dpop-too-many" [NotReady]
            "too many proofs were shown lately to remember another one" => "Look for a caller with very many calls; or raise `callers.dpop.proofs`.",
        NoProofMemory "dpop-no-memory" [NotReady]
            "the memory of proofs, which workers share, cannot be used now" => "Look at Envoy's version and at the `vm_id`: the memory is the VM's.",
        UnknownKey "unknown-key" [Unauthenticated]
            "the issuer has no key with this `kid`" =>
            "Nothing where the issuer changes its keys: they are fetched. Else look at its key set.",
        KeyIdMissing "key-id-missing" [Unauthenticated]
            "the token has no `kid`, and the issuer has not exactly one fitting key" => "Have the issuer write `kid`.",
        KeyMismatch "key-mismatch" [Unauthenticated]
            "the key with this `kid` is for another algorithm" => "Look at the issuer's key set.",
        BadSignature "bad-signature" [Unauthenticated]
            "the signature is not by this key over these bytes" => "Look at the caller: the token is forged, or was changed on its way.",
        TooManyBadSignatures "too-many-bad-signatures" [NotReady]
            "too many bad signatures came for another one to be looked at now" =>
            "Look for who sends them; tokens verified before still pass.",
        NoKeysYet "no-keys-yet" [NotReady]
            "the issuer's keys have not been fetched yet" => "Look at the log and at the cluster the keys come from.",
        KeysStale "keys-stale" [NotReady]
            "the issuer's keys could not be refreshed for longer than `max_stale`" => "Look at the log and at the cluster the keys come from.",
    }
}

reasons! {
    /// What came of asking for an issuer's keys.
    pub enum KeyEvent {
        Replaced "replaced" []
            "the keys are others than before" => "Nothing: issuers rotate keys. Envoy's log says how many can be used.",
        Unchanged "unchanged" []
            "the keys are the same, and fresh again" => "Nothing.",
        Discovered "discovered" []
            "the issuer's discovery document was read, and the keys are asked for next" => "Nothing.",
        Failed "failed" []
            "there was no answer, or none to use; keys that are here stay until `max_stale`" =>
            "Look at Envoy's log, which says why, and at the cluster of the issuer's `keys`.",
        Unasked "unasked" []
            "an answer came that nobody waits for" => "Nothing: a configuration was pushed while it was under way.",
    }
}
