'use strict';
// Streams that stay open while blocks arrive: followers see each block once, requests queue, and a half-close loses
// nothing.

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { FOR_EVER, envelope, newest, nextCommit, oldest, seek, specified } = require('./lib/envelope.js');
const { number } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const BLOCKS = 20;
/** gRPC status of a call that the client cancelled. */
const CANCELLED = 1;
const identity = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);
const another = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  const channel = create(network.nodes.open, 'deliver-open');
  const fromTheStart = await follow(another, channel, oldest());
  check.equal(number(await fromTheStart.block()), 0, 'first block that is followed');
  const fromNow = await follow(orderer, channel, nextCommit());
  await orderBlocks(channel);
  for (const stream of [fromTheStart, fromNow]) {
    for (let n = 1; n <= BLOCKS; n += 1) check.equal(number(await stream.block()), n, 'block that is followed');
    stream.cancel();
    check.equal((await stream.end()).code, CANCELLED, 'gRPC status of a cancelled stream');
  }
  await requestsQueue(channel);
  await aHalfCloseLosesNothing(channel);
});

async function follow(client, channel, start) {
  const stream = client.deliver();
  await stream.send(seek({ channel, identity, start, stop: specified(FOR_EVER) }));
  // Answered behind the request above, on the same connection: so that one has begun.
  await client.seek(seek({ channel, identity, start: newest(), stop: newest() }));
  return stream;
}

/** Each envelope is durable before the next: a block for each. */
async function orderBlocks(channel) {
  const datas = Array.from({ length: BLOCKS }, (_, i) => `${i}`);
  await orderer.order(...datas.map((data) => envelope({ channel, identity, data })));
}

async function requestsQueue(channel) {
  const stream = orderer.deliver();
  const ranges = [
    [5, 7],
    [0, 0],
    [3, 4],
  ];
  for (const [start, stop] of ranges) {
    await stream.send(seek({ channel, identity, start: specified(start), stop: specified(stop) }));
  }
  for (const [start, stop] of ranges) {
    const { blocks, status } = await stream.rest();
    check.equal(
      blocks.map(number),
      Array.from({ length: stop - start + 1 }, (_, i) => start + i),
      'blocks of a queued request',
    );
    check.equal(status, 'SUCCESS', 'status of a queued request');
  }
  stream.halfClose();
  check.equal((await stream.end()).code, 0, 'gRPC status after queued requests');
}

async function aHalfCloseLosesNothing(channel) {
  const stream = orderer.deliver();
  await stream.send(seek({ channel, identity, start: oldest(), stop: newest() }));
  stream.halfClose();
  const { blocks, status } = await stream.rest();
  check.equal(blocks.length, BLOCKS + 1, 'blocks after a half-close');
  check.equal(status, 'SUCCESS', 'status after a half-close');
  check.equal((await stream.end()).code, 0, 'gRPC status after a half-close');
}
