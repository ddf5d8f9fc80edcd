'use strict';
// A node that demands client certificates: who shows none, or one nobody vouches for, does not get in; a seek request
// must carry the hash of the certificate its connection shows (docs/spec/behaviour.md §2.2).

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, newest, oldest, seek, tlsHash } = require('./lib/envelope.js');
const { checkChain } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const UNAVAILABLE = 14;
const node = network.nodes.mutual;
const identity = network.p256();

check.run(async () => {
  const channel = create(node, 'mutual-tls');
  // Each is vouched for by the channel's config: Org1 and Org2 are among nobody's configured authorities.
  const own = network.userTls('Org1MSP', 'User1@org1.example.com');
  const other = network.userTls('Org2MSP', 'User1@org2.example.com');
  for (const tls of [own, other]) await works(channel, tls);
  await theHashIsChecked(channel, own, other);
  await getsNoAnswer(channel, undefined, 'without a certificate');
  await getsNoAnswer(
    channel,
    network.userTls('StrangerMSP', 'User1@stranger.example.com'),
    'with a certificate of strangers',
  );
  await worksOnAListenerThatDemandsNone(own);
});

async function works(channel, tls) {
  const orderer = new Orderer(node.grpc, tls);
  await orderer.order(envelope({ channel, identity, data: 'x' }));
  const request = seek({
    channel,
    identity,
    start: oldest(),
    stop: newest(),
    tlsCertificateHash: tlsHash(tls.certificate),
  });
  const { blocks, status } = await orderer.seek(request);
  check.equal(status, 'SUCCESS', 'status of a bound request');
  checkChain(blocks, 'OrdererMSP', network.authority('OrdererMSP'));
}

async function theHashIsChecked(channel, own, other) {
  const orderer = new Orderer(node.grpc, own);
  for (const tlsCertificateHash of [undefined, tlsHash(other.certificate), Buffer.alloc(31)]) {
    const request = seek({ channel, identity, start: oldest(), stop: newest(), tlsCertificateHash });
    check.equal(
      await orderer.seek(request),
      { blocks: [], status: 'BAD_REQUEST' },
      'answer to a request that is not bound',
    );
  }
}

async function getsNoAnswer(channel, tls, what) {
  const stream = new Orderer(node.grpc, tls).broadcast();
  await stream.send(envelope({ channel, identity, data: 'x' }));
  check.equal(await stream.answer(), null, `answer ${what}`);
  check.equal((await stream.end()).code, UNAVAILABLE, `gRPC status ${what}`);
}

/** It asks for a certificate, takes any, and leaves the hash alone. */
async function worksOnAListenerThatDemandsNone(own) {
  const channel = create(network.nodes.open, 'optional-tls');
  for (const tls of [own, network.userTls('StrangerMSP', 'User1@stranger.example.com')]) {
    const orderer = new Orderer(network.nodes.open.grpc, tls);
    const request = seek({ channel, identity, start: oldest(), stop: oldest(), tlsCertificateHash: Buffer.alloc(5) });
    check.equal((await orderer.seek(request)).status, 'SUCCESS', 'status with a certificate that nobody demands');
  }
}
