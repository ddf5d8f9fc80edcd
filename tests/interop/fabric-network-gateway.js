'use strict';
// fabric-network's Gateway, from a connection profile to an event: it submits transactions to our orderer, and hears of
// their blocks. Peers do not exist here; a stand-in endorses, and passes the orderer's blocks on.

const { Gateway, DefaultEventHandlerStrategies } = require('fabric-network');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const peer = require('./lib/peer.js');
const { Orderer, within } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const node = network.nodes.open;
const identity = network.p256();
const COUNT = 5;

check.run(async () => {
  const channel = create(node, 'fabric-gateway');
  const port = await peer.start({ identity, orderer: new Orderer(node.grpc), result: 'moved' });
  const gateway = new Gateway();
  await gateway.connect(profile(channel, port), {
    identity: {
      type: 'X.509',
      mspId: identity.mspId,
      credentials: { certificate: identity.certificate, privateKey: identity.keyPem },
    },
    discovery: { enabled: false },
    eventHandlerOptions: { strategy: DefaultEventHandlerStrategies.MSPID_SCOPE_ALLFORTX, commitTimeout: 20 },
  });
  const chain = await gateway.getNetwork(channel);
  const blocks = [];
  await chain.addBlockListener(
    async ({ blockNumber }) => {
      blocks.push(Number(blockNumber));
    },
    { startBlock: 0, type: 'full' },
  );
  const contract = chain.getContract('chaincode');
  for (let i = 0; i < COUNT; i += 1) {
    // Returns once the transaction has been seen in a block.
    const result = await within(contract.submitTransaction('move', `${i}`), 'the transaction was not committed');
    check.equal(result.toString(), 'moved', 'result of a transaction');
  }
  await within(
    until(() => blocks.length > COUNT),
    'not all blocks came',
  );
  check.equal(
    blocks,
    Array.from({ length: COUNT + 1 }, (_, i) => i),
    'blocks that the listener heard of',
  );
  gateway.disconnect();
});

function profile(channel, port) {
  return {
    name: 'interop',
    version: '1.0.0',
    channels: { [channel]: { orderers: ['orderer'], peers: { peer: { endorsingPeer: true, eventSource: true } } } },
    organizations: { Org1: { mspid: 'Org1MSP', peers: ['peer'] } },
    orderers: { orderer: { url: `grpcs://${node.grpc}`, tlsCACerts: { pem: network.tlsAuthority('OrdererMSP') } } },
    peers: { peer: { url: `grpc://127.0.0.1:${port}` } },
  };
}

async function until(condition) {
  while (!condition())
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
}
