//! The record that nobody reads: under `--cfg heist_no_monitor`, to measure what the monitor costs those
//! whom it watches (`record.rs`). Whoever is stuck stays so, and with it what it has queued.

use crate::clock::tsc::Ticks;
use crate::task::{Class, Id, Runnable};

pub(crate) const IS_READ: bool = false;

pub(crate) struct Record;

pub(super) struct Polled;

impl Record {
    pub(super) fn new() -> Self {
        Self
    }

    #[inline]
    pub(super) fn begin(&self, _: &Runnable, _: Ticks) {}

    pub(super) fn begin_forked(&self, _: u64, _: Ticks) {}

    pub(super) fn forget(&self) {}

    pub(super) fn copy(&self) -> Polled {
        Polled
    }

    pub(super) fn restore(&self, _: &Polled, _: Ticks) {}

    pub(crate) fn poll(&self) -> Option<(Id, Ticks)> {
        None
    }

    pub(crate) fn class(&self) -> Class {
        Class::Light
    }

    pub(crate) fn site_of_newborn(&self) -> Option<u16> {
        None
    }
}
