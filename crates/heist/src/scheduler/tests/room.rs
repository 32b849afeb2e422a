//! For how much work a peer is woken.

use crate::clock::tsc::Scale;
use crate::scheduler::room::{Room, Usual, WORTH, WORTH_WITHOUT_ROOM};
use std::time::Duration;

fn ticks(time: Duration) -> u64 {
    Scale::get().ticks_in(time)
}

/// A worker that has polled so often, so long each time.
fn after(polls: usize, length: Duration) -> Usual {
    let mut usual = Usual::new(Scale::get());
    for _ in 0..polls {
        usual.note(ticks(length));
    }
    usual
}

/// Where so many processors are left, or nobody has looked, and one worker is awake.
fn is_worth_a_wake(processors: Option<usize>, ticks: u64) -> bool {
    let room = Room::new(Scale::get());
    if let Some(processors) = processors {
        room.set(processors);
    }
    room.is_worth_a_wake(ticks, 1)
}

#[test]
fn where_others_use_the_processors_a_wake_takes_much_work() {
    let cases = [
        (Some(0), WORTH_WITHOUT_ROOM),
        (Some(1), WORTH_WITHOUT_ROOM),
        (Some(2), WORTH),
        (None, WORTH),
    ];
    for (processors, worth) in cases {
        assert!(is_worth_a_wake(processors, ticks(worth)), "{processors:?}");
        assert!(
            !is_worth_a_wake(processors, ticks(worth) - 1),
            "{processors:?}"
        );
    }
}

#[test]
fn one_task_is_enough_until_polls_have_shown_to_be_short() {
    let short = Duration::from_micros(2);
    assert!(after(0, short).of(1) >= ticks(WORTH_WITHOUT_ROOM));
    let usual = after(200, short);
    assert!(usual.of(1) < ticks(2 * short));
    assert!(usual.of(5) < ticks(WORTH));
    assert!(usual.of(50) >= ticks(WORTH));
}

#[test]
fn one_long_poll_is_remembered_for_some_short_ones() {
    let mut usual = after(200, Duration::from_micros(2));
    usual.note(ticks(Duration::from_millis(5)));
    for _ in 0..20 {
        usual.note(ticks(Duration::from_micros(2)));
    }
    assert!(usual.of(1) >= ticks(WORTH));
}
