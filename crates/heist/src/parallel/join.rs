//! `join`: two closures, the second of which anyone may run.
//!
//! The second one lies in a job in the caller's frame, is pushed to the thread's seat, and is taken
//! back or waited for before the frame ends, also where the first one unwinds. The protocol is that
//! of `scheduler/fork.rs`.
//!
//! Tests: `parallel/tests/`, `tests/it/parallel.rs`.
#![expect(
    unsafe_code,
    reason = "a job lies in its caller's frame, and gives its result there"
)]

use crate::error::ignore_panic;
use crate::scheduler::fork;
use crate::scheduler::fork::seat::{Job, Seat};
use crate::sync::UnsafeCell;
use std::any::Any;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

type Payload = Box<dyn Any + Send>;

/// Calls both closures, at the same time if a worker is free, and returns what they return.
///
/// The first runs on the calling thread. The second runs there after it, or on another worker in the
/// meantime. Forking costs a few nanoseconds, but for the handful of jobs that are oldest, which others may take.
///
/// While the caller waits for the second closure it runs only what was forked below that one.
///
/// # Panics
///
/// With the first closure's panic, else with the second one's, when both have ended. If the first
/// panics before the second was begun, the second is dropped.
///
/// ```
/// fn fib(n: u64) -> u64 {
///     if n < 2 {
///         return n;
///     }
///     let (a, b) = heist::parallel::join(|| fib(n - 1), || fib(n - 2));
///     a + b
/// }
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// assert_eq!(heist::compute(|| fib(20)).await.unwrap(), 6_765);
/// # });
/// ```
#[inline]
pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    match fork::here() {
        Some(seat) => join_on(seat, a, b),
        None => in_sequence(a, b),
    }
}

#[cold]
#[inline(never)]
fn in_sequence<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA,
    B: FnOnce() -> RB,
{
    let ra = a();
    (ra, b())
}

/// `join` on the calling thread's seat.
#[inline]
pub(super) fn join_on<A, B, RA, RB>(seat: &'static Seat, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    let job = FrameJob::new(b);
    // SAFETY: 1. `seat` is the calling thread's. 2. The job stays in this frame; every way out of it,
    // the unwinding of `a` included, pops the job, and if that says that it was stolen, waits until
    // it is done. 3. Forks in `a` are joined before it returns, so the order is that of the frames.
    let Some(place) = (unsafe { seat.push(job.as_job()) }) else {
        // SAFETY: it was not pushed, so it is ours.
        let b = unsafe { job.take_closure() };
        return in_sequence(a, b);
    };
    let on_unwind = OnUnwind {
        seat,
        place,
        job: &job,
    };
    let ra = a();
    std::mem::forget(on_unwind);
    if seat.pop(place) {
        // SAFETY: taken back, it is ours, and nobody has called it.
        let b = unsafe { job.take_closure() };
        return (ra, b());
    }
    seat.wait(place, &job.front, true);
    // SAFETY: it was stolen and is done.
    match unsafe { job.take_result() } {
        Ok(rb) => (ra, rb),
        Err(payload) => resume_unwind(payload),
    }
}

/// The first closure unwinds: the second is taken back or waited for, and what it left is dropped.
struct OnUnwind<'a, F, R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    seat: &'static Seat,
    place: usize,
    job: &'a FrameJob<F, R>,
}

impl<F, R> Drop for OnUnwind<'_, F, R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    // Inline, so that what it holds stays in registers while nothing unwinds.
    #[inline(always)]
    fn drop(&mut self) {
        abandon(self.seat, self.place, self.job);
    }
}

// PANIC: the drops of the closure and of its result are user code; one unwinding goes on already.
#[cold]
#[inline(never)]
fn abandon<F, R>(seat: &'static Seat, place: usize, job: &FrameJob<F, R>)
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    if seat.pop(place) {
        // SAFETY: taken back, it is ours, and nobody has called it.
        let closure = unsafe { job.take_closure() };
        ignore_panic(|| drop(closure));
    } else {
        // Nothing else is run from within an unwinding.
        seat.wait(place, &job.front, false);
        // SAFETY: it was stolen and is done.
        let result = unsafe { job.take_result() };
        ignore_panic(|| drop(result));
    }
}

/// A closure and its result, in the frame of its `join`.
#[repr(C)]
struct FrameJob<F, R> {
    front: Job,
    /// Whoever has the job alone takes it, once [F2].
    closure: UnsafeCell<ManuallyDrop<F>>,
    /// Written by the thief before it says that the job is done; after that the owner's.
    result: UnsafeCell<MaybeUninit<Result<R, Payload>>>,
}

impl<F, R> FrameJob<F, R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    #[inline]
    fn new(closure: F) -> Self {
        Self {
            // SAFETY: `run` catches panics, and touches the job no more after it has written the
            // result.
            front: unsafe { Job::new(run::<F, R>) },
            closure: UnsafeCell::new(ManuallyDrop::new(closure)),
            result: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The front, as a pointer to the whole.
    #[inline]
    fn as_job(&self) -> NonNull<Job> {
        NonNull::from(self).cast()
    }

    /// # Safety
    ///
    /// 1. The caller has the job alone.
    /// 2. The closure has not been taken.
    #[inline]
    unsafe fn take_closure(&self) -> F {
        self.closure.with_mut(|closure| {
            // SAFETY: by duty 1 nobody else uses the cell.
            let closure = unsafe { &mut *closure };
            // SAFETY: duty 2, and the caller takes it but once.
            unsafe { ManuallyDrop::take(closure) }
        })
    }

    /// # Safety
    ///
    /// The job was stolen and is done, and its result has not been taken.
    unsafe fn take_result(&self) -> Result<R, Payload> {
        self.result.with(|result| {
            // SAFETY: the thief wrote it before it said that the job was done, which the caller has
            // seen, and touches it no more [F4].
            let result = unsafe { &*result };
            // SAFETY: written, as above, and by the duty not taken.
            unsafe { result.assume_init_read() }
        })
    }
}

/// # Safety
///
/// 1. `job` is the front of a live `FrameJob<F, R>` that was stolen by the caller.
/// 2. It is called once.
// PANIC: the closure is user code; its panic is the result.
unsafe fn run<F, R>(job: NonNull<Job>)
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    // SAFETY: duty 1; the front is the first field of the `repr(C)` job.
    let job = unsafe { job.cast::<FrameJob<F, R>>().as_ref() };
    // SAFETY: by duty 1 the caller has it alone, by duty 2 nobody has taken the closure.
    let closure = unsafe { job.take_closure() };
    let result = catch_unwind(AssertUnwindSafe(closure));
    job.result.with_mut(|place| {
        // SAFETY: the owner does not look before the job is done.
        unsafe { (*place).write(result) };
    });
}
