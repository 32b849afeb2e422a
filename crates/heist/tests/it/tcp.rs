//! TCP over loopback.

use crate::support::{on_all, workers};
use futures_util::future::{FutureExt, join};
use heist::io::{AsyncReadExt, AsyncWriteExt, Interest};
use heist::net::{TcpListener, TcpStream};
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::net::SocketAddr;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

async fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listener().await;
    let (client, server) = join(TcpStream::connect(addr), listener.accept()).await;
    (client.unwrap(), server.unwrap().0)
}

#[test]
fn many_connections_echo() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (listener, addr) = listener().await;
            let server = heist::spawn(async move {
                for _ in 0..50 {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    drop(heist::spawn(async move {
                        let mut buf = [0; 256];
                        loop {
                            match stream.read(&mut buf).await.unwrap() {
                                0 => break,
                                n => stream.write_all(&buf[..n]).await.unwrap(),
                            }
                        }
                    }));
                }
            });
            let clients: Vec<_> = (0..50_u8)
                .map(|i| {
                    heist::spawn(async move {
                        let mut stream = TcpStream::connect(addr).await.unwrap();
                        stream.set_nodelay(true).unwrap();
                        for round in 0..20_u8 {
                            let sent = [i ^ round; 64];
                            stream.write_all(&sent).await.unwrap();
                            let mut got = [0; 64];
                            stream.read_exact(&mut got).await.unwrap();
                            assert_eq!(got, sent);
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
            server.await.unwrap();
        });
    });
}

/// [I4]
#[test]
fn an_end_that_came_with_the_data_is_seen() {
    on_all(|runtime| {
        runtime.block_on(async {
            for _ in 0..100 {
                let (mut client, mut server) = pair().await;
                client.write_all(b"last words").await.unwrap();
                drop(client);
                // The first read is short; the end must be found although no event follows.
                let mut buf = [0; 64];
                assert_eq!(server.read(&mut buf).await.unwrap(), 10);
                assert_eq!(server.read(&mut buf).await.unwrap(), 0);
                assert_eq!(server.read(&mut buf).await.unwrap(), 0, "the end stays");
            }
        });
    });
}

#[test]
fn large_transfers_arrive_whole() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (mut client, mut server) = pair().await;
            let data: Vec<u8> = (0..4_000_000_u32).map(|i| (i % 251) as u8).collect();
            let sent = data.clone();
            let writer = heist::spawn(async move {
                client.write_all(&sent).await.unwrap();
                client.close().await.unwrap();
                client
            });
            let mut got = Vec::new();
            server.read_to_end(&mut got).await.unwrap();
            assert!(got == data);
            drop(writer.await.unwrap());
        });
    });
}

#[test]
fn a_refused_connection_is_an_error() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (listener, addr) = listener().await;
        drop(listener);
        let error = TcpStream::connect(addr).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn connect_tries_every_address() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (dead, dead_addr) = listener().await;
        drop(dead);
        let (listener, addr) = listener().await;
        let addrs = [dead_addr, addr];
        let (client, server) = join(TcpStream::connect(&addrs[..]), listener.accept()).await;
        assert_eq!(client.unwrap().peer_addr().unwrap(), addr);
        server.unwrap();
        let none: [SocketAddr; 0] = [];
        let error = TcpStream::connect(&none[..]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn names_are_resolved_off_the_workers() {
    let runtime = workers(1);
    runtime.block_on(async {
        let addrs: Vec<_> = heist::net::lookup_host("localhost:80")
            .await
            .unwrap()
            .collect();
        assert!(
            addrs
                .iter()
                .all(|addr| addr.ip().is_loopback() && addr.port() == 80)
        );
        assert!(!addrs.is_empty());
        let pair: Vec<_> = heist::net::lookup_host(("localhost", 81))
            .await
            .unwrap()
            .collect();
        assert!(pair.iter().all(|addr| addr.port() == 81));
        assert!(heist::net::lookup_host("no port here").await.is_err());
    });
}

#[test]
fn peek_leaves_what_it_saw() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (mut client, mut server) = pair().await;
        client.write_all(b"abc").await.unwrap();
        let mut buf = [0; 3];
        assert_eq!(server.peek(&mut buf[..2]).await.unwrap(), 2);
        server.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"abc");
    });
}

#[test]
fn vectored_reads_and_writes() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (mut client, mut server) = pair().await;
        let parts = [std::io::IoSlice::new(b"ab"), std::io::IoSlice::new(b"cde")];
        assert_eq!(client.write_vectored(&parts).await.unwrap(), 5);
        let (mut a, mut b) = ([0; 1], [0; 4]);
        let mut bufs = [
            std::io::IoSliceMut::new(&mut a),
            std::io::IoSliceMut::new(&mut b),
        ];
        assert_eq!(server.read_vectored(&mut bufs).await.unwrap(), 5);
        assert_eq!((&a, &b), (b"a", b"bcde"));
    });
}

