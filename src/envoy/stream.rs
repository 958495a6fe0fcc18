//! One per HTTP stream: events to the exchange, its steps to the host.

use super::abi::{self, Action, BufferType, MapType};
use super::dispatch;
use super::host;
use super::metrics::Metrics;
#[cfg(feature = "test-vectors")]
use crate::exchange::Host as _;
use crate::exchange::{Edits, Exchange, Headers, Problem, Step};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

pub(super) struct Stream {
    /// How the host calls it.
    number: u32,
    /// None: the host made a stream before there was a configuration. Nothing passes. It is borrowed for one event at a time, and
    /// never while its step is carried out, for the host may call back then.
    exchange: RefCell<Option<Exchange>>,
    /// Whether the request has trailers. They come before the decision, as the end of the body does.
    request_trailers: Cell<bool>,
    /// Whether a body is being replaced. What the host calls back meanwhile is because it does not take it.
    replacing: Cell<Option<Replacing>>,
    /// Whether the host answered by itself while a body was replaced. Nothing is to be done for this stream any more.
    is_overtaken: Cell<bool>,
    /// The callout whose answer is awaited.
    asked: Cell<Option<u32>>,
    metrics: Rc<Metrics>,
    #[cfg(feature = "test-vectors")]
    takes_vectors: Cell<bool>,
}

/// A body that is being replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replacing {
    /// Its headers are held.
    Held,
    /// Its headers have gone.
    Part,
}

/// Where a step is carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

impl Side {
    const fn headers(self) -> MapType {
        match self {
            Self::Request => MapType::HttpRequestHeaders,
            Self::Response => MapType::HttpResponseHeaders,
        }
    }

    const fn trailers(self) -> MapType {
        match self {
            Self::Request => MapType::HttpRequestTrailers,
            Self::Response => MapType::HttpResponseTrailers,
        }
    }

    const fn body(self) -> BufferType {
        match self {
            Self::Request => BufferType::HttpRequestBody,
            Self::Response => BufferType::HttpResponseBody,
        }
    }
}

impl Stream {
    pub(super) fn new(number: u32, exchange: Option<Exchange>, metrics: Rc<Metrics>) -> Self {
        Self {
            number,
            exchange: RefCell::new(exchange),
            request_trailers: Cell::new(false),
            replacing: Cell::new(None),
            is_overtaken: Cell::new(false),
            asked: Cell::new(None),
            metrics,
            #[cfg(feature = "test-vectors")]
            takes_vectors: Cell::new(false),
        }
    }

    pub(super) fn request_headers(&self, end: bool) -> Action {
        let headers = host::headers(MapType::HttpRequestHeaders);
        #[cfg(feature = "test-trap")]
        #[expect(clippy::panic, reason = "this feature exists to see what a trap does")]
        if headers.has("x-test-trap") {
            panic!("asked to");
        }
        #[cfg(feature = "test-vectors")]
        if headers.has("x-test-vectors") {
            self.takes_vectors.set(true);
            return Action::Pause;
        }
        self.at(Side::Request, |exchange| exchange.request_headers(headers, end, host::now(), &host::Envoy))
    }

    pub(super) fn request_body(&self, size: usize, end: bool) -> Action {
        #[cfg(feature = "test-vectors")]
        if self.takes_vectors.get() {
            return Self::judge_vectors(end);
        }
        self.at(Side::Request, |exchange| exchange.request_body(size, end))
    }

    pub(super) fn request_trailers(&self) -> Action {
        self.request_trailers.set(true);
        self.at_trailers(Side::Request, |exchange| exchange.request_body(0, true))
    }

    pub(super) fn response_headers(&self, end: bool) -> Action {
        #[cfg(feature = "test-vectors")]
        if self.takes_vectors.get() {
            return Action::Continue;
        }
        if let Some(replacing) = self.replacing.get() {
            self.overtake(replacing);
            return Action::Continue;
        }
        self.at(Side::Response, |exchange| {
            let wanted = exchange.wants_response_headers();
            let headers = if wanted { host::headers(MapType::HttpResponseHeaders) } else { Headers::default() };
            exchange.response_headers(&headers, end, host::now(), &host::Envoy)
        })
    }

    pub(super) fn response_body(&self, size: usize, end: bool) -> Action {
        #[cfg(feature = "test-vectors")]
        if self.takes_vectors.get() {
            return Action::Continue;
        }
        self.at(Side::Response, |exchange| exchange.response_body(size, end))
    }

    pub(super) fn response_trailers(&self) -> Action {
        self.at_trailers(Side::Response, Exchange::response_trailers)
    }

    /// The answer to the callout, with a body of `size` bytes.
    pub(super) fn answer(&self, size: usize) {
        self.asked.set(None);
        let answer = host::answer(size);
        let answer = answer.as_ref().map(|(status, body)| (*status, body.as_slice()));
        let Some(step) = self.tell(|exchange| exchange.answered(answer, host::now())) else { return };
        let mut action = self.act(Side::Request, step);
        if self.request_trailers.get() {
            action = self.without_trailers(Side::Request, action);
        }
        if action == Action::Continue {
            let _ = abi::continue_request();
        }
    }

