//! Blocking a worker, and unblocking it.
//!
//! A worker blocks in the driver or on the condition variable here; the unparker must know which.
//!
//! - **\[P1\]** A parker is a token: an `unpark` before a `park` makes that `park` return at once,
//!   and several count as one.
//! - **\[P2\]** The state says where the worker blocks *before* it blocks there, and an unparker
//!   acts on the state it replaced. So it either leaves the token for the worker to see, or
//!   interrupts the right thing.
//!
//! Tests: `scheduler/tests/park.rs`, `scheduler/tests/loom.rs`.

use crate::sync::atomic::Ordering::{AcqRel, Acquire};
use crate::sync::{AtomicU8, Condvar, Mutex};
use std::time::Duration;

const EMPTY: u8 = 0;
const NOTIFIED: u8 = 1;
const ON_CONDVAR: u8 = 2;
const IN_DRIVER: u8 = 3;

/// What an unparker must do beyond leaving the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Unpark {
    Done,
    /// The worker blocks in the driver: interrupt it.
    NotifyDriver,
}

/// One worker's place to block.
#[derive(Debug)]
pub(crate) struct Parker {
    state: AtomicU8,
    lock: Mutex<()>,
    condvar: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            lock: Mutex::new(()),
            condvar: Condvar::new(),
        }
    }

    /// Takes the token if it is there.
    pub(crate) fn take_token(&self) -> bool {
        // ORDERING: Acquire pairs with the swap in `unpark`: what the unparker did is visible.
        let taken = self
            .state
            .compare_exchange(NOTIFIED, EMPTY, Acquire, Acquire);
        taken.is_ok()
    }

    /// Blocks on the condition variable until the token comes or the timeout passes. `true`: it came.
    pub(crate) fn park(&self, timeout: Option<Duration>) -> bool {
        if self.take_token() {
            return true;
        }
        let mut guard = self.lock.lock();
        // ORDERING: AcqRel: we announce where we block before we block, [P2].
        let announced = self
            .state
            .compare_exchange(EMPTY, ON_CONDVAR, AcqRel, Acquire);
        if announced.is_err() {
            // The token came meanwhile.
            return self.take_token();
        }
        loop {
            let timed_out = match timeout {
                Some(timeout) => {
                    let (back, timed_out) = self.condvar.wait_for(guard, timeout);
                    guard = back;
                    timed_out
                }
                None => {
                    guard = self.condvar.wait(guard);
                    false
                }
            };
            if self.take_token() {
                return true;
            }
            if timed_out {
                // ORDERING: Acquire: a token that came just now is taken with what it publishes.
                return self.state.swap(EMPTY, Acquire) == NOTIFIED;
            }
        }
    }

    /// Blocks in `wait`, which an unparker interrupts through the driver. Not called at all if the
    /// token is there. `true`: it is, or came meanwhile.
    pub(crate) fn park_in_driver(&self, wait: impl FnOnce()) -> bool {
        // ORDERING: AcqRel: we announce where we block before we block, [P2].
        let announced = self
            .state
            .compare_exchange(EMPTY, IN_DRIVER, AcqRel, Acquire);
        if announced.is_ok() {
            wait();
        }
        // ORDERING: Acquire: pairs with the swap in `unpark`; the token, if any, is taken.
        self.state.swap(EMPTY, Acquire) == NOTIFIED
    }

    /// Leaves the token, and wakes the worker if it blocks here.
    pub(crate) fn unpark(&self) -> Unpark {
        // ORDERING: AcqRel: publishes what we did to the worker that takes the token.
        match self.state.swap(NOTIFIED, AcqRel) {
            ON_CONDVAR => {
                // The worker holds the lock from its announcement until it waits; once we have
                // had it, the worker waits.
                drop(self.lock.lock());
                self.condvar.notify_one();
                Unpark::Done
            }
            IN_DRIVER => Unpark::NotifyDriver,
            _ => Unpark::Done,
        }
    }
}
