#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# The client's side of apps.sh: apps.py WHAT ADDRESS PORT [ARGUMENT...]. Exits with a message unless every byte is
# what it should be.

import asyncio
import hashlib
import http.client
import os
import random
import selectors
import socket
import sys


def http_get(address, port, rounds, *files):
    """The same files again and again over one connection that is kept alive, then each over one of its own."""
    want = {name: hashlib.sha256(open(name, "rb").read()).digest() for name in files}

    def fetch(connection, name):
        connection.request("GET", "/" + os.path.basename(name))
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 200 or hashlib.sha256(body).digest() != want[name]:
            sys.exit(f"{name}: status {reply.status}, {len(body)} bytes that differ")

    kept = http.client.HTTPConnection(address, port, timeout=60)
    for _ in range(int(rounds)):
        for name in files:
            fetch(kept, name)
    for name in files:
        fetch(http.client.HTTPConnection(address, port, timeout=60), name)


def memcached(address, port, keys):
    """Values of many sizes, stored and read back over several connections, which are waited for by epoll."""
    poll = selectors.EpollSelector()
    streams = [socket.create_connection((address, port), 60) for _ in range(4)]
    for s in streams:
        poll.register(s, selectors.EVENT_READ)

    def ask(s, request, end):
        s.sendall(request)
        reply = b""
        while not reply.endswith(end):
            if not any(key.fileobj is s for key, _ in poll.select(60)):
                sys.exit(f"no answer to {request[:20]}")
            part = s.recv(65536)
            if not part:
                sys.exit("the connection ended")
            reply += part
        return reply

    values = {}
    for i in range(int(keys)):
        values[i] = os.urandom(random.randrange(1, 20000)).hex().encode()
        head = b"set key%d 0 0 %d\r\n" % (i, len(values[i]))
        if ask(streams[i % 4], head + values[i] + b"\r\n", b"\r\n") != b"STORED\r\n":
            sys.exit(f"key {i} was not stored")
    for i, value in values.items():
        want = b"VALUE key%d 0 %d\r\n%s\r\nEND\r\n" % (i, len(value), value)
        if ask(streams[(i + 1) % 4], b"get key%d\r\n" % i, b"END\r\n") != want:
            sys.exit(f"key {i} came back other than it was stored")


def echo_server(address, port):
    """asyncio, as in the Python manual"""
    async def serve(reader, writer):
        while data := await reader.read(30000):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def run():
        async with await asyncio.start_server(serve, address, port) as server:
            await server.serve_forever()

    asyncio.run(run())


def echo(address, port, connections, size):
    async def stream(seed):
        data = random.Random(seed).randbytes(int(size))
        reader, writer = await asyncio.open_connection(address, port)

        async def send():
            for at in range(0, len(data), 5000):
                writer.write(data[at : at + 5000])
                await writer.drain()
            writer.write_eof()

        _, got = await asyncio.gather(send(), reader.read())
        writer.close()
        return got == data

    async def run():
        return await asyncio.wait_for(asyncio.gather(*map(stream, range(int(connections)))), 120)

    right = asyncio.run(run())
    if not all(right):
        sys.exit(f"{right.count(False)} of {len(right)} streams came back other than they were sent")


if __name__ == "__main__":
    what, where, at = sys.argv[1:4]
    {"http": http_get, "memcached": memcached, "echo_server": echo_server, "echo": echo}[what](
        where, int(at), *sys.argv[4:]
    )
