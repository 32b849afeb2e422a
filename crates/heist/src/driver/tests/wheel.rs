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
    /// The same, and let so many fire at most.
    PassWithLimit(Nanos, usize),
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
        2 => (span(), 0..6_usize).prop_map(|(span, limit)| Op::PassWithLimit(span, limit)),
        2 => Just(Op::Jump),
    ];
    prop::collection::vec(op, 0..120)
}

/// (deadline, number of arming) to key.
type Sorted = BTreeMap<(Nanos, usize), TimerKey>;

#[derive(Default)]
struct Model {
    armed: Sorted,
    /// What was due when something had to be found that is, and has not fired.
    due: Sorted,
    fired: Vec<TimerKey>,
    now: Nanos,
}

impl Model {
    fn n_left(&self) -> usize {
        self.armed.len() + self.due.len()
    }

    /// The one at this place, in no order that matters.
    fn disarm(&mut self, choice: usize) -> TimerKey {
        let choice = choice % self.n_left();
        let timers = match choice < self.due.len() {
            true => &mut self.due,
            false => &mut self.armed,
        };
        let chosen = *timers.keys().nth(choice % timers.len()).unwrap();
        timers.remove(&chosen).unwrap()
    }
}

fn advance(wheel: &mut Wheel, model: &mut Model, limit: usize, log: &Mutex<Vec<usize>>) {
    let mut fired = Vec::new();
    let more = wheel.advance(model.now, limit, &mut fired);
    fired.into_iter().for_each(Waker::wake);
    if model.due.is_empty() {
        let later = model.armed.split_off(&(model.now + 1, 0));
        model.due = std::mem::replace(&mut model.armed, later);
    }
    let mut expected = Vec::new();
    while expected.len() < limit {
        let Some(((_, number), key)) = model.due.pop_first() else {
            break;
        };
        expected.push(number);
        model.fired.push(key);
    }
    let got = std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(got, expected, "in the order of deadlines, then of arming");
    assert!(more || model.due.is_empty());
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
            Op::Disarm(choice) if model.n_left() > 0 => {
                assert!(wheel.remove(model.disarm(choice)).is_some());
            }
            Op::Disarm(_) => {}
            Op::Pass(span) => {
                model.now = model.now.saturating_add(span).min(u64::MAX - 2);
                advance(&mut wheel, &mut model, usize::MAX, &log);
            }
            Op::PassWithLimit(span, limit) => {
                model.now = model.now.saturating_add(span).min(u64::MAX - 2);
                advance(&mut wheel, &mut model, limit, &log);
            }
            Op::Jump => {
                if let Some(deadline) = wheel.next_deadline() {
                    model.now = model.now.max(deadline);
                    advance(&mut wheel, &mut model, usize::MAX, &log);
                }
            }
        }
        let first = |timers: &Sorted| timers.keys().next().map(|&(deadline, _)| deadline);
        let earliest = first(&model.due).or_else(|| first(&model.armed));
        match (wheel.next_deadline(), earliest) {
            (None, None) => {}
            // A lower bound: the earliest of a slot may have been disarmed.
            (Some(next), Some(earliest)) => assert!(next <= earliest.max(model.now)),
            (next, earliest) => panic!("{next:?} for {earliest:?}"),
        }
        assert_eq!(wheel.len(), model.n_left() + model.fired.len());
    }
    for &key in &model.fired {
        assert!(wheel.remove(key).is_none(), "its waker was used");
    }
    assert_eq!(wheel.len(), model.n_left());
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
    fired.into_iter().for_each(Waker::wake);
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

#[test]
fn what_waits_to_fire_can_be_disarmed_and_keeps_its_order() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut wheel = Wheel::new();
    let keys: Vec<TimerKey> = (0..10_usize)
        .map(|number| {
            let waker = Waker::from(Arc::new(Numbered(number, log.clone())));
            // The later ones are armed first.
            wheel.insert(1000 - number as u64, waker)
        })
        .collect();
    let mut fired = Vec::new();
    assert!(wheel.advance(1000, 3, &mut fired));
    for number in [6, 0] {
        assert!(wheel.remove(keys[number]).is_some());
    }
    assert!(wheel.remove(keys[9]).is_none(), "it has fired");
    // Armed too late, it comes after what was due before.
    let waker = Waker::from(Arc::new(Numbered(10, log.clone())));
    wheel.insert(1, waker);
    while wheel.advance(1000, 3, &mut fired) {}
    fired.into_iter().for_each(Waker::wake);
    assert_eq!(*log.lock().unwrap(), [9, 8, 7, 5, 4, 3, 2, 1, 10]);
    assert_eq!(wheel.next_deadline(), None);
}
