//! What can be divided, and loops over it: recursive halving on `join`.
//!
//! A loop is halved about as often as gives each worker a few parts. A part that another worker has
//! taken is divided anew, since somebody was free: so uneven parts even out.
//!
//! Tests: `tests/it/parallel.rs`.

use super::join;
use crate::scheduler::fork;
use std::ops::Range;

/// Parts for each worker, before any is stolen.
const PARTS: usize = 2;

/// Something that can be divided into two.
///
/// Ranges, slices, mutable slices and [`chunks`] of them are; so may be structures of yours.
///
/// ```
/// use heist::parallel::{Split, par_reduce};
///
/// let values = vec![1_u64; 100_000];
/// let sum = par_reduce(
///     values.at_least(1_024),
///     |part| part.into_iter().sum::<u64>(),
///     |left, right| left + right,
/// );
/// assert_eq!(sum, 100_000);
/// ```
pub trait Split: Send + Sized {
    /// How many items there are.
    fn n_items(&self) -> usize;

    /// The first `at` items, and the others.
    fn divide_at(self, at: usize) -> (Self, Self);

    /// Parts smaller than this are not made. One, unless [`at_least`](Self::at_least) says more.
    fn min_part(&self) -> usize {
        1
    }

    /// Makes no part with fewer than `n` items: for items that cost a few nanoseconds each.
    fn at_least(self, n: usize) -> AtLeast<Self> {
        AtLeast { items: self, n }
    }

    /// Gives each item with its number, from 0.
    fn numbered(self) -> Numbered<Self> {
        Numbered {
            first: 0,
            items: self,
        }
    }
}

