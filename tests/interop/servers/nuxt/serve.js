// A built application on a free port of 127.0.0.1: says which, then each request it answered.
import { createServer } from 'node:http';

const { listener } = await import(process.argv[2]);
const server = createServer((request, response) => {
  const { method, url } = request;
  response.on('close', () => console.log(`answered ${method} ${url} ${response.statusCode}`));
  listener(request, response);
});
server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
