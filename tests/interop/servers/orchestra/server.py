"""The orchestra with the official Python SDK (`plays.py`), over Streamable HTTP or HTTP+SSE.

usage: server.py http|sse      says on stdout where it listens, and ends with its stdin
"""

import json
import sys
import threading

import plays
import uvicorn
from mcp.server.sse import SseServerTransport
from plays import reached, server


def over_http():
    app = server.streamable_http_app()
    names = {}  # of clients, by session

    async def watched(scope, receive, send):
        """Knows when a client's stream for what comes unasked is there."""
        if scope["type"] != "http":
            return await app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        opened = ""

        async def received():
            nonlocal opened
            message = await receive()
            if message["type"] == "http.request" and b'"initialize"' in message.get("body", b""):
                opened = json.loads(message["body"])["params"]["clientInfo"]["name"]
            return message

        async def sent(message):
            await send(message)
            if message["type"] != "http.response.start" or message["status"] != 200:
                return
            id = {name.decode().lower(): value.decode() for name, value in message["headers"]}.get("mcp-session-id")
            if opened:
                names[id] = opened
            elif scope["method"] == "GET":
                reached[f"{names[headers['mcp-session-id']]} listens"].set()

        await app(scope, received, sent)

    return watched


def over_sse():
    sse = SseServerTransport("/messages")

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["method"] == "GET" and scope["path"] == "/mcp":
            async with sse.connect_sse(scope, receive, send) as streams:
                await server.run(*streams, server.create_initialization_options())
        elif scope["method"] == "POST" and scope["path"] == "/messages":
            await sse.handle_post_message(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 405, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    return app


class Uvicorn(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(f"listening on 127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)


if __name__ == "__main__":
    plays.over_http = sys.argv[1] == "http"
    app = over_http() if plays.over_http else over_sse()
    serving = Uvicorn(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    threading.Thread(target=lambda: (sys.stdin.read(), setattr(serving, "should_exit", True)), daemon=True).start()
    serving.run()
