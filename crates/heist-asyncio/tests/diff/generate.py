"""Makes random scenario programs: a broad and nasty generator with themes, and one that aims races at one instant.

usage: python3 generate.py THEME --programs N --seed S      (THEME: a theme below, `races`, or `all`)

Coroutines are numbered; one may start and await only later ones, so there is no circle of waits.
"""

import argparse
import json
import random

THEMES = ["cancel", "timeout", "queue", "lock", "group", "future", "mixed", "races"]

WEIGHTS = {
    "cancel": {"cancel": 10, "spawn": 8, "await": 7, "shield": 4, "uncancel": 3, "cancelling": 2, "cancel_self": 3,
               "try": 9, "wait": 3, "gather": 4, "wait_for": 2, "as_completed": 1},
    "timeout": {"timeout": 12, "reschedule": 5, "wait_for": 8, "try": 8, "cancel": 3, "await": 3, "spawn": 4,
                "shield": 2, "group": 2, "uncancel": 1, "cancel_self": 1, "wait": 2},
    "queue": {"queue": 22, "timeout": 4, "wait_for": 4, "try": 6, "cancel": 4, "spawn": 5, "gather": 2},
    "lock": {"lock": 22, "timeout": 4, "try": 7, "cancel": 5, "spawn": 5, "wait_for": 3, "group": 1},
    "group": {"group": 10, "try": 8, "cancel": 5, "raise": 3, "timeout": 4, "cancel_self": 2, "await": 3,
              "uncancel": 1, "cancelling": 2, "spawn": 2, "shield": 2},
    "future": {"future": 14, "await": 6, "gather": 5, "shield": 4, "wait": 4, "on_done": 5, "call": 4, "try": 6,
               "cancel": 5, "wait_for": 3, "spawn": 5, "state": 4},
    "mixed": {"queue": 5, "lock": 5, "future": 4, "group": 3, "timeout": 4, "reschedule": 1, "cancel": 5, "await": 4,
              "gather": 3, "wait": 3, "wait_for": 3, "shield": 3, "as_completed": 2, "try": 8, "spawn": 5,
              "cancel_self": 1, "uncancel": 1, "cancelling": 1, "on_done": 2, "call": 2, "state": 2},
}
COMMON = {"log": 5, "sleep": 9, "sleep0": 6, "return": 1, "raise": 2, "repeat": 2}
KINDS = ["Cancelled", "Timeout", "Any", "E1", "E2", "Group", "InvalidState", "QueueEmpty", "QueueFull",
         "QueueShutDown", "BrokenBarrier", "RuntimeError", "ValueError", "KeyError"]


# Statements that raise nothing of their own.
SAFE = {"log", "spawn", "cancel", "uncancel", "cancelling", "cancel_self", "state", "try", "repeat", "return", "sleep",
        "call_soon", "call_later", "set", "clear", "qsize", "locked"}


