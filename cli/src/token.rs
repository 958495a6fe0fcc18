//! `rerank-guard token`: whom does a token prove, or why is it refused?

use crate::bundle;
use crate::config;
use crate::explain::now;
use crate::report::{complain, say, say_json, unable};
use crate::{End, Output};
use rerank_guard::caller::{
    Answer, Caller, Callers, IssuerSettings, KeysSettings, NoNativeSignatures, Outcome, Refusal, Settings,
};
use rerank_guard::diagnostic::Flaw;
use rerank_guard::time::Time;
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The plugin configuration, in YAML or JSON, or Envoy's with it inside.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The key set of an issuer whose keys the gateway fetches, as a file: `ISSUER=FILE`, or only the file where one issuer is so.
    #[arg(long, value_name = "[ISSUER=]FILE")]
    jwks: Vec<String>,
    /// When the token is shown, such as 2027-01-31T08:00:00Z; now where it is not said.
    #[arg(long)]
    at: Option<String>,
    /// The file with the token; standard input without it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> End {
    let at = match arguments.at.as_deref().map(Time::parse) {
        None => now(),
        Some(Some(at)) => at,
        Some(None) => return unable("`--at` is no date: write 2027-01-31 or 2027-01-31T08:00:00Z", output),
    };
    let settings = match bundle::read(&arguments.config) {
        Ok((_, document, _)) => match config::only(&document.value) {
            Ok(config) => config.callers,
            Err(why) => return unable(&format!("`{}`: {why}", arguments.config.display()), output),
        },
        Err(refused) => {
            refused.end(&arguments.config, output);
            return End::Unable;
        }
    };
    let in_one_line = |flaws: Vec<Flaw>| flaws.iter().map(|flaw| flaw.what.clone()).collect::<Vec<_>>().join("; ");
    let callers = Callers::new(&settings).map_err(in_one_line);
    let callers = callers.and_then(|mut callers| feed(&mut callers, &settings, &arguments.jwks, at).map(|()| callers));
    let (mut callers, token) = match (callers, read_token(arguments.token_file.as_deref())) {
        (Ok(callers), Ok(token)) => (callers, token),
        (Err(why), _) | (_, Err(why)) => return unable(&why, output),
    };
    match callers.identify(&token, at, &NoNativeSignatures) {
        Ok(caller) => {
            tell(&caller, output);
            End::Well
        }
        Err(Refusal::NoKeysYet { source } | Refusal::KeysStale { source }) => {
            let issuer = settings.issuers.get(source).map_or("", |issuer| issuer.issuer.as_str());
            let why = format!(
                "the gateway fetches the keys of `{issuer}`, and they are not here: save them and name the file with \
                 `--jwks`; of a token that is not proved nothing more is judged"
            );
            unable(&why, output)
        }
        Err(refusal) => {
            let claim = at_fault(refusal);
            match output {
                Output::Text => {
                    let claim = claim.map(|claim| format!("\nclaim     {claim}")).unwrap_or_default();
                    say(&format!("refused   {}\nwhy       {refusal}{claim}\n", refusal.reason().as_str()));
                }
                Output::Json => {
                    say_json(
                        &json!({"ok": false, "refused": refusal.reason().as_str(), "why": refusal.to_string(), "claim": claim}),
                    );
                }
            }
            End::Found
        }
    }
}

/// The bytes as they would stand behind `Bearer `. Whoever copies a whole header copies that too.
fn read_token(file: Option<&Path>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    match file {
        Some(path) => {
            bytes = std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        }
        None => {
            std::io::stdin()
                .lock()
                .read_to_end(&mut bytes)
                .map_err(|error| format!("cannot read the token: {error}"))?;
        }
    }
    let token = bytes.trim_ascii();
    let scheme = token.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    let token = if scheme.is_some() { token.get(7..).unwrap_or_default() } else { token };
    if token.is_empty() { Err("there is no token to read".to_owned()) } else { Ok(token.to_vec()) }
}

