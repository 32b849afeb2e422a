//! What references to a loop are counted on.
//!
//! Every task holds its loop. On many threads a single count would be a cache line that all of them write for every
//! task, so each thread has a handle of its own, by which it gives the loop to the tasks that it creates. What the
//! handle points to is read by whoever runs those tasks, so it is apart from the count.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use crate::events::{EventLoop, LoopShared};

#[repr(align(128))]
pub(crate) struct LoopHandle(Arc<LoopShared>);

/// The handle that a thread used last.
struct Known {
    /// Where its loop is: while the handle can be had, no other loop is at that address.
    address: usize,
    handle: Weak<LoopHandle>,
    /// On a thread that runs the loop, so that the handle outlives the tasks that come one by one.
    kept: Option<Arc<LoopHandle>>,
}

thread_local! {
    static KNOWN: RefCell<Known> = const {
        RefCell::new(Known {
            address: 0,
            handle: Weak::new(),
            kept: None,
        })
    };
}

/// Lets go of the loop that this thread has run.
pub(crate) fn forget() {
    let kept = KNOWN.try_with(|known| known.borrow_mut().kept.take());
    // Apart from the borrow: it may be the loop's end, and user code.
    drop(kept);
}

impl LoopHandle {
    pub(crate) fn new(shared: LoopShared) -> Arc<LoopHandle> {
        Arc::new(LoopHandle(Arc::new(shared)))
    }

    /// Both are of one loop.
    pub(crate) fn is_of(&self, other: &LoopHandle) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::ops::Deref for LoopHandle {
    type Target = LoopShared;

    fn deref(&self) -> &LoopShared {
        &self.0
    }
}

impl EventLoop {
    /// The same loop, by a handle that only this thread makes copies of. `keep`: this thread runs the loop. And what it
    /// has kept till now, to be dropped where nothing is borrowed: it may be another loop's end, and user code.
    #[inline]
    pub(crate) fn of_this_thread(&self, keep: bool) -> (EventLoop, Option<Arc<LoopHandle>>) {
        let address = Arc::as_ptr(&self.0.0).addr();
        let found = KNOWN.try_with(|known| {
            let known = known.borrow();
            let kept = known.kept.as_ref();
            kept.filter(|_| known.address == address).cloned()
        });
        match found {
            Ok(Some(own)) => (EventLoop(own), None),
            _ => self.found_for_this_thread(address, keep),
        }
    }

    #[cold]
    fn found_for_this_thread(
        &self,
        address: usize,
        keep: bool,
    ) -> (EventLoop, Option<Arc<LoopHandle>>) {
        if self.exact().is_some() {
            return (self.clone(), None);
        }
        let found = KNOWN.try_with(|known| {
            let mut known = known.borrow_mut();
            if known.address == address {
                if let Some(own) = known.handle.upgrade() {
                    return (EventLoop(own), None);
                }
            }
            let own = Arc::new(LoopHandle(self.0.0.clone()));
            let kept = keep.then(|| own.clone());
            let handle = Arc::downgrade(&own);
            let old = std::mem::replace(
                &mut *known,
                Known {
                    address,
                    handle,
                    kept,
                },
            );
            (EventLoop(own), old.kept)
        });
        found.unwrap_or_else(|_| (self.clone(), None))
    }
}
