'use strict';
// Every way to say where to begin and where to stop (docs/spec/behaviour.md §2.3).

const { orderer: protos } = require('@hyperledger/fabric-protos');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { FOR_EVER, envelope, newest, nextCommit, oldest, seek, specified } = require('./lib/envelope.js');
const { number } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

/** Blocks there are: the genesis block and three more. */
const HEIGHT = 4;
const { SeekBehavior, SeekErrorResponse } = protos.SeekInfo;
const FAIL = SeekBehavior.FAIL_IF_NOT_READY;
const identity = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);

/** Start, stop, behaviour; the numbers that come, and the status. */
const CASES = [
  [oldest(), oldest(), undefined, [0], 'SUCCESS'],
  [oldest(), newest(), undefined, [0, 1, 2, 3], 'SUCCESS'],
  [oldest(), specified(0), undefined, [0], 'SUCCESS'],
  [newest(), newest(), undefined, [3], 'SUCCESS'],
  [newest(), oldest(), undefined, [3], 'SUCCESS'],
  [newest(), specified(3), undefined, [3], 'SUCCESS'],
  [specified(1), specified(2), undefined, [1, 2], 'SUCCESS'],
  [specified(2), specified(2), undefined, [2], 'SUCCESS'],
  [specified(2), oldest(), undefined, [2], 'SUCCESS'],
  [specified(1), newest(), undefined, [1, 2, 3], 'SUCCESS'],
  [oldest(), newest(), FAIL, [0, 1, 2, 3], 'SUCCESS'],
  [oldest(), specified(9), FAIL, [0, 1, 2, 3], 'NOT_FOUND'],
  [oldest(), specified(FOR_EVER), FAIL, [0, 1, 2, 3], 'NOT_FOUND'],
  [nextCommit(), specified(FOR_EVER), FAIL, [], 'NOT_FOUND'],
  [specified(HEIGHT), specified(HEIGHT), FAIL, [], 'NOT_FOUND'],
  [specified(HEIGHT + 1), specified(HEIGHT + 1), FAIL, [], 'NOT_FOUND'],
  [specified(HEIGHT + 1), specified(HEIGHT + 1), undefined, [], 'NOT_FOUND'],
  [specified(FOR_EVER), specified(FOR_EVER), undefined, [], 'NOT_FOUND'],
  [new protos.SeekPosition(), newest(), undefined, [], 'NOT_FOUND'],
  [specified(3), specified(1), undefined, [], 'BAD_REQUEST'],
  [newest(), specified(1), undefined, [], 'BAD_REQUEST'],
  // Two of our own: the reference would follow for ever.
  [oldest(), nextCommit(), undefined, [], 'BAD_REQUEST'],
  [oldest(), new protos.SeekPosition(), undefined, [], 'BAD_REQUEST'],
  [undefined, newest(), undefined, [], 'BAD_REQUEST'],
  [oldest(), undefined, undefined, [], 'BAD_REQUEST'],
];

check.run(async () => {
  const channel = create(network.nodes.open, 'deliver-seek');
  await orderer.order(...['one', 'two', 'three'].map((data) => envelope({ channel, identity, data })));
  for (const [start, stop, behavior, numbers, status] of CASES) {
    for (const errorResponse of [undefined, SeekErrorResponse.BEST_EFFORT]) {
      await seeks({ channel, start, stop, behavior, errorResponse }, numbers, status);
    }
  }
  await aBlockThatIsNotThereYetIsWaitedFor(channel);
});

async function seeks(fields, numbers, status) {
  const what = JSON.stringify([fields.start?.toObject(), fields.stop?.toObject(), fields.behavior]);
  const stream = orderer.deliver();
  const answer = await stream.ask(seek({ identity, ...fields }));
  check.equal(answer.blocks.map(number), numbers, `blocks for ${what}`);
  check.equal(answer.status, status, `status for ${what}`);
  if (status === 'SUCCESS') stream.halfClose(); // any other status ends the stream by itself
  check.equal((await stream.end()).code, 0, `gRPC status for ${what}`);
}

async function aBlockThatIsNotThereYetIsWaitedFor(channel) {
  let next = HEIGHT;
  for (const start of [() => specified(next), () => nextCommit()]) {
    const stream = orderer.deliver();
    await stream.send(seek({ channel, identity, start: start(), stop: specified(next) }));
    const coming = stream.rest();
    await settleSeek(channel);
    await orderer.order(envelope({ channel, identity, data: `block ${next}` }));
    const { blocks, status } = await coming;
    check.equal(blocks.map(number), [next], 'blocks that were waited for');
    check.equal(status, 'SUCCESS', 'status after waiting');
    next += 1;
  }
}

/** The seek before this one has been looked at once one that came later, on the same connection, is answered. */
async function settleSeek(channel) {
  await orderer.seek(seek({ channel, identity, start: newest(), stop: newest() }));
}
