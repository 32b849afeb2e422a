//! `scope`: closures that borrow from the caller, any number of them.
//!
//! The queue is `scheduler/fork/scoped.rs`; here are panics and the borrows.
//!
//! Tests: `tests/it/parallel.rs`.
#![expect(
    unsafe_code,
    reason = "closures that borrow are queued as if they did not"
)]

use crate::scheduler::fork::scoped::{Closure, ScopeQueue};
use crate::sync::Mutex;
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Calls `f` with a [`Scope`] into which it can spawn closures that borrow from outside the scope, and
/// returns when all of them have ended.
///
/// The closures run on any worker that is free, and on the calling thread once `f` has returned, in no
/// particular order. Outside a worker all of them run on the caller.
///
/// # Panics
///
/// With the panic of `f`, else with that of the first closure that panicked, when all have ended.
///
/// ```
/// use heist::parallel;
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async { heist::compute(|| {
/// let mut parts = [0_u64; 4];
/// parallel::scope(|scope| {
///     for (i, part) in (0..).zip(&mut parts) {
///         scope.spawn(move |_| *part = (0..1_000 * i).sum());
///     }
/// });
/// assert_eq!(parts[1], 499_500);
/// # }).await.unwrap() });
/// ```
pub fn scope<'scope, F, R>(f: F) -> R
where
    F: FnOnce(&Scope<'scope>) -> R,
{
    let scope = Scope::new(Arc::new(Opened {
        queue: ScopeQueue::new(),
        panic: Mutex::new(None),
    }));
    // PANIC: the closure is user code. What it has spawned ends before anything is resumed.
    let answer = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    scope.opened.queue.run_all();
    let panic = scope.opened.panic.lock().take();
    match (answer, panic) {
        (Err(payload), _) | (Ok(_), Some(payload)) => resume_unwind(payload),
        (Ok(answer), None) => answer,
    }
}

/// Where closures of a [`scope`] are spawned.
pub struct Scope<'scope> {
    opened: Arc<Opened>,
    /// The closures may borrow for `'scope`, no shorter and no longer.
    borrows: PhantomData<&'scope mut &'scope ()>,
}

/// What outlives the scope in the hands of whoever runs its last closure.
struct Opened {
    queue: Arc<ScopeQueue>,
    /// The first panic of a closure.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl<'scope> Scope<'scope> {
    fn new(opened: Arc<Opened>) -> Self {
        Self {
            opened,
            borrows: PhantomData,
        }
    }

    /// Runs `f` before the scope ends, on any worker.
    ///
    /// The closure gets the scope, so that it can spawn more. Closures of the same scope may run at
    /// the same time. Its panic is resumed by [`scope`].
    pub fn spawn<F>(&self, f: F)
    where
        F: FnOnce(&Scope<'scope>) + Send + 'scope,
    {
        let opened = self.opened.clone();
        let job = move || {
            let scope = Scope::new(opened);
            // PANIC: the closure is user code; whoever waits for the scope resumes it.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| f(&scope))) {
                let mut panic = scope.opened.panic.lock();
                let second = match *panic {
                    None => panic.replace(payload),
                    Some(_) => Some(payload),
                };
                drop(panic);
                // Even the payload's drop can panic; leaking it is the lesser evil.
                std::mem::forget(second);
            }
        };
        let job: Box<dyn FnOnce() + Send + 'scope> = Box::new(job);
        // SAFETY: only the lifetime changes. `'scope` outlives the call of `scope`, which returns, in
        // whatever way, after `run_all`: by [Q1] the closure has been called and dropped by then.
        let job: Closure = unsafe { std::mem::transmute(job) };
        self.opened.queue.push(job);
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}
