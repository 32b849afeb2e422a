//! The deque and its mutexed twin, both held to a `VecDeque`; and the LIFO slot.

use crate::scheduler::queue::LocalQueue;
use crate::sync::deque_model;
use crate::task::tests::support::Nowhere;
use crate::task::{Id, NewTask, Runnable};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
enum Op {
    Push(u32),
    Pop,
    StealHalf,
    Inject(u32),
    TakeInjected,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => any::<u32>().prop_map(Op::Push),
        2 => Just(Op::Pop),
        2 => Just(Op::StealHalf),
        2 => any::<u32>().prop_map(Op::Inject),
        1 => Just(Op::TakeInjected),
    ];
    prop::collection::vec(op, 0..200)
}

/// Runs the operations on a queue of one kind and on plain ones; what a steal moves may differ in
/// amount, but is a prefix, is non-empty where there was something, and keeps its order.
macro_rules! check {
    ($deque:path, $ops:expr) => {{
        use $deque::{Injector, Steal, Worker};
        let (own, thief) = (Worker::new_fifo(), Worker::new_fifo());
        let injector = Injector::new();
        let (mut own_model, mut injected) = (VecDeque::new(), VecDeque::new());
        for op in $ops {
            match op {
                Op::Push(x) => {
                    own.push(x);
                    own_model.push_back(x);
                }
                Op::Pop => prop_assert_eq!(own.pop(), own_model.pop_front()),
                Op::Inject(x) => {
                    injector.push(x);
                    injected.push_back(x);
                }
                Op::StealHalf | Op::TakeInjected => {
                    let (stolen, model) = match op {
                        Op::StealHalf => {
                            (own.stealer().steal_batch_and_pop(&thief), &mut own_model)
                        }
                        _ => (injector.steal_batch_and_pop(&thief), &mut injected),
                    };
                    match stolen {
                        Steal::Success(first) => {
                            prop_assert_eq!(Some(first), model.pop_front());
                            while let Some(next) = thief.pop() {
                                prop_assert_eq!(Some(next), model.pop_front());
                            }
                        }
                        Steal::Empty => prop_assert!(model.is_empty()),
                        Steal::Retry => {}
                    }
                }
            }
            prop_assert_eq!(own.len(), own_model.len());
            prop_assert_eq!(injector.is_empty(), injected.is_empty());
        }
    }};
}

proptest! {
    #[test]
    fn the_real_deque_is_a_queue(ops in ops()) {
        check!(crossbeam_deque, ops);
    }

    #[test]
    fn its_twin_for_loom_is_the_same_queue(ops in ops()) {
        check!(deque_model, ops);
    }
}

/// A runnable that can be told by its stamp, of a task of that number.
fn numbered(number: u32) -> Runnable {
    let task = NewTask::new(std::future::pending::<()>(), Nowhere);
    task.runnable.set_id(Id::from_bits(number.into()));
    task.runnable.stamp_wake(number);
    // Its registry and its handle are of no interest.
    drop((task.registered, task.join));
    task.runnable
}

fn drain(queue: &mut LocalQueue) -> Vec<u32> {
    std::iter::from_fn(|| queue.pop())
        .map(|runnable| runnable.take_wake_stamp().unwrap())
        .collect()
}

/// [S1] [S4]
#[test]
fn the_slot_goes_first_and_its_tenants_move_to_the_queue() {
    let (mut queue, _aged) = LocalQueue::new();
    assert!(!queue.push_lifo(numbered(1)));
    assert!(
        !queue.has_stealable(),
        "[S4]: the slot is nobody else's business"
    );
    assert!(queue.push_lifo(numbered(2)), "the first moved to the queue");
    queue.push_back(numbered(3));
    assert_eq!((queue.len(), queue.has_stealable()), (3, true));
    assert_eq!(drain(&mut queue), [2, 1, 3]);
}

#[test]
fn three_tenants_in_a_row_and_then_the_queue() {
    let (mut queue, _aged) = LocalQueue::new();
    queue.push_back(numbered(100));
    let mut order = Vec::new();
    for i in 1..=5 {
        queue.push_lifo(numbered(i));
        order.push(queue.pop().unwrap().take_wake_stamp().unwrap());
    }
    assert_eq!(order, [1, 2, 3, 100, 5]);
    assert_eq!(drain(&mut queue), [4]);
}

#[test]
fn one_that_is_woken_again_by_those_who_are_queued_waits_behind_them() {
    let (mut queue, _aged) = LocalQueue::new();
    let parent = 9;
    let run = |queue: &mut LocalQueue| queue.pop().unwrap().take_wake_stamp().unwrap();
    queue.push_back(numbered(1));
    queue.push_back(numbered(2));
    queue.push_back(numbered(3));
    assert_eq!(run(&mut queue), 1);
    assert!(!queue.push_lifo(numbered(parent)), "the first time");
    assert_eq!(run(&mut queue), parent);
    assert_eq!(run(&mut queue), 2);
    assert!(queue.push_lifo(numbered(parent)), "to the queue");
    assert_eq!(run(&mut queue), 3);
    assert_eq!(run(&mut queue), parent);
    assert!(!queue.push_lifo(numbered(parent)), "nobody is queued");
    queue.push_lifo(numbered(4));
    assert_eq!(drain(&mut queue), [4, parent]);
}

#[test]
fn flushing_makes_the_tenant_stealable() {
    let ((mut own, aged), (thief, _)) = (LocalQueue::new(), LocalQueue::new());
    own.push_lifo(numbered(1));
    assert!(thief.steal_from(&own.stealer()).is_none());
    assert!(own.flush_lifo());
    assert!(!own.flush_lifo());
    assert!(aged.take().is_none(), "the slot is empty");
    let stolen = thief.steal_from(&own.stealer()).unwrap();
    assert_eq!(stolen.take_wake_stamp(), Some(1));
}
