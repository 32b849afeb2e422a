//! What the service answers: one function from a request to a response.

use crate::metrics::Metrics;
use crate::work::Speed;
use bytes::Bytes;
use heist::runtime::Handle;
use heist::time::Instant;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use std::fmt::Write;
use std::time::Duration;

/// Nobody may keep a worker, or a connection, for longer than this.
const MAX_MS: u64 = 60_000;

pub(crate) const HELLO: &str = "hello from heist\n";

pub(crate) struct App {
    runtime: Handle,
    metrics: Metrics,
    speed: Speed,
}

/// A route's name in the metrics, and its answer.
type Answer = (&'static str, Result<String, (StatusCode, String)>);

impl App {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self {
            metrics: Metrics::new(runtime.clone()),
            runtime,
            speed: Speed::measure(),
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.metrics.requests()
    }

    pub(crate) fn connection_failed(&self) {
        self.metrics.connection_failed();
    }

    pub(crate) async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let start = Instant::now();
        let _in_flight = self.metrics.in_flight();
        let (route, answer) = self.answer(&request).await;
        let (status, text) = match answer {
            Ok(text) => (StatusCode::OK, text),
            Err((status, text)) => (status, text),
        };
        self.metrics.observe(route, status, start.elapsed());
        let content_type = match route {
            "/metrics" => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        };
        Response::builder()
            .status(status)
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(Bytes::from(text)))
            .expect("status and header are valid")
    }

    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        if request.method() != Method::GET {
            let refusal = (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
            return ("other", Err(refusal));
        }
        let query = request.uri().query();
        match request.uri().path() {
            "/" => ("/", Ok(HELLO.to_owned())),
            "/work" => ("/work", self.work(query)),
            "/sleep" => ("/sleep", sleep(query).await),
            "/metrics" => ("/metrics", self.metrics.text()),
            "/tasks" => ("/tasks", Ok(self.tasks())),
            _ => (
                "other",
                Err((StatusCode::NOT_FOUND, "no such page\n".to_owned())),
            ),
        }
    }

    /// Computes right here, in the connection's task: that the others go on meanwhile is the runtime's business.
    fn work(&self, query: Option<&str>) -> Result<String, (StatusCode, String)> {
        let ms = milliseconds(query)?;
        Ok(format!("{}\n", self.speed.work(ms)))
    }

    /// The live tasks, a line each.
    fn tasks(&self) -> String {
        let mut tasks = self.runtime.tasks();
        tasks.sort_by_key(|task| std::cmp::Reverse(task.age()));
        let mut text = format!("{:<20} {:<10} {:>12}  spawned at\n", "name", "state", "age");
        for task in &tasks {
            let name = task.name().unwrap_or("-");
            let age = format!("{:.3} s", task.age().as_secs_f64());
            let state = task.state().to_string();
            writeln!(
                text,
                "{name:<20} {state:<10} {age:>12}  {}",
                task.spawn_site()
            )
            .expect("a String takes any text");
        }
        text
    }
}

async fn sleep(query: Option<&str>) -> Result<String, (StatusCode, String)> {
    let ms = milliseconds(query)?;
    heist::time::sleep(Duration::from_millis(ms)).await;
    Ok(format!("slept {ms} ms\n"))
}

/// Reads `ms=N` from a query.
fn milliseconds(query: Option<&str>) -> Result<u64, (StatusCode, String)> {
    query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("ms="))
        .and_then(|number| number.parse().ok())
        .filter(|&ms| ms <= MAX_MS)
        .ok_or_else(|| {
            (
                StatusCode::BAD_REQUEST,
                format!("say ?ms=N, with N from 0 to {MAX_MS}\n"),
            )
        })
}
