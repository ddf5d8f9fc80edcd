'use strict';
// What is no good is refused with the status and the text that clients compare; the stream then ends with gRPC OK
// (docs/spec/behaviour.md §1.1-§1.3, docs/spec/rules.md §4).

const { common } = require('@hyperledger/fabric-protos');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, newest, oldest, payload, seek, wrap } = require('./lib/envelope.js');
const { Orderer, RECEIVE_BYTES_MAX } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const ABSOLUTE_BYTES_MAX = 4096;
/** gRPC status of a message above the limit of the transport. */
const RESOURCE_EXHAUSTED = 8;

const { HeaderType } = common;
const identity = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  const channel = create(
    network.nodes.open,
    'broadcast-refusals',
    '--batch-absolute-bytes',
    String(ABSOLUTE_BYTES_MAX),
    '--batch-preferred-bytes',
    '2048',
  );
  const fine = (fields) => envelope({ channel, identity, data: 'fine', ...fields });
  const unreadable = /^could not determine channel ID: ./;
  const denied = /: permission denied$/;
  const cases = [
    ['empty envelope', new common.Envelope(), 'BAD_REQUEST', unreadable],
    ['payload that is none', wrap(Buffer.from('no payload'), Buffer.from('s')), 'BAD_REQUEST', unreadable],
    [
      'payload without header',
      wrap(new common.Payload().serializeBinary(), Buffer.from('s')),
      'BAD_REQUEST',
      unreadable,
    ],
    ['unknown channel', fine({ channel: 'nobody-has-it' }), 'BAD_REQUEST', /^channel does not exist$/],
    ['no channel', fine({ channel: '' }), 'BAD_REQUEST', /^channel does not exist$/],
    [
      'config',
      fine({ type: HeaderType.CONFIG }),
      'BAD_REQUEST',
      /^message is of type that cannot be processed directly$/,
    ],
    ['type 4', fine({ type: 4 }), 'BAD_REQUEST', /^message is of type that is no longer supported$/],
    ['no signature', wrap(payload({ channel, identity, data: 'x' }), Buffer.alloc(0)), 'FORBIDDEN', denied],
    ['signature over something else', misfit(channel), 'FORBIDDEN', denied],
    ['unknown organisation', fine({ identity: network.stranger() }), 'FORBIDDEN', denied],
    ['certificate of another organisation', fine({ identity: impostor() }), 'FORBIDDEN', denied],
    ['creator that is none', fine({ identity: nobody() }), 'FORBIDDEN', denied],
    tooLarge(fine),
  ];
  for (const [what, message, status, text] of cases) await refused(channel, what, message, status, text);
  await everyOtherTypeIsAMessage(channel);
  await aMessageBeyondTheTransportsLimitEndsTheCall(channel);
});

function tooLarge(fine) {
  const large = fine({ data: Buffer.alloc(ABSOLUTE_BYTES_MAX) });
  const bytes = large.getPayload_asU8().length + large.getSignature_asU8().length;
  const text = new RegExp(
    `^message payload is ${bytes} bytes and exceeds maximum allowed ${ABSOLUTE_BYTES_MAX} bytes$`,
  );
  return ['too large', large, 'BAD_REQUEST', text];
}

/** A good payload with the signature of another one. */
function misfit(channel) {
  const other = payload({ channel, identity, data: 'other' });
  return wrap(payload({ channel, identity, data: 'this' }), identity.sign(other));
}

/** Says to be of Org1 with a certificate of the strangers. */
function impostor() {
  const made = network.stranger();
  made.mspId = 'Org1MSP';
  return made;
}

/** Signs, and says no name. */
function nobody() {
  const made = network.p256();
  made.serialized = () => Buffer.alloc(0);
  return made;
}

/** The answer is a refusal; the good one behind it is neither answered nor ordered; the stream ends well. */
async function refused(channel, what, message, status, text) {
  const stream = orderer.broadcast('committed');
  await stream.send(message);
  await stream.send(envelope({ channel, identity, data: `behind: ${what}` }));
  const answer = await stream.answer();
  check.equal(answer.status, status, `status for: ${what}`);
  check.matches(answer.info, text, `text for: ${what}`);
  check.equal(await stream.answer(), null, `second answer after: ${what}`);
  check.equal((await stream.end()).code, 0, `gRPC status after: ${what}`);
}

async function everyOtherTypeIsAMessage(channel) {
  const types = [HeaderType.ENDORSER_TRANSACTION, HeaderType.DELIVER_SEEK_INFO, HeaderType.CHAINCODE_PACKAGE, 77];
  await orderer.order(...types.map((type) => envelope({ channel, identity, type, data: 'x' })));
  const { blocks } = await orderer.seek(seek({ channel, identity, start: oldest(), stop: newest() }));
  check.equal(blocks.length, 1 + types.length, 'blocks: the genesis block, and one for each that was not refused');
}

async function aMessageBeyondTheTransportsLimitEndsTheCall(channel) {
  const stream = orderer.broadcast();
  await stream.send(envelope({ channel, identity, data: Buffer.alloc(RECEIVE_BYTES_MAX + 1) }));
  check.equal(await stream.answer(), null, 'answer to a message beyond the limit of the transport');
  check.equal((await stream.end()).code, RESOURCE_EXHAUSTED, 'gRPC status of a message beyond the limit');
}
