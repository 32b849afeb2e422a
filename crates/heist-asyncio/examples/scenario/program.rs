//! Scenario programs as data: reading them from JSON, and refusing the malformed ones.
//!
//! Everything that does not depend on the run is checked here: statements, coroutine names, the kinds of declared
//! objects, `reraise` outside a handler. The language is described in `docs/asyncio.md`.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// Why a program is malformed, with the statement.
pub(crate) type Fault = String;

pub(crate) type Block = Vec<Stmt>;

/// A program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) objects: Vec<(String, Vec<Value>)>,
    pub(crate) coros: HashMap<String, Block>,
}

/// An awaitable argument.
#[derive(Clone, Debug)]
pub(crate) enum ItemSpec {
    Name(String),
    Coro(String),
    Sleep(i64),
    Get(String),
    WaitEvent(String),
    Acquire(String),
}

#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) op: Op,
    /// The statement as text, for messages.
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) enum Op {
    Log(String),
    Sleep(i64),
    Return(Value),
    Raise(String),
    Reraise,
    Spawn(String, String),
    Await(String),
    Cancel(String, Option<String>),
    CancelSelf,
    Uncancel,
    Cancelling,
    State(String),
    Repeat(i64, Block),
    Try {
        body: Block,
        handlers: HashMap<String, Block>,
        last: Option<Block>,
    },
    Gather(Vec<ItemSpec>, bool),
    Wait(Vec<String>, Option<i64>, String),
    WaitFor(ItemSpec, Option<i64>),
    Timeout(Option<i64>, Block),
    Reschedule(Option<i64>, Option<i64>, Block),
    Shield(ItemSpec),
    Group(Vec<(String, String)>, Block),
    AsCompleted(Vec<String>, Option<i64>),
    Put(String, Value),
    PutNowait(String, Value),
    Get(String),
    GetNowait(String),
    TaskDone(String),
    Join(String),
    Shutdown(String, bool),
    Qsize(String),
    With(String, Block),
    Acquire(String),
    Release(String),
    Locked(String),
    Set(String),
    Clear(String),
    WaitEvent(String),
    CondWait(String),
    Notify(String, i64),
    NotifyAll(String),
    BarrierWait(String),
    Abort(String),
    Reset(String),
    SetResult(String, Value),
    SetException(String, String),
    CallSoon(String),
    CallLater(i64, String),
    OnDone(String, String),
}

/// One program or a list of them.
pub(crate) fn parse_all(text: &str) -> Result<Vec<Program>, Fault> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    match value {
        Value::Array(programs) => programs.iter().map(parse_program).collect(),
        program => Ok(vec![parse_program(&program)?]),
    }
}

fn parse_program(value: &Value) -> Result<Program, Fault> {
    let name = value
        .get("name")
        .and_then(Value::as_str)
        .ok_or("a program without a name")?
        .to_owned();
    parse_body(value, &name).map_err(|fault| format!("program {name}: {fault}"))
}

fn parse_body(value: &Value, name: &str) -> Result<Program, Fault> {
    let empty = serde_json::Map::new();
    let objects = match value.get("objects") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(objects)) => objects,
        Some(_) => return Err("objects is not a map".to_owned()),
    };
    let coros = value
        .get("coros")
        .and_then(Value::as_object)
        .ok_or("no coros")?;
    if !coros.contains_key("main") {
        return Err("no coroutine main".to_owned());
    }
    let known: HashSet<&str> = coros.keys().map(String::as_str).collect();
    let mut kinds: HashMap<String, String> = HashMap::new();
    let mut made = Vec::new();
    for (object, spec) in objects {
        let spec = spec
            .as_array()
            .ok_or_else(|| format!("object {object} is not a list"))?
            .clone();
        let kind = spec
            .first()
            .and_then(Value::as_str)
            .ok_or_else(|| format!("object {object} has no kind"))?;
        check_object(object, kind, &spec, &kinds)?;
        kinds.insert(object.clone(), kind.to_owned());
        made.push((object.clone(), spec));
    }
    let parser = Parser { coros: known };
    let mut blocks = HashMap::new();
    for (coro, body) in coros {
        blocks.insert(
            coro.clone(),
            parser
                .block(body, false)
                .map_err(|fault| format!("coroutine {coro}: {fault}"))?,
        );
    }
    Ok(Program {
        name: name.to_owned(),
        objects: made,
        coros: blocks,
    })
}

fn check_object(
    object: &str,
    kind: &str,
    spec: &[Value],
    kinds: &HashMap<String, String>,
) -> Result<(), Fault> {
    let argument = spec.get(1);
    let is_right = match kind {
        "Queue" | "LifoQueue" | "PriorityQueue" => argument.is_none_or(Value::is_number),
        "Lock" | "Event" | "Future" => true,
        "Semaphore" | "BoundedSemaphore" => argument.is_none_or(Value::is_i64),
        "Barrier" => argument.is_some_and(Value::is_i64),
        "Condition" => match argument {
            None => true,
            Some(lock) => match lock.as_str().and_then(|lock| kinds.get(lock)) {
                Some(kind) => kind == "Lock",
                None => return Err(format!("object {object}: its lock does not exist yet")),
            },
        },
        _ => return Err(format!("object {object}: unknown kind {kind}")),
    };
    if is_right {
        Ok(())
    } else {
        Err(format!("object {object}: wrong arguments for {kind}"))
    }
}

