//! TCP over loopback: an echo with one message of 64 bytes under way on each connection, and a stream of 16 KB writes.

#[cfg(target_os = "linux")]
use crate::per_core;
use crate::{Workload, check};
#[cfg(target_os = "linux")]
use heist_benches::runner::Entry;
use heist_benches::runner::Options;
use heist_benches::table::Figure;
use heist_benches::{Contender, Sample, Stopwatch};
use std::io;

pub(crate) const CONNECTIONS: u64 = 64;
pub(crate) const BYTES: usize = 64;

/// With this many connections.
pub(crate) struct Echo<const N: u64>;

/// Sends back what comes, until the other end closes.
pub(crate) async fn serve<C: Contender>(mut stream: C::Stream) {
    let mut message = [0; BYTES];
    while C::read_exact(&mut stream, &mut message).await.is_ok() {
        if C::write_all(&mut stream, &message).await.is_err() {
            return;
        }
    }
}

/// The message with this number: each byte tells which one it is of.
pub(crate) fn message(number: u64) -> [u8; BYTES] {
    let mut bytes = [number as u8; BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// The messages of each of so many connections: the more there are, the fewer each has.
pub(crate) fn each(connections: u64, options: &Options) -> u64 {
    options.scaled(CONNECTIONS * 2_000 / connections)
}

/// Counts the messages that came back as they went.
pub(crate) async fn ask<C: Contender>(
    mut stream: C::Stream,
    first: u64,
    count: u64,
) -> io::Result<u64> {
    let mut same = 0;
    let mut answer = [0; BYTES];
    for number in first..first + count {
        let question = message(number);
        C::write_all(&mut stream, &question).await?;
        C::read_exact(&mut stream, &mut answer).await?;
        same += u64::from(answer == question);
    }
    Ok(same)
}

async fn run<C: Contender>(runtime: C, connections: u64, each: u64) -> io::Result<(Sample, u64)> {
    let (listener, address) = C::listen().await?;
    let mut clients = Vec::new();
    for _ in 0..connections {
        let client = C::connect(address).await?;
        C::detach(runtime.spawn(serve::<C>(C::accept(&listener).await?)));
        clients.push(client);
    }
    let watch = Stopwatch::start();
    let clients: Vec<_> = (0..)
        .zip(clients)
        .map(|(index, client)| runtime.spawn(ask::<C>(client, index * each, each)))
        .collect();
    let mut same = 0;
    for client in clients {
        same += client.await?;
    }
    Ok((watch.stop(connections * each), same))
}

impl<const N: u64> Workload for Echo<N> {
    const NAME: &'static str = match N {
        CONNECTIONS => "tcp_echo",
        _ => "tcp_echo_many",
    };
    const FIGURE: Figure = match N {
        CONNECTIONS => Figure::rate("messages/s, 64 connections of 64 bytes"),
        _ => Figure::rate("messages/s, 512 connections of 64 bytes"),
    };
    const FITS_ONE_THREAD: bool = true;

    #[cfg(target_os = "linux")]
    fn others() -> Vec<Entry> {
        per_core::entries::<N>()
    }

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let each = each(N, options);
        let (sample, same) = runtime
            .on_a_worker(async move { run(runtime, N, each).await })
            .map_err(|error| error.to_string())?;
        check("messages that came back", same, N * each)?;
        Ok(sample)
    }
}

const CHUNK: usize = 16 * 1024;

/// Four connections, each written to in chunks of 16 KB and read from in the same.
pub(crate) struct Bulk;

async fn drain<C: Contender>(mut stream: C::Stream, chunks: u64) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut sum = 0;
    for _ in 0..chunks {
        C::read_exact(&mut stream, &mut buffer).await?;
        sum += u64::from(buffer[CHUNK - 1]);
    }
    Ok(sum)
}

async fn bulk<C: Contender>(runtime: C, chunks: u64) -> io::Result<(Sample, u64)> {
    let (listener, address) = C::listen().await?;
    let mut ends = Vec::new();
    for _ in 0..4 {
        let client = C::connect(address).await?;
        ends.push((client, C::accept(&listener).await?));
    }
    let watch = Stopwatch::start();
    let tasks: Vec<_> = ends
        .into_iter()
        .map(|(mut client, server)| {
            let reader = runtime.spawn(drain::<C>(server, chunks));
            let writer = runtime.spawn(async move {
                let chunk = vec![1; CHUNK];
                for _ in 0..chunks {
                    C::write_all(&mut client, &chunk).await?;
                }
                Ok::<_, io::Error>(client)
            });
            (reader, writer)
        })
        .collect();
    let mut sum = 0;
    for (reader, writer) in tasks {
        sum += reader.await?;
        drop(writer.await?);
    }
    Ok((watch.stop(4 * chunks * CHUNK as u64), sum))
}

impl Workload for Bulk {
    const NAME: &'static str = "tcp_bulk";
    const FIGURE: Figure = Figure::rate("bytes/s in writes of 16 KB on 4 connections");
    const FITS_ONE_THREAD: bool = true;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let chunks = options.scaled(20_000);
        let (sample, sum) = runtime
            .on_a_worker(async move { bulk(runtime, chunks).await })
            .map_err(|error| error.to_string())?;
        check("chunks that came through", sum, 4 * chunks)?;
        Ok(sample)
    }
}
