"""The Python client of the matrix: plays the features of `features.js`, and says of each what it saw.

usage: client.py '{"mode", "server": {"url", "sse"} or {"command", "args"}, "name", "features"}'
"""

import asyncio
import json
import os
import sys
import traceback
import warnings

import mcp_types as types
from mcp import Client, MCPDeprecationWarning, MCPError
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

warnings.simplefilter("ignore", MCPDeprecationWarning)

DEADLINE = 12
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
TEXT = 'Grüße, 世界 👋 \u2028 "quoted" \\ /\n\ttabbed'


class Seen(list):
    """What was seen so far, and a way to wait for more."""

    def __init__(self):
        super().__init__()
        self.more = asyncio.Event()

    def see(self, item):
        self.append(item)
        self.more.set()

    async def until(self, ready):
        while not ready():
            self.more.clear()
            await self.more.wait()


class Player:
    def __init__(self, name):
        self.name = name
        self.asked = []
        self.heard = Seen()
        self.meta = None

    # --- What the person, the model and the machine at the client say ---------------------------

    async def elicited(self, context, params):
        self.asked.append(("elicitation/create", params))
        url = isinstance(params, types.ElicitRequestURLParams)
        return types.ElicitResult(action="accept", content=None if url else {"place": "Zürich"})

    async def sampled(self, context, params):
        self.asked.append(("sampling/createMessage", params))
        text = types.TextContent(type="text", text="sampled: schön")
        return types.CreateMessageResult(role="assistant", model="a model", content=text)

    async def roots(self, context):
        self.asked.append(("roots/list", None))
        return types.ListRootsResult(roots=[types.Root(uri="file:///first", name="first")])

    async def message(self, message):
        if isinstance(message, Exception):
            raise message
        self.heard.see(message)

    # --- The features ---------------------------------------------------------------------------

    @property
    def modern(self):
        return self.client.protocol_version == "2026-07-28"

    async def call(self, tool, args=None, **options):
        return await self.client.call_tool(tool, args or {}, meta=self.meta, **options)

    async def say(self, tool, args=None, **options):
        return (await self.call(tool, args, **options)).content[0].text

    async def tool_names(self):
        return [tool.name for tool in (await self.client.list_tools(cache_mode="refresh")).tools]

    def of(self, kind):
        return [one.params for one in self.heard if isinstance(one, kind)]

    def note(self, name):
        return f"note://{name}-of-{self.name}"

    async def tools(self):
        listed = sorted(name for name in await self.tool_names() if not name.startswith("grown-"))
        wrong = (await self.call("echo", {})).is_error
        return {"listed": listed, "echo": await self.say("echo", {"text": TEXT}), "wrong": wrong}

    async def resources(self):
        async def read(uri):
            return (await self.client.read_resource(uri)).contents[0]

        try:
            await read("lost://property")
            lost = "found"
        except MCPError as error:
            lost = error.code
        return {
            "listed": [str(one.uri) for one in (await self.client.list_resources()).resources],
            "templates": sorted(
                one.uri_template for one in (await self.client.list_resource_templates()).resource_templates
            ),
            "text": (await read(self.note("a"))).text,
            "blob": (await read("picture://dot")).blob,
            "lost": lost,
        }

    async def prompts(self):
        listed = [prompt.name for prompt in (await self.client.list_prompts()).prompts]
        return {"listed": listed, "text": (await self.client.get_prompt("greet", {"name": "Zoë"})).messages[0].content.text}

    async def completion(self):
        ref = types.PromptReference(type="ref/prompt", name="greet")
        return (await self.client.complete(ref, {"name": "name", "value": "A"})).completion.values

    async def progress(self):
        steps = Seen()

        async def step(progress, total, message):
            steps.see(f"{progress:g}/{total:g}")

        call = asyncio.create_task(self.say("count", {"to": 3, "name": self.name}, progress_callback=step))
        await steps.until(lambda: len(steps) >= 3)
        await self.say("enough", {"name": self.name})
        return {"result": await call, "steps": list(steps)}

    async def cancellation(self):
        call = asyncio.create_task(self.say("wait", {"name": self.name}))
        await self.say("begun", {"name": self.name})
        call.cancel()
        server = await self.say("aborted", {"name": self.name})
        try:
            await call
            ended = "answered"
        except asyncio.CancelledError:
            ended = "gone"
        return {"server": server, "client": ended}

    async def resource_updates(self):
        a, b, other = map(self.note, ("a", "b", "other"))
        seen = Seen()

        async def follow(uris):
            opened = asyncio.Event()

            async def listen():
                async with self.client.listen(resource_subscriptions=uris) as events:
                    opened.set()
                    async for event in events:
                        seen.see(event.uri)

            task = asyncio.create_task(listen())
            await asyncio.wait_for(opened.wait(), DEADLINE)
            return task

        async def leave(task):
            task.cancel()
            await asyncio.wait([task])

        if self.modern:
            listening = await follow([a, b])
        else:
            for uri in (a, b):
                await self.client.subscribe_resource(uri)
        for uri in (other, a):
            await self.say("touch", {"uri": uri})

        def updated():
            return list(seen) if self.modern else [str(one.uri) for one in self.of(types.ResourceUpdatedNotification)]

        await (seen if self.modern else self.heard).until(lambda: len(updated()) >= 1)
        if self.modern:
            await leave(listening)
            listening = await follow([b])
        else:
            await self.client.unsubscribe_resource(a)
        for uri in (a, b):
            await self.say("touch", {"uri": uri})
        await (seen if self.modern else self.heard).until(lambda: len(updated()) >= 2)
        if self.modern:
            await leave(listening)
        else:
            await self.client.unsubscribe_resource(b)
        return updated()

    async def list_changes(self):
        grown = f"grown-for-{self.name}"
        before = grown in await self.tool_names()
        if self.modern:
            async with self.client.listen(tools_list_changed=True) as events:
                await self.say("grow", {"name": grown})
                await anext(events)
        else:
            await self.say("grow", {"name": grown})
            await self.heard.until(lambda: self.of(types.ToolListChangedNotification))
        after = grown in await self.tool_names()
        return {"before": before, "after": after, "works": await self.say(grown)}

    async def asking(self, tool, via):
        self.asked.clear()
        told = await self.say(tool, {"via": via})
        (method, params), *more = self.asked
        asked = [method]
        if method == "sampling/createMessage":
            asked.append(params.messages[0].content.text)
        elif isinstance(params, types.ElicitRequestURLParams):
            asked += [params.message, str(params.url)]
        elif method == "elicitation/create":
            asked += [params.message, params.requested_schema["properties"]["place"]]
        return {"told": told, "asked": asked, "more": len(more)}

    async def url_by_an_error(self):
        self.asked.clear()
        try:
            first = await self.say("consent", {"name": self.name})
        except MCPError as error:
            first = [error.code, error.error.data["elicitations"][0]["url"]]
        links = [str(params.url) for _, params in self.asked]
        return {"first": first, "links": links, "then": await self.say("consent", {"name": self.name})}

    async def rounds(self):
        return await self.say("rounds")

    async def logging(self, via):
        self.heard.clear()

        async def level(wanted):
            if self.modern:
                self.meta = {LOG_LEVEL: wanted}
            else:
                await self.client.set_logging_level(wanted)

        def logged():
            return [f"{one.level} {one.logger} {one.data}" for one in self.of(types.LoggingMessageNotification)]

        if self.modern:
            await self.say("log", {"via": via})  # nobody asked for a log
        await level("error")
        await self.say("log", {"via": via})
        await self.heard.until(lambda: len(logged()) >= 1)
        await level("debug")
        await self.say("log", {"via": via})
        await self.heard.until(lambda: len(logged()) >= 3)
        self.meta = None
        return logged()

    def feature(self, name):
        plain = {
            "tools": self.tools,
            "resources": self.resources,
            "prompts": self.prompts,
            "completion": self.completion,
            "progress": self.progress,
            "cancellation": self.cancellation,
            "resource updates": self.resource_updates,
            "list changes": self.list_changes,
            "elicitation: URL, by an error": self.url_by_an_error,
            "all of these in one call": self.rounds,
        }
        if name in plain:
            return plain[name]()
        what, _, _ = name.partition(", by the session")
        via = "session" if name.endswith(", by the session") else "call"
        if what == "logging":
            return self.logging(via)
        tool = {"elicitation: form": "ask", "elicitation: URL": "visit", "sampling": "sample", "roots": "roots"}[what]
        return self.asking(tool, via)


def peer(server):
    if "command" in server:
        return StdioServerParameters(command=server["command"], args=server["args"], env=dict(os.environ))
    return sse_client(server["url"]) if server["sse"] else streamable_http_client(server["url"])


def tell(**what):
    print(json.dumps(what), flush=True)


async def main(mode, server, name, features):
    player = Player(name)
    async with Client(
        peer(server),
        mode=mode,
        client_info=types.Implementation(name=name, version="1.0.0"),
        elicitation_callback=player.elicited,
        sampling_callback=player.sampled,
        list_roots_callback=player.roots,
        message_handler=player.message,
    ) as client:
        player.client = client
        tell(version=client.protocol_version)
        for feature in features:
            try:
                tell(feature=feature, seen=await asyncio.wait_for(player.feature(feature), DEADLINE))
            except Exception:
                tell(feature=feature, error=traceback.format_exc())


asyncio.run(main(**json.loads(sys.argv[1])))
