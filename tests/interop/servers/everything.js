// @modelcontextprotocol/server-everything over Streamable HTTP: revision 2025-11-25, with sessions.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { Seen } from '../support/waiting.js';

const loopback = new URL('../support/loopback.js', import.meta.url).href;
const program = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'));

export async function startEverything() {
  const child = spawn(process.execPath, ['--import', loopback, program, 'streamableHttp'], {
    env: { PATH: process.env.PATH, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = new Seen();
  for (const pipe of [child.stdout, child.stderr]) createInterface(pipe).on('line', (line) => said.push(line));
  const gone = once(child, 'exit').then(([code, signal]) => said.push(`ended with ${code ?? signal}`));

  const line = await said.first('server-everything listens', (line) => /^listening on |^ended with /.test(line));
  const port = /:(\d+)$/.exec(line)?.[1];
  if (!port) throw new Error(`server-everything did not start: ${said.items.join('\n')}`);

  const sessions = (lines) => {
    const open = new Set();
    for (const line of lines) {
      const opened = /^Session initialized with ID: (\S+)/.exec(line);
      const closed = /^Transport closed for session ([^\s,]+)/.exec(line);
      if (opened) open.add(opened[1]);
      if (closed) open.delete(closed[1]);
    }
    return open;
  };

  return {
    url: `http://127.0.0.1:${port}/mcp`,
    said,
    sessionsEverOpened: () => said.items.filter((line) => line.startsWith('Session initialized')).length,
    noSessionLeft: () => said.until('the server has no session left', (lines) => sessions(lines).size === 0),
    async stop() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
