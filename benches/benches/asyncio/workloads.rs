//! The workloads. Their forms in Python are in `workloads.py`, under the same names.

use crate::Workload;
use heist_asyncio as asyncio;
use heist_benches::table::Figure;
use std::time::Duration;

/// Tasks that are alive at once.
const BATCH: u64 = 10_000;

const LIMIT: Duration = Duration::from_secs(30);

/// `n` in batches.
fn batches(n: u64) -> impl Iterator<Item = u64> + Send {
    (0..n.div_ceil(BATCH)).map(move |idx| BATCH.min(n - idx * BATCH))
}

/// What the tasks of all batches return together, if each returns its number.
fn triangles(n: u64) -> u64 {
    batches(n).map(|size| size * (size - 1) / 2).sum()
}

/// Tasks created and awaited.
pub(crate) struct CreateTask;

impl Workload for CreateTask {
    const NAME: &'static str = "create_task";
    const FIGURE: Figure = Figure::cost("ns/task, 10k created and each awaited");
    const OPERATIONS: u64 = 400_000;
    const PYTHON_OPERATIONS: u64 = 100_000;

    async fn facade(n: u64) -> asyncio::Result<u64> {
        let mut sum = 0;
        for size in batches(n) {
            let tasks: Vec<_> = (0..size)
                .map(|number| asyncio::create_task(async move { Ok(number) }))
                .collect();
            for task in tasks {
                sum += task.await?;
            }
        }
        Ok(sum)
    }

    async fn heist(n: u64) -> u64 {
        let mut sum = 0;
        for size in batches(n) {
            let tasks: Vec<_> = (0..size)
                .map(|number| heist::spawn(async move { number }))
                .collect();
            for task in tasks {
                sum += task.await.expect("no task fails");
            }
        }
        sum
    }

    async fn tokio(n: u64) -> u64 {
        let mut sum = 0;
        for size in batches(n) {
            let tasks: Vec<_> = (0..size)
                .map(|number| tokio::spawn(async move { number }))
                .collect();
            for task in tasks {
                sum += task.await.expect("no task fails");
            }
        }
        sum
    }

    fn expected(n: u64) -> u64 {
        triangles(n)
    }
}

/// The same through `gather`, whose twin elsewhere is to spawn all and join all.
pub(crate) struct Gather;

impl Workload for Gather {
    const NAME: &'static str = "gather";
    const FIGURE: Figure = Figure::cost("ns/task, 10k gathered");
    const OPERATIONS: u64 = 400_000;
    const PYTHON_OPERATIONS: u64 = 100_000;

    async fn facade(n: u64) -> asyncio::Result<u64> {
        let mut sum = 0;
        for size in batches(n) {
            let numbers = (0..size).map(|number| async move { Ok(number) });
            sum += asyncio::gather(numbers).await?.into_iter().sum::<u64>();
        }
        Ok(sum)
    }

    fn heist(n: u64) -> impl Future<Output = u64> + Send + 'static {
        CreateTask::heist(n)
    }

    fn tokio(n: u64) -> impl Future<Output = u64> + Send + 'static {
        CreateTask::tokio(n)
    }

    fn expected(n: u64) -> u64 {
        triangles(n)
    }
}

/// `sleep(0)`, alone.
pub(crate) struct SleepZero;

impl Workload for SleepZero {
    const NAME: &'static str = "sleep_zero";
    const FIGURE: Figure = Figure::cost("ns/yield, one task");
    const OPERATIONS: u64 = 1_000_000;
    const PYTHON_OPERATIONS: u64 = 200_000;

    async fn facade(n: u64) -> asyncio::Result<u64> {
        for _ in 0..n {
            asyncio::sleep(Duration::ZERO).await?;
        }
        Ok(n)
    }

    async fn heist(n: u64) -> u64 {
        for _ in 0..n {
            heist::task::yield_now().await;
        }
        n
    }

    async fn tokio(n: u64) -> u64 {
        for _ in 0..n {
            tokio::task::yield_now().await;
        }
        n
    }
}

/// A lock that nobody else wants.
pub(crate) struct Lock;

impl Workload for Lock {
    const NAME: &'static str = "lock";
    const FIGURE: Figure = Figure::cost("ns/lock and unlock, uncontended");
    const OPERATIONS: u64 = 2_000_000;
    const PYTHON_OPERATIONS: u64 = 400_000;

    async fn facade(n: u64) -> asyncio::Result<u64> {
        let (lock, mut taken) = (asyncio::Lock::new(), 0);
        for _ in 0..n {
            let guard = lock.acquire().await?;
            taken += 1;
            drop(guard);
        }
        Ok(taken)
    }

    async fn heist(n: u64) -> u64 {
        let taken = async_lock::Mutex::new(0);
        for _ in 0..n {
            *taken.lock().await += 1;
        }
        taken.into_inner()
    }

    async fn tokio(n: u64) -> u64 {
        let taken = tokio::sync::Mutex::new(0);
        for _ in 0..n {
            *taken.lock().await += 1;
        }
        taken.into_inner()
    }
}

/// Two tasks and two queues of one place each.
pub(crate) struct PingPong;

impl Workload for PingPong {
    const NAME: &'static str = "ping_pong";
    const FIGURE: Figure = Figure::cost("ns/round trip through two Queue(1)");
    const OPERATIONS: u64 = 200_000;
    const PYTHON_OPERATIONS: u64 = 50_000;

