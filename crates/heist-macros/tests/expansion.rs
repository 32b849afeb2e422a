//! What the attributes make of a function: the runtime they choose, and what they leave alone.

use heist::runtime::Handle;
use heist::time::{Instant, sleep};
use std::num::ParseIntError;
use std::rc::Rc;
use std::time::Duration;

#[heist_macros::test]
async fn a_test_takes_futures_that_are_not_send() {
    let shared = Rc::new(41);
    let other = Rc::clone(&shared);
    let answer = heist::task::spawn_local(async move { *other + 1 })
        .await
        .unwrap();
    assert_eq!((answer, *shared), (42, 41));
}

#[heist_macros::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_test_has_the_workers_it_asks_for() {
    assert_eq!(Handle::current().metrics().workers().len(), 3);
}

#[heist_macros::test(flavor = "current_thread", virtual_clock = true)]
async fn a_virtual_hour_passes_at_once() {
    let start = Instant::now();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3600));
}

#[heist_macros::test]
#[should_panic(expected = "as it should")]
async fn other_attributes_stay() {
    panic!("as it should");
}

/// Documentation stays, too.
#[heist_macros::main]
async fn threads() -> usize {
    Handle::current().metrics().workers().len()
}

#[heist_macros::main(flavor = "current_thread")]
pub(crate) async fn parsed() -> Result<u8, ParseIntError> {
    let number = "42".parse()?;
    // The function is its own, not one that a caller of `?` would leave.
    let refused: Result<u8, ParseIntError> = async { "many".parse() }.await;
    assert!(refused.is_err());
    Ok(number)
}

#[test]
fn main_makes_a_plain_function() {
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(threads(), cores);
    assert_eq!(parsed(), Ok(42));
}
