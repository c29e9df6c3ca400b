// Preloaded into a peer that would outlive the test that started it: it ends with its stdin, so
// whatever becomes of the test. A peer that has nothing left to do ends without that.
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.resume();
  process.stdin.unref();
}
