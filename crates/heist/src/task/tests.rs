//! Tests, by level.
