//! `par_map`: results in the order of their items, each written once into its place.
//!
//! - **\[V1\]** A part of the output is written by the call that has the part of the items beside it,
//!   from the front. What it has written belongs to its [`Filled`], which drops it unless all parts
//!   have come together.
//!
//! Tests: `tests/it/parallel.rs`.
#![expect(unsafe_code, reason = "results are written into a vector's spare room")]

use super::split::{Split, divide};
use std::mem::forget;
use std::ptr;

/// Calls `f` with each item, in parallel, and returns what it returns, in the order of the items.
///
/// Outside a worker the items go one by one, in order, on the caller.
///
/// # Panics
///
/// With the panic of a call of `f`, when no more calls are under way; results that there are by then
/// are dropped.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async { heist::compute(|| {
/// let names = ["a", "bc", "def"];
/// assert_eq!(heist::parallel::par_map(&names[..], |name| name.len()), [1, 2, 3]);
/// # }).await.unwrap() });
/// ```
pub fn par_map<S, F, R>(items: S, f: F) -> Vec<R>
where
    S: Split + IntoIterator,
    F: Fn(S::Item) -> R + Sync,
    R: Send,
{
    let n = items.n_items();
    let mut results = Vec::with_capacity(n);
    let target = Target {
        items,
        first: results.as_mut_ptr(),
        n,
    };
    let filled = divide(target, &|target| fill(target, &f), &Filled::and);
    debug_assert_eq!(filled.n, n);
    forget(filled);
    // SAFETY: the room is for `n`, and by [V1] that many were written and not dropped.
    unsafe { results.set_len(n) };
    results
}

/// Some items, and the room for their results.
struct Target<S, R> {
    items: S,
    first: *mut R,
    n: usize,
}

// SAFETY: the room is nobody else's [V1], so that sending it is sending results.
unsafe impl<S: Send, R: Send> Send for Target<S, R> {}

impl<S: Split, R: Send> Split for Target<S, R> {
    fn n_items(&self) -> usize {
        self.n
    }

    fn divide_at(self, at: usize) -> (Self, Self) {
        assert!(at <= self.n, "within the room");
        let (left, right) = self.items.divide_at(at);
        let left = Self {
            items: left,
            first: self.first,
            n: at,
        };
        let right = Self {
            items: right,
            first: self.first.wrapping_add(at),
            n: self.n - at,
        };
        (left, right)
    }

    fn min_part(&self) -> usize {
        self.items.min_part()
    }
}

/// Results that have been written, one after the other from `first`.
struct Filled<R> {
    first: *mut R,
    n: usize,
}

// SAFETY: it owns the results, as a vector does.
unsafe impl<R: Send> Send for Filled<R> {}

impl<R> Filled<R> {
    /// Together with its right neighbor.
    fn and(self, right: Self) -> Self {
        debug_assert!(ptr::eq(self.first.wrapping_add(self.n), right.first));
        let both = Self {
            first: self.first,
            n: self.n + right.n,
        };
        forget(self);
        forget(right);
        both
    }
}

impl<R> Drop for Filled<R> {
    // PANIC: the results' drops are user code; as when a vector is dropped, the others are dropped
    // all the same.
    fn drop(&mut self) {
        let results = ptr::slice_from_raw_parts_mut(self.first, self.n);
        // SAFETY: by [V1] they were written, are nobody else's, and are dropped here only.
        unsafe { ptr::drop_in_place(results) };
    }
}

// PANIC: `f` and the iterator are user code; what was written goes with `filled`.
fn fill<S, F, R>(target: Target<S, R>, f: &F) -> Filled<R>
where
    S: IntoIterator,
    F: Fn(S::Item) -> R,
{
    let mut filled = Filled {
        first: target.first,
        n: 0,
    };
    for item in target.items {
        assert!(filled.n < target.n, "more items than `n_items` has said");
        let result = f(item);
        let place = target.first.wrapping_add(filled.n);
        // SAFETY: within the part's room, which nobody else uses, and not written before [V1].
        unsafe { place.write(result) };
        filled.n += 1;
    }
    assert_eq!(filled.n, target.n, "fewer items than `n_items` has said");
    filled
}
