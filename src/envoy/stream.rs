//! One per HTTP stream: events to the exchange, its steps to the host.

use super::host;
use super::metrics::Metrics;
#[cfg(feature = "test-vectors")]
use crate::exchange::Host as _;
use crate::exchange::{Exchange, Headers, Problem, Step};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};
use std::rc::Rc;

pub(super) struct Stream {
    /// None: the host made a stream before there was a configuration. Nothing passes.
    exchange: Option<Exchange>,
    /// Whether the request has trailers. They come before the decision, as the end of the body does.
    request_trailers: bool,
    metrics: Rc<Metrics>,
    #[cfg(feature = "test-vectors")]
    takes_vectors: bool,
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
    pub(super) fn new(exchange: Option<Exchange>, metrics: Rc<Metrics>) -> Self {
        Self {
            exchange,
            request_trailers: false,
            metrics,
            #[cfg(feature = "test-vectors")]
            takes_vectors: false,
        }
    }

    /// Carries out a step in a callback of its side.
    fn act(&mut self, side: Side, step: Step) -> Action {
        match step {
            Step::Continue => Action::Continue,
            Step::Hold => Action::Pause,
            Step::Read => {
                let Some(body) = host::body(side.body()) else { return self.withhold() };
                let Some(exchange) = &mut self.exchange else { return self.withhold() };
                let step = match side {
                    Side::Request => exchange.request_whole(&body, host::now(), &host::Envoy),
                    Side::Response => exchange.response_whole(&body),
                };
                self.act(side, step)
            }
            Step::Release(edits) => {
                let cluster = self.exchange.as_ref().and_then(Exchange::cluster);
                if side == Side::Request && !cluster.is_none_or(host::hold_to) {
                    return self.withhold();
                }
                if !host::edit(side.headers(), side.body(), &edits) {
                    return self.withhold();
                }
                if side == Side::Request
                    && let Some(exchange) = &self.exchange
                {
                    host::leave_record(&exchange.draft());
                }
                Action::Continue
            }
            Step::Part { body, goes_on } => {
                if !host::replace(side.body(), &body) {
                    return self.withhold();
                }
                if goes_on { Action::Continue } else { Action::Pause }
            }
            Step::Reply(reply) => {
                host::reply(&reply);
                Action::Pause
            }
            Step::CallOut(out) => match host::call_out(&out) {
                Some(_) => Action::Pause,
                None => {
                    let Some(exchange) = &mut self.exchange else { return self.withhold() };
                    let step = exchange.answered(None, host::now(), &host::Envoy);
                    self.act(side, step)
                }
            },
        }
    }

    /// Answers test vectors with the verdicts that are taken here.
    #[cfg(feature = "test-vectors")]
    fn judge_vectors(end: bool) -> Action {
        if end {
            let vectors = host::body(BufferType::HttpRequestBody).unwrap_or_default();
            let verdicts = crate::caller::vectors::judge(&vectors, host::Envoy.signatures());
            let _ = hostcalls::send_http_response(200, Vec::new(), Some(&verdicts));
        }
        Action::Pause
    }

    /// Nothing goes on.
    fn withhold(&mut self) -> Action {
        let reply = match &mut self.exchange {
            Some(exchange) => exchange.withhold(),
            None => Problem::NotReady.reply(""),
        };
        host::reply(&reply);
        Action::Pause
    }

    fn at(&mut self, side: Side, event: impl FnOnce(&mut Exchange) -> Step) -> Action {
        let Some(exchange) = &mut self.exchange else { return self.withhold() };
        let step = event(exchange);
        self.act(side, step)
    }

    /// The same for trailers.
    fn at_trailers(&mut self, side: Side, event: impl FnOnce(&mut Exchange) -> Step) -> Action {
        let action = self.at(side, event);
        self.without_trailers(side, action)
    }

    /// Drops the trailers of a message that goes on: nobody looked into them.
    fn without_trailers(&mut self, side: Side, action: Action) -> Action {
        if matches!(action, Action::Continue) && !host::drop_trailers(side.trailers()) {
            return self.withhold();
        }
        action
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let headers = host::headers(MapType::HttpRequestHeaders);
        #[cfg(feature = "test-trap")]
        #[expect(clippy::panic, reason = "this feature exists to see what a trap does")]
        if headers.has("x-test-trap") {
            panic!("asked to");
        }
        #[cfg(feature = "test-vectors")]
        if headers.has("x-test-vectors") {
            self.takes_vectors = true;
            return Action::Pause;
        }
        self.at(Side::Request, |exchange| exchange.request_headers(headers, end, host::now(), &host::Envoy))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        #[cfg(feature = "test-vectors")]
        if self.takes_vectors {
            return Self::judge_vectors(end);
        }
        self.at(Side::Request, |exchange| exchange.request_body(size, end))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.request_trailers = true;
        self.at_trailers(Side::Request, |exchange| exchange.request_body(0, true))
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        #[cfg(feature = "test-vectors")]
        if self.takes_vectors {
            return Action::Continue;
        }
        self.at(Side::Response, |exchange| {
            if exchange.is_sent()
                && let Some(step) = exchange.answered_by(host::now(), &host::Envoy)
            {
                return step;
            }
            let wanted = exchange.wants_response_headers();
            let headers = if wanted { host::headers(MapType::HttpResponseHeaders) } else { Headers::default() };
            exchange.response_headers(&headers, end, host::now())
        })
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        #[cfg(feature = "test-vectors")]
        if self.takes_vectors {
            return Action::Continue;
        }
        self.at(Side::Response, |exchange| exchange.response_body(size, end))
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.at_trailers(Side::Response, Exchange::response_trailers)
    }

    fn on_log(&mut self) {
        let Some(exchange) = &mut self.exchange else { return };
        host::leave_record(&exchange.sealed_record(host::now()));
        let (outcome, reason) = exchange.outcome();
        self.metrics.call(outcome, reason);
        self.metrics.masked(exchange.found());
        self.metrics.masked_in_request(exchange.request_found());
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, _: usize, body_size: usize, _: usize) {
        let answer = host::answer(body_size);
        let Some(exchange) = &mut self.exchange else { return };
        let answer = answer.as_ref().map(|(status, body)| (*status, body.as_slice()));
        let step = exchange.answered(answer, host::now(), &host::Envoy);
        let mut action = self.act(Side::Request, step);
        if self.request_trailers {
            action = self.without_trailers(Side::Request, action);
        }
        if matches!(action, Action::Continue) {
            let _ = hostcalls::resume_http_request();
        }
    }
}
