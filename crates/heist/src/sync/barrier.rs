//! A pair of barriers of which one side is free.
//!
//! [`light`] and [`heavy`] order as two sequentially consistent fences do, if one side uses the one
//! and the other side the other. On Linux the heavy one is a system call that interrupts every
//! running thread of the process, and the light one only keeps the compiler from reordering.
//! Elsewhere, and where the kernel refuses the call, both are fences.

#[cfg(all(target_os = "linux", not(heist_loom)))]
mod asymmetric {
    use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};
    use std::sync::Once;
    use std::sync::atomic::Ordering::{Relaxed, SeqCst};
    use std::sync::atomic::{AtomicBool, compiler_fence, fence};

    /// Whether the kernel knows the call; decided before the first barrier, and for good.
    static KNOWN: AtomicBool = AtomicBool::new(false);

    /// To be called before anything that is ordered by these barriers is shared.
    pub(crate) fn prepare() {
        static DECIDED: Once = Once::new();
        DECIDED.call_once(|| {
            let query = membarrier_query();
            let known = query.contains(MembarrierQuery::PRIVATE_EXPEDITED)
                && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
            // Relaxed: whoever shares what is ordered publishes it, too.
            KNOWN.store(known, Relaxed);
        });
    }

    #[inline]
    fn known() -> bool {
        // Relaxed: as above.
        KNOWN.load(Relaxed)
    }

    #[inline]
    pub(crate) fn light() {
        match known() {
            // ORDERING: SeqCst: the heavy side makes it one for the processor too.
            true => compiler_fence(SeqCst),
            // ORDERING: SeqCst: the fence that both sides need.
            false => fence(SeqCst),
        }
    }

    pub(crate) fn heavy() {
        if !known() {
            // ORDERING: SeqCst: the fence that both sides need.
            return fence(SeqCst);
        }
        if membarrier(MembarrierCommand::PrivateExpedited).is_err() {
            // A forked child has to register again.
            let again = membarrier(MembarrierCommand::RegisterPrivateExpedited)
                .and_then(|()| membarrier(MembarrierCommand::PrivateExpedited));
            again.expect("the kernel does not take back that it has the barrier");
        }
    }
}

#[cfg(all(target_os = "linux", not(heist_loom)))]
pub(crate) use asymmetric::{heavy, light, prepare};

#[cfg(any(not(target_os = "linux"), heist_loom))]
mod symmetric {
    use crate::sync::atomic::Ordering::SeqCst;
    use crate::sync::fence;

    pub(crate) fn prepare() {}

    pub(crate) fn light() {
        // ORDERING: SeqCst: this is the fence that both sides need.
        fence(SeqCst);
    }

    pub(crate) fn heavy() {
        // ORDERING: as above.
        fence(SeqCst);
    }
}

#[cfg(any(not(target_os = "linux"), heist_loom))]
pub(crate) use symmetric::{heavy, light, prepare};
