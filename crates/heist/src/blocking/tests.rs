//! The pool's sleep protocol: where peers have hung.

#[cfg(heist_loom)]
mod loom;

use super::{Call, Pool};
use crate::task::NewTask;
use crate::task::tests::support::Nowhere;

fn call(pool: &Pool, f: impl FnOnce() + Send + 'static) {
    let task = NewTask::new(Call::new(f), Nowhere);
    drop((task.registered, task.join));
    pool.call(task.runnable).unwrap();
}

/// [B1]: the only thread leaves, and takes its time over it.
#[cfg(not(heist_loom))]
#[test]
fn a_thread_that_leaves_is_not_counted_on() {
    use std::sync::{Mutex, mpsc};

    let config = super::Config {
        cap: 1,
        keep_alive: std::time::Duration::ZERO,
        thread_name: String::new(),
        stack_size: None,
        after_call: None,
    };
    let (leaves, left) = mpsc::channel();
    let (go_on, gone) = mpsc::channel();
    let hook = Mutex::new((leaves, gone));
    let around = move |work: &mut dyn FnMut()| {
        work();
        let (leaves, gone) = &*hook.lock().unwrap();
        leaves.send(()).unwrap();
        gone.recv().unwrap();
    };
    let pool = Pool::new(config, Box::new(around));
    call(&pool, || {});
    left.recv().unwrap();
    let (done, second) = mpsc::channel();
    call(&pool, move || done.send(()).unwrap());
    second.recv().unwrap();
    assert!(
        !pool.wait_until_left(Some(crate::clock::real_now())),
        "neither has left"
    );
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    pool.shut_down();
    assert!(pool.wait_until_left(None));
}
