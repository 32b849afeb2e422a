//! What the attributes make of a function: the runtime they choose, and what they leave alone.

use heist::runtime::Handle;
use heist::time::{Instant, sleep};
use std::error::Error;
use std::num::ParseIntError;
use std::rc::Rc;
use std::thread::{self, ThreadId};
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

#[heist_macros::main(worker_threads = 1)]
async fn as_a_task() -> (Option<heist::task::Id>, ThreadId) {
    heist::task::yield_now().await;
    (heist::task::try_id(), thread::current().id())
}

#[heist_macros::main(worker_threads = 1)]
async fn on_its_thread() -> (Option<heist::task::Id>, ThreadId) {
    let not_send = Rc::new(());
    heist::task::yield_now().await;
    drop(not_send);
    (heist::task::try_id(), thread::current().id())
}

#[heist_macros::main(worker_threads = 1)]
async fn returns_what_is_not_send() -> Result<u8, Box<dyn Error>> {
    heist::task::yield_now().await;
    Ok(heist::task::try_id().map_or("42", |_| "-").parse()?)
}

#[test]
fn a_main_that_is_send_is_a_task() {
    let here = thread::current().id();
    let (id, there) = as_a_task();
    assert!(id.is_some() && there != here);
    assert_eq!(on_its_thread(), (None, here));
    assert_eq!(returns_what_is_not_send().unwrap(), 42);
}

#[test]
fn main_makes_a_plain_function() {
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(threads(), cores);
    assert_eq!(parsed(), Ok(42));
}
