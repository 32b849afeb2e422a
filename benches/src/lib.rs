//! The honest harness: every workload is written once, over [`Contender`], and run on each runtime in turn.
//!
//! The runtimes take turns (A B C A B C …) in one process, with the same number of workers, the system's allocator and
//! the same channels; a round of warm-up is thrown away. Each run checks what it computed, and a run that fails its
//! check prints no figure and fails the whole. A figure is a median with its minimum and maximum, and the claim is the
//! ratio to a rival's median in the same process. The cores that were burnt stand beside it.
//!
//! `benches/throughput` has the workloads that are counted by the operation, `benches/probes` those that ask how late
//! something was. `benches/asyncio` has those of the asyncio facade, in the words of each library, CPython's included.

pub mod contender;
pub mod cpu;
pub mod machine;
pub mod runner;
pub mod sample;
pub mod table;

pub use contender::Contender;
pub use sample::{Sample, Stopwatch};