class Broad:
    def __init__(self, rng, theme, name, small=False):
        self.rng = rng
        self.name = name
        self.small = small
        weights = dict(COMMON)
        weights.update(WEIGHTS[theme])
        self.ops = list(weights)
        self.weights = list(weights.values())
        self.n_logs = 0
        self.n_vars = 0
        self.n_starts = 0
        # Tasks by name, with the number of their coroutine.
        self.vars = {}
        # Those that the coroutine at hand started.
        self.mine = set()

    def pick(self, *items):
        return self.rng.choice(items)

    def us(self):
        r = self.rng
        if r.random() < 0.15:
            return r.choice([0, 0, 1, 2, 3])
        return r.randint(1, 30) if r.random() < 0.3 else r.randint(1, 4000)

    def limit(self):
        r = self.rng
        if r.random() < 0.1:
            return None
        return 0 if r.random() < 0.15 else self.us()

    def new_var(self, coro):
        if self.vars and self.rng.random() < 0.06:
            same = [v for v, c in self.vars.items() if c == coro]
            if same:
                return self.rng.choice(same)
        self.n_vars += 1
        var = f"t{self.n_vars}"
        self.vars[var] = coro
        self.mine.add(var)
        return var

    def make_objects(self):
        r = self.rng
        objects = {}
        for i in range(r.randint(1, 2)):
            objects[f"q{i}"] = [r.choice(["Queue", "Queue", "LifoQueue", "PriorityQueue"]), r.choice([0, 1, 1, 2, 3])]
        objects["l0"] = ["Lock"]
        if r.random() < 0.4:
            objects["l1"] = ["Lock"]
        objects["c0"] = ["Condition"] if r.random() < 0.5 else ["Condition", "l0"]
        objects["s0"] = [r.choice(["Semaphore", "BoundedSemaphore"]), r.choice([0, 1, 1, 2, 3])]
        objects["b0"] = ["Barrier", r.choice([1, 2, 2, 3])]
        for i in range(r.randint(1, 2)):
            objects[f"e{i}"] = ["Event"]
        for i in range(r.randint(1, 3)):
            objects[f"f{i}"] = ["Future"]
        return objects

    def named(self, prefix):
        return [n for n in self.objects if n[0] == prefix]

    def obj(self, prefix):
        return self.rng.choice(self.named(prefix))

    def later_vars(self, coro):
        """Tasks that a coroutine may await: they exist, or will once later coroutines have been started."""
        known = [v for v, c in self.vars.items() if c > coro]
        mine = [v for v in known if v in self.mine]
        return mine if mine and self.rng.random() < 0.8 else known

    def wait_target(self, coro):
        names = self.later_vars(coro) + (self.named("f") if self.rng.random() < 0.35 else [])
        if self.rng.random() < 0.02:
            return "nobody"
        return self.rng.choice(names) if names else None

    def item(self, coro):
        r = self.rng
        roll = r.random()
        if roll < 0.4:
            target = self.wait_target(coro)
            if target:
                return target
        if roll < 0.7 and coro + 1 < self.n_coros and self.n_starts < 14:
            self.n_starts += 1
            return ["coro", f"c{r.randrange(coro + 1, self.n_coros)}"]
        if roll < 0.82:
            return ["sleep", self.us()]
        return r.choice([["get", self.obj("q")], ["wait_event", self.obj("e")], ["acquire", self.obj("l")],
                         ["acquire", "s0"]])

    def body(self, coro, depth, size=None):
        n = size or self.rng.randint(1, 4)
        body = []
        for _ in range(n):
            stmt = self.stmt(coro, depth)
            if stmt[0] not in SAFE and self.rng.random() < 0.5:
                # What would end the coroutine early is caught, so that more happens.
                stmt = ["try", [stmt], {self.pick("Any", "Any", "Cancelled"): [self.log()]}]
            body.append(stmt)
            if self.rng.random() < 0.2:
                body.append(self.log())
        return body

    def log(self):
        self.n_logs += 1
        return ["log", f"m{self.n_logs}"]

    def stmt(self, coro, depth):
        for _ in range(20):
            op = self.rng.choices(self.ops, self.weights)[0]
            made = getattr(self, "op_" + op)(coro, depth)
            if made is not None:
                return made
        return self.log()

    def op_log(self, coro, depth):
        return self.log()

    def op_sleep(self, coro, depth):
        return ["sleep", self.us()]

    def op_sleep0(self, coro, depth):
        return ["sleep", 0]

    def op_return(self, coro, depth):
        return ["return", self.pick(1, "v", None, [1, 2])] if self.rng.random() < 0.5 else None

    def op_raise(self, coro, depth):
        return ["raise", self.pick("E1", "E2")] if self.rng.random() < 0.6 else None

    def op_repeat(self, coro, depth):
        if depth >= 2:
            return None
        return ["repeat", self.rng.randint(2, 3), self.body(coro, depth + 1, self.rng.randint(1, 2))]

    def op_spawn(self, coro, depth):
        if coro + 1 >= self.n_coros or self.n_starts >= 14:
            return None
        self.n_starts += 1
        target = self.rng.randrange(coro + 1, self.n_coros)
        return ["spawn", self.new_var(target), f"c{target}"]

    def op_await(self, coro, depth):
        target = self.wait_target(coro)
        return ["await", target] if target else None

    def any_var(self):
        names = list(self.vars) + (self.named("f") if self.rng.random() < 0.3 else [])
        return self.rng.choice(names) if names else None

    def op_cancel(self, coro, depth):
        target = self.any_var()
        if target is None:
            return None
        return ["cancel", target, self.pick("m", "n", "")] if self.rng.random() < 0.3 else ["cancel", target]

    def op_cancel_self(self, coro, depth):
        return ["cancel_self"]

    def op_uncancel(self, coro, depth):
        return ["uncancel"]

    def op_cancelling(self, coro, depth):
        return ["cancelling"]

    def op_state(self, coro, depth):
        target = self.any_var()
        return ["state", target] if target else None

    def handlers(self, coro, depth):
        handlers = {}
        for kind in self.rng.sample(KINDS, self.rng.randint(1, 3)) + (
                ["Cancelled"] if self.rng.random() < 0.55 else []) + (["Any"] if self.rng.random() < 0.4 else []):
            if kind in handlers:
                continue
            body = self.body(coro, depth + 1, self.rng.randint(0, 2) or 1)
            roll = self.rng.random()
            if roll < 0.4:
                body.append(["reraise"])
            elif roll < 0.5:
                body.append(["uncancel"])
            handlers[kind] = body
        return handlers

    def op_try(self, coro, depth):
        if depth >= 3:
            return None
        made = ["try", self.body(coro, depth + 1), self.handlers(coro, depth)]
        if self.rng.random() < 0.4:
            made.append(self.body(coro, depth + 1, self.rng.randint(1, 2)))
        return made

    def op_gather(self, coro, depth):
        items = [self.item(coro) for _ in range(self.rng.randint(0, 4))]
        if items and self.rng.random() < 0.15:
            named = [i for i in items if isinstance(i, str)]
            items += named[:1]
        return ["gather", items, self.rng.random() < 0.5]

    def op_wait(self, coro, depth):
        names = self.later_vars(coro)
        if not names:
            return None
        picked = self.rng.sample(names, self.rng.randint(1, min(3, len(names))))
        if self.rng.random() < 0.1:
            picked.append(picked[0])
        when = self.pick("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION")
        return ["wait", picked, self.limit(), when]

    def op_wait_for(self, coro, depth):
        return ["wait_for", self.item(coro), self.limit()]

    def op_timeout(self, coro, depth):
        if depth >= 3:
            return None
        return ["timeout", self.limit(), self.body(coro, depth + 1)]

    def op_reschedule(self, coro, depth):
        if depth >= 3:
            return None
        return ["reschedule", self.limit(), self.limit(), self.body(coro, depth + 1)]

    def op_shield(self, coro, depth):
        return ["shield", self.item(coro)]

    def op_group(self, coro, depth):
        if depth >= 3 or coro + 1 >= self.n_coros or self.n_starts >= 14:
            return None
        children = []
        for _ in range(self.rng.randint(1, 3)):
            self.n_starts += 1
            target = self.rng.randrange(coro + 1, self.n_coros)
            children.append([self.new_var(target), f"c{target}"])
        return ["group", children, self.body(coro, depth + 1)]

    def op_as_completed(self, coro, depth):
        names = self.later_vars(coro)
        if not names:
            return None
        picked = self.rng.sample(names, self.rng.randint(1, min(3, len(names))))
        return ["as_completed", picked, self.limit()]

    def op_queue(self, coro, depth):
        q = self.obj("q")
        v = self.rng.randint(0, 9)
        return self.rng.choice([["put", q, v], ["put", q, v], ["get", q], ["get", q], ["put_nowait", q, v],
                                ["get_nowait", q], ["task_done", q], ["join", q], ["qsize", q],
                                ["shutdown", q, self.rng.random() < 0.5]])

    def op_lock(self, coro, depth):
        r = self.rng
        x = r.choice(self.named("l") + ["c0", "s0"])
        if r.random() < 0.4 and depth < 3:
            inner = self.body(coro, depth + 1)
            if x == "c0":
                inner.insert(r.randrange(len(inner) + 1),
                             r.choice([["cond_wait", "c0"], ["notify", "c0", r.randint(0, 2)], ["notify_all", "c0"]]))
            return ["with", x, inner]
        e = self.obj("e")
        return r.choice([["acquire", x], ["release", x], ["locked", x], ["set", e], ["clear", e], ["wait_event", e],
                         ["cond_wait", "c0"], ["notify", "c0", r.randint(0, 2)], ["notify_all", "c0"],
                         ["barrier_wait", "b0"], ["barrier_wait", "b0"], ["abort", "b0"], ["reset", "b0"]])

    def op_future(self, coro, depth):
        f = self.obj("f")
        return self.rng.choice([["set_result", f, self.rng.randint(0, 9)], ["set_exception", f, "E1"], ["await", f],
                                ["await", f], ["cancel", f], ["cancel", f, "fm"], ["state", f]])

    def op_on_done(self, coro, depth):
        target = self.any_var()
        self.n_logs += 1
        return ["on_done", target, f"d{self.n_logs}"] if target else None

    def op_call(self, coro, depth):
        self.n_logs += 1
        text = f"k{self.n_logs}"
        return ["call_soon", text] if self.rng.random() < 0.5 else ["call_later", self.us(), text]

    def program(self):
        r = self.rng
        self.n_coros = r.randint(2, 3) if self.small else r.randint(2, 6)
        self.objects = self.make_objects()
        coros = {}
        # main is coroutine -1; the names of later ones are known to earlier ones and to cancels.
        order = [-1] + list(range(self.n_coros))
        bodies = {}
        for coro in order:
            self.mine = set()
            most = 4 if self.small else 8 if coro < 0 else 6
            bodies[coro] = self.body(coro, 0, r.randint(2, most))
        coros["main"] = bodies[-1]
        for coro in range(self.n_coros):
            coros[f"c{coro}"] = bodies[coro]
        if r.random() < 0.6:
            coros["main"] = [["try", [["timeout", r.randint(3000, 20000), coros["main"]]], {"Any": [["log", "late"]]}]]
        objects = self.objects
        if self.small:
            text = json.dumps(coros)
            objects = {name: spec for name, spec in objects.items() if f'"{name}"' in text or name == "l0"}
        return {"name": self.name, "objects": objects, "coros": coros}


