//! How every server here listens, says that it is ready, serves and stops.

use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// What every handler answers with.
pub(crate) type Answer = hyper::Response<Full<Bytes>>;

/// One whole request: no handler here works on half of one.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Without the query.
    pub(crate) path: String,
    /// Without the `?`; empty if there is none.
    pub(crate) query: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

/// Why a server could not run.
#[derive(Debug)]
pub(crate) enum Failure {
    AddressNotBound { address: SocketAddr, source: io::Error },
    SignalsNotHeard(io::Error),
    ReadinessNotSaid(io::Error),
}

/// Listens on `address`; port 0 means one the system chooses.
pub(crate) async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let chosen = listener.local_addr()?;
        Ok((listener, chosen))
    };
    bound.await.map_err(|source| Failure::AddressNotBound { address, source })
}

/// Prints the one line that says where the server listens.
pub(crate) fn say_ready(line: &Value) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(Failure::ReadinessNotSaid)
}

/// Runs `serving` until SIGTERM or SIGINT.
pub(crate) async fn until_stopped(serving: impl Future<Output = ()>) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::SignalsNotHeard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::SignalsNotHeard)?;
    tokio::select! {
        () = serving => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Serves HTTP/1.1, and HTTP/2 in clear text to clients that know it beforehand. Bodies above `limit` bytes get 413
/// and never reach `answer`.
pub(crate) async fn serve<H, F>(listener: TcpListener, limit: usize, answer: H)
where
    H: Fn(Asked) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others must close first.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // A socket that cannot be set so still serves, only later.
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let answer = answer.clone();
            async move {
                let reply = match read(request, limit).await {
                    Ok(asked) => answer(asked).await,
                    Err(refused) => refused,
                };
                Ok::<_, std::convert::Infallible>(reply)
            }
        });
        tokio::spawn(async move {
            // A connection that breaks concerns the client alone.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An answer with a JSON body.
pub(crate) fn json_answer(status: StatusCode, body: &Value) -> Answer {
    answer(status, "application/json", body.to_string().into())
}

/// An answer with the given body.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = empty(status);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    *answer.body_mut() = Full::new(body);
    answer
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// A refusal in the shape of the servers here that have no vendor's to follow.
pub(crate) fn refusal(status: StatusCode, why: &str) -> Answer {
    json_answer(status, &json!({ "error": why }))
}

async fn read(request: hyper::Request<Incoming>, limit: usize) -> Result<Asked, Answer> {
    let (head, body) = request.into_parts();
    let collected = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            refusal(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {limit} bytes"))
        } else {
            refusal(StatusCode::BAD_REQUEST, "the body ended early")
        }
    })?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok(Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        version: head.version,
        headers: head.headers,
        body: collected.to_bytes(),
        trailers,
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressNotBound { address, source } => write!(f, "cannot listen on `{address}`: {source}"),
            Self::SignalsNotHeard(source) => write!(f, "cannot listen for signals: {source}"),
            Self::ReadinessNotSaid(source) => write!(f, "cannot write to stdout: {source}"),
        }
    }
}

impl std::error::Error for Failure {}

/// A client for the tests: what a server answers to one request over a real connection.
#[cfg(test)]
pub(crate) mod client {
    use super::*;

    /// Status and body of one HTTP/1.1 request on a connection of its own.
    pub(crate) async fn ask(to: SocketAddr, line: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let (method, path) = line.split_once(' ').unwrap();
        let stream = tokio::net::TcpStream::connect(to).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let task = tokio::spawn(connection);
        let mut request = hyper::Request::builder().method(method).uri(path).header("host", to.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        drop(sender);
        task.await.unwrap().unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// As [`ask`], with the body read as JSON.
    pub(crate) async fn ask_json(to: SocketAddr, line: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let (status, text) = ask(to, line, headers, body).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    /// A loopback address to serve on.
    pub(crate) fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_above_the_limit_never_reaches_the_handler() {
        let (listener, at) = bind(client::any_port()).await.unwrap();
        let echo = |asked: Asked| async move { answer(StatusCode::OK, "text/plain", asked.body) };
        let serving = tokio::spawn(serve(listener, 4, echo));
        assert_eq!(client::ask(at, "POST /", &[], "four").await, (200, "four".into()));
        assert_eq!(client::ask(at, "POST /", &[], "five!").await.0, 413);
        serving.abort();
    }
}
