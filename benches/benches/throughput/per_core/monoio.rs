//! monoio: over io_uring, or over epoll where the kernel has no io_uring for us.

use super::Pair;
use crate::echo::{BYTES, message};
use heist_benches::runner::{Entry, Options, Outcome};
use monoio::io::{AsyncReadRentExt, AsyncWriteRentExt};
use monoio::net::TcpStream;
use monoio::{Buildable, Driver, IoUringDriver, LegacyDriver, RuntimeBuilder};
use std::io;

pub(super) fn entry<const N: u64>() -> Entry {
    if monoio::utils::detect_uring() {
        return Entry {
            name: "monoio",
            run: |options| run::<IoUringDriver>(options, N),
        };
    }
    Entry {
        name: "monoio, over epoll",
        run: |options| run::<LegacyDriver>(options, N),
    }
}

fn run<D: Buildable + Driver>(options: &Options, connections: u64) -> Outcome {
    super::run(options, connections, |mut pairs, each| {
        let mut runtime = D::build(RuntimeBuilder::new())?;
        Ok(move || runtime.block_on(all(std::mem::take(&mut pairs), each)))
    })
}

async fn all(pairs: Vec<Pair>, each: u64) -> io::Result<u64> {
    let mut clients = Vec::new();
    for pair in pairs {
        // Over epoll the ends must not block, and over io_uring they must, or a read fails where it should wait.
        for end in [&pair.asking, &pair.answering] {
            end.set_nonblocking(monoio::utils::is_legacy())?;
        }
        let asking = TcpStream::from_std(pair.asking)?;
        let answering = TcpStream::from_std(pair.answering)?;
        monoio::spawn(serve(answering));
        clients.push(monoio::spawn(ask(asking, pair.first, each)));
    }
    let mut same = 0;
    for client in clients {
        same += client.await?;
    }
    Ok(same)
}

/// Sends back what comes, until the other end closes.
async fn serve(mut stream: TcpStream) {
    let mut message = Box::new([0; BYTES]);
    loop {
        let (read, filled) = stream.read_exact(message).await;
        if read.is_err() {
            return;
        }
        let (written, sent) = stream.write_all(filled).await;
        if written.is_err() {
            return;
        }
        message = sent;
    }
}

/// Counts the messages that came back as they went.
async fn ask(mut stream: TcpStream, first: u64, count: u64) -> io::Result<u64> {
    let mut same = 0;
    let mut question = Box::new([0; BYTES]);
    let mut answer = Box::new([0; BYTES]);
    for number in first..first + count {
        *question = message(number);
        let (written, sent) = stream.write_all(question).await;
        written?;
        let (read, filled) = stream.read_exact(answer).await;
        read?;
        same += u64::from(filled == sent);
        (question, answer) = (sent, filled);
    }
    Ok(same)
}
