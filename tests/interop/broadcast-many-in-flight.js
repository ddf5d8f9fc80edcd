'use strict';
// Thousands of envelopes on one stream, none waiting for an answer: all are answered, and ordered as they were sent.

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { FOR_EVER, envelope, newest, oldest, seek, specified } = require('./lib/envelope.js');
const { entries, entryData } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const COUNT = 3000;
const identity = network.ed25519();
const orderer = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  for (const level of ['accepted', 'committed']) await sendMany(level);
  await aRefusalInTheMiddleEndsTheStreamThere();
});

async function sendMany(level) {
  const channel = create(network.nodes.open, `many-${level}`);
  const stream = orderer.broadcast(level);
  const answers = answersOf(stream);
  for (let i = 0; i < COUNT; i += 1) await stream.send(envelope({ channel, identity, data: `${i}` }));
  stream.halfClose();
  check.equal(await answers, Array(COUNT).fill('SUCCESS'), `answers at level ${level}`);
  check.equal((await stream.end()).code, 0, 'gRPC status');
  // What is only accepted may still wait for its block: it is followed until it is there.
  const found = await readData(channel, COUNT);
  check.equal(
    found,
    Array.from({ length: COUNT }, (_, i) => `${i}`),
    `order at level ${level}`,
  );
}

async function answersOf(stream) {
  const statuses = [];
  for (let answer = await stream.answer(); answer; answer = await stream.answer()) statuses.push(answer.status);
  return statuses;
}

/** Follows a channel until `count` envelopes have come; answers their data. */
async function readData(channel, count) {
  const stream = orderer.deliver();
  await stream.send(seek({ channel, identity, start: oldest(), stop: specified(FOR_EVER) }));
  await stream.block(); // genesis
  const data = [];
  while (data.length < count) data.push(...entries(await stream.block()).map((entry) => entryData(entry).toString()));
  stream.cancel();
  return data;
}

async function aRefusalInTheMiddleEndsTheStreamThere() {
  const channel = create(network.nodes.open, 'many-refused');
  const stream = orderer.broadcast('committed');
  const answers = answersOf(stream);
  for (let i = 0; i < 100; i += 1) {
    const signer = i === 60 ? network.stranger() : identity;
    await stream.send(envelope({ channel, identity: signer, data: `${i}` }));
  }
  check.equal(await answers, [...Array(60).fill('SUCCESS'), 'FORBIDDEN'], 'answers around a refusal');
  check.equal((await stream.end()).code, 0, 'gRPC status after a refusal');
  const { blocks } = await orderer.seek(seek({ channel, identity, start: oldest(), stop: newest() }));
  check.equal(blocks.slice(1).flatMap(entries).length, 60, 'envelopes ordered');
}
