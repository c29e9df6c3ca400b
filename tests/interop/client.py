"""The official Python SDK client: connects, looks around, calls tools, says on stdout what it saw.

usage: client.py MODE URL                 without a bridge
       client.py MODE COMMAND ARGUMENT..  launching it (environment: what the caller gave)
"""

import asyncio
import json
import os
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters


async def main(mode: str, command: str, *arguments: str) -> None:
    bridge = StdioServerParameters(command=command, args=list(arguments), env=dict(os.environ))
    seen = {}
    async with Client(bridge if arguments else command, mode=mode, read_timeout_seconds=20) as client:
        seen["version"] = client.protocol_version
        seen["server"] = client.server_info.name
        seen["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        seen["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
        text = {"message": "Grüße 👋", "text": "Grüße 👋"}
        answers = await asyncio.gather(*[client.call_tool("echo", text) for _ in range(8)])
        seen["echoes"] = sorted({answer.content[0].text for answer in answers})
    print(json.dumps(seen))


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 40))
