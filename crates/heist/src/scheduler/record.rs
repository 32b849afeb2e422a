//! What a worker writes down of the poll that it is in, for the monitor.
//!
//! Written by the thread that plays the worker, a few plain stores a poll. Whoever reads it only judges by
//! it, so all is Relaxed. Under `--cfg heist_no_monitor`, where nobody reads it, nothing is written
//! (`no_record.rs`).

use crate::clock::tsc::Ticks;
use crate::sync::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use crate::task::{Class, Id, Runnable, Weight};

/// There is a monitor.
pub(crate) const IS_READ: bool = true;

/// See the module.
pub(crate) struct Record {
    /// When the current poll began, in ticks; 0 between polls.
    began: AtomicU64,
    task: AtomicU64,
    /// The task's as the poll began. A heavy task's poll is counted by the worker itself.
    weight: Weight,
}

/// A copy of it.
pub(super) struct Polled {
    began: u64,
    task: u64,
    weight: Weight,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            began: AtomicU64::new(0),
            task: AtomicU64::new(0),
            weight: Weight::newborn(),
        }
    }

    /// A poll begins.
    #[inline]
    pub(super) fn begin(&self, runnable: &Runnable, now: Ticks) {
        self.write(runnable.weight(), runnable.id().to_bits(), now);
    }

    /// A job of somebody's task begins. It is no poll, and may take its time.
    pub(super) fn begin_forked(&self, task: u64, now: Ticks) {
        self.write(&Weight::declared(), task, now);
    }

    #[inline]
    fn write(&self, weight: &Weight, task: u64, now: Ticks) {
        self.weight.copy_from(weight);
        // Relaxed, both: see the module.
        self.task.store(task, Relaxed);
        self.began.store(now.0, Relaxed);
    }

    /// The worker is in no poll that the monitor should know of.
    pub(super) fn forget(&self) {
        // Relaxed: see the module.
        self.began.store(0, Relaxed);
        self.weight.copy_from(&Weight::newborn());
    }

    pub(super) fn copy(&self) -> Polled {
        let weight = Weight::newborn();
        weight.copy_from(&self.weight);
        // Relaxed, both: see the module.
        Polled {
            began: self.began.load(Relaxed),
            task: self.task.load(Relaxed),
            weight,
        }
    }

    /// The poll goes on, and counts from now.
    pub(super) fn restore(&self, polled: &Polled, now: Ticks) {
        if polled.began != 0 {
            self.write(&polled.weight, polled.task, now);
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
        self.weight.class()
    }

    /// The spawn site of a task that is in its first poll.
    pub(crate) fn site_of_newborn(&self) -> Option<u16> {
        self.weight.is_newborn().then(|| self.weight.site())
    }
}
