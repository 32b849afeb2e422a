//! The crowd of clients: some at a steady rate on `/`, some in a loop on `/work`.
//!
//! A request of the steady crowd has a time at which it is due, and its latency counts from there: a server that
//! stalls does not get fewer requests for it, nor shorter ones.

use crate::app::HELLO;
use bytes::Bytes;
use heist::net::TcpStream;
use heist::task::JoinHandle;
use heist::time::{Instant, sleep, sleep_until, timeout};
use heist_compat::HeistIo;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const DURATION: Duration = Duration::from_secs(10);
pub(crate) const STEADY_CLIENTS: u32 = 64;
/// Requests a second, of all steady clients together.
pub(crate) const STEADY_RATE: u32 = 2_000;
pub(crate) const WORK_CLIENTS: u32 = 8;
pub(crate) const WORK_MS: u32 = 5;
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// A work client that failed waits this long before it tries again.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

type Failure = Box<dyn Error + Send + Sync>;

/// What the clients saw.
pub(crate) struct Load {
    pub(crate) elapsed: Duration,
    /// Of the steady requests, in order of size.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) jobs: u64,
    errors: Vec<Failure>,
}

impl Load {
    pub(crate) fn errors(&self) -> &[Failure] {
        &self.errors
    }
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    jobs: u64,
    errors: Vec<Failure>,
}

pub(crate) async fn run(server: SocketAddr) -> Load {
    let start = Instant::now();
    let end = start + DURATION;
    let period = Duration::from_secs(1) * STEADY_CLIENTS / STEADY_RATE;
    let mut clients: Vec<JoinHandle<Seen>> = Vec::new();
    for index in 0..STEADY_CLIENTS {
        // The clients start one after another within a period, so that the rate is steady in the small, too.
        let first = start + period * index / STEADY_CLIENTS;
        let client = steady(server, first, period, end);
        clients.push(
            heist::task::Builder::new()
                .name("steady client")
                .spawn(client),
        );
    }
    for _ in 0..WORK_CLIENTS {
        clients.push(
            heist::task::Builder::new()
                .name("work client")
                .spawn(work(server, end)),
        );
    }
    let progress = heist::spawn(progress(start));

    let mut load = Load {
        elapsed: Duration::ZERO,
        latencies: Vec::new(),
        jobs: 0,
        errors: Vec::new(),
    };
    for client in clients {
        match client.await {
            Ok(seen) => {
                load.latencies.extend(seen.latencies);
                load.jobs += seen.jobs;
                load.errors.extend(seen.errors);
            }
            Err(error) => load.errors.push(error.into()),
        }
    }
    load.elapsed = start.elapsed();
    if let Err(error) = progress.await {
        load.errors.push(error.into());
    }
    load.latencies.sort();
    load
}

/// One request each period, on one connection.
async fn steady(server: SocketAddr, first: Instant, period: Duration, end: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut client = None;
    let mut due = first;
    while due < end {
        sleep_until(due).await;
        match request(&mut client, server, "/").await {
            Ok(body) if body == HELLO => seen.latencies.push(due.elapsed()),
            Ok(body) => seen.errors.push(format!("/ answered {body:?}").into()),
            Err(error) => seen.errors.push(error),
        }
        due += period;
    }
    seen
}

/// One job after another, on one connection.
async fn work(server: SocketAddr, end: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut client = None;
    let path = format!("/work?ms={WORK_MS}");
    let mut digest = None;
    while Instant::now() < end {
        match request(&mut client, server, &path).await {
            // The same work has the same digest.
            Ok(body) if body == *digest.get_or_insert_with(|| body.clone()) => seen.jobs += 1,
            Ok(body) => seen.errors.push(format!("{path} answered {body:?}").into()),
            Err(error) => {
                seen.errors.push(error);
                sleep(AFTER_FAILURE).await;
            }
        }
    }
    seen
}

type Client = SendRequest<Empty<Bytes>>;

/// Asks for `path` on the connection in `client`, which is made anew where there is none or it failed.
async fn request(
    client: &mut Option<Client>,
    server: SocketAddr,
    path: &str,
) -> Result<String, Failure> {
    let mut sender = match client.take() {
        Some(sender) => sender,
        None => connect(server).await?,
    };
    let body = timeout(PATIENCE, exchange(&mut sender, server, path)).await??;
    *client = Some(sender);
    Ok(body)
}

async fn connect(server: SocketAddr) -> Result<Client, Failure> {
    let socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = handshake(HeistIo::new(socket)).await?;
    // Its errors come out of the requests that it carries.
    drop(
        heist::task::Builder::new()
            .name("client's connection")
            .spawn(connection),
    );
    Ok(sender)
}

async fn exchange(client: &mut Client, server: SocketAddr, path: &str) -> Result<String, Failure> {
    client.ready().await?;
    let request = Request::get(path)
        .header(HOST, server.to_string())
        .body(Empty::<Bytes>::new())?;
    let response = client.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status != StatusCode::OK {
        return Err(format!("{path} answered {status}").into());
    }
    Ok(String::from_utf8(body.to_vec())?)
}

/// Shows how far the run is; draws nothing where nobody looks.
async fn progress(start: Instant) {
    const STEP: Duration = Duration::from_millis(100);
    let style = ProgressStyle::with_template("{bar:40} {pos:>3}/{len} tenths of a second")
        .expect("the template is a constant");
    let steps = DURATION.as_millis() / STEP.as_millis();
    let bar = ProgressBar::new(steps as u64).with_style(style);
    while start.elapsed() < DURATION {
        sleep(STEP).await;
        bar.set_position((start.elapsed().as_millis() / STEP.as_millis()) as u64);
    }
    bar.finish_and_clear();
}
