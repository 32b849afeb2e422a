//! Fork-join on the workers. The rules are those of `scheduler/fork.rs` and `parallel/`.
//!
//! Where a test needs a job to be taken by another worker, the closures wait for each other: it would
//! hang if nobody took it.

use crate::support::{Drops, on_all, workers};
use heist::parallel::{Split, chunks, chunks_mut, join, par_for, par_map, par_reduce, scope};
use heist::runtime::{Builder, Runtime};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

/// Runs `f` as a computation, and waits for it.
fn compute<R: Send + 'static>(runtime: &Runtime, f: impl FnOnce() -> R + Send + 'static) -> R {
    runtime
        .block_on(async { heist::compute(f).await })
        .expect("the computation ends")
}

/// On one, two and four workers, on a current-thread runtime, and on no runtime at all.
fn everywhere(test: impl Fn() + Send + Copy + 'static) {
    on_all(|runtime| compute(runtime, test));
    compute(&workers(4), test);
    test();
}

/// Calls two closures on two workers at once: each waits for the other before it goes on.
fn at_once<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let both = Barrier::new(2);
    join(
        || {
            both.wait();
            a()
        },
        || {
            both.wait();
            b()
        },
    )
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = join(|| fib(n - 1), || fib(n - 2));
    a + b
}

fn message(payload: Box<dyn std::any::Any + Send>) -> &'static str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .unwrap_or("not ours")
}

/// What `f` panics with.
fn panic_of<R>(f: impl FnOnce() -> R) -> &'static str {
    message(catch_unwind(AssertUnwindSafe(f)).map(drop).unwrap_err())
}

#[test]
fn join_returns_both_results() {
    everywhere(|| {
        assert_eq!(join(|| 1, || "two"), (1, "two"));
        assert_eq!(fib(18), 2_584);
    });
}

#[test]
fn deep_recursion_on_either_side() {
    fn left(n: u32) -> u32 {
        if n == 0 {
            0
        } else {
            join(|| left(n - 1), || 1).0 + 1
        }
    }
    fn right(n: u32) -> u32 {
        if n == 0 {
            0
        } else {
            join(|| 1, || right(n - 1)).1 + 1
        }
    }
    // More than a seat has room for.
    everywhere(|| assert_eq!(join(|| left(1_200), || right(1_200)), (1_200, 1_200)));
}

#[test]
fn another_worker_takes_the_second_closure() {
    let runtime = workers(2);
    for _ in 0..100 {
        let (a, b) = compute(&runtime, || {
            at_once(
                || std::thread::current().id(),
                || std::thread::current().id(),
            )
        });
        assert_ne!(a, b);
    }
}

#[test]
fn every_worker_takes_part() {
    let runtime = workers(4);
    for _ in 0..20 {
        compute(&runtime, || {
            let all = Barrier::new(4);
            let wait = || {
                all.wait();
            };
            join(|| join(wait, wait), || join(wait, wait));
        });
    }
}

#[test]
fn private_jobs_come_out_when_asked_for() {
    // The worker that is busy meanwhile comes back after jobs were pushed privately.
    let runtime = workers(2);
    for _ in 0..20 {
        let (go, gone) = mpsc::channel::<()>();
        let busy = runtime.spawn(async move { gone.recv().unwrap() });
        compute(&runtime, move || {
            let taken = AtomicBool::new(false);
            let hold = || {
                go.send(()).unwrap();
                while !taken.load(SeqCst) {
                    fib(5);
                }
            };
            let set = || taken.store(true, SeqCst);
            join(|| join(|| join(|| join(hold, set), || ()), || ()), || ());
        });
        runtime.block_on(busy).unwrap();
    }
}

#[test]
fn panics_of_each_side() {
    everywhere(|| {
        assert_eq!(panic_of(|| join(|| panic_any("a"), || 1)), "a");
        assert_eq!(panic_of(|| join(|| 1, || panic_any("b"))), "b");
        assert_eq!(panic_of(|| join(|| panic_any("a"), || panic_any("b"))), "a");
        // The seat is in order afterwards.
        assert_eq!(fib(10), 55);
    });
}

#[test]
fn panics_of_closures_that_were_taken() {
    let runtime = workers(2);
    for _ in 0..50 {
        compute(&runtime, || {
            let drops = Drops::new();
            assert_eq!(
                panic_of(|| at_once(|| panic_any("a"), || drops.token())),
                "a"
            );
            assert_eq!(drops.count(), 1);
            assert_eq!(
                panic_of(|| at_once(|| drops.token(), || panic_any("b"))),
                "b"
            );
            assert_eq!(drops.count(), 2);
            assert_eq!(
                panic_of(|| at_once(|| panic_any("a"), || panic_any("b"))),
                "a"
            );
        });
    }
}

