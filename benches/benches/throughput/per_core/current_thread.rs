//! heist and tokio used the same way: a current-thread runtime a core.

use super::Pair;
use crate::echo::{ask, serve};
use heist_benches::contender::{Heist, Tokio};
use heist_benches::runner::Entry;
use std::io;

pub(super) fn heist<const N: u64>() -> Entry {
    Entry {
        name: "heist, a runtime a core",
        run: |options| {
            super::run(options, N, |mut pairs, each| {
                let runtime = heist::runtime::Builder::new_current_thread()
                    .build_local()
                    .map_err(io::Error::other)?;
                Ok(move || runtime.block_on(on_heist(std::mem::take(&mut pairs), each)))
            })
        },
    }
}

async fn on_heist(pairs: Vec<Pair>, each: u64) -> io::Result<u64> {
    let mut clients = Vec::new();
    for pair in pairs {
        let answering = heist::net::TcpStream::from_std(pair.answering)?;
        let asking = heist::net::TcpStream::from_std(pair.asking)?;
        drop(heist::spawn(serve::<Heist>(answering)));
        clients.push(heist::spawn(ask::<Heist>(asking, pair.first, each)));
    }
    sum(clients).await
}

pub(super) fn tokio<const N: u64>() -> Entry {
    Entry {
        name: "tokio, a runtime a core",
        run: |options| {
            super::run(options, N, |mut pairs, each| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                Ok(move || runtime.block_on(on_tokio(std::mem::take(&mut pairs), each)))
            })
        },
    }
}

async fn on_tokio(pairs: Vec<Pair>, each: u64) -> io::Result<u64> {
    let mut clients = Vec::new();
    for pair in pairs {
        for end in [&pair.answering, &pair.asking] {
            end.set_nonblocking(true)?;
        }
        let answering = tokio::net::TcpStream::from_std(pair.answering)?;
        let asking = tokio::net::TcpStream::from_std(pair.asking)?;
        drop(tokio::spawn(serve::<Tokio>(answering)));
        clients.push(tokio::spawn(ask::<Tokio>(asking, pair.first, each)));
    }
    sum(clients).await
}

/// What came back of all of them.
async fn sum<J, E>(clients: Vec<J>) -> io::Result<u64>
where
    J: Future<Output = Result<io::Result<u64>, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut same = 0;
    for client in clients {
        same += client.await.map_err(io::Error::other)??;
    }
    Ok(same)
}
