//! `gather!`: the rules of gather, for results of different types.

use heist_asyncio as asyncio;

use crate::support::{Oops, ms, now_ms, passes, run};

async fn fails(delay: u64, text: &'static str) -> asyncio::Result<()> {
    asyncio::sleep(ms(delay)).await?;
    Err(Oops(text).into())
}

#[test]
fn results_of_different_types_are_a_tuple() {
    run(async {
        let future = asyncio::Future::new();
        future.set_result('c')?;
        let task = asyncio::create_task(asyncio::sleep_with(ms(20), "b"));
        let all = asyncio::gather!(asyncio::sleep_with(ms(30), 1), &task, &future, &task);
        assert_eq!(all.await?, (1, "b", 'c', "b"));
        assert_eq!(now_ms(), 30, "they run at the same time");
        Ok(())
    });
}

#[test]
fn nothing_and_many_may_be_gathered() {
    run(async {
        assert!(asyncio::gather!().done() && asyncio::gather_return_exceptions!().done());
        let ok = |n: u8| async move { Ok(n) };
        let many = asyncio::gather!(
            ok(1),
            ok(2),
            ok(3),
            ok(4),
            ok(5),
            ok(6),
            ok(7),
            ok(8),
            ok(9),
            ok(10),
            ok(11),
            ok(12),
        )
        .await?;
        assert_eq!(many, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
        Ok(())
    });
}

#[test]
fn the_first_exception_ends_it_and_the_others_go_on() {
    run(async {
        let task = asyncio::create_task(asyncio::sleep_with(ms(30), "late"));
        let error = asyncio::gather!(&task, fails(20, "second"), fails(10, "first"))
            .await
            .unwrap_err();
        assert_eq!(error.downcast_ref::<Oops>(), Some(&Oops("first")));
        assert_eq!((now_ms(), task.done()), (10, false));
        assert_eq!(task.await?, "late");
        Ok(())
    });
}

#[test]
fn exceptions_may_be_results() {
    run(async {
        let victim = asyncio::create_task(asyncio::sleep_with(ms(1000), 'v'));
        victim.cancel();
        let (number, failed, cancelled) = asyncio::gather_return_exceptions!(
            asyncio::sleep_with(ms(20), 1),
            fails(10, "first"),
            victim,
        )
        .await?;
        assert_eq!(number?, 1);
        assert!(failed.unwrap_err().is::<Oops>());
        assert!(cancelled.unwrap_err().is_cancelled());
        assert_eq!(now_ms(), 20);
        Ok(())
    });
}

#[test]
fn a_cancel_of_it_cancels_every_child() {
    run(async {
        let number = asyncio::create_task(asyncio::sleep_with(ms(1000), 1));
        let text = asyncio::create_task(asyncio::sleep_with(ms(1000), "text"));
        let (a, b) = (number.handle(), text.handle());
        let outer = asyncio::create_task(async { asyncio::gather!(number, text).await });
        passes(2).await;
        assert!(outer.cancel());
        assert!(outer.await.unwrap_err().is_cancelled());
        assert!(a.cancelled() && b.cancelled());
        Ok(())
    });
}
