//! Ported from CPython's `test_threads.py`, and the helpers that this crate adds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use heist_asyncio as asyncio;

use crate::support::{Oops, run};

/// CPython: test_threads.ToThreadTests.test_to_thread
#[test]
fn a_blocking_function_runs_on_a_thread() {
    run(async {
        let here = std::thread::current().id();
        let there = asyncio::to_thread(|| Ok(std::thread::current().id())).await?;
        assert_ne!(here, there);
        Ok(())
    });
}

/// CPython: test_threads.ToThreadTests.test_to_thread_exception
#[test]
fn its_error_comes_back() {
    run(async {
        let result: asyncio::Result<()> = asyncio::to_thread(|| Err(Oops("thread").into())).await;
        assert!(result.unwrap_err().is::<Oops>());
        let result: asyncio::Result<()> = asyncio::to_thread(|| panic!("thread")).await;
        assert_eq!(
            result
                .unwrap_err()
                .downcast_ref::<asyncio::PanicError>()
                .unwrap()
                .message(),
            "thread"
        );
        Ok(())
    });
}

/// CPython: test_threads.ToThreadTests.test_to_thread_once
#[test]
fn it_is_called_once_and_only_when_awaited() {
    run(async {
        let n_calls = Arc::new(AtomicUsize::new(0));
        let call = || {
            let n_calls = n_calls.clone();
            asyncio::to_thread(move || Ok(n_calls.fetch_add(1, Ordering::SeqCst)))
        };
        drop(call());
        call().await?;
        assert_eq!(n_calls.load(Ordering::SeqCst), 1);
        Ok(())
    });
}

/// CPython: test_threads.ToThreadTests.test_to_thread_concurrent
#[test]
fn several_run_at_once() {
    run(async {
        let n_calls = Arc::new(AtomicUsize::new(0));
        let calls = (0..10).map(|_| {
            let n_calls = n_calls.clone();
            asyncio::to_thread(move || Ok(n_calls.fetch_add(1, Ordering::SeqCst)))
        });
        asyncio::gather(calls).await?;
        assert_eq!(n_calls.load(Ordering::SeqCst), 10);
        Ok(())
    });
}

/// CPython: test_threads.ToThreadTests.test_to_thread_args_kwargs
#[test]
fn it_takes_its_arguments_along() {
    run(async {
        let (text, n) = ("ab".to_owned(), 3);
        assert_eq!(
            asyncio::to_thread(move || Ok(text.repeat(n))).await?,
            "ababab"
        );
        Ok(())
    });
}

/// CPython: test_threads.ToThreadTests.test_to_thread_contextvars
#[test]
fn it_sees_the_callers_context_and_changes_a_copy() {
    run(async {
        let cvar = Arc::new(asyncio::ContextVar::new("v"));
        drop(cvar.set("parrot"));
        let inner = cvar.clone();
        let seen = asyncio::to_thread(move || {
            let seen = inner.get()?;
            drop(inner.set("changed"));
            Ok(seen)
        })
        .await?;
        assert_eq!((seen, cvar.get()?), ("parrot", "parrot"));
        Ok(())
    });
}

#[test]
fn another_thread_sees_how_a_coroutine_ended() {
    let mut runner = asyncio::Runner::new();
    let result = runner.run(async {
        let event_loop = asyncio::get_running_loop()?;
        asyncio::to_thread(move || {
            let failing = asyncio::run_coroutine_threadsafe(
                async { asyncio::Result::<()>::Err(asyncio::ValueError("no".into()).into()) },
                &event_loop,
            )?;
            let error = failing.exception(None)?;
            assert!(error.is_some_and(|error| error.is::<asyncio::ValueError>()));
            assert!(!failing.cancelled() && failing.result(None).is_err());
            let stuck = asyncio::run_coroutine_threadsafe(
                async { asyncio::Future::<()>::new().await },
                &event_loop,
            )?;
            let expired = stuck.exception(std::time::Duration::ZERO);
            assert!(expired.unwrap_err().is::<asyncio::TimeoutError>());
            stuck.cancel();
            assert!(stuck.exception(None).unwrap_err().is_cancelled() && stuck.cancelled());
            Ok(())
        })
        .await
    });
    result.unwrap();
}

#[test]
fn sync_runs_a_coroutine_from_anywhere() {
    assert_eq!(asyncio::sync(async { Ok(1) }).unwrap(), 1);
    for mut runner in [
        asyncio::Runner::current_thread(),
        asyncio::Runner::new().worker_threads(1),
    ] {
        let nested = runner.run(async {
            let task = asyncio::create_task(async { asyncio::sync(async { Ok(2) }) });
            task.await
        });
        assert_eq!(nested.unwrap(), 2);
    }
}
