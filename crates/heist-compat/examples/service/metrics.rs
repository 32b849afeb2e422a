//! What `/metrics` tells: the service's own counters, and the runtime's, read at each scrape.

use heist::runtime::{Handle, RuntimeMetrics, WorkerMetrics};
use hyper::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteStatus {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

pub(crate) struct Metrics {
    registry: Registry,
    by_status: Family<RouteStatus, Counter>,
    durations: Family<Route, Histogram>,
    failed_connections: Counter,
    in_flight: Gauge,
    requests: AtomicU64,
}

impl Metrics {
    pub(crate) fn new(runtime: Handle) -> Self {
        let mut registry = Registry::default();
        let by_status = Family::default();
        let durations = Family::<Route, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(50e-6, 2.0, 18))
        });
        registry.register(
            "http_requests",
            "Requests by route and status",
            by_status.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "From the request's head to its answer",
            Unit::Seconds,
            durations.clone(),
        );
        let failed_connections = Counter::default();
        registry.register(
            "http_failed_connections",
            "Connections that ended with an error, such as a client that left in the middle",
            failed_connections.clone(),
        );
        let in_flight = Gauge::default();
        registry.register(
            "http_requests_in_flight",
            "Requests that wait for their answer, this one included",
            in_flight.clone(),
        );
        registry.register_collector(Box::new(RuntimeCollector { runtime }));
        Self {
            registry,
            by_status,
            durations,
            failed_connections,
            in_flight,
            requests: AtomicU64::new(0),
        }
    }

    pub(crate) fn observe(&self, route: &'static str, status: StatusCode, took: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.by_status
            .get_or_create(&RouteStatus {
                route,
                status: status.as_u16(),
            })
            .inc();
        self.durations
            .get_or_create(&Route { route })
            .observe(took.as_secs_f64());
    }

    /// Counts a request as in flight until the answer is dropped, even if nobody waits for it any more.
    pub(crate) fn in_flight(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight(&self.in_flight)
    }

    pub(crate) fn connection_failed(&self) {
        self.failed_connections.inc();
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn text(&self) -> Result<String, (StatusCode, String)> {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => Ok(text),
            Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))),
        }
    }
}

pub(crate) struct InFlight<'a>(&'a Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Reads the runtime's counters when it is asked for them.
struct RuntimeCollector {
    runtime: Handle,
}

impl fmt::Debug for RuntimeCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeCollector").finish_non_exhaustive()
    }
}

impl Collector for RuntimeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let metrics = self.runtime.metrics();
        let mut gauge = |name, help, value: usize| {
            let gauge = ConstGauge::new(value as i64);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("heist_workers", "Worker threads", metrics.workers.len())?;
        gauge(
            "heist_alive_tasks",
            "Tasks that have not ended",
            metrics.alive_tasks,
        )?;
        gauge(
            "heist_injector_depth",
            "Tasks in the shared queue",
            metrics.injector_depth,
        )?;
        gauge(
            "heist_blocking_threads",
            "Blocking pool's threads",
            metrics.blocking_threads,
        )?;
        gauge(
            "heist_blocking_queue_depth",
            "Waiting calls",
            metrics.blocking_queue_depth,
        )?;
        gauge(
            "heist_io_sources",
            "Registered IO objects",
            metrics.io_sources,
        )?;
        gauge("heist_timers", "Armed timers", metrics.timers)?;
        let sum = |count: fn(&WorkerMetrics) -> u64| metrics.workers.iter().map(count).sum();
        let mut counter = |name, help, value: u64| {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        };
        counter("heist_polls", "Polls of tasks", metrics.polls())?;
        counter(
            "heist_steals",
            "Steals by a worker from another",
            sum(|worker| worker.steals),
        )?;
        counter(
            "heist_parks",
            "Times that a worker went to sleep",
            sum(|worker| worker.parks),
        )?;
        counter(
            "heist_io_events",
            "IO events from the system",
            metrics.io_events as u64,
        )?;
        let busy = ConstCounter::new(busy(&metrics).as_secs_f64());
        busy.encode(encoder.encode_descriptor(
            "heist_busy",
            "Time that workers were not parked",
            Some(&Unit::Seconds),
            busy.metric_type(),
        )?)
    }
}

/// The time that all workers together were not parked.
fn busy(metrics: &RuntimeMetrics) -> Duration {
    metrics.workers.iter().map(|worker| worker.busy).sum()
}

/// The share of their time that the workers were not parked, between two snapshots.
pub(crate) fn busy_share(before: &RuntimeMetrics, after: &RuntimeMetrics) -> f64 {
    let elapsed = after.uptime.saturating_sub(before.uptime).as_secs_f64();
    let capacity = elapsed * after.workers.len() as f64;
    if capacity == 0.0 {
        return 0.0;
    }
    busy(after).saturating_sub(busy(before)).as_secs_f64() / capacity
}
