//! A poll that blocks in place goes on as what it was.

use crate::runtime::Builder;
use crate::scheduler::current;

/// Else what it wakes from then on would wait in the worker's slot for its end.
#[test]
fn a_computation_computes_on() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let computation = runtime.block_on(crate::compute(|| {
        let knows = |_| {
            crate::task::block_in_place(|| ());
            // Nothing, where another thread has become the worker meanwhile.
            current::with_worker(|core| core.computes())
        };
        (0..100).filter_map(knows).collect::<Vec<bool>>()
    }));
    let computation = computation.unwrap();
    assert!(computation.iter().all(|&computes| computes));
}
