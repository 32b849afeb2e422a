//! The interpreter: coroutines, blocks, control statements.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use heist_asyncio as asyncio;
use serde_json::Value;

use crate::program::{Block, ItemSpec, Op, Stmt};
use crate::value::{UserError, dumps, kind, show};
use crate::world::{Flow, Res, Thing, World, any_queue, micros, state_of};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Res<T>> + Send + 'a>>;

/// The exception that the innermost handler caught.
type Caught<'a> = Option<&'a asyncio::Exception>;

impl World {
    /// A coroutine of the program, to be awaited or made a task.
    pub(crate) fn coroutine(
        self: &Arc<Self>,
        name: &str,
    ) -> impl Future<Output = Res<Value>> + Send + 'static {
        let (world, name) = (self.clone(), name.to_owned());
        async move {
            match world.run_block(world.block(&name), None).await? {
                Flow::Return(value) => Ok(value),
                Flow::Next => Ok(Value::Null),
            }
        }
    }

    /// The program's main task.
    pub(crate) async fn main(self: Arc<Self>) -> Res<Value> {
        self.name_current("main");
        self.make_objects()?;
        self.coroutine("main").await
    }

    pub(crate) fn run_block<'a>(
        self: &'a Arc<Self>,
        block: &'a Block,
        caught: Caught<'a>,
    ) -> Boxed<'a, Flow> {
        Box::pin(async move {
            for stmt in block {
                if let Flow::Return(value) = self.run_stmt(stmt, caught).await? {
                    return Ok(Flow::Return(value));
                }
            }
            Ok(Flow::Next)
        })
    }

    fn run_stmt<'a>(self: &'a Arc<Self>, stmt: &'a Stmt, caught: Caught<'a>) -> Boxed<'a, Flow> {
        Box::pin(async move {
            match &stmt.op {
                Op::Return(value) => return Ok(Flow::Return(value.clone())),
                Op::Repeat(n, body) => return self.repeat(*n, body, caught).await,
                Op::Try {
                    body,
                    handlers,
                    last,
                } => {
                    let mut result = self.run_block(body, caught).await;
                    if let Err(error) = &result {
                        let shown = show(error);
                        let any = || {
                            if kind(&shown) == "Cancelled" {
                                None
                            } else {
                                handlers.get("Any")
                            }
                        };
                        let handler = handlers.get(kind(&shown)).or_else(any);
                        if let Some(handler) = handler.filter(|_| self.fault.lock().is_none()) {
                            let error = error.clone();
                            self.log(format!("caught {shown}"));
                            result = self.run_block(handler, Some(&error)).await;
                        }
                    }
                    return match last {
                        None => result,
                        Some(last) => match self.run_block(last, caught).await? {
                            Flow::Next => result,
                            flow @ Flow::Return(_) => Ok(flow),
                        },
                    };
                }
                Op::Timeout(us, body) => {
                    let block = asyncio::Timeout::new(us.map(|us| self.at(us)));
                    let flow = block
                        .run(async |_| self.run_block(body, caught).await)
                        .await?;
                    if matches!(flow, Flow::Next) {
                        self.log(format!("timeout expired={}", block.expired()));
                    }
                    return Ok(flow);
                }
                Op::Reschedule(us, to, body) => {
                    let block = asyncio::Timeout::new(us.map(|us| self.at(us)));
                    let body = async |block: asyncio::Timeout| {
                        block.reschedule(to.map(|to| self.at(to)))?;
                        self.run_block(body, caught).await
                    };
                    return block.run(body).await;
                }
                Op::Group(children, body) => return self.group(children, body, caught).await,
                Op::With(name, body) => return self.with(stmt, name, body, caught).await,
                Op::Reraise => {
                    return Err(caught
                        .cloned()
                        .unwrap_or_else(|| self.malformed(&stmt.text, "no handler")));
                }
                _ => {}
            }
            self.run_simple(stmt).await?;
            Ok(Flow::Next)
        })
    }

    async fn repeat(self: &Arc<Self>, n: i64, body: &Block, caught: Caught<'_>) -> Res<Flow> {
        for _ in 0..n {
            if let flow @ Flow::Return(_) = self.run_block(body, caught).await? {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    async fn group(
        self: &Arc<Self>,
        children: &[(String, String)],
        body: &Block,
        caught: Caught<'_>,
    ) -> Res<Flow> {
        let flow = asyncio::TaskGroup::scope(async |group| {
            for (name, coro) in children {
                let task = group.create_named_task(name.as_str(), self.coroutine(coro))?;
                self.adopt(name, &task);
            }
            self.run_block(body, caught).await
        })
        .await?;
        if matches!(flow, Flow::Next) {
            self.log("group end".to_owned());
        }
        Ok(flow)
    }

    async fn with(
        self: &Arc<Self>,
        stmt: &Stmt,
        name: &str,
        body: &Block,
        caught: Caught<'_>,
    ) -> Res<Flow> {
        let thing = self.find(name)?;
        self.acquire(stmt, &thing).await?;
        let result = self.run_block(body, caught).await;
        // Python's exit: what it raises takes the place of what the block raised.
        self.release(stmt, &thing)?;
        result
    }

    /// Statements without blocks.
    fn run_simple<'a>(self: &'a Arc<Self>, stmt: &'a Stmt) -> Boxed<'a, ()> {
        Box::pin(async move {
            match &stmt.op {
                Op::Log(text) => self.log(text.clone()),
                Op::Sleep(us) => asyncio::sleep(micros(*us)).await?,
                Op::Raise(name) => return Err(UserError(name.clone()).into()),
                Op::Spawn(name, coro) => {
                    let task = asyncio::create_named_task(name.as_str(), self.coroutine(coro));
                    self.adopt(name, &task);
                }
                Op::Await(name) => {
                    let value = self.future(stmt, name)?.await?;
                    self.log(format!("{name}={}", dumps(&value)));
                }
                Op::Cancel(name, message) => self.cancel(stmt, name, message.as_deref())?,
                Op::CancelSelf => {
                    if let Some(task) = asyncio::current_task() {
                        task.cancel();
                    }
                }
                Op::Uncancel => {
                    let left = asyncio::current_task().map_or(0, |task| task.uncancel());
                    self.log(format!("uncancel {left}"));
                }
                Op::Cancelling => {
                    let n = asyncio::current_task().map_or(0, |task| task.cancelling());
                    self.log(format!("cancelling {n}"));
                }
                Op::State(name) => {
                    let state = match self.find(name) {
                        Err(_) => "none".to_owned(),
                        Ok(_) => state_of(&self.future(stmt, name)?),
                    };
                    self.log(format!("state {name} {state}"));
                }
                Op::Gather(items, return_exceptions) => {
                    self.gather(stmt, items, *return_exceptions).await?
                }
                Op::Wait(names, us, when) => self.wait(stmt, names, *us, when).await?,
                Op::WaitFor(item, us) => {
                    let item = self.item(stmt, item)?;
                    let value = asyncio::wait_for(item, us.map(micros)).await?;
                    self.log(format!("wait_for {}", dumps(&value)));
                }
                Op::Shield(item) => {
                    let item = self.item(stmt, item)?;
                    let value = asyncio::shield(item).await?;
                    self.log(format!("shield {}", dumps(&value)));
                }
                Op::AsCompleted(names, us) => self.as_completed(stmt, names, *us).await?,
                _ => self.run_on_object(stmt).await?,
            }
            Ok(())
        })
    }

    fn cancel(&self, stmt: &Stmt, name: &str, message: Option<&str>) -> Res<()> {
        if self.find(name).is_err() {
            self.log(format!("cancel {name} none"));
            return Ok(());
        }
        let future = self.future(stmt, name)?;
        let answer = match message {
            None => future.cancel(),
            Some(message) => future.cancel_msg(message),
        };
        self.log(format!("cancel {name} {answer}"));
        Ok(())
    }

    /// The task or future of this name.
    pub(crate) fn future(&self, stmt: &Stmt, name: &str) -> Res<asyncio::Future<Value>> {
        match self.find(name)? {
            Thing::Task(future) | Thing::Future(future) => Ok(future),
            _ => Err(self.malformed(&stmt.text, "not a task or future")),
        }
    }

    fn item(self: &Arc<Self>, stmt: &Stmt, item: &ItemSpec) -> Res<asyncio::Item<Value>> {
        Ok(match item {
            ItemSpec::Name(name) => asyncio::Item::from(self.future(stmt, name)?),
            ItemSpec::Coro(name) => asyncio::Item::coroutine(self.coroutine(name)),
            ItemSpec::Sleep(us) => {
                asyncio::Item::coroutine(asyncio::sleep_with(micros(*us), Value::Null))
            }
            ItemSpec::Get(name) => match self.find(name)? {
                Thing::Queue(queue) => {
                    asyncio::Item::coroutine(async move { any_queue!(queue, q => q.get().await) })
                }
                _ => return Err(self.malformed(&stmt.text, "not a queue")),
            },
            ItemSpec::WaitEvent(name) => match self.find(name)? {
                Thing::Event(event) => asyncio::Item::coroutine(async move {
                    event.wait().await?;
                    Ok(Value::Bool(true))
                }),
                _ => return Err(self.malformed(&stmt.text, "not an event")),
            },
            ItemSpec::Acquire(name) => {
                let thing = self.find(name)?;
                if !matches!(
                    thing,
                    Thing::Lock(_) | Thing::Semaphore(_) | Thing::Condition(_)
                ) {
                    return Err(self.malformed(&stmt.text, "not a lock"));
                }
                let world = self.clone();
                let text = stmt.text.clone();
                asyncio::Item::coroutine(async move {
                    world.acquire_thing(&text, &thing).await?;
                    Ok(Value::Bool(true))
                })
            }
        })
    }

    async fn gather(
        self: &Arc<Self>,
        stmt: &Stmt,
        items: &[ItemSpec],
        return_exceptions: bool,
    ) -> Res<()> {
        let items: Vec<_> = items
            .iter()
            .map(|item| self.item(stmt, item))
            .collect::<Res<_>>()?;
        let values: Vec<Value> = if return_exceptions {
            let results = asyncio::gather_return_exceptions(items).await?;
            results
                .into_iter()
                .map(|result| result.unwrap_or_else(|error| Value::String(show(&error))))
                .collect()
        } else {
            asyncio::gather(items).await?
        };
        self.log(format!("gather {}", dumps(&Value::Array(values))));
        Ok(())
    }

    async fn wait(&self, stmt: &Stmt, names: &[String], us: Option<i64>, when: &str) -> Res<()> {
        let futures: Vec<_> = names
            .iter()
            .map(|name| self.future(stmt, name))
            .collect::<Res<_>>()?;
        let when = match when {
            "FIRST_COMPLETED" => asyncio::ReturnWhen::FirstCompleted,
            "FIRST_EXCEPTION" => asyncio::ReturnWhen::FirstException,
            _ => asyncio::ReturnWhen::AllCompleted,
        };
        let (done, _) = asyncio::wait(&futures, us.map(micros), when).await?;
        let (mut done_names, mut pending_names) = (Vec::new(), Vec::new());
        for (name, future) in names.iter().zip(&futures) {
            let list = if done.iter().any(|other| other.is_same(future)) {
                &mut done_names
            } else {
                &mut pending_names
            };
            if !list.contains(&name.as_str()) {
                list.push(name.as_str());
            }
        }
        done_names.sort_unstable();
        pending_names.sort_unstable();
        self.log(format!(
            "wait done=[{}] pending=[{}]",
            done_names.join(", "),
            pending_names.join(", ")
        ));
        Ok(())
    }

    async fn as_completed(&self, stmt: &Stmt, names: &[String], us: Option<i64>) -> Res<()> {
        let futures: Vec<_> = names
            .iter()
            .map(|name| self.future(stmt, name))
            .collect::<Res<_>>()?;
        let mut results = asyncio::as_completed(futures, us.map(micros));
        while let Some(result) = results.next().await {
            self.log(format!("next {}", dumps(&result?)));
        }
        Ok(())
    }
}
