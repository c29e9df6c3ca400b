// The orchestra in Python, `server.py`: both eras over Streamable HTTP, or the handshake's over HTTP+SSE.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Seen } from '../../support/waiting.js';

const program = fileURLToPath(new URL('server.py', import.meta.url));

export async function startPython({ sse = false } = {}) {
  const child = spawn(process.env.INTEROP_PYTHON, [program, sse ? 'sse' : 'http'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = new Seen();
  createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
  const gone = once(child, 'exit').then(([code, signal]) => said.push(`ended with ${code ?? signal}`));
  const line = await said.first('the Python server listens', (line) => /^listening on |^ended with /.test(line));
  const port = /:(\d+)$/.exec(line)?.[1];
  if (!port) throw new Error(`the Python server did not start: ${said.items.join('\n')}`);
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async stop() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
