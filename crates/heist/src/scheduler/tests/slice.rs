//! The time slice that a thread asks for.

use crate::runtime::Builder;
use crate::scheduler::slice::{self, linux::attributes};
use std::sync::mpsc;

#[test]
fn a_short_slice_is_asked_for_and_given_back() {
    let runtime = || attributes().map(|attributes| attributes.runtime);
    let before = attributes();
    let short = slice::ask(slice::SPARE);
    // A kernel that has slices tells of this thread's.
    assert_eq!(
        short.is_some(),
        before.is_some_and(|before| before.may_ask(slice::SPARE))
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
fn a_short_slice_can_be_taken_by_another_thread_and_is_asked_for_again() {
    let runtime = || attributes().map(|attributes| attributes.runtime);
    let before = runtime();
    let Some(short) = slice::ask(slice::SPARE) else {
        return;
    };
    let thread = crate::clock::this_thread();
    let take =
        |slice| std::thread::scope(|s| s.spawn(move || slice::take_from(thread, slice)).join());
    take(slice::MONITOR).unwrap();
    let asked = Some(slice::SPARE.as_nanos() as u64);
    assert_eq!(runtime(), asked, "it is not that one");
    take(slice::SPARE).unwrap();
    assert_eq!(runtime(), before, "taken");
    short.renew();
    assert_eq!(runtime(), asked, "renewed");
    drop(short);
    assert_eq!(runtime(), before);
}

/// The slice of the thread that plays the spare while the only worker is held up.
fn slice_of_the_spare(short: bool) -> Option<u64> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).short_time_slices(short).build();
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
    let may_ask = usual.is_some_and(|usual| usual.may_ask(slice::SPARE));
    let usual = usual.map(|usual| usual.runtime);
    assert_eq!(slice_of_the_spare(false), usual);
    assert_eq!(
        slice_of_the_spare(true) == Some(slice::SPARE.as_nanos() as u64),
        may_ask
    );
}
