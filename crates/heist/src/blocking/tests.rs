//! The sleep protocol of the pool.
