//! A closed-loop load generator: a few connections kept alive, each sending its next request when it has the last
//! answer. Prints one JSON line.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

/// Command line of the load generator.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to send: `http://HOST:PORT/path`
    #[arg(long)]
    url: Uri,
    /// The file sent as the body of every request; without it, requests have none
    #[arg(long)]
    body: Option<PathBuf>,
    #[arg(long, default_value_t = Method::POST)]
    method: Method,
    /// A header of every request, as `name: value`; content-type is application/json unless given
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A file of header sets, one a line, several headers of a line separated by tabs; requests take them in turn
    #[arg(long)]
    header_file: Option<PathBuf>,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// How many requests are measured, over all connections
    #[arg(long, default_value_t = 2000)]
    requests: usize,
    /// How many requests go before, unmeasured
    #[arg(long, default_value_t = 200)]
    warmup: usize,
    /// The status that counts as success
    #[arg(long, default_value_t = 200)]
    expect: u16,
}

/// Why no load was made.
#[derive(Debug)]
pub(crate) enum Failure {
    UrlNotPlainHttp,
    NoConnection,
    FileNotRead { file: PathBuf, source: io::Error },
    HeaderMalformed { whence: String },
    NoHeaderSet { file: PathBuf },
    ConnectionTaskLost,
    ResultNotSaid(io::Error),
}

/// Makes the load and prints what came of it. Exits 1 if an answer was not as expected.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let report = measure(Plan::read(args)?).await?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", report.json()).and_then(|()| stdout.flush()).map_err(Failure::ResultNotSaid)?;
    Ok(if report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What to send where.
struct Plan {
    authority: String,
    target: Uri,
    method: Method,
    body: Bytes,
    /// Never empty; requests take them in turn.
    headers: Vec<HeaderMap>,
    connections: usize,
    requests: usize,
    warmup: usize,
    expect: u16,
    /// Which header set is next.
    turn: AtomicUsize,
}

/// What came of it.
#[derive(Debug, Default)]
struct Report {
    requests: usize,
    /// By status, or `connection` where there was none.
    errors: BTreeMap<String, usize>,
    warmup_errors: usize,
    wall: Duration,
    /// Of the answers as expected, sorted.
    took: Vec<Duration>,
    /// Of the bodies of those answers.
    bytes: usize,
}

async fn measure(plan: Plan) -> Result<Report, Failure> {
    let plan = Arc::new(plan);
    let start = Arc::new(Barrier::new(plan.connections));
    let workers: Vec<_> =
        (0..plan.connections).map(|number| tokio::spawn(work(Arc::clone(&plan), Arc::clone(&start), number))).collect();
    let mut report = Report::default();
    let mut span: Option<(Instant, Instant)> = None;
    for worker in workers {
        let (from, to, part) = worker.await.map_err(|_| Failure::ConnectionTaskLost)?;
        span = Some(span.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
        report.add(part);
    }
    report.wall = span.map(|(first, last)| last.duration_since(first)).unwrap_or_default();
    report.took.sort_unstable();
    Ok(report)
}

/// One connection: its share of the warm-up, then, when all are ready, its share of the load.
async fn work(plan: Arc<Plan>, start: Arc<Barrier>, number: usize) -> (Instant, Instant, Report) {
    let mut line = Line { plan: Arc::clone(&plan), sender: None };
    let mut warmup = Report::default();
    for _ in 0..share(plan.warmup, plan.connections, number) {
        line.request(&mut warmup).await;
    }
    let mut report = Report { warmup_errors: warmup.errors.values().sum(), ..Report::default() };
    start.wait().await;
    let from = Instant::now();
    for _ in 0..share(plan.requests, plan.connections, number) {
        line.request(&mut report).await;
    }
    (from, Instant::now(), report)
}

/// How many of `total` fall to one of `count` workers.
fn share(total: usize, count: usize, number: usize) -> usize {
    let rest = total.checked_rem(count).unwrap_or_default();
    total.checked_div(count).unwrap_or_default() + usize::from(number < rest)
}

/// A connection that is made again when it has been closed.
struct Line {
    plan: Arc<Plan>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    async fn request(&mut self, report: &mut Report) {
        let from = Instant::now();
        report.requests += 1;
        match self.exchange().await {
            Ok((status, bytes)) if status.as_u16() == self.plan.expect => {
                report.took.push(from.elapsed());
                report.bytes += bytes;
            }
            Ok((status, _)) => *report.errors.entry(status.as_str().to_owned()).or_default() += 1,
            Err(_) => {
                self.sender = None;
                *report.errors.entry("connection".into()).or_default() += 1;
            }
        }
    }

    async fn exchange(&mut self) -> Result<(StatusCode, usize), Box<dyn std::error::Error + Send + Sync>> {
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => connect(&self.plan.authority).await?,
        };
        // The server may have closed it since.
        if sender.ready().await.is_err() {
            sender = connect(&self.plan.authority).await?;
        }
        let mut request = Request::new(Full::new(self.plan.body.clone()));
        *request.method_mut() = self.plan.method.clone();
        *request.uri_mut() = self.plan.target.clone();
        *request.headers_mut() = self.plan.next_headers();
        let response = sender.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame?.data_ref().map_or(0, Bytes::len);
        }
        self.sender = Some(sender);
        Ok((status, bytes))
    }
}

