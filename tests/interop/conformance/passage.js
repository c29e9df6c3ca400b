// A way to a server on which it can be seen when the stream of a GET is open.
import { once } from 'node:events';
import { createServer, request as send } from 'node:http';

export async function passageTo(url) {
  const { hostname, port, pathname } = new URL(url);
  let opened;
  const streaming = new Promise((resolve) => (opened = resolve));
  const server = createServer((request, response) => {
    const { method, url, headers } = request;
    const onward = send({ hostname, port, method, path: url, headers: { ...headers, host: `${hostname}:${port}` } });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
      if (method === 'GET' && answer.statusCode === 200) opened();
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}${pathname}`,
    streaming,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
