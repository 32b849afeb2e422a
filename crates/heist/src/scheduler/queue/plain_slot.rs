//! The LIFO slot that nobody but its worker can get at: under `--cfg heist_plain_slot`, to measure what
//! the real one costs (`slot.rs`). A task in it waits for as long as its worker is in a poll.

use crate::task::Runnable;

pub(super) struct Slot(Option<Runnable>);

#[derive(Debug)]
pub(crate) struct Aged;

impl Slot {
    pub(super) fn new() -> (Self, Aged) {
        (Self(None), Aged)
    }

    #[inline]
    pub(super) fn replace(&mut self, runnable: Runnable) -> Option<Runnable> {
        self.0.replace(runnable)
    }

    #[inline]
    pub(super) fn take(&mut self) -> Option<Runnable> {
        self.0.take()
    }

    #[inline]
    pub(super) fn is_occupied(&self) -> bool {
        self.0.is_some()
    }
}

impl Aged {
    pub(crate) fn take(&self) -> Option<Runnable> {
        None
    }
}
