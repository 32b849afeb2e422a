//! Readiness, held to a model of two flags; and who is woken.

use crate::driver::source::{Readiness, Side, Source};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn set(source: &Source, tick: usize, ready: Readiness) -> usize {
    let mut wakers = Vec::new();
    source.set(tick, ready, &mut wakers);
    let n = wakers.len();
    wakers.into_iter().for_each(Waker::wake);
    n
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Event(bool, bool),
    Look,
    ClearRead,
    ClearWrite,
    CloseRead,
}

proptest! {
    /// [I1, I3]: an event sets, a clear that has seen the newest event clears, a stale one does
    /// not, and the end stays.
    #[test]
    fn it_is_two_flags_and_an_end(ops in prop::collection::vec(prop_oneof![
        3 => (any::<bool>(), any::<bool>()).prop_map(|(r, w)| Op::Event(r, w)),
        2 => Just(Op::Look),
        2 => Just(Op::ClearRead),
        2 => Just(Op::ClearWrite),
        1 => Just(Op::CloseRead),
    ], 0..60)) {
        let source = Source::new(Readiness::NONE);
        let (mut read, mut write, mut closed, mut tick) = (false, false, false, 0);
        // What was seen at the last look, and when.
        let mut seen = (source.seen(Readiness::READ), source.seen(Readiness::WRITE), 0);
        for op in ops {
            match op {
                Op::Event(r, w) => {
                    tick += 1;
                    let mut ready = Readiness::NONE;
                    if r { ready |= Readiness::READABLE; }
                    if w { ready |= Readiness::WRITABLE; }
                    set(&source, tick, ready);
                    read |= r;
                    write |= w;
                }
                Op::CloseRead => {
                    tick += 1;
                    set(&source, tick, Readiness::READ_CLOSED);
                    closed = true;
                }
                Op::Look => {
                    seen = (source.seen(Readiness::READ), source.seen(Readiness::WRITE), tick);
                }
                Op::ClearRead => {
                    source.clear(seen.0);
                    if seen.2 == tick && seen.0.ready.intersects(Readiness::READABLE) {
                        read = false;
                    }
                }
                Op::ClearWrite => {
                    source.clear(seen.1);
                    if seen.2 == tick && seen.1.ready.intersects(Readiness::WRITABLE) {
                        write = false;
                    }
                }
            }
            let now = source.seen(Readiness::READ | Readiness::WRITE).ready;
            prop_assert_eq!(now.intersects(Readiness::READABLE), read);
            prop_assert_eq!(now.intersects(Readiness::WRITABLE), write);
            prop_assert_eq!(now.intersects(Readiness::READ_CLOSED), closed);
        }
    }
}

#[test]
fn an_event_wakes_those_whom_it_concerns() {
    let source = Source::new(Readiness::NONE);
    let (reader, writer) = (Arc::new(Counting::default()), Arc::new(Counting::default()));
    let (read_waker, write_waker) = (Waker::from(reader.clone()), Waker::from(writer.clone()));
    let mut read = Context::from_waker(&read_waker);
    let mut write = Context::from_waker(&write_waker);
    assert!(source.poll_ready(Side::Read, &mut read).is_pending());
    assert!(source.poll_ready(Side::Write, &mut write).is_pending());
    let (mut a, mut b) = (None, None);
    assert!(
        source
            .poll_shared(Readiness::READ, &mut a, &mut read)
            .is_pending()
    );
    assert!(
        source
            .poll_shared(Readiness::WRITE, &mut b, &mut write)
            .is_pending()
    );
    assert_eq!(set(&source, 1, Readiness::READABLE), 2);
    assert_eq!(
        (
            reader.0.load(Ordering::SeqCst),
            writer.0.load(Ordering::SeqCst)
        ),
        (2, 0)
    );
    assert_eq!(
        set(&source, 2, Readiness::READABLE),
        0,
        "nobody waits for it any more"
    );
    // An error concerns everyone.
    assert_eq!(set(&source, 3, Readiness::ERROR), 2);
    assert_eq!(writer.0.load(Ordering::SeqCst), 2);
}

#[test]
fn a_waiter_that_gave_up_is_forgotten() {
    let source = Source::new(Readiness::NONE);
    let mut cx = Context::from_waker(Waker::noop());
    let mut ids = [None; 3];
    for id in &mut ids {
        assert!(
            source
                .poll_shared(Readiness::READ, id, &mut cx)
                .is_pending()
        );
    }
    source.cancel_shared(&mut ids[1]);
    assert_eq!(ids[1], None);
    assert_eq!(set(&source, 1, Readiness::READABLE), 2);
}

#[test]
fn an_error_can_be_cleared_and_an_end_cannot() {
    let source = Source::new(Readiness::NONE);
    set(&source, 1, Readiness::ERROR | Readiness::READ_CLOSED);
    source.clear(source.seen(Readiness::READ));
    let left = source.seen(Readiness::READ).ready;
    assert!(!left.intersects(Readiness::ERROR));
    assert!(left.intersects(Readiness::READ_CLOSED));
}
