//! orx-parallel's iterators on heist's workers.
//!
//! orx-parallel asks a pool for a scope with a spawn, which [`heist::parallel::scope`] is.
//!
//! Tests: `tests/orx.rs`.

use heist::parallel;
use heist::runtime::Handle;
use orx_parallel::{Scope, ThreadPool};
use std::num::NonZeroUsize;

/// The workers of a heist runtime as the pool of a parallel iterator.
///
/// The computation runs where [`heist::parallel`] does: in [`heist::compute`], in tasks and in
/// [`Runtime::install`](heist::runtime::Runtime::install), on a multi-thread runtime.
/// There it shares the workers with the tasks, and the interactive ones go first. On any other thread it runs on the
/// caller alone.
///
/// ```
/// use heist_compat::HeistPool;
/// use orx_parallel::*;
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let values: Vec<u64> = (0..100_000).collect();
/// let sum = heist::compute(move || {
///     let runner = Runner::adaptive_with_pool(HeistPool::current());
///     let squares = values.par().runner(runner).map(|value| value * value);
///     squares.filter(|square| square % 3 == 1).sum()
/// });
/// assert_eq!(sum.await.unwrap(), 222_215_555_588_889_u64);
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HeistPool {
    n_workers: NonZeroUsize,
}

impl HeistPool {
    /// The workers of the current runtime; outside of one, the calling thread alone.
    pub fn current() -> Self {
        let n_workers = Handle::try_current().map(|handle| handle.metrics().workers().len());
        Self {
            n_workers: n_workers
                .ok()
                .and_then(NonZeroUsize::new)
                .unwrap_or(NonZeroUsize::MIN),
        }
    }
}

impl ThreadPool for HeistPool {
    type ScopeRef<'s, 'env, 'scope>
        = HeistScope<'s, 'scope>
    where
        'scope: 's,
        'env: 'scope + 's;

    fn scope<'env, 'scope, F>(&'env self, f: F)
    where
        'env: 'scope,
        for<'s> F: FnOnce(HeistScope<'s, 'scope>) + Send,
    {
        parallel::scope(|scope| f(HeistScope(scope)));
    }

    fn max_num_threads(&self) -> NonZeroUsize {
        self.n_workers
    }
}

/// A scope of [`HeistPool`].
#[derive(Clone, Copy, Debug)]
pub struct HeistScope<'s, 'scope>(&'s parallel::Scope<'scope>);

impl<'s, 'env, 'scope> Scope<'s, 'env, 'scope> for HeistScope<'s, 'scope> {
    fn run<W>(self, work: W)
    where
        'scope: 's,
        'env: 'scope + 's,
        W: FnOnce() + Send + 'scope + 'env,
    {
        self.0.spawn(move |_| work());
    }
}
