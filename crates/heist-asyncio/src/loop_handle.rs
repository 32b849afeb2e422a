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

thread_local! {
    /// The handle that this thread used last, and where its loop is. It does not keep the loop; while the handle can
    /// be had, no other loop is at that address.
    static HANDLE: RefCell<(usize, Weak<LoopHandle>)> = const { RefCell::new((0, Weak::new())) };
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
    /// The same loop, by a handle that only this thread makes copies of.
    pub(crate) fn of_this_thread(&self) -> EventLoop {
        if self.exact().is_some() {
            return self.clone();
        }
        let shared = &self.0.0;
        let address = Arc::as_ptr(shared).addr();
        let own = HANDLE.try_with(|handle| {
            let mut handle = handle.borrow_mut();
            let known = (handle.0 == address).then(|| handle.1.upgrade());
            known.flatten().unwrap_or_else(|| {
                let own = Arc::new(LoopHandle(shared.clone()));
                *handle = (address, Arc::downgrade(&own));
                own
            })
        });
        own.map_or_else(|_| self.clone(), EventLoop)
    }
}
