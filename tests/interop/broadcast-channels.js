'use strict';
// One stream for several channels: each envelope goes to the channel it names, and keeps its place there.

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, newest, oldest, seek } = require('./lib/envelope.js');
const { channelHeader, entries, entryData } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const ROUNDS = 40;
const identity = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  const channels = ['one', 'two', 'three'].map((name) => create(network.nodes.open, `of-several-${name}`));
  const stream = orderer.broadcast('committed');
  for (let i = 0; i < ROUNDS; i += 1) {
    for (const channel of channels) await stream.send(envelope({ channel, identity, data: `${channel} ${i}` }));
  }
  for (let i = 0; i < ROUNDS * channels.length; i += 1) {
    check.equal(await stream.answer(), { status: 'SUCCESS', info: '' }, 'answer');
  }
  stream.halfClose();
  check.equal((await stream.end()).code, 0, 'gRPC status');
  await readAll(channels);
});

/** Reads all channels over one Deliver stream, one request after another. */
async function readAll(channels) {
  const stream = orderer.deliver();
  for (const channel of channels) {
    const { blocks, status } = await stream.ask(seek({ channel, identity, start: oldest(), stop: newest() }));
    check.equal(status, 'SUCCESS', `status of reading ${channel}`);
    const ordered = blocks.slice(1).flatMap(entries);
    check.equal(
      ordered.map((entry) => entryData(entry).toString()),
      Array.from({ length: ROUNDS }, (_, i) => `${channel} ${i}`),
      `data of ${channel}`,
    );
    check.holds(
      ordered.every((entry) => channelHeader(entry).getChannelId() === channel),
      `entries of ${channel} name it`,
    );
  }
  stream.halfClose();
  check.equal((await stream.end()).code, 0, 'gRPC status of the reading');
}
