//! CPU work that is the same each time: so many blocks of SHA-256, not so much time on the clock.
//!
//! A job that ran until a deadline would do less work on a loaded machine and still call it a job.

use heist::time::Instant;
use sha2::{Digest, Sha256};
use std::time::Duration;

const BLOCK: [u8; 4096] = [0x5a; 4096];

/// How fast this machine hashes while it does nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speed {
    blocks_per_ms: u64,
}

impl Speed {
    /// Takes the best of several short measurements: what disturbs one of them only makes it slower.
    pub(crate) fn measure() -> Self {
        const ROUNDS: u32 = 8;
        const BLOCKS: u64 = 256;
        let best = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(hash(BLOCKS));
                start.elapsed()
            })
            .min()
            .unwrap_or(Duration::from_millis(1));
        let nanoseconds = best.as_nanos().max(1) as u64;
        Self {
            blocks_per_ms: (BLOCKS * 1_000_000 / nanoseconds).max(1),
        }
    }

    /// Hashes what takes about `ms` milliseconds on a core of its own, and gives the digest in hexadecimal.
    pub(crate) fn work(self, ms: u64) -> String {
        hash(self.blocks_per_ms * ms)
    }
}

fn hash(blocks: u64) -> String {
    let mut hasher = Sha256::new();
    for _ in 0..blocks {
        hasher.update(BLOCK);
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
