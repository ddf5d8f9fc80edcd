'use strict';
// The stubs of fabric-protos 2.2, which are other ones than those of @hyperledger/fabric-protos: follow to the largest
// number there is, one block, and a start where no block will ever be.

const Long = require('long');
const fabproto6 = require('fabric-protos');
const grpc = require('fabric-protos/grpc');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope } = require('./lib/envelope.js');
const { Orderer, within } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const node = network.nodes.open;
const identity = network.ed25519();
const service = new fabproto6.services.orderer.AtomicBroadcast(
  node.grpc,
  grpc.credentials.createSsl(Buffer.from(network.tlsAuthority('OrdererMSP'))),
);

check.run(async () => {
  const channel = create(node, 'fabric-protos');
  await new Orderer(node.grpc).order(...['one', 'two', 'three'].map((data) => envelope({ channel, identity, data })));
  const all = await within(read(channel, { oldest: {} }, Long.MAX_UNSIGNED_VALUE, 4), 'no blocks came');
  check.equal(
    all.map(({ block }) => Number(block.header.number)),
    [0, 1, 2, 3],
    'blocks that were followed',
  );
  const one = await within(read(channel, { specified: { number: 2 } }, Long.fromNumber(2, true), 2), 'no block came');
  check.equal(
    one.map(({ Type }) => Type),
    ['block', 'status'],
    'kinds of the responses',
  );
  check.equal(dataOf(one[0].block), ['two'], 'data of block 2');
  check.equal(one[1].status, fabproto6.common.Status.SUCCESS, 'status');
  const far = await within(
    read(channel, { specified: { number: Long.MAX_UNSIGNED_VALUE } }, Long.MAX_UNSIGNED_VALUE, 1),
    'no status came',
  );
  check.equal(far[0].status, fabproto6.common.Status.NOT_FOUND, 'status of a start at the largest number');
});

/** Sends one request; answers the first `count` responses. */
function read(channel, start, last, count) {
  const stream = service.deliver();
  const responses = [];
  return new Promise((resolve, reject) => {
    stream.on('data', (response) => {
      if (responses.push(response) === count) resolve(responses);
    });
    stream.on('error', reject);
    stream.write(request(channel, start, last));
  }).finally(() => {
    stream.removeAllListeners('error').on('error', () => {});
    stream.cancel();
  });
}

function request(channel, start, last) {
  const data = fabproto6.orderer.SeekInfo.encode({ start, stop: { specified: { number: last } } }).finish();
  const signed = envelope({ channel, identity, data, type: fabproto6.common.HeaderType.DELIVER_SEEK_INFO });
  return { payload: signed.getPayload_asU8(), signature: signed.getSignature_asU8() };
}

function dataOf(block) {
  return block.data.data.map((entry) => {
    const { payload } = fabproto6.common.Envelope.decode(entry);
    return Buffer.from(fabproto6.common.Payload.decode(payload).data).toString();
  });
}
