//! The budget of a poll: how long a task may go on finding its leaves ready.
//!
//! A task whose sockets, timers and joins are always ready would never return `Pending`, and
//! nothing else would run on its worker. So every leaf of this crate asks [`poll_proceed`] first.
//! It counts down a few cheap looks, then reads the cycle counter; once the poll has lasted
//! [`LIMIT`], the leaf wakes its task and says `Pending` although it could go on. The limit is a
//! time and not a count, because a thousand reads of 50 ns are no harm and twenty of 1 ms are.
//!
//! Outside a poll that a scheduler started, every leaf proceeds.

use crate::clock::tsc::{Scale, Ticks};
use std::cell::Cell;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a poll may go on before its leaves make it yield.
pub(crate) const LIMIT: Duration = Duration::from_millis(1);

/// Looks between two reads of the cycle counter.
const LOOKS: u32 = 32;

thread_local! {
    /// Looks left; `UNLIMITED` outside a poll.
    static LEFT: Cell<u32> = const { Cell::new(UNLIMITED) };
    static DEADLINE: Cell<u64> = const { Cell::new(u64::MAX) };
    static BEGAN: Cell<u64> = const { Cell::new(0) };
    static ENDED: Cell<u64> = const { Cell::new(0) };
}

const UNLIMITED: u32 = u32::MAX;

/// A poll begins at `now`; `limit` is [`LIMIT`] in ticks.
#[inline]
pub(crate) fn begin_poll(now: Ticks, limit: u64) {
    LEFT.set(LOOKS);
    BEGAN.set(now.0);
    DEADLINE.set(now.0.saturating_add(limit));
}

/// The moment, as exactly as nobody needs to read the counter for it: that of the poll's begin.
#[inline]
pub(crate) fn about_now() -> Ticks {
    match LEFT.get() {
        UNLIMITED => Scale::get().ticks(),
        _ => Ticks(BEGAN.get()),
    }
}

/// A poll of the scheduler has returned: was it longer than the limit?
#[inline]
pub(crate) fn poll_was_long() -> bool {
    let now = Scale::get().ticks();
    ENDED.set(now.0);
    now.0 >= DEADLINE.get()
}

/// The moment of the last `poll_was_long`, once.
#[inline]
pub(crate) fn take_end() -> Option<Ticks> {
    match ENDED.replace(0) {
        0 => None,
        ticks => Some(Ticks(ticks)),
    }
}

/// Lifts the limit while the thread polls a future by itself, inside a poll of the scheduler:
/// nobody waits for it to yield, and a self-wake would be polled again at once. The limit comes
/// back with the drop.
#[derive(Debug)]
pub(crate) struct Lifted(u32);

pub(crate) fn lift() -> Lifted {
    Lifted(LEFT.replace(UNLIMITED))
}

impl Drop for Lifted {
    fn drop(&mut self) {
        LEFT.set(self.0);
    }
}

/// The poll is over.
#[inline]
pub(crate) fn end_poll() {
    LEFT.set(UNLIMITED);
}

/// `Pending`, with the task woken, if this poll has used its time up.
#[inline]
pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<()> {
    match LEFT.get() {
        UNLIMITED => Poll::Ready(()),
        0 => poll_clock(cx),
        left => {
            LEFT.set(left - 1);
            Poll::Ready(())
        }
    }
}

#[cold]
fn poll_clock(cx: &mut Context<'_>) -> Poll<()> {
    if Scale::get().ticks().0 < DEADLINE.get() {
        LEFT.set(LOOKS);
        return Poll::Ready(());
    }
    // LEFT stays 0: every further leaf of this poll yields too.
    cx.waker().wake_by_ref();
    Poll::Pending
}
