//! What all calls of one VM share: the configuration, the secrets, the keys, the chain of records.

use super::bundles::{InForce, Role, Slot, Supplied};
use super::events::{Event, Queue};
use super::facts::Texts;
use super::held::Budget;
use super::reason::{ApprovalReason, BundleEvent, RequestReason};
use super::reply::Problem;
use super::{Headers, Host, Refused, refused};
use crate::audit::{Chain, KeyedDigest, keyed_digest};
use crate::caller::{
    Answer, Caller, Callers, Connection, Dpop, Fetch, Fetched, Found, Peer, Presented, Proof, Refusal, Shown, Target,
};
use crate::config::Config;
use crate::credential::Credentials;
use crate::mask::{Kind, Masks, Rule, mask_text};
use crate::origin::Authority;
use crate::policy::{Decision, Policy, fetched};
use crate::shared::{Namespace, SharedMemory, Within};
use crate::time::{Span, Time};
use crate::visible::visible;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

/// One plugin instance in one VM. The configuration never changes; a new one makes a new guard, and calls that are under way keep
/// the old. Bundles that are fetched do change: a call takes the one in force and keeps it.
pub struct Guard {
    pub(crate) config: Config,
    pub(crate) credentials: Credentials,
    digest_key: Option<String>,
    pseudonym_keys: Vec<(String, String)>,
    token_headers: Vec<String>,
    chain: RefCell<Chain>,
    namespace: Namespace,
    bundle: RefCell<Slot>,
    shadow: RefCell<Slot>,
    /// What finds the kinds of personal data that rules last asked for.
    finding: RefCell<Option<(BTreeSet<Kind>, Rc<Masks>)>>,
    events: RefCell<Queue>,
    pub(super) budget: Rc<Budget>,
    /// Routes whose calls Envoy sent elsewhere, and when it last did.
    astray: RefCell<BTreeMap<usize, Time>>,
}

/// Shows no secret.
impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guard").field("gateway", &self.config.gateway).finish_non_exhaustive()
    }
}

/// Why a sound configuration still cannot serve here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready(String);

impl fmt::Display for Unready {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Unready {}

/// How long no call goes upstream on a route after one was led elsewhere.
const CLOSED: Span = Span::from_secs(60);

impl Guard {
    /// Takes the secrets from `environment`; `random` names the chain of records.
    ///
    /// # Errors
    /// A secret that is missing or unsound, in one line that says where it is named and quotes no secret.
    pub fn new(mut config: Config, environment: &dyn Fn(&str) -> Option<String>, random: u64) -> Result<Self, Unready> {
        let credentials =
            Credentials::resolve(&config.credentials, environment).map_err(|unusable| Unready(unusable.to_string()))?;
        let digest_key = match &config.audit.digest_key_env {
            None => None,
            Some(name) => Some(environment(name).filter(|key| key.len() >= 16).ok_or_else(|| {
                Unready(format!(
                    "audit.digest_key_env: set `{name}` to at least 16 characters and list it in `host_env_keys`"
                ))
            })?),
        };
        let mut pseudonym_keys = Vec::new();
        for (name, key) in &config.pseudonym_keys {
            let secret = environment(&key.env).filter(|secret| secret.len() >= 32).ok_or_else(|| {
                let env = &key.env;
                Unready(format!(
                    "pseudonym_keys.{name}.env: set `{env}` to at least 32 characters and list it in `host_env_keys`"
                ))
            })?;
            pseudonym_keys.push((name.clone(), secret));
        }
        Ok(Self {
            chain: RefCell::new(Chain::new(&config.gateway, random)),
            token_headers: config.proving.get_mut().credential_headers().map(str::to_owned).collect(),
            namespace: Namespace::of(&config.gateway),
            bundle: RefCell::new(Slot::new(Role::Enforced, std::mem::take(&mut config.bundle))),
            shadow: RefCell::new(Slot::new(Role::Shadow, std::mem::take(&mut config.shadow))),
            finding: RefCell::default(),
            events: RefCell::default(),
            budget: Rc::new(Budget::new(&config.limits)),
            astray: RefCell::default(),
            config,
            credentials,
            digest_key,
            pseudonym_keys,
        })
    }

