//! `SystemExit` and `KeyboardInterrupt`, raised in a task: they leave the loop.

use heist_asyncio as asyncio;

use asyncio::{Exception, Runner, SystemExit};

use crate::support::{Record, ms, record_errors};

type Log = Record<&'static str>;

fn runners() -> [Runner; 3] {
    [
        Runner::virtual_clock(),
        Runner::current_thread(),
        Runner::new().worker_threads(2),
    ]
}

async fn exits(status: i32) -> asyncio::Result<()> {
    asyncio::yield_now().await?;
    Err(SystemExit(status).into())
}

/// Raises the exit when it is cancelled.
async fn exits_when_cancelled(started: asyncio::Event, status: i32) -> asyncio::Result<()> {
    started.set();
    asyncio::Future::<()>::new().await.ok();
    Err(SystemExit(status).into())
}

/// Waits until it is cancelled, and then for a pass.
async fn cleans_up(
    started: asyncio::Event,
    log: Log,
    names: [&'static str; 2],
) -> asyncio::Result<()> {
    started.set();
    let result = asyncio::Future::new().await;
    log.push(names[0]);
    asyncio::yield_now().await?;
    log.push(names[1]);
    result
}

#[track_caller]
fn assert_exit(error: &Exception, status: i32) {
    assert_eq!(error.downcast_ref(), Some(&SystemExit(status)), "{error}");
}

#[test]
fn an_exit_of_a_lone_task_leaves_the_run() {
    for mut runner in runners() {
        let log = Log::new();
        let main = cleans_up(
            asyncio::Event::new(),
            log.clone(),
            ["main is cancelled", "main is done"],
        );
        let started = asyncio::Event::new();
        let other = cleans_up(
            started.clone(),
            log.clone(),
            ["other is cancelled", "other is done"],
        );
        let result = runner.run(async {
            asyncio::create_task(other);
            started.wait().await?;
            asyncio::create_task(exits(3));
            main.await
        });
        assert_exit(&result.unwrap_err(), 3);
        let seen = log.get();
        assert_eq!(seen.len(), 4);
        runner.close().unwrap();
        assert_eq!(log.get(), seen, "all have ended with the run");
    }
}

/// As CPython does it where the set of all tasks is in the order of their creation.
#[test]
fn everybody_is_cancelled_in_one_pass() {
    let (log, started) = (Log::new(), asyncio::Event::new());
    let other = cleans_up(
        started.clone(),
        log.clone(),
        ["other is cancelled", "other is done"],
    );
    let main = cleans_up(
        asyncio::Event::new(),
        log.clone(),
        ["main is cancelled", "main is done"],
    );
    let result = Runner::virtual_clock().run(async {
        asyncio::create_task(exits(3));
        asyncio::create_task(other);
        main.await
    });
    assert_exit(&result.unwrap_err(), 3);
    let expected = [
        "main is cancelled",
        "other is cancelled",
        "main is done",
        "other is done",
    ];
    assert_eq!(log.get(), expected);
}

/// CPython: test_tasks.BaseTaskTests.test_baseexception_during_cancel
#[test]
fn an_exit_in_answer_to_a_cancel_is_kept_and_raised() {
    for mut runner in runners() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let result = runner.run(async {
            let started = asyncio::Event::new();
            let task = asyncio::create_task(exits_when_cancelled(started.clone(), 1));
            started.wait().await?;
            task.cancel();
            sender.send(task).unwrap();
            asyncio::Future::<()>::new().await
        });
        assert_exit(&result.unwrap_err(), 1);
        let task = receiver.recv().unwrap();
        assert!(task.done() && !task.cancelled());
        assert_exit(&task.exception().unwrap().unwrap(), 1);
    }
}

#[test]
fn an_exit_of_main_leaves_the_others_to_the_closing() {
    for mut runner in runners() {
        let log = Log::new();
        let started = asyncio::Event::new();
        let other = cleans_up(
            started.clone(),
            log.clone(),
            ["other is cancelled", "other is done"],
        );
        let result: asyncio::Result<()> = runner.run(async {
            asyncio::create_task(other);
            started.wait().await?;
            exits(4).await
        });
        assert_exit(&result.unwrap_err(), 4);
        assert!(log.get().is_empty());
        // What was left queued by the first run does not end the second one.
        let passes = async {
            for _ in 0..3 {
                asyncio::yield_now().await?;
            }
            Ok(5)
        };
        assert_eq!(runner.run(passes).unwrap(), 5);
        runner.close().unwrap();
        assert_eq!(log.get(), ["other is cancelled", "other is done"]);
    }
}