/// Answers the fetches of keys from files, as the cluster would.
fn feed(callers: &mut Callers, settings: &Settings, files: &[String], at: Time) -> Result<(), String> {
    let fetching = |issuer: &&IssuerSettings| !matches!(issuer.keys, KeysSettings::Inline(_));
    let fetching: Vec<&str> = settings.issuers.iter().filter(fetching).map(|issuer| issuer.issuer.as_str()).collect();
    let mut sets: Vec<(&str, &str, Vec<u8>)> = Vec::new();
    for file in files {
        let named = fetching.iter().find_map(|issuer| Some((*issuer, file.strip_prefix(issuer)?.strip_prefix('=')?)));
        let (issuer, path) = match (named, fetching.as_slice()) {
            (Some(named), _) => named,
            (None, [only]) => (*only, file.as_str()),
            (None, []) => return Err("`--jwks`: this configuration has all keys inline".to_owned()),
            (None, all) => {
                return Err(format!("`--jwks`: write `ISSUER=FILE`; these fetch keys: {}", all.join(", ")));
            }
        };
        let set = std::fs::read(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
        sets.push((issuer, path, set));
    }
    // A discovery document first, then the keys.
    for is_first in [true, false] {
        for fetch in callers.due(at) {
            let Some(issuer) = settings.issuers.get(fetch.source) else { continue };
            let Some((_, path, set)) = sets.iter().find(|(name, ..)| *name == issuer.issuer) else { continue };
            let document = discovery(issuer).filter(|_| is_first);
            let body = document.as_deref().map_or(set.as_slice(), str::as_bytes);
            match callers.fetched(fetch.source, Answer::Http { status: 200, body }, at, 0).outcome {
                Outcome::Kept(problem) => return Err(format!("`{path}`: {problem}")),
                Outcome::Replaced { left_out, .. } => {
                    for one in left_out {
                        complain(&format!("`{path}`: keys[{}] is left out: {}", one.position, one.problem));
                    }
                }
                Outcome::Unchanged | Outcome::Discovered | Outcome::Unasked => {}
            }
        }
    }
    Ok(())
}

/// A discovery document that leads to where the configuration says the keys may be.
fn discovery(issuer: &IssuerSettings) -> Option<String> {
    let KeysSettings::Discovery(settings) = &issuer.keys else { return None };
    let authority = settings.keys_at.as_ref().map_or(&settings.authority, |host| &host.authority);
    Some(json!({"issuer": issuer.issuer, "jwks_uri": format!("https://{authority}/keys")}).to_string())
}

fn tell(caller: &Caller, output: Output) {
    let algorithm = caller.algorithm().map(|algorithm| algorithm.to_string());
    let claims: Vec<&str> = caller.claims().keys().map(String::as_str).collect();
    match output {
        Output::Json => say_json(&json!({"ok": true, "issuer": caller.issuer(), "subject": caller.subject(),
            "groups": caller.groups(), "proof": caller.proof().name(), "key_id": caller.key_id(), "algorithm": algorithm,
            "expires": caller.expires(), "claims": claims})),
        Output::Text => {
            let none = || "none".to_owned();
            let lines = [
                ("issuer", caller.issuer().to_owned()),
                ("subject", caller.subject().to_owned()),
                ("groups", caller.groups().join(", ")),
                ("proof", caller.proof().name().to_owned()),
                ("key id", caller.key_id().map_or_else(none, str::to_owned)),
                ("algorithm", algorithm.unwrap_or_else(none)),
                ("expires", caller.expires().map_or_else(none, |expires| expires.to_string())),
                ("claims", claims.join(", ")),
            ];
            say(&lines.map(|(name, value)| format!("{name:<9} {}\n", printable(&value))).concat());
        }
    }
}

/// A token may say anything, to a terminal too.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// The claim or header member that a refusal is about, where it is about one.
const fn at_fault(refusal: Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::HeaderForbids(name) | Refusal::ClaimMissing(name) | Refusal::ClaimMalformed(name) => Some(name),
        Refusal::AlgorithmNotAllowed | Refusal::KeyMismatch => Some("alg"),
        Refusal::WrongType => Some("typ"),
        Refusal::UnknownKey { .. } | Refusal::KeyIdMissing => Some("kid"),
        Refusal::IssuerMissing | Refusal::UnknownIssuer => Some("iss"),
        Refusal::AudienceMissing | Refusal::WrongAudience => Some("aud"),
        Refusal::ExpiryMissing | Refusal::Expired | Refusal::LifetimeTooLong => Some("exp"),
        Refusal::NotYetValid => Some("nbf"),
        Refusal::IssuedInFuture => Some("iat"),
        Refusal::SubjectMissing => Some("sub"),
        Refusal::Bound
        | Refusal::CertificateMissing
        | Refusal::SentAsBearer
        | Refusal::WrongHolder
        | Refusal::NotBound => Some("cnf"),
        Refusal::GroupsMissing | Refusal::GroupsElsewhere | Refusal::GroupsMalformed | Refusal::GroupsClash => {
            Some("groups")
        }
        // About the whole token, its signature, or how it was sent.
        _ => None,
    }
}
