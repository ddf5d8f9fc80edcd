'use strict';
// Clients with bad manners: a connection for each envelope, dropped right after the answer; streams that are never
// closed; connections that end in the middle. The node answers everybody, and goes on (docs/spec/dropin.md §4).

const tls = require('node:tls');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, newest, oldest, seek } = require('./lib/envelope.js');
const { entries } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const CONNECTIONS = 150;
const AT_A_TIME = 10;
const node = network.nodes.open;
const identity = network.ed25519();

check.run(async () => {
  const channel = create(node, 'connections');
  await breakOff();
  for (let sent = 0; sent < CONNECTIONS; sent += AT_A_TIME) {
    await Promise.all(Array.from({ length: AT_A_TIME }, (_, i) => once(channel, `${sent + i}`)));
  }
  const orderer = new Orderer(node.grpc);
  const { blocks } = await orderer.seek(seek({ channel, identity, start: oldest(), stop: newest() }));
  check.equal(blocks.slice(1).flatMap(entries).length, CONNECTIONS, 'envelopes ordered');
});

/** One envelope over a connection of its own; the stream is left open, and the connection closed over it. */
async function once(channel, data) {
  const orderer = new Orderer(node.grpc, undefined, { 'grpc.use_local_subchannel_pool': 1 });
  const answer = await orderer.broadcast('committed').ask(envelope({ channel, identity, data }));
  check.equal(answer.status, 'SUCCESS', 'status');
  orderer.client.close();
}

/** Connections that send something else, or nothing, and go. */
async function breakOff() {
  const [host, port] = node.grpc.split(':');
  for (const bytes of ['', 'GET / HTTP/1.1\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', Buffer.alloc(100, 0xff)]) {
    await new Promise((resolve, reject) => {
      const socket = tls.connect({
        host,
        port: Number(port),
        ca: network.tlsAuthority('OrdererMSP'),
        ALPNProtocols: ['h2'],
      });
      socket.on('error', reject);
      socket.on('secureConnect', () => socket.write(bytes, () => socket.destroy()));
      socket.on('close', resolve);
    });
    check.equal(await isServing(), true, 'whether the node goes on');
  }
}

async function isServing() {
  const stream = new Orderer(node.grpc).deliver();
  stream.halfClose();
  return (await stream.end()).code === 0;
}