    /// Which key sets to fetch now.
    pub fn due(&self, now: Time) -> Vec<Fetch> {
        self.config.proving.try_borrow_mut().map(|mut callers| callers.due(now)).unwrap_or_default()
    }

    /// A key set's answer.
    pub fn fetched(&self, source: usize, answer: Answer<'_>, now: Time, random: u64) -> Option<Fetched> {
        self.config.proving.try_borrow_mut().ok().map(|mut callers| callers.fetched(source, answer, now, random))
    }

    /// Which bundles to fetch now.
    pub fn due_bundles(&self, now: Time, host: &dyn Host) -> Vec<(Role, fetched::Fetch)> {
        let memory = self.memory(host);
        let due = |role: Role| Some((role, self.slot(role).try_borrow_mut().ok()?.due(&memory, now)?));
        [Role::Enforced, Role::Shadow].into_iter().filter_map(due).collect()
    }

    /// The largest answer to a fetch of a bundle that is to be read, in bytes.
    pub fn most_of_a_bundle(&self, role: Role) -> usize {
        self.slot(role).try_borrow().map_or(0, |slot| slot.max_bytes())
    }

    /// A bundle's answer: a better bundle is in force from here on, for calls that come to be decided; a worse one is not taken.
    pub fn bundle_answered(
        &self,
        role: Role,
        answer: fetched::Answer<'_>,
        now: Time,
        random: u64,
        host: &dyn Host,
    ) -> Supplied {
        let Ok(mut slot) = self.slot(role).try_borrow_mut() else {
            return Supplied::new(BundleEvent::Unasked, None, None);
        };
        let (supplied, event) =
            slot.answered(answer, &|policy| self.unfit(role, policy), &self.memory(host), now, random);
        self.remember(event);
        supplied
    }

    /// Follows the other workers of the process: a better bundle that one of them took is in force here too. Calls follow them
    /// as well; what came of it is told here.
    pub fn follow(&self, now: Time, host: &dyn Host) -> Vec<(Role, Supplied)> {
        let mut all = Vec::new();
        for role in [Role::Enforced, Role::Shadow] {
            let Ok(mut slot) = self.slot(role).try_borrow_mut() else { continue };
            slot.follow(&|policy| self.unfit(role, policy), &self.memory(host), now);
            self.remember(slot.events());
            all.extend(slot.told().into_iter().map(|supplied| (role, supplied)));
        }
        all
    }

    /// What a bundle asks for that cannot be done here. What is only looked at is never carried out.
    fn unfit(&self, role: Role, policy: &Policy) -> Vec<String> {
        if role == Role::Shadow { Vec::new() } else { self.config.unfit(policy) }
    }

    fn remember(&self, new: impl IntoIterator<Item = Event>) {
        for event in new {
            if let Ok(mut events) = self.events.try_borrow_mut() {
                events.push(event);
            }
        }
    }

    const fn slot(&self, role: Role) -> &RefCell<Slot> {
        match role {
            Role::Enforced => &self.bundle,
            Role::Shadow => &self.shadow,
        }
    }

    /// The bundle to judge a call by now.
    pub(super) fn bundle(&self, now: Time, host: &dyn Host) -> Result<Rc<InForce>, Refused> {
        let Ok(mut slot) = self.bundle.try_borrow_mut() else {
            return Err(refused(Problem::NotReady, RequestReason::Undecidable));
        };
        let in_force = slot.now(&|policy| self.unfit(Role::Enforced, policy), &self.memory(host), now);
        self.remember(slot.events());
        in_force.map_err(|reason| refused(Problem::NotReady, reason))
    }

