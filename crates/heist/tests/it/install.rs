//! A thread outside that computes, with the workers' help.
//!
//! Where a test needs that a worker takes part, the closures wait for each other: it would hang if none did.

use crate::support::{local, on_all, workers};
use heist::parallel::{Split, join, par_for, par_reduce, scope};
use heist::runtime::{Handle, Runtime};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

/// Two closures that wait for each other; which threads called them.
fn both() -> [thread::ThreadId; 2] {
    let barrier = Barrier::new(2);
    let wait = || {
        barrier.wait();
        thread::current().id()
    };
    let (a, b) = join(wait, wait);
    [a, b]
}

/// Holds to \[F1\] and \[F8\], with an owner that plays no worker.
#[test]
fn a_worker_takes_what_the_caller_forks() {
    let runtime = workers(1);
    let (a, b) = runtime.install(both).into();
    assert_eq!(a, thread::current().id());
    assert_ne!(b, a);
    // Elsewhere it forks nothing.
    let here = || thread::current().id();
    assert_eq!(join(here, here), (a, a));
}

#[test]
fn the_answers_are_those_of_a_sequence() {
    on_all(|runtime| {
        let sum = runtime.install(|| {
            par_reduce(
                (0..100_000_usize).at_least(64),
                |part| part.into_iter().sum::<usize>(),
                |a, b| a + b,
            )
        });
        assert_eq!(sum, 4_999_950_000);
        let calls = AtomicUsize::new(0);
        runtime.install(|| {
            par_for(0..1_000_usize, |_| {
                calls.fetch_add(1, SeqCst);
            });
            scope(|scope| {
                for _ in 0..100 {
                    scope.spawn(|_| {
                        calls.fetch_add(1, SeqCst);
                    });
                }
            });
        });
        assert_eq!(calls.into_inner(), 1_100);
    });
}

#[test]
fn scopes_are_helped_with_too() {
    let runtime = workers(1);
    let barrier = Barrier::new(2);
    runtime.install(|| {
        scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|_| {
                    barrier.wait();
                });
            }
        });
    });
}

/// A place that was not given back would be missed: there are a thousand.
#[test]
fn a_panic_leaves_everything_in_place() {
    let runtime = workers(1);
    for round in 0..1_500_usize {
        let thrown = catch_unwind(AssertUnwindSafe(|| {
            runtime.install(|| {
                join(
                    || {
                        if round % 2 == 0 {
                            panic_any(round);
                        }
                    },
                    || {
                        if round % 2 == 1 {
                            panic_any(round);
                        }
                    },
                )
            })
        }));
        assert_eq!(*thrown.unwrap_err().downcast::<usize>().unwrap(), round);
    }
    runtime.install(both);
}

/// Several callers at once, each of which gets its own answer.
#[test]
fn callers_share_the_workers() {
    fn fib(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = join(|| fib(n - 1), || fib(n - 2));
        a + b
    }

    let runtime = workers(2);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 10..20 {
                    assert_eq!(runtime.install(|| fib(n)), runtime.install(|| fib(n)));
                }
                assert_eq!(runtime.install(|| fib(20)), 6_765);
            });
        }
    });
}

#[test]
fn the_runtime_is_current() {
    let runtime = workers(1);
    let answer = runtime.install(|| heist::spawn(async { 7 }));
    assert_eq!(runtime.block_on(answer).unwrap(), 7);
    assert!(Handle::try_current().is_err());
    local().install(|| assert!(Handle::try_current().is_ok()));
}

/// Each is a call, and takes no place of its own: there would not be enough of them, and the innermost would hang.
#[test]
fn one_within_another_of_the_same_runtime_just_calls() {
    fn nest(runtime: &Runtime, depth: usize) -> [thread::ThreadId; 2] {
        match depth {
            0 => both(),
            _ => runtime.install(|| nest(runtime, depth - 1)),
        }
    }

    let [here, there] = nest(&workers(1), 1_100);
    assert_ne!(here, there);
}

#[test]
fn one_may_lie_in_another() {
    let (outer, inner) = (Arc::new(workers(1)), Arc::new(workers(1)));
    let met = outer.install(|| {
        let within = inner.install(both);
        let after = both();
        assert_eq!(within[0], after[0]);
        within[1] != after[1]
    });
    assert!(met, "each has a worker of its own");
    // In a task of the same runtime, and of another one, whose worker goes on meanwhile.
    let task = outer.spawn({
        let (outer, inner) = (outer.clone(), inner.clone());
        async move {
            outer.install(|| join(|| (), || ()));
            let (tell, told) = mpsc::channel();
            heist::spawn(async move { tell.send(()) });
            inner.install(|| told.recv()).unwrap();
            inner.install(both);
        }
    });
    inner.block_on(task).unwrap();
    // Their last owner is no task.
    drop((outer, inner));
}
