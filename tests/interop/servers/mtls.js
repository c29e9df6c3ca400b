// MCP servers that know their callers by certificate: one written with Node's own TLS, and one behind
// nginx, which passes the subject on. Both trust one private authority and nothing else.
import { readFileSync } from 'node:fs';
import { Seen } from '../support/waiting.js';
import { json, listenFetch } from './http.js';
import { membersV1 } from './members.js';

/** Certificate and key of a server that wants `authority`'s certificates. */
export const serverFiles = (authority) => authority.issue('127.0.0.1', { as: 'server' });

/**
 * Who shows no certificate, or not one of `authority`'s, is refused in the handshake. `key`: a bearer
 * key is wanted as well. `tls`: further options of node:tls.
 */
export async function startNodeTls(authority, { key, tls } = {}) {
  const files = serverFiles(authority);
  const members = membersV1();
  const calls = new Seen(); // { subject, status }
  const server = await listenFetch(
    async (request, socket) => {
      const { CN: identity, O: organization } = socket.getPeerCertificate().subject;
      const answer = (status, body) => {
        calls.push({ subject: identity, status });
        return body ?? json({ error: status === 401 ? 'no key' : 'unknown key' }, status);
      };
      if (key) {
        const shown = request.headers.get('authorization');
        if (!shown) return answer(401);
        if (shown !== `Bearer ${key}`) return answer(403);
      }
      return answer(200, await members(request, { token: '', clientId: identity, scopes: [organization ?? 'none'], identity }));
    },
    {
      cert: readFileSync(files.cert),
      key: readFileSync(files.key),
      ca: readFileSync(authority.ca),
      requestCert: true,
      rejectUnauthorized: true,
      ...tls,
    },
  );
  return { ...server, calls };
}

/** Behind a proxy that has verified the caller and names the certificate's subject (RFC 4514) in a header. */
export async function startBehindProxy(header) {
  const members = membersV1();
  return listenFetch(async (request) => {
    const subject = request.headers.get(header);
    if (!subject) return json({ error: 'not by way of the proxy' }, 500);
    return members(request, { token: '', clientId: subject, scopes: [], identity: subject });
  });
}
