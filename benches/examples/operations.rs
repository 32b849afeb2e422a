//! One operation, many times, on one worker: for `cargo xtask instructions`, which runs it under callgrind.
//!
//! `operations NAME COUNT` does it COUNT thousand times. Nothing is timed: what is counted are instructions, of which
//! two runs with different counts tell what one operation costs.

use futures_channel::{mpsc, oneshot};
use futures_util::{SinkExt, StreamExt};
use heist::io::{AsyncReadExt, AsyncWriteExt};
use heist::net::{TcpListener, TcpStream};
use std::future::poll_fn;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;

/// So many are alive at once, where tasks are spawned.
const BATCH: u64 = 100;

async fn spawn(count: u64) {
    let mut tasks = Vec::new();
    for _ in 0..count / BATCH {
        tasks.extend((0..BATCH).map(|number| heist::spawn(async move { number })));
        for task in tasks.drain(..) {
            task.await.expect("no task fails");
        }
    }
}

type Link = Pin<Box<dyn Future<Output = ()> + Send>>;

fn link(left: u64, done: oneshot::Sender<()>) -> Link {
    Box::pin(async move {
        match left {
            0 => done.send(()).expect("the first link waits"),
            left => drop(heist::spawn(link(left - 1, done))),
        }
    })
}

async fn chained(count: u64) {
    let (done, last) = oneshot::channel();
    heist::spawn(link(count, done));
    last.await.expect("the last link reports");
}

async fn yield_now(count: u64) {
    for _ in 0..count {
        heist::task::yield_now().await;
    }
}

async fn wake_by_ref(count: u64) {
    let mut left = count;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A message to another task and back.
async fn message(count: u64) {
    let (mut to, mut from_here) = mpsc::channel::<u64>(1);
    let (mut back, mut from_there) = mpsc::channel::<u64>(1);
    let other = heist::spawn(async move {
        while let Some(number) = from_here.next().await {
            back.send(number).await.expect("the other listens");
        }
    });
    for number in 0..count {
        to.send(number).await.expect("the other listens");
        from_there.next().await.expect("the other answers");
    }
    drop(to);
    other.await.expect("no task fails");
}

async fn timeout(count: u64) {
    for _ in 0..count {
        let quick = heist::task::yield_now();
        let done = heist::time::timeout(Duration::from_secs(5), quick).await;
        done.expect("it is done at once");
    }
}

/// 64 bytes to a socket and back.
async fn echo(count: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let server = heist::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut bytes = [0; 64];
        while stream.read_exact(&mut bytes).await.is_ok() {
            stream.write_all(&bytes).await.expect("the client listens");
        }
    });
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    let mut bytes = [0; 64];
    for _ in 0..count {
        stream.write_all(&bytes).await.expect("the server listens");
        stream
            .read_exact(&mut bytes)
            .await
            .expect("the server answers");
    }
    drop(stream);
    server.await.expect("no task fails");
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, count] = arguments.as_slice() else {
        // Run by itself it shows that all of them work.
        for name in [
            "spawn",
            "chained",
            "yield_now",
            "wake_by_ref",
            "message",
            "timeout",
            "echo",
        ] {
            assert!(run(name, 1_000));
        }
        return ExitCode::SUCCESS;
    };
    match count.parse::<u64>() {
        Ok(count) if run(name, 1_000 * count) => ExitCode::SUCCESS,
        _ => {
            eprintln!("usage: operations NAME COUNT, the count in thousands");
            ExitCode::from(2)
        }
    }
}

fn run(name: &str, count: u64) -> bool {
    // Under callgrind every poll is long: the tasks would be taken for computations. And how many operations there are
    // between two turns of the driver would depend on how fast the machine is just now; where it must have turns, it parks.
    let runtime = heist::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .learn_heavy(false)
        .event_interval(Duration::from_millis(100))
        .build()
        .expect("the runtime starts");
    let task = match name {
        "spawn" => runtime.spawn(spawn(count)),
        "chained" => runtime.spawn(chained(count)),
        "yield_now" => runtime.spawn(yield_now(count)),
        "wake_by_ref" => runtime.spawn(wake_by_ref(count)),
        "message" => runtime.spawn(message(count)),
        "timeout" => runtime.spawn(timeout(count)),
        "echo" => runtime.spawn(echo(count)),
        _ => return false,
    };
    runtime.block_on(task).is_ok()
}
