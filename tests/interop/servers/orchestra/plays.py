"""What the orchestra plays with the official Python SDK: what `score.js` has, for both eras."""

import asyncio
import warnings
from collections import defaultdict
from contextvars import ContextVar

import mcp_types as types
from mcp import MCPDeprecationWarning, MCPError, UrlElicitationRequiredError
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.subscriptions import ResourceUpdated, ToolsListChanged

warnings.simplefilter("ignore", MCPDeprecationWarning)

MODERN = "2026-07-28"
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
CONSENT = {"mode": "url", "message": "First agree", "url": "https://example.com/first", "elicitationId": "first"}
WHERE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
PICTURE = {"uri": "picture://dot", "mimeType": "image/gif", "blob": "R0lGODlhAQABAAAAACw="}
NAMES = ["Ada", "Alan", "Grace"]


def ask(modern):
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message="Where to?", requested_schema=WHERE))


def visit(modern):
    own = {} if modern else {"elicitation_id": "consent"}
    return types.ElicitRequest(
        params=types.ElicitRequestURLParams(message="Please agree", url="https://example.com/consent?x=1", **own)
    )


def sample(modern):
    said = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="say it"))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[said], max_tokens=10))


def roots(modern):
    return types.ListRootsRequest()


ASKS = {
    "ask": (ask, types.ElicitResult, lambda it: " ".join([it.action, *(it.content or {}).values()])),
    "visit": (visit, types.ElicitResult, lambda it: it.action),
    "sample": (sample, types.CreateMessageResult, lambda it: it.content.text),
    "roots": (roots, types.ListRootsResult, lambda it: ",".join(f"{one.uri} {one.name}" for one in it.roots)),
}
TEXTS = {
    "echo": ["text"],
    "count": ["to", "name"],
    **{name: ["name"] for name in ("enough", "wait", "begun", "aborted", "consent", "grow")},
    **{name: ["via"] for name in (*ASKS, "log")},
    "rounds": [],
    "touch": ["uri"],
}

reached = defaultdict(asyncio.Event)  # points, each by its name
sessions = defaultdict(lambda: {"level": "debug", "subscribed": set(), "grown": set(), "agreed": set()})
grown = set()  # for modern clients, which have no session
asking = ContextVar("asking", default=None)
over_http = True


class Bus(InMemorySubscriptionBus):
    def subscribe(self, listener):
        reached[f"{asking.get()} listens"].set()
        return super().subscribe(listener)


bus = Bus()
listen_handler = ListenHandler(bus)


def modern(ctx):
    return ctx.protocol_version == MODERN


def client(ctx):
    return ctx.session.client_params.client_info.name


def session(ctx):
    return sessions[client(ctx)]


def words(text):
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


async def listening(ctx):
    if over_http:  # else there is one stream, and it was there first
        await reached[f"{client(ctx)} listens"].wait()


async def requested(ctx, name, via="call"):
    make, result, tell = ASKS[name]
    related = ctx.request_id if via == "call" else None
    if via == "session":
        await listening(ctx)
    return tell(await ctx.session.send_request(make(False), result, metadata=ServerMessageMetadata(related_request_id=related)))


# --- Tools ---------------------------------------------------------------------------------------


async def asks(ctx, params, name, via):
    if not modern(ctx):
        return words(await requested(ctx, name, via))
    make, _, tell = ASKS[name]
    if params.input_responses is None:
        return types.InputRequiredResult(input_requests={"it": make(True)}, request_state=f"state of {name}")
    return words(tell(params.input_responses["it"]))


async def rounds(ctx, params):
    if not modern(ctx):
        place = await requested(ctx, "ask")
        return words("; ".join([place, *await asyncio.gather(requested(ctx, "sample"), requested(ctx, "roots"))]))
    first = 'round 1 "ünchanged"'
    if params.request_state is None:
        return types.InputRequiredResult(input_requests={"place": ask(True)}, request_state=first)
    if params.request_state == first:
        state = "round 2: " + ASKS["ask"][2](params.input_responses["place"])
        wanted = {"words": sample(True), "roots": roots(True)}
        return types.InputRequiredResult(input_requests=wanted, request_state=state)
    said = [ASKS["sample"][2](params.input_responses["words"]), ASKS["roots"][2](params.input_responses["roots"])]
    return words("; ".join([params.request_state.removeprefix("round 2: "), *said]))


async def log(ctx, via):
    if via == "session":
        await listening(ctx)
    related = ctx.request_id if via == "call" else None
    for level in ("debug", "error"):
        if modern(ctx) or LEVELS.index(level) >= LEVELS.index(session(ctx)["level"]):
            await ctx.session.send_log_message(level, f"{level} by {via}", "orchestra", related_request_id=related)
    return words("logged")


async def grow(ctx, name):
    await listening(ctx)
    if modern(ctx):
        grown.add(name)
        await bus.publish(ToolsListChanged())
    else:
        session(ctx)["grown"].add(name)
        await ctx.session.send_tool_list_changed()
    return words("one more")


