//! The registry on one thread.

use super::support::Queue;
use crate::clock::tsc::Ticks;
use crate::task::{Birth, Details, Id, Kind, NewTask, Own, Phase, Registry, Runnable};
use std::panic::Location;

fn details(kind: Kind) -> Details {
    Details {
        birth: Birth::new(kind, Location::caller(), Ticks::default()),
        name: None,
    }
}

fn insert(registry: &Registry, epoch: u64, hint: usize) -> Option<Runnable> {
    let NewTask {
        runnable,
        registered,
        join,
    } = NewTask::new(std::future::pending::<()>(), Queue::new());
    drop(join);
    match registry.insert(hint, epoch, registered, details(Kind::Async)) {
        Ok(id) => {
            runnable.set_id(id);
            Some(runnable)
        }
        Err(_) => None,
    }
}

/// A task in a worker's own shard.
fn spawn_on(own: &mut Own, epoch: u64) -> Runnable {
    let task = NewTask::new(std::future::pending::<()>(), Queue::new());
    drop(task.join);
    let inserted = own.insert_named(epoch, task.registered, details(Kind::Async));
    task.runnable.set_id(inserted.unwrap());
    task.runnable
}

#[test]
fn ids_lead_back_to_their_entries() {
    let registry = Registry::new(4);
    let epoch = registry.reopen();
    let tasks: Vec<_> = (0..100)
        .map(|i| insert(&registry, epoch, i).unwrap())
        .collect();
    assert_eq!((registry.len(epoch), registry.n_async()), (100, 100));
    let mut ids: Vec<_> = tasks.iter().map(Runnable::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|&id| registry.details(id).is_some()));
    assert!(
        registry
            .list(epoch)
            .iter()
            .all(|task| task.phase == Phase::Running)
    );
    for task in &tasks {
        assert!(registry.release(task.id()));
        assert!(!registry.release(task.id()), "released once");
    }
    assert_eq!(registry.len(epoch), 0);
    // The queue of these tasks does not know the registry: the references that `release` passes
    // on belong to nobody here, and are leaked with the cells.
    tasks.into_iter().for_each(std::mem::forget);
}

#[test]
fn a_closed_registry_and_another_epoch_refuse() {
    let registry = Registry::new(2);
    assert!(registry.is_drained(), "not yet opened");
    let epoch = registry.reopen();
    assert!(!registry.is_drained());
    assert!(insert(&registry, epoch + 1, 0).is_none());
    let first = insert(&registry, epoch, 0).unwrap();
    let refused = NewTask::new(std::future::pending::<()>(), Queue::new());
    // A refused task has no id, and its release must not hit the first slot of the first shard.
    assert!(!registry.release(refused.runnable.id()));
    assert!(registry.release(first.id()));
    std::mem::forget(first);
    registry.close_and_abort_all();
    assert!(registry.is_drained());
    // [R1]: refused in every shard.
    assert!((0..4).all(|hint| insert(&registry, epoch, hint).is_none()));
    let next = registry.reopen();
    assert!(insert(&registry, epoch, 0).is_none(), "an old handle");
    assert!(next > epoch);
}

#[test]
fn a_worker_has_a_shard_of_its_own() {
    let registry = Registry::new(2);
    let epoch = registry.reopen();
    let mut own = registry.lend(0).expect("nobody has it");
    assert!(registry.lend(0).is_none(), "it is lent");
    let here = spawn_on(&mut own, epoch);
    let elsewhere = spawn_on(&mut own, epoch);
    assert!(own.holds(here.id()) && registry.details(here.id()).is_some());
    assert_eq!(registry.list(epoch).len(), 2);
    assert!(own.release(here.id()));
    // Completed by another thread: the entry waits to be collected, and is alive no more.
    assert!(!registry.release(elsewhere.id()), "the reference stays");
    assert_eq!(registry.len(epoch), 0);
    assert!(!registry.is_drained(), "it is open");
    registry.close_and_abort_all();
    let refused = NewTask::new(std::future::pending::<()>(), Queue::new());
    let inserted = own.insert_named(epoch, refused.registered, details(Kind::Async));
    assert!(inserted.is_err(), "[R1]");
    registry.take_back(own);
    assert!(registry.is_drained() && registry.lend(0).is_some());
    std::mem::forget(here);
    std::mem::forget(elsewhere);
}

#[test]
fn what_is_given_in_is_collected_before_it_is_much() {
    let registry = Registry::new(1);
    let epoch = registry.reopen();
    let mut own = registry.lend(0).expect("nobody has it");
    let queue = Queue::new();
    for number in 1..=5000 {
        let task = NewTask::new(std::future::pending::<()>(), queue.clone());
        let id: Id = own
            .insert_named(epoch, task.registered, details(Kind::Async))
            .unwrap();
        task.runnable.set_id(id);
        // As a completion elsewhere.
        drop((task.runnable, task.join));
        assert!(!registry.release(id));
        assert_eq!(own.is_due(), number >= 64);
    }
    assert!(
        queue.references() < 1100,
        "cells are freed by those who give in"
    );
    drop(own.collect());
    assert!(!own.is_due());
    assert_eq!(queue.references(), 1);
    registry.take_back(own);
}

