// MCP servers for people who are signed in, written with the official SDKs: revision 2025-11-25 with
// sessions (v1) or 2026-07-28 (v2). Who is calling is for the authorization in front of them to say:
// `handle(request, { token, clientId, scopes, identity })`.
import { randomUUID } from 'node:crypto';
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import { createMcpHandler, McpServer as McpServerV2 } from '@modelcontextprotocol/server';

const words = (text) => ({ content: [{ type: 'text', text }] });
const authInfo = ({ token, clientId, scopes, identity }) => ({ token, clientId, scopes, extra: { identity } });

function tools(server, who) {
  server.registerTool('whoami', { description: 'Who is calling' }, (ctx) => words(who(ctx).extra.identity));
  server.registerTool('scopes', { description: 'What the caller may do' }, (ctx) => words([...who(ctx).scopes].sort().join(' ')));
  server.registerTool('write', { description: 'Needs the scope mcp:write' }, (ctx) => words(`written by ${who(ctx).extra.identity}`));
  return server;
}

/** SDK v1, with sessions. */
export function membersV1() {
  const sessions = new Map();
  return async function handle(request, caller) {
    const id = request.headers.get('mcp-session-id');
    let transport = sessions.get(id);
    if (!transport) {
      if (id) return Response.json({ jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null }, { status: 404 });
      transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => void sessions.set(id, transport),
      });
      transport.onclose = () => sessions.delete(transport.sessionId);
      await tools(new McpServerV1({ name: 'members', version: '1.0.0' }), ({ authInfo }) => authInfo).connect(transport);
    }
    return transport.handleRequest(request, { authInfo: authInfo(caller) });
  };
}

/** SDK v2, revision 2026-07-28 and nothing else. */
export function membersV2() {
  const handler = createMcpHandler(
    () => tools(new McpServerV2({ name: 'members', version: '2.0.0' }), ({ http }) => http.authInfo),
    { legacy: 'reject' },
  );
  return (request, caller) => handler.fetch(request, { authInfo: authInfo(caller) });
}
