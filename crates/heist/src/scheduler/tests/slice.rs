//! The time slice that a thread asks for.

use crate::runtime::Builder;
use crate::scheduler::slice::{self, linux::attributes};
use std::sync::mpsc;

#[test]
fn a_short_slice_is_asked_for_and_given_back() {
    let runtime = || attributes().map(|attributes| attributes.runtime);
    let before = attributes();
    let short = slice::ask_shorter(slice::SPARE);
    // A kernel that has slices tells of this thread's.
    assert_eq!(
        short.is_some(),
        before.is_some_and(|before| before.has_longer(slice::SPARE))
    );
    if short.is_some() {
        assert_eq!(runtime(), Some(slice::SPARE.as_nanos() as u64));
        let child = std::thread::scope(|scope| scope.spawn(runtime).join());
        assert_eq!(
            child.unwrap(),
            before.map(|before| before.runtime),
            "of a child"
        );
    }
    drop(short);
    assert_eq!(runtime(), before.map(|before| before.runtime));
}

/// As the monitor does with a spare that is held up.
#[test]
fn a_short_slice_can_be_lengthened_by_another_thread_and_is_asked_for_again() {
    let runtime = || attributes().map(|attributes| attributes.runtime);
    let before = runtime();
    let Some(short) = slice::ask_shorter(slice::SPARE) else {
        return;
    };
    let thread = crate::clock::this_thread();
    let lengthen =
        |slice| std::thread::scope(|s| s.spawn(move || slice::lengthen(thread, slice)).join());
    lengthen(slice::MONITOR).unwrap();
    let asked = Some(slice::SPARE.as_nanos() as u64);
    assert_eq!(runtime(), asked, "it is not that one");
    lengthen(slice::SPARE).unwrap();
    assert_eq!(runtime(), Some(slice::COMPUTING.as_nanos() as u64));
    short.renew();
    assert_eq!(runtime(), asked, "renewed");
    lengthen(slice::SPARE).unwrap();
    drop(short);
    assert_eq!(runtime(), before);
}

/// The slice of the thread that plays the spare while the only worker is held up.
fn slice_of_the_spare(short: bool) -> Option<u64> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).time_slices(short).build();
    let runtime = runtime.unwrap();
    let (begun, has_begun) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let held_up = runtime.spawn(async move {
        begun.send(()).unwrap();
        ends.recv().unwrap();
    });
    has_begun.recv().unwrap();
    let asked = runtime.spawn(async { attributes().map(|attributes| attributes.runtime) });
    let slice = runtime.block_on(asked).unwrap();
    end.send(()).unwrap();
    runtime.block_on(held_up).unwrap();
    slice
}

#[test]
fn the_spare_asks_for_a_short_slice_unless_told_not_to() {
    let usual = attributes();
    let grants = usual.is_some_and(|usual| usual.has_longer(slice::SPARE));
    let usual = usual.map(|usual| usual.runtime);
    assert_eq!(slice_of_the_spare(false), usual);
    assert_eq!(
        slice_of_the_spare(true) == Some(slice::SPARE.as_nanos() as u64),
        grants
    );
}

#[test]
fn a_slice_is_long_while_the_thread_computes() {
    let runtime = || attributes().map(|attributes| attributes.runtime);
    let before = attributes();
    let grants = before.is_some_and(|before| before.has_shorter(slice::COMPUTING));
    let before = runtime();
    let mut long = slice::Long::new(true);
    for _ in 0..2 {
        long.begin();
        let is_long = runtime() == Some(slice::COMPUTING.as_nanos() as u64);
        assert_eq!(is_long, grants);
        long.end();
        assert_eq!(runtime(), before);
    }
    slice::Long::new(false).begin();
    assert_eq!(runtime(), before, "it may not ask");
}

#[test]
fn a_worker_asks_for_a_long_slice_where_it_computes_until_it_waits() {
    let slice = || attributes().map(|attributes| attributes.runtime);
    let (usual, long) = (slice(), Some(slice::COMPUTING.as_nanos() as u64));
    let grants = attributes().is_some_and(|now| now.has_shorter(slice::COMPUTING));
    for asks in [false, true] {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).time_slices(asks).build().unwrap();
        let computed = runtime.block_on(async move { crate::compute(slice).await });
        assert_eq!(computed.unwrap() == long, asks && grants);
        let parks = || runtime.metrics().workers()[0].parks;
        let after_a_task = || {
            let before = parks();
            let seen = runtime.block_on(runtime.spawn(async move { slice() }));
            while parks() == before {
                std::thread::yield_now();
            }
            seen.unwrap()
        };
        // The monitor may count it among those that compute for a moment more.
        let mut seen = std::iter::repeat_with(after_a_task).take(100);
        assert!(seen.any(|slice| slice == usual), "it waits");
    }
}
