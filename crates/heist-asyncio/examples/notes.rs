//! The programs of the notes on asyncio, each with its twin, in the notes' order.
//!
//! Above each twin stands its original in words, and where the notes were mistaken, that is said. The subprocess
//! programs are not here: they belong to streams and subprocesses.

use std::sync::Arc;
use std::time::Duration;

use heist_asyncio as asyncio;

const SECOND: Duration = Duration::from_secs(1);

/// The notes' `async def sum(*numbs)`: adds its arguments. They call the function itself a coroutine; it is a
/// coroutine function, and calling it gives the coroutine.
async fn sum(numbers: &[f64]) -> asyncio::Result<f64> {
    Ok(numbers.iter().sum())
}

/// `async def main()` makes two coroutines and runs neither: in the notes both are assigned to one name and never
/// awaited, which Python warns about. Here an `async fn` that nobody awaits is a compiler warning.
async fn entry() -> asyncio::Result<f64> {
    let first = sum(&[255.0, 257.0]);
    let second = sum(&[3.5, 257.0]);
    Ok(first.await? + second.await?)
}

/// `asyncio.run(main())`, and `async with asyncio.Runner() as runner`: a runner is a plain `with`, not an `async`
/// one; here it is a value that is closed.
fn runners() -> asyncio::Result<()> {
    println!("run: {}", asyncio::run(entry())?);
    let mut runner = asyncio::Runner::new();
    println!("runner: {}", runner.run(entry())?);
    runner.close()
}

async fn something() -> asyncio::Result<&'static str> {
    asyncio::sleep(SECOND / 100).await?;
    Ok("something")
}

/// Four ways to run one awaitable: `await` it; make a task and await that; shield the task; cancel the task. The notes
/// write them in a plain `def main()`, where `await` is a syntax error, and guess that `await` hides a task: it does
/// not, the coroutine runs inside the task that awaits it.
async fn awaiting() -> asyncio::Result<()> {
    let before = asyncio::all_tasks()?.len();
    println!("await: {}", something().await?);
    assert_eq!(
        asyncio::all_tasks()?.len(),
        before,
        "an await makes no task"
    );

    let task = asyncio::create_task(something());
    println!("task: {}", task.await?);

    let task = asyncio::create_task(something());
    println!("shield: {}", asyncio::shield(&task).await?);

    // `task.get_coro() is aw`: a task is told apart by its number.
    let task = asyncio::create_task(something());
    let id = task.id();
    task.cancel();
    assert_eq!(task.id(), id);
    println!("cancelled: {}", task.await.unwrap_err().is_cancelled());
    Ok(())
}

/// `for fut in as_completed(aws, timeout=None): await fut`. The notes put it in a plain function, and say that `await`
/// cannot run several; it can, where what is awaited runs several.
async fn batch_as_they_come() -> asyncio::Result<()> {
    let slow = |ms: u64| asyncio::sleep_with(Duration::from_millis(ms), ms);
    let mut results = asyncio::as_completed([slow(20), slow(5), slow(10)], None);
    while let Some(result) = results.next().await {
        println!("as completed: {}", result?);
    }
    Ok(())
}

/// `await asyncio.gather(*aws)`: all results, in the order of the arguments.
async fn batch_in_order() -> asyncio::Result<()> {
    let slow = |ms: u64| asyncio::sleep_with(Duration::from_millis(ms), ms);
    println!(
        "gather: {:?}",
        asyncio::gather([slow(20), slow(5), slow(10)]).await?
    );
    Ok(())
}

/// `await asyncio.wait_for(aw, timeout=5.0)`.
async fn limited() -> asyncio::Result<()> {
    println!(
        "wait_for: {}",
        asyncio::wait_for(something(), 5 * SECOND).await?
    );
    Ok(())
}

/// `async with asyncio.timeout(5)`, which the notes spell `timout` and miss in Python 3.7 and 3.10: it came with 3.11.
async fn limited_block() -> asyncio::Result<()> {
    let result = asyncio::timeout(SECOND / 100, async |_| {
        asyncio::sleep(60 * SECOND).await?;
        something().await
    })
    .await;
    println!("timeout: {}", result.unwrap_err());
    Ok(())
}

/// The list of what asyncio offers: get the loop, make a task on it, a queue to push to and pull from. The notes take
/// `asyncio.Queue` for Go's channel: its size 0 means any number, not a rendezvous, and closing it came with 3.13.
async fn loop_task_queue() -> asyncio::Result<()> {
    let event_loop = asyncio::get_running_loop()?;
    let task = event_loop.create_task(something())?;
    let queue = asyncio::Queue::new(0);
    queue.put(task.await?).await?;
    println!("queue: {}", queue.get().await?);
    queue.shutdown(false);
    println!("closed: {}", queue.get().await.unwrap_err());
    Ok(())
}

