//! The pool's sleep protocol: where peers have hung.

#[cfg(heist_loom)]
mod loom;
