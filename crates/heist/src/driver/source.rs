//! A source: the reactor's half of one file descriptor (or socket).
//!
//! # Protocol
//!
//! Whoever wants to read or write tries the operation first, as long as the readiness word says
//! that it may succeed. On `WouldBlock` it clears the word's bits, and waits. The reactor sets bits
//! when an event comes.
//!
//! - **\[I1\]** Readiness carries the reactor's tick. A clear names the tick that it saw, and has no
//!   effect once another event has come: a stale clear never loses an event.
//! - **\[I2\]** A waiter is registered under the lock, and looks at the word once more after that,
//!   still under the lock. The reactor sets the word first and takes the waiters second. So one of
//!   the two sees the other.
//! - **\[I3\]** Closed and shutdown bits are never cleared: they are the end of waiting. An error bit
//!   is, since a datagram socket survives its errors.
//! - **\[I4\]** A short read clears the read bit at once, which saves the call that would say
//!   `WouldBlock`; but only where the end of the stream is told apart (`READ_CLOSED`), else an end
//!   that came with the data would never be seen.
//!
//! Knows nothing of tasks: it holds `Waker`s. Tests: `driver/tests/source.rs`,
//! `driver/tests/loom.rs` (clear against event, wait against event).

use crate::sync::atomic::Ordering::{AcqRel, Acquire};
use crate::sync::{AtomicUsize, Mutex};
use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::task::{Context, Poll, Waker};

/// What an event, or a waiter, is about.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Readiness(usize);

impl Readiness {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const READABLE: Self = Self(1 << 0);
    pub(crate) const WRITABLE: Self = Self(1 << 1);
    pub(crate) const PRIORITY: Self = Self(1 << 2);
    pub(crate) const READ_CLOSED: Self = Self(1 << 3);
    pub(crate) const WRITE_CLOSED: Self = Self(1 << 4);
    pub(crate) const ERROR: Self = Self(1 << 5);
    /// The runtime is gone: nothing will ever come.
    pub(crate) const SHUTDOWN: Self = Self(1 << 6);

    /// Everything that a reader must look at.
    pub(crate) const READ: Self =
        Self(Self::READABLE.0 | Self::READ_CLOSED.0 | Self::ERROR.0 | Self::SHUTDOWN.0);
    /// Everything that a writer must look at.
    pub(crate) const WRITE: Self =
        Self(Self::WRITABLE.0 | Self::WRITE_CLOSED.0 | Self::ERROR.0 | Self::SHUTDOWN.0);

    const STICKY: Self = Self(Self::READ_CLOSED.0 | Self::WRITE_CLOSED.0 | Self::SHUTDOWN.0);

    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Readiness {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readiness({:#b})", self.0)
    }
}

const TICK_SHIFT: u32 = 8;
const READINESS_MASK: usize = (1 << TICK_SHIFT) - 1;

/// Readiness as it was seen, with the tick that a clear must name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    word: usize,
    pub(crate) ready: Readiness,
}

/// Which of the two polling sides waits: each has one waker of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

impl Side {
    pub(crate) fn interest(self) -> Readiness {
        match self {
            Side::Read => Readiness::READ,
            Side::Write => Readiness::WRITE,
        }
    }
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    interest: Readiness,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Waiters {
    /// The wakers of `poll_read`-like calls: the last caller of each side.
    read: Option<Waker>,
    write: Option<Waker>,
    /// Those of async methods on a shared reference, of which there can be many.
    shared: Vec<Waiter>,
    next_id: u64,
}

/// See the module.
pub(crate) struct Source {
    /// The tick above the readiness bits.
    word: AtomicUsize,
    waiters: Mutex<Waiters>,
}

impl Source {
    /// `assumed` is what the source is taken for until an operation or an event says otherwise.
    pub(crate) fn new(assumed: Readiness) -> Self {
        Self {
            word: AtomicUsize::new(assumed.0),
            waiters: Mutex::new(Waiters::default()),
        }
    }

    /// What of `interest` is ready now.
    pub(crate) fn seen(&self, interest: Readiness) -> Seen {
        // ORDERING: Acquire pairs with the AcqRel in `set`: what happened before the event is
        // visible.
        let word = self.word.load(Acquire);
        Seen {
            word,
            ready: Readiness(word & READINESS_MASK).and(interest),
        }
    }

