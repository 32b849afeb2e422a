//! Submitting, sleeping, claiming and leaving, under loom.

use crate::blocking::{Config, Pool};
use crate::sync::AtomicUsize;
use crate::sync::atomic::Ordering::SeqCst;
use loom::sync::Arc;
use std::time::Duration;

fn pool(cap: usize) -> Pool {
    let config = Config {
        cap,
        keep_alive: Duration::MAX,
        thread_name: String::new(),
        stack_size: None,
        after_call: None,
    };
    Pool::new(config, Box::new(|work| work()))
}

/// A call that counts itself when it is run or dropped.
fn counted(pool: &Pool, ended: &Arc<AtomicUsize>) {
    struct Ended(Arc<AtomicUsize>);
    impl Drop for Ended {
        fn drop(&mut self) {
            // ORDERING: SeqCst: a test's counter.
            self.0.fetch_add(1, SeqCst);
        }
    }
    let token = Ended(ended.clone());
    super::call(pool, move || drop(token));
}

/// [B1] [B2]: calls from two threads and a shutdown: each call is run or dropped, and every thread
/// leaves. A thread that sleeps with a call before it would hang the model.
#[test]
fn submit_against_sleep_and_shutdown() {
    loom::model(|| {
        let pool = pool(1);
        let ended = Arc::new(AtomicUsize::new(0));
        counted(&pool, &ended);
        counted(&pool, &ended);
        pool.shut_down();
        assert!(pool.wait_until_left(None));
        // ORDERING: SeqCst: a test's counter.
        assert_eq!(ended.load(SeqCst), 2);
    });
}

/// [B2]: a call that waits behind a full pool is run although nobody submits again.
#[test]
fn a_queued_call_is_run_without_another_submit() {
    loom::model(|| {
        let pool = pool(1);
        let (first, second) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        counted(&pool, &first);
        counted(&pool, &second);
        // ORDERING: SeqCst: a test's counter.
        while second.load(SeqCst) == 0 {
            loom::thread::yield_now();
        }
        pool.shut_down();
        assert!(pool.wait_until_left(None));
    });
}
