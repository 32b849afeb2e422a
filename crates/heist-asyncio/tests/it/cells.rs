//! Whose a task's result is, on many threads: it goes with whoever holds the task, and not later.

use std::sync::{Arc, Mutex, Weak};
use std::task::{Poll, Waker};

use heist_asyncio as asyncio;

use crate::support::{Oops, record_errors};

/// A result that holds a waker of the task that it comes from.
struct Keeps(Arc<Mutex<Option<Waker>>>);

/// A task with such a result, which has ended.
async fn ended() -> asyncio::Result<(asyncio::Task<Keeps>, Weak<Mutex<Option<Waker>>>)> {
    let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
    let seen = Arc::downgrade(&waker);
    let task = asyncio::create_task(async move {
        std::future::poll_fn(|cx| {
            *waker.lock().unwrap() = Some(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
        Ok(Keeps(waker))
    });
    task.handle().join().await?;
    Ok((task, seen))
}

async fn until(mut condition: impl FnMut() -> bool) -> asyncio::Result<()> {
    while !condition() {
        asyncio::sleep(std::time::Duration::ZERO).await?;
    }
    Ok(())
}

#[test]
fn a_result_with_its_own_tasks_waker_is_no_leak() {
    asyncio::run(async {
        let (task, seen) = ended().await?;
        assert!(seen.strong_count() > 0);
        drop(task);
        // The step that ends may hold the cell for a moment.
        until(|| seen.strong_count() == 0).await?;
        let (task, seen) = ended().await?;
        let Keeps(waker) = task.await?;
        assert_eq!(Arc::strong_count(&waker), 1);
        drop(waker);
        assert_eq!(seen.strong_count(), 0);
        Ok(())
    })
    .unwrap();
}

#[test]
fn an_exception_that_nobody_can_see_is_reported_on_many_threads() {
    asyncio::run(async {
        let errors = record_errors(&asyncio::get_running_loop()?);
        // Created by this thread, which is none of the workers, and by a task.
        drop(asyncio::create_task(async {
            Err::<(), _>(Oops("one").into())
        }));
        until(|| errors.get().len() == 1).await?;
        let by_task = async {
            drop(asyncio::create_task(async {
                Err::<(), _>(Oops("two").into())
            }));
            Ok(())
        };
        asyncio::create_task(by_task).await?;
        until(|| errors.get().len() == 2).await?;
        let held = asyncio::create_task(async { Err::<(), _>(Oops("three").into()) });
        until(|| held.done()).await?;
        assert_eq!(errors.get().len(), 2);
        drop(held);
        until(|| errors.get().len() == 3).await
    })
    .unwrap();
}

#[test]
fn all_tasks_are_those_that_are_alive() {
    asyncio::run(async {
        let gate: asyncio::Future<()> = asyncio::Future::new();
        let names = || -> asyncio::Result<Vec<String>> {
            let tasks = asyncio::all_tasks()?;
            let names = tasks.iter().map(|task| task.get_name().to_string());
            Ok(names.filter(|name| name.starts_with("waits")).collect())
        };
        let waits = |name: &str| {
            let gate = gate.clone();
            asyncio::create_named_task(name, async move { gate.await })
        };
        let tasks = [waits("waits one"), waits("waits two")];
        let eager = gate.clone();
        let eager = asyncio::Builder::new()
            .name("waits three")
            .eager(true)
            .spawn(async move { eager.await })?;
        assert_eq!(names()?, ["waits one", "waits two", "waits three"]);
        // Without a handle it is alive all the same.
        let [one, two] = tasks;
        drop(one);
        assert_eq!(names()?.len(), 3);
        gate.set_result(())?;
        two.await?;
        eager.await?;
        until(|| names().is_ok_and(|names| names.is_empty())).await
    })
    .unwrap();
}
