//! The interpreter: statements on queues, locks, events, conditions, barriers, futures and the loop.

use std::sync::Arc;

use heist_asyncio as asyncio;

use crate::program::{Op, Stmt};
use crate::value::{UserError, dumps};
use crate::world::{AnyQueue, Res, Thing, World, any_queue, state_of};

impl World {
    pub(crate) async fn run_on_object(self: &Arc<Self>, stmt: &Stmt) -> Res<()> {
        match &stmt.op {
            Op::Put(name, _)
            | Op::PutNowait(name, _)
            | Op::Get(name)
            | Op::GetNowait(name)
            | Op::TaskDone(name)
            | Op::Join(name)
            | Op::Shutdown(name, _)
            | Op::Qsize(name) => match self.find(name)? {
                Thing::Queue(queue) => self.run_on_queue(stmt, name, &queue).await,
                _ => Err(self.malformed(&stmt.text, "not a queue")),
            },
            Op::Acquire(name) => self.acquire(stmt, &self.find(name)?).await,
            Op::Release(name) => self.release(stmt, &self.find(name)?),
            Op::Locked(name) => {
                let locked = match self.find(name)? {
                    Thing::Lock(lock) => lock.locked(),
                    Thing::Condition(condition) => condition.locked(),
                    Thing::Semaphore(semaphore) => semaphore.locked(),
                    _ => return Err(self.malformed(&stmt.text, "not a lock")),
                };
                self.log(format!("{name} locked {locked}"));
                Ok(())
            }
            Op::Set(name) | Op::Clear(name) | Op::WaitEvent(name) => match self.find(name)? {
                Thing::Event(event) => run_on_event(stmt, &event).await,
                _ => Err(self.malformed(&stmt.text, "not an event")),
            },
            Op::CondWait(name) | Op::Notify(name, _) | Op::NotifyAll(name) => {
                match self.find(name)? {
                    Thing::Condition(condition) => run_on_condition(stmt, &condition).await,
                    _ => Err(self.malformed(&stmt.text, "not a condition")),
                }
            }
            Op::BarrierWait(name) | Op::Abort(name) | Op::Reset(name) => match self.find(name)? {
                Thing::Barrier(barrier) => self.run_on_barrier(stmt, name, &barrier).await,
                _ => Err(self.malformed(&stmt.text, "not a barrier")),
            },
            _ => self.run_on_loop(stmt),
        }
    }

    async fn run_on_queue(&self, stmt: &Stmt, name: &str, queue: &AnyQueue) -> Res<()> {
        match &stmt.op {
            Op::Put(_, value) => any_queue!(queue, q => q.put(value.clone()).await?),
            Op::PutNowait(_, value) => any_queue!(queue, q => q.put_nowait(value.clone())?),
            Op::Get(_) => {
                let value = any_queue!(queue, q => q.get().await?);
                self.log(format!("{name} -> {}", dumps(&value)));
            }
            Op::GetNowait(_) => {
                let value = any_queue!(queue, q => q.get_nowait()?);
                self.log(format!("{name} -> {}", dumps(&value)));
            }
            Op::TaskDone(_) => any_queue!(queue, q => q.task_done()?),
            Op::Join(_) => any_queue!(queue, q => q.join().await?),
            Op::Shutdown(_, immediate) => any_queue!(queue, q => q.shutdown(*immediate)),
            _ => {
                let size = any_queue!(queue, q => q.qsize());
                self.log(format!("{name} size {size}"));
            }
        }
        Ok(())
    }

    pub(crate) async fn acquire(&self, stmt: &Stmt, thing: &Thing) -> Res<()> {
        self.acquire_thing(&stmt.text, thing).await
    }

    pub(crate) async fn acquire_thing(&self, text: &str, thing: &Thing) -> Res<()> {
        match thing {
            Thing::Lock(lock) => lock.acquire().await?.forget(),
            Thing::Condition(condition) => condition.acquire().await?.forget(),
            Thing::Semaphore(semaphore) => semaphore.acquire().await?.forget(),
            _ => return Err(self.malformed(text, "not a lock")),
        }
        Ok(())
    }

    pub(crate) fn release(&self, stmt: &Stmt, thing: &Thing) -> Res<()> {
        match thing {
            Thing::Lock(lock) => lock.release(),
            Thing::Condition(condition) => condition.release(),
            Thing::Semaphore(semaphore) => semaphore.release(),
            _ => Err(self.malformed(&stmt.text, "not a lock")),
        }
    }

    async fn run_on_barrier(&self, stmt: &Stmt, name: &str, barrier: &asyncio::Barrier) -> Res<()> {
        match &stmt.op {
            Op::BarrierWait(_) => {
                let index = barrier.wait().await?;
                self.log(format!("{name} index {index}"));
                Ok(())
            }
            Op::Abort(_) => barrier.abort().await,
            _ => barrier.reset().await,
        }
    }

    /// Futures and the loop itself.
    fn run_on_loop(self: &Arc<Self>, stmt: &Stmt) -> Res<()> {
        match &stmt.op {
            Op::SetResult(name, value) => self.plain_future(stmt, name)?.set_result(value.clone()),
            Op::SetException(name, error) => self
                .plain_future(stmt, name)?
                .set_exception(UserError(error.clone())),
            Op::CallSoon(text) => {
                let (world, text) = (self.clone(), text.clone());
                self.event_loop.call_soon(move || world.log(text));
                Ok(())
            }
            Op::CallLater(us, text) => {
                let (world, text) = (self.clone(), text.clone());
                self.event_loop
                    .call_at(self.at(*us), move || world.log(text));
                Ok(())
            }
            Op::OnDone(name, text) => {
                let (world, text) = (self.clone(), text.clone());
                self.future(stmt, name)?.add_done_callback(move |future| {
                    world.log(format!("{text} {}", state_of(future)));
                });
                Ok(())
            }
            _ => Err(self.malformed(&stmt.text, "unknown statement")),
        }
    }

    fn plain_future(&self, stmt: &Stmt, name: &str) -> Res<asyncio::Future<serde_json::Value>> {
        match self.find(name)? {
            Thing::Future(future) => Ok(future),
            _ => Err(self.malformed(&stmt.text, "not a future")),
        }
    }
}

async fn run_on_event(stmt: &Stmt, event: &asyncio::Event) -> Res<()> {
    match &stmt.op {
        Op::Set(_) => event.set(),
        Op::Clear(_) => event.clear(),
        _ => event.wait().await?,
    }
    Ok(())
}

async fn run_on_condition(stmt: &Stmt, condition: &asyncio::Condition) -> Res<()> {
    match &stmt.op {
        Op::CondWait(_) => condition.wait().await,
        Op::Notify(_, n) => condition.notify(usize::try_from(*n).unwrap_or(0)),
        _ => condition.notify_all(),
    }
}
