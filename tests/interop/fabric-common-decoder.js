'use strict';
// fabric-common's BlockDecoder takes our blocks apart: the genesis block's config, transactions, metadata, signatures.

const { BlockDecoder } = require('fabric-common');
const fabproto6 = require('fabric-protos');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { addPeer, connect, endorsed } = require('./lib/fabric.js');
const { Orderer } = require('./lib/orderer.js');
const { oldest, seek, specified } = require('./lib/envelope.js');
const network = require('./lib/network.js');

const node = network.nodes.open;
const identity = network.p256();

check.run(async () => {
  const name = create(node, 'fabric-decoder', '--batch-max-count', '7');
  await commitOne(name);
  const { blocks } = await new Orderer(node.grpc).seek(
    seek({ channel: name, identity, start: oldest(), stop: specified(1) }),
  );
  const [genesis, block] = blocks.map((each) => BlockDecoder.decode(Buffer.from(each.serializeBinary())));
  checkGenesis(genesis);
  checkTransaction(block);
});

async function commitOne(name) {
  const { client, context, channel, committer } = await connect(node, name);
  const { commit } = await endorsed(channel, context, await addPeer(client, channel));
  check.equal((await commit.send({ targets: [committer] })).status, 'SUCCESS', 'status of the commit');
}

function checkGenesis(block) {
  check.equal(Number(block.header.number), 0, 'number of the genesis block');
  const { channel_header: header } = block.data.data[0].payload.header;
  check.equal(header.typeString, 'CONFIG', 'type of its entry');
  check.equal(header.channel_id, 'fabric-decoder', 'channel of its entry');
  const { config } = block.data.data[0].payload.data;
  const { Orderer: orderer, Application: application } = config.channel_group.groups;
  check.equal(Object.keys(application.groups).sort(), ['Org1MSP', 'Org2MSP'], 'organisations of the application');
  check.equal(Object.keys(orderer.groups), ['OrdererMSP'], 'organisations of orderers');
  check.equal(orderer.values.BatchSize.value.max_message_count, 7, 'envelopes in a block');
  check.equal(orderer.values.BatchTimeout.value.timeout, '100ms', 'time of a block');
}

function checkTransaction(block) {
  check.equal(Number(block.header.number), 1, 'number of the first block');
  const { payload } = block.data.data[0];
  check.equal(payload.header.channel_header.typeString, 'ENDORSER_TRANSACTION', 'type of its entry');
  check.equal(payload.header.signature_header.creator.mspid, 'Org1MSP', 'organisation of its creator');
  const { endorsements } = payload.data.actions[0].payload.action;
  check.equal(
    endorsements.map(({ endorser }) => endorser.mspid),
    ['Org1MSP'],
    'organisations of its endorsers',
  );
  const [signature] = block.metadata.metadata[fabproto6.common.BlockMetadataIndex.SIGNATURES].signatures;
  check.equal(signature.signature_header.creator.mspid, 'OrdererMSP', "organisation of the block's signer");
}
