//! What the runtime says through `tracing`, in a process of its own: the subscriber is global.

use heist::runtime::{Builder, Runtime};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps each event's level and text.
struct Kept(Mutex<mpsc::Sender<(Level, String)>>);

/// Without an event for so long there will be none.
const PATIENCE: Duration = Duration::from_secs(60);

/// It panics after each.
static PANICS: AtomicBool = AtomicBool::new(false);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "heist"
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        // Who no longer listens has heard enough.
        let _ = (self.0.lock().unwrap()).send((*event.metadata().level(), text.0));
        if PANICS.load(SeqCst) {
            panic!("a planted panic");
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// Waits for the next event of this level that says this, past whatever else is told on a loaded machine.
fn heard(events: &mpsc::Receiver<(Level, String)>, level: Level, said: &str) -> String {
    loop {
        let next = events.recv_timeout(PATIENCE);
        let (found, text) = next.unwrap_or_else(|_| panic!("nobody says {said:?}"));
        if found == level && text.contains(said) {
            return text;
        }
    }
}

/// Two of each: after a subscriber that panics at the first one, somebody must be left for the second.
#[test]
fn stalls_panics_and_heavy_tasks_are_events() {
    let (kept, events) = mpsc::channel();
    tracing::subscriber::set_global_default(Kept(Mutex::new(kept))).unwrap();
    for panics in [false, true] {
        PANICS.store(panics, SeqCst);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        for _ in 0..2 {
            a_stall_is_told(&runtime, &events);
            a_panic_is_told(&runtime, &events);
        }
        a_heavy_task_is_told(&runtime, &events);
        drop(runtime);
        while events.try_recv().is_ok() {}
    }
}

/// It lasts until it has been told.
fn a_stall_is_told(runtime: &Runtime, events: &mpsc::Receiver<(Level, String)>) {
    let (tell, told) = mpsc::channel::<()>();
    let told = Arc::new(Mutex::new(told));
    let stuck = {
        let task = heist::task::Builder::new().name("stuck");
        let _inside = runtime.enter();
        task.spawn(async move { told.lock().unwrap().recv().unwrap() })
    };
    let stall = heard(events, Level::WARN, "name=\"stuck\"");
    assert!(stall.contains("a poll lasts too long"), "{stall}");
    assert!(stall.contains("tests/tracing.rs"), "{stall}");
    tell.send(()).unwrap();
    runtime.block_on(stuck).unwrap();
}

fn a_panic_is_told(runtime: &Runtime, events: &mpsc::Receiver<(Level, String)>) {
    drop(runtime.spawn(async { panic!("nobody listens") }));
    heard(events, Level::ERROR, "nobody listens");
}

/// Long polls until it has been told: the spawn site of another may be found out before.
fn a_heavy_task_is_told(runtime: &Runtime, events: &mpsc::Receiver<(Level, String)>) {
    let told = Arc::new(AtomicBool::new(false));
    let computes = runtime.spawn({
        let told = Arc::clone(&told);
        async move {
            while !told.load(SeqCst) {
                let begun = heist::time::Instant::now();
                while begun.elapsed().as_micros() < 1_500 {}
                heist::task::yield_now().await;
            }
        }
    });
    heard(events, Level::DEBUG, "its polls are long");
    told.store(true, SeqCst);
    runtime.block_on(computes).unwrap();
}
