"""Runs scenario programs on CPython's asyncio and prints their traces, one JSON object a line.

usage: python3.13 oracle.py FILE...      (a file holds one program or a list)

Time is virtual: it stands still while anything is ready and jumps to the next timer when nothing is. Where CPython
leaves the order open, it is fixed here: the sets of `asyncio.tasks` and `asyncio.taskgroups` keep the order of
insertion, and `all_tasks` is sorted by creation. Programs whose behaviour asyncio leaves open are rejected: two
timers at one instant, and a program that can never go on.
"""

import asyncio
import gc
import itertools
import json
import sys
import warnings
import weakref


class OrderedSet:
    """A set that is walked in the order of insertion."""

    def __init__(self, items=()):
        self._items = dict.fromkeys(items)

    def add(self, item):
        self._items[item] = None

    def discard(self, item):
        self._items.pop(item, None)

    def remove(self, item):
        del self._items[item]

    def clear(self):
        self._items.clear()

    def __iter__(self):
        return iter(list(self._items))

    def __len__(self):
        return len(self._items)

    def __contains__(self, item):
        return item in self._items


def fix_orders():
    asyncio.tasks.set = OrderedSet
    asyncio.taskgroups.set = OrderedSet

    # `as_completed` builds its set by a comprehension, which the name `set` does not reach.
    def init(self, aws, timeout):
        self._done = asyncio.Queue()
        self._timeout_handle = None
        loop = asyncio.get_event_loop()
        todo = OrderedSet(asyncio.ensure_future(aw, loop=loop) for aw in OrderedSet(aws))
        for f in todo:
            f.add_done_callback(self._handle_completion)
        if len(todo) and timeout is not None:
            self._timeout_handle = loop.call_later(timeout, self._handle_timeout)
        self._todo = todo
        self._todo_left = len(todo)

    asyncio.tasks._AsCompletedIterator.__init__ = init


class Reject(BaseException):
    """The program is not for the judge."""


class Malformed(BaseException):
    """The program makes no sense."""


class NoSelector:
    """Waits by moving the clock."""

    def __init__(self, loop):
        self.loop = loop

    def select(self, timeout):
        if self.loop.verdict is not None:
            raise self.loop.verdict
        if timeout is None:
            self.loop.verdict = Reject("deadlock")
            raise self.loop.verdict
        if timeout > 0:
            self.loop.now = self.loop._scheduled[0]._when
        return []

    def close(self):
        pass


class VirtualLoop(asyncio.BaseEventLoop):
    """Times are whole microseconds, kept as numbers that compare exactly."""

    def __init__(self):
        super().__init__()
        self.now = 0
        self._selector = NoSelector(self)
        self._clock_resolution = 0.5
        self.armed = set()
        # A `Reject` or `Malformed` that a task met: it ends the run.
        self.verdict = None

    def time(self):
        return self.now

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass

    def call_at(self, when, callback, *args, context=None):
        if when in self.armed:
            self.verdict = self.verdict or Reject("two timers at one instant")
        self.armed.add(when)
        return super().call_at(when, callback, *args, context=context)

    def default_exception_handler(self, context):
        pass

    def call_exception_handler(self, context):
        pass


class World:
    def __init__(self, program, loop):
        self.program = program
        self.loop = loop
        self.things = {}
        self.trace = []
        self.who = {}
        self.named = {}
        self.closed = False

    def log(self, text):
        if self.closed:
            return
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        who = "-" if task is None else self.who.get(task, "?")
        self.trace.append([self.loop.now, who, text])

    def find(self, name):
        return self.things[name]

    def adopt(self, name, task):
        self.who[task] = name
        self.things[name] = task
        self.named[name] = task


def show(e):
    if isinstance(e, asyncio.CancelledError):
        return f"Cancelled({e.args[0]})" if e.args else "Cancelled"
    if isinstance(e, BaseExceptionGroup):
        return "Group[" + ",".join(sorted(show(x) for x in e.exceptions)) + "]"
    names = {
        TimeoutError: "Timeout",
        asyncio.InvalidStateError: "InvalidState",
        asyncio.BrokenBarrierError: "BrokenBarrier",
    }
    for cls, name in names.items():
        if type(e) is cls:
            return name
    return type(e).__name__


def kind(shown):
    return shown.split("(")[0].split("[")[0]


def dumps(v):
    return json.dumps(v)


def state_of(f):
    if not f.done():
        return "pending"
    if f.cancelled():
        return "cancelled"
    e = f.exception()
    if e is not None:
        return f"raised {show(e)}"
    return f"returned {dumps(f.result())}"


