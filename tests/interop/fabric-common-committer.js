'use strict';
// fabric-common's Committer: the class of the Node SDK that speaks to orderers. Statuses come back as their names.

const fabproto6 = require('fabric-protos');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { connect, endpoint } = require('./lib/fabric.js');
const { Orderer } = require('./lib/orderer.js');
const { seek, specified } = require('./lib/envelope.js');
const { channelHeader, entries, number } = require('./lib/block.js');
const network = require('./lib/network.js');

const node = network.nodes.open;

check.run(async () => {
  const channelName = create(node, 'fabric-committer');
  const { client, context, channel, committer } = await connect(node, channelName);
  check.equal(committer.isTLS(), true, 'whether it says that TLS is on');
  check.equal(await committer.checkConnection(), true, 'whether it says that it is connected');

  context.calculateTransactionId();
  check.equal(await committer.sendBroadcast(envelope(context, channel)), { status: 'SUCCESS', info: '' }, 'answer');
  await itIsOrdered(channelName, context.transactionId);

  const unknown = client.newChannel('nobody-has-it');
  check.equal(
    await committer.sendBroadcast(envelope(context, unknown)),
    { status: 'BAD_REQUEST', info: 'channel does not exist' },
    'answer for an unknown channel',
  );
  const forged = { ...envelope(context, channel), signature: envelope(context, unknown).signature };
  const { status, info } = await committer.sendBroadcast(forged);
  check.equal(status, 'FORBIDDEN', 'status for a signature over something else');
  check.matches(info, /: permission denied$/, 'text for a signature over something else');

  committer.disconnect();
  check.equal(await committer.checkConnection(), true, 'whether it connects again');
  await aWrongAuthorityIsNotTrusted(client);
});

/** Payload and signature, as the SDK makes them. */
function envelope(context, channel) {
  const { HeaderType, SignatureHeader, Payload, Header } = fabproto6.common;
  const signatureHeader = SignatureHeader.encode({
    creator: context.serializeIdentity(),
    nonce: context.nonce,
  }).finish();
  const header = Header.create({
    channel_header: channel.buildChannelHeader(HeaderType.ENDORSER_TRANSACTION, 'chaincode', context.transactionId),
    signature_header: signatureHeader,
  });
  const payload = Payload.encode({ header, data: Buffer.from('data') }).finish();
  return { payload, signature: context.sign(payload) };
}

/** SUCCESS may come before the block; the seek waits for that. */
async function itIsOrdered(channel, txId) {
  const identity = network.p256();
  const { blocks } = await new Orderer(node.grpc).seek(
    seek({ channel, identity, start: specified(1), stop: specified(1) }),
  );
  check.equal(blocks.map(number), [1], 'block that was waited for');
  check.equal(channelHeader(entries(blocks[0])[0]).getTxId(), txId, 'transaction in it');
}

async function aWrongAuthorityIsNotTrusted(client) {
  const stranger = client.newCommitter('stranger');
  const wrong = endpoint(client, node, { pem: network.tlsAuthority('Org1MSP') });
  await check.fails(
    stranger.connect(wrong),
    /Failed to connect before the deadline/,
    'connecting with the authority of others',
  );
}
