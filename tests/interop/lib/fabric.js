'use strict';
// The Node SDK of Fabric 2.2 (fabric-common), set up for a node: client, user, channel, committer.

const { Client, User } = require('fabric-common');
const check = require('./check.js');
const network = require('./network.js');
const peer = require('./peer.js');

/** Answers `{ client, context, channel, committer }`; `clientTls` is `{ certificate, key }`, or nothing. */
async function connect(node, channelName, clientTls, options = {}) {
  const identity = network.p256();
  const client = new Client('interop');
  if (clientTls) client.setTlsClientCertAndKey(clientTls.certificate, clientTls.key);
  const user = User.createUser('User1', '', identity.mspId, identity.certificate, identity.keyPem);
  const context = client.newIdentityContext(user);
  const channel = client.newChannel(channelName);
  const committer = client.newCommitter('orderer', 'OrdererMSP');
  await committer.connect(endpoint(client, node, options));
  channel.addCommitter(committer);
  return { client, context, channel, committer };
}

/** Puts a stand-in for a peer before the channel; answers the SDK's endorser. */
async function addPeer(client, channel) {
  const port = await peer.start({ identity: network.p256(), result: 'done' });
  const endorser = client.newEndorser('peer', 'Org1MSP');
  await endorser.connect(client.newEndpoint({ url: `grpc://127.0.0.1:${port}` }));
  channel.addEndorser(endorser);
  return endorser;
}

/** A signed commit of a transaction that the peer endorsed, and the transaction's id. */
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

function endpoint(client, node, options) {
  return client.newEndpoint({
    url: `grpcs://${node.grpc}`,
    pem: network.tlsAuthority('OrdererMSP'),
    requestTimeout: 20_000,
    ...options,
  });
}

module.exports = { addPeer, connect, endorsed, endpoint };