/// Calls `f` with each item, in parallel.
///
/// Outside a worker the items go one by one, in order, on the caller.
///
/// # Panics
///
/// With the panic of a call of `f`, when no more calls are under way. Some items may then have been
/// left out.
///
/// ```
/// use heist::parallel::{Split, chunks_mut, par_for};
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async { heist::compute(|| {
/// let mut image = vec![0_u8; 640 * 480];
/// par_for(chunks_mut(&mut image, 640).numbered(), |(y, row)| row.fill(y as u8));
/// assert_eq!(image[640], 1);
/// # }).await.unwrap() });
/// ```
pub fn par_for<S, F>(items: S, f: F)
where
    S: Split + IntoIterator,
    F: Fn(S::Item) + Sync,
{
    divide(
        items,
        &|part: S| part.into_iter().for_each(&f),
        &|(), ()| (),
    );
}

/// Calls `part` with parts of the items, in parallel, and merges what it returns, left with right.
///
/// Outside a worker it is one call of `part` with everything. `merge` must give the same however the
/// items are divided, or the answer is not the same from run to run.
///
/// # Panics
///
/// With the panic of a call, when no more calls are under way.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async { heist::compute(|| {
/// let words = ["fork", "and", "join"];
/// let longest = heist::parallel::par_reduce(
///     &words[..],
///     |part| part.iter().map(|word| word.len()).max(),
///     |left, right| left.max(right),
/// );
/// assert_eq!(longest, Some(4));
/// # }).await.unwrap() });
/// ```
pub fn par_reduce<S, P, M, R>(items: S, part: P, merge: M) -> R
where
    S: Split,
    P: Fn(S) -> R + Sync,
    M: Fn(R, R) -> R + Sync,
    R: Send,
{
    divide(items, &part, &merge)
}

/// Divides, calls `leaf` with each part, and merges the answers of neighbors.
pub(super) fn divide<S, R>(
    items: S,
    leaf: &(impl Fn(S) -> R + Sync),
    merge: &(impl Fn(R, R) -> R + Sync),
) -> R
where
    S: Split,
    R: Send,
{
    let workers = fork::n_workers_here();
    halve(items, PARTS * workers, workers, leaf, merge)
}

fn halve<S, R>(
    items: S,
    splits: usize,
    workers: usize,
    leaf: &(impl Fn(S) -> R + Sync),
    merge: &(impl Fn(R, R) -> R + Sync),
) -> R
where
    S: Split,
    R: Send,
{
    let n = items.n_items();
    if splits == 0 || n / 2 < items.min_part().max(1) {
        return leaf(items);
    }
    let (left, right) = items.divide_at(n / 2);
    let (splits, seat) = (splits / 2, fork::seat_number());
    let (left, right) = join(
        || halve(left, splits, workers, leaf, merge),
        || {
            let was_stolen = fork::seat_number() != seat;
            let splits = if was_stolen {
                splits.max(workers)
            } else {
                splits
            };
            halve(right, splits, workers, leaf, merge)
        },
    );
    merge(left, right)
}

macro_rules! split_ranges {
    ($($integer:ty),*) => {$(
        impl Split for Range<$integer> {
            fn n_items(&self) -> usize {
                ExactSizeIterator::len(self)
            }

            fn divide_at(self, at: usize) -> (Self, Self) {
                // At most the length, so it fits, also where it wraps.
                let middle = self.start.wrapping_add(at as $integer);
                (self.start..middle, middle..self.end)
            }
        }
    )*};
}
split_ranges!(usize, u32, i32, u16, i16);

impl<T: Sync> Split for &[T] {
    fn n_items(&self) -> usize {
        self.len()
    }

    fn divide_at(self, at: usize) -> (Self, Self) {
        self.split_at(at)
    }
}

impl<T: Send> Split for &mut [T] {
    fn n_items(&self) -> usize {
        self.len()
    }

    fn divide_at(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

/// Items that are divided into parts of some size at least; see [`Split::at_least`].
#[derive(Clone, Debug)]
pub struct AtLeast<S> {
    items: S,
    n: usize,
}

impl<S> AtLeast<S> {
    /// The items of this part.
    pub fn into_items(self) -> S {
        self.items
    }
}

impl<S: Split> Split for AtLeast<S> {
    fn n_items(&self) -> usize {
        self.items.n_items()
    }

    fn divide_at(self, at: usize) -> (Self, Self) {
        let (left, right) = self.items.divide_at(at);
        (left.at_least(self.n), right.at_least(self.n))
    }

    fn min_part(&self) -> usize {
        self.n.max(self.items.min_part())
    }
}

impl<S: IntoIterator> IntoIterator for AtLeast<S> {
    type Item = S::Item;
    type IntoIter = S::IntoIter;

    fn into_iter(self) -> S::IntoIter {
        self.items.into_iter()
    }
}

/// Items with their numbers; see [`Split::numbered`].
#[derive(Clone, Debug)]
pub struct Numbered<S> {
    first: usize,
    items: S,
}

impl<S: Split> Split for Numbered<S> {
    fn n_items(&self) -> usize {
        self.items.n_items()
    }

    fn divide_at(self, at: usize) -> (Self, Self) {
        let (left, right) = self.items.divide_at(at);
        let of = |first, items| Self { first, items };
        (of(self.first, left), of(self.first + at, right))
    }

    fn min_part(&self) -> usize {
        self.items.min_part()
    }
}

impl<S: IntoIterator> IntoIterator for Numbered<S> {
    type Item = (usize, S::Item);
    type IntoIter = std::iter::Zip<std::ops::RangeFrom<usize>, S::IntoIter>;

    fn into_iter(self) -> Self::IntoIter {
        (self.first..).zip(self.items)
    }
}

/// Runs of `size` items of a slice, the last one maybe shorter; see [`chunks`].
#[derive(Clone, Copy, Debug)]
pub struct Chunks<'a, T> {
    items: &'a [T],
    size: usize,
}

/// Runs of `size` items of a slice: each is one item of a parallel loop.
///
/// # Panics
///
/// If `size` is zero.
pub fn chunks<T: Sync>(items: &[T], size: usize) -> Chunks<'_, T> {
    assert!(size > 0, "chunks of no items");
    Chunks { items, size }
}

impl<T: Sync> Split for Chunks<'_, T> {
    fn n_items(&self) -> usize {
        self.items.len().div_ceil(self.size)
    }

    fn divide_at(self, at: usize) -> (Self, Self) {
        let (left, right) = self.items.split_at((at * self.size).min(self.items.len()));
        let of = |items| Self {
            items,
            size: self.size,
        };
        (of(left), of(right))
    }
}

impl<'a, T> IntoIterator for Chunks<'a, T> {
    type Item = &'a [T];
    type IntoIter = std::slice::Chunks<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.chunks(self.size)
    }
}

/// Runs of `size` items of a mutable slice, the last one maybe shorter; see [`chunks_mut`].
#[derive(Debug)]
pub struct ChunksMut<'a, T> {
    items: &'a mut [T],
    size: usize,
}

/// Runs of `size` items of a mutable slice: each is one item of a parallel loop.
///
/// # Panics
///
/// If `size` is zero.
pub fn chunks_mut<T: Send>(items: &mut [T], size: usize) -> ChunksMut<'_, T> {
    assert!(size > 0, "chunks of no items");
    ChunksMut { items, size }
}

impl<T: Send> Split for ChunksMut<'_, T> {
    fn n_items(&self) -> usize {
        self.items.len().div_ceil(self.size)
    }

    fn divide_at(self, at: usize) -> (Self, Self) {
        let at = (at * self.size).min(self.items.len());
        let (left, right) = self.items.split_at_mut(at);
        let of = |items| Self {
            items,
            size: self.size,
        };
        (of(left), of(right))
    }
}

impl<'a, T> IntoIterator for ChunksMut<'a, T> {
    type Item = &'a mut [T];
    type IntoIter = std::slice::ChunksMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.chunks_mut(self.size)
    }
}
