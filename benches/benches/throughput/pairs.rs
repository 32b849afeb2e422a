//! A thousand pairs of tasks, each of which plays one round over two oneshot channels.

use crate::{Workload, check};
use futures_channel::oneshot;
use heist_benches::runner::Options;
use heist_benches::table::Figure;
use heist_benches::{Contender, Sample, Stopwatch};

const PAIRS: u64 = 1_000;

pub(crate) struct Pairs;

/// Sends a ball to a new task and waits until it is back.
async fn play<C: Contender>(runtime: C, ball: u64) -> u64 {
    let (ping, pinged) = oneshot::channel::<u64>();
    let (pong, ponged) = oneshot::channel::<u64>();
    C::detach(runtime.spawn(async move {
        let ball = pinged.await.expect("the other one plays");
        pong.send(ball + 1).expect("the other one waits");
    }));
    ping.send(ball).expect("the other one waits");
    ponged.await.expect("the other one plays")
}

impl Workload for Pairs {
    const NAME: &'static str = "ping_pong_pairs";
    const FIGURE: Figure = Figure::cost("ns/pair, two tasks and two oneshot channels each");
    const FITS_ONE_THREAD: bool = true;

    fn run<C: Contender>(runtime: C, options: &Options) -> Result<Sample, String> {
        let rounds = options.scaled(100);
        let (sample, sum) = runtime.on_a_worker(async move {
            let watch = Stopwatch::start();
            let mut sum = 0;
            for _ in 0..rounds {
                let pairs: Vec<_> = (0..PAIRS)
                    .map(|ball| runtime.spawn(play(runtime, ball)))
                    .collect();
                for pair in pairs {
                    sum += pair.await;
                }
            }
            (watch.stop(rounds * PAIRS), sum)
        });
        check("sum of all balls", sum, rounds * PAIRS * (PAIRS + 1) / 2)?;
        Ok(sample)
    }
}
