// Preloaded into a peer that would listen on every interface: it listens on 127.0.0.1 instead,
// and says on stdout which port it was given.
import { Server } from 'node:net';

const listen = Server.prototype.listen;

Server.prototype.listen = function (port, ...rest) {
  this.once('listening', () => console.log(`listening on 127.0.0.1:${this.address().port}`));
  const callback = rest.find((argument) => typeof argument === 'function');
  return listen.call(this, { port: Number(port), host: '127.0.0.1' }, callback);
};
