//! The wrappers over real loopback sockets, and the service that is built on them.

mod hyper_guest;
#[cfg(unix)]
mod service;
mod tokio_guest;

use heist::net::{TcpListener, TcpStream};

/// Two ends of one connection.
async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

/// Bytes that do not repeat with any power of two.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}
