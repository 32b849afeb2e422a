//! tokio's helpers over heist, and heist's over a tokio stream.

use crate::{connected, pattern};
use heist::net::TcpStream;
use heist_compat::TokioIo;
use std::io::IoSlice;
use std::pin::Pin;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

async fn tokio_pair() -> (TokioIo<TcpStream>, TokioIo<TcpStream>) {
    let (near, far) = connected().await;
    (TokioIo::new(near), TokioIo::new(far))
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_copies_over_sockets() {
    let (mut near, far) = tokio_pair().await;
    let echoing = heist::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(far);
        let count = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
        count
    });
    let sent = pattern(200_000);
    let (mut reader, mut writer) = tokio::io::split(&mut near);
    let sending = async {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let receiving = async { reader.read_to_end(&mut received).await.unwrap() };
    futures_util::future::join(sending, receiving).await;
    assert!(received == sent, "the bytes come back as they went");
    assert_eq!(echoing.await.unwrap(), 200_000);
}

#[heist::test]
async fn a_read_fills_what_was_never_initialised() {
    let (mut near, mut far) = tokio_pair().await;
    near.write_all(b"hello").await.unwrap();
    let mut buffer = Vec::with_capacity(64);
    let count = far.read_buf(&mut buffer).await.unwrap();
    assert_eq!((count, buffer.as_slice()), (5, b"hello".as_slice()));
    // The second read goes behind the first.
    near.write_all(b" there").await.unwrap();
    far.read_buf(&mut buffer).await.unwrap();
    assert_eq!(buffer, b"hello there");
    near.shutdown().await.unwrap();
    assert_eq!(far.read_buf(&mut buffer).await.unwrap(), 0);
}

#[heist::test]
async fn vectored_writes_stay_vectored() {
    let (mut near, mut far) = tokio_pair().await;
    assert!(near.is_write_vectored());
    let slices = [
        IoSlice::new(b"one "),
        IoSlice::new(b"two "),
        IoSlice::new(b"three"),
    ];
    let count =
        std::future::poll_fn(|cx| Pin::new(&mut near).poll_write_vectored(cx, &slices)).await;
    assert_eq!(count.unwrap(), 13, "one call takes all three slices");
    let mut buffer = [0; 13];
    far.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"one two three");
}

#[heist::test]
async fn the_halves_of_a_socket_are_guests_too() {
    let (near, far) = connected().await;
    let (reader, _writer) = near.into_split();
    let (_reader, writer) = far.into_split();
    let (mut reader, mut writer) = (TokioIo::new(reader), TokioIo::new(writer));
    writer.write_u64(7).await.unwrap();
    assert_eq!(reader.read_u64().await.unwrap(), 7);
}

#[heist::test]
async fn a_tokio_stream_has_the_runtimes_traits() {
    use heist::io::{AsyncReadExt, AsyncWriteExt};
    let (near, far) = tokio::io::duplex(4);
    let (mut near, mut far) = (TokioIo::new(near), TokioIo::new(far));
    let sending = async {
        near.write_all(b"more than four bytes").await.unwrap();
        near.close().await.unwrap();
    };
    let mut received = Vec::new();
    let receiving = async { far.read_to_end(&mut received).await.unwrap() };
    futures_util::future::join(sending, receiving).await;
    assert_eq!(received, b"more than four bytes");
}
