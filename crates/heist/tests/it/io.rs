//! Foreign descriptors.
#![cfg(unix)]

use crate::support::{on_all, workers};
use heist::io::{AsyncFd, Interest};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

fn pair() -> (AsyncFd<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (AsyncFd::new(ours).unwrap(), theirs)
}

#[test]
fn readiness_comes_and_is_taken_back() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (ours, mut theirs) = pair();
            let mut buf = [0; 8];
            for _ in 0..20 {
                theirs.write_all(b"abc").unwrap();
                let mut guard = ours.readable().await.unwrap();
                assert!(guard.ready().is_readable());
                let read = guard
                    .try_io(|fd| fd.get_ref().read(&mut buf))
                    .unwrap()
                    .unwrap();
                assert_eq!(read, 3);
                let empty = guard.try_io(|fd| fd.get_ref().read(&mut buf));
                assert!(empty.is_err(), "cleared");
                assert!(futures_util::poll!(Box::pin(ours.readable())).is_pending());
            }
        });
    });
}

#[test]
fn a_clear_does_not_lose_an_event_that_came_meanwhile() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (ours, mut theirs) = pair();
        let mut buf = [0; 8];
        for _ in 0..50 {
            theirs.write_all(b"a").unwrap();
            let mut stale = ours.readable().await.unwrap();
            assert_eq!(ours.get_ref().read(&mut buf).unwrap(), 1);
            theirs.write_all(b"b").unwrap();
            // Wait until the driver has seen the second one: another descriptor's event, in the
            // same or a later turn, proves it.
            let (other, mut writer) = pair();
            writer.write_all(b"!").unwrap();
            drop(other.readable().await.unwrap());
            stale.clear_ready();
            let mut fresh = ours.readable().await.unwrap();
            assert_eq!(
                fresh
                    .try_io(|fd| fd.get_ref().read(&mut buf))
                    .unwrap()
                    .unwrap(),
                1
            );
        }
    });
}

#[test]
fn every_waiter_is_woken() {
    let runtime = workers(2);
    runtime.block_on(async {
        let (ours, mut theirs) = pair();
        let ours = std::sync::Arc::new(ours);
        let waiters: Vec<_> = (0..10)
            .map(|_| {
                let ours = ours.clone();
                heist::spawn(async move { ours.readable().await.map(drop) })
            })
            .collect();
        theirs.write_all(b"x").unwrap();
        for waiter in waiters {
            waiter.await.unwrap().unwrap();
        }
        let both = ours
            .ready(Interest::READABLE | Interest::WRITABLE)
            .await
            .unwrap();
        assert!(both.ready().is_readable());
    });
}

#[test]
fn the_end_is_readable() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (ours, theirs) = pair();
        drop(theirs);
        let mut guard = ours.readable().await.unwrap();
        let mut buf = [0; 1];
        assert_eq!(
            guard
                .try_io(|fd| fd.get_ref().read(&mut buf))
                .unwrap()
                .unwrap(),
            0
        );
        let inner = ours.into_inner().unwrap();
        assert_eq!(
            (&inner).write(b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn a_regular_file_is_refused() {
    let runtime = workers(1);
    let _guard = runtime.enter();
    let file = std::fs::File::open("Cargo.toml").unwrap();
    assert!(AsyncFd::new(file).is_err());
}