async fn connect(authority: &str) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the connection; whoever sends next hears of it.
    tokio::spawn(connection);
    Ok(sender)
}

impl Plan {
    fn read(args: Args) -> Result<Self, Failure> {
        let authority = match (args.url.scheme_str(), args.url.authority()) {
            (Some("http"), Some(authority)) => authority.clone(),
            _ => return Err(Failure::UrlNotPlainHttp),
        };
        if args.connections == 0 {
            return Err(Failure::NoConnection);
        }
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Failure::UrlNotPlainHttp)?;
        let mut base = HeaderMap::new();
        base.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        base.insert(HOST, host);
        for header in &args.headers {
            let (name, value) = header_of(header).ok_or(Failure::HeaderMalformed { whence: "--header".into() })?;
            base.insert(name, value);
        }
        let headers = match &args.header_file {
            None => vec![base],
            Some(file) => header_sets(file, &base)?,
        };
        let body = match &args.body {
            None => Bytes::new(),
            Some(file) => fs::read(file).map_err(|source| Failure::FileNotRead { file: file.clone(), source })?.into(),
        };
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
            target: args.url.path_and_query().map_or_else(Uri::default, |target| Uri::from(target.clone())),
            method: args.method,
            body,
            headers,
            connections: args.connections,
            requests: args.requests,
            warmup: args.warmup,
            expect: args.expect,
            turn: AtomicUsize::new(0),
        })
    }

    fn next_headers(&self) -> HeaderMap {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(self.headers.len()).unwrap_or_default();
        self.headers.get(turn).cloned().unwrap_or_default()
    }
}

fn header_sets(file: &Path, base: &HeaderMap) -> Result<Vec<HeaderMap>, Failure> {
    let text = fs::read_to_string(file).map_err(|source| Failure::FileNotRead { file: file.to_owned(), source })?;
    let mut sets = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut set = base.clone();
        for header in line.split('\t') {
            // The header is not repeated: it may be a token.
            let whence = || format!("`{}` line {}", file.display(), number + 1);
            let (name, value) = header_of(header).ok_or_else(|| Failure::HeaderMalformed { whence: whence() })?;
            set.insert(name, value);
        }
        sets.push(set);
    }
    if sets.is_empty() { Err(Failure::NoHeaderSet { file: file.to_owned() }) } else { Ok(sets) }
}

