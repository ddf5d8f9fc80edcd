'use strict';
// Seek requests that are refused: a status without text and without a block, then the end with gRPC OK
// (docs/spec/behaviour.md §2.2).

const { common } = require('@hyperledger/fabric-protos');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, newest, oldest, seek, wrap } = require('./lib/envelope.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const identity = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);

const minutesFromNow = (minutes) => new Date(Date.now() + minutes * 60_000);

check.run(async () => {
  const channel = create(network.nodes.open, 'deliver-refusals');
  const request = (fields) => seek({ channel, identity, start: oldest(), stop: newest(), ...fields });
  const forged = request({});
  forged.setSignature(request({}).getSignature_asU8());
  const cases = [
    ['empty envelope', new common.Envelope(), 'BAD_REQUEST'],
    ['payload that is none', wrap(Buffer.from('no payload'), Buffer.from('s')), 'BAD_REQUEST'],
    ['no timestamp', request({ time: null }), 'BAD_REQUEST'],
    ['too old', request({ time: minutesFromNow(-16) }), 'BAD_REQUEST'],
    ['from the future', request({ time: minutesFromNow(16) }), 'BAD_REQUEST'],
    ['too old, for an unknown channel', request({ channel: 'none', time: minutesFromNow(-16) }), 'BAD_REQUEST'],
    ['unknown channel', request({ channel: 'none' }), 'NOT_FOUND'],
    ['SeekInfo that is none', envelope({ channel, identity, data: Buffer.from([0xff]) }), 'BAD_REQUEST'],
    ['signature of another request', forged, 'FORBIDDEN'],
    ['no signature', wrap(request({}).getPayload_asU8(), Buffer.alloc(0)), 'FORBIDDEN'],
    ['unknown organisation', request({ identity: network.stranger() }), 'FORBIDDEN'],
    ['unknown organisation, no start', request({ identity: network.stranger(), start: undefined }), 'FORBIDDEN'],
  ];
  for (const [what, message, status] of cases) await refused(what, message, status);
  for (const fields of [
    { time: minutesFromNow(-14) },
    { time: minutesFromNow(14) },
    { type: common.HeaderType.MESSAGE },
  ]) {
    const { blocks, status } = await orderer.seek(request(fields));
    check.equal([blocks.length, status], [1, 'SUCCESS'], `what is within the bounds: ${JSON.stringify(fields)}`);
  }
});

async function refused(what, message, status) {
  const stream = orderer.deliver();
  const answer = await stream.ask(message);
  check.equal(answer, { blocks: [], status }, `answer for: ${what}`);
  check.equal(await stream.response(), null, `second answer after: ${what}`);
  check.equal((await stream.end()).code, 0, `gRPC status after: ${what}`);
}
