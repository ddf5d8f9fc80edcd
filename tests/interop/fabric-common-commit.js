'use strict';
// fabric-common's Endorsement and Commit: a transaction in the form of the SDK, sent to the committers of a channel;
// with one that is down before the one that works. The endorsement is made by a stand-in for a peer.

const fabproto6 = require('fabric-protos');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { addPeer, connect, endorsed } = require('./lib/fabric.js');
const { Orderer } = require('./lib/orderer.js');
const { seek, specified } = require('./lib/envelope.js');
const { channelHeader, entries, entryData } = require('./lib/block.js');
const network = require('./lib/network.js');

const node = network.nodes.open;

check.run(async () => {
  const name = create(node, 'fabric-commit');
  const { client, context, channel, committer } = await connect(node, name);
  const endorser = await addPeer(client, channel);

  const first = await endorsed(channel, context, endorser);
  check.equal(await first.commit.send({ targets: [committer] }), { status: 'SUCCESS', info: '' }, 'answer to a commit');
  await itIsOrdered(name, 1, first.txId);

  const down = client.newCommitter('down');
  down.setEndpoint(
    client.newEndpoint({
      url: 'grpcs://127.0.0.1:1',
      pem: network.tlsAuthority('OrdererMSP'),
      'grpc-wait-for-ready-timeout': 500,
    }),
  );
  const second = await endorsed(channel, context, endorser);
  check.equal(
    (await second.commit.send({ targets: [down, committer] })).status,
    'SUCCESS',
    'answer when the first committer is down',
  );
  await itIsOrdered(name, 2, second.txId);
});

async function itIsOrdered(channel, number, txId) {
  const at = specified(number);
  const request = seek({ channel, identity: network.p256(), start: at, stop: at });
  const { blocks } = await new Orderer(node.grpc).seek(request);
  const [entry] = entries(blocks[0]);
  check.equal(channelHeader(entry).getTxId(), txId, `transaction in block ${number}`);
  const { actions } = fabproto6.protos.Transaction.decode(entryData(entry));
  const { action } = fabproto6.protos.ChaincodeActionPayload.decode(actions[0].payload);
  check.equal(action.endorsements.length, 1, 'endorsements in the block');
}
