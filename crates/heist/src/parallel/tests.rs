//! Models of fork-join. The rest is tested through the public API: `tests/it/parallel.rs`.

mod loom;