    /// The bundle to name in the record of a call that was not judged.
    pub(super) fn latest_bundle(&self) -> Option<Rc<InForce>> {
        self.bundle.try_borrow().ok()?.latest().cloned()
    }

    /// Whether calls are to be counted: the bundle, or the one that is only asked, wants to know.
    pub(super) fn counts_calls(&self, bundle: &InForce) -> bool {
        bundle.policy.counts_calls() || self.shadow_asks(Policy::counts_calls)
    }

    /// Whether uses are to be remembered, likewise.
    pub(super) fn remembers_uses(&self, bundle: &InForce) -> bool {
        bundle.policy.remembers_uses() || self.shadow_asks(Policy::remembers_uses)
    }

    fn shadow_asks(&self, what: fn(&Policy) -> bool) -> bool {
        self.shadow.try_borrow().is_ok_and(|shadow| shadow.latest().is_some_and(|bundle| what(&bundle.policy)))
    }

    /// The bundle that is only asked, if there is one.
    pub(super) fn shadow(&self, host: &dyn Host, now: Time) -> Option<Rc<InForce>> {
        let mut slot = self.shadow.try_borrow_mut().ok()?;
        let shadow = slot.newest(&self.memory(host), now);
        self.remember(slot.events());
        shadow
    }

    /// How to read the texts of a call once for all that the bundles ask about them.
    pub(super) fn texts<'b>(&self, bundle: &'b InForce, shadow: Option<&'b InForce>) -> Texts<'b> {
        let sought = [Some(bundle.policy.sought()), shadow.map(|shadow| shadow.policy.sought())];
        let kinds: BTreeSet<Kind> = sought.iter().flatten().flat_map(|sought| sought.kinds.iter().copied()).collect();
        Texts::new(sought, if kinds.is_empty() { None } else { self.finding(kinds) })
    }

    /// Finds these kinds. None: it cannot be told what stands in a text, which counts towards the stricter side.
    fn finding(&self, kinds: BTreeSet<Kind>) -> Option<Rc<Masks>> {
        let mut known = self.finding.try_borrow_mut().ok()?;
        if let Some((_, masks)) = known.as_ref().filter(|(known, _)| *known == kinds) {
            return Some(masks.clone());
        }
        let rule = Rule::detecting(&kinds.iter().copied().collect::<Vec<_>>(), "[{kind}]");
        let masks = Rc::new(Masks::compile(&[("signals", &rule)]).ok()?);
        *known = Some((kinds, masks.clone()));
        Some(masks)
    }

    /// The caller, and when the proof of possession ends that was shown with a token, if one was.
    pub(super) fn identify(
        &self,
        headers: &Headers,
        authority: &Authority,
        now: Time,
        host: &dyn Host,
    ) -> Result<(Rc<Caller>, Option<Time>), Refused> {
        let Ok(mut callers) = self.config.proving.try_borrow_mut() else {
            return Err(refused(Problem::NotReady, RequestReason::Undecidable));
        };
        let found = callers.find(|name| headers.values(name).into_iter());
        let is_dpop = found.is_ok_and(|found| found.is_dpop);
        let caller = match found {
            Ok(found) => {
                let path = headers.one(":path").unwrap_or_default();
                let target = Target { origins: &self.config.origins, authority, path };
                identify_sender(&mut callers, found, headers, target, now, host, &self.memory(host))
            }
            Err(Refusal::NoToken) if callers.accepts_peers() => match host.certificate() {
                Some(shown) => callers
                    .identify_peer(&Peer {
                        uri: shown.uri.as_deref(),
                        dns: shown.dns.as_deref(),
                        certificate: shown.sha256,
                        route: host.route().as_deref(),
                    })
                    .map(|caller| (caller, None)),
                None => Err(Refusal::NoToken),
            },
            Err(refusal) => Err(refusal),
        };
        caller.map_err(|refusal| unproved(&callers, refusal, is_dpop))
    }

