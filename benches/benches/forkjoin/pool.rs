//! What a recursion may ask of a pool, and the pools that answer.

use heist::runtime::{Builder, Runtime};
use std::num::NonZero;
use std::sync::OnceLock;

/// A pool with two-way forks. Its value is a cheap name for a pool that lives until the process ends.
pub(crate) trait Pool: Copy + Send + Sync + 'static {
    /// How the table calls it.
    const NAME: &'static str;

    /// What a fork needs at hand.
    type Scope<'s>;

    /// The pool on this many cores, the calling thread's included where it takes part.
    fn with_workers(workers: usize) -> Self;

    /// Runs `f` where it can fork, called from outside.
    fn enter<R, F>(self, f: F) -> R
    where
        R: Send + 'static,
        F: FnOnce(&mut Self::Scope<'_>) -> R + Send + 'static;

    /// Runs both, maybe at once.
    fn join<A, B, RA, RB>(scope: &mut Self::Scope<'_>, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut Self::Scope<'_>) -> RA + Send,
        B: FnOnce(&mut Self::Scope<'_>) -> RB + Send,
        RA: Send,
        RB: Send;
}

/// heist: awaited from outside, as from async code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heist(heist_benches::contender::Heist);

impl Pool for Heist {
    const NAME: &'static str = "heist";

    type Scope<'s> = ();

    fn with_workers(workers: usize) -> Self {
        use heist_benches::Contender;
        Self(heist_benches::contender::Heist::with_workers(workers))
    }

    fn enter<R, F>(self, f: F) -> R
    where
        R: Send + 'static,
        F: FnOnce(&mut ()) -> R + Send + 'static,
    {
        use heist_benches::Contender;
        let computed = self
            .0
            .block_on(async { heist::compute(|| f(&mut ())).await });
        computed.expect("no recursion panics")
    }

    #[inline]
    fn join<A, B, RA, RB>((): &mut (), a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut ()) -> RA + Send,
        B: FnOnce(&mut ()) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        heist::parallel::join(|| a(&mut ()), || b(&mut ()))
    }
}

/// heist, whose workers help the calling thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeistHelps(&'static Runtime);

impl Pool for HeistHelps {
    const NAME: &'static str = "heist, install";

    type Scope<'s> = ();

    fn with_workers(workers: usize) -> Self {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        Self(RUNTIME.get_or_init(|| {
            // The calling thread is one of them; alone it has nobody to help it.
            let runtime = match workers - 1 {
                0 => Builder::new_current_thread().build(),
                others => Builder::new_multi_thread().worker_threads(others).build(),
            };
            runtime.expect("the runtime starts")
        }))
    }

    fn enter<R, F>(self, f: F) -> R
    where
        R: Send + 'static,
        F: FnOnce(&mut ()) -> R + Send + 'static,
    {
        self.0.install(|| f(&mut ()))
    }

    #[inline]
    fn join<A, B, RA, RB>((): &mut (), a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut ()) -> RA + Send,
        B: FnOnce(&mut ()) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        heist::parallel::join(|| a(&mut ()), || b(&mut ()))
    }
}

/// rayon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rayon(&'static rayon::ThreadPool);

impl Pool for Rayon {
    const NAME: &'static str = "rayon";

    type Scope<'s> = ();

    fn with_workers(workers: usize) -> Self {
        static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
        Self(POOL.get_or_init(|| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(workers);
            builder.build().expect("rayon builds its pool")
        }))
    }

    fn enter<R, F>(self, f: F) -> R
    where
        R: Send + 'static,
        F: FnOnce(&mut ()) -> R + Send + 'static,
    {
        self.0.install(|| f(&mut ()))
    }

    #[inline]
    fn join<A, B, RA, RB>((): &mut (), a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut ()) -> RA + Send,
        B: FnOnce(&mut ()) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        rayon::join(|| a(&mut ()), || b(&mut ()))
    }
}

/// chili, whose calling thread is one of its workers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chili(&'static chili::ThreadPool);

impl Pool for Chili {
    const NAME: &'static str = "chili";

    type Scope<'s> = chili::Scope<'s>;

    fn with_workers(workers: usize) -> Self {
        static POOL: OnceLock<chili::ThreadPool> = OnceLock::new();
        Self(POOL.get_or_init(|| {
            chili::ThreadPool::with_config(chili::Config {
                thread_count: NonZero::new(workers),
                ..chili::Config::default()
            })
        }))
    }

    fn enter<R, F>(self, f: F) -> R
    where
        R: Send + 'static,
        F: FnOnce(&mut chili::Scope<'_>) -> R + Send + 'static,
    {
        f(&mut self.0.scope())
    }

    #[inline]
    fn join<A, B, RA, RB>(scope: &mut chili::Scope<'_>, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut chili::Scope<'_>) -> RA + Send,
        B: FnOnce(&mut chili::Scope<'_>) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        scope.join(a, b)
    }
}

/// forte, whose calling thread takes part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forte;

static FORTE: forte::ThreadPool = forte::ThreadPool::new();

impl Pool for Forte {
    const NAME: &'static str = "forte";

    type Scope<'s> = &'s forte::Worker;

    fn with_workers(workers: usize) -> Self {
        static SIZE: OnceLock<usize> = OnceLock::new();
        SIZE.get_or_init(|| FORTE.resize_to(workers - 1));
        Self
    }

    fn enter<R, F>(self, f: F) -> R
    where
        R: Send + 'static,
        F: FnOnce(&mut &forte::Worker) -> R + Send + 'static,
    {
        FORTE.with_worker(|mut worker| f(&mut worker))
    }

    #[inline]
    fn join<A, B, RA, RB>(worker: &mut &forte::Worker, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut &forte::Worker) -> RA + Send,
        B: FnOnce(&mut &forte::Worker) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        worker.join(|mut worker| a(&mut worker), |mut worker| b(&mut worker))
    }
}

/// No pool: one after the other, the floor on one core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Serial;

impl Pool for Serial {
    const NAME: &'static str = "in sequence";

    type Scope<'s> = ();

    fn with_workers(_workers: usize) -> Self {
        Self
    }

    fn enter<R, F>(self, f: F) -> R
    where
        R: Send + 'static,
        F: FnOnce(&mut ()) -> R + Send + 'static,
    {
        f(&mut ())
    }

    #[inline]
    fn join<A, B, RA, RB>((): &mut (), a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut ()) -> RA + Send,
        B: FnOnce(&mut ()) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        (a(&mut ()), b(&mut ()))
    }
}
