//! What a worker writes down of the poll that it is in, for the monitor.
//!
//! Written by the thread that plays the worker, a few plain stores a poll. Whoever reads it only judges by
//! it, so all is Relaxed. Under `--cfg heist_no_monitor`, where nobody reads it, nothing is written
//! (`no_record.rs`).

use crate::clock::tsc::Ticks;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{AtomicU8, AtomicU64};
use crate::task::{Class, Id, Runnable};

/// There is a monitor.
pub(crate) const IS_READ: bool = true;

/// See the module.
pub(crate) struct Record {
    /// When the current poll began, in ticks; 0 between polls.
    began: AtomicU64,
    task: AtomicU64,
    /// How heavy it is. A heavy task's poll is counted by the worker itself.
    class: AtomicU8,
}

/// A copy of it.
pub(super) struct Polled {
    began: u64,
    task: u64,
    class: u8,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            began: AtomicU64::new(0),
            task: AtomicU64::new(0),
            class: AtomicU8::new(Class::Light as u8),
        }
    }

    /// A poll begins.
    #[inline]
    pub(super) fn begin(&self, runnable: &Runnable, now: Ticks) {
        let class = runnable.weight().class();
        self.write(class as u8, runnable.id().to_bits(), now);
    }

    /// A job of somebody's task begins. It is no poll, and may take its time.
    pub(super) fn begin_forked(&self, task: u64, now: Ticks) {
        self.write(Class::Declared as u8, task, now);
    }

    #[inline]
    fn write(&self, class: u8, task: u64, now: Ticks) {
        // Relaxed, all: see the module.
        self.class.store(class, Relaxed);
        self.task.store(task, Relaxed);
        self.began.store(now.0, Relaxed);
    }

    /// The worker is in no poll that the monitor should know of.
    pub(super) fn forget(&self) {
        // Relaxed, both: see the module.
        self.began.store(0, Relaxed);
        self.class.store(Class::Light as u8, Relaxed);
    }

    pub(super) fn copy(&self) -> Polled {
        // Relaxed, all: see the module.
        Polled {
            began: self.began.load(Relaxed),
            task: self.task.load(Relaxed),
            class: self.class.load(Relaxed),
        }
    }

    /// The poll goes on, and counts from now.
    pub(super) fn restore(&self, polled: &Polled, now: Ticks) {
        if polled.began != 0 {
            self.write(polled.class, polled.task, now);
        }
    }

    /// The poll that the worker is in: the task, and when it began.
    pub(crate) fn poll(&self) -> Option<(Id, Ticks)> {
        // Relaxed, both: see the module.
        let began = self.began.load(Relaxed);
        let task = self.task.load(Relaxed);
        match began {
            0 => None,
            _ => Some((Id::from_bits(task), Ticks(began))),
        }
    }

    /// Of a class other than light: the worker has counted itself among those that compute.
    pub(crate) fn class(&self) -> Class {
        // Relaxed: see the module.
        match self.class.load(Relaxed) {
            declared if declared == Class::Declared as u8 => Class::Declared,
            heavy if heavy == Class::Heavy as u8 => Class::Heavy,
            _ => Class::Light,
        }
    }
}
