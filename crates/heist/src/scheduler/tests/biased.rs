//! The lock that its owner takes for nothing.

use crate::sync::biased::biased;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// [O1] [O2]
#[test]
fn owner_and_guests_exclude_each_other() {
    const OWN: u64 = 100_000;
    const VISITS: u64 = 300;
    // Two numbers that are equal whenever nobody is at them.
    let (mut owner, guest) = biased((0_u64, 0_u64));
    let add = |(a, b): &mut (u64, u64)| {
        assert_eq!(a, b);
        *a += 1;
        *b += 1;
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..VISITS).for_each(|_| guest.with(add)));
        }
        (0..OWN).for_each(|_| owner.with(add));
    });
    assert_eq!(
        owner.with(|value| *value),
        (OWN + 2 * VISITS, OWN + 2 * VISITS)
    );
}

#[test]
fn a_guest_steps_back_while_the_owner_is_inside() {
    let (mut owner, guest) = biased(1);
    owner.with(|_| assert_eq!(guest.try_with(|value| *value), None));
    assert_eq!(guest.try_with(|value| *value), Some(1));
}

#[test]
fn a_visit_that_unwinds_is_over() {
    let (mut owner, guest) = biased(1);
    let unwound = catch_unwind(AssertUnwindSafe(|| owner.with(|_| panic!("in a visit"))));
    assert!(unwound.is_err());
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        guest.with(|_: &mut i32| panic!("in one"))
    }));
    assert!(unwound.is_err());
    assert_eq!(guest.try_with(|value| *value), Some(1));
    assert_eq!(owner.with(|value| *value), 1);
}