class Races:
    """Three to five tasks on one object, time almost only through `sleep 0`, cancels aimed at waiters."""

    def __init__(self, rng, name):
        self.rng = rng
        self.name = name
        self.n_logs = 0

    def log(self):
        self.n_logs += 1
        return ["log", f"m{self.n_logs}"]

    def pauses(self):
        return [["sleep", 0]] * self.rng.choice([0, 0, 1, 1, 2, 3])

    def target(self):
        return f"t{self.rng.randrange(self.n_tasks)}"

    def cancel(self):
        stmt = ["cancel", self.target()]
        if self.rng.random() < 0.3:
            stmt.append(self.rng.choice(["m", "n"]))
        return stmt

    def acts(self):
        """What is done to the object."""
        r = self.rng
        k, v = self.kind, r.randint(0, 9)
        x = self.rng.choice
        if k == "queue":
            return x([["get", "x"], ["get", "x"], ["put", "x", v], ["put", "x", v], ["get_nowait", "x"],
                      ["put_nowait", "x", v], ["task_done", "x"], ["join", "x"], ["shutdown", "x", r.random() < 0.5],
                      ["qsize", "x"]])
        if k == "lock":
            return x([["with", "x", self.pauses() + [self.log()]], ["acquire", "x"], ["release", "x"],
                      ["release", "x"], ["locked", "x"], ["with", "x", [self.act()]]])
        if k == "semaphore":
            return x([["with", "x", self.pauses() + [self.log()]], ["acquire", "x"], ["release", "x"],
                      ["release", "x"], ["locked", "x"]])
        if k == "condition":
            return x([["with", "x", [["cond_wait", "x"], self.log()]], ["with", "x", [["cond_wait", "x"]]],
                      ["with", "x", [["notify", "x", r.randint(1, 2)]]], ["with", "x", [["notify_all", "x"]]],
                      ["with", "x", self.pauses() + [self.log()]], ["locked", "x"], ["acquire", "x"],
                      ["release", "x"]])
        if k == "event":
            return x([["wait_event", "x"], ["wait_event", "x"], ["set", "x"], ["clear", "x"]])
        if k == "barrier":
            return x([["barrier_wait", "x"], ["barrier_wait", "x"], ["barrier_wait", "x"], ["reset", "x"],
                      ["abort", "x"]])
        if k == "future":
            return x([["await", "x"], ["await", "x"], ["set_result", "x", v], ["set_exception", "x", "E1"],
                      ["cancel", "x"], ["cancel", "x", "fm"], ["shield", "x"], ["wait_for", "x", 0],
                      ["gather", ["x", "x"], r.random() < 0.5], ["on_done", "x", "d"]])
        return self.task_act()

    def task_act(self):
        """The object is a task."""
        r = self.rng
        return r.choice([["await", "u"], ["shield", "u"], ["wait", ["u"], r.choice([None, 0]), r.choice(
            ["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"])], ["gather", ["u"], r.random() < 0.5],
            ["gather", ["u", ["coro", "leaf"]], r.random() < 0.5], ["wait_for", "u", r.choice([0, None])],
            ["as_completed", ["u"]], ["cancel", "u"], ["cancel", "u", "um"], ["state", "u"], ["on_done", "u", "d"],
            ["wait_for", ["coro", "leaf"], r.choice([0, None])], ["shield", ["coro", "leaf"]]])

    def act(self):
        r = self.rng
        roll = r.random()
        if roll < 0.5:
            return self.acts()
        if roll < 0.68:
            return self.cancel()
        if roll < 0.78:
            return ["sleep", 0]
        if roll < 0.9:
            return self.log()
        return r.choice([["cancel_self"], ["uncancel"], ["cancelling"], ["raise", "E1"], ["return", r.randint(0, 9)]])

    def wrapped(self):
        r = self.rng
        body = self.pauses() + [self.acts()] + ([self.act()] if r.random() < 0.5 else [])
        roll = r.random()
        if roll < 0.3:
            return body
        if roll < 0.45:
            return [["timeout", r.choice([0, 0, 0, None]), body]]
        if roll < 0.52:
            return [["reschedule", r.choice([0, None]), r.choice([0, None]), body]]
        handlers = {}
        for kind in r.sample(["Cancelled", "Any", "Timeout"], r.randint(1, 3)):
            handlers[kind] = [self.log()] + r.choice([[], [], [["reraise"]], [["uncancel"]], [self.act()], [
                ["sleep", 0]]])
        made = ["try", body, handlers]
        if r.random() < 0.25:
            made.append([self.log()] + self.pauses())
        return [made]

    def program(self):
        r = self.rng
        self.kind = r.choice(["queue", "queue", "lock", "semaphore", "condition", "condition", "event", "barrier",
                              "future", "task", "task"])
        self.n_tasks = r.randint(3, 5)
        spec = {"queue": [r.choice(["Queue", "Queue", "LifoQueue", "PriorityQueue"]), r.choice([0, 1, 1, 2])],
                "lock": ["Lock"], "semaphore": [r.choice(["Semaphore", "BoundedSemaphore"]), r.choice([0, 1, 2])],
                "condition": ["Condition"], "event": ["Event"], "barrier": ["Barrier", r.choice([2, 2, 3])],
                "future": ["Future"], "task": ["Event"]}[self.kind]
        coros = {}
        for i in range(self.n_tasks):
            body = []
            for _ in range(r.randint(1, 3)):
                body += self.wrapped()
            coros[f"c{i}"] = body + [self.log()]
        leaf = self.pauses() + [self.log()] + r.choice([[], [["return", 7]], [["raise", "E2"]]])
        coros["leaf"] = [["try", leaf, {"Cancelled": [self.log()] + r.choice([[], [["reraise"]], [["sleep", 0]]])}]]
        names = [[f"t{i}", f"c{i}"] for i in range(self.n_tasks)]
        start = [["spawn", "u", "leaf"]] if self.kind == "task" else []
        drive = []
        for _ in range(r.randint(2, 6)):
            drive += self.pauses() + [r.choice([self.cancel(), self.acts(), self.log()])]
        if r.random() < 0.3:
            main = start + [["group", names, drive]]
        else:
            main = start + [["spawn", n, c] for n, c in names] + drive
            roll = r.random()
            if roll < 0.4:
                main.append(["gather", [n for n, _ in names], True])
            elif roll < 0.6:
                main.append(["wait", [n for n, _ in names], None, r.choice(["ALL_COMPLETED", "FIRST_COMPLETED"])])
        if r.random() < 0.7:
            main = [["try", [["timeout", r.randint(50, 99), main]], {"Any": [self.log()], "Cancelled": [self.log()]}]]
        coros["main"] = main
        return {"name": self.name, "objects": {"x": spec}, "coros": coros}


def one_program(theme, i, seed, small=False):
    one = THEMES[i % len(THEMES)] if theme == "all" else theme
    rng = random.Random(f"{seed}/{one}/{i}")
    name = f"{one}-{seed}-{i}"
    return Races(rng, name).program() if one == "races" else Broad(rng, one, name, small).program()


def generate(theme, n, seed, start=0):
    return [one_program(theme, i, seed) for i in range(start, n)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("theme", choices=THEMES + ["all"])
    parser.add_argument("--programs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(json.dumps(generate(args.theme, args.programs, args.seed)))


if __name__ == "__main__":
    main()