fn header_of(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

impl Report {
    fn add(&mut self, part: Self) {
        self.requests += part.requests;
        self.warmup_errors += part.warmup_errors;
        self.bytes += part.bytes;
        self.took.extend(part.took);
        for (status, count) in part.errors {
            *self.errors.entry(status).or_default() += count;
        }
    }

    fn json(&self) -> Value {
        let wall = self.wall.as_secs_f64();
        json!({
            "requests": self.requests,
            "errors": self.errors,
            "warmup_errors": self.warmup_errors,
            "wall_s": wall,
            "rps": if wall > 0.0 { self.requests as f64 / wall } else { 0.0 },
            "p50_us": percentile(&self.took, 50),
            "p99_us": percentile(&self.took, 99),
            "bytes": self.bytes,
        })
    }
}

/// The nearest-rank percentile in microseconds; `null` of nothing.
fn percentile(sorted: &[Duration], percent: usize) -> Option<u64> {
    let rank = (sorted.len().saturating_mul(percent)).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UrlNotPlainHttp => write!(f, "the url is not `http://HOST:PORT/path`"),
            Self::NoConnection => write!(f, "at least one connection is needed"),
            Self::FileNotRead { file, source } => write!(f, "cannot read `{}`: {source}", file.display()),
            Self::HeaderMalformed { whence } => write!(f, "a header in {whence} is not `name: value`"),
            Self::NoHeaderSet { file } => write!(f, "`{}` has no header set", file.display()),
            Self::ConnectionTaskLost => write!(f, "a connection's task ended early"),
            Self::ResultNotSaid(source) => write!(f, "cannot write to stdout: {source}"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::server::{self, Asked, client::any_port};

    fn plan(url: &str, connections: usize, requests: usize, warmup: usize) -> Plan {
        Plan::read(Args {
            url: url.parse().unwrap(),
            body: None,
            method: Method::POST,
            headers: vec!["x-fixed: f".into()],
            header_file: None,
            connections,
            requests,
            warmup,
            expect: 200,
        })
        .unwrap()
    }

    #[tokio::test]
    async fn every_request_is_sent_counted_and_its_headers_cycled() {
        let (listener, at) = server::bind(any_port()).await.unwrap();
        let turns = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
        let seen = Arc::clone(&turns);
        let task = tokio::spawn(server::serve(listener, 100, move |asked: Asked| {
            let turn = asked.headers["x-turn"].to_str().unwrap().to_owned();
            assert_eq!(asked.headers["x-fixed"], "f");
            let status = if turn == "b" { StatusCode::FORBIDDEN } else { StatusCode::OK };
            *seen.lock().unwrap().entry(turn).or_default() += 1;
            async move { server::answer(status, "text/plain", Bytes::from_static(b"four")) }
        }));
        let mut plan = plan(&format!("http://{at}/x?y=1"), 3, 20, 4);
        assert_eq!(plan.target, "/x?y=1");
        let base = plan.headers[0].clone();
        plan.headers = ["a", "b", "c"]
            .iter()
            .map(|turn| {
                let mut set = base.clone();
                set.insert("x-turn", HeaderValue::from_static(turn));
                set
            })
            .collect();
        let report = measure(plan).await.unwrap();
        task.abort();
        assert_eq!(*turns.lock().unwrap(), BTreeMap::from([("a".into(), 8), ("b".into(), 8), ("c".into(), 8)]));
        assert_eq!(report.requests, 20);
        let refused = report.errors["403"];
        assert_eq!(refused + report.warmup_errors, 8);
        assert_eq!(report.took.len(), 20 - refused);
        assert_eq!(report.bytes, 4 * (20 - refused));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_counted_not_waited_for() {
        let (listener, at) = server::bind(any_port()).await.unwrap();
        drop(listener);
        let report = measure(plan(&format!("http://{at}/"), 2, 5, 1)).await.unwrap();
        assert_eq!(report.errors, BTreeMap::from([("connection".into(), 5)]));
        assert_eq!((report.warmup_errors, report.took.len()), (1, 0));
        assert_eq!(report.json()["p99_us"], Value::Null);
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let took: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!((percentile(&took, 50), percentile(&took, 99)), (Some(100), Some(198)));
        assert_eq!((percentile(&took[..1], 50), percentile(&took[..1], 99)), (Some(1), Some(1)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn shares_add_up() {
        for (total, count) in [(2000, 4), (7, 3), (1, 4), (0, 2)] {
            assert_eq!((0..count).map(|number| share(total, count, number)).sum::<usize>(), total);
        }
    }

    #[test]
    fn header_files_are_read_line_by_line_and_never_quoted_in_errors() {
        let file = std::env::temp_dir().join(format!("rerank-guard-demo-{}", crate::id::fresh()));
        fs::write(&file, "authorization: Bearer a\tx-n: 1\n\nauthorization: Bearer b\n").unwrap();
        let mut base = HeaderMap::new();
        base.insert("x-n", HeaderValue::from_static("0"));
        let sets = header_sets(&file, &base).unwrap();
        let found: Vec<_> =
            sets.iter().map(|set| (set["authorization"].to_str().unwrap(), set["x-n"].to_str().unwrap())).collect();
        assert_eq!(found, [("Bearer a", "1"), ("Bearer b", "0")]);
        fs::write(&file, "s3cret\n").unwrap();
        let failure = header_sets(&file, &base).err().unwrap().to_string();
        assert!(failure.ends_with("line 1 is not `name: value`") && !failure.contains("s3cret"), "{failure}");
        fs::write(&file, "\n").unwrap();
        assert!(matches!(header_sets(&file, &base), Err(Failure::NoHeaderSet { .. })));
        fs::remove_file(&file).unwrap();
    }
}
