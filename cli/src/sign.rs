//! `rerank-guard sign` and `verify`: bundles that gateways fetch.
//!
//! Keys are PEM files as OpenSSL makes them: `openssl genpkey -algorithm ed25519 -out private.pem` and
//! `openssl pkey -in private.pem -pubout -out public.pem`.

use crate::bundle;
use crate::compile::compiled;
use crate::report::{say, say_json, unable};
use crate::{End, Output};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::{KeyPair, PublicKey};
use rerank_guard::policy::signed::{self, Envelope, SignedBy, TrustedKey};
use rerank_guard::policy::{Policy, signed::Refused};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct SignArguments {
    /// A bundle in YAML or JSON; `-` is standard input.
    bundle: PathBuf,
    /// A private key in PEM; once for each, two while one replaces the other.
    #[arg(long = "key", required = true)]
    keys: Vec<PathBuf>,
    /// The file to write; standard output without it.
    #[arg(short, long)]
    into: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct VerifyArguments {
    /// A signed bundle.
    envelope: PathBuf,
    /// A public key in PEM; once for each that is trusted.
    #[arg(long = "key", required = true)]
    keys: Vec<PathBuf>,
    /// Write the bundle that was signed into this file.
    #[arg(short, long)]
    into: Option<PathBuf>,
}

pub(crate) fn sign(arguments: &SignArguments, output: Output) -> End {
    let loaded = match bundle::load(&arguments.bundle) {
        Ok(loaded) => loaded,
        Err(refused) => return refused.end(&arguments.bundle, output),
    };
    if loaded.policy.not_after().is_none() {
        return unable(
            "a bundle without `not_after` is not fetched by any gateway: give it an end, then sign it",
            output,
        );
    }
    let bundle = compiled(loaded, false);
    let mut envelope = Envelope { payload: STANDARD.encode(&bundle), signatures: Vec::new() };
    for path in &arguments.keys {
        let key = match read(path).and_then(|pem| {
            KeyPair::from_pem(&pem).map_err(|_| format!("`{}` is no private Ed25519 key in PEM", path.display()))
        }) {
            Ok(key) => key,
            Err(why) => return unable(&why, output),
        };
        let sig = STANDARD.encode(*key.sk.sign(signed::signed_bytes(bundle.as_bytes()), None));
        envelope.signatures.push(SignedBy { key: signed::key_id(&*key.pk), sig });
    }
    let Ok(text) = serde_json::to_string(&envelope) else { return unable("the envelope cannot be written", output) };
    match &arguments.into {
        None => say(&text),
        Some(path) => {
            if let Err(error) = std::fs::write(path, text) {
                return unable(&format!("cannot write `{}`: {error}", path.display()), output);
            }
        }
    }
    End::Well
}

pub(crate) fn verify(arguments: &VerifyArguments, output: Output) -> End {
    let mut keys = Vec::new();
    for path in &arguments.keys {
        let key = read(path).and_then(|pem| {
            let key = PublicKey::from_pem(&pem).ok().and_then(|key| TrustedKey::from_bytes(&*key));
            key.ok_or_else(|| format!("`{}` is no public Ed25519 key in PEM", path.display()))
        });
        match key {
            Ok(key) => keys.push(key),
            Err(why) => return unable(&why, output),
        }
    }
    let envelope = match std::fs::read(&arguments.envelope) {
        Ok(envelope) => envelope,
        Err(error) => return unable(&format!("cannot read `{}`: {error}", arguments.envelope.display()), output),
    };
    let opened = signed::verify(&envelope, &keys)
        .and_then(|bundle| Policy::load(&bundle).map(|policy| (bundle, policy)).map_err(Refused::Flawed));
    let (bundle, policy) = match opened {
        Ok(opened) => opened,
        Err(refused) => {
            let file = arguments.envelope.display();
            match output {
                Output::Text => say(&format!("{file}: refused: {refused}\n")),
                Output::Json => {
                    say_json(&json!({"ok": false, "refused": refused.as_str(), "why": refused.to_string()}));
                }
            }
            return End::Found;
        }
    };
    if let Some(path) = &arguments.into
        && let Err(error) = std::fs::write(path, bundle)
    {
        return unable(&format!("cannot write `{}`: {error}", path.display()), output);
    }
    match output {
        Output::Text => say(&format!(
            "{}: signed, bundle `{}`, serial {}, sha256:{}\n",
            arguments.envelope.display(),
            policy.id(),
            policy.serial(),
            policy.digest()
        )),
        Output::Json => say_json(&json!({"ok": true, "bundle": policy.id(), "serial": policy.serial(),
            "sha256": policy.digest()})),
    }
    End::Well
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}
