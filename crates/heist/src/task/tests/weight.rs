//! What polls say of a task's weight.

use crate::budget::Length;
use crate::task::{Class, Weight};

/// Whether a newborn task is heavy after each of these polls, long or not.
fn judged(weight: &Weight, polls: &[bool]) -> Vec<bool> {
    polls
        .iter()
        .map(|&long| {
            let length = if long { Length::Long } else { Length::Short };
            weight.record(length, true);
            weight.is_heavy()
        })
        .collect()
}

#[test]
fn two_long_polls_in_a_row_are_heavy_and_four_short_ones_light() {
    let weight = Weight::newborn();
    assert!(weight.never_waited());
    let polls = [true, false, true, true, false, false, false, false, true];
    let heavy = [false, false, false, true, true, true, true, false, false];
    assert_eq!(judged(&weight, &polls), heavy);
    assert!(!weight.never_waited());
}

#[test]
fn one_born_heavy_proves_itself_light() {
    let weight = Weight::newborn();
    weight.begin_heavy();
    assert!(weight.is_heavy() && weight.never_waited());
    assert_eq!(judged(&weight, &[false]), [false], "it is no job");
    let weight = Weight::newborn();
    weight.begin_heavy();
    assert_eq!(judged(&weight, &[true, false]), [true, true]);
    assert!(!weight.never_waited());
}

/// What the monitor reads of a worker.
#[test]
fn a_copy_says_the_same() {
    let (weight, copy) = (Weight::newborn(), Weight::declared());
    assert_eq!(copy.class(), Class::Declared);
    weight.set_site(7);
    copy.copy_from(&weight);
    assert!(copy.is_newborn());
    assert_eq!((copy.class(), copy.site()), (Class::Light, 7));
    weight.begin_heavy();
    assert!(!weight.is_newborn() && copy.is_newborn());
    copy.copy_from(&weight);
    assert!(!copy.is_newborn() && copy.is_born_heavy());
}

#[test]
fn one_that_is_heavy_by_decree_stays_so() {
    let weight = Weight::newborn();
    weight.fix_heavy();
    assert_eq!(judged(&weight, &[false; 10]), [true; 10]);
}

#[test]
fn one_that_is_light_by_decree_stays_so() {
    let weight = Weight::newborn();
    weight.set_site(1023);
    weight.fix_light();
    weight.begin_heavy();
    assert_eq!(judged(&weight, &[true; 10]), [false; 10]);
    assert!(
        !weight.never_waited(),
        "it says nothing of its spawn site either"
    );
    assert_eq!(weight.site(), 1023);
}

/// Computed for long, and to go on at once: heavy, until a short poll. One that waits has only had much to
/// say.
#[test]
fn one_poll_that_computed_is_heavy_if_the_task_goes_on() {
    let weight = Weight::newborn();
    assert!(weight.record(Length::Computed, true));
    assert_eq!(judged(&weight, &[false, true]), [false, false]);
    let weight = Weight::newborn();
    weight.record(Length::Computed, true);
    assert_eq!(judged(&weight, &[true, false, false, false]), [true; 4]);
    let weight = Weight::newborn();
    assert!(!weight.record(Length::Computed, false));
    assert!(weight.has_computed());
    assert_eq!(judged(&weight, &[false]), [false]);
    assert!(!weight.has_computed());
    weight.record(Length::Long, true);
    assert!(!weight.has_computed(), "it may have had no processor");
    judged(&weight, &[false]);
    weight.record(Length::Computed, false);
    assert!(weight.record(Length::Computed, false), "twice in a row");
}

#[test]
fn slow_is_of_the_last_poll_alone_and_touches_nothing_else() {
    let weight = Weight::newborn();
    weight.set_site(u16::MAX);
    assert!(!weight.is_slow());
    weight.set_slow(true);
    assert!(weight.is_slow() && !weight.is_heavy() && weight.never_waited());
    assert_eq!(judged(&weight, &[true, true]), [false, true]);
    assert!(weight.is_slow());
    weight.set_slow(false);
    assert!(!weight.is_slow() && weight.is_heavy());
    weight.fix_heavy();
    weight.set_slow(true);
    assert_eq!(weight.class(), Class::Declared);
    assert_eq!(weight.site(), u16::MAX);
}
