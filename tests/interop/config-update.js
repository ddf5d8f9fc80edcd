'use strict';
// A config update made with the protobufs alone: it becomes a config block, is in force from the next block on, and what
// is wrong with one is told (docs/spec/behaviour.md §1.4).

const { common, orderer: protos } = require('@hyperledger/fabric-protos');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { changeOrdererValue, configEnvelope, groupAt, updateEnvelope } = require('./lib/config.js');
const { envelope, newest, oldest, seek } = require('./lib/envelope.js');
const { channelHeader, checkChain, entries, lastConfig } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const admin = network.user('OrdererMSP', 'Admin@example.com');
const member = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  const channel = create(network.nodes.open, 'config-update');
  const [genesis] = await blocksOf(channel);
  const config = configEnvelope(genesis).getConfig();
  const update = changeOrdererValue(channel, config, 'BatchSize', batchSize(2));
  const sent = updateEnvelope({ channel, update, signers: [admin], identity: admin });
  await orderer.order(envelope({ channel, identity: member, data: 'before' }), sent);

  // Blocks of two from now on.
  const stream = orderer.broadcast('committed');
  for (let i = 0; i < 4; i += 1) await stream.send(envelope({ channel, identity: member, data: `${i}` }));
  for (let i = 0; i < 4; i += 1) check.equal((await stream.answer()).status, 'SUCCESS', 'answer');
  checkBlocks(await blocksOf(channel), sent);
  await refusals(channel, update, config);
  check.equal((await blocksOf(channel)).length, 5, 'blocks after the refusals');
});

function batchSize(count) {
  const size = new protos.BatchSize();
  size.setMaxMessageCount(count);
  size.setAbsoluteMaxBytes(1 << 20);
  size.setPreferredMaxBytes(1 << 19);
  return size.serializeBinary();
}

async function blocksOf(channel) {
  const { blocks } = await orderer.seek(seek({ channel, identity: member, start: oldest(), stop: newest() }));
  return blocks;
}

function checkBlocks(blocks, sent) {
  checkChain(blocks, 'OrdererMSP', network.authority('OrdererMSP'));
  check.equal(blocks.map(lastConfig), [0, 0, 2, 2, 2], 'last config of each block');
  check.equal(
    blocks.map((block) => entries(block).length),
    [1, 1, 1, 2, 2],
    'entries of each block',
  );
  const [entry] = entries(blocks[2]);
  check.equal(channelHeader(entry).getType(), common.HeaderType.CONFIG, 'type of the config entry');
  const made = configEnvelope(blocks[2]);
  check.equal(made.getConfig().getSequence(), 1, 'sequence of the config');
  const value = groupAt(made.getConfig(), ['Orderer']).getValuesMap().get('BatchSize');
  check.equal([value.getVersion(), value.getModPolicy()], [1, 'Admins'], 'version and policy of the value');
  check.equal(value.getValue_asU8(), batchSize(2), 'the value');
  check.equal(made.getLastUpdate().serializeBinary(), sent.serializeBinary(), 'the update it came from');
}

async function refusals(channel, update, config) {
  const failed = new RegExp(`^error applying config update to existing channel '${channel}': .`);
  const other = changeOrdererValue(channel, config, 'BatchTimeout', Buffer.from('\x0a\x02x!'));
  const cases = [
    ['an update that was applied before', { update, signers: [admin] }, 'BAD_REQUEST', failed],
    ['a value that is none', { update: other, signers: [admin] }, 'BAD_REQUEST', failed],
    ['no signature', { update: other, signers: [] }, 'BAD_REQUEST', failed],
    ['a signature of somebody else', { update: other, signers: [member] }, 'BAD_REQUEST', failed],
    [
      'an envelope by a stranger',
      { update: other, signers: [admin], identity: network.stranger() },
      'FORBIDDEN',
      /: permission denied$/,
    ],
  ];
  for (const [what, fields, status, text] of cases) {
    const answer = await orderer.broadcast().ask(updateEnvelope({ channel, identity: admin, ...fields }));
    check.equal(answer.status, status, `status for: ${what}`);
    check.matches(answer.info, text, `text for: ${what}`);
  }
}