USER = {}


def user_exception(name):
    if name not in USER:
        USER[name] = type(name, (Exception,), {})
    return USER[name]()


class Ret:
    def __init__(self, value):
        self.value = value


QUEUES = {"Queue": asyncio.Queue, "LifoQueue": asyncio.LifoQueue, "PriorityQueue": asyncio.PriorityQueue}
LOCKS = (asyncio.Lock, asyncio.Condition, asyncio.Semaphore)


def make(world, spec):
    k, args = spec[0], spec[1:]
    if k in QUEUES:
        return QUEUES[k](*args)
    if k == "Lock":
        return asyncio.Lock()
    if k == "Event":
        return asyncio.Event()
    if k == "Future":
        return world.loop.create_future()
    if k == "Condition":
        return asyncio.Condition(world.find(args[0])) if args else asyncio.Condition()
    if k == "Semaphore":
        return asyncio.Semaphore(*args)
    if k == "BoundedSemaphore":
        return asyncio.BoundedSemaphore(*args)
    if k == "Barrier":
        return asyncio.Barrier(*args)
    raise Malformed(f"unknown kind {k}")


async def main(world):
    world.who[asyncio.current_task()] = "main"
    for name, spec in world.program.get("objects", {}).items():
        world.things[name] = make(world, spec)
    return await coro(world, "main")


async def coro(world, name):
    r = await block(world, world.program["coros"][name], None)
    return r.value if r is not None else None


async def block(world, stmts, caught):
    for stmt in stmts:
        r = await step(world, stmt, caught)
        if r is not None:
            return r
    return None


def item(world, it):
    if isinstance(it, str):
        return world.find(it)
    k, a = it
    if k == "coro":
        return coro(world, a)
    if k == "sleep":
        return asyncio.sleep(a)
    o = world.find(a)
    if k == "get":
        return o.get()
    if k == "wait_event":
        return o.wait()
    if k == "acquire":
        return o.acquire()
    raise Malformed(f"unknown item {it}")


def items(world, its):
    # Names are resolved before anything is made.
    for it in its:
        if isinstance(it, str):
            world.find(it)
        elif it[0] in ("get", "wait_event", "acquire"):
            world.find(it[1])
    return [item(world, it) for it in its]


def need(o, *classes):
    if not isinstance(o, classes):
        loop = asyncio.get_running_loop()
        loop.verdict = loop.verdict or Malformed("an operation on the wrong kind of object")
        raise loop.verdict
    return o


def opt(stmt, i, default=None):
    return stmt[i] if len(stmt) > i else default


def cancel(world, stmt):
    name = stmt[1]
    if name not in world.things:
        world.log(f"cancel {name} none")
        return
    f = need(world.find(name), asyncio.Future)
    msg = opt(stmt, 2)
    answer = f.cancel() if msg is None else f.cancel(msg)
    world.log(f"cancel {name} {'true' if answer else 'false'}")


async def try_stmt(world, stmt, caught):
    body, handlers, last = stmt[1], opt(stmt, 2) or {}, opt(stmt, 3)

    async def guarded():
        try:
            return await block(world, body, caught)
        except (Reject, Malformed, GeneratorExit):
            raise
        except BaseException as e:
            shown = show(e)
            handler = handlers.get(kind(shown))
            if handler is None and kind(shown) != "Cancelled":
                handler = handlers.get("Any")
            if handler is None:
                raise
            world.log(f"caught {shown}")
            return await block(world, handler, e)

    if last is None:
        return await guarded()
    try:
        r = await guarded()
    except (Reject, Malformed, GeneratorExit):
        raise
    except BaseException as e:
        r2 = await block(world, last, caught)
        if r2 is not None:
            return r2
        raise e
    r2 = await block(world, last, caught)
    return r2 if r2 is not None else r


async def scopes(world, stmt, caught):
    """Statements with a block."""
    op = stmt[0]
    if op == "repeat":
        for _ in range(stmt[1]):
            r = await block(world, stmt[2], caught)
            if r is not None:
                return r
        return None
    if op == "try":
        return await try_stmt(world, stmt, caught)
    if op == "timeout":
        async with asyncio.timeout(stmt[1]) as cm:
            r = await block(world, stmt[2], caught)
            if r is not None:
                return r
        world.log(f"timeout expired={'true' if cm.expired() else 'false'}")
        return None
    if op == "reschedule":
        async with asyncio.timeout(stmt[1]) as cm:
            cm.reschedule(None if stmt[2] is None else world.loop.time() + stmt[2])
            return await block(world, stmt[3], caught)
        return None
    if op == "group":
        async with asyncio.TaskGroup() as g:
            for name, c in stmt[1]:
                world.adopt(name, g.create_task(coro(world, c), name=name))
            r = await block(world, stmt[2], caught)
            if r is not None:
                return r
        world.log("group end")
        return None
    if op == "with":
        async with need(world.find(stmt[1]), *LOCKS):
            return await block(world, stmt[2], caught)
        return None
    raise Malformed(f"unknown statement {stmt}")