struct Parser<'a> {
    coros: HashSet<&'a str>,
}

/// The arguments of one statement.
struct Args<'a> {
    items: &'a [Value],
    text: &'a str,
}

impl<'a> Args<'a> {
    fn fault<T>(&self, what: &str) -> Result<T, Fault> {
        Err(format!("statement {}: {what}", self.text))
    }

    fn get(&self, idx: usize) -> Result<&'a Value, Fault> {
        match self.items.get(idx + 1) {
            Some(value) => Ok(value),
            None => self.fault("an argument is missing"),
        }
    }

    fn opt(&self, idx: usize) -> Option<&'a Value> {
        self.items.get(idx + 1)
    }

    fn string(&self, idx: usize) -> Result<String, Fault> {
        match self.get(idx)?.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => self.fault("an argument is not a string"),
        }
    }

    fn int(&self, idx: usize) -> Result<i64, Fault> {
        self.int_of(self.get(idx)?)
    }

    fn int_of(&self, value: &Value) -> Result<i64, Fault> {
        match value.as_i64() {
            Some(number) => Ok(number),
            None => self.fault("an argument is not a whole number"),
        }
    }

    fn opt_int(&self, idx: usize) -> Result<Option<i64>, Fault> {
        match self.opt(idx) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.int_of(value).map(Some),
        }
    }

    fn flag(&self, idx: usize) -> Result<bool, Fault> {
        match self.opt(idx) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => self.fault("an argument is not true or false"),
        }
    }

    fn names(&self, idx: usize) -> Result<Vec<String>, Fault> {
        let Some(list) = self.get(idx)?.as_array() else {
            return self.fault("an argument is not a list");
        };
        let names: Option<Vec<String>> = list
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect();
        match names {
            Some(names) => Ok(names),
            None => self.fault("a name is not a string"),
        }
    }

    fn list(&self, idx: usize) -> Result<&'a [Value], Fault> {
        match self.get(idx)?.as_array() {
            Some(list) => Ok(list),
            None => self.fault("an argument is not a list"),
        }
    }
}