async def touch(ctx, uri):
    await listening(ctx)
    if modern(ctx):
        await bus.publish(ResourceUpdated(uri=uri))
    elif uri in session(ctx)["subscribed"]:
        await ctx.session.send_resource_updated(uri)
    return words("touched")


async def wait(name):
    reached[f"{name} waits"].set()
    try:
        await asyncio.Event().wait()
    finally:
        reached[f"{name} was aborted"].set()


def consent(ctx, name):
    if modern(ctx):
        return words("that is of 2025-11-25")
    if name not in session(ctx)["agreed"]:
        session(ctx)["agreed"].add(name)
        raise UrlElicitationRequiredError([types.ElicitRequestURLParams.model_validate(CONSENT)], "first agree")
    return words(f"agreed: {name}")


async def count(ctx, to, name):
    for step in range(1, to + 1):
        await ctx.session.report_progress(step, to)
    await reached[f"{name} has enough"].wait()
    return words(f"counted to {to}")


async def call_tool(ctx, params):
    name, args = params.name, params.arguments or {}
    if name in (grown if modern(ctx) else session(ctx)["grown"]):
        return words("new here")
    if name not in TEXTS:
        raise MCPError(types.INVALID_PARAMS, f"no tool {name}")
    if set(args) != set(TEXTS[name]):
        return types.CallToolResult(content=[types.TextContent(type="text", text="wrong input")], is_error=True)
    match name:
        case "echo":
            return words(args["text"])
        case "count":
            return await count(ctx, **args)
        case "enough":
            reached[f"{args['name']} has enough"].set()
            return words("so be it")
        case "wait":
            return await wait(**args)
        case "begun":
            await reached[f"{args['name']} waits"].wait()
            return words("the call waits")
        case "aborted":
            await reached[f"{args['name']} was aborted"].wait()
            return words("the call was aborted")
        case "rounds":
            return await rounds(ctx, params)
        case "consent":
            return consent(ctx, **args)
        case "log":
            return await log(ctx, **args)
        case "grow":
            return await grow(ctx, **args)
        case "touch":
            return await touch(ctx, **args)
    return await asks(ctx, params, name, args["via"])


async def list_tools(ctx, params):
    def tool(name, inputs):
        properties = {key: {"type": "number" if key == "to" else "string"} for key in inputs}
        return types.Tool(name=name, input_schema={"type": "object", "properties": properties, "required": inputs})

    more = grown if modern(ctx) else session(ctx)["grown"]
    return types.ListToolsResult(tools=[tool(*one) for one in TEXTS.items()] + [tool(name, []) for name in sorted(more)])


# --- Everything else -----------------------------------------------------------------------------


async def list_resources(ctx, params):
    return types.ListResourcesResult(
        resources=[types.Resource(uri=PICTURE["uri"], name="picture", mime_type=PICTURE["mimeType"])]
    )


async def list_resource_templates(ctx, params):
    return types.ListResourceTemplatesResult(
        resource_templates=[
            types.ResourceTemplate(uri_template=f"{scheme}://{{name}}", name=scheme) for scheme in ("note", "lost")
        ]
    )


async def read_resource(ctx, params):
    uri = str(params.uri)
    if uri == PICTURE["uri"]:
        return types.ReadResourceResult(contents=[types.BlobResourceContents.model_validate(PICTURE)])
    if uri.startswith("note://"):
        text = types.TextResourceContents(uri=uri, mime_type="text/plain", text=f"note: {uri}")
        return types.ReadResourceResult(contents=[text])
    raise MCPError(-32602 if modern(ctx) else -32002, "Resource not found", {"uri": uri})


async def subscribe(ctx, params):
    session(ctx)["subscribed"].add(str(params.uri))
    return types.EmptyResult()


async def unsubscribe(ctx, params):
    session(ctx)["subscribed"].discard(str(params.uri))
    return types.EmptyResult()


async def listen(ctx, params):
    asking.set(client(ctx))
    return await listen_handler(ctx, params)


async def set_level(ctx, params):
    session(ctx)["level"] = params.level
    return types.EmptyResult()


async def list_prompts(ctx, params):
    arguments = [types.PromptArgument(name="name", required=True)]
    return types.ListPromptsResult(prompts=[types.Prompt(name="greet", arguments=arguments)])


async def get_prompt(ctx, params):
    text = types.TextContent(type="text", text=f"Hello, {params.arguments['name']}!")
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=text)])


async def complete(ctx, params):
    values = [name for name in NAMES if name.startswith(params.argument.value)]
    return types.CompleteResult(completion=types.Completion(values=values))


server = Server(
    "orchestra",
    version="3.0.0",
    instructions="Played by Python.",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_resources=list_resources,
    on_list_resource_templates=list_resource_templates,
    on_read_resource=read_resource,
    on_subscribe_resource=subscribe,
    on_unsubscribe_resource=unsubscribe,
    on_subscriptions_listen=listen,
    on_list_prompts=list_prompts,
    on_get_prompt=get_prompt,
    on_completion=complete,
    on_set_logging_level=set_level,
)
options = server.create_initialization_options
server.create_initialization_options = lambda *args, **more: options(
    NotificationOptions(tools_changed=True, resources_changed=True)
)