#[test]
fn a_panic_drops_what_was_not_begun() {
    everywhere(|| {
        let drops = Drops::new();
        for _ in 0..100 {
            let token = drops.token();
            panic_of(|| join(|| panic_any("a"), move || drop(token)));
        }
        assert_eq!(drops.count(), 100);
    });
}

#[test]
fn panics_anywhere_in_a_tree() {
    fn tree(depth: u32, bad: u32, path: u32) {
        if depth == 0 {
            if path == bad {
                panic_any("leaf");
            }
            return;
        }
        join(
            || tree(depth - 1, bad, 2 * path),
            || tree(depth - 1, bad, 2 * path + 1),
        );
    }
    everywhere(|| {
        for bad in (0..256).step_by(15) {
            assert_eq!(panic_of(|| tree(8, bad, 0)), "leaf");
        }
    });
}

#[test]
fn the_task_and_the_runtime_stay_the_same() {
    let runtime = workers(2);
    let drops = Drops::new();
    let token = drops.token();
    let task = compute(&runtime, move || {
        let me = heist::task::id();
        let taken = || {
            let task = heist::spawn(async move { drop(token) });
            (heist::task::id(), task)
        };
        let ((), (id, task)) = at_once(|| (), taken);
        assert_eq!(id, me);
        task
    });
    runtime.block_on(task).unwrap();
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_worker_is_handed_on_inside_a_join() {
    for n in [1, 2] {
        let runtime = workers(n);
        for _ in 0..20 {
            compute(&runtime, || {
                // The first closure blocks until the second has run, which is on the same seat.
                let (tell, told) = mpsc::channel();
                let wait = || heist::task::block_in_place(move || told.recv().unwrap());
                let (got, ()) = join(wait, || tell.send(7).unwrap());
                assert_eq!(got, 7);
                assert_eq!(fib(10), 55);
                let inner = join(
                    || {
                        heist::runtime::Handle::current()
                            .block_on(async { heist::spawn(async { 1 }).await.unwrap() })
                    },
                    || fib(8),
                );
                assert_eq!(inner, (1, 21));
            });
        }
    }
}

/// The second closure waits for a computation that is queued when the first has ended: the waiting
/// thread lets another one play its worker.
#[test]
fn a_join_that_waits_hands_its_worker_on() {
    let runtime = workers(2);
    for _ in 0..50 {
        compute(&runtime, || {
            let (tell, told) = mpsc::channel();
            at_once(
                || drop(heist::compute(move || tell.send(()).unwrap())),
                move || told.recv().unwrap(),
            );
            // Whether the worker came back or not, this thread can fork.
            assert_eq!(fib(12), 144);
        });
        compute(&runtime, || {
            let both = Barrier::new(2);
            let (tell, told) = mpsc::channel();
            let told = Mutex::new(told);
            scope(|scope| {
                scope.spawn(|_| {
                    both.wait();
                    told.lock().unwrap().recv().unwrap();
                });
                both.wait();
                drop(heist::compute(move || tell.send(()).unwrap()));
            });
        });
    }
}

#[test]
fn scopes_run_everything() {
    everywhere(|| {
        let mut parts = [0_u32; 20];
        scope(|scope| {
            for (i, part) in (0..).zip(&mut parts) {
                scope.spawn(move |_| *part = i);
            }
        });
        assert!(parts.iter().copied().eq(0..20));
        // Spawning from within, and joins and scopes inside.
        let count = AtomicUsize::new(0);
        let answer = scope(|outer| {
            for _ in 0..10 {
                outer.spawn(|outer| {
                    outer.spawn(|_| {
                        count.fetch_add(1, SeqCst);
                    });
                    let (a, b) = join(
                        || fib(6),
                        || {
                            scope(|inner| {
                                inner.spawn(|_| {
                                    count.fetch_add(1, SeqCst);
                                });
                                fib(7)
                            })
                        },
                    );
                    count.fetch_add((a + b) as usize, SeqCst);
                });
            }
            "answer"
        });
        assert_eq!(answer, "answer");
        assert_eq!(count.load(SeqCst), 10 * (2 + 8 + 13));
    });
}

#[test]
fn scopes_deep_inside_joins() {
    fn tree(depth: u32, count: &AtomicUsize) {
        if depth == 0 {
            count.fetch_add(1, SeqCst);
            return;
        }
        let spawn = || {
            scope(|scope| {
                scope.spawn(|_| tree(depth - 1, count));
                tree(depth - 1, count);
            })
        };
        join(spawn, || tree(depth - 1, count));
    }
    everywhere(|| {
        let count = AtomicUsize::new(0);
        tree(6, &count);
        assert_eq!(count.load(SeqCst), 3_usize.pow(6));
    });
}

#[test]
fn a_scope_resumes_a_panic_when_all_have_ended() {
    everywhere(|| {
        let drops = Drops::new();
        let spawn_all = |own: Option<&'static str>| {
            scope(|scope| {
                for i in 0..10 {
                    let token = drops.token();
                    scope.spawn(move |_| {
                        let _token = token;
                        if i == 3 {
                            panic_any("child");
                        }
                    });
                }
                if let Some(own) = own {
                    panic_any(own);
                }
            })
        };
        assert_eq!(panic_of(|| spawn_all(None)), "child");
        assert_eq!(drops.count(), 10);
        assert_eq!(panic_of(|| spawn_all(Some("own"))), "own");
        assert_eq!(drops.count(), 20);
    });
}

