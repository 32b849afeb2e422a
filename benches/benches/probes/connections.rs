//! What an idle TCP connection weighs: thousands of them, with a task parked in a read on each end, and the memory of
//! this process that is resident before and after. What the kernel keeps for a socket is the same for all.

use crate::{Probe, child};
use heist_benches::Contender;
use heist_benches::cpu;
use heist_benches::runner::{Measured, Options, Outcome};
use heist_benches::table::Figure;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Idle;

pub(crate) const FIGURE: &str = "idle_connections";

/// Descriptors that are not the connections'.
const OTHERS: u64 = 64;

impl Probe for Idle {
    const NAME: &'static str = "idle_connections";
    const FIGURES: &'static [Figure] = &[Figure::cost(
        "resident bytes for each idle connection, with a task that reads on both ends",
    )];

    fn run<C: Contender>(options: &Options) -> Outcome {
        let bytes = child::measure::<C>(FIGURE, 2, options.scaled(8_000))?;
        Ok(Measured::new(bytes, None))
    }
}

/// How many ends have a task that has begun to read, and how many of those have gone on, which none should.
static READING: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);

async fn idle<C: Contender>(mut stream: C::Stream) {
    let mut byte = [0];
    READING.fetch_add(1, Ordering::Relaxed);
    let _ = C::read_exact(&mut stream, &mut byte).await;
    DONE.fetch_add(1, Ordering::Relaxed);
}

async fn connect<C: Contender>(runtime: C, connections: u64) -> io::Result<()> {
    let (listener, address) = C::listen().await?;
    for _ in 0..connections {
        let asking = C::connect(address).await?;
        let answering = C::accept(&listener).await?;
        C::detach(runtime.spawn(idle::<C>(asking)));
        C::detach(runtime.spawn(idle::<C>(answering)));
    }
    while READING.load(Ordering::Relaxed) < 2 * connections {
        C::yield_now().await;
    }
    Ok(())
}

pub(crate) fn measure<C: Contender>(runtime: C, connections: u64) -> Result<Vec<f64>, String> {
    let connections = connections.min(descriptors().saturating_sub(OTHERS) / 2);
    let resident = || cpu::resident_bytes().ok_or("the system does not tell the resident memory");
    // The threads are up, and the driver has seen a connection.
    let listened = runtime.on_a_worker(async {
        let (listener, address) = C::listen().await?;
        let first = C::connect(address).await?;
        drop((C::accept(&listener).await?, first));
        io::Result::Ok(())
    });
    listened.map_err(|error| error.to_string())?;
    let before = resident()?;
    runtime
        .on_a_worker(async move { connect(runtime, connections).await })
        .map_err(|error| error.to_string())?;
    let after = resident()?;
    let done = DONE.load(Ordering::Relaxed);
    if after <= before || done > 0 {
        return Err(format!(
            "{before} bytes before, {after} after; {done} reads were not idle"
        ));
    }
    Ok(vec![(after - before) as f64 / connections as f64])
}

/// How many descriptors this process may have, once it has asked for as many as it may.
fn descriptors() -> u64 {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        // No limit at all is none that could be raised.
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => maximum.unwrap_or(u64::MAX),
            Err(_) => current.unwrap_or(u64::MAX),
        }
    }
    #[cfg(not(unix))]
    {
        u64::MAX
    }
}
