//! The budget of a poll: how long a task may go on finding its leaves ready.
//!
//! A task whose sockets, timers and joins are always ready would never return `Pending`, and
//! nothing else would run on its worker. So every leaf of this crate asks [`poll_proceed`] first.
//! It counts down a few cheap looks, then reads the cycle counter; once the poll has lasted
//! half of [`LIMIT`], the leaf wakes its task and says `Pending` although it could go on. The budget
//! is a time and not a count, because a thousand reads of 50 ns are no harm and twenty of 1 ms are; and it
//! is well below the limit, so that a task which keeps to it is never taken for one that computes.
//!
//! Outside a poll that a scheduler started, every leaf proceeds.
//!
//! # How long a poll was
//!
//! The counter goes on while the kernel has taken the processor away, so a poll that was long by it may have
//! computed little. For one that was, the thread's time on a processor is asked ([`Length::Computed`]): it
//! is compared with an earlier reading ([`note_cpu`]), which a worker renews every few milliseconds, and what the thread was
//! off the processor since then is taken off the poll.
//!
//! Tests: `budget/tests.rs`.

#[cfg(test)]
mod tests;

use crate::clock::thread_cpu_nanos;
use crate::clock::tsc::{Scale, Ticks};
use std::cell::Cell;
use std::task::{Context, Poll};
use std::time::Duration;

/// A poll that is longer holds others up.
pub(crate) const LIMIT: Duration = Duration::from_micros(500);

/// A poll may go on for this part of the limit before its leaves make it yield.
const PART: u64 = 2;

/// A poll that takes this part of its budget is slow: some 60 µs.
const SLOW_PART: u64 = 4;

/// Looks between two reads of the cycle counter.
const LOOKS: u32 = 16;

thread_local! {
    /// Looks left; `UNLIMITED` outside a poll.
    static LEFT: Cell<u32> = const { Cell::new(UNLIMITED) };
    static DEADLINE: Cell<u64> = const { Cell::new(u64::MAX) };
    static BEGAN: Cell<u64> = const { Cell::new(0) };
    static ENDED: Cell<u64> = const { Cell::new(0) };
    /// A moment, and the thread's time on a processor then, in nanoseconds; zeros where none was noted.
    static CPU: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// How old the reading of the thread's time may become while it works.
const CPU_AGE: Duration = Duration::from_millis(5);

/// How long a poll was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Short,
    /// Longer than [`LIMIT`]; or the kernel took the processor away meanwhile.
    Long,
    /// Longer than [`LIMIT`], on a processor.
    Computed,
}

impl Length {
    pub(crate) fn is_long(self) -> bool {
        self != Length::Short
    }
}

/// Notes the thread's time on a processor, if the last note is old.
pub(crate) fn note_cpu(now: Ticks) {
    let age = Scale::get().nanos(now.since(Ticks(CPU.get().0)));
    if u128::from(age) > CPU_AGE.as_nanos() {
        CPU.set((now.0, thread_cpu_nanos().unwrap_or(0)));
    }
}

/// The thread has slept since the last note, which says nothing any more.
#[inline]
pub(crate) fn forget_cpu() {
    CPU.set((0, 0));
}

/// There is a note to tell by how long a poll computed.
pub(crate) fn knows_cpu() -> bool {
    CPU.get().1 != 0
}

/// What of a poll that ends now was spent on a processor, at least, in nanoseconds.
#[cold]
fn computed(now: Ticks) -> u64 {
    let scale = Scale::get();
    let Some(cpu) = thread_cpu_nanos() else {
        return 0;
    };
    let (then, cpu_then) = CPU.get();
    if cpu_then == 0 {
        return 0;
    }
    let since_note = scale.nanos(now.since(Ticks(then)));
    let off_processor = since_note.saturating_sub(cpu.saturating_sub(cpu_then));
    let lasted = scale.nanos(now.since(Ticks(BEGAN.get())));
    lasted.min(since_note).saturating_sub(off_processor)
}

const UNLIMITED: u32 = u32::MAX;

/// A poll begins at `now`; `limit` is [`LIMIT`] in ticks.
#[inline]
pub(crate) fn begin_poll(now: Ticks, limit: u64) {
    LEFT.set(LOOKS);
    BEGAN.set(now.0);
    DEADLINE.set(now.0.saturating_add(limit / PART));
}

/// The moment, as exactly as nobody needs to read the counter for it: that of the poll's begin.
#[inline]
pub(crate) fn about_now() -> Ticks {
    match LEFT.get() {
        UNLIMITED => Scale::get().ticks(),
        _ => Ticks(BEGAN.get()),
    }
}

/// A poll of the scheduler has returned: how long was it, and was it slow, so that what it had woken should not have
/// waited for its end?
#[inline]
pub(crate) fn poll_length() -> (Length, bool) {
    let now = Scale::get().ticks();
    ENDED.set(now.0);
    let began = BEGAN.get();
    let budget = DEADLINE.get() - began;
    let lasted = now.since(Ticks(began));
    let slow = lasted >= budget / SLOW_PART;
    if lasted / PART < budget {
        return (Length::Short, slow);
    }
    match u128::from(computed(now)) >= LIMIT.as_nanos() {
        true => (Length::Computed, slow),
        false => (Length::Long, slow),
    }
}

/// The moment of the last `poll_length`, once.
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
