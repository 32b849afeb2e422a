//! TCP echo: 64 connections over loopback, one message of 64 bytes under way on each.

#[cfg(target_os = "linux")]
use crate::floor;
use crate::{Workload, check};
#[cfg(target_os = "linux")]
use heist_benches::runner::Entry;
use heist_benches::runner::Options;
use heist_benches::table::Figure;
use heist_benches::{Contender, Sample, Stopwatch};
use std::io;

pub(crate) const CONNECTIONS: u64 = 64;
pub(crate) const BYTES: usize = 64;

pub(crate) struct Echo;

/// Sends back what comes, until the other end closes.
async fn serve<C: Contender>(mut stream: C::Stream) {
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

/// Counts the messages that came back as they went.
async fn ask<C: Contender>(mut stream: C::Stream, first: u64, count: u64) -> io::Result<u64> {
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

async fn run<C: Contender>(runtime: C, each: u64) -> io::Result<(Sample, u64)> {
    let (listener, address) = C::listen().await?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
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
    Ok((watch.stop(CONNECTIONS * each), same))
}

impl Workload for Echo {
    const NAME: &'static str = "tcp_echo";
    const FIGURE: Figure = Figure::rate("messages/s, 64 connections of 64 bytes");
    const FITS_ONE_THREAD: bool = true;
    #[cfg(target_os = "linux")]
    const FLOOR: Option<Entry> = Some(floor::ECHO);

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let each = options.scaled(1_000);
        let (sample, same) = runtime
            .on_a_worker(async move { run(runtime, each).await })
            .map_err(|error| error.to_string())?;
        check("messages that came back", same, CONNECTIONS * each)?;
        Ok(sample)
    }
}
