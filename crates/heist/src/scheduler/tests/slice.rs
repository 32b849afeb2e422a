//! The time slice that a thread asks for.

use crate::scheduler::slice::{self, linux::attributes};

#[test]
fn a_short_slice_is_asked_for_and_given_back() {
    let runtime = || attributes().map(|attributes| attributes.runtime);
    let before = runtime();
    let short = slice::short();
    let is_granted = short.is_some();
    assert_eq!(runtime() == Some(100_000), is_granted, "{before:?}");
    // A kernel that has slices tells of this thread's.
    assert_eq!(is_granted, before.is_some_and(|before| before > 100_000));
    drop(short);
    assert_eq!(runtime(), before);
}
