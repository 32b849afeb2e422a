//! An HTTP/1.1 service beside CPU work: hyper on heist.
//!
//! Without arguments it drives itself for ten seconds and prints what it measured; with `--listen` it serves until
//! Ctrl-C. `server.rs` accepts and drains, `app.rs` answers, `work.rs` burns the CPU, `metrics.rs` counts, `load.rs` is
//! the crowd of clients, `report.rs` the table.

mod app;
mod load;
mod metrics;
mod report;
mod server;
mod work;

use app::App;
use heist::net::TcpListener;
use heist::runtime::{Builder, Handle};
#[cfg(unix)]
use heist::signal::{SignalKind, signal};
use server::Server;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

const USAGE: &str = "\
Usage: service [--listen ADDR] [--workers N]

Without --listen: binds a free loopback port, drives itself for 10 s with 64 keep-alive connections
at a steady rate on / and 8 clients in a loop on /work?ms=5, prints a table, and exits with 0 if no
request failed.

  --listen ADDR   serve on ADDR (such as 127.0.0.1:8080) until Ctrl-C:
                  /  /work?ms=N  /sleep?ms=N  /metrics  /tasks
  --workers N     worker threads; the default is one a core
  -h, --help      this text";

/// How long a server that stops waits for what is in flight.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Args {
    listen: Option<SocketAddr>,
    workers: Option<usize>,
    help: bool,
}

fn main() -> ExitCode {
    let args = match parse(lexopt::Parser::from_env()) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("service: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if args.help {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    run(&args).unwrap_or_else(|error| {
        eprintln!("service: {error}");
        ExitCode::FAILURE
    })
}

fn parse(mut parser: lexopt::Parser) -> Result<Args, lexopt::Error> {
    use lexopt::prelude::{Long, Short, ValueExt};
    let mut args = Args::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => args.listen = Some(parser.value()?.parse()?),
            Long("workers") => args.workers = Some(parser.value()?.parse()?),
            Long("help") | Short('h') => args.help = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(args)
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut builder = Builder::new_multi_thread();
    if let Some(count) = args.workers {
        builder.worker_threads(count);
    }
    let runtime = builder.build()?;
    let outcome = runtime.block_on(async {
        match args.listen {
            Some(address) => serve(address).await,
            None => drive().await,
        }
    })?;
    let shutdown = runtime.shutdown_timeout(GRACE);
    if !shutdown.is_clean() {
        eprintln!("{shutdown}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(outcome)
}

/// Serves until Ctrl-C, then finishes what is in flight.
async fn serve(address: SocketAddr) -> Result<ExitCode, Box<dyn Error>> {
    let app = Arc::new(App::new(Handle::current()));
    let server = Server::start(TcpListener::bind(address).await?, app)?;
    // Before anyone is told the address, so that no Ctrl-C finds its default action still in force.
    let interrupted = interrupt()?;
    println!("serving on http://{} until Ctrl-C", server.address());
    interrupted.await;
    println!("stopping: no new connections, finishing what is in flight");
    let drained = server.stop(GRACE).await;
    println!("{drained}");
    Ok(if drained.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Listens for Ctrl-C from now on.
#[cfg(unix)]
fn interrupt() -> io::Result<impl Future<Output = ()>> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    Ok(async move {
        interrupts.recv().await;
    })
}

/// Where the runtime knows no signals yet, Ctrl-C ends the process on the spot.
#[cfg(not(unix))]
fn interrupt() -> io::Result<impl Future<Output = ()>> {
    Ok(std::future::pending())
}

/// Serves and is its own crowd.
async fn drive() -> Result<ExitCode, Box<dyn Error>> {
    let app = Arc::new(App::new(Handle::current()));
    let server = Server::start(TcpListener::bind("127.0.0.1:0").await?, app)?;
    println!(
        "serving on http://{}, with clients of its own",
        server.address()
    );
    let before = Handle::current().metrics();
    let load = load::run(server.address()).await;
    let after = Handle::current().metrics();
    let drained = server.stop(GRACE).await;
    println!(
        "{}",
        report::table(&load, metrics::busy_share(&before, &after))
    );
    println!("{drained}");
    let good = load.errors().is_empty() && drained.is_clean();
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
