//! Signing keys: made here, shown as public JWKs, used for compact JWS.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jwt_simple::common::HeaderOptions;
use jwt_simple::prelude::{
    ECDSAP256KeyPairLike, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike, JWTClaims, RS256KeyPair, RSAKeyPairLike,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A signature algorithm of RFC 7518 or RFC 8037.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub(crate) enum Algorithm {
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A key pair and its name: the key's RFC 7638 thumbprint.
pub(crate) struct Key {
    pair: Pair,
    kid: String,
}

enum Pair {
    Rs256(Box<RS256KeyPair>),
    Es256(ES256KeyPair),
    EdDsa(Ed25519KeyPair),
}

/// What went wrong with a key.
#[derive(Debug)]
pub(crate) enum Failure {
    NotMade(String),
    NotSigned(String),
    FileNotRead { file: PathBuf, source: io::Error },
    FileNotWritten { file: PathBuf, source: io::Error },
    FileNotAKey { file: PathBuf },
}

impl Key {
    /// A new key pair; RSA has 2048 bits, and takes a moment.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, Failure> {
        Ok(match algorithm {
            Algorithm::Rs256 => {
                let pair = RS256KeyPair::generate(2048).map_err(|error| Failure::NotMade(error.to_string()))?;
                Self { kid: pair.jwk_thumbprint(), pair: Pair::Rs256(Box::new(pair)) }
            }
            Algorithm::Es256 => {
                let pair = ES256KeyPair::generate();
                Self { kid: pair.jwk_thumbprint(), pair: Pair::Es256(pair) }
            }
            Algorithm::EdDsa => Self::ed25519(Ed25519KeyPair::generate()),
        })
    }

    /// The Ed25519 key kept in `file` as a private JWK, made and written there (for its owner's eyes only) if there is
    /// no such file: so that a configuration can pin the public key and survive a restart.
    pub(crate) fn kept_in(file: &Path) -> Result<Self, Failure> {
        match fs::read_to_string(file) {
            Ok(text) => match Ed25519KeyPair::from_jwk(text.trim()) {
                Ok(pair) => Ok(Self::ed25519(pair)),
                Err(_) => Err(Failure::FileNotAKey { file: file.to_owned() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pair = Ed25519KeyPair::generate();
                let mut options = OpenOptions::new();
                let written = options.write(true).create_new(true).mode(0o600).open(file);
                written
                    .and_then(|mut opened| writeln!(opened, "{}", pair.to_jwk()))
                    .map_err(|source| Failure::FileNotWritten { file: file.to_owned(), source })?;
                Ok(Self::ed25519(pair))
            }
            Err(source) => Err(Failure::FileNotRead { file: file.to_owned(), source }),
        }
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rs256(_) => Algorithm::Rs256,
            Pair::Es256(_) => Algorithm::Es256,
            Pair::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    /// The public JWK, with `kid`, `alg` and `use`.
    pub(crate) fn jwk(&self) -> Result<Value, Failure> {
        let (text, alg) = match &self.pair {
            Pair::Rs256(pair) => (pair.public_key().with_key_id(&self.kid).to_jwk(), "RS256"),
            Pair::Es256(pair) => (pair.public_key().with_key_id(&self.kid).to_jwk(), "ES256"),
            Pair::EdDsa(pair) => (pair.public_key().with_key_id(&self.kid).to_jwk(), "EdDSA"),
        };
        let mut jwk: Map<String, Value> =
            serde_json::from_str(&text).map_err(|error| Failure::NotMade(error.to_string()))?;
        jwk.insert("alg".into(), alg.into());
        jwk.insert("use".into(), "sig".into());
        Ok(Value::Object(jwk))
    }

    /// A compact JWS over `payload` as it stands, whose header has this `typ` and `kid` (any `kid`: tests need tokens
    /// that name a key nobody has).
    pub(crate) fn sign(&self, typ: &str, kid: &str, payload: Map<String, Value>) -> Result<String, Failure> {
        let options = HeaderOptions { signature_type: Some(typ.to_owned()), ..HeaderOptions::default() };
        let claims = JWTClaims {
            issued_at: None,
            expires_at: None,
            invalid_before: None,
            issuer: None,
            subject: None,
            audiences: None,
            jwt_id: None,
            nonce: None,
            custom: payload,
        };
        let signed = match &self.pair {
            Pair::Rs256(pair) => RS256KeyPair::clone(pair).with_key_id(kid).sign_with_options(claims, &options),
            Pair::Es256(pair) => ES256KeyPair::from_bytes(&pair.to_bytes())
                .and_then(|pair| pair.with_key_id(kid).sign_with_options(claims, &options)),
            Pair::EdDsa(pair) => pair.clone().with_key_id(kid).sign_with_options(claims, &options),
        };
        signed.map_err(|error| Failure::NotSigned(error.to_string()))
    }

    fn ed25519(pair: Ed25519KeyPair) -> Self {
        Self { kid: pair.jwk_thumbprint(), pair: Pair::EdDsa(pair) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMade(why) => write!(f, "cannot make a key: {why}"),
            Self::NotSigned(why) => write!(f, "cannot sign: {why}"),
            Self::FileNotRead { file, source } => write!(f, "cannot read `{}`: {source}", file.display()),
            Self::FileNotWritten { file, source } => write!(f, "cannot write `{}`: {source}", file.display()),
            Self::FileNotAKey { file } => write!(f, "`{}` holds no private Ed25519 JWK", file.display()),
        }
    }
}

impl std::error::Error for Failure {}

/// Reading and verifying what was signed, for the tests.
#[cfg(test)]
pub(crate) mod verify {
    use jwt_simple::prelude::{
        ECDSAP256PublicKeyLike, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike, RS256PublicKey, RSAPublicKeyLike,
        Token, VerificationOptions,
    };

    use super::*;

    /// The header's `typ` and `kid`, and the claims, of a token the key of this JWK signed. Times are not looked at.
    pub(crate) fn open(jwk: &Value, token: &str) -> Option<(String, String, Value)> {
        let head = Token::decode_metadata(token).unwrap();
        let options = VerificationOptions {
            artificial_time: Some(jwt_simple::prelude::UnixTimeStamp::from_secs(1_000_000)),
            ..VerificationOptions::default()
        };
        let mut jwk = jwk.clone();
        jwk["kid"] = head.key_id().unwrap().into();
        let text = jwk.to_string();
        let alg = jwk["alg"].as_str().unwrap();
        let claims: JWTClaims<Map<String, Value>> = match alg {
            "RS256" => RS256PublicKey::from_jwk(&text).unwrap().verify_token(token, Some(options)).ok()?,
            "ES256" => ES256PublicKey::from_jwk(&text).unwrap().verify_token(token, Some(options)).ok()?,
            "EdDSA" => Ed25519PublicKey::from_jwk(&text).unwrap().verify_token(token, Some(options)).ok()?,
            other => panic!("{other}"),
        };
        let kid = head.key_id().unwrap().to_owned();
        Some((head.signature_type().unwrap().to_owned(), kid, serde_json::to_value(claims).unwrap()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payload(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_a_key_signs_its_public_jwk_verifies_and_no_other() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let (key, other) = (Key::generate(algorithm).unwrap(), Key::generate(algorithm).unwrap());
            let claims = json!({ "sub": "ann", "iat": 999_999, "exp": 1_000_300 });
            let token = key.sign("a+jwt", "k-1", payload(claims.clone())).unwrap();
            let expected = ("a+jwt".to_owned(), "k-1".to_owned(), claims);
            assert_eq!(verify::open(&key.jwk().unwrap(), &token), Some(expected), "{algorithm:?}");
            assert_eq!(verify::open(&other.jwk().unwrap(), &token), None, "{algorithm:?}");
        }
    }

    #[test]
    fn a_public_jwk_says_what_it_is_for_and_holds_no_private_part() {
        let key = Key::generate(Algorithm::EdDsa).unwrap();
        let jwk = key.jwk().unwrap();
        let expected = json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid(), "x": jwk["x"]
        });
        assert_eq!(jwk, expected);
        let jwk = Key::generate(Algorithm::Es256).unwrap().jwk().unwrap();
        assert_eq!(jwk.as_object().unwrap().keys().collect::<Vec<_>>(), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }

    #[test]
    fn a_kept_key_is_the_same_after_a_restart_and_its_file_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("rerank-guard-demo-{}", crate::id::fresh()));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("approver.jwk");
        let made = Key::kept_in(&file).unwrap().jwk().unwrap();
        assert_eq!(Key::kept_in(&file).unwrap().jwk().unwrap(), made);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "{}").unwrap();
        assert!(matches!(Key::kept_in(&file), Err(Failure::FileNotAKey { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }
}
