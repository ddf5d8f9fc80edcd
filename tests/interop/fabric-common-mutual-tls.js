'use strict';
// fabric-common against a node that demands client certificates: with one of the channel's organisations, with one the
// SDK makes up, and with none.

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { connect } = require('./lib/fabric.js');
const { Orderer } = require('./lib/orderer.js');
const { envelope, newest, oldest, seek, specified, tlsHash } = require('./lib/envelope.js');
const network = require('./lib/network.js');

const node = network.nodes.mutual;
const identity = network.p256();

check.run(async () => {
  const channel = create(node, 'fabric-mutual');
  const tls = network.userTls('Org1MSP', 'User1@org1.example.com');
  const { client, committer } = await connect(node, channel, tls);
  check.equal(await send(committer, channel), { status: 'SUCCESS', info: '' }, 'answer with a certificate');

  // The hash that the SDK computes is the one the node wants to see. The block may come after SUCCESS: it is waited
  // for.
  const tlsCertificateHash = client.getClientCertHash();
  const request = seek({ channel, identity, start: specified(1), stop: specified(1), tlsCertificateHash });
  check.equal((await new Orderer(node.grpc, tls).seek(request)).status, 'SUCCESS', 'status with the hash of the SDK');

  await nobodyElseGetsIn(channel);
  await aMadeUpCertificateWorksWhereNoneIsDemanded();
});

async function nobodyElseGetsIn(channel) {
  for (const [what, tls] of [
    ['without a certificate', undefined],
    ['with a made-up certificate', {}],
  ]) {
    await check.fails(attempt(channel, tls), /SERVICE UNAVAILABLE|Failed to connect|alert/, what);
  }
  const tls = network.userTls('Org1MSP', 'User1@org1.example.com');
  const tlsCertificateHash = tlsHash(tls.certificate);
  const request = seek({ channel, identity, start: oldest(), stop: newest(), tlsCertificateHash });
  const { blocks } = await new Orderer(node.grpc, tls).seek(request);
  check.equal(blocks.length, 2, 'blocks: the genesis block, and that of who got in');
}

/** The handshake may fail while connecting, or with the first message. */
async function attempt(channel, tls) {
  const { committer } = await connect(node, channel, tls, { 'grpc-wait-for-ready-timeout': 2000 });
  await send(committer, channel);
}

/** What a gateway shows that has no TLS identity. */
async function aMadeUpCertificateWorksWhereNoneIsDemanded() {
  const channel = create(network.nodes.open, 'fabric-made-up');
  const { committer } = await connect(network.nodes.open, channel, {});
  check.equal(await send(committer, channel), { status: 'SUCCESS', info: '' }, 'answer with a made-up certificate');
}

function send(committer, channel) {
  const made = envelope({ channel, identity, data: 'x' });
  return committer.sendBroadcast({ payload: made.getPayload_asU8(), signature: made.getSignature_asU8() });
}
