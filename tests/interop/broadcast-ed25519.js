'use strict';
// An Ed25519 identity sends and follows on a channel whose orderer has a P-256 key; one bit of the signature matters.

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, payload, seek, specified, wrap } = require('./lib/envelope.js');
const { entries, entryData } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const identity = network.ed25519();
const orderer = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  check.equal(identity.keyType, 'ed25519', 'kind of the key');
  const channel = create(network.nodes.open, 'broadcast-ed25519');
  await orderer.order(envelope({ channel, identity, data: 'first' }), envelope({ channel, identity, data: 'second' }));
  for (const [number, data] of [
    [1, 'first'],
    [2, 'second'],
  ]) {
    const at = specified(number);
    const { blocks, status } = await orderer.seek(seek({ channel, identity, start: at, stop: at }));
    check.equal(status, 'SUCCESS', 'status of the seek');
    check.equal(blocks.flatMap(entries).length, 1, `entries of block ${number}`);
    check.equal(entryData(entries(blocks[0])[0]).toString(), data, `data of block ${number}`);
  }
  await changedSignatureIsRefused(channel);
});

async function changedSignatureIsRefused(channel) {
  const bytes = payload({ channel, identity, data: 'changed' });
  const signature = Buffer.from(identity.sign(bytes));
  signature[10] ^= 1;
  const { status, info } = await orderer.broadcast().ask(wrap(bytes, signature));
  check.equal(status, 'FORBIDDEN', 'status for a changed signature');
  check.matches(info, /: permission denied$/, 'text for a changed signature');
}