#[test]
fn another_worker_takes_what_a_scope_spawns() {
    let runtime = workers(2);
    for _ in 0..50 {
        compute(&runtime, || {
            let both = Barrier::new(2);
            scope(|scope| {
                scope.spawn(|_| {
                    both.wait();
                });
                both.wait();
            });
            // The opener waits when the spawned one spawns.
            scope(|scope| {
                scope.spawn(|scope| {
                    both.wait();
                    scope.spawn(|_| {
                        both.wait();
                    });
                    both.wait();
                });
                both.wait();
            });
        });
    }
}

#[test]
fn loops_over_everything_that_can_be_divided() {
    everywhere(|| {
        let sum = AtomicU64::new(0);
        par_for(0..1_000_u32, |i| {
            sum.fetch_add(u64::from(i), SeqCst);
        });
        par_for(-5..5_i32, |i| {
            sum.fetch_add(i.unsigned_abs().into(), SeqCst);
        });
        par_for(i16::MIN..i16::MAX, |_| ());
        par_for((0..0_usize).at_least(10), |_| unreachable!());
        let whole = AtomicUsize::new(0);
        par_for((0..64_usize).at_least(usize::MAX), |_| {
            whole.fetch_add(1, SeqCst);
        });
        assert_eq!(whole.into_inner(), 64);
        assert_eq!(sum.load(SeqCst), 499_500 + 25);

        let mut values = vec![1_u32; 1_000];
        par_for(&mut values[..], |value| *value += 1);
        par_for(chunks_mut(&mut values, 7).numbered(), |(i, chunk)| {
            chunk.fill(i as u32);
        });
        assert!(
            values
                .iter()
                .enumerate()
                .all(|(i, &value)| value as usize == i / 7)
        );
        let sizes = par_map(chunks(&values, 300), <[u32]>::len);
        assert_eq!(sizes, [300, 300, 300, 100]);
        let total = par_reduce(
            values.at_least(64),
            |part| part.into_items().iter().sum(),
            |a: u32, b| a + b,
        );
        assert_eq!(total, values.iter().sum());
        let order = par_reduce(
            0..100_usize,
            |part| part.collect(),
            |mut a: Vec<_>, b| {
                a.extend(b);
                a
            },
        );
        assert!(order.into_iter().eq(0..100));
    });
}

#[test]
fn results_come_in_order() {
    everywhere(|| {
        for n in [0_usize, 1, 2, 3, 100, 10_000] {
            assert!(
                par_map(0..n, |i| i.to_string())
                    .into_iter()
                    .eq((0..n).map(|i| i.to_string()))
            );
        }
        assert_eq!(par_map(&[(); 5][..], |()| ()).len(), 5);
    });
}

/// [V1]: whatever was written when a call panics is dropped, once.
#[test]
fn a_panic_in_a_map_drops_each_result_once() {
    everywhere(|| {
        for bad in (0..1_000).step_by(111) {
            let (drops, made) = (Drops::new(), AtomicUsize::new(0));
            let map = || {
                par_map(0..1_000_usize, |i| {
                    if i == bad {
                        panic_any("item");
                    }
                    made.fetch_add(1, SeqCst);
                    drops.token()
                })
            };
            assert_eq!(panic_of(map), "item");
            assert_eq!(drops.count(), made.load(SeqCst));
        }
    });
}

