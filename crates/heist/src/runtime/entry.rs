//! What `#[heist::main]` expands to.
//!
//! The attribute sees tokens and no types. So it asks the future itself: the first trait here serves those that are
//! `Send`, the second one a reference to any, which the compiler looks at later.
//!
//! Tests: `heist-macros`' `tests/expansion.rs`.

use super::Runtime;
use std::future::Future;

/// The function is a task of the runtime.
#[derive(Debug)]
pub struct Run;

/// The function stays on the thread that called it.
#[derive(Debug)]
pub struct BlockOn;

impl Run {
    #[track_caller]
    pub fn start<F>(self, runtime: &Runtime, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        runtime.run(future)
    }
}

impl BlockOn {
    #[track_caller]
    pub fn start<F: Future>(self, runtime: &Runtime, future: F) -> F::Output {
        runtime.block_on(future)
    }
}

pub trait EntersAsTask {
    // Named so that no trait of a user's has it.
    fn __heist_entry(&self) -> Run {
        Run
    }
}

impl<F> EntersAsTask for F
where
    F: Future + Send,
    F::Output: Send,
{
}

pub trait EntersHere {
    fn __heist_entry(&self) -> BlockOn {
        BlockOn
    }
}

impl<F: Future> EntersHere for &F {}
