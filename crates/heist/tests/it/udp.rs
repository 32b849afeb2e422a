//! UDP over loopback.

use crate::support::workers;
use heist::net::UdpSocket;
use std::io::ErrorKind;
use std::sync::Arc;

#[test]
fn datagrams_keep_their_bounds_and_senders() {
    let runtime = workers(2);
    runtime.block_on(async {
        let a = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let b = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = b.local_addr().unwrap();
        for size in [0, 1, 100, 1400] {
            assert_eq!(a.send_to(&vec![7; size], to).await.unwrap(), size);
        }
        let mut buf = [0; 2000];
        assert_eq!(b.peek_from(&mut buf).await.unwrap().0, 0);
        for size in [0, 1, 100, 1400] {
            let (n, from) = b.recv_from(&mut buf).await.unwrap();
            assert_eq!((n, from), (size, a.local_addr().unwrap()));
        }
        assert_eq!(
            b.try_recv_from(&mut buf).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn many_receivers_share_a_socket() {
    let runtime = workers(2);
    runtime.block_on(async {
        let receiver = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let to = receiver.local_addr().unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let receiver = receiver.clone();
                heist::spawn(async move {
                    let mut buf = [0; 4];
                    receiver.recv(&mut buf).await.unwrap()
                })
            })
            .collect();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.connect(to).await.unwrap();
        for _ in 0..20 {
            sender.send(b"tick").await.unwrap();
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), 4);
        }
    });
}

#[test]
fn an_error_report_does_not_stop_the_socket() {
    let runtime = workers(1);
    runtime.block_on(async {
        let a = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = gone.local_addr().unwrap();
        drop(gone);
        a.connect(addr).await.unwrap();
        a.send(b"nobody").await.unwrap();
        let mut buf = [0; 8];
        // The ICMP answer comes as an error, once; then the socket waits for data again.
        assert_eq!(
            a.recv(&mut buf).await.unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        assert!(futures_util::poll!(Box::pin(a.recv(&mut buf))).is_pending());
    });
}
