//! The wheel, held to a `BTreeMap`.

use crate::clock::Nanos;
use crate::driver::wheel::{Look, TimerKey, Wheel};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

/// Writes its number down.
struct Numbered(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Numbered {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// Arm this far from now.
    Arm(Nanos),
    /// Disarm one of those that are armed.
    Disarm(usize),
    /// Let this much time pass.
    Pass(Nanos),
    /// Go exactly to the next deadline.
    Jump,
}

/// Spans from nanoseconds to centuries.
fn span() -> impl Strategy<Value = Nanos> {
    (0..63_u32, any::<u64>()).prop_map(|(bits, noise)| noise & ((1 << bits) - 1))
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => span().prop_map(Op::Arm),
        2 => any::<usize>().prop_map(Op::Disarm),
        2 => span().prop_map(|span| Op::Pass(span / 16)),
        2 => Just(Op::Jump),
    ];
    prop::collection::vec(op, 0..120)
}

#[derive(Default)]
struct Model {
    /// (deadline, number of arming) to key.
    armed: BTreeMap<(Nanos, usize), TimerKey>,
    fired: Vec<TimerKey>,
    now: Nanos,
}

fn advance(wheel: &mut Wheel, model: &mut Model, log: &Mutex<Vec<usize>>) -> Vec<usize> {
    let mut fired = Vec::new();
    assert!(!wheel.advance(model.now, usize::MAX, &mut fired));
    fired.into_iter().for_each(|fired| fired.waker.wake());
    let rest = model.armed.split_off(&(model.now + 1, 0));
    let due = std::mem::replace(&mut model.armed, rest);
    model.fired.extend(due.values());
    let got = std::mem::take(&mut *log.lock().unwrap());
    let expected: Vec<usize> = due.into_keys().map(|(_, number)| number).collect();
    assert_eq!(got, expected, "in the order of deadlines, then of arming");
    got
}

fn run(ops: Vec<Op>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut wheel = Wheel::new();
    let mut model = Model::default();
    for (number, op) in ops.into_iter().enumerate() {
        match op {
            Op::Arm(span) => {
                let deadline = model.now.saturating_add(span).min(u64::MAX - 1);
                let waker = Waker::from(Arc::new(Numbered(number, log.clone())));
                let key = wheel.insert(deadline, waker);
                model.armed.insert((deadline, number), key);
            }
            Op::Disarm(choice) if !model.armed.is_empty() => {
                let chosen = *model.armed.keys().nth(choice % model.armed.len()).unwrap();
                let key = model.armed.remove(&chosen).unwrap();
                assert!(wheel.remove(key).is_some());
            }
            Op::Disarm(_) => {}
            Op::Pass(span) => {
                model.now = model.now.saturating_add(span).min(u64::MAX - 2);
                advance(&mut wheel, &mut model, &log);
            }
            Op::Jump => {
                if let Some(deadline) = wheel.next_deadline() {
                    model.now = model.now.max(deadline);
                    advance(&mut wheel, &mut model, &log);
                }
            }
        }
        let earliest = model.armed.keys().next().map(|&(deadline, _)| deadline);
        match (wheel.next_deadline(), earliest) {
            (None, None) => {}
            // A lower bound: the earliest of a slot may have been disarmed.
            (Some(next), Some(earliest)) => assert!(next <= earliest.max(model.now)),
            (next, earliest) => panic!("{next:?} for {earliest:?}"),
        }
        assert_eq!(wheel.len(), model.armed.len() + model.fired.len());
    }
    for key in model.fired {
        assert!(wheel.remove(key).is_none(), "its waker was used");
    }
    assert_eq!(wheel.len(), model.armed.len());
}

proptest! {
    #[test]
    fn it_fires_what_a_sorted_map_would(ops in ops()) {
        run(ops);
    }
}

#[test]
fn jumps_from_deadline_to_deadline_end() {
    let mut wheel = Wheel::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    for number in 0..1000_usize {
        let deadline = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (number % 60);
        wheel.insert(
            deadline,
            Waker::from(Arc::new(Numbered(number, log.clone()))),
        );
    }
    let (mut steps, mut fired) = (0, Vec::new());
    while let Some(next) = wheel.next_deadline() {
        wheel.advance(next, usize::MAX, &mut fired);
        steps += 1;
        assert!(
            steps <= 1000,
            "each jump fires at least one: the bound is exact without removals"
        );
    }
    assert_eq!(fired.len(), 1000);
}

struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn at_most_the_limit_fires_in_one_step() {
    let mut wheel = Wheel::new();
    let counting = Arc::new(Counting(AtomicUsize::new(0)));
    for i in 0..100_u64 {
        wheel.insert(i * 50_000, Waker::from(counting.clone()));
    }
    let mut steps = Vec::new();
    loop {
        let mut fired = Vec::new();
        let more = wheel.advance(10_000_000, 30, &mut fired);
        steps.push(fired.len());
        // [D4]: what is left is due at once.
        assert_eq!(
            more,
            wheel.next_deadline().is_some_and(|next| next <= 10_000_000)
        );
        if !more {
            break;
        }
    }
    assert_eq!(steps, [30, 30, 30, 10]);
}

#[test]
fn a_waker_is_replaced_until_it_fires() {
    let mut wheel = Wheel::new();
    let (first, second) = (
        Arc::new(Counting(AtomicUsize::new(0))),
        Arc::new(Counting(AtomicUsize::new(0))),
    );
    let key = wheel.insert(5, Waker::from(first.clone()));
    assert_eq!(wheel.look(key, &Waker::from(first.clone())), Look::Same);
    assert_eq!(wheel.look(key, &Waker::from(second.clone())), Look::Other);
    let old = wheel.replace_waker(key, Waker::from(second.clone()));
    assert!(old.is_ok_and(|old| old.is_some()));
    assert_eq!(Arc::strong_count(&first), 1);
    let mut fired = Vec::new();
    wheel.advance(5, usize::MAX, &mut fired);
    fired.into_iter().for_each(|fired| fired.waker.wake());
    assert_eq!(second.0.load(Ordering::SeqCst), 1);
    assert_eq!(wheel.look(key, Waker::noop()), Look::Fired);
    assert!(wheel.replace_waker(key, Waker::noop().clone()).is_err());
    assert!(wheel.remove(key).is_none());
}

#[test]
fn what_had_no_room_is_not_hidden_by_what_is_armed_after_it() {
    let mut wheel = Wheel::new();
    let slot = 1 << 14;
    // Over several slots at the end of a round of the finest level.
    for i in 0..40_u64 {
        wheel.insert((50 + i % 14) * slot, Waker::noop().clone());
    }
    let now = 65 * slot;
    let mut fired = Vec::new();
    assert!(wheel.advance(now, 10, &mut fired));
    // In a lower slot, but later.
    wheel.insert(now + 5 * slot, Waker::noop().clone());
    assert!(wheel.next_deadline().unwrap() <= now);
    while wheel.advance(now, 10, &mut fired) {}
    assert_eq!(fired.len(), 40);
    assert_eq!(wheel.next_deadline(), Some(now + 5 * slot));
}