    /// The end.
    pub(super) fn log(&self) {
        if let Some(replacing) = self.replacing.get() {
            self.overtake(replacing);
        }
        let Some(record) = self.tell(|exchange| exchange.sealed_record(host::now(), &host::Envoy)) else { return };
        host::leave_record(&record);
        self.tell(|exchange| {
            let (outcome, reason) = exchange.outcome();
            self.metrics.call(outcome, reason);
            self.metrics.masked(exchange.found());
            self.metrics.masked_in_request(exchange.request_found());
        });
    }

    /// The callout whose answer is awaited.
    pub(super) const fn asked(&self) -> Option<u32> {
        self.asked.get()
    }

    /// Tells the exchange of an event. None: there is no exchange.
    fn tell<T>(&self, event: impl FnOnce(&mut Exchange) -> T) -> Option<T> {
        self.exchange.try_borrow_mut().ok()?.as_mut().map(event)
    }

    /// Carries out what an event leads to, in a callback of its side.
    fn at(&self, side: Side, event: impl FnOnce(&mut Exchange) -> Step) -> Action {
        match self.tell(event) {
            Some(step) => self.act(side, step),
            None => self.withhold(),
        }
    }

    /// The same for trailers.
    fn at_trailers(&self, side: Side, event: impl FnOnce(&mut Exchange) -> Step) -> Action {
        let action = self.at(side, event);
        self.without_trailers(side, action)
    }

    /// Drops the trailers of a message that goes on: nobody looked into them.
    fn without_trailers(&self, side: Side, action: Action) -> Action {
        if action == Action::Continue && !host::drop_trailers(side.trailers()) {
            return self.withhold();
        }
        action
    }

    fn act(&self, side: Side, step: Step) -> Action {
        match step {
            Step::Continue => Action::Continue,
            Step::Hold => Action::Pause,
            Step::Read => {
                let Some(body) = host::body(side.body()) else { return self.withhold() };
                self.at(side, |exchange| match side {
                    Side::Request => exchange.request_whole(&body, host::now(), &host::Envoy),
                    Side::Response => exchange.response_whole(&body),
                })
            }
            Step::Release(edits) => self.release(side, &edits),
            Step::Part { body, goes_on } => {
                if !self.replace(side, &body, Replacing::Part) {
                    return self.withhold();
                }
                if goes_on { Action::Continue } else { Action::Pause }
            }
            Step::Reply(reply) => {
                host::reply(&reply);
                Action::Pause
            }
            Step::CallOut(out) => match host::call_out(&out) {
                Some(token) => {
                    self.asked.set(Some(token));
                    dispatch::wait(token, self.number);
                    Action::Pause
                }
                None => self.at(side, |exchange| exchange.answered(None, host::now())),
            },
        }
    }

    fn release(&self, side: Side, edits: &Edits) -> Action {
        // The filter behind this one holds Envoy's route to it, which is chosen anew after the edits.
        let cluster = self.tell(|exchange| exchange.cluster().map(str::to_owned)).flatten();
        if side == Side::Request && !cluster.is_none_or(|cluster| host::hold_to(&cluster)) {
            return self.withhold();
        }
        if edits.body.as_ref().is_some_and(|body| !self.replace(side, body, Replacing::Held))
            || !host::edit(side.headers(), edits)
        {
            return self.withhold();
        }
        if side == Side::Request
            && let Some(draft) = self.tell(|exchange| exchange.draft())
        {
            host::leave_record(&draft);
        }
        Action::Continue
    }

    /// Puts `body` in the place of what is buffered. False: it must not go on.
    fn replace(&self, side: Side, body: &[u8], replacing: Replacing) -> bool {
        self.replacing.set(Some(replacing));
        let is_replaced = host::replace(side.body(), body);
        self.replacing.set(None);
        is_replaced && !self.is_overtaken.get()
    }

    /// Envoy answers by itself, because its buffer may not hold the body that is being handed over.
    fn overtake(&self, replacing: Replacing) {
        if !self.is_overtaken.replace(true) {
            self.tell(|exchange| exchange.overtaken(replacing == Replacing::Held));
        }
    }

    /// Nothing goes on.
    fn withhold(&self) -> Action {
        // Of a stream that was answered the host wants to hear no more.
        if !self.is_overtaken.get() {
            let reply = self.tell(Exchange::withhold).unwrap_or_else(|| Problem::NotReady.reply(""));
            host::reply(&reply);
        }
        Action::Pause
    }

    /// Answers test vectors with the verdicts that are taken here.
    #[cfg(feature = "test-vectors")]
    fn judge_vectors(end: bool) -> Action {
        if end {
            let vectors = host::body(BufferType::HttpRequestBody).unwrap_or_default();
            let verdicts = crate::caller::vectors::judge(&vectors, host::Envoy.signatures());
            let _ = abi::send_response(200, &[], &verdicts);
        }
        Action::Pause
    }
}
