//! Ported from CPython`s `test_locks.py`.
