'use strict';
// The Node SDK of Fabric 2.2 (fabric-common), set up for a node: client, user, channel, committer.

const { Client, User } = require('fabric-common');
const network = require('./network.js');

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

function endpoint(client, node, options) {
  return client.newEndpoint({
    url: `grpcs://${node.grpc}`, pem: network.tlsAuthority('OrdererMSP'), requestTimeout: 20_000, ...options,
  });
}

module.exports = { connect, endpoint };
