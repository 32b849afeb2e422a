//! Threads that are moved from processor to processor.

use super::{bring_here, move_away};
use crate::clock::this_thread;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::sync::mpsc;

fn processors() -> CpuSet {
    sched_getaffinity(None).unwrap()
}

/// Where a thread runs that is brought here, and where it may run after that; `before`, it does this.
fn brought(before: impl FnOnce() + Send) -> (Option<usize>, CpuSet) {
    let (wake, is_woken) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let (tell_cpu, told_cpu) = mpsc::channel();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            before();
            tell.send(this_thread()).unwrap();
            is_woken.recv().unwrap();
            let _ = tell_cpu.send(sched_getcpu());
            is_woken.recv().unwrap_err();
            processors()
        });
        let mut cpu = None;
        let moves = bring_here(told.recv().unwrap(), || {
            wake.send(()).unwrap();
            cpu = Some(told_cpu.recv().unwrap());
        });
        assert_eq!(moves, cpu.is_some());
        if cpu.is_none() {
            wake.send(()).unwrap();
        }
        drop(wake);
        (cpu, thread.join().unwrap())
    })
}

/// On a thread of its own that stays where it is.
fn pinned(test: impl FnOnce(usize) + Send) {
    let pin = || {
        let (all, here) = (processors(), sched_getcpu());
        // The kernel may have moved it in between, to another one that it may run on.
        assert!(all.is_set(here));
        let mut one = CpuSet::new();
        one.set(here);
        sched_setaffinity(None, &one).unwrap();
        test(here);
    };
    std::thread::scope(|scope| scope.spawn(pin).join().unwrap());
}

#[test]
fn a_thread_is_brought_here_and_may_go_anywhere_after() {
    let all = processors();
    pinned(|here| {
        let (cpu, after) = brought(move || sched_setaffinity(None, &all).unwrap());
        assert_eq!(cpu, (all.count() > 1).then_some(here));
        assert_eq!(after, all);
    });
}

#[test]
fn a_thread_that_may_not_run_here_is_left_alone() {
    let all = processors();
    pinned(|here| {
        let mut others = all;
        others.unset(here);
        if others.count() == 0 {
            return;
        }
        let (cpu, after) = brought(move || sched_setaffinity(None, &others).unwrap());
        assert_eq!(cpu, None);
        assert_eq!(after, others);
    });
}

#[test]
fn one_moves_away_if_it_may() {
    let all = processors();
    let moves = || {
        let here = sched_getcpu();
        move_away();
        assert_eq!(processors(), all);
        sched_getcpu() != here
    };
    // The kernel may move it as well, there and back.
    let moved = (0..100).any(|_| moves());
    assert_eq!(moved, all.count() > 1);
    pinned(|here| {
        move_away();
        assert_eq!(sched_getcpu(), here);
    });
}
