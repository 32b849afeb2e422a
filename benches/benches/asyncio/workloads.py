"""The workloads of the asyncio bench in Python: workloads.py asyncio|uvloop NAME OPERATIONS.

Each coroutine performs so many operations and gives a number that shows that it has. Printed are the seconds that
passed and the seconds that the process computed. The Rust forms are in `workloads.rs`.
"""

import asyncio
import sys
import time

BATCH = 10_000


async def number(n):
    return n


def batches(n):
    while n > 0:
        yield min(n, BATCH)
        n -= BATCH


def triangles(n):
    return sum(size * (size - 1) // 2 for size in batches(n))


async def create_task(n):
    total = 0
    for size in batches(n):
        tasks = [asyncio.create_task(number(i)) for i in range(size)]
        for task in tasks:
            total += await task
    return total


async def gather(n):
    total = 0
    for size in batches(n):
        total += sum(await asyncio.gather(*(number(i) for i in range(size))))
    return total


async def sleep_zero(n):
    for _ in range(n):
        await asyncio.sleep(0)
    return n


async def lock(n):
    lock = asyncio.Lock()
    taken = 0
    for _ in range(n):
        async with lock:
            taken += 1
    return taken


async def ping_pong(n):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def echo():
        for _ in range(n):
            await back.put(await there.get())

    task = asyncio.create_task(echo())
    total = 0
    for _ in range(n):
        await there.put(1)
        total += await back.get()
    await task
    return total


async def pipe(n):
    queue = asyncio.Queue(128)

    async def produce():
        for _ in range(n):
            await queue.put(1)

    task = asyncio.create_task(produce())
    total = 0
    for _ in range(n):
        total += await queue.get()
    await task
    return total


async def timeout(n):
    done = 0
    for _ in range(n):
        async with asyncio.timeout(30):
            await asyncio.sleep(0)
            done += 1
    return done


async def to_thread(n):
    total = 0
    for _ in range(n):
        total += await asyncio.to_thread(int, 1)
    return total


def main():
    kind, name, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "uvloop":
        import uvloop as library
    else:
        library = asyncio

    async def timed():
        begun, cpu = time.perf_counter(), time.process_time()
        result = await asyncio.create_task(globals()[name](n))
        return result, time.perf_counter() - begun, time.process_time() - cpu

    with asyncio.Runner(loop_factory=library.new_event_loop) as runner:
        result, elapsed, cpu = runner.run(timed())
    expected = triangles(n) if name in ("create_task", "gather") else n
    assert result == expected, f"got {result}, expected {expected}"
    print(elapsed, cpu)


main()