/// `func01` awaits a request and returns its answer (the notes print an undefined name there); `func02` sleeps. The
/// request is a sleep here. `asyncio.sleep(2)` is not `time.sleep(2)`: the loop goes on meanwhile.
async fn func01() -> asyncio::Result<String> {
    println!("func01 begins");
    asyncio::sleep(SECOND / 100).await?;
    println!("func01 ends");
    Ok("response".to_owned())
}

async fn func02() -> asyncio::Result<i32> {
    println!("999");
    asyncio::sleep(SECOND / 50).await?;
    Ok(0)
}

/// Three ways to start: `loop.run_until_complete(coro)`, `asyncio.run(coro)`, and `asyncio.wait([task])` in a main.
/// The notes' `asyncio.run()` without an argument is an error, and their `main` must be `async`; tasks need a running
/// loop, and `await asyncio.wait(…)` has awaited them: a second `await task` only fetches the result.
fn starting() -> asyncio::Result<()> {
    let mut runner = asyncio::Runner::current_thread();
    println!("loop: {}", runner.run(func01())?);
    runner.close()?;
    println!("run: {}", asyncio::run(func02())?);
    asyncio::run(async {
        let tasks = [asyncio::create_named_task("task01", func02())];
        let (done, pending) =
            asyncio::wait(&tasks, None, asyncio::ReturnWhen::AllCompleted).await?;
        println!(
            "wait: {} done, {} pending, {}",
            done.len(),
            pending.len(),
            done[0].await?
        );
        Ok(())
    })
}

/// "Future is the base of Task, and awaitable": a future that somebody sets.
async fn a_future() -> asyncio::Result<()> {
    let future = asyncio::Future::new();
    let setter = future.clone();
    asyncio::get_running_loop()?.call_soon(move || {
        // It can fail only where somebody else has set it.
        setter.set_result(42).ok();
    });
    println!("future: {}", future.await?);
    Ok(())
}

/// `async for` and asynchronous generators, which "`await` and `yield` in one coroutine" make: strictly one item after
/// the other, as the notes say. A generator is a stream here, and closing it lets it clean up.
async fn async_for() -> asyncio::Result<()> {
    use futures_util::StreamExt;
    let numbers = asyncio::async_generator(|y| async move {
        let result = async {
            for n in 1.. {
                asyncio::sleep(SECOND / 1000).await?;
                y.yield_(n).await?;
            }
            Ok(())
        }
        .await;
        println!("async for: the generator cleans up");
        result
    });
    asyncio::aclosing(numbers, async |numbers| {
        let mut first_three = numbers.take(3);
        while let Some(n) = first_three.next().await {
            println!("async for: {}", n?);
        }
        Ok(())
    })
    .await
}

/// "Anything with `__await__` is awaitable": `IntoFuture` here.
struct Answer;

impl IntoFuture for Answer {
    type Output = asyncio::Result<i32>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(asyncio::sleep_with(SECOND / 1000, 42))
    }
}

/// The notes' links: a blocking function as an asynchronous one, a signal, and a coroutine from synchronous code.
async fn links() -> asyncio::Result<()> {
    let length = asyncio::asyncify(|text: &'static str| Ok(text.len()));
    println!("asyncify: {}", length("four").await?);

    let mut signal = asyncio::signals::Signal::new();
    signal.connect(async |text: Arc<str>| {
        println!("signal: {text}");
        Ok(())
    });
    signal.freeze().send("frozen and sent".into()).await?;

    // Receivers may be plain functions and asynchronous ones; who drops the connection hears nothing any more.
    let numbers = asyncio::signals::CollectingSignal::new();
    let _plain = numbers.connect(|n: i32| Ok(n + 1));
    let _asynchronous =
        numbers.connect(async |n: i32| asyncio::sleep_with(SECOND / 1000, n * 2).await);
    drop(numbers.connect(|_: i32| Ok(0)));
    let answers: asyncio::Result<Vec<i32>> = numbers.send(20).await.into_iter().collect();
    println!("collected: {:?}", answers?);

    println!("sync: {}", asyncio::sync(something())?);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    runners()?;
    asyncio::run(async {
        awaiting().await?;
        batch_as_they_come().await?;
        batch_in_order().await?;
        limited().await?;
        limited_block().await?;
        loop_task_queue().await
    })?;
    starting()?;
    asyncio::run(async {
        a_future().await?;
        async_for().await?;
        println!("awaitable: {}", Answer.await?);
        links().await
    })?;
    Ok(())
}
