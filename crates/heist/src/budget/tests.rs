//! A poll that keeps to its budget is not long.

use super::{LIMIT, Length, begin_poll, end_poll, poll_length, poll_proceed};
use crate::clock::tsc::{Scale, Ticks};
use std::task::{Context, Waker};

/// A poll that goes on until its leaves make it yield; how long was it?
fn poll_to_the_end_of_the_budget() -> Length {
    let scale = Scale::get();
    begin_poll(scale.ticks(), scale.ticks_in(LIMIT));
    let mut cx = Context::from_waker(Waker::noop());
    while poll_proceed(&mut cx).is_ready() {}
    let (length, _) = poll_length();
    end_poll();
    length
}

#[test]
fn a_task_that_keeps_to_its_budget_does_not_compute() {
    // The kernel may take the processor away, but not every time.
    let short = |_: &u32| poll_to_the_end_of_the_budget() == Length::Short;
    assert!((0..50).any(|round| short(&round)));
}

#[test]
fn a_poll_that_spins_beyond_the_limit_has_computed() {
    let scale = Scale::get();
    let computed = |_: &u32| {
        super::forget_cpu();
        super::note_cpu(scale.ticks());
        let began = scale.ticks();
        begin_poll(began, scale.ticks_in(LIMIT));
        while scale.ticks().since(began) < scale.ticks_in(2 * LIMIT) {
            std::hint::spin_loop();
        }
        let (length, _) = poll_length();
        end_poll();
        assert!(length.is_long());
        length == Length::Computed
    };
    assert_eq!((0..50).any(|round| computed(&round)), cfg!(unix));
}

#[test]
fn a_poll_that_blocks_is_long_and_has_not_computed() {
    let scale = Scale::get();
    super::forget_cpu();
    super::note_cpu(scale.ticks());
    begin_poll(scale.ticks(), scale.ticks_in(LIMIT));
    crate::scheduler::park::Parker::new().park(Some(4 * LIMIT));
    assert_eq!(poll_length().0, Length::Long);
    end_poll();
}

#[test]
fn a_poll_is_slow_from_a_quarter_of_its_budget_on() {
    let scale = Scale::get();
    let limit = scale.ticks_in(LIMIT);
    let slow = Ticks(scale.ticks().0 - limit / 8);
    begin_poll(slow, limit);
    assert!(poll_length().1);
    begin_poll(scale.ticks(), u64::MAX / 2);
    assert!(!poll_length().1);
    end_poll();
}
