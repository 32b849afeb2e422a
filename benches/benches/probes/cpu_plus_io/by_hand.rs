//! The same by hand: a thread for the messages, and one a core that computes.
//!
//! Each message is alone on the machine, so one thread sleeps until it is due and then is both ends of its connection: it
//! waits for the kernel once a message, to get a processor on which somebody computes. A runtime waits for it as well; it
//! may ask not to be woken late on purpose, and for other slices of time, which nobody does here.

use super::{BYTES, CONNECTIONS, JOB, RATE, outcome};
use heist_benches::cpu;
use heist_benches::runner::{Entry, Options, Outcome};
use heist_benches::sample::{Stopwatch, now};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Everybody as the system starts them.
pub(super) const FLOOR: Entry = Entry {
    name: "floor: threads",
    run: |options| run(options, || Ok(())),
};

/// Those that compute give way.
pub(super) const NICE_FLOOR: Entry = Entry {
    name: "floor: threads, nice 10",
    run: |options| run(options, be_nice),
};

#[cfg(target_os = "linux")]
fn be_nice() -> io::Result<()> {
    // Linux takes this for the calling thread alone.
    Ok(rustix::process::setpriority_process(None, 10)?)
}

#[cfg(not(target_os = "linux"))]
fn be_nice() -> io::Result<()> {
    Err(io::Error::other(
        "threads have no niceness of their own here",
    ))
}

fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok((client, server))
}

fn exchange(pairs: &mut [(TcpStream, TcpStream)], end: Instant) -> io::Result<Vec<Duration>> {
    let between = Duration::from_secs(1) / RATE;
    let mut latencies = Vec::new();
    let mut due = now();
    for number in 0.. {
        if due >= end {
            break;
        }
        cpu::settle(due.saturating_duration_since(now()));
        let (client, server) = &mut pairs[number % CONNECTIONS as usize];
        let question = [number as u8; BYTES];
        let mut message = [0; BYTES];
        client.write_all(&question)?;
        server.read_exact(&mut message)?;
        server.write_all(&message)?;
        client.read_exact(&mut message)?;
        if message != question {
            return Err(io::Error::other("the echo is not the message"));
        }
        latencies.push(due.elapsed());
        due += between;
    }
    Ok(latencies)
}

fn run(options: &Options, begin_to_compute: fn() -> io::Result<()>) -> Outcome {
    let result = cpu::burn(JOB);
    let measured = || -> io::Result<_> {
        let mut pairs = (0..CONNECTIONS)
            .map(|_| pair())
            .collect::<io::Result<Vec<_>>>()?;
        let watch = Stopwatch::start();
        let stop = AtomicBool::new(false);
        let compute = || -> io::Result<u64> {
            begin_to_compute()?;
            let mut right = 0;
            while !stop.load(Ordering::Relaxed) {
                right += u64::from(cpu::burn(JOB) == result);
            }
            Ok(right)
        };
        thread::scope(|scope| {
            let computing: Vec<_> = (0..options.workers).map(|_| scope.spawn(compute)).collect();
            let latencies = exchange(&mut pairs, now() + super::duration(options));
            stop.store(true, Ordering::Relaxed);
            let mut done = 0;
            for thread in computing {
                done += thread.join().expect("it only computes")?;
            }
            Ok((latencies?, watch.stop(done)))
        })
    };
    let (latencies, sample) = measured().map_err(|error| error.to_string())?;
    outcome(latencies, sample, true)
}
