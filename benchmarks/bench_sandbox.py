"""How many PaymentIntents a second the sandbox creates, on one core: `make bench-sandbox`.

The sandbox runs as a process of its own, held to one core where the system allows it; 32
connections send a bounded number of creations, each with its own idempotency key. The best round
is the figure: whatever else the machine does only ever slows a round down.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 32
BODY = (
    b"amount=5000&currency=usd&automatic_payment_methods[enabled]=true"
    b"&automatic_payment_methods[allow_redirects]=never&metadata[paymentId]=p-1&transfer_group=g"
)


def head(number: int) -> bytes:
    return (
        "POST /v1/payment_intents HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Authorization: Bearer sk_test_bench\r\nStripe-Version: 2026-10-28.endive\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Idempotency-Key: bench_{number}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    ).encode()


async def one_connection(host: str, port: int, numbers: range, latencies_ms: list[float]) -> None:
    """Raises RuntimeError for any answer but a 200."""
    reader, writer = await asyncio.open_connection(host, port)
    for number in numbers:
        started = time.perf_counter()
        writer.write(head(number) + BODY)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode())
        length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
        if length is None:
            raise RuntimeError("an answer without a length")
        await reader.readexactly(int(length[1]))
        latencies_ms.append((time.perf_counter() - started) * 1000)
    writer.close()


async def load(url: str, first: int, count: int) -> tuple[float, list[float]]:
    """Seconds taken, and each request's milliseconds."""
    address = urlsplit(url)
    latencies_ms: list[float] = []
    share = count // CONNECTIONS
    started = time.perf_counter()
    await asyncio.gather(
        *(
            one_connection(
                address.hostname or "",
                address.port or 0,
                range(first + lane * share, first + (lane + 1) * share),
                latencies_ms,
            )
            for lane in range(CONNECTIONS)
        )
    )
    return time.perf_counter() - started, latencies_ms


def hold_to_core(process_id: int, core: int) -> None:
    if hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(process_id, {core})


def measure(label: str, options: list[str], count: int, rounds: int) -> float:
    command = [sys.executable, "-m", "stripe_sandbox", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://\S+", line)
        if found is None:
            raise RuntimeError(f"the sandbox did not start: {line!r}")
        hold_to_core(process.pid, 0)
        asyncio.run(load(found[0], 0, CONNECTIONS * 10))
        rates, latencies_ms = [], []
        for number in range(rounds):
            first = 1_000_000 * (number + 1)
            seconds, each_ms = asyncio.run(load(found[0], first, count))
            rates.append(len(each_ms) / seconds)
            latencies_ms += each_ms
    finally:
        process.terminate()
        _, _, used = os.wait4(process.pid, 0)
        process.wait()
    cpu_us = (used.ru_utime + used.ru_stime) * 1_000_000 / (rounds * count + CONNECTIONS * 10)
    latencies_ms.sort()
    rate = max(rates)
    print(
        f"{label:<8} {rate:7.0f} PaymentIntents/s (median {statistics.median(rates):.0f}), "
        f"p50 {latencies_ms[len(latencies_ms) // 2]:.1f} ms, "
        f"p99 {latencies_ms[len(latencies_ms) * 99 // 100]:.1f} ms, "
        f"{cpu_us:.0f} us of CPU each: {1_000_000 / cpu_us:.0f} fill a core"
    )
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=8_000, help="creations a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-least", type=float, default=1_500, help="fail below this rate")
    options = parser.parse_args()
    hold_to_core(0, 1)
    print(f"{CONNECTIONS} connections, {options.count} creations, {options.rounds} rounds, 1 core")
    with tempfile.TemporaryDirectory() as folder:
        rates = [
            measure("memory", [], options.count, options.rounds),
            measure(
                "SQLite", ["--state", str(Path(folder) / "s.db")], options.count, options.rounds
            ),
        ]
    if min(rates) < options.at_least:
        sys.exit(f"below {options.at_least:.0f} a second")


if __name__ == "__main__":
    main()
