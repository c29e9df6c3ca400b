// The MCP server inside the workers, for clients of either era, without sessions.
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';

const words = (text) => ({ content: [{ type: 'text', text }] });

const handler = createMcpHandler(
  () => {
    const server = new McpServer({ name: 'worker', version: '1.0.0' });
    server.registerTool('whoami', { description: 'Who is calling' }, ({ http }) => words(http.authInfo.clientId));
    server.registerTool('runtime', { description: 'What this runs in' }, () => words(navigator.userAgent));
    return server;
  },
  { legacy: 'stateless' },
);

/** Answers `identity`, who showed `token`. */
export const serve = (request, token, identity) => handler.fetch(request, { authInfo: { token, clientId: identity, scopes: [] } });
