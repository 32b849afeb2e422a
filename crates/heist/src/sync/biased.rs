//! A lock that costs its owner next to nothing.
//!
//! What one thread touches all the time and others now and then needs a lock that is paid for by
//! the others. The [`Owner`] takes it with a plain store and a plain load. A [`Guest`] takes a mutex
//! against other guests, and then has the operating system put a barrier into every thread of the
//! process (`barrier.rs`): some microseconds.
//!
//! - **\[O1\]** The owner says that it is inside, and then looks for a claim; a guest claims, and then
//!   looks whether the owner is inside. Between the two stands a barrier, light on the owner's side
//!   and heavy on the guest's. So one of the two sees the other, and at most one goes on.
//! - **\[O2\]** Whoever sees the other steps back: a guest withdraws its claim, the owner says that it
//!   is outside and takes the guests' mutex. So neither waits for one who waits for it.
//!
//! Tests: `scheduler/tests/biased.rs`, `scheduler/tests/loom.rs`.
#![expect(
    unsafe_code,
    reason = "the value is shared behind a protocol of its own"
)]

use super::atomic::Ordering::{Acquire, Relaxed, Release};
use super::{Arc, AtomicBool, Mutex, UnsafeCell, barrier};
use std::fmt;

struct Place<T> {
    inside: AtomicBool,
    claimed: AtomicBool,
    guests: Mutex<()>,
    /// Touched by the owner while `inside` is set and no claim was seen after that, by whoever holds
    /// `guests` else.
    value: UnsafeCell<T>,
}

// SAFETY: [O1] and the mutex let one thread at a time touch the value, and each hand-over is a
// release and an acquire; so the value is only sent from thread to thread.
unsafe impl<T: Send> Sync for Place<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Place<T> {}

/// The side that takes the lock for nothing. There is one a place.
pub(crate) struct Owner<T>(Arc<Place<T>>);

/// The side that pays.
pub(crate) struct Guest<T>(Arc<Place<T>>);

/// Makes a place, and both sides of it.
pub(crate) fn biased<T>(value: T) -> (Owner<T>, Guest<T>) {
    barrier::prepare();
    let place = Arc::new(Place {
        inside: AtomicBool::new(false),
        claimed: AtomicBool::new(false),
        guests: Mutex::new(()),
        value: UnsafeCell::new(value),
    });
    (Owner(place.clone()), Guest(place))
}

/// Says that the owner is outside, however its visit ends.
struct Inside<'a>(&'a AtomicBool);

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Release pairs with the guest's Acquire: it sees what we did to the value.
        self.0.store(false, Release);
    }
}

impl<T> Owner<T> {
    /// Calls `f` with the value. It should be short, and must not run user code: guests wait.
    #[inline(always)]
    pub(crate) fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        let place = &*self.0;
        // Relaxed: the barrier orders it before the look.
        place.inside.store(true, Relaxed);
        let inside = Inside(&place.inside);
        barrier::light();
        // ORDERING: Acquire pairs with the Release that withdraws a claim: we see what the guest did.
        if place.claimed.load(Acquire) {
            drop(inside);
            return self.with_mutex(f);
        }
        place.value.with_mut(|value| {
            // SAFETY: by [O1] no guest goes on while we are inside, and `&mut self` says that we are
            // inside once.
            f(unsafe { &mut *value })
        })
    }

    #[cold]
    fn with_mutex<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        let _guests = self.0.guests.lock();
        self.0.value.with_mut(|value| {
            // SAFETY: guests touch the value while they hold the mutex, and we hold it.
            f(unsafe { &mut *value })
        })
    }
}

/// Withdraws a claim, however the visit ends.
struct Claim<'a>(&'a AtomicBool);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the owner's Acquire: it sees what we did to the value.
        self.0.store(false, Release);
    }
}

impl<T> Guest<T> {
    /// Calls `f` with the value, unless the owner is inside right now.
    pub(crate) fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let place = &*self.0;
        let _guests = place.guests.lock();
        // Relaxed: the barrier orders it before the look.
        place.claimed.store(true, Relaxed);
        let _claim = Claim(&place.claimed);
        barrier::heavy();
        // ORDERING: Acquire pairs with the Release of the owner's last visit.
        if place.inside.load(Acquire) {
            return None;
        }
        Some(place.value.with_mut(|value| {
            // SAFETY: we hold the mutex; the owner is outside, and by [O1] sees the claim when it
            // comes, and then waits for the mutex.
            f(unsafe { &mut *value })
        }))
    }

    /// Calls `f` with the value, when the owner is not inside.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut f = Some(f);
        loop {
            let visit = self.try_with(|value| f.take().map(|f| f(value)));
            if let Some(Some(result)) = visit {
                return result;
            }
            super::thread::yield_now();
        }
    }
}

impl<T> fmt::Debug for Owner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Guest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}
