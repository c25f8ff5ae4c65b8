#!/usr/bin/env python3
"""Links between nodes: one listener for each directed pair and port, in a process of its own.

Reads lines of JSON: first {"links": [[from, to, port], …]}, which is answered with the listeners'
ports in that order; then {"block": [[from, to], …], "delay": [[from, to, ms], …], "drop": bool}
sets what holds from now on, and is answered with {}. Bytes from a node to another one stop while
that direction is blocked, whoever connected; nothing is refused, as when packets vanish. With
"drop", connections that were held up are closed instead of going on.
"""

import asyncio
import json
import sys

CHUNK = 65536


class Links:
    def __init__(self):
        self.blocked = set()
        self.delays = {}
        self.changed = asyncio.Condition()
        self.held = set()  # Writers of connections that something was held up on.

    async def change(self, wanted):
        async with self.changed:
            self.blocked = {tuple(pair) for pair in wanted.get("block", [])}
            self.delays = {(a, b): ms / 1000 for a, b, ms in wanted.get("delay", [])}
            if wanted.get("drop"):
                for writer in self.held:
                    writer.transport.abort()
                self.held.clear()
            self.changed.notify_all()

    async def gate(self, pair, writers):
        if pair in self.delays:
            await asyncio.sleep(self.delays[pair])
        while pair in self.blocked:
            self.held.update(writers)
            async with self.changed:
                if pair in self.blocked:
                    await self.changed.wait()

    async def pump(self, reader, writers, pair):
        """Carry bytes to the first writer until either end closes."""
        try:
            while True:
                data = await reader.read(CHUNK)
                await self.gate(pair, writers)
                if not data:
                    break
                writers[0].write(data)
                await writers[0].drain()
        except (OSError, asyncio.CancelledError):
            pass
        for writer in writers:
            writer.transport.abort()
        self.held.difference_update(writers)

    async def serve(self, link, reader, writer):
        source, target, port = link
        await self.gate((source, target), [writer])
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self.pump(reader, [back, writer], (source, target)),
                             self.pump(there, [writer, back], (target, source)))


async def lines():
    """Lines of standard input, until it closes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def main():
    links = Links()
    servers = []

    def accept(link):
        return lambda reader, writer: links.serve(link, reader, writer)

    async for wanted in lines():
        if "links" in wanted:
            fresh = [await asyncio.start_server(accept(link), "127.0.0.1", 0)
                     for link in wanted["links"]]
            servers += fresh
            answer = [server.sockets[0].getsockname()[1] for server in fresh]
        else:
            await links.change(wanted)
            answer = {}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