    /// Whether what proved a caller still does: bodies take their time to come, and people theirs to answer.
    pub(super) fn check_still_valid(
        &self,
        caller: &Caller,
        proof_ends: Option<Time>,
        now: Time,
    ) -> Result<(), Refused> {
        let Ok(mut callers) = self.config.proving.try_borrow_mut() else {
            return Err(refused(Problem::NotReady, RequestReason::Undecidable));
        };
        let still = callers.check_still_valid(caller, proof_ends, now);
        still.map_err(|refusal| unproved(&callers, refusal, caller.proof() == Proof::BoundToKey))
    }

    /// Whether the configuration lets a request header go upstream.
    pub(super) fn sends(&self, name: &str) -> bool {
        self.config.request_headers.iter().any(|sent| sent == name)
            && !self.token_headers.iter().any(|held| held == name)
    }

    /// The route that `path` fits, and the path's named segments.
    pub(super) fn route(&self, path: &str) -> Option<(usize, Vec<(String, String)>)> {
        self.config.routes.iter().enumerate().find_map(|(at, route)| {
            let named = route.template.fit(path)?;
            Some((at, named.into_iter().map(|(name, part)| (name.to_owned(), part.to_owned())).collect()))
        })
    }

    /// Whether a request to `authority` is one to this gateway.
    pub(super) fn is_reached_at(&self, authority: &Authority) -> bool {
        self.config.origins.iter().any(|origin| origin.fits(authority))
    }

    /// Whether a request to `authority` is one for this route. None: the route is for whatever callers call it, and says itself what
    /// the upstream is called.
    pub(super) fn is_addressed(&self, route: usize, authority: &Authority) -> Option<bool> {
        let Some(route) = self.config.routes.get(route) else { return Some(false) };
        match (route.authorities.is_empty(), self.config.origins.is_empty()) {
            (false, _) => Some(route.authorities.iter().any(|named| named.fits(authority))),
            (true, false) => Some(self.is_reached_at(authority)),
            (true, true) => route.host.is_none().then_some(false),
        }
    }

    /// Envoy sent a call of this route elsewhere: no other goes the same way for a while.
    pub(super) fn close(&self, route: usize, now: Time) {
        if let Ok(mut astray) = self.astray.try_borrow_mut() {
            astray.insert(route, now);
        }
    }

    /// Whether a call of this route went elsewhere lately.
    pub(super) fn is_closed(&self, route: usize, now: Time) -> bool {
        self.astray.try_borrow().map_or(true, |astray| astray.get(&route).is_some_and(|went| now.since(*went) < CLOSED))
    }

    pub(super) fn passes(&self, method: &str, path: &str) -> bool {
        self.config.pass.iter().any(|pass| pass.method == method && pass.template.fit(path).is_some())
    }

    /// The union of a bundle's masks of these names. None: a name that the bundle does not have.
    pub(super) fn masks(&self, bundle: &InForce, names: &[Rc<str>]) -> Option<Rc<Masks>> {
        let keys: Vec<_> = self.pseudonym_keys.iter().map(|(name, key)| (name.as_str(), key.as_bytes())).collect();
        bundle.masks(names, &keys)
    }

    /// The query as an approver may see it: masked for every kind, cut to 512 bytes, and with whatever cannot be seen written out.
    /// Nothing where that fails.
    pub(super) fn preview(&self, query: &str) -> String {
        self.masked(query).map(|text| visible(cut(&text, 512)).into_owned()).unwrap_or_default()
    }

    /// What a caller chose (a name, an id, a host), as records and approvers may see it: masked for every kind, and cut to 256
    /// bytes. `*` where that fails.
    pub(super) fn shown(&self, text: &str) -> String {
        self.masked(text).map_or_else(|| "*".to_owned(), |text| cut(&text, 256).to_owned())
    }

