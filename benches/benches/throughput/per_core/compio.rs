//! compio over io_uring.

use super::Pair;
use crate::echo::{BYTES, message};
use compio::BufResult;
use compio::io::{AsyncReadExt, AsyncWriteExt};
use compio::net::TcpStream;
use compio::runtime::Runtime;
use heist_benches::runner::{Entry, Measured, Options, Outcome};
use std::io;

pub(super) fn entry<const N: u64>() -> Entry {
    Entry {
        name: "compio",
        run: |options| run(options, N),
    }
}

fn run(options: &Options, connections: u64) -> Outcome {
    if let Err(error) = Runtime::new() {
        return Ok(Measured::absent(format!("no io_uring here: {error}")));
    }
    super::run(options, connections, |mut pairs, each| {
        let runtime = Runtime::new()?;
        Ok(move || runtime.block_on(all(std::mem::take(&mut pairs), each)))
    })
}

async fn all(pairs: Vec<Pair>, each: u64) -> io::Result<u64> {
    let mut clients = Vec::new();
    for pair in pairs {
        let asking = TcpStream::from_std(pair.asking)?;
        let answering = TcpStream::from_std(pair.answering)?;
        compio::runtime::spawn(serve(answering)).detach();
        clients.push(compio::runtime::spawn(ask(asking, pair.first, each)));
    }
    let mut same = 0;
    for client in clients {
        same += client.await.expect("no task of a workload fails")?;
    }
    Ok(same)
}

/// Sends back what comes, until the other end closes.
async fn serve(mut stream: TcpStream) {
    let mut message = Box::new([0; BYTES]);
    loop {
        let BufResult(read, filled) = stream.read_exact(message).await;
        if read.is_err() {
            return;
        }
        let BufResult(written, sent) = stream.write_all(filled).await;
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
        let BufResult(written, sent) = stream.write_all(question).await;
        written?;
        let BufResult(read, filled) = stream.read_exact(answer).await;
        read?;
        same += u64::from(filled == sent);
        (question, answer) = (sent, filled);
    }
    Ok(same)
}
