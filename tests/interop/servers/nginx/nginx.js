// nginx with `ssl_verify_client on` in front of an MCP server that is told the certificate's subject.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { DEADLINE_MS, within } from '../../support/waiting.js';
import { serverFiles, startBehindProxy } from '../mtls.js';

const program = process.env.INTEROP_NGINX || '/usr/sbin/nginx';
const template = readFileSync(new URL('nginx.conf', import.meta.url), 'utf8');
export const noNginx = existsSync(program) ? undefined : `${program} is not here (apt-get install nginx, or INTEROP_NGINX names it)`;

export async function startNginx(authority) {
  const upstream = await startBehindProxy('x-client-subject');
  const home = mkdtempSync(join(tmpdir(), 'keyferry-nginx-'));

  // nginx takes no port 0. It does take listening sockets from an older nginx, named in NGINX: so it
  // gets one that has its port already.
  const socket = createServer().listen(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const files = serverFiles(authority);
  const user = process.getuid() === 0 ? `user ${userInfo().username};` : '';
  const values = { home, user, port, upstream: upstream.origin, certificate: files.cert, key: files.key, authority: authority.ca };
  const config = join(home, 'nginx.conf');
  writeFileSync(config, template.replace(/@(\w+)@/g, (_, name) => values[name]));
  const nginx = spawn(program, ['-p', home, '-c', config, '-e', 'stderr'], {
    env: { NGINX: '3;' },
    stdio: ['ignore', 'ignore', 'pipe', socket._handle.fd],
  });
  let said = '';
  nginx.stderr.setEncoding('utf8').on('data', (chunk) => (said += chunk));
  const ended = once(nginx, 'close');
  const orphaned = () => nginx.kill();
  process.on('exit', orphaned);
  socket.close();

  const started = async () => {
    while (!existsSync(join(home, 'nginx.pid'))) {
      if (nginx.exitCode !== null) throw new Error(`nginx ended: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await within(DEADLINE_MS, 'nginx starts', started());
  const origin = `https://127.0.0.1:${port}`;
  return {
    origin,
    url: `${origin}/mcp`,
    async stop() {
      nginx.kill('SIGTERM');
      await within(DEADLINE_MS, 'nginx ends', ended);
      process.off('exit', orphaned);
      rmSync(home, { recursive: true, force: true });
      await upstream.stop();
    },
  };
}
