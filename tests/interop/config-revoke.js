'use strict';
// An organisation is taken out of a channel: its open stream ends at the next block, its envelopes are refused, and the
// others go on (docs/spec/behaviour.md §2.4).

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { configEnvelope, removeOrganisation, updateEnvelope } = require('./lib/config.js');
const { FOR_EVER, envelope, newest, oldest, seek, specified } = require('./lib/envelope.js');
const { number } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const stays = network.p256();
const leaves = network.ed25519();
const orderer = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  const channel = create(network.nodes.open, 'config-revoke');
  const stream = orderer.deliver();
  await stream.send(seek({ channel, identity: leaves, start: oldest(), stop: specified(FOR_EVER) }));
  const genesis = await stream.block();
  await orderer.order(envelope({ channel, identity: leaves, data: 'still here' }));
  check.equal(number(await stream.block()), 1, 'block while it is a member');

  await orderer.order(removal(channel, configEnvelope(genesis).getConfig()));
  await orderer.order(envelope({ channel, identity: stays, data: 'without them' }));
  const { blocks, status } = await stream.rest();
  check.holds(
    blocks.every((block) => number(block) === 2),
    'nothing behind the config block is delivered',
  );
  check.equal(status, 'FORBIDDEN', 'status of the open stream');
  check.equal((await stream.end()).code, 0, 'gRPC status of the open stream');
  await onlyOneIsLeft(channel);
});

/** The majority of two organisations is both. */
function removal(channel, config) {
  const signers = [
    network.user('Org1MSP', 'Admin@org1.example.com'),
    network.user('Org2MSP', 'Admin@org2.example.com'),
  ];
  const update = removeOrganisation(channel, config, 'Org2MSP');
  return updateEnvelope({ channel, update, signers, identity: signers[0] });
}

async function onlyOneIsLeft(channel) {
  const { status, info } = await orderer.broadcast().ask(envelope({ channel, identity: leaves, data: 'x' }));
  check.equal(status, 'FORBIDDEN', 'status of its envelope');
  check.matches(info, /: permission denied$/, 'text for its envelope');
  const request = (identity) => seek({ channel, identity, start: oldest(), stop: newest() });
  check.equal(await orderer.seek(request(leaves)), { blocks: [], status: 'FORBIDDEN' }, 'answer to its request');
  const { blocks } = await orderer.seek(request(stays));
  check.equal(blocks.length, 4, 'blocks that the other one reads');
}
