//! How often a spare tries one of those that may turn out to compute. With tasks: `home.rs`.

use crate::clock::tsc::{Scale, Ticks};
use crate::scheduler::suspects::Suspects;
use std::time::Duration;

fn after(ms: u64) -> Ticks {
    Ticks(Scale::get().ticks_in(Duration::from_millis(ms)))
}

#[test]
fn where_nothing_was_light_tries_are_the_fewer_the_more_are_held_up() {
    let suspects = Suspects::new();
    assert!(!suspects.tries(false, 0, after(1)));
    assert!(suspects.tries(false, 0, after(2)));
    assert!(!suspects.tries(false, 2, after(9)));
    assert!(suspects.tries(false, 2, after(11)));
    assert!(suspects.patience(1) > after(39).0);
    suspects.delay(after(20));
    assert!(!suspects.tries(false, 0, after(21)));
    // However many there are.
    assert!(suspects.tries(false, usize::MAX, after(20 + 65)));
}

#[test]
fn where_some_were_light_tries_are_the_fewer_the_longer_none_was() {
    let suspects = Suspects::new();
    // However many are held up.
    assert!(suspects.tries(true, 100, after(2)));
    assert!(!suspects.tries(true, 0, after(5)));
    assert!(suspects.tries(true, 0, after(7)));
    assert!(!suspects.tries(true, 0, after(14)));
    suspects.was_light();
    assert!(suspects.tries(true, 0, after(14)));
}
