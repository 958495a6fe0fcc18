//! Public keys whose private halves everybody can read: in this repository, or in the examples of RFCs that others copy from.
//! Whoever can read them can sign with them, so a gateway that believed one would believe anybody.

use super::algorithm::Algorithm;
use super::keys::Key;
use super::pinned::PinnedKey;
use crate::audit::digest;
use serde_json::Value;

/// SHA-256 of each key's SubjectPublicKeyInfo.
const PUBLISHED: [&str; 8] = [
    // demo/approver-key.json
    "sha256:95af72dd07137d92fba206546efcbc437b0dfec1e9d78a7ed6dfd15e7dd5c906",
    // RFC 8037, appendix A.1
    "sha256:06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9",
    // RFC 7520, section 3.4
    "sha256:627771f25da426d1f9ae315e42106d700b1529850eee1592acf39603959d795d",
    // RFC 9449, section 4.1
    "sha256:7b5aa630ea909c4740ed82d2444262b3ec965d945d544320a5e1b2c04ce27ee2",
    // RFC 7515, appendix A.2
    "sha256:6fd13c2435a361e7c588cd17f55f5ad3df0177a66c1727a6a200845f4d7ab88c",
    // RFC 7515, appendix A.3
    "sha256:2bd1bb0c44a897c30a7aa0991cde38d8062fe441de50da0f46825344f602e827",
    // RFC 7517, appendix A.2: two keys
    "sha256:51b944cdfa544d4c3273aa6bf350625a7dd53bbb6a71723274f538b19a207760",
    "sha256:ad32320cf6c596d884b05381ba573aba8ddd5749b4de8f4a23a79f9a89ddaeb2",
];

impl PinnedKey {
    /// Whether everybody can sign with it.
    pub(crate) fn is_published(&self) -> bool {
        is_published(&self.0.spki)
    }
}

/// Whether everybody can sign with a key in a configuration. What is no public key at all is told elsewhere.
pub(crate) fn jwk_is_published(jwk: &Value) -> bool {
    Algorithm::ALL.iter().any(|one| Key::read(jwk, &[*one]).is_ok_and(|key| is_published(&key.spki)))
}

/// Whether the key with this SubjectPublicKeyInfo (DER) is one that everybody can sign with.
fn is_published(spki: &[u8]) -> bool {
    PUBLISHED.contains(&digest(&[spki]).as_str())
}

/// Likewise of the 32 bytes of an Ed25519 key.
pub(crate) fn is_published_ed25519(key: &[u8]) -> bool {
    // RFC 8410, section 4.
    const BEFORE: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    is_published(&[&BEFORE, key].concat())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Signer;
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_that_everybody_can_sign_with_are_known_however_they_are_written() {
        let demo: Value = serde_json::from_str(include_str!("../../demo/approver-key.json")).unwrap();
        for key in [
            json!({"kty": "OKP", "crv": "Ed25519", "x": demo["x"]}),
            json!({"x": demo["x"], "crv": "Ed25519", "kty": "OKP", "kid": "mine", "alg": "EdDSA", "use": "sig"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            json!({"kty": "EC", "crv": "P-256", "kid": "1", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                   "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
        ] {
            assert!(jwk_is_published(&key), "{key}");
        }
        assert!(!jwk_is_published(&Signer::new().jwk("a")));
    }

    /// Every key in files that people copy from, or that test programs read.
    #[test]
    fn every_key_that_stands_in_this_repository_is_known() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut left: Vec<_> = ["demo", "envoy", "examples", "policies", "fuzz/seeds/key_set"]
            .iter()
            .map(|name| root.join(name))
            .collect();
        let mut seen = 0;
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            // Flat objects: a JWK has nothing inside but lists of names.
            for object in
                text.split('{').filter_map(|rest| rest.split_once('}')).map(|(inside, _)| format!("{{{inside}}}"))
            {
                let Ok(Value::Object(mut key)) = serde_json::from_str(&object) else { continue };
                key.remove("d");
                let key = Value::Object(key);
                if Algorithm::ALL.iter().any(|one| Key::read(&key, &[*one]).is_ok()) {
                    assert!(jwk_is_published(&key), "{}: {object}", path.display());
                    seen += 1;
                }
            }
        }
        assert!(seen >= 4, "only {seen} keys were found");
    }
}
