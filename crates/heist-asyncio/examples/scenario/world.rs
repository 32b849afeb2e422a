//! What a running program sees: its objects and tasks by name, and its trace.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use heist_asyncio as asyncio;
use parking_lot::Mutex;
use serde_json::Value;

use crate::program::{Block, Program};
use crate::value::{KeyError, Malformed, PyHeap, dumps, show};

pub(crate) type Res<T> = asyncio::Result<T>;

/// Something with a name.
#[derive(Clone)]
pub(crate) enum Thing {
    Queue(AnyQueue),
    Lock(asyncio::Lock),
    Event(asyncio::Event),
    Condition(asyncio::Condition),
    Semaphore(asyncio::Semaphore),
    Barrier(asyncio::Barrier),
    Future(asyncio::Future<Value>),
    Task(asyncio::Future<Value>),
}

/// The three queues behind one face.
#[derive(Clone)]
pub(crate) enum AnyQueue {
    Fifo(asyncio::Queue<Value>),
    Lifo(asyncio::LifoQueue<Value>),
    Priority(asyncio::Queue<Value, PyHeap>),
}

/// Calls a method of whichever queue it is.
macro_rules! any_queue {
    ($queue:expr, $q:ident => $call:expr) => {
        match $queue {
            $crate::world::AnyQueue::Fifo($q) => $call,
            $crate::world::AnyQueue::Lifo($q) => $call,
            $crate::world::AnyQueue::Priority($q) => $call,
        }
    };
}
pub(crate) use any_queue;

/// How a block ended, where nothing was raised.
pub(crate) enum Flow {
    Next,
    Return(Value),
}

pub(crate) struct World {
    pub(crate) program: Program,
    pub(crate) things: Mutex<HashMap<String, Thing>>,
    pub(crate) trace: Mutex<Vec<(i64, String, String)>>,
    who: Mutex<HashMap<asyncio::TaskId, String>>,
    /// The tasks that got a name, in order.
    pub(crate) named: Mutex<Vec<(String, asyncio::Future<Value>)>>,
    /// A statement that makes no sense was met.
    pub(crate) fault: Mutex<Option<String>>,
    pub(crate) event_loop: asyncio::EventLoop,
}

impl World {
    pub(crate) fn new(program: Program, event_loop: asyncio::EventLoop) -> Arc<World> {
        Arc::new(World {
            program,
            things: Mutex::default(),
            trace: Mutex::default(),
            who: Mutex::default(),
            named: Mutex::default(),
            fault: Mutex::default(),
            event_loop,
        })
    }

    pub(crate) fn micros(&self) -> i64 {
        self.event_loop.time().as_nanos() / 1000
    }

    /// The loop's time so many microseconds from now.
    pub(crate) fn at(&self, us: i64) -> asyncio::LoopTime {
        asyncio::LoopTime::from_nanos(self.event_loop.time().as_nanos() + us * 1000)
    }

    pub(crate) fn log(&self, text: String) {
        let who = match asyncio::current_task() {
            None => "-".to_owned(),
            Some(task) => self
                .who
                .lock()
                .get(&task.id())
                .cloned()
                .unwrap_or_else(|| "?".to_owned()),
        };
        let time = self.micros();
        self.trace.lock().push((time, who, text));
    }

    pub(crate) fn name_current(&self, name: &str) {
        if let Some(task) = asyncio::current_task() {
            task.set_name(name);
            self.who.lock().insert(task.id(), name.to_owned());
        }
    }

    /// Gives a new task its name.
    pub(crate) fn adopt(&self, name: &str, task: &asyncio::Task<Value>) {
        self.who.lock().insert(task.id(), name.to_owned());
        let future = task.shared();
        self.things
            .lock()
            .insert(name.to_owned(), Thing::Task(future.clone()));
        let mut named = self.named.lock();
        named.retain(|(known, _)| known != name);
        named.push((name.to_owned(), future));
    }

    /// A statement that makes no sense: it ends the program.
    pub(crate) fn malformed(&self, text: &str, what: &str) -> asyncio::Exception {
        let message = format!("statement {text}: {what}");
        self.fault.lock().get_or_insert_with(|| message.clone());
        Malformed(message).into()
    }

    pub(crate) fn find(&self, name: &str) -> Res<Thing> {
        self.things
            .lock()
            .get(name)
            .cloned()
            .ok_or_else(|| KeyError(name.to_owned()).into())
    }

    pub(crate) fn block(&self, coro: &str) -> &Block {
        const EMPTY: &Block = &Block::new();
        self.program.coros.get(coro).unwrap_or(EMPTY)
    }

    /// The objects of the program, made at the start of main.
    pub(crate) fn make_objects(&self) -> Res<()> {
        for (name, spec) in &self.program.objects {
            let thing = self.make(spec)?;
            self.things.lock().insert(name.clone(), thing);
        }
        Ok(())
    }

    fn make(&self, spec: &[Value]) -> Res<Thing> {
        let kind = spec.first().and_then(Value::as_str).unwrap_or_default();
        let number = |default: i64| {
            spec.get(1)
                .map_or(default, |value| value.as_i64().unwrap_or(default))
        };
        let size = usize::try_from(number(0)).unwrap_or(0);
        let negative =
            || asyncio::Exception::from(asyncio::ValueError("value must be >= 0".into()));
        Ok(match kind {
            "Queue" => Thing::Queue(AnyQueue::Fifo(asyncio::Queue::new(size))),
            "LifoQueue" => Thing::Queue(AnyQueue::Lifo(asyncio::LifoQueue::new(size))),
            "PriorityQueue" => Thing::Queue(AnyQueue::Priority(asyncio::Queue::with_store(
                size,
                PyHeap::default(),
            ))),
            "Lock" => Thing::Lock(asyncio::Lock::new()),
            "Event" => Thing::Event(asyncio::Event::new()),
            "Future" => Thing::Future(asyncio::Future::new()),
            "Condition" => match spec.get(1).and_then(Value::as_str) {
                None => Thing::Condition(asyncio::Condition::new()),
                Some(lock) => match self.find(lock)? {
                    Thing::Lock(lock) => Thing::Condition(asyncio::Condition::with_lock(lock)),
                    _ => return Err(self.malformed("objects", "a condition needs a lock")),
                },
            },
            "Semaphore" => {
                let value = usize::try_from(number(1)).map_err(|_| negative())?;
                Thing::Semaphore(asyncio::Semaphore::new(value))
            }
            "BoundedSemaphore" => {
                let value = usize::try_from(number(1)).map_err(|_| negative())?;
                Thing::Semaphore((*asyncio::BoundedSemaphore::new(value)).clone())
            }
            "Barrier" => Thing::Barrier(asyncio::Barrier::new(
                usize::try_from(number(0)).unwrap_or(0),
            )?),
            _ => return Err(self.malformed("objects", "unknown kind")),
        })
    }
}

/// Microseconds as a delay; a negative one is none.
pub(crate) fn micros(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}

/// A task's or future's state as traces show it.
pub(crate) fn state_of(future: &asyncio::Future<Value>) -> String {
    if !future.done() {
        return "pending".to_owned();
    }
    if future.cancelled() {
        return "cancelled".to_owned();
    }
    match future.result() {
        Ok(value) => format!("returned {}", dumps(&value)),
        Err(error) => format!("raised {}", show(&error)),
    }
}
