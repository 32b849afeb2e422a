//! Each primitive on many threads, with seeded random cancels: nothing is lost, doubled, stranded or left over.
//!
//! The workloads wait for each other, never for time. `STRESS_ROUNDS` sets how many rounds each has; each test says
//! how many cancels it has requested. `STRESS_ROUNDS=2000` makes more than a million in all, and takes minutes in release:
//! `STRESS_ROUNDS=2000 cargo test --release --package heist-asyncio --test it stress -- --nocapture`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use heist_asyncio as asyncio;

/// A small generator of reproducible numbers (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

fn rounds() -> u64 {
    std::env::var("STRESS_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(40)
}

/// The cancels that this test has requested: its runs inherit the context of its thread.
static N_CANCELS: LazyLock<asyncio::ContextVar<Arc<AtomicU64>>> =
    LazyLock::new(|| asyncio::ContextVar::new("n_cancels"));

/// Requests a cancel, and counts it.
fn cancel(task: &asyncio::TaskHandle) -> bool {
    N_CANCELS.get().unwrap().fetch_add(1, Ordering::Relaxed);
    task.cancel()
}

/// Runs a round under 1, 2 and 8 workers, and on the exact loop.
#[track_caller]
fn on_all<F: Future<Output = asyncio::Result<()>> + Send>(round: impl Fn(u64) -> F) {
    let n_cancels = Arc::new(AtomicU64::new(0));
    drop(N_CANCELS.set(n_cancels.clone()));
    for seed in 0..rounds() {
        for n in [1, 2, 8] {
            let mut runner = asyncio::Runner::new().worker_threads(n);
            runner.run(round(seed)).unwrap();
            runner.close().unwrap();
        }
        let mut runner = asyncio::Runner::current_thread();
        runner.run(round(seed)).unwrap();
        runner.close().unwrap();
    }
    let line = std::panic::Location::caller().line();
    let n_cancels = n_cancels.load(Ordering::Relaxed);
    println!("line {line}: {} rounds, {n_cancels} cancels", 4 * rounds());
}

/// Cancels tasks at random until all are done, then says how many were cancelled.
async fn harass(tasks: &[asyncio::Task<()>], dice: &mut Dice, share: u64) -> usize {
    for task in tasks {
        if dice.below(100) < share {
            cancel(&task.handle());
        }
        if dice.below(4) == 0 {
            asyncio::yield_now().await.unwrap();
        }
    }
    let mut n_cancelled = 0;
    for task in tasks {
        match task.await {
            Ok(()) => {}
            Err(error) if error.is_cancelled() => n_cancelled += 1,
            Err(error) => panic!("a task failed: {error}"),
        }
    }
    n_cancelled
}

/// Holds to [K5], [K6], [F4], [F5]: one cancel, whenever it comes, is raised in each branch, or where there is one in that,
/// and not once more afterwards.
#[test]
fn a_cancel_reaches_every_branch_once() {
    on_all(|seed| async move {
        let (n_begun, n_told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let event = asyncio::Event::new();
        let tasks: Vec<_> = (0..20)
            .map(|idx| {
                let (n_begun, n_told) = (n_begun.clone(), n_told.clone());
                let event = event.clone();
                asyncio::create_task(async move {
                    n_begun.fetch_add(1, Ordering::SeqCst);
                    let yields = async { while asyncio::yield_now().await.is_ok() {} };
                    let foreign = || asyncio::cancellable(std::future::pending::<()>());
                    match idx % 5 {
                        0 => {
                            let (before, (), _, after) =
                                futures_util::join!(foreign(), yields, event.wait(), foreign());
                            assert!(before.is_err() && after.is_err());
                        }
                        4 => drop(futures_util::join!(event.wait(), yields)),
                        1 => drop(futures_util::join!(foreign(), yields, foreign())),
                        2 => drop(futures_util::join!(event.wait(), foreign())),
                        _ => drop(foreign().await),
                    }
                    asyncio::yield_now().await?;
                    n_told.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
            })
            .collect();
        let mut dice = Dice::new(seed);
        for task in &tasks {
            for _ in 0..dice.below(3) {
                asyncio::yield_now().await?;
            }
            // The wait of some branches is over at about the time at which the cancel comes.
            if dice.below(40) == 0 {
                event.set();
            }
            cancel(&task.handle());
        }
        harass(&tasks, &mut dice, 0).await;
        let count = |n: &AtomicUsize| n.load(Ordering::SeqCst);
        assert_eq!(count(&n_begun), count(&n_told));
        Ok(())
    });
}

#[test]
fn a_lock_is_never_held_twice_nor_orphaned() {
    on_all(|seed| async move {
        let (lock, n_inside) = (asyncio::Lock::new(), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..24)
            .map(|_| {
                let (lock, n_inside) = (lock.clone(), n_inside.clone());
                asyncio::create_task(async move {
                    for _ in 0..4 {
                        let guard = lock.acquire().await?;
                        assert_eq!(n_inside.fetch_add(1, Ordering::SeqCst), 0);
                        let pause = asyncio::yield_now().await;
                        n_inside.fetch_sub(1, Ordering::SeqCst);
                        drop(guard);
                        pause?;
                    }
                    Ok(())
                })
            })
            .collect();
        harass(&tasks, &mut Dice::new(seed), 50).await;
        assert!(!lock.locked());
        assert_eq!(lock.n_waiting(), 0);
        Ok(())
    });
}

#[test]
fn a_semaphore_keeps_its_permits() {
    on_all(|seed| async move {
        let (semaphore, n_inside) = (asyncio::Semaphore::new(3), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..24)
            .map(|_| {
                let (semaphore, n_inside) = (semaphore.clone(), n_inside.clone());
                asyncio::create_task(async move {
                    for _ in 0..4 {
                        let guard = semaphore.acquire().await?;
                        assert!(n_inside.fetch_add(1, Ordering::SeqCst) < 3);
                        let pause = asyncio::yield_now().await;
                        n_inside.fetch_sub(1, Ordering::SeqCst);
                        drop(guard);
                        pause?;
                    }
                    Ok(())
                })
            })
            .collect();
        harass(&tasks, &mut Dice::new(seed), 50).await;
        assert_eq!((semaphore.value(), semaphore.n_waiting()), (3, 0));
        Ok(())
    });
}

#[test]
fn a_queue_loses_and_doubles_nothing() {
    on_all(|seed| async move {
        let queue = asyncio::Queue::<u64>::new(2);
        let put = Arc::new(AtomicUsize::new(0));
        let got = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for n in 0..24_u64 {
            let (queue, put, got) = (queue.clone(), put.clone(), got.clone());
            tasks.push(asyncio::create_task(async move {
                for item in 0..5 {
                    if n % 2 == 0 {
                        queue.put(n * 100 + item).await?;
                        put.fetch_add(1, Ordering::SeqCst);
                    } else {
                        queue.get().await?;
                        queue.task_done()?;
                        got.fetch_add(1, Ordering::SeqCst);
                    }
                }
                Ok(())
            }));
        }
        let mut dice = Dice::new(seed);
        for task in &tasks {
            if dice.below(3) == 0 {
                cancel(&task.handle());
            }
        }
        // What the cancelled left undone: the rest is drained or fed until nobody waits.
        let (drained, fed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        while tasks.iter().any(|task| !task.done()) {
            match queue.n_waiting() {
                (_, putters) if (putters > 0 || queue.full()) && queue.get_nowait().is_ok() => {
                    queue.task_done()?;
                    drained.fetch_add(1, Ordering::SeqCst);
                }
                (getters, _) if getters > 0 && queue.put_nowait(0).is_ok() => {
                    fed.fetch_add(1, Ordering::SeqCst);
                }
                _ => {}
            }
            asyncio::yield_now().await?;
        }
        let total_in = put.load(Ordering::SeqCst) + fed.load(Ordering::SeqCst);
        let total_out = got.load(Ordering::SeqCst) + drained.load(Ordering::SeqCst);
        assert_eq!(total_in, total_out + queue.qsize());
        assert_eq!(queue.n_waiting(), (0, 0));
        Ok(())
    });
}

#[test]
fn a_condition_strands_nobody() {
    on_all(|seed| async move {
        let condition = asyncio::Condition::new();
        let tickets = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (condition, tickets) = (condition.clone(), tickets.clone());
                asyncio::create_task(async move {
                    let mut guard = condition.acquire().await?;
                    guard
                        .wait_for(|| tickets.load(Ordering::SeqCst) > 0)
                        .await?;
                    tickets.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                })
            })
            .collect();
        let mut dice = Dice::new(seed);
        for _ in 0..20 {
            let guard = condition.acquire().await?;
            tickets.fetch_add(1, Ordering::SeqCst);
            guard.notify(1);
            drop(guard);
            let victim = dice.below(40);
            if let Some(task) = tasks.get(usize::try_from(victim).unwrap()) {
                cancel(&task.handle());
            }
        }
        // One that was cancelled after it took its ticket leaves another without: enough for all.
        let guard = condition.acquire().await?;
        tickets.fetch_add(20, Ordering::SeqCst);
        guard.notify_all();
        drop(guard);
        harass(&tasks, &mut dice, 0).await;
        assert!(!condition.locked());
        assert_eq!(
            (condition.n_waiting(), condition.lock().n_waiting()),
            (0, 0)
        );
        Ok(())
    });
}

#[test]
fn a_barrier_outlives_those_who_leave() {
    on_all(|seed| async move {
        let mut dice = Dice::new(seed);
        let barrier = asyncio::Barrier::new(3)?;
        let wait = || {
            let barrier = barrier.clone();
            asyncio::create_task(async move { barrier.wait().await.map(drop) })
        };
        let tasks: Vec<_> = (0..12).map(|_| wait()).collect();
        for task in &tasks {
            if dice.below(3) == 0 {
                cancel(&task.handle());
            }
            if dice.below(4) == 0 {
                asyncio::yield_now().await?;
            }
        }
        // Who is left waits for others: as many come as are wanted, and those who came too many leave again.
        let mut others = Vec::new();
        while tasks.iter().any(|task| !task.done()) {
            let n_others = others
                .iter()
                .filter(|task: &&asyncio::Task<()>| !task.done())
                .count();
            if barrier.n_waiting() > 0 && n_others < 2 {
                others.push(wait());
            }
            asyncio::yield_now().await?;
        }
        for task in &others {
            cancel(&task.handle());
        }
        harass(&tasks, &mut dice, 0).await;
        harass(&others, &mut dice, 0).await;
        assert_eq!(barrier.n_waiting(), 0, "seed {seed}");
        assert!(!barrier.broken());
        Ok(())
    });
}

/// The last child to return takes no failure of another one for a result that is not there.
#[test]
fn a_gather_raises_what_its_child_raised() {
    on_all(|seed| async move {
        let mut dice = Dice::new(seed);
        for _ in 0..20 {
            let n_failing = dice.below(3);
            let children = (0..3_u64).map(|n| async move {
                asyncio::yield_now().await?;
                if n == n_failing {
                    return Err(asyncio::ValueError("child".into()).into());
                }
                Ok(n)
            });
            let error = asyncio::gather(children).await.unwrap_err();
            assert!(error.is::<asyncio::ValueError>(), "seed {seed}: {error}");
        }
        Ok(())
    });
}

/// Tasks that wait for an event which comes while they are cancelled: each is woken or cancelled.
#[test]
fn an_event_strands_nobody() {
    on_all(|seed| async move {
        let mut dice = Dice::new(seed);
        asyncio::get_running_loop()?.set_eager(seed % 2 == 0);
        for _ in 0..4 {
            let event = asyncio::Event::new();
            let tasks: Vec<_> = (0..24)
                .map(|_| {
                    let event = event.clone();
                    asyncio::create_task(async move { event.wait().await })
                })
                .collect();
            asyncio::yield_now().await?;
            let setter = event.clone();
            let setting = asyncio::create_task(async move {
                setter.set();
                Ok(())
            });
            harass(&tasks, &mut dice, 50).await;
            setting.await?;
            assert_eq!(event.n_waiting(), 0);
        }
        Ok(())
    });
}

#[test]
fn a_barrier_lets_each_group_through() {
    on_all(|seed| async move {
        let barrier = asyncio::Barrier::new(3)?;
        let indexes = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..12)
            .map(|_| {
                let (barrier, indexes) = (barrier.clone(), indexes.clone());
                asyncio::create_task(async move {
                    let index = barrier.wait().await?;
                    indexes.fetch_add(index, Ordering::SeqCst);
                    Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        assert_eq!(indexes.load(Ordering::SeqCst), 4 * 3, "seed {seed}");
        assert_eq!(barrier.n_waiting(), 0);
        Ok(())
    });
}

/// Holds to [G1], [G6].
#[test]
fn a_group_leaves_no_child_alive() {
    on_all(|seed| async move {
        let alive = Arc::new(AtomicUsize::new(0));
        let event = asyncio::Event::new();
        let mut dice = Dice::new(seed);
        let fails = dice.below(3) == 0;
        let group = {
            let (alive, event) = (alive.clone(), event.clone());
            asyncio::create_task(async move {
                asyncio::TaskGroup::scope(async |group| {
                    for n in 0..10 {
                        let (alive, event) = (alive.clone(), event.clone());
                        group.create_task(async move {
                            alive.fetch_add(1, Ordering::SeqCst);
                            let result = event.wait().await;
                            asyncio::yield_now().await.ok();
                            alive.fetch_sub(1, Ordering::SeqCst);
                            if fails && n == 5 {
                                return Err(asyncio::ValueError("child".into()).into());
                            }
                            result
                        })?;
                    }
                    Ok(())
                })
                .await
            })
        };
        for _ in 0..dice.below(6) {
            asyncio::yield_now().await?;
        }
        if dice.below(2) == 0 {
            cancel(&group.handle());
        }
        event.set();
        let result = (&group).await;
        assert_eq!(alive.load(Ordering::SeqCst), 0, "seed {seed}: {result:?}");
        assert_eq!(group.cancelling() > 0, group.cancelling() == 1);
        Ok(())
    });
}

/// Holds to [C1], [C3], [K4].
#[test]
fn a_cancel_is_delivered_once_through_chains_of_tasks() {
    on_all(|seed| async move {
        let mut dice = Dice::new(seed);
        for _ in 0..40 {
            let gate = asyncio::Future::<()>::new();
            let mut chain = {
                let gate = gate.clone();
                asyncio::create_task(async move { gate.await })
            };
            for _ in 0..dice.below(5) {
                let inner = chain;
                chain = asyncio::create_task(async move { inner.await });
            }
            for _ in 0..dice.below(4) {
                asyncio::yield_now().await?;
            }
            let handle = chain.handle();
            N_CANCELS.get().unwrap().fetch_add(1, Ordering::Relaxed);
            let canceller = asyncio::create_task(async move { Ok(handle.cancel()) });
            if dice.below(2) == 0 {
                gate.set_result(()).ok();
            }
            let accepted = canceller.await?;
            let opened = gate.set_result(()).is_ok();
            match chain.await {
                Ok(()) => assert!(!accepted, "seed {seed}: an accepted cancel was lost"),
                Err(error) => assert!(error.is_cancelled() && accepted, "seed {seed}: {error}"),
            }
            let _ = opened;
        }
        Ok(())
    });
}

/// Holds to [D3].
#[test]
fn a_timeout_never_hits_the_code_after_it() {
    on_all(|seed| async move {
        let mut dice = Dice::new(seed);
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let delay = std::time::Duration::from_micros(dice.below(200));
                asyncio::create_task(async move {
                    for _ in 0..4 {
                        let result = asyncio::timeout(delay, async |_| {
                            for _ in 0..20 {
                                asyncio::yield_now().await?;
                            }
                            Ok(())
                        })
                        .await;
                        let task = asyncio::current_task().unwrap();
                        assert_eq!(task.cancelling(), 0);
                        asyncio::yield_now().await.unwrap();
                        assert!(
                            result.is_ok() || result.unwrap_err().is::<asyncio::TimeoutError>()
                        );
                    }
                    Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        Ok(())
    });
}

#[test]
fn gather_wait_and_shield_see_every_child() {
    on_all(|seed| async move {
        let mut dice = Dice::new(seed);
        for _ in 0..20 {
            let tasks: Vec<_> = (0..8_u64)
                .map(|n| {
                    asyncio::create_task(async move {
                        asyncio::yield_now().await?;
                        Ok(n)
                    })
                })
                .collect();
            for task in &tasks {
                if dice.below(4) == 0 {
                    cancel(&task.handle());
                }
            }
            let (done, pending) =
                asyncio::wait(&tasks, None, asyncio::ReturnWhen::AllCompleted).await?;
            assert_eq!((done.len(), pending.len()), (8, 0));
            let results = asyncio::gather_return_exceptions(&tasks).await?;
            for (n, result) in (0..8).zip(results) {
                assert!(result.map_or_else(|error| error.is_cancelled(), |value| value == n));
            }
            assert_eq!(
                asyncio::shield(asyncio::create_task(async { Ok(7) })).await?,
                7
            );
        }
        Ok(())
    });
}
