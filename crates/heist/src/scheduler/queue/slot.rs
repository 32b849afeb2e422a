//! The LIFO slot, whose tenant others can take when it has waited for long.
//!
//! Its owner pays a few plain loads and stores for that (`sync/biased.rs`); what they cost is what the
//! twin without them is measured for (`plain_slot.rs`).
//!
//! Tests: `scheduler/tests/queue.rs`.

use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::biased::{Guest, Owner, biased};
use crate::sync::{Arc, AtomicBool};
use crate::task::Runnable;

/// The slot, for its worker.
pub(super) struct Slot {
    tenant: Owner<Option<Runnable>>,
    /// There is a tenant. Written by whoever is at the slot; else a hint, so all is Relaxed.
    occupied: Arc<AtomicBool>,
}

/// The slot, for whoever finds that its tenant has waited for long.
#[derive(Debug)]
pub(crate) struct Aged {
    tenant: Guest<Option<Runnable>>,
    occupied: Arc<AtomicBool>,
}

impl Slot {
    /// An empty one, and how others see it.
    pub(super) fn new() -> (Self, Aged) {
        let (owner, guest) = biased(None);
        let occupied = Arc::new(AtomicBool::new(false));
        let aged = Aged {
            tenant: guest,
            occupied: occupied.clone(),
        };
        let slot = Self {
            tenant: owner,
            occupied,
        };
        (slot, aged)
    }

    /// Answers the tenant that has to make room.
    #[inline]
    pub(super) fn replace(&mut self, runnable: Runnable) -> Option<Runnable> {
        self.tenant.with(|tenant| {
            self.occupied.store(true, Relaxed);
            tenant.replace(runnable)
        })
    }

    #[inline]
    pub(super) fn take(&mut self) -> Option<Runnable> {
        // Nobody else sets it.
        if !self.is_occupied() {
            return None;
        }
        self.tenant.with(|tenant| {
            self.occupied.store(false, Relaxed);
            tenant.take()
        })
    }

    #[inline]
    pub(super) fn is_occupied(&self) -> bool {
        self.occupied.load(Relaxed)
    }
}

impl Aged {
    /// Takes the tenant, unless the worker is at the slot right now.
    pub(crate) fn take(&self) -> Option<Runnable> {
        // The barrier is dear.
        if !self.occupied.load(Relaxed) {
            return None;
        }
        let take = |tenant: &mut Option<Runnable>| {
            self.occupied.store(false, Relaxed);
            tenant.take()
        };
        self.tenant.try_with(take).flatten()
    }
}