    async fn facade(n: u64) -> asyncio::Result<u64> {
        let (there, back) = (asyncio::Queue::new(1), asyncio::Queue::new(1));
        let (source, target) = (there.clone(), back.clone());
        let task = asyncio::create_task(async move {
            for _ in 0..n {
                target.put(source.get().await?).await?;
            }
            Ok(())
        });
        let mut sum = 0;
        for _ in 0..n {
            there.put(1).await?;
            sum += back.get().await?;
        }
        task.await?;
        Ok(sum)
    }

    async fn heist(n: u64) -> u64 {
        let (there, source) = async_channel::bounded(1);
        let (target, back) = async_channel::bounded(1);
        let task = heist::spawn(async move {
            while let Ok(item) = source.recv().await {
                target.send(item).await.expect("the other end listens");
            }
        });
        let mut sum = 0;
        for _ in 0..n {
            there.send(1).await.expect("the other end listens");
            sum += back.recv().await.expect("the other end answers");
        }
        drop(there);
        task.await.expect("no task fails");
        sum
    }

    async fn tokio(n: u64) -> u64 {
        let (there, mut source) = tokio::sync::mpsc::channel(1);
        let (target, mut back) = tokio::sync::mpsc::channel(1);
        let task = tokio::spawn(async move {
            while let Some(item) = source.recv().await {
                target.send(item).await.expect("the other end listens");
            }
        });
        let mut sum = 0;
        for _ in 0..n {
            there.send(1).await.expect("the other end listens");
            sum += back.recv().await.expect("the other end answers");
        }
        drop(there);
        task.await.expect("no task fails");
        sum
    }
}

/// One task puts, another one gets.
pub(crate) struct Pipe;

impl Workload for Pipe {
    const NAME: &'static str = "pipe";
    const FIGURE: Figure = Figure::cost("ns/message through a Queue(128)");
    const OPERATIONS: u64 = 1_000_000;
    const PYTHON_OPERATIONS: u64 = 200_000;

    async fn facade(n: u64) -> asyncio::Result<u64> {
        let queue = asyncio::Queue::new(128);
        let target = queue.clone();
        let task = asyncio::create_task(async move {
            for _ in 0..n {
                target.put(1).await?;
            }
            Ok(())
        });
        let mut sum = 0;
        for _ in 0..n {
            sum += queue.get().await?;
        }
        task.await?;
        Ok(sum)
    }

    async fn heist(n: u64) -> u64 {
        let (target, source) = async_channel::bounded(128);
        let task = heist::spawn(async move {
            for _ in 0..n {
                target.send(1).await.expect("the other end listens");
            }
        });
        let mut sum = 0;
        while let Ok(item) = source.recv().await {
            sum += item;
        }
        task.await.expect("no task fails");
        sum
    }

    async fn tokio(n: u64) -> u64 {
        let (target, mut source) = tokio::sync::mpsc::channel(128);
        let task = tokio::spawn(async move {
            for _ in 0..n {
                target.send(1).await.expect("the other end listens");
            }
        });
        let mut sum = 0;
        while let Some(item) = source.recv().await {
            sum += item;
        }
        task.await.expect("no task fails");
        sum
    }
}

/// A timeout around a yield: made, armed and cancelled.
pub(crate) struct Timeout;

impl Workload for Timeout {
    const NAME: &'static str = "timeout";
    const FIGURE: Figure = Figure::cost("ns/timeout around one yield, which does not fire");
    const OPERATIONS: u64 = 400_000;
    const PYTHON_OPERATIONS: u64 = 50_000;

    async fn facade(n: u64) -> asyncio::Result<u64> {
        let mut done = 0;
        for _ in 0..n {
            done += asyncio::timeout(LIMIT, async |_| {
                asyncio::sleep(Duration::ZERO).await?;
                Ok(1)
            })
            .await?;
        }
        Ok(done)
    }

    async fn heist(n: u64) -> u64 {
        let mut done = 0;
        for _ in 0..n {
            let limited = heist::time::timeout(LIMIT, heist::task::yield_now());
            done += u64::from(limited.await.is_ok());
        }
        done
    }

    async fn tokio(n: u64) -> u64 {
        let mut done = 0;
        for _ in 0..n {
            let limited = tokio::time::timeout(LIMIT, tokio::task::yield_now());
            done += u64::from(limited.await.is_ok());
        }
        done
    }
}

/// A call in a thread of the pool.
pub(crate) struct ToThread;

impl Workload for ToThread {
    const NAME: &'static str = "to_thread";
    const FIGURE: Figure = Figure::cost("ns/call in a thread, and back");
    const OPERATIONS: u64 = 20_000;
    const PYTHON_OPERATIONS: u64 = 5_000;

    async fn facade(n: u64) -> asyncio::Result<u64> {
        let mut sum = 0;
        for _ in 0..n {
            sum += asyncio::to_thread(|| Ok(1)).await?;
        }
        Ok(sum)
    }

    async fn heist(n: u64) -> u64 {
        let mut sum = 0;
        for _ in 0..n {
            sum += heist::task::spawn_blocking(|| 1)
                .await
                .expect("no call fails");
        }
        sum
    }

    async fn tokio(n: u64) -> u64 {
        let mut sum = 0;
        for _ in 0..n {
            sum += tokio::task::spawn_blocking(|| 1)
                .await
                .expect("no call fails");
        }
        sum
    }
}
