//! A work-stealing async runtime whose IO and timers stay on time beside CPU work.
//!
//! ```
//! use std::time::Duration;
//!
//! fn main() -> Result<(), heist::runtime::BuildError> {
//!     let runtime = heist::runtime::Runtime::new()?;
//!     runtime.block_on(async {
//!         let tasks: Vec<_> = (0..10)
//!             .map(|i| heist::spawn(async move {
//!                 heist::time::sleep(Duration::from_millis(1)).await;
//!                 i * i
//!             }))
//!             .collect();
//!         let mut sum = 0;
//!         for task in tasks {
//!             sum += task.await.unwrap();
//!         }
//!         assert_eq!(sum, 285);
//!     });
//!     Ok(())
//! }
//! ```
//!
//! Modules, names and shapes are those that tokio's users know, where the concept is the same.

mod blocking;
mod budget;
mod builder;
mod clock;
mod context;
mod driver;
mod error;
pub mod io;
mod metrics;
mod monitor;
#[cfg(feature = "net")]
pub mod net;
pub mod parallel;
mod report;
pub mod runtime;
mod scheduler;
#[cfg(all(unix, feature = "signal"))]
pub mod signal;
mod sync;
pub mod task;
pub mod time;

pub use runtime::spawning::compute;
pub use task::spawn;

#[cfg(feature = "macros")]
pub use heist_macros::{main, test};
