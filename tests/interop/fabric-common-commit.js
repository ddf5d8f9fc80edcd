'use strict';
// fabric-common's Endorsement and Commit: a transaction in the form of the SDK, sent to the committers of a channel;
// with one that is down before the one that works. The endorsement is made by a stand-in for a peer.

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { connect } = require('./lib/fabric.js');
const peer = require('./lib/peer.js');
const { Orderer } = require('./lib/orderer.js');
const { seek, specified } = require('./lib/envelope.js');
const { channelHeader, entries, entryData } = require('./lib/block.js');
const network = require('./lib/network.js');
const fabproto6 = require('fabric-protos');

const node = network.nodes.open;

check.run(async () => {
  const name = create(node, 'fabric-commit');
  const { client, context, channel, committer } = await connect(node, name);
  const port = await peer.start({ identity: network.p256(), result: 'done' });
  const endorser = client.newEndorser('peer', 'Org1MSP');
  await endorser.connect(client.newEndpoint({ url: `grpc://127.0.0.1:${port}` }));
  channel.addEndorser(endorser);

  const first = await endorsed(channel, context, endorser);
  check.equal(await first.commit.send({ targets: [committer] }), { status: 'SUCCESS', info: '' }, 'answer to a commit');
  await itIsOrdered(name, 1, first.txId);

  const down = client.newCommitter('down');
  down.setEndpoint(client.newEndpoint({ url: 'grpcs://127.0.0.1:1', pem: network.tlsAuthority('OrdererMSP'), 'grpc-wait-for-ready-timeout': 500 }));
  const second = await endorsed(channel, context, endorser);
  check.equal((await second.commit.send({ targets: [down, committer] })).status, 'SUCCESS', 'answer when the first committer is down');
  await itIsOrdered(name, 2, second.txId);
});

/** A signed commit of a transaction that the stand-in endorsed. */
async function endorsed(channel, context, endorser) {
  const endorsement = channel.newEndorsement('chaincode');
  endorsement.build(context, { fcn: 'move', args: ['a', 'b'] });
  endorsement.sign(context);
  const { responses, errors } = await endorsement.send({ targets: [endorser] });
  check.equal([responses.length, errors.length], [1, 0], 'endorsements, and errors');
  const commit = endorsement.newCommit();
  commit.build(context);
  return { commit: commit.sign(context), txId: endorsement.getTransactionId() };
}

async function itIsOrdered(channel, number, txId) {
  const at = specified(number);
  const { blocks } = await new Orderer(node.grpc).seek(seek({ channel, identity: network.p256(), start: at, stop: at }));
  const [entry] = entries(blocks[0]);
  check.equal(channelHeader(entry).getTxId(), txId, `transaction in block ${number}`);
  const { actions } = fabproto6.protos.Transaction.decode(entryData(entry));
  const { action } = fabproto6.protos.ChaincodeActionPayload.decode(actions[0].payload);
  check.equal(action.endorsements.length, 1, 'endorsements in the block');
}