    /// A text masked for every kind. None: it cannot be.
    fn masked<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        let (new, _) = mask_text(text.as_bytes(), &self.config.every_mask, &[]).ok()?.into_parts();
        match new {
            None => Some(Cow::Borrowed(text)),
            Some(new) => String::from_utf8(new).ok().map(Cow::Owned),
        }
    }

    /// Who a caller is as a person, where a claim names people and the decision asks people. Nobody is asked for a caller whose
    /// own approval could not be told from another's.
    pub(super) fn person<'a>(&self, caller: &'a Caller, decision: &Decision) -> Result<Option<&'a str>, Refused> {
        match &self.config.approver {
            Some(approver) if !decision.approvals.is_empty() => {
                approver.person(caller).map_err(|_| refused(Problem::Forbidden, ApprovalReason::CallerUnnamed))
            }
            _ => Ok(None),
        }
    }

    /// The part of the memory of all workers that is this gateway's.
    pub(super) fn memory<'a>(&'a self, host: &'a dyn Host) -> Within<'a> {
        self.namespace.within(host.shared())
    }

    /// As [`content_digest`](Self::content_digest), of content that comes in parts.
    pub(super) fn stream_digest(&self) -> Option<KeyedDigest> {
        self.digest_key.as_ref().and_then(|key| KeyedDigest::new(key.as_bytes()))
    }

    /// A digest of content for the record: keyed, because the plain hash of a short query can be guessed. None without a key.
    pub(super) fn content_digest(&self, content: &[u8]) -> Option<String> {
        self.digest_key.as_ref().and_then(|key| keyed_digest(key.as_bytes(), content))
    }

    /// The records that are due: of what happened to bundles since the call before, and of this call (`record` is its own, but for
    /// the closing brace); links of the VM's chain, with commas between them.
    pub(super) fn seal(&self, mut record: String) -> String {
        let (Ok(mut chain), Ok(mut events)) = (self.chain.try_borrow_mut(), self.events.try_borrow_mut()) else {
            // Cannot be: the shell handles one event at a time. A record without its link would show as an edit.
            record.push('}');
            return record;
        };
        let mut records = String::new();
        for event in events.drain(&self.config.gateway) {
            records.push_str(&chain.seal(&event));
            records.push(',');
        }
        let record = chain.close(record);
        if records.is_empty() { record } else { records + &record }
    }
}

/// The beginning of a text, in whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// What whoever proves nothing is told.
fn unproved(callers: &Callers, refusal: Refusal, is_dpop: bool) -> Refused {
    let problem = if refusal.is_temporary() {
        Problem::NotReady
    } else {
        Problem::Unauthenticated(callers.challenge(refusal, is_dpop))
    };
    refused(problem, refusal.reason())
}

/// Who sends the token that was found. The connection is asked only where the token or its signature makes it matter.
fn identify_sender(
    callers: &mut Callers,
    found: Found<'_>,
    headers: &Headers,
    target: Target<'_>,
    now: Time,
    host: &dyn Host,
    memory: &dyn SharedMemory,
) -> Result<(Rc<Caller>, Option<Time>), Refusal> {
    let dpop = match headers.values("dpop").as_slice() {
        [] => Shown::Nothing,
        [proof] => Shown::One(Dpop { proof, method: headers.one(":method").unwrap_or_default(), target }),
        _ => Shown::Several,
    };
    let presented = Presented { token: found.token, is_dpop: found.is_dpop, dpop, connection: &Sender(host) };
    callers.identify_for_now(&presented, now, host.signatures(), memory)
}

/// The connection of a request, as the host knows it.
struct Sender<'a>(&'a dyn Host);

impl Connection for Sender<'_> {
    fn source(&self) -> Option<Vec<u8>> {
        self.0.source()
    }

    fn certificate(&self) -> Option<[u8; 32]> {
        self.0.certificate().map(|certificate| certificate.sha256)
    }
}
