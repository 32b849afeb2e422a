//! The recursions: all of it forks, a sum, a sort, and a sum that begins on idle workers.

use crate::pool::Pool;
use crate::{Workload, check};
use heist_benches::cpu;
use heist_benches::runner::Options;
use heist_benches::table::Figure;
use heist_benches::{Sample, Stopwatch};
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Duration;

/// A fork for each addition.
pub(crate) struct Fib;

fn fib<P: Pool>(scope: &mut P::Scope<'_>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = P::join(
        scope,
        |scope| fib::<P>(scope, n - 1),
        |scope| fib::<P>(scope, n - 2),
    );
    a + b
}

impl Workload for Fib {
    const NAME: &'static str = "fib";
    const FIGURE: Figure = Figure::cost("ns/fork, fib(32) without a cut-off");

    fn run<P: Pool>(pool: P, _options: &Options) -> Result<Sample, String> {
        const FORKS: u64 = 3_524_577;
        let watch = Stopwatch::start();
        let answer = pool.enter(|scope| fib::<P>(scope, black_box(32)));
        let sample = watch.stop(FORKS);
        check("fib(32)", answer, 2_178_309)?;
        Ok(sample)
    }
}

const ITEMS: usize = 8_000_000;

/// Numbers in no order, the same each time.
fn numbers() -> &'static [u32] {
    static NUMBERS: OnceLock<Vec<u32>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        let mut state = 1_u64;
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u32
        };
        std::iter::repeat_with(next).take(ITEMS).collect()
    })
}

fn sum<P: Pool>(scope: &mut P::Scope<'_>, items: &[u32], leaf: usize) -> u64 {
    if items.len() <= leaf {
        return items.iter().map(|&item| u64::from(item)).sum();
    }
    let (left, right) = items.split_at(items.len() / 2);
    let (left, right) = P::join(
        scope,
        |scope| sum::<P>(scope, left, leaf),
        |scope| sum::<P>(scope, right, leaf),
    );
    left + right
}

fn right_sum(items: &[u32]) -> u64 {
    items.iter().map(|&item| u64::from(item)).sum()
}

/// Eight million numbers, a fork for each thousand.
pub(crate) struct Sum;

impl Workload for Sum {
    const NAME: &'static str = "sum";
    const FIGURE: Figure = Figure::cost("ns/thousand of 8 M numbers, leaves of at most 1,024");

    fn run<P: Pool>(pool: P, options: &Options) -> Result<Sample, String> {
        let items = numbers();
        let rounds = options.scaled(20);
        let watch = Stopwatch::start();
        let answer = pool.enter(move |scope| {
            let sums = (0..rounds).map(|_| sum::<P>(scope, black_box(items), 1_024));
            sums.sum::<u64>()
        });
        let sample = watch.stop(rounds * ITEMS as u64 / 1_000);
        check("the sum", answer, rounds * right_sum(items))?;
        Ok(sample)
    }
}

/// A merge sort that halves by forks.
pub(crate) struct Sort;

/// Sorts `items`, or `room` with what is in `items`.
fn sort<P: Pool>(scope: &mut P::Scope<'_>, items: &mut [u32], room: &mut [u32], into_room: bool) {
    if items.len() <= 4_096 {
        items.sort_unstable();
        if into_room {
            room.copy_from_slice(items);
        }
        return;
    }
    let middle = items.len() / 2;
    let (left, right) = items.split_at_mut(middle);
    let (left_room, right_room) = room.split_at_mut(middle);
    P::join(
        scope,
        |scope| sort::<P>(scope, left, left_room, !into_room),
        |scope| sort::<P>(scope, right, right_room, !into_room),
    );
    let (from, to) = if into_room {
        (items, room)
    } else {
        (room, items)
    };
    let (left, right) = from.split_at(middle);
    merge::<P>(scope, left, right, to);
}

/// Merges two sorted halves, by forks while they are large.
fn merge<P: Pool>(scope: &mut P::Scope<'_>, left: &[u32], right: &[u32], to: &mut [u32]) {
    if to.len() <= 16_384 {
        let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
        for place in to {
            let from_left = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) => a <= b,
                (a, _) => a.is_some(),
            };
            let next = if from_left { left.next() } else { right.next() };
            *place = next.copied().unwrap_or_default();
        }
        return;
    }
    let (long, short) = if left.len() >= right.len() {
        (left, right)
    } else {
        (right, left)
    };
    let middle = long.len() / 2;
    let cut = short.partition_point(|item| *item < long[middle]);
    let (low, high) = to.split_at_mut(middle + cut);
    P::join(
        scope,
        |scope| merge::<P>(scope, &long[..middle], &short[..cut], low),
        |scope| merge::<P>(scope, &long[middle..], &short[cut..], high),
    );
}

impl Workload for Sort {
    const NAME: &'static str = "sort";
    const FIGURE: Figure = Figure::cost("ns/number of 8 M, merge sort");

    fn run<P: Pool>(pool: P, options: &Options) -> Result<Sample, String> {
        let mut items = numbers()[..options.scaled(ITEMS as u64) as usize].to_vec();
        let sum = right_sum(&items);
        let mut room = vec![0; items.len()];
        let watch = Stopwatch::start();
        let items = pool.enter(move |scope| {
            sort::<P>(scope, &mut items, &mut room, false);
            items
        });
        let sample = watch.stop(items.len() as u64);
        check("sorted", items.is_sorted(), true)?;
        check("the sum", right_sum(&items), sum)?;
        Ok(sample)
    }
}

/// A sum of some microseconds, each time after the workers have gone to sleep.
pub(crate) struct SmallSum;

impl Workload for SmallSum {
    const NAME: &'static str = "small_sum";
    const FIGURE: Figure = Figure::cost("ns each, 256,000 numbers after a millisecond's rest");

    fn run<P: Pool>(pool: P, options: &Options) -> Result<Sample, String> {
        let items = &numbers()[..256_000];
        let rounds = options.scaled(400);
        let (mut elapsed, mut answer) = (Duration::ZERO, 0);
        for _ in 0..rounds {
            cpu::settle(Duration::from_millis(1));
            let watch = Stopwatch::start();
            answer += pool.enter(move |scope| sum::<P>(scope, black_box(items), 1_024));
            elapsed += watch.stop(1).elapsed;
        }
        check("the sum", answer, rounds * right_sum(items))?;
        Ok(Sample {
            operations: rounds,
            elapsed,
            // Most of the time is rest.
            cpu: None,
        })
    }
}