async def step(world, stmt, caught):
    if world.closed:
        # The coroutine is being destroyed: what it does no longer counts, and must not touch another program.
        raise GeneratorExit
    op = stmt[0]
    if op == "return":
        return Ret(opt(stmt, 1))
    if op in ("repeat", "try", "timeout", "reschedule", "group", "with"):
        return await scopes(world, stmt, caught)
    if op == "reraise":
        if caught is None:
            raise Malformed("reraise outside a handler")
        raise caught
    if op in SIMPLE:
        await SIMPLE[op](world, stmt)
    else:
        await on_object(world, stmt)
    return None


async def s_log(world, stmt):
    world.log(stmt[1])


async def s_sleep(world, stmt):
    await asyncio.sleep(stmt[1])


async def s_raise(world, stmt):
    raise user_exception(stmt[1])


async def s_spawn(world, stmt):
    world.adopt(stmt[1], asyncio.create_task(coro(world, stmt[2]), name=stmt[1]))


async def s_await(world, stmt):
    v = await need(world.find(stmt[1]), asyncio.Future)
    world.log(f"{stmt[1]}={dumps(v)}")


async def s_cancel(world, stmt):
    cancel(world, stmt)


async def s_cancel_self(world, stmt):
    asyncio.current_task().cancel()


async def s_uncancel(world, stmt):
    world.log(f"uncancel {asyncio.current_task().uncancel()}")


async def s_cancelling(world, stmt):
    world.log(f"cancelling {asyncio.current_task().cancelling()}")


async def s_state(world, stmt):
    name = stmt[1]
    state = "none"
    if name in world.things:
        state = state_of(need(world.find(name), asyncio.Future))
    world.log(f"state {name} {state}")


async def s_gather(world, stmt):
    return_exceptions = bool(opt(stmt, 2, False))
    values = await asyncio.gather(*items(world, stmt[1]), return_exceptions=return_exceptions)
    shown = [show(v) if isinstance(v, BaseException) else v for v in values]
    world.log(f"gather {dumps(shown)}")


async def s_wait(world, stmt):
    fs = [need(world.find(n), asyncio.Future) for n in stmt[1]]
    done, _ = await asyncio.wait(fs, timeout=opt(stmt, 2), return_when=opt(stmt, 3) or "ALL_COMPLETED")
    names = {n: world_f in done for n, world_f in zip(stmt[1], fs)}
    d = ", ".join(sorted(n for n, is_done in names.items() if is_done))
    p = ", ".join(sorted(n for n, is_done in names.items() if not is_done))
    world.log(f"wait done=[{d}] pending=[{p}]")


async def s_wait_for(world, stmt):
    v = await asyncio.wait_for(item(world, stmt[1]), opt(stmt, 2))
    world.log(f"wait_for {dumps(v)}")


async def s_shield(world, stmt):
    v = await asyncio.shield(item(world, stmt[1]))
    world.log(f"shield {dumps(v)}")


async def s_as_completed(world, stmt):
    fs = [need(world.find(n), asyncio.Future) for n in stmt[1]]
    for f in asyncio.as_completed(fs, timeout=opt(stmt, 2)):
        v = await f
        world.log(f"next {dumps(v)}")


SIMPLE = {
    "log": s_log, "sleep": s_sleep, "raise": s_raise, "spawn": s_spawn, "await": s_await, "cancel": s_cancel,
    "cancel_self": s_cancel_self, "uncancel": s_uncancel, "cancelling": s_cancelling, "state": s_state,
    "gather": s_gather, "wait": s_wait, "wait_for": s_wait_for, "shield": s_shield, "as_completed": s_as_completed,
}