impl Parser<'_> {
    fn block(&self, value: &Value, in_handler: bool) -> Result<Block, Fault> {
        let list = value
            .as_array()
            .ok_or_else(|| format!("a block is not a list: {value}"))?;
        list.iter()
            .map(|stmt| self.stmt(stmt, in_handler))
            .collect()
    }

    fn stmt(&self, value: &Value, in_handler: bool) -> Result<Stmt, Fault> {
        let text = value.to_string();
        let items = value
            .as_array()
            .ok_or_else(|| format!("statement {text}: not a list"))?;
        let op = items
            .first()
            .and_then(Value::as_str)
            .ok_or_else(|| format!("statement {text}: no operation"))?;
        let args = Args { items, text: &text };
        let op = match self.control(op, &args, in_handler)? {
            Some(op) => op,
            None => match objects(op, &args)? {
                Some(op) => op,
                None => return args.fault("unknown statement"),
            },
        };
        Ok(Stmt { op, text })
    }

    /// Statements with blocks, coroutines and items.
    fn control(&self, op: &str, args: &Args<'_>, in_handler: bool) -> Result<Option<Op>, Fault> {
        let block = |idx: usize| self.block(args.get(idx)?, in_handler);
        Ok(Some(match op {
            "log" => Op::Log(args.string(0)?),
            "sleep" => Op::Sleep(args.int(0)?),
            "return" => Op::Return(args.opt(0).cloned().unwrap_or(Value::Null)),
            "raise" => Op::Raise(args.string(0)?),
            "reraise" if in_handler => Op::Reraise,
            "reraise" => return args.fault("reraise outside a handler"),
            "spawn" => Op::Spawn(args.string(0)?, self.coro(args.string(1)?, args)?),
            "await" => Op::Await(args.string(0)?),
            "cancel" => Op::Cancel(
                args.string(0)?,
                args.opt(1).and_then(Value::as_str).map(str::to_owned),
            ),
            "cancel_self" => Op::CancelSelf,
            "uncancel" => Op::Uncancel,
            "cancelling" => Op::Cancelling,
            "state" => Op::State(args.string(0)?),
            "repeat" => Op::Repeat(args.int(0)?, block(1)?),
            "try" => self.try_stmt(args, in_handler)?,
            "gather" => {
                let items: Result<_, _> = args
                    .list(0)?
                    .iter()
                    .map(|item| self.item(item, args))
                    .collect();
                Op::Gather(items?, args.flag(1)?)
            }
            "wait" => Op::Wait(args.names(0)?, args.opt_int(1)?, return_when(args)?),
            "wait_for" => Op::WaitFor(self.item(args.get(0)?, args)?, args.opt_int(1)?),
            "timeout" => Op::Timeout(args.opt_int(0)?, block(1)?),
            "reschedule" => Op::Reschedule(args.opt_int(0)?, args.opt_int(1)?, block(2)?),
            "shield" => Op::Shield(self.item(args.get(0)?, args)?),
            "group" => {
                let children: Result<_, _> = args
                    .list(0)?
                    .iter()
                    .map(|child| self.child(child, args))
                    .collect();
                Op::Group(children?, block(1)?)
            }
            "as_completed" => Op::AsCompleted(args.names(0)?, args.opt_int(1)?),
            "with" => Op::With(args.string(0)?, block(1)?),
            _ => return Ok(None),
        }))
    }

    fn try_stmt(&self, args: &Args<'_>, in_handler: bool) -> Result<Op, Fault> {
        let body = self.block(args.get(0)?, in_handler)?;
        let mut handlers = HashMap::new();
        match args.opt(1) {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) => {
                for (kind, handler) in map {
                    handlers.insert(kind.clone(), self.block(handler, true)?);
                }
            }
            Some(_) => return args.fault("the handlers are not a map"),
        }
        let last = match args.opt(2) {
            None | Some(Value::Null) => None,
            Some(block) => Some(self.block(block, in_handler)?),
        };
        Ok(Op::Try {
            body,
            handlers,
            last,
        })
    }

    fn coro(&self, name: String, args: &Args<'_>) -> Result<String, Fault> {
        if self.coros.contains(name.as_str()) {
            Ok(name)
        } else {
            args.fault(&format!("unknown coroutine {name}"))
        }
    }

    fn child(&self, value: &Value, args: &Args<'_>) -> Result<(String, String), Fault> {
        match value.as_array().map(Vec::as_slice) {
            Some([Value::String(name), Value::String(coro)]) => {
                Ok((name.clone(), self.coro(coro.clone(), args)?))
            }
            _ => args.fault("a child is not a pair of names"),
        }
    }

    fn item(&self, value: &Value, args: &Args<'_>) -> Result<ItemSpec, Fault> {
        match value {
            Value::String(name) => Ok(ItemSpec::Name(name.clone())),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(kind), Value::String(name)] => match kind.as_str() {
                    "coro" => Ok(ItemSpec::Coro(self.coro(name.clone(), args)?)),
                    "get" => Ok(ItemSpec::Get(name.clone())),
                    "wait_event" => Ok(ItemSpec::WaitEvent(name.clone())),
                    "acquire" => Ok(ItemSpec::Acquire(name.clone())),
                    _ => args.fault("unknown item"),
                },
                [Value::String(kind), us] if kind == "sleep" => {
                    Ok(ItemSpec::Sleep(args.int_of(us)?))
                }
                _ => args.fault("unknown item"),
            },
            _ => args.fault("unknown item"),
        }
    }
}

fn return_when(args: &Args<'_>) -> Result<String, Fault> {
    match args.opt(2) {
        None | Some(Value::Null) => Ok("ALL_COMPLETED".to_owned()),
        Some(Value::String(when))
            if ["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"].contains(&when.as_str()) =>
        {
            Ok(when.clone())
        }
        Some(_) => args.fault("unknown return_when"),
    }
}

/// Statements on queues, locks and the like.
fn objects(op: &str, args: &Args<'_>) -> Result<Option<Op>, Fault> {
    let name = || args.string(0);
    Ok(Some(match op {
        "put" => Op::Put(name()?, args.get(1)?.clone()),
        "put_nowait" => Op::PutNowait(name()?, args.get(1)?.clone()),
        "get" => Op::Get(name()?),
        "get_nowait" => Op::GetNowait(name()?),
        "task_done" => Op::TaskDone(name()?),
        "join" => Op::Join(name()?),
        "shutdown" => Op::Shutdown(name()?, args.flag(1)?),
        "qsize" => Op::Qsize(name()?),
        "acquire" => Op::Acquire(name()?),
        "release" => Op::Release(name()?),
        "locked" => Op::Locked(name()?),
        "set" => Op::Set(name()?),
        "clear" => Op::Clear(name()?),
        "wait_event" => Op::WaitEvent(name()?),
        "cond_wait" => Op::CondWait(name()?),
        "notify" => Op::Notify(name()?, args.opt_int(1)?.unwrap_or(1)),
        "notify_all" => Op::NotifyAll(name()?),
        "barrier_wait" => Op::BarrierWait(name()?),
        "abort" => Op::Abort(name()?),
        "reset" => Op::Reset(name()?),
        "set_result" => Op::SetResult(name()?, args.get(1)?.clone()),
        "set_exception" => Op::SetException(name()?, args.string(1)?),
        "call_soon" => Op::CallSoon(name()?),
        "call_later" => Op::CallLater(args.int(0)?, args.string(1)?),
        "on_done" => Op::OnDone(name()?, args.string(1)?),
        _ => return Ok(None),
    }))
}
