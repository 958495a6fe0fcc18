//! One per plugin instance and VM: reads the configuration, fetches keys and bundles, makes streams.

use super::abi::{self, BufferType};
use super::dispatch;
use super::host;
use super::metrics::Metrics;
use super::stream::Stream;
use crate::caller::{Answer, KeyEvent, Outcome};
use crate::config::{Config, embedded_bundle};
use crate::exchange::{Exchange, Guard, Role, Supplied};
use crate::policy::FetchReason;
use crate::policy::fetched;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// How often it is looked whether keys or bundles are due.
const TICK: Duration = Duration::from_millis(250);

pub(super) struct Root {
    /// How the host calls it.
    number: u32,
    guard: RefCell<Option<Rc<Guard>>>,
    metrics: Rc<Metrics>,
    /// Callouts under way, by token.
    fetches: RefCell<HashMap<u32, Fetching>>,
}

/// What a callout is to bring.
#[derive(Clone, Copy)]
enum Fetching {
    /// The keys of the source of this number.
    Keys(usize),
    /// The bundle for this.
    Bundle(Role),
}

impl Root {
    pub(super) fn new(number: u32) -> Self {
        Self { number, guard: RefCell::default(), metrics: Rc::default(), fetches: RefCell::default() }
    }

    /// A pure function of the configuration's bytes and the environment, so that every worker's VM answers as the first did.
    pub(super) fn configure(&self) -> bool {
        let Some(json) = host::body(BufferType::PluginConfiguration) else {
            log::error!("rerank-guard: no configuration");
            return false;
        };
        let config = match Config::read(&json, embedded_bundle()) {
            Ok(config) => config,
            Err(flaws) => {
                for flaw in flaws {
                    log::error!("rerank-guard: configuration: {flaw}");
                }
                return false;
            }
        };
        match Guard::new(config, &|name| std::env::var(name).ok(), host::random()) {
            Ok(guard) => drop(self.guard.replace(Some(Rc::new(guard)))),
            Err(unready) => {
                log::error!("rerank-guard: {unready}");
                return false;
            }
        }
        // Callouts cannot be sent from here; the first tick sends them.
        abi::set_tick_period(Duration::from_millis(1)).is_ok()
    }

    pub(super) fn tick(&self) {
        self.follow();
        self.fetch_what_is_due();
        let _ = abi::set_tick_period(TICK);
    }

    /// A stream that begins under this configuration.
    pub(super) fn stream(&self, number: u32) -> Stream {
        let exchange = self.guard().map(|guard| Exchange::new(guard, host::decision_id(), host::now()));
        Stream::new(number, exchange, self.metrics.clone())
    }

    fn guard(&self) -> Option<Rc<Guard>> {
        self.guard.try_borrow().ok()?.clone()
    }

    /// The answer to a callout of this token.
    pub(super) fn answer(&self, token: u32, body_size: usize) {
        let fetching = self.fetches.try_borrow_mut().ok().and_then(|mut fetches| fetches.remove(&token));
        match fetching {
            None => {}
            Some(Fetching::Keys(source)) => match host::answer(body_size) {
                Some((status, body)) => self.fetched(source, Answer::Http { status, body: &body }),
                None => self.fetched(source, Answer::Failed),
            },
            Some(Fetching::Bundle(role)) => {
                let most = self.guard().map_or(0, |guard| guard.most_of_a_bundle(role));
                let answer = host::answer_of(body_size, most);
                self.supplied(
                    role,
                    match &answer {
                        None => fetched::Answer::Failed,
                        Some(host::Answer { body: None, .. }) => fetched::Answer::TooLarge,
                        Some(host::Answer { status, tag, body: Some(body) }) => {
                            fetched::Answer::Http { status: *status, tag: tag.as_deref(), body }
                        }
                    },
                );
            }
        }
        // Where the keys stand may just have been discovered: then they are due now.
        self.fetch_what_is_due();
    }

    fn fetch_what_is_due(&self) {
        let Some(guard) = self.guard() else { return };
        for fetch in guard.due(host::now()) {
            match host::get(&fetch.cluster, &fetch.authority, &fetch.path, None, fetch.timeout.duration()) {
                Some(token) => self.wait(token, Fetching::Keys(fetch.source)),
                None => self.fetched(fetch.source, Answer::Failed),
            }
        }
        for (role, fetch) in guard.due_bundles(host::now(), &host::Envoy) {
            let fetched::Fetch { cluster, authority, path, tag, timeout } = &fetch;
            match host::get(cluster, authority, path, tag.as_deref(), timeout.duration()) {
                Some(token) => self.wait(token, Fetching::Bundle(role)),
                None => self.supplied(role, fetched::Answer::Failed),
            }
        }
    }

    fn wait(&self, token: u32, fetching: Fetching) {
        if let Ok(mut fetches) = self.fetches.try_borrow_mut() {
            fetches.insert(token, fetching);
            dispatch::wait(token, self.number);
        }
    }

    fn supplied(&self, role: Role, answer: fetched::Answer<'_>) {
        let Some(guard) = self.guard() else { return };
        let supplied = guard.bundle_answered(role, answer, host::now(), host::random(), &host::Envoy);
        self.tell(role, supplied);
    }

    /// Takes the bundles that other workers have taken.
    fn follow(&self) {
        let Some(guard) = self.guard() else { return };
        for (role, supplied) in guard.follow(host::now(), &host::Envoy) {
            self.tell(role, supplied);
        }
    }

    fn tell(&self, role: Role, supplied: Supplied) {
        let reason = supplied.reason.map_or("ok", FetchReason::as_str);
        self.metrics.bundle(role.as_str(), supplied.event, reason);
        match supplied.line {
            Some((true, line)) => log::warn!("rerank-guard: {line}"),
            Some((false, line)) => log::info!("rerank-guard: {line}"),
            None => {}
        }
    }

    fn fetched(&self, source: usize, answer: Answer<'_>) {
        let Some(guard) = self.guard() else { return };
        let Some(fetched) = guard.fetched(source, answer, host::now(), host::random()) else { return };
        let issuer = fetched.issuer.as_deref().unwrap_or_default();
        self.metrics.keys(match fetched.outcome {
            Outcome::Replaced { keys, left_out } => {
                log::info!("rerank-guard: keys of `{issuer}`: {keys} usable, {} left out", left_out.len());
                for one in left_out {
                    log::warn!("rerank-guard: keys of `{issuer}`: keys[{}] left out: {}", one.position, one.problem);
                }
                KeyEvent::Replaced
            }
            Outcome::Unchanged => KeyEvent::Unchanged,
            Outcome::Discovered => KeyEvent::Discovered,
            Outcome::Kept(problem) => {
                log::warn!("rerank-guard: keys of `{issuer}`: {problem}; those already here stay");
                KeyEvent::Failed
            }
            Outcome::Unasked => KeyEvent::Unasked,
        });
    }
}