async def on_object(world, stmt):
    op = stmt[0]
    if op == "call_soon":
        world.loop.call_soon(world.log, stmt[1])
        return
    if op == "call_later":
        world.loop.call_later(stmt[1], world.log, stmt[2])
        return
    name = stmt[1]
    o = world.find(name)
    if op in ("put", "put_nowait", "get", "get_nowait", "task_done", "join", "shutdown", "qsize"):
        need(o, asyncio.Queue)
        if op == "put":
            await o.put(stmt[2])
        elif op == "put_nowait":
            o.put_nowait(stmt[2])
        elif op == "get":
            v = await o.get()
            world.log(f"{name} -> {dumps(v)}")
        elif op == "get_nowait":
            v = o.get_nowait()
            world.log(f"{name} -> {dumps(v)}")
        elif op == "task_done":
            o.task_done()
        elif op == "join":
            await o.join()
        elif op == "shutdown":
            o.shutdown(immediate=bool(opt(stmt, 2, False)))
        else:
            world.log(f"{name} size {o.qsize()}")
    elif op in ("acquire", "release", "locked"):
        need(o, *LOCKS)
        if op == "acquire":
            await o.acquire()
        elif op == "release":
            o.release()
        else:
            world.log(f"{name} locked {'true' if o.locked() else 'false'}")
    elif op in ("set", "clear", "wait_event"):
        need(o, asyncio.Event)
        if op == "set":
            o.set()
        elif op == "clear":
            o.clear()
        else:
            await o.wait()
    elif op in ("cond_wait", "notify", "notify_all"):
        need(o, asyncio.Condition)
        if op == "cond_wait":
            await o.wait()
        elif op == "notify":
            o.notify(opt(stmt, 2, 1))
        else:
            o.notify_all()
    elif op in ("barrier_wait", "abort", "reset"):
        need(o, asyncio.Barrier)
        if op == "barrier_wait":
            world.log(f"{name} index {await o.wait()}")
        elif op == "abort":
            await o.abort()
        else:
            await o.reset()
    elif op == "set_result":
        need(o, asyncio.Future).set_result(stmt[2])
    elif op == "set_exception":
        need(o, asyncio.Future).set_exception(user_exception(stmt[2]))
    elif op == "on_done":
        text = stmt[2]
        need(o, asyncio.Future).add_done_callback(lambda f: world.log(f"{text} {state_of(f)}"))
    else:
        raise Malformed(f"unknown statement {stmt}")


N_RUNS = itertools.count()


def run_program(program):
    # What one program left behind is destroyed between programs, not inside another.
    if next(N_RUNS) % 100 == 0:
        gc.collect()
    counter = itertools.count()
    born = weakref.WeakKeyDictionary()
    loop = VirtualLoop()

    def factory(loop, c, **kwargs):
        task = asyncio.Task(c, loop=loop, **kwargs)
        born[task] = next(counter)
        return task

    loop.set_task_factory(factory)
    real_all_tasks = asyncio.tasks.all_tasks
    world = World(program, loop)

    def all_tasks(loop=None):
        return sorted(real_all_tasks(loop), key=lambda t: born[t])

    asyncio.tasks.all_tasks = all_tasks
    name = program["name"]
    try:
        runner = asyncio.Runner(loop_factory=lambda: loop)
        try:
            with runner:
                outcome = "returned " + dumps(runner.run(main(world)))
        except (Reject, Malformed):
            raise
        except BaseException as e:
            outcome = f"raised {show(e)}"
        if loop.verdict is not None:
            raise loop.verdict
        world.closed = True
        tasks = {n: state_of(t) for n, t in world.named.items()}
        return {"name": name, "outcome": outcome, "trace": world.trace, "tasks": tasks}
    except (Reject, Malformed) as e:
        verdict = loop.verdict or e
        if isinstance(verdict, Malformed):
            raise verdict
        return {"name": name, "reject": str(verdict)}
    finally:
        world.closed = True
        asyncio.tasks.all_tasks = real_all_tasks
        loop._ready.clear()
        loop._scheduled.clear()
        if not loop.is_closed() and not loop.is_running():
            loop.close()


def load(path):
    with open(path) as f:
        programs = json.load(f)
    return programs if isinstance(programs, list) else [programs]


def prepare():
    """To be called once before `run_program`."""
    if sys.version_info[:2] != (3, 13):
        sys.exit("the oracle needs CPython 3.13")
    warnings.simplefilter("ignore")
    gc.disable()
    sys.unraisablehook = lambda unraisable: None
    fix_orders()


def run_files(paths, out):
    prepare()
    for path in paths:
        for program in load(path):
            try:
                answer = run_program(program)
            except Malformed as e:
                print(f"program {program.get('name')}: {e}", file=sys.stderr)
                return 2
            out.write(json.dumps(answer, ensure_ascii=False, separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(run_files(sys.argv[1:], sys.stdout))