#[test]
fn halves_work_in_two_tasks_and_come_together_again() {
    let runtime = workers(2);
    runtime.block_on(async {
        let (client, mut server) = pair().await;
        let (mut read, mut write) = client.into_split();
        let writer = heist::spawn(async move {
            write.write_all(b"ping").await.unwrap();
            write
        });
        let mut buf = [0; 4];
        server.read_exact(&mut buf).await.unwrap();
        server.write_all(&buf).await.unwrap();
        read.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"ping");
        let write = writer.await.unwrap();
        let (stranger, _other) = pair().await.0.into_split();
        let unrelated = write.reunite(stranger).unwrap_err();
        let client = unrelated.1.reunite(read).unwrap();
        // Dropping the writing half shuts the side.
        let (_read, write) = client.into_split();
        drop(write);
        assert_eq!(server.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn borrowed_halves_echo_themselves() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (mut client, server) = pair().await;
        let echo = heist::spawn(async move {
            let (mut read, mut write) = server.split();
            heist::io::copy(&mut read, &mut write).await.unwrap()
        });
        client.write_all(b"over and out").await.unwrap();
        client.close().await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "over and out");
        assert_eq!(echo.await.unwrap(), 12);
    });
}

#[test]
#[cfg(unix)]
fn reads_into_memory_that_was_never_written() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (mut client, server) = pair().await;
        let mut buf = [const { MaybeUninit::uninit() }; 64];
        let writer = heist::spawn(async move {
            heist::task::yield_now().await;
            client.write_all(b"fresh").await.unwrap();
            client
        });
        let read = std::future::poll_fn(|cx| {
            server
                .poll_read_uninit(cx, &mut buf)
                .map_ok(|part| part.to_vec())
        });
        assert_eq!(read.await.unwrap(), b"fresh");
        drop(writer.await.unwrap());
        let end = std::future::poll_fn(|cx| {
            server
                .poll_read_uninit(cx, &mut buf)
                .map_ok(|part| part.len())
        });
        assert_eq!(end.await.unwrap(), 0);
    });
}

#[test]
fn trying_without_waiting() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (client, server) = pair().await;
        let mut buf = [0; 8];
        assert_eq!(
            server.try_read(&mut buf).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert_eq!(client.try_write(b"hi").unwrap(), 2);
        let ready = server.ready(Interest::READABLE).await.unwrap();
        assert!(ready.is_readable() && !ready.is_read_closed());
        assert_eq!(server.try_read(&mut buf).unwrap(), 2);
        drop(client);
        // The end may be read before its event has come, but nothing else. Not every poller has
        // an event for it.
        loop {
            server.readable().await.unwrap();
            match server.try_read(&mut buf) {
                Ok(n) => break assert_eq!(n, 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert_eq!(server.try_read(&mut buf).unwrap(), 0);
    });
}

#[test]
fn a_cancelled_read_loses_nothing() {
    let runtime = workers(2);
    runtime.block_on(async {
        let (mut client, mut server) = pair().await;
        for i in 0..100_u8 {
            let mut buf = [0; 1];
            let cancelled = futures_util::poll!(server.read(&mut buf));
            assert!(cancelled.is_pending());
            client.write_all(&[i]).await.unwrap();
            server.read_exact(&mut buf).await.unwrap();
            assert_eq!(buf, [i]);
        }
    });
}

#[test]
fn several_tasks_accept_from_one_listener() {
    let runtime = workers(2);
    runtime.block_on(async {
        let (listener, addr) = listener().await;
        let listener = std::sync::Arc::new(listener);
        let servers: Vec<_> = (0..4)
            .map(|_| {
                let listener = listener.clone();
                heist::spawn(async move { listener.accept().await.unwrap() })
            })
            .collect();
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(TcpStream::connect(addr).await.unwrap());
        }
        for server in servers {
            server.await.unwrap();
        }
    });
}

#[test]
fn a_stream_goes_to_std_and_back() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (client, mut server) = pair().await;
        let std = client.into_std().unwrap();
        let mut client = TcpStream::from_std(std).unwrap();
        client.write_all(b"x").await.unwrap();
        let mut buf = [0; 1];
        server.read_exact(&mut buf).await.unwrap();
    });
}

/// Whatever mode the standard library's sockets are in, no read of ours blocks its worker.
#[test]
fn sockets_that_block_are_taken_over_and_block_no_more() {
    on_all(|runtime| {
        runtime.block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::from_std(client).unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            let udp = heist::net::UdpSocket::from_std(udp).unwrap();
            let mut buf = [0; 8];
            assert!(listener.accept().now_or_never().is_none());
            assert!(client.read(&mut buf).now_or_never().is_none());
            assert!(udp.recv(&mut buf).now_or_never().is_none());
            TcpStream::from_std(server)
                .unwrap()
                .write_all(b"x")
                .await
                .unwrap();
            assert_eq!(client.read(&mut buf).await.unwrap(), 1);
        });
    });
}
