//! `rerank-guard sign`, `verify` and `jwk`: bundles that gateways fetch, and the keys they are signed with.
//!
//! Keys are PEM files as OpenSSL makes them: `openssl genpkey -algorithm ed25519 -out private.pem` and
//! `openssl pkey -in private.pem -pubout -out public.pem`.

use crate::bundle;
use crate::compile::compiled;
use crate::report::{say, say_json, unable};
use crate::{End, Output};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
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

#[derive(clap::Args)]
pub(crate) struct JwkArguments {
    /// A public key in PEM.
    key: PathBuf,
    /// The key's name in the configuration and in log lines; the key's id in envelopes where it is not said.
    #[arg(long)]
    name: Option<String>,
}

/// What `bundle.fetched.keys` of the plugin configuration takes.
pub(crate) fn jwk(arguments: &JwkArguments, output: Output) -> End {
    match public_key(&arguments.key) {
        Ok((key, trusted)) => {
            let name = arguments.name.as_deref().unwrap_or(trusted.id());
            say_json(&json!({"kty": "OKP", "crv": "Ed25519", "kid": name, "x": URL_SAFE_NO_PAD.encode(*key)}));
            End::Well
        }
        Err(why) => unable(&why, output),
    }
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
    // What is shipped is what was loaded, so it is loaded once more as it will be.
    let identity = match Policy::load(bundle.as_bytes()) {
        Ok(policy) => (policy.id().to_owned(), policy.serial(), policy.digest().to_owned()),
        Err(flaws) => {
            let flaws: Vec<String> = flaws.iter().map(ToString::to_string).collect();
            return unable(&format!("the compiled bundle does not load: {}", flaws.join("; ")), output);
        }
    };
    let mut envelope = Envelope { payload: STANDARD.encode(&bundle), signatures: Vec::new() };
    for path in &arguments.keys {
        let key = match private_key(path) {
            Ok(key) => key,
            Err(why) => return unable(&why, output),
        };
        let name = signed::key_id(&*key.pk);
        if envelope.signatures.iter().any(|signature| signature.key == name) {
            return unable(
                &format!("`{}` is a key that has signed already: give each key once", path.display()),
                output,
            );
        }
        if envelope.signatures.len() >= signed::MOST_SIGNATURES {
            let most = signed::MOST_SIGNATURES;
            return unable(&format!("no gateway takes more than {most} signatures: give fewer keys"), output);
        }
        let sig = STANDARD.encode(*key.sk.sign(signed::signed_bytes(bundle.as_bytes()), None));
        envelope.signatures.push(SignedBy { key: name, sig });
    }
    let Ok(text) = serde_json::to_string(&envelope) else { return unable("the envelope cannot be written", output) };
    match &arguments.into {
        None => say(&text),
        Some(path) => {
            if let Err(error) = std::fs::write(path, text) {
                return unable(&format!("cannot write `{}`: {error}", path.display()), output);
            }
            tell_signed(path, &identity, &envelope, output);
        }
    }
    End::Well
}

/// What was written: which bundle, and whose signatures.
fn tell_signed(path: &Path, (id, serial, digest): &(String, u64, String), envelope: &Envelope, output: Output) {
    let keys: Vec<&str> = envelope.signatures.iter().map(|signature| signature.key.as_str()).collect();
    let file = path.display().to_string();
    match output {
        Output::Text => {
            eprintln!("{file}: bundle `{id}`, serial {serial}, sha256:{digest}, signed by {}", keys.join(", "))
        }
        Output::Json => say_json(&json!({"ok": true, "file": file, "bundle": id, "serial": serial, "sha256": digest,
            "keys": keys})),
    }
}

pub(crate) fn verify(arguments: &VerifyArguments, output: Output) -> End {
    let mut keys = Vec::new();
    for path in &arguments.keys {
        match public_key(path) {
            Ok((_, key)) => keys.push(key),
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
                    say_json(&json!({"ok": false, "refused": refused.reason().as_str(), "why": refused.to_string()}));
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

fn public_key(path: &Path) -> Result<(PublicKey, TrustedKey), String> {
    let pem = read(path)?;
    let key = PublicKey::from_pem(&pem).ok();
    let key = key.and_then(|key| Some((key, TrustedKey::from_bytes(&*key)?)));
    let name = path.display();
    key.ok_or_else(|| match label(&pem) {
        Some(label) if label.ends_with("PRIVATE KEY") => format!(
            "`{name}` is a private key, which stays with who signs: give its public half, which \
             `openssl pkey -in {name} -pubout -out public.pem` writes"
        ),
        Some("PUBLIC KEY") => format!("`{name}` is no Ed25519 key: make one with {MAKE_KEY}"),
        label => format!("`{name}` is no public Ed25519 key in PEM: it {}", begins(label)),
    })
}

fn private_key(path: &Path) -> Result<KeyPair, String> {
    let pem = read(path)?;
    let name = path.display();
    KeyPair::from_pem(&pem).map_err(|_| match label(&pem) {
        Some("PUBLIC KEY") => {
            format!("`{name}` is a public key, which signs nothing: give the private key it belongs to")
        }
        Some("PRIVATE KEY") => format!("`{name}` is no Ed25519 key: make one with {MAKE_KEY}"),
        label => format!("`{name}` is no private Ed25519 key in PEM: it {}", begins(label)),
    })
}

const MAKE_KEY: &str = "`openssl genpkey -algorithm ed25519 -out private.pem`";

/// What a file in PEM says it holds.
fn label(pem: &str) -> Option<&str> {
    pem.lines().find_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
}

fn begins(label: Option<&str>) -> String {
    match label {
        Some(label) => format!("holds `{}`", label.escape_debug()),
        None => "has no line `-----BEGIN …-----`".to_owned(),
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}
