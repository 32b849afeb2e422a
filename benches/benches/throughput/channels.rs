//! Messages and locks between tasks, through crates that belong to no runtime.

use crate::{Workload, check};
use async_lock::Mutex;
use futures_channel::mpsc;
use futures_util::{SinkExt, StreamExt};
use heist_benches::runner::Options;
use heist_benches::table::Figure;
use heist_benches::{Contender, Sample, Stopwatch};
use std::sync::Arc;

/// Two tasks that send one message to and fro.
pub(crate) struct PingPong;

impl Workload for PingPong {
    const NAME: &'static str = "ping_pong";
    const FIGURE: Figure = Figure::cost("ns/round trip of one message between two tasks");
    const FITS_ONE_THREAD: bool = true;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let times = options.scaled(200_000);
        let (sample, sum) = runtime.on_a_worker(async move {
            let (mut to, mut from_here) = mpsc::channel::<u64>(1);
            let (mut back, mut from_there) = mpsc::channel::<u64>(1);
            let other = runtime.spawn(async move {
                while let Some(number) = from_here.next().await {
                    if back.send(number + 1).await.is_err() {
                        return;
                    }
                }
            });
            let watch = Stopwatch::start();
            let mut sum = 0;
            for number in 0..times {
                to.send(number).await.expect("the other listens");
                sum += from_there.next().await.expect("the other answers") - number;
            }
            let sample = watch.stop(times);
            drop(to);
            other.await;
            (sample, sum)
        });
        check("answers", sum, times)?;
        Ok(sample)
    }
}

/// One task sends, another receives, 128 messages between them.
pub(crate) struct Stream;

impl Workload for Stream {
    const NAME: &'static str = "channel";
    const FIGURE: Figure = Figure::cost("ns/message through a bounded async-channel, 1 to 1");
    const FITS_ONE_THREAD: bool = true;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let times = options.scaled(1_000_000);
        let (sample, sum) = runtime.on_a_worker(async move {
            let (sender, receiver) = async_channel::bounded::<u64>(128);
            let watch = Stopwatch::start();
            let sending = runtime.spawn(async move {
                for number in 0..times {
                    sender.send(number).await.expect("the other listens");
                }
            });
            let mut sum = 0;
            while let Ok(number) = receiver.recv().await {
                sum += number;
            }
            sending.await;
            (watch.stop(times), sum)
        });
        check("sum of all messages", sum, times * (times - 1) / 2)?;
        Ok(sample)
    }
}

const TASKS: u64 = 16;

/// 16 tasks that add to one number behind a lock; `HELD`: they give way while they hold it.
pub(crate) struct Locked<const HELD: bool>;

impl<const HELD: bool> Workload for Locked<HELD> {
    const NAME: &'static str = if HELD { "mutex_held" } else { "mutex_short" };
    const FIGURE: Figure = Figure::cost("ns/section behind an async-lock mutex, 16 tasks");
    const FITS_ONE_THREAD: bool = true;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let times = options.scaled(if HELD { 20_000 } else { 100_000 });
        let (sample, count) = runtime.on_a_worker(async move {
            let count = Arc::new(Mutex::new(0_u64));
            let watch = Stopwatch::start();
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let count = Arc::clone(&count);
                    runtime.spawn(async move {
                        for _ in 0..times {
                            let mut count = count.lock().await;
                            if HELD {
                                C::yield_now().await;
                            }
                            *count += 1;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            let sample = watch.stop(TASKS * times);
            let count = *count.lock().await;
            (sample, count)
        });
        check("sections", count, TASKS * times)?;
        Ok(sample)
    }
}
