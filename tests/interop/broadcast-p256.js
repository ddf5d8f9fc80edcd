'use strict';
// A P-256 identity sends envelopes: SUCCESS, and each comes back as it was sent, in order. High S is refused.

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, newest, oldest, payload, seek, wrap } = require('./lib/envelope.js');
const { entries } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const identity = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  const channel = create(network.nodes.open, 'broadcast-p256');
  const sent = ['one', 'two', 'three'].map((data) => envelope({ channel, identity, data }));
  const stream = orderer.broadcast('committed');
  for (const each of sent) check.equal(await stream.ask(each), { status: 'SUCCESS', info: '' }, 'answer');
  stream.halfClose();
  check.equal((await stream.end()).code, 0, 'gRPC status after the half-close');

  const { blocks, status } = await orderer.seek(seek({ channel, identity, start: oldest(), stop: newest() }));
  check.equal(status, 'SUCCESS', 'status of the seek');
  const ordered = blocks.slice(1).flatMap(entries);
  check.equal(
    ordered.map((entry) => Buffer.from(entry).toString('hex')),
    sent.map((each) => Buffer.from(each.serializeBinary()).toString('hex')),
    'entries',
  );

  await highSIsRefused(channel);
});

async function highSIsRefused(channel) {
  const bytes = payload({ channel, identity, data: 'high' });
  const stream = orderer.broadcast();
  const { status, info } = await stream.ask(wrap(bytes, identity.signHigh(bytes)));
  check.equal(status, 'FORBIDDEN', 'status for high S');
  check.matches(info, /: permission denied$/, 'text for high S');
}