    /// An event came in this tick of the reactor.
    pub(crate) fn set(&self, tick: usize, ready: Readiness, wake: &mut Vec<Waker>) {
        self.update(|word| Some((tick << TICK_SHIFT) | (word & READINESS_MASK) | ready.0));
        // [I2]: the word first, the waiters second.
        let mut waiters = self.waiters.lock();
        if ready.intersects(Readiness::READ) {
            wake.extend(waiters.read.take());
        }
        if ready.intersects(Readiness::WRITE) {
            wake.extend(waiters.write.take());
        }
        if waiters.shared.iter().any(|w| w.interest.intersects(ready)) {
            let all = std::mem::take(&mut waiters.shared);
            for waiter in all {
                match waiter.interest.intersects(ready) {
                    true => wake.push(waiter.waker),
                    false => waiters.shared.push(waiter),
                }
            }
        }
    }

    /// An operation said `WouldBlock` (or read short) after it had seen `seen`.
    pub(crate) fn clear(&self, seen: Seen) {
        let bits = seen.ready.0 & !Readiness::STICKY.0;
        self.update(|word| {
            // [I1]: another event has come since.
            if word >> TICK_SHIFT != seen.word >> TICK_SHIFT {
                return None;
            }
            Some(word & !bits)
        });
    }

    fn update(&self, next: impl Fn(usize) -> Option<usize>) {
        // ORDERING: AcqRel pairs with itself and with the load in `seen`: an event publishes what
        // came before it.
        let _ = self.word.fetch_update(AcqRel, Acquire, next);
    }

    /// Ready for a side, or its waker is left here.
    pub(crate) fn poll_ready(&self, side: Side, cx: &mut Context<'_>) -> Poll<Seen> {
        let interest = side.interest();
        let seen = self.seen(interest);
        if seen.ready != Readiness::NONE {
            return Poll::Ready(seen);
        }
        // Clones and drops are user code: before the lock, and after it.
        let waker = cx.waker().clone();
        let mut waiters = self.waiters.lock();
        let slot = match side {
            Side::Read => &mut waiters.read,
            Side::Write => &mut waiters.write,
        };
        let replaced = slot.replace(waker);
        // [I2]: once more, now that the reactor would find us.
        let seen = self.seen(interest);
        drop(waiters);
        drop(replaced);
        match seen.ready {
            Readiness::NONE => Poll::Pending,
            _ => Poll::Ready(seen),
        }
    }

    /// The same for one of many waiters, who keeps `id` between polls.
    pub(crate) fn poll_shared(
        &self,
        interest: Readiness,
        id: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Seen> {
        // Clones and drops are user code: before the lock, and after it.
        let waker = cx.waker().clone();
        let mut waiters = self.waiters.lock();
        let position = waiters.shared.iter().position(|w| Some(w.id) == *id);
        let replaced = match position {
            Some(position) => {
                let waiter = &mut waiters.shared[position];
                Some(std::mem::replace(&mut waiter.waker, waker))
            }
            None => {
                let waiter = Waiter {
                    id: waiters.next_id,
                    interest,
                    waker,
                };
                waiters.next_id += 1;
                *id = Some(waiter.id);
                waiters.shared.push(waiter);
                None
            }
        };
        // [I2]: after the waiter is registered, under the lock.
        let seen = self.seen(interest);
        let gone = match seen.ready {
            Readiness::NONE => None,
            _ => Self::forget(&mut waiters, id),
        };
        drop(waiters);
        drop((replaced, gone));
        match seen.ready {
            Readiness::NONE => Poll::Pending,
            _ => Poll::Ready(seen),
        }
    }

    /// A waiter gave up.
    pub(crate) fn cancel_shared(&self, id: &mut Option<u64>) {
        let gone = Self::forget(&mut self.waiters.lock(), id);
        drop(gone);
    }

    fn forget(waiters: &mut Waiters, id: &mut Option<u64>) -> Option<Waiter> {
        let id = id.take()?;
        let position = waiters.shared.iter().position(|w| w.id == id)?;
        Some(waiters.shared.swap_remove(position))
    }

    /// What is waited for now, for pollers that must be armed each time.
    #[cfg(any(not(target_os = "linux"), heist_portable_poller))]
    pub(crate) fn interest(&self) -> Readiness {
        let waiters = self.waiters.lock();
        let mut interest = Readiness::NONE;
        for waiter in &waiters.shared {
            interest |= waiter.interest;
        }
        if waiters.read.is_some() {
            interest |= Readiness::READABLE;
        }
        if waiters.write.is_some() {
            interest |= Readiness::WRITABLE;
        }
        interest
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("seen", &self.seen(Readiness(READINESS_MASK)))
            .finish_non_exhaustive()
    }
}
