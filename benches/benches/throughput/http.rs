//! HTTP/1.1 through hyper: 64 connections that keep one request under way each, from another process.

use crate::{Workload, check};
use heist_benches::runner::Options;
use heist_benches::table::Figure;
use heist_benches::{Contender, Sample, Stopwatch};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, ExitCode};
use std::time::Duration;

pub(crate) struct Http;

const CONNECTIONS: u64 = 64;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const BODY: &str = "hello\n";

/// Set in the process that asks: whom, and how often on each connection.
const SERVER: &str = "HEIST_BENCH_SERVER";
const REQUESTS: &str = "HEIST_BENCH_REQUESTS";

async fn serve<C: Contender>(stream: C::Stream) {
    let answer = service_fn(|_request| async {
        Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from_static(
            BODY.as_bytes(),
        ))))
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(C::hyper_io(stream), answer);
    // The client counts its answers; a connection that it breaks off is no matter.
    let _ = connection.await;
}

impl Workload for Http {
    const NAME: &'static str = "http";
    const FIGURE: Figure = Figure::rate("requests/s, 64 connections, asked from another process");
    const FITS_ONE_THREAD: bool = false;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let each = options.scaled(4_000);
        let (listener, address) = runtime
            .block_on(async { runtime.spawn_outside(C::listen()).await })
            .map_err(|error| error.to_string())?;
        let accepting = runtime.spawn_outside(async move {
            for _ in 0..CONNECTIONS {
                let stream = C::accept(&listener).await?;
                C::detach(runtime.spawn(serve::<C>(stream)));
            }
            std::io::Result::Ok(())
        });
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let watch = Stopwatch::start();
        let asked = Command::new(program)
            .env(SERVER, address.to_string())
            .env(REQUESTS, each.to_string())
            .output()
            .map_err(|error| error.to_string())?;
        let mut sample = watch.stop(CONNECTIONS * each);
        if !asked.status.success() {
            return Err(String::from_utf8_lossy(&asked.stderr).into_owned());
        }
        runtime
            .block_on(accepting)
            .map_err(|error| error.to_string())?;
        // What counts is the time that the client took, without its start.
        let said = String::from_utf8_lossy(&asked.stdout);
        let (answers, seconds) = said.trim().split_once(' ').unwrap_or_default();
        check("answers", answers.parse(), Ok(CONNECTIONS * each))?;
        let seconds = seconds
            .parse()
            .map_err(|error| format!("{said}: {error}"))?;
        sample.elapsed = Duration::from_secs_f64(seconds);
        Ok(sample)
    }
}

/// If this process is one that asks: asks, prints the answers and the seconds, and gives the exit code.
pub(crate) fn client() -> Option<ExitCode> {
    let server = std::env::var(SERVER).ok()?.parse().ok()?;
    let each = std::env::var(REQUESTS).ok()?.parse().ok()?;
    Some(match ask(server, each) {
        Ok((answers, seconds)) => {
            println!("{answers} {seconds}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

/// One thread asks on all connections in turn, so that the client is as cheap as can be: a request on each, then an
/// answer from each.
fn ask(server: SocketAddr, each: u64) -> std::io::Result<(u64, f64)> {
    let connect = |_| {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS)
        .map(connect)
        .collect::<std::io::Result<_>>()?;
    let watch = Stopwatch::start();
    let mut answers = 0;
    let mut buffer = [0; 1024];
    for stream in &mut streams {
        stream.write_all(REQUEST)?;
    }
    for round in 1..=each {
        for stream in &mut streams {
            let mut filled = 0;
            while !buffer[..filled].ends_with(BODY.as_bytes()) {
                let read = stream.read(&mut buffer[filled..])?;
                if read == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                filled += read;
            }
            if !buffer.starts_with(b"HTTP/1.1 200 OK\r\n") {
                return Err(std::io::Error::other("not the answer that was asked for"));
            }
            answers += 1;
            if round < each {
                stream.write_all(REQUEST)?;
            }
        }
    }
    Ok((answers, watch.stop(answers).elapsed.as_secs_f64()))
}