/// A name goes with its task: the next one in the slot has none.
#[test]
fn names_are_of_the_tasks_that_have_one() {
    let registry = Registry::new(1);
    let epoch = registry.reopen();
    let mut own = registry.lend(0).expect("nobody has it");
    let named = || Details {
        name: Some("it".into()),
        ..details(Kind::Async)
    };
    let spawn = || NewTask::new(std::future::pending::<()>(), Queue::new());
    let (mine, others) = (spawn(), spawn());
    let id = own.insert_named(epoch, mine.registered, named()).unwrap();
    mine.runnable.set_id(id);
    let other = registry.insert(0, epoch, others.registered, named());
    let other = other.unwrap();
    others.runnable.set_id(other);
    for id in [id, other] {
        assert_eq!(registry.details(id).unwrap().name(), Some("it"));
    }
    let names = || {
        registry
            .list(epoch)
            .into_iter()
            .map(|task| task.details.name)
    };
    assert!(names().all(|name| name.as_deref() == Some("it")));
    assert!(own.release(id) && registry.release(other));
    let next = [
        spawn_on(&mut own, epoch),
        insert(&registry, epoch, 0).unwrap(),
    ];
    assert_eq!(next[0].id().index(), id.index());
    assert!(names().all(|name| name.is_none()));
    assert_eq!(names().count(), 2);
    for task in [mine.runnable, others.runnable] {
        std::mem::forget(task);
    }
    registry.take_back(own);
}

/// What a worker has completed of a shared shard's stays there, and is gone where anybody looks.
#[test]
fn ids_given_in_to_a_shared_shard_are_collected() {
    let registry = Registry::new(2);
    let epoch = registry.reopen();
    let give_in = |task: &Runnable| registry.give_in(&[task.id()]);
    let first = insert(&registry, epoch, 1).unwrap();
    assert_eq!(give_in(&first), None);
    assert_eq!(registry.collect_all().len(), 1);
    assert!(registry.collect_all().is_empty());
    let second = insert(&registry, epoch, 1).unwrap();
    assert_eq!(give_in(&second), None);
    assert_eq!(registry.len(epoch), 0, "a look collects");
    assert!(registry.details(second.id()).is_none());
    let mut kept = vec![first, second];
    // Those who insert collect now and then.
    for _ in 0..1_000 {
        let task = insert(&registry, epoch, 1).unwrap();
        assert_eq!(give_in(&task), None);
        kept.push(task);
    }
    // And where nobody inserts, those who give in are told, and by then many wait.
    let more: Vec<_> = (0..1_100)
        .map(|_| insert(&registry, epoch, 1).unwrap())
        .collect();
    let full = more.iter().find_map(give_in).expect("many");
    assert!(registry.collect(full).len() >= 1_000);
    drop((kept, more));
}

/// A worker tells several shards at once, each of what is its own.
#[test]
fn what_is_given_in_together_goes_to_each_ones_shard() {
    let registry = Registry::new(2);
    let epoch = registry.reopen();
    let mut own = registry.lend(0).expect("nobody has it");
    let mine = spawn_on(&mut own, epoch);
    let id = mine.id();
    let shared = [0, 1, 1].map(|hint| insert(&registry, epoch, hint).unwrap());
    let [first, second, third] = [0, 1, 2].map(|index| shared[index].id());
    assert_eq!(registry.give_in(&[first, second, id, third]), None);
    assert_eq!(own.collect().len(), 1);
    assert_eq!(registry.collect_all().len(), 3);
    assert_eq!(registry.len(epoch), 0);
    drop((mine, shared));
    registry.take_back(own);
}

/// A look drops nothing, since that may run user code, and whoever looks for a vacant home holds a lock.
#[test]
fn what_was_given_in_after_the_close_is_collected_by_the_next_resident() {
    let registry = Registry::new(1);
    let epoch = registry.reopen();
    let mut own = registry.lend(0).expect("nobody has it");
    let queue = Queue::new();
    let spawn = || NewTask::new(std::future::pending::<()>(), queue.clone());
    let (here, elsewhere) = (spawn(), spawn());
    let details = || details(Kind::Async);
    let mine = own.insert_named(epoch, here.registered, details()).unwrap();
    let others = registry.insert(0, epoch, elsewhere.registered, details());
    let others = others.unwrap();
    registry.close_and_abort_all();
    drop((here.runnable, here.join, elsewhere.runnable, elsewhere.join));
    assert!(!registry.is_drained());
    assert_eq!(registry.give_in(&[mine, others]), None);
    assert!(registry.is_drained());
    assert_eq!(queue.references(), 3);
    registry.reopen();
    assert_eq!(queue.references(), 1);
    registry.take_back(own);
}