/// [V1]: a `Split` that says something else than it gives breaks nothing but itself.
#[test]
fn a_liar_is_found_out() {
    struct Liar(usize, Drops);
    impl Split for Liar {
        fn n_items(&self) -> usize {
            10
        }
        fn divide_at(self, _at: usize) -> (Self, Self) {
            (Liar(self.0, self.1.clone()), self)
        }
    }
    impl IntoIterator for Liar {
        type Item = usize;
        type IntoIter = std::ops::Range<usize>;
        fn into_iter(self) -> Self::IntoIter {
            0..self.0
        }
    }
    everywhere(|| {
        for n in [0, 3, 9, 11, 100] {
            let (drops, made) = (Drops::new(), AtomicUsize::new(0));
            let map = || {
                par_map(Liar(n, drops.clone()), |_| {
                    made.fetch_add(1, SeqCst);
                    drops.token()
                })
            };
            assert!(catch_unwind(AssertUnwindSafe(map)).is_err());
            assert_eq!(drops.count(), made.load(SeqCst));
        }
    });
}

/// How often the tests run that look for a deadlock.
fn runs() -> usize {
    let asked = std::env::var("HEIST_FORKJOIN_RUNS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(300)
}

/// [F6]: a lock is held across a parallel loop, by jobs that all want the same lock. Whoever waits in
/// the inner loop and took an outer job on meanwhile would wait for itself.
#[test]
fn a_lock_held_across_a_join() {
    for n in [2, 4] {
        let runtime = workers(n);
        for _ in 0..runs() / 2 {
            let sum = compute(&runtime, || {
                let total = Mutex::new(0);
                par_for(0..16_usize, |_| {
                    let mut total = total.lock().unwrap();
                    *total += par_reduce(
                        0..64_usize,
                        |part| part.map(|_| fib(3)).sum(),
                        |a: u64, b| a + b,
                    );
                });
                total.into_inner().unwrap()
            });
            assert_eq!(sum, 16 * 64 * 2);
        }
    }
}

/// [F6]: a thread that waits in a `join` runs no other computation's jobs.
#[test]
fn a_wait_runs_only_descendants() {
    thread_local! {
        static HELD_BY: Cell<usize> = const { Cell::new(0) };
    }
    fn tree(me: usize, depth: u32) {
        let outer = HELD_BY.replace(me);
        assert!(
            outer == 0 || outer == me,
            "{me} was run in the midst of {outer}"
        );
        if depth > 0 {
            join(|| tree(me, depth - 1), || tree(me, depth - 1));
        } else {
            std::hint::black_box(fib(2));
        }
        HELD_BY.set(outer);
    }
    for n in [2, 4] {
        let runtime = workers(n);
        runtime.block_on(async {
            for _ in 0..runs() / 10 {
                let tasks: Vec<_> = (1..=6)
                    .map(|me| heist::compute(move || tree(me, 7)))
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            }
        });
    }
}

/// A timer and a task's wake get through while every worker computes in joins that never rest.
#[test]
fn light_tasks_go_on_beside_joins() {
    for n in [1, 2] {
        let runtime = workers(n);
        let stop = Arc::new(AtomicBool::new(false));
        runtime.block_on(async {
            let load: Vec<_> = (0..2 * n)
                .map(|_| {
                    let stop = stop.clone();
                    heist::compute(move || {
                        while !stop.load(SeqCst) {
                            fib(16);
                        }
                    })
                })
                .collect();
            for _ in 0..20 {
                heist::spawn(heist::time::sleep(Duration::from_millis(1)))
                    .await
                    .unwrap();
            }
            stop.store(true, SeqCst);
            for task in load {
                task.await.unwrap();
            }
        });
    }
}

#[test]
fn a_runtime_that_ends_waits_for_its_joins() {
    for _ in 0..20 {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        let (begun, has_begun) = mpsc::channel();
        let done = Arc::new(AtomicUsize::new(0));
        let counted = done.clone();
        runtime.block_on(async {
            drop(heist::compute(move || {
                begun.send(()).unwrap();
                par_for(0..1_000_usize, |_| {
                    fib(6);
                    counted.fetch_add(1, SeqCst);
                });
            }));
        });
        has_begun.recv().unwrap();
        drop(runtime);
        assert_eq!(done.load(SeqCst), 1_000);
    }
}

#[test]
fn many_computations_at_once() {
    let runtime = workers(3);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..40_u64)
            .map(|i| {
                heist::compute(move || {
                    let (a, b) = join(|| fib(12 + i % 5), || par_map(0..50_u32, |i| i).len());
                    (a, b)
                })
            })
            .collect();
        for (i, task) in (0..).zip(tasks) {
            let (a, b) = task.await.unwrap();
            assert_eq!((a, b), ([144, 233, 377, 610, 987][i % 5], 50));
        }
    });
}
