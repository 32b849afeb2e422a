//! The time slice that a thread asks for.

use crate::scheduler::slice::{self, linux::attributes};

#[test]
fn a_short_slice_is_asked_for_and_given_back() {
    let runtime = || attributes().map(|attributes| attributes.runtime);
    let before = attributes();
    let short = slice::short();
    // A kernel that has slices tells of this thread's.
    assert_eq!(
        short.is_some(),
        before.is_some_and(|before| before.may_ask())
    );
    if short.is_some() {
        assert_eq!(runtime(), Some(100_000));
        let child = std::thread::scope(|scope| scope.spawn(runtime).join());
        assert_eq!(
            child.unwrap(),
            before.map(|before| before.runtime),
            "of a child"
        );
    }
    drop(short);
    assert_eq!(runtime(), before.map(|before| before.runtime));
}