/// CPython's `run_until_complete` returns with the exit of the pass in which its future is done, too.
#[test]
fn an_exit_beside_the_end_of_main_is_raised_and_does_not_stop_the_next_run() {
    let mut runner = Runner::virtual_clock();
    let result = runner.run(async {
        asyncio::create_task(exits(6));
        // Both end in the same pass, main before the other.
        asyncio::yield_now().await?;
        Ok(1)
    });
    assert_exit(&result.unwrap_err(), 6);
    let sleeps = async {
        asyncio::sleep(ms(1)).await?;
        Ok(2)
    };
    assert_eq!(runner.run(sleeps).unwrap(), 2);
    runner.close().unwrap();
}

#[test]
fn the_rest_of_the_pass_comes_before_what_was_queued_since() {
    let log = Log::new();
    let (first, second) = (log.clone(), log.clone());
    let mut runner = Runner::virtual_clock();
    let result: asyncio::Result<()> = runner.run(async move {
        let event_loop = asyncio::get_running_loop()?;
        let here = event_loop.clone();
        event_loop.call_soon(move || {
            here.call_soon(move || second.push("queued since"));
        });
        asyncio::create_task(async { asyncio::Result::<()>::Err(SystemExit(7).into()) });
        event_loop.call_soon(move || first.push("rest of the pass"));
        asyncio::Future::new().await
    });
    assert_exit(&result.unwrap_err(), 7);
    runner.close().unwrap();
    assert_eq!(log.get(), ["rest of the pass", "queued since"]);
}

#[test]
fn a_second_exit_takes_the_place_of_the_first_and_main_is_dropped() {
    struct Dropped(Log);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.push("main is dropped");
        }
    }
    for mut runner in runners() {
        let log = Log::new();
        let result: asyncio::Result<()> = runner.run(async {
            let _dropped = Dropped(log.clone());
            let started = asyncio::Event::new();
            asyncio::create_task(exits_when_cancelled(started.clone(), 9));
            started.wait().await?;
            asyncio::create_task(exits(8));
            loop {
                asyncio::Future::<()>::new().await.ok();
            }
        });
        assert_exit(&result.unwrap_err(), 9);
        assert_eq!(log.get(), ["main is dropped"]);
        runner.close().unwrap();
    }
}

#[test]
fn an_exit_in_the_closing_is_its_error_and_the_loop_is_closed() {
    for mut runner in runners() {
        let event_loop = runner.get_loop().unwrap();
        let result = runner.run(async {
            let started = asyncio::Event::new();
            asyncio::create_task(exits_when_cancelled(started.clone(), 2));
            started.wait().await
        });
        result.unwrap();
        assert_exit(&runner.close().unwrap_err(), 2);
        assert!(event_loop.is_closed());
    }
}

#[test]
fn an_exit_that_nobody_has_read_is_reported_when_its_task_goes() {
    for mut runner in runners() {
        let errors = record_errors(&runner.get_loop().unwrap());
        let result = runner.run(async {
            asyncio::create_task(exits(3));
            asyncio::Future::<()>::new().await
        });
        assert_exit(&result.unwrap_err(), 3);
        runner.close().unwrap();
        assert_eq!(errors.get().len(), 1, "{:?}", errors.get());
    }
}

/// A group raises its child's exit again, which is no second one: everybody is awaited.
#[test]
fn an_exit_that_is_passed_on_is_no_second_one() {
    for mut runner in runners() {
        let log = Log::new();
        let started = asyncio::Event::new();
        let other = cleans_up(started.clone(), log.clone(), ["is cancelled", "is done"]);
        let result: asyncio::Result<()> = runner.run(async {
            asyncio::create_task(other);
            started.wait().await?;
            asyncio::TaskGroup::scope(async |group| {
                group.create_task(exits(3))?;
                Ok(())
            })
            .await
        });
        assert_exit(&result.unwrap_err(), 3);
        runner.close().unwrap();
        // On many threads main may have ended by itself before the run was left.
        assert_eq!(log.get(), ["is cancelled", "is done"]);
    }
}

/// Whoever waits for a main task that went with its run is told that it was cancelled.
#[test]
fn a_task_that_waits_for_a_dropped_main_ends() {
    for mut runner in runners() {
        let log = Log::new();
        let seen = log.clone();
        let result: asyncio::Result<()> = runner.run(async {
            let main = asyncio::current_task().unwrap();
            let started = asyncio::Event::new();
            let starts = started.clone();
            asyncio::create_task(async move {
                starts.set();
                // A cancel of this task goes to main, which swallows it.
                let result = main.join().await;
                seen.push(if result.is_err() { "cancelled" } else { "done" });
                result
            });
            started.wait().await?;
            let started = asyncio::Event::new();
            asyncio::create_task(exits_when_cancelled(started.clone(), 2));
            started.wait().await?;
            asyncio::create_task(exits(1));
            loop {
                asyncio::Future::<()>::new().await.ok();
            }
        });
        assert!(result.unwrap_err().is::<SystemExit>());
        runner.close().unwrap();
        assert_eq!(log.get(), ["cancelled"]);
    }
}
